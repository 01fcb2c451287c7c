/** The train step as one graph: forward, backward, clipping, optimizer, moving average. */

import { UsageError } from "../../core/errors.js";
import type { TensorType } from "../../core/shape.js";
import { gradients } from "../../graph/grad.js";
import type { Graph } from "../../graph/graph.js";
import type { DeviceKind } from "../../graph/op.js";
import { allReduceSum, barrier } from "../../graph/ops/index.js";
import { mixedPrecision } from "../../graph/precision.js";
import type { Tensor } from "../../graph/tensor.js";
import { trace } from "../../graph/trace.js";
import type { Clip, Variables } from "../../models/clip.js";
import { normalizeImages } from "../../nn/images.js";
import { noiseTypes } from "../../nn/noise.js";
import { type ParameterSpecs, parameterTypes, type Training } from "../../nn/parameters.js";
import { plainClip } from "../strategies/clip.js";
import type { Strategy } from "../strategies/strategy.js";
import type { Lock } from "./frozen.js";
import { acrossReplicas, type Logits } from "./loss.js";
import type { Optimizer } from "./optimizer.js";
import { shareOf } from "./shares.js";
import { globalNorm, update } from "./update.js";

export interface StepOptions {
  readonly clip: Clip;
  /** What is trained beside the CLIP, what of a batch is encoded, and the loss. Default: CLIP's on whole images. */
  readonly strategy?: Strategy | undefined;
  readonly optimizer: Optimizer;
  /** Parameters of the CLIP that stay as they are, at no cost but that of their forward pass. Default: none. */
  readonly lock?: Lock | undefined;
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

/** `bf16`: products take bf16 and give f32. `bf16-results`: they give bf16, too, as PyTorch's autocast does. */
export const precisions = ["f32", "bf16", "bf16-results"] as const;
export type Precision = (typeof precisions)[number];

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
export const learning = <T>(all: Readonly<Record<string, T>>, { lock }: Pick<StepOptions, "lock">) =>
  Object.fromEntries(Object.entries(all).filter(([name]) => !lock?.names.has(name)));

/**
 * State of a run as tensor types: `params.NAME`, `statistics.NAME`, `slots.NAME.SLOT` of what is not locked and, if
 * kept, `ema.NAME` of what is not locked of the model.
 */
export function stateTypes(options: Pick<StepOptions, "clip" | "strategy" | "optimizer" | "ema" | "lock">) {
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
export const givenTypes = ({ given = {} }: Strategy, B: number): Record<string, TensorType> =>
  Object.fromEntries(
    Object.entries(given).map(([name, { width }]) => [name, { dtype: "f32", shape: [B, width] }]),
  );

/** Batch inputs of one replica as tensor types. Throws `UsageError` when there are more replicas than rows. */
export function batchTypes(options: StepOptions) {
  const { clip, batchSize, contextLength: T, normalization, replicas = 1 } = options;
  const strategy = strategyOf(options);
  const { height: B } = shareOf(batchSize, replicas);
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
    given: givenTypes(strategy, B),
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

/**
 * Inputs: the state (`stateTypes`), `batch.*` (`batchTypes`) and `scalars.*` (the optimizer's, and `emaDecay`).
 * Outputs: `next.*`, the state after the step in the state's own memory, and `metrics.loss`, `metrics.gradientNorm`
 * (before clipping), `metrics.logitScale` (before the step).
 */
export function trainStep(options: StepOptions): Graph {
  const { clip, replicas = 1 } = options;
  const strategy = strategyOf(options);
  const types = { ...stateTypes(options), batch: batchTypes(options), scalars: scalarTypes(options) };
  const step = trace(types, (inputs) => {
    const { batch } = inputs;
    const params: Record<string, Tensor> = inputs.params;
    const images = [batch.images, ...batch.views].map((view) => readImages(view, options));
    const variables: Record<string, Tensor> = { ...params, ...inputs.statistics };
    const training: Training = {
      noise: batch.noise,
      replicas,
      statistics: {},
      frozen: options.lock?.frozen,
    };
    const logits = logitsOf(clip, params);
    const features = {
      ...strategy.encodeImages(variables, images, training),
      ...strategy.encodeTexts(variables, batch.tokens, training),
      ...batch.given,
    };
    const { weights } = batch as { weights?: Tensor };
    const { own, all } = acrossReplicas({ ...batch, features, weights }, replicas, options.batchSize);
    const ownLoss = strategy.loss(own, all, logits);
    const loss = allReduceSum(ownLoss, replicas);

    const learned = learning(params, options);
    const found = gradients(ownLoss, Object.values(learned)).map((g) => allReduceSum(g, replicas));
    const gradientNorm = globalNorm(found);
    // An output of its own, made before any update: an engine that goes depth first from the outputs then walks
    // through the gradients in the order of the norm's sum, and not down to the first parameter's at once, with
    // every cotangent on the way kept.
    const reportedNorm = barrier(gradientNorm, loss);
    const updated = update(options, { ...inputs, params: learned }, found, gradientNorm);
    const next = { ...updated, statistics: training.statistics };
    return { next, metrics: { loss, gradientNorm: reportedNorm, logitScale: logits.scale } };
  });
  return inPrecision(step, options);
}
