/** What a train step is made of, and what follows from it: the types of its state, its batch and its scalars. */

import { UsageError } from "../../core/errors.js";
import type { TensorType } from "../../core/shape.js";
import type { Graph } from "../../graph/graph.js";
import type { DeviceKind } from "../../graph/op.js";
import { mixedPrecision } from "../../graph/precision.js";
import type { Tensor } from "../../graph/tensor.js";
import type { Clip, Variables } from "../../models/clip.js";
import { normalizeImages } from "../../nn/images.js";
import { noiseTypes } from "../../nn/noise.js";
import { type ParameterSpecs, parameterTypes } from "../../nn/parameters.js";
import type { Precision } from "../recipe/machine-fields.js";
import { plainClip } from "../strategies/clip.js";
import type { Logits } from "../strategies/loss.js";
import type { Strategy } from "../strategies/strategy.js";
import { rowsOfDevices } from "./device-rows.js";
import type { Frozen } from "./frozen.js";
import type { Optimizer } from "./optimizer.js";

export interface StepOptions {
  readonly clip: Clip;
  /** What is trained beside the CLIP, what of a batch is encoded, and the loss. Default: CLIP's on whole images. */
  readonly strategy?: Strategy | undefined;
  readonly optimizer: Optimizer;
  /** Parameters of the CLIP that stay as they are, at no cost but that of their forward pass. Default: none. */
  readonly frozen?: Frozen | undefined;
  /** A parameter's share of the learning rate. Default: 1 for all. */
  readonly rate?: ((name: string) => number) | undefined;
  readonly batchSize: number;
  /** Tokens in a row; at most the model's context length. */
  readonly contextLength: number;
  /** Images are bytes, normalized in the graph; undefined: they come normalized, f32[B,3,S,S]. */
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] } | undefined;
  /** Gradients whose joint length exceeds it are scaled down to it. Default: none. */
  readonly clipNorm?: number | undefined;
  /** Largest factor on the cosines. Default 100 (Radford et al. 2021). */
  readonly maxLogitScale?: number | undefined;
  /** Keep a moving average of the weights, as the state `ema`, by the scalar `emaDecay`. */
  readonly ema?: boolean | undefined;
  /** Copies of the step that run together and share the batch. Default 1. */
  readonly replicas?: number | undefined;
  /** The first replica of this process. Default 0. */
  readonly firstReplica?: number | undefined;
  /** Number format of matrix products and convolutions. Default f32. */
  readonly precision?: Precision | undefined;
  /** What the step runs on: in bf16, attention is a kernel of its where it has one. Default: plain products. */
  readonly device?: DeviceKind | undefined;
}

export const strategyOf = ({ clip, strategy }: Pick<StepOptions, "clip" | "strategy">): Strategy =>
  strategy ?? plainClip(clip);

/** All parameters, locked ones too, and all running statistics: the model's, and the strategy's. */
export function variablesOf(options: Pick<StepOptions, "clip" | "strategy">): {
  readonly parameters: ParameterSpecs;
  readonly statistics: ParameterSpecs;
} {
  const { clip } = options;
  const { parameters, statistics } = strategyOf(options);
  return {
    parameters: { ...clip.parameters, ...parameters },
    statistics: { ...clip.statistics, ...statistics },
  };
}

/** Those of `all` that are not locked. */
export const learning = <T>(all: Readonly<Record<string, T>>, { frozen }: Pick<StepOptions, "frozen">) =>
  Object.fromEntries(Object.entries(all).filter(([name]) => !frozen?.names.has(name)));

/**
 * State of a run as tensor types: `params.NAME`, `statistics.NAME`, `slots.NAME.SLOT` of what is not locked and, if
 * kept, `ema.NAME` of what is not locked of the model.
 */
export function stateTypes(options: Pick<StepOptions, "clip" | "strategy" | "optimizer" | "ema" | "frozen">) {
  const { clip, optimizer, ema } = options;
  const { parameters, statistics } = variablesOf(options);
  const params = parameterTypes(parameters);
  const slots = Object.fromEntries(
    Object.entries(learning(params, options)).map(([name, type]) => [name, optimizer.slots(type.shape)]),
  );
  return {
    params,
    statistics: parameterTypes(statistics),
    slots,
    ...(ema ? { ema: parameterTypes(learning(clip.parameters, options)) } : {}),
  };
}

/** Types of `B` rows of what a batch brings to the loss. */
export const extraTypes = ({ extra = {} }: Strategy, B: number): Record<string, TensorType> =>
  Object.fromEntries(
    Object.entries(extra).map(([name, { width }]) => [name, { dtype: "f32", shape: [B, width] }]),
  );

/** Batch inputs of one replica as tensor types. Throws `UsageError` when there are more replicas than rows. */
export function batchTypes(options: StepOptions) {
  const { clip, batchSize, contextLength: T, normalization, replicas = 1 } = options;
  const strategy = strategyOf(options);
  const { height: B } = rowsOfDevices(batchSize, replicas);
  const padded = B * replicas !== batchSize;
  if (padded && Object.keys(variablesOf(options).statistics).length > 0) {
    throw new UsageError(
      `batchSize: the devices must divide it where the model has batch norms; got batchSize=${batchSize}, devices=${replicas}. Use ${B * replicas}, or another number of devices.`,
    );
  }
  const S = clip.config.vision_cfg.image_size;
  const images: TensorType =
    normalization === undefined
      ? { dtype: "f32", shape: [B, 3, S, S] }
      : { dtype: "u8", shape: [B, S, S, 3] };
  const ids: TensorType = { dtype: "i32", shape: [B] };
  return {
    images,
    views: Array.from({ length: strategy.views }, () => images),
    tokens: { dtype: "i32", shape: [B, T] } as TensorType,
    imageIds: ids,
    textIds: ids,
    noise: noiseTypes(strategy.noise, B),
    extra: extraTypes(strategy, B),
    /** 1 for a row of the batch, 0 for padding. */
    ...(padded ? { weights: { dtype: "f32", shape: [B] } as TensorType } : {}),
  };
}

/** Types of the scalars of a step: the optimizer's, and `emaDecay`. */
export function scalarTypes({ optimizer, ema }: Pick<StepOptions, "optimizer" | "ema">) {
  const scalar: TensorType = { dtype: "f32", shape: [] };
  const names = [...Object.keys(optimizer.scalars(1, 1)), ...(ema ? ["emaDecay"] : [])];
  return Object.fromEntries(names.map((name) => [name, scalar]));
}

/** What a tower reads: bytes made numbers. */
export const readImages = (images: Tensor, { normalization }: Pick<StepOptions, "normalization">): Tensor =>
  normalization === undefined ? images : normalizeImages(images, normalization.mean, normalization.std);

export const logitsOf = (clip: Clip, variables: Variables): Logits => ({
  scale: clip.logitScale(variables),
  bias: clip.logitBias(variables),
});

/** The program in the number format of a run, and with the kernels of its device. */
export function inPrecision(
  graph: Graph,
  { precision = "f32", device }: Pick<StepOptions, "precision" | "device">,
): Graph {
  if (precision === "f32") return graph;
  return mixedPrecision(graph, { device, results: precision === "bf16" ? "f32" : "bf16" });
}
