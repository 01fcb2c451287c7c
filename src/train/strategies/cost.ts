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

/** Rows that a pass is counted on: a batch norm needs two. */
const ROWS = 2;

/**
 * Multiply-adds of the forward pass of a training pair, all views and heads, which is what the paper counts, or with
 * `backward` those of both passes. What compares the batch's rows, and the optimizer, is not in it.
 */
export function sampleMacs(
  clip: Clip,
  strategy: Strategy,
  contextLength: number,
  { backward = false } = {},
): number {
  const S = clip.config.vision_cfg.image_size;
  const images: TensorType = { dtype: "f32", shape: [ROWS, 3, S, S] };
  const types = {
    params: { ...parameterTypes(clip.parameters), ...parameterTypes(strategy.parameters) },
    statistics: { ...parameterTypes(clip.statistics), ...parameterTypes(strategy.statistics) },
    views: Array.from({ length: 1 + strategy.views }, () => images),
    tokens: { dtype: "i32", shape: [ROWS, contextLength] } as TensorType,
    noise: noiseTypes(strategy.noise, ROWS),
  };
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
}

/** How many times the multiply-adds of CLIP on whole images a strategy takes, by the forward pass or in all. */
export function relativeCost(
  clip: Clip,
  strategy: Strategy,
  contextLength: number,
  passes: { readonly backward?: boolean } = {},
): number {
  if (strategy.views === 0 && strategy.seen === undefined) return 1;
  const macs = (each: Strategy) => sampleMacs(clip, each, contextLength, passes);
  return macs(strategy) / macs(plainClip(clip));
}
