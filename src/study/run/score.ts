/** Scoring a study's run on every set of the suite. */

import { didYouMean, UsageError } from "../../core/errors.js";
import type { Engine } from "../../engines/engine.js";
import { freshFeatures } from "../../evaluate/features/source.js";
import { loadModel } from "../../evaluate/model/load-model.js";
import type { ModelSource } from "../../evaluate/model/locate.js";
import type { OpenSet } from "../../evaluate/suites/open.js";
import { chooseTasks, type ScoredTask, scoreSet } from "../../evaluate/suites/score.js";
import type { Task } from "../../evaluate/tasks/task.js";
import type { Study } from "../design/study.js";

const tasksOf = (set: OpenSet): readonly Task[] => chooseTasks(set.tasks ?? ["auto"], set);

/** Throws `UsageError` where no task of its set gives the score that decides. */
export function checkScore({ score }: Pick<Study, "score">, sets: readonly OpenSet[]): void {
  const set = sets.find(({ dataset }) => dataset.name === score.set);
  const names =
    set === undefined ? [] : tasksOf(set).flatMap(({ metrics }) => metrics.map(({ name }) => name));
  if (names.includes(score.metric)) return;
  throw new UsageError(
    `score: no task of the set ${score.set} gives ${score.metric}; it has ${names.join(", ")}.${didYouMean(score.metric, names)} Name one of these, or give the set another task.`,
    { key: "score" },
  );
}

/** Scores a run, or a checkpoint of it, by the tasks of each set. Features are kept nowhere, decoded images where `imageDisk` says so. */
export async function scoreRun(
  engine: Engine,
  source: ModelSource,
  sets: readonly OpenSet[],
): Promise<readonly ScoredTask[]> {
  using model = await loadModel(engine, source);
  const features = freshFeatures(model.encoder);
  const where = model.step === undefined ? {} : { step: model.step };
  const scored: ScoredTask[] = [];
  for (const set of sets) scored.push(...(await scoreSet(features, set, tasksOf(set), { where })));
  return scored;
}
