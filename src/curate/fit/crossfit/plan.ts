/** How cross-fitting spends its time: how many folds, repeats and samples, and which model. Measured on the machine. */

import { UsageError } from "../../../core/errors.js";
import type { Engine } from "../../../engines/engine.js";
import type { ClipConfig } from "../../../models/config/config.js";
import { benchStep } from "../../../train/measure/bench.js";
import { readSizedModel } from "../../../train/open/model.js";
import type { RecipeInput } from "../../../train/recipe/input.js";
import { precisionOn } from "../../../train/recipe/machine-fields.js";
import { checkRecipe, type Recipe } from "../../../train/recipe/recipe.js";

/** What all runs of a cross-fitting have in common, fixed once. */
export interface CrossfitPlan {
  readonly folds: number;
  readonly repeats: number;
  /** Passes of each run over its part of the pictures. */
  readonly epochs: number;
  readonly model: string | object;
  readonly batchSize: number;
  readonly lr: number;
  /** As measured; undefined where nothing had to be. */
  readonly secondsPerStep?: number | undefined;
}

/**
 * Of drawings, photos and products the smallest model that sees shapes: 16 patches laid side by side, a bag of words for the
 * text. From so few pairs it learns more than deeper models, in a tenth of their time (docs/curation.md).
 */
export const PATCHES_AND_WORDS: ClipConfig = {
  embed_dim: 192,
  vision_cfg: {
    image_size: 64,
    patch_size: 16,
    width: 96,
    layers: 3,
    head_width: 32,
    pool_type: "flat",
    class_token: false,
    no_ln_pre: true,
  },
  text_cfg: { context_length: 32, vocab_size: 4096, width: 192, heads: 4, layers: 0, pool_type: "mean" },
};

interface Choice {
  /** Pictures from which on there is enough to learn for it. */
  readonly from: number;
  readonly model: string | ClipConfig;
  /** Pairs of a step, at most. Few pictures are learned by heart in many passes: they need few, of many small steps. */
  readonly batchSize: number;
  readonly lr: number;
  /** Passes beyond which models of so few pictures only learn them by heart. */
  readonly epochs: number;
}

/** What is trained, by the number of pictures, the most first. */
const BY_PICTURES: readonly Choice[] = [
  { from: 300_000, model: "clipwright-small-64", batchSize: 256, lr: 2e-3, epochs: 16 },
  { from: 30_000, model: "clipwright-tiny-64", batchSize: 256, lr: 2e-3, epochs: 16 },
  { from: 0, model: PATCHES_AND_WORDS, batchSize: 64, lr: 1e-3, epochs: 6 },
];

/** Passes below which models have learned little: rather than that, fewer folds. */
const LEAST_EPOCHS = 4;
/** Samples that a run sees where there is time: many pictures need fewer passes. */
const SAMPLES = 2_000_000;
/** Fewer folds leave each model less to learn from, and cost less: tried in this order. */
const FOLDS = [5, 4, 3, 2] as const;
const REPEATS = 3;
/** Of the time, what steps may take: the rest is for compiling, the first reading of pictures, and embedding. */
const STEPS_SHARE = 0.75;

/** What every run is told beside its data, its name, its seed and what the plan says. */
export const BASE_RECIPE: RecipeInput = {
  vocabSize: 4096,
  imageResizeMode: "squash",
  normalize: "inception",
  crop: "affine",
  affine: [8, 0.1, 0.1, 0.05],
  flip: 0.5,
  wd: 0.1,
  warmup: 0.05,
  precision: "auto",
  valFrequency: 0,
  zeroshotFrequency: 0,
};

/** What a person may fix; the rest is found. */
export interface CrossfitWishes {
  /** Seconds for everything. */
  readonly seconds: number;
  readonly folds?: number | undefined;
  readonly repeats?: number | undefined;
  readonly recipe: RecipeInput;
}

/** The recipe of a run but for its name, folder and seed. */
export function runRecipe(plan: Omit<CrossfitPlan, "folds" | "repeats">, over: RecipeInput): RecipeInput {
  const { epochs, model, batchSize, lr } = plan;
  const whole = { ...BASE_RECIPE, model, batchSize, lr, epochs, ...over };
  if (whole.keepSize !== undefined) return whole;
  const { config } = readSizedModel(checkRecipe({ ...whole, trainData: "sized", crop: "whole" }));
  return { ...whole, keepSize: config.vision_cfg.image_size as number };
}

/**
 * Plans for `pictures` pictures. Where the time is too short for four passes by each of five models, three times, there are fewer
 * folds; then fewer passes. Throws `UsageError` where not even one pass fits.
 */
export async function planCrossfit(
  engine: Engine,
  pictures: number,
  wishes: CrossfitWishes,
): Promise<CrossfitPlan> {
  const { seconds, repeats = REPEATS, recipe: over } = wishes;
  const choice = BY_PICTURES.find(({ from }) => pictures >= from)!;
  const { model = choice.model, lr = choice.lr } = over;
  const fitting = 2 ** Math.floor(Math.log2(pictures / 4));
  const batchSize = over.batchSize ?? Math.max(2, Math.min(choice.batchSize, fitting));
  const most = Math.max(1, Math.min(choice.epochs, Math.round(SAMPLES / pictures)));
  const epochsIn = (folds: number, secondsPerStep: number): number => {
    const steps = (STEPS_SHARE * seconds) / (folds * repeats) / secondsPerStep;
    return Math.floor((steps * batchSize) / (pictures * (1 - 1 / folds)));
  };
  const draft = checkRecipe({
    ...runRecipe({ epochs: 1, model, batchSize, lr }, over),
    trainData: "measured",
  });
  const secondsPerStep = await measure(engine, draft);
  const choices = wishes.folds === undefined ? FOLDS : [wishes.folds];
  const folds =
    choices.find((count) => epochsIn(count, secondsPerStep) >= Math.min(most, LEAST_EPOCHS)) ??
    choices.at(-1)!;
  const epochs = Math.min(over.epochs ?? most, epochsIn(folds, secondsPerStep));
  if (epochs < 1) {
    const needed = (folds * repeats * secondsPerStep * pictures * (1 - 1 / folds)) / batchSize / STEPS_SHARE;
    throw new UsageError(
      `time: must be enough for ${folds * repeats} models to see ${pictures} pictures once, about ${Math.ceil(needed / 60)} minutes here; got ${Math.round(seconds / 60)}. Give more time, or a smaller model in the recipe.`,
      { key: "time" },
    );
  }
  return { folds, repeats, epochs, model, batchSize, lr, secondsPerStep };
}

/** Seconds of a step of the recipe's model. */
async function measure(engine: Engine, recipe: Recipe): Promise<number> {
  const { config } = readSizedModel(recipe);
  const { seconds } = await benchStep(engine, {
    config,
    batchSize: recipe.batchSize,
    steps: 5,
    precision: precisionOn(recipe.precision, engine),
  });
  return seconds.toSorted((a, b) => a - b)[seconds.length >> 1]!;
}
