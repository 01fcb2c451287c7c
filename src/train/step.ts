/** The train step as one graph: forward, backward, clipping, optimizer, moving average. */

import { UsageError } from "../core/errors.js";
import type { TensorType } from "../core/shape.js";
import { gradients } from "../graph/grad.js";
import type { Graph } from "../graph/graph.js";
import {
  add,
  allReduceSum,
  barrier,
  constant,
  div,
  maximum,
  minimum,
  mul,
  sqrt,
  sub,
  sumOfSquares,
} from "../graph/ops/index.js";
import { mixedPrecision } from "../graph/precision.js";
import type { Tensor } from "../graph/tensor.js";
import { trace } from "../graph/trace.js";
import type { Clip } from "../models/clip.js";
import { normalizeImages } from "../nn/images.js";
import { noiseTypes } from "../nn/noise.js";
import { parameterTypes, type Training } from "../nn/parameters.js";
import { clipLoss } from "./loss.js";
import { decaysWeight, type Optimizer } from "./optimizer.js";

export interface StepOptions {
  readonly clip: Clip;
  readonly optimizer: Optimizer;
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
  /** Number format of matrix products and convolutions. Default f32. */
  readonly precision?: "f32" | "bf16" | undefined;
}

/** PyTorch's `clip_grad_norm_` divides by the norm plus this. */
const CLIP_EPSILON = 1e-6;

/** State of a run as tensor types: `params.NAME`, `statistics.NAME`, `slots.NAME.SLOT` and, if kept, `ema.NAME`. */
export function stateTypes({ clip, optimizer, ema }: Pick<StepOptions, "clip" | "optimizer" | "ema">) {
  const params = parameterTypes(clip.parameters);
  const slots = Object.fromEntries(
    Object.entries(params).map(([name, type]) => [name, optimizer.slots(type.shape)]),
  );
  return {
    params,
    statistics: parameterTypes(clip.statistics),
    slots,
    ...(ema ? { ema: params } : {}),
  };
}

/** Batch inputs of one replica as tensor types. Throws `UsageError` unless the replicas divide the batch. */
export function batchTypes({ clip, batchSize, contextLength: T, normalization, replicas = 1 }: StepOptions) {
  const B = batchSize / replicas;
  if (!Number.isInteger(B)) {
    throw new UsageError(
      `train step: the devices must divide the batch; got batchSize=${batchSize}, devices=${replicas}. Change one.`,
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
    tokens: { dtype: "i32", shape: [B, T] } as TensorType,
    imageIds: ids,
    textIds: ids,
    noise: noiseTypes(clip.noise, B),
  };
}

/**
 * Inputs: the state (`stateTypes`), `batch.*` (`batchTypes`) and `scalars.*` (the optimizer's, and `emaDecay`).
 * Outputs: `next.*`, the state after the step in the state's own memory, and `metrics.loss`, `metrics.gradientNorm`
 * (before clipping), `metrics.logitScale` (before the step).
 */
export function trainStep(options: StepOptions): Graph {
  const { clip, optimizer, clipNorm, maxLogitScale = 100, ema = false, normalization } = options;
  const { replicas = 1, precision = "f32" } = options;
  const scalar: TensorType = { dtype: "f32", shape: [] };
  const scalarNames = [...Object.keys(optimizer.scalars(1, 1)), ...(ema ? ["emaDecay"] : [])];
  const types = {
    ...stateTypes(options),
    batch: batchTypes(options),
    scalars: Object.fromEntries(scalarNames.map((name) => [name, scalar])),
  };
  const step = trace(types, (inputs) => {
    const { batch } = inputs;
    const params: Record<string, Tensor> = inputs.params;
    const scalars: Record<string, Tensor> = inputs.scalars;
    const images =
      normalization === undefined
        ? batch.images
        : normalizeImages(batch.images, normalization.mean, normalization.std);
    const scale = clip.logitScale(params);
    const variables: Record<string, Tensor> = { ...params, ...inputs.statistics };
    const training: Training = { noise: batch.noise, replicas, statistics: {} };
    const features = {
      images: clip.encodeImage(variables, images, training),
      texts: clip.encodeText(variables, batch.tokens, training),
      scale,
    };
    const ownLoss = clipLoss(features, batch, replicas);
    const loss = allReduceSum(ownLoss, replicas);

    const names = Object.keys(params);
    const found = gradients(ownLoss, Object.values(params)).map((g) => allReduceSum(g, replicas));
    const gradientNorm = globalNorm(found);
    // An output of its own, made before any update: an engine that goes depth first from the outputs then walks
    // through the gradients in the order of the norm's sum, and not down to the first parameter's at once, with
    // every cotangent on the way kept.
    const reportedNorm = barrier(gradientNorm, loss);
    // Without clipping, too, no weight changes before the last gradient: it can then be written over where it lies.
    const gradientScale =
      clipNorm === undefined
        ? barrier(constant(1), gradientNorm)
        : minimum(div(clipNorm, add(gradientNorm, CLIP_EPSILON)), 1);

    const next: {
      params: Record<string, Tensor>;
      statistics: Record<string, Tensor>;
      slots: Record<string, Record<string, Tensor>>;
      ema?: Record<string, Tensor>;
    } = {
      params: {},
      statistics: training.statistics,
      slots: {},
    };
    names.forEach((name, i) => {
      const parameter = params[name]!;
      const updated = optimizer.update({
        parameter,
        gradient: found[i]!,
        gradientScale,
        slots: (inputs.slots as Record<string, Record<string, Tensor>>)[name]!,
        scalars,
        decays: decaysWeight(name, parameter.shape),
      });
      next.params[name] =
        name === "logit_scale" ? clamp(updated.parameter, 0, Math.log(maxLogitScale)) : updated.parameter;
      next.slots[name] = updated.slots;
    });
    if (ema) {
      const averages = (inputs as unknown as { ema: Record<string, Tensor> }).ema;
      next.ema = Object.fromEntries(
        names.map((name) => {
          const old = averages[name]!;
          return [name, add(next.params[name]!, mul(sub(old, next.params[name]!), scalars.emaDecay!))];
        }),
      );
    }
    return { next, metrics: { loss, gradientNorm: reportedNorm, logitScale: scale } };
  });
  return precision === "bf16" ? mixedPrecision(step) : step;
}

const clamp = (x: Tensor, low: number, high: number): Tensor => minimum(maximum(x, low), high);

/**
 * Length of all tensors taken as one vector. Summed in the order in which the tensors were made, one after the
 * other: an engine that goes depth first then finishes each gradient where the backward pass makes it.
 */
function globalNorm(tensors: readonly Tensor[]): Tensor {
  const byAge = [...tensors].sort((a, b) => a.node.id - b.node.id);
  let total: Tensor | undefined;
  for (const t of byAge) {
    const square = sumOfSquares(t);
    total = total === undefined ? square : add(total, square);
  }
  return sqrt(total ?? constant(0));
}
