/** Scoring a study's run on every set of the suite. */

import type { Engine } from "../../engines/engine.js";
import { freshFeatures } from "../../evaluate/features/source.js";
import { loadModel } from "../../evaluate/model/load-model.js";
import type { ModelSource } from "../../evaluate/model/locate.js";
import type { OpenSet } from "../../evaluate/suites/open.js";
import { chooseTasks, type ScoredTask, scoreSet } from "../../evaluate/suites/score.js";

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
  for (const set of sets)
    scored.push(...(await scoreSet(features, set, chooseTasks(set.tasks ?? ["auto"], set), { where })));
  return scored;
}
