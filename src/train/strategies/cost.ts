/** What a strategy costs, counted from its graph. */

import type { TensorType } from "../../core/shape.js";
import { costOf } from "../../graph/cost.js";
import { gradients } from "../../graph/grad.js";
import { add, mul, sum } from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { trace } from "../../graph/trace.js";
import type { Clip } from "../../models/clip.js";
import { noiseTypes } from "../../nn/noise.js";
import { parameterTypes, type Training } from "../../nn/parameters.js";
import { plainClip } from "./clip.js";
import type { Strategy } from "./strategy.js";

export interface SampleCost {
  /** Multiply-adds of the forward pass of a pair, all views and heads: what the paper counts. */
  readonly forwardMacs: number;
  /** The same and the backward pass's. What compares the batch's rows, and the optimizer, is not in it. */
  readonly trainMacs: number;
}

/** Rows that a pass is counted on: a batch norm needs two. */
const ROWS = 2;

/** Multiply-adds that a training pair costs. */
export function sampleCost(clip: Clip, strategy: Strategy, contextLength: number): SampleCost {
  const S = clip.config.vision_cfg.image_size;
  const images: TensorType = { dtype: "f32", shape: [ROWS, 3, S, S] };
  const types = {
    params: { ...parameterTypes(clip.parameters), ...parameterTypes(strategy.parameters) },
    statistics: { ...parameterTypes(clip.statistics), ...parameterTypes(strategy.statistics) },
    views: Array.from({ length: 1 + strategy.views }, () => images),
    tokens: { dtype: "i32", shape: [ROWS, contextLength] } as TensorType,
    noise: noiseTypes(strategy.noise, ROWS),
  };
  const macs = (backward: boolean): number => {
    const graph = trace(types, (x) => {
      const training: Training = { noise: x.noise, replicas: 1, statistics: {} };
      const variables = { ...x.params, ...x.statistics };
      const features: Record<string, Tensor> = {
        ...strategy.encodeImages(variables, x.views, training),
        ...strategy.encodeTexts(variables, x.tokens, training),
      };
      if (!backward) return { features };
      const total = Object.values(features)
        .map((f) => sum(mul(f, f)))
        .reduce((a, b) => add(a, b));
      const names = Object.keys(x.params);
      const found = gradients(total, Object.values(x.params as Record<string, Tensor>));
      return { d: Object.fromEntries(names.map((name, i) => [name, found[i]!])) };
    });
    return costOf(graph).macs / ROWS;
  };
  return { forwardMacs: macs(false), trainMacs: macs(true) };
}

/** How many times the multiply-adds of CLIP on whole images a strategy takes, by the forward pass and in all. */
export function relativeCost(
  clip: Clip,
  strategy: Strategy,
  contextLength: number,
): { readonly forward: number; readonly training: number } {
  const own = sampleCost(clip, strategy, contextLength);
  const plain = sampleCost(clip, plainClip(clip), contextLength);
  return { forward: own.forwardMacs / plain.forwardMacs, training: own.trainMacs / plain.trainMacs };
}
