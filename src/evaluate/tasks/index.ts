/** Every task, in the order in which scores are told. */

import type { Dataset } from "../../data/dataset.js";
import { calibrationTask } from "./calibration.js";
import { fewShotLogisticTask, fewShotTask } from "./few-shot.js";
import { linearProbeTask, logisticProbeTask } from "./linear-probe.js";
import { neighboursTask } from "./neighbours.js";
import { retrievalTask } from "./retrieval.js";
import type { Metric, Task } from "./task.js";
import { zeroshotTask } from "./zeroshot.js";

export const tasks: readonly Task[] = Object.freeze([
  zeroshotTask,
  retrievalTask,
  fewShotTask,
  fewShotLogisticTask,
  linearProbeTask,
  logisticProbeTask,
  neighboursTask,
  calibrationTask,
]);

const metrics = new Map(
  tasks.flatMap((task) => task.metrics.map((metric) => [metric.name, metric] as const)),
);

/** A metric of one of the tasks by its name. */
export const findMetric = (name: string): Metric | undefined => metrics.get(name);

/** What a data set offers to tasks. */
export function offers(dataset: Dataset): { labels: boolean; captions: boolean } {
  let labels = false;
  let captions = false;
  for (let i = 0; i < dataset.length && !(labels && captions); i++) {
    const sample = dataset.sample(i);
    labels ||= sample.label !== undefined;
    captions ||= sample.captions.length > 0;
  }
  return { labels, captions };
}
