/** `--report-to tensorboard`: an event file in `RUN/tensorboard`; `tensorboard --logdir runs` shows runs side by side. */

import type { Line } from "../run/folder.js";
import { type EventContent, eventRecord, FILE_VERSION } from "./event-file.js";
import type { OpenReporter } from "./reporter.js";

const FOLDER = "tensorboard";

export const openTensorboard: OpenReporter = (run) => {
  const now = (): number => Date.now() / 1000;
  const metrics = run.readMetrics();
  // The run's own clock: what was written in earlier sittings stands as long before now as it was trained.
  const begun = now() - Number(metrics.at(-1)?.seconds ?? 0);
  const timeOf = (line: Line): number => begun + Number(line.seconds ?? 0);
  const secondsAt = (step = 0): number =>
    Number(metrics.findLast((line) => (line.step ?? 0) <= step)?.seconds ?? 0);
  const earlier = [
    ...metrics.map((line) => eventRecord(timeOf(line), metricsEvent(line))),
    ...run.readEvaluation().map((line) => eventRecord(begun + secondsAt(line.step), evaluationEvent(line))),
  ];
  const name = `events.out.tfevents.${String(Math.floor(now())).padStart(10, "0")}.clipwright`;
  const start = eventRecord(now(), { fileVersion: FILE_VERSION });
  run.replaceFolder(FOLDER, { [name]: Buffer.concat([start, ...earlier]) });
  const append = (content: EventContent): void =>
    run.appendFile(`${FOLDER}/${name}`, eventRecord(now(), content));
  return {
    metrics: (line) => append(metricsEvent(line)),
    evaluation: (line) => append(evaluationEvent(line)),
    picture: (image) => append({ step: 0, image }),
  };
};

/** `train/KEY` for every number of a line of metrics. */
function metricsEvent({ step, ...line }: Line): EventContent {
  const numbers = Object.entries(line).filter(([, value]) => typeof value === "number");
  const scalars = Object.fromEntries(numbers.map(([key, value]) => [`train/${key}`, value as number]));
  return { ...(step !== undefined && { step }), scalars };
}

/** `DATASET/TASK/METRIC`. */
const evaluationEvent = ({ step, dataset, task, metric, value }: Line): EventContent => ({
  ...(step !== undefined && { step }),
  scalars: { [`${dataset}/${task}/${metric}`]: Number(value) },
});
