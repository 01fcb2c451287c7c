/** Scoring a model on opened sets: which tasks, and what came of them. */

import { UsageError } from "../../core/errors.js";
import { runTask, type TaskRun } from "../evaluate.js";
import type { FeatureSource } from "../features/source.js";
import type { CorruptedScore, EvaluationContext } from "../records.js";
import type { BootstrapOptions } from "../statistics/bootstrap.js";
import { suitableTasks, tasks } from "../tasks/index.js";
import { retrievalTask } from "../tasks/retrieval.js";
import type { EvaluationSet, Task } from "../tasks/task.js";
import { zeroshotTask } from "../tasks/zeroshot.js";

/** What a set is for: scored by itself, the one that shifts are held against, such a shift, or only learned from. */
export type SetRole = "test" | "reference" | "shift" | "train";

/** A model's scores on one data set by one task. */
export interface ScoredTask extends TaskRun<unknown> {
  readonly dataset: string;
  readonly task: string;
  /** Of a suite's set: what it is for. */
  readonly role?: SetRole;
  /** Of pictures that were corrupted: see `scoreCorrupted`. */
  readonly corruption?: Pick<CorruptedScore, "of" | "kind">;
}

/** The tasks of these names, each once, in their order; `auto` stands for those that suit the set. */
export function chooseTasks(wanted: readonly string[], set: EvaluationSet): readonly Task[] {
  const { zeroshot, retrieval } = suitableTasks(set.dataset);
  const suits = (task: Task): boolean => {
    if (task === zeroshotTask) return zeroshot;
    if (task === retrievalTask) return retrieval && set.classes === undefined;
    return zeroshot && set.train !== undefined && task.needs.includes("train");
  };
  return tasks.filter((task) => wanted.includes(task.name) || (wanted.includes("auto") && suits(task)));
}

export interface ScoreOptions {
  /** Name of the set in the results; default: the data's. */
  readonly name?: string | undefined;
  readonly where?: EvaluationContext;
  readonly bootstrap?: BootstrapOptions | undefined;
  /** Told after each task. */
  readonly onScored?: ((scored: ScoredTask) => void) | undefined;
}

/** Scores one set by tasks. Throws `UsageError` where the data lack what a task needs. */
export async function scoreSet(
  features: FeatureSource,
  set: EvaluationSet,
  chosen: readonly Task[],
  { name, where = {}, bootstrap, onScored }: ScoreOptions = {},
): Promise<ScoredTask[]> {
  const all: ScoredTask[] = [];
  for (const task of chosen) {
    const run = await runTask(task, { features, data: set, bootstrap }, { ...where, name }).catch(
      (error: unknown) => {
        // Captions may be scored although the labels have no names.
        const another = task === zeroshotTask && chosen.includes(retrievalTask);
        if (!(another && error instanceof UsageError)) throw error;
        const notes = [`zero-shot is left out. ${error.message}`];
        return { records: [], scores: [], notes, details: undefined };
      },
    );
    const scored = { ...run, dataset: name ?? set.dataset.name, task: task.name };
    onScored?.(scored);
    all.push(scored);
  }
  return all;
}
