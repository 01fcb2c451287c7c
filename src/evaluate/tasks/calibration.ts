/** Calibration: whether a zero-shot classifier is as sure as it is right, as trained and after one temperature is fitted. */

import { foldIn, keyFromSeed, Random } from "../../core/random.js";
import { eachTileOn } from "../features/products.js";
import {
  type BootstrapOptions,
  type Interval,
  meanInterval,
  resampledInterval,
} from "../statistics/bootstrap.js";
import {
  type Calibration,
  calibration,
  fitTemperature,
  type Judged,
  judge,
} from "../statistics/calibration.js";
import type { Metric, Task, TaskScore } from "./task.js";
import { zeroshotTask } from "./zeroshot.js";

/** What calibration leaves besides its scores. */
export interface CalibrationDetails {
  /** With the scale that the model has learned. */
  readonly asTrained: Calibration;
  /** With the temperature of the other half of the images. */
  readonly fitted: Calibration;
  /** What multiplies cosines: as learned, and what serves all of these images best. */
  readonly scale: number;
  readonly bestScale: number;
}

const number = (name: string, words: string, doc: string): Metric => ({
  name,
  words,
  doc,
  kind: "number",
  better: "lower",
});

export const calibrationTask: Task<CalibrationDetails> = {
  name: "calibration",
  doc: "Whether the probabilities of zero-shot classes can be believed, as trained and with one fitted temperature.",
  how: "Probabilities are the softmax of cosines times the learned scale; 15 bins of equal width over the first guess's. The fitted temperature is each half's likeliest, applied to the other half. It changes no guess. Where several answers are right they count as one class, of the sum of their probabilities; masked classes have none.",
  source: "Guo et al. 2017",
  needs: ["labels"],
  metrics: [
    number("ece", "calibration error", "Mean distance of confidence from accuracy over 15 bins (0…1)."),
    number("ece_fitted", "calibration error, fitted", "The same with the temperature of the other half."),
    number("nll", "negative log likelihood", "Mean −log of the right class's probability, in nats."),
    number(
      "nll_fitted",
      "negative log likelihood, fitted",
      "The same with the temperature of the other half.",
    ),
    number(
      "brier",
      "Brier score",
      "Mean squared distance of the probabilities from the right class's (0…2).",
    ),
  ],
  async run(context) {
    const { features, bootstrap } = context;
    const { details: zeroshot, notes } = await zeroshotTask.run(context);
    const { labels, answers, rows, indices, classFeatures } = zeroshot;
    const classes = classFeatures.rows;
    const scale = await features.scale();
    const logits = new Float32Array(rows.length * classes);
    const place = new Map(Array.from(rows, (row, i) => [row, i]));
    await eachTileOn(features.engine, zeroshot.images, classFeatures, (tile) => {
      for (let i = 0; i < tile.rows; i++) {
        const at = place.get(tile.rowStart + i);
        if (at === undefined) continue;
        for (let j = 0; j < tile.columns; j++) {
          logits[at * classes + tile.columnStart + j] = scale * tile.scores[i * tile.columns + j]!;
        }
      }
    });
    const all: Judged = { logits, labels, answers, classes };
    const order = new Random(foldIn(keyFromSeed(0), "halves")).permutation(rows.length);
    const halves = [order.filter((_, i) => i % 2 === 0), order.filter((_, i) => i % 2 === 1)].map((half) =>
      half.sort(),
    );
    // Each image's logits over the temperature of the half that it is not in.
    const cooled = Float32Array.from(logits);
    if (halves[1]!.length > 0) {
      for (const [i, half] of halves.entries()) {
        const temperature = fitTemperature(part(all, halves[1 - i]!));
        for (const row of half) for (let c = 0; c < classes; c++) cooled[row * classes + c]! /= temperature;
      }
    }
    const fitted: Judged = { logits: cooled, labels, answers, classes };
    const scores = [
      ...scoresOf(all, "", indices, bootstrap),
      ...scoresOf(fitted, "_fitted", indices, bootstrap).filter(({ metric }) => !metric.startsWith("brier")),
    ];
    const bestScale = scale / fitTemperature(all);
    const advice = `cosines times ${bestScale.toFixed(1)} are likeliest here; the model has learned ${scale.toFixed(1)}`;
    return {
      scores,
      notes: [...notes, advice],
      details: { asTrained: calibration(all), fitted: calibration(fitted), scale, bestScale },
    };
  },
};

function part({ logits, labels, answers, classes }: Judged, rows: Uint32Array): Judged {
  const out = new Float32Array(rows.length * classes);
  rows.forEach((row, i) => {
    out.set(logits.subarray(row * classes, (row + 1) * classes), i * classes);
  });
  return {
    logits: out,
    labels: rows.map((row) => labels[row]!),
    ...(answers && { answers: Array.from(rows, (row) => answers[row]!) }),
    classes,
  };
}

function scoresOf(
  judged: Judged,
  suffix: string,
  samples: Uint32Array,
  options?: BootstrapOptions,
): TaskScore[] {
  const { expectedErrorOf, likelihood, brier } = judge(judged);
  const ofItems = (metric: string, values: Float64Array): TaskScore => ({
    metric: `${metric}${suffix}`,
    score: meanInterval(values, options),
    items: { values, samples },
  });
  const ece: Interval = resampledInterval(samples.length, expectedErrorOf, options);
  return [{ metric: `ece${suffix}`, score: ece }, ofItems("nll", likelihood), ofItems("brier", brier)];
}
