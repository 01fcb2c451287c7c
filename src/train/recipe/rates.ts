/**
 * Learning rate, weight decay, warm-up and batch where a recipe says nothing. The rule is fitted on the sweep of docs/tuning.md, and
 * meets what is published for large models: open_clip's learning rate of 5·10⁻⁴ and weight decay of 0.2.
 */

import { Unsupported, UsageError } from "../../core/errors.js";
import { makeClip } from "../../models/clip.js";
import type { ClipConfig } from "../../models/config/config.js";
import { readModel } from "../../models/presets/read-model.js";
import { countParameters } from "../../nn/parameters.js";

export interface RatesQuery {
  /** Parameters of the model without its token embedding, as `sizeOf` counts them. */
  readonly parameters: number;
  /** Pairs of the training set. Default: as many as are asked for. */
  readonly pairs?: number | undefined;
  /** Samples that the run will see. Default: as many as are asked for. */
  readonly samples?: number | undefined;
}

export interface TunedRates {
  /** Peak learning rate, of AdamW from random weights. */
  readonly lr: number;
  readonly wd: number;
  /** Share of the run. */
  readonly warmup: number;
  /** Pairs per step, a power of two. */
  readonly batchSize: number;
}

/** What open_clip trains large models with; also where the model's size is not known, or its weights are not random. */
const PUBLISHED = { lr: 5e-4, wd: 0.2 } as const;
/** Learning rate at a million parameters. */
const LR_AT_MILLION = 1.1e-3;
/** Of the smallest model that was swept. */
const HIGHEST_LR = 2.5e-3;
const WARMUP = 0.05;
const BATCH = { least: 64, most: 256 } as const;
/** A run has so many steps at least, and a pass over the data as many batches. */
const STEPS = 256;
const BATCHES_PER_EPOCH = 50;

/**
 * The rule: the learning rate falls with the root of the parameters, which at a fixed depth is with the width, down to open_clip's;
 * the weights decay by as much each step as there, so `wd` rises as the rate falls.
 */
export function tunedRates({
  parameters,
  pairs = Number.POSITIVE_INFINITY,
  samples = Number.POSITIVE_INFINITY,
}: RatesQuery): TunedRates {
  const lr = rounded(
    Math.min(HIGHEST_LR, Math.max(PUBLISHED.lr, LR_AT_MILLION * Math.sqrt(1e6 / parameters))),
  );
  const fits = 2 ** Math.floor(Math.log2(Math.min(pairs / BATCHES_PER_EPOCH, samples / STEPS)));
  return {
    lr,
    wd: decayFor(lr),
    warmup: WARMUP,
    batchSize: Math.min(BATCH.most, Math.max(BATCH.least, fits)),
  };
}

/** The weight decay that goes with a learning rate. */
const decayFor = (lr: number): number => rounded(Math.min(PUBLISHED.wd, (PUBLISHED.lr * PUBLISHED.wd) / lr));

/** To two digits, as one would write it. */
const rounded = (x: number): number => Number(x.toPrecision(2));

/** Parameters of a model without its token embedding, of which a batch sees few. */
export function sizeOf(config: ClipConfig): number {
  const { parameters } = makeClip(config);
  const embedding = Object.entries(parameters).filter(([name]) => name === "token_embedding.weight");
  return countParameters(parameters) - countParameters(Object.fromEntries(embedding));
}

/** What `ruledRates` goes by. */
export interface RuledSettings {
  readonly model: string | object;
  readonly optimizer: string;
  readonly pretrained?: string | undefined;
  readonly pretrainedImage?: string | undefined;
  readonly lr?: number | undefined;
  readonly wd?: number | undefined;
}

/** Learning rate and weight decay of a recipe, by the rule where it says nothing. */
export function ruledRates({ model, optimizer, pretrained, pretrainedImage, lr, wd }: RuledSettings): {
  readonly lr: number;
  readonly wd: number;
} {
  if (lr !== undefined && wd !== undefined) return { lr, wd };
  const fromRandom = pretrained === undefined && pretrainedImage === undefined;
  const parameters = optimizer === "adamw" && fromRandom ? sizeNamed(model) : undefined;
  const ruled = parameters === undefined ? PUBLISHED : tunedRates({ parameters });
  return { lr: lr ?? ruled.lr, wd: wd ?? (lr === undefined ? ruled.wd : PUBLISHED.wd) };
}

/** Learning rate and weight decay of a recipe in words, and whether they are the rule's. */
export function ratesInWords(recipe: RuledSettings & { readonly lr: number; readonly wd: number }): string {
  const ruled = ruledRates({ ...recipe, lr: undefined, wd: undefined });
  const isRuled = ruled.lr === recipe.lr && ruled.wd === recipe.wd;
  return `learning rate ${recipe.lr}, weight decay ${recipe.wd}${isRuled ? " by rule" : ""}`;
}

const known = new Map<string, number>();

/** The size of the model that a recipe names; undefined where there is none, which whoever opens it tells. */
function sizeNamed(model: string | object): number | undefined {
  // Files may change meanwhile.
  const key = typeof model === "string" && !model.endsWith(".json") ? model : undefined;
  const found = key === undefined ? undefined : known.get(key);
  if (found !== undefined) return found;
  try {
    const size = sizeOf(readModel(model).config);
    if (key !== undefined) known.set(key, size);
    return size;
  } catch (error) {
    if (error instanceof UsageError || error instanceof Unsupported) return undefined;
    throw error;
  }
}
