/** What a training strategy is: what it makes of a batch's rows, and how it compares them. The trainer is one. */

import type { Tensor } from "../../graph/tensor.js";
import type { Clip, Variables } from "../../models/clip.js";
import type { NoiseSpecs } from "../../nn/noise.js";
import type { ParameterSpecs, Training } from "../../nn/parameters.js";
import type { Conditional } from "./conditional.js";
import type { Logits, Rows, WholeBatch } from "./loss.js";

/** Settings of strategies; a recipe has them by the same names. */
export interface StrategyOptions {
  /** Share of each softmax target that is spread over the batch. Default 0. */
  readonly labelSmoothing: number;
  /** FLIP: share of each image that is left out. Default 0.5. */
  readonly maskRatio: number;
  /** SLIP: weight of the loss on views. Default 1. */
  readonly sslScale: number;
  /** SLIP: temperature of that loss. Default 0.1. */
  readonly sslTemperature: number;
  /** SLIP: hidden and output channels of the head. Default 4096, 256. */
  readonly sslHead: readonly number[];
}

/** What is taken where nothing is said. */
export const strategyDefaults: StrategyOptions = {
  labelSmoothing: 0,
  maskRatio: 0.5,
  sslScale: 1,
  sslTemperature: 0.1,
  sslHead: [4096, 256],
};

/** Rows that a batch brings to the loss beside what is encoded of it. */
export interface ExtraRows {
  /** Numbers in a row. */
  readonly width: number;
  /** f32[n,width] of n rows: their samples in the training set, and their captions as stored. */
  rows(samples: ArrayLike<number>, captions: readonly string[]): Float32Array;
}

/** A strategy for one model. */
export interface Strategy {
  readonly name: string;
  /** Further random views of each image that a batch brings. */
  readonly views: number;
  /** What is trained beside the CLIP, and kept apart from it. */
  readonly parameters: ParameterSpecs;
  /** Running statistics beside the CLIP's. */
  readonly statistics: ParameterSpecs;
  /** Random numbers of a training pass, the model's included. */
  readonly noise: NoiseSpecs;
  /** What the loss has beside what is encoded, by name. Default: nothing. */
  readonly extra?: Readonly<Record<string, ExtraRows>> | undefined;
  /** What is seen of an image, where it is not all, for people. */
  readonly seen?: string | undefined;
  /**
   * What the loss compares of images, by name, a row an image: unit vectors f32[B,E] as `images`, and what else the
   * strategy needs. Rows depend on each other only through batch norms.
   * @param views normalized f32[B,3,S,S]: the image, then its `views` further views.
   */
  encodeImages(variables: Variables, views: readonly Tensor[], training: Training): Record<string, Tensor>;
  /** What the loss compares of texts, i32[B,T]: unit vectors f32[B,E] as `texts`. */
  encodeTexts(variables: Variables, tokens: Tensor, training: Training): Record<string, Tensor>;
  /** The loss on held-out pairs, f32[b], one of each of `own`; see `loss.ts`. */
  pairs(own: Rows, all: WholeBatch, logits: Logits): Tensor;
  /** The loss on a pair beside those that are in a batch already: what pairs are picked by. */
  readonly beside: Conditional;
  /** The share of `own` rows in the training loss of the batch, f32[]. */
  loss(own: Rows, all: WholeBatch, logits: Logits): Tensor;
  /** Loss of a model that has learned nothing on a batch of `B`, where it is not ln(B): the best without looking. */
  chance?(B: number): number;
}

/** A strategy as a choice: what is known before there is a model. */
export interface StrategyKind {
  readonly description: string;
  /** The paper, and the code that it follows. */
  readonly source: string;
  /** Augmentation policies of the further views. */
  readonly views: readonly string[];
  /** Augmentation policy of the image itself, where the recipe names none. */
  readonly augment?: string | undefined;
  /** What of the model must be trained for it to make sense, where that is more than either tower. */
  readonly learnsFrom?: "image tower" | "image tower's end" | undefined;
  /** Settings that it takes. */
  readonly options: readonly (keyof StrategyOptions)[];
  /** Starting values of the logits: the factor on the cosines, and what is added to it. */
  readonly logits: { readonly scale: number; readonly bias?: number | undefined };
  /** Throws `UsageError` where the model cannot be trained so. */
  build(clip: Clip, options: StrategyOptions): Strategy;
}
