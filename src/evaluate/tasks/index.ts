/** Every task, in the order in which scores are told. */

import type { Dataset } from "../../data/dataset.js";
import { calibrationTask } from "./calibration.js";
import { choicesTask } from "./choices.js";
import { fewShotLogisticTask, fewShotTask } from "./few-shot.js";
import { linearProbeTask, logisticProbeTask } from "./linear-probe.js";
import { neighboursTask } from "./neighbours.js";
import { retrievalTask } from "./retrieval.js";
import type { Metric, Task } from "./task.js";
import { zeroshotTask } from "./zeroshot.js";

/** All tasks, in the order in which their scores stand. */
export const tasks: readonly Task[] = Object.freeze([
  zeroshotTask,
  retrievalTask,
  fewShotTask,
  fewShotLogisticTask,
  linearProbeTask,
  logisticProbeTask,
  neighboursTask,
  calibrationTask,
  choicesTask,
]);

const metrics = new Map(
  tasks.flatMap((task) => task.metrics.map((metric) => [metric.name, metric] as const)),
);

/** A task by its name. */
export const findTask = (name: string): Task | undefined => tasks.find((task) => task.name === name);

/** A metric of one of the tasks by its name. */
export const findMetric = (name: string): Metric | undefined => metrics.get(name);

/**
 * The tasks that a data set is for: zero-shot where it has labels, retrieval where it has captions that say more than
 * labels do.
 */
export function suitableTasks(dataset: Dataset): { readonly zeroshot: boolean; readonly retrieval: boolean } {
  let labels = false;
  let captionsDiffer = false;
  const captionOf = new Map<string | undefined, string>();
  for (let i = 0; i < dataset.length && !(labels && captionsDiffer); i++) {
    const { label, captions } = dataset.sample(i);
    labels ||= label !== undefined;
    for (const caption of captions) {
      captionsDiffer ||= (captionOf.get(label) ?? caption) !== caption;
      captionOf.set(label, caption);
    }
  }
  return { zeroshot: labels, retrieval: captionsDiffer || !labels };
}
