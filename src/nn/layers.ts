/** Layers: what each declares, and what it computes from its scope. */

import {
  add,
  gather,
  iota,
  layerNorm as layerNormOp,
  linearMap,
  mul,
  reshape,
  transpose,
} from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";
import { type Init, ones, type ParameterSpecs, type Scope, spec, zeros } from "./parameters.js";

/** `weight` [N,K] and, unless `bias` is undefined, `bias` [N], as in PyTorch's Linear. */
export const linearSpecs = (K: number, N: number, weight: Init, bias?: Init): ParameterSpecs => ({
  weight: spec([N, K], weight),
  ...(bias === undefined ? {} : { bias: spec([N], bias) }),
});

/** x [..,K] to [..,N]: x Wᵀ + b, or without b. */
export const linear = (p: Scope, x: Tensor, { bias = true } = {}): Tensor =>
  linearMap(x, p.get("weight"), bias ? p.get("bias") : undefined);

export const layerNormSpecs = (C: number): ParameterSpecs => ({
  weight: spec([C], ones),
  bias: spec([C], zeros),
});

/** Layer norm over the last axis of x [..,C]. */
export const layerNorm = (p: Scope, x: Tensor, epsilon: number): Tensor =>
  layerNormOp(x, p.get("weight"), p.get("bias"), epsilon);

/** Token `position[b]` of each row b: x [T,B,C] and i32[B] give [B,C]. */
export function pickToken(x: Tensor, position: Tensor): Tensor {
  const [T, B, C] = x.shape as [number, number, number];
  return gather(reshape(x, [T * B, C]), add(mul(position, B), iota("i32", [B])));
}

/** Non-overlapping patches of images [B,3,H,W], side `size`: [P, B, 3·size²], a patch's channels outermost. */
export function patches(images: Tensor, size: number): Tensor {
  const [B, C, H, W] = images.shape as [number, number, number, number];
  const grid = reshape(images, [B, C, H / size, size, W / size, size]);
  return reshape(transpose(grid, [2, 4, 0, 1, 3, 5]), [(H / size) * (W / size), B, C * size * size]);
}
