/** Running tasks: scores of a model on a data set, as lines of `evaluation.jsonl`. */

import { type EvaluationContext, type EvaluationRecord, recordOf } from "./records.js";
import type { Task, TaskContext, TaskOutcome } from "./tasks/task.js";

export interface TaskRun<Details> extends TaskOutcome<Details> {
  readonly records: readonly EvaluationRecord[];
}

/** Runs one task. `where` says when and on what; its name for the data set replaces the data's own. */
export async function runTask<Details>(
  task: Task<Details>,
  context: TaskContext,
  where: EvaluationContext & { readonly name?: string | undefined } = {},
): Promise<TaskRun<Details>> {
  const outcome = await task.run(context);
  const { name = context.data.dataset.name, ...at } = where;
  const records = outcome.scores.map(({ metric, score, chance }) =>
    recordOf({
      dataset: name,
      task: task.name,
      metric,
      ...score,
      ...at,
      ...(chance !== undefined && { chance }),
    }),
  );
  return { ...outcome, records };
}
