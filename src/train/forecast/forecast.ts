/** What a run will come to, before it starts: how many steps, how long they take here, and how much memory. */

import { datasetOptions } from "../../data/fields.js";
import { openDataset } from "../../data/index.js";
import { takeSelected } from "../../data/selections/select.js";
import { openEngine } from "../../engines/registry.js";
import { completeClipConfig } from "../../models/config/config.js";
import { benchStep } from "../measure/bench.js";
import { readSizedModel } from "../open/model.js";
import { clipOf } from "../open/step.js";
import { precisionOn } from "../recipe/machine-fields.js";
import type { Recipe } from "../recipe/recipe.js";
import { judgedMacs } from "../schedule/phases.js";
import { makePlan } from "../schedule/plan.js";
import { formatBytes, formatClock } from "../watch/progress.js";

export interface Forecast {
  readonly images: number;
  /** Undefined for a run that is limited by time: it takes as many as fit. */
  readonly steps: number | undefined;
  readonly secondsPerStep: number;
  /** Of the steps alone: reading images, evaluation and saving come on top where they do not keep up. */
  readonly seconds: number;
  /** Multiply-adds of judging the pairs that batches are picked from, in those of the steps; undefined where none are. */
  readonly judging: number | undefined;
  /** What the step needs at its peak, by its graph. */
  readonly memoryBytes: number;
}

/** Steps that are timed. */
const TIMED = 3;

/**
 * Times a few steps of the recipe's model on random data of its sizes. Images that are held out by `valSplit` are
 * counted as a share. Throws `UsageError` for what training would refuse of the data, the model and the length.
 */
export async function forecast(recipe: Recipe): Promise<Forecast> {
  const { config } = readSizedModel(recipe);
  const whole = await openDataset(recipe.trainData, datasetOptions(recipe));
  const { length } = await takeSelected(whole, recipe.select, { weight: recipe.sampleWeight });
  const images = Math.round(length * (1 - recipe.valSplit));
  const { totalSteps } = makePlan(recipe, images);
  const { text_cfg } = completeClipConfig(config);
  await using engine = await openEngine(recipe.engine, recipe);
  const { seconds, macs, predictedPeakBytes } = await benchStep(engine, {
    config: { ...config, text_cfg: { ...config.text_cfg, context_length: text_cfg.context_length } },
    batchSize: recipe.microBatch ?? recipe.batchSize,
    steps: TIMED,
    rematerialize: recipe.gradCheckpointing,
    precision: precisionOn(recipe.precision, engine),
    attention: recipe.attention,
  });
  const parts = recipe.batchSize / (recipe.microBatch ?? recipe.batchSize);
  const clip = clipOf(recipe, config);
  const judged = recipe.batchSize * judgedMacs(recipe, clip, clip.config.text_cfg.context_length);
  const judging = recipe.pick === undefined ? undefined : judged / (macs * parts);
  const secondsPerStep = Math.min(...seconds) * parts * (1 + (judging ?? 0));
  return {
    images,
    steps: totalSteps,
    secondsPerStep,
    seconds: totalSteps === undefined ? recipe.time!.value : totalSteps * secondsPerStep,
    judging,
    memoryBytes: predictedPeakBytes,
  };
}

/** A line or two for people. */
export function forecastLines(found: Forecast): string[] {
  const { images, steps, secondsPerStep, seconds, judging, memoryBytes } = found;
  const each =
    secondsPerStep < 1 ? `${Math.round(1000 * secondsPerStep)} ms` : `${secondsPerStep.toFixed(1)} s`;
  const many = steps ?? Math.floor(seconds / secondsPerStep);
  return [
    `${images} images; about ${many} steps of ${each}: ${formatClock(seconds)}, and what reading images and scores take besides.`,
    ...(judging === undefined
      ? []
      : [
          `Judging the pairs that batches are picked from takes ${judging.toFixed(2)} × a step's multiply-adds more.`,
        ]),
    `Memory of a step about ${formatBytes(memoryBytes)}, and images that are kept (--image-memory).`,
  ];
}
