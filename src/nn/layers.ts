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

/** x [..,K] to [..,N]: x Wᵀ + b. */
export const linear = (p: Scope, x: Tensor): Tensor => linearMap(x, p.get("weight"), p.get("bias"));

export const layerNormSpecs = (C: number): ParameterSpecs => ({
  weight: spec([C], ones),
  bias: spec([C], zeros),
});

/** Layer norm over the last axis of x [..,C]. */
export const layerNorm = (p: Scope, x: Tensor, epsilon: number): Tensor =>
  layerNormOp(x, p.get("weight"), p.get("bias"), epsilon);

/** Row `position[b]` of each x[b]: [B,T,C] and i32[B] give [B,C]. */
export function pickToken(x: Tensor, position: Tensor): Tensor {
  const [B, T, C] = x.shape as [number, number, number];
  const row = add(mul(iota("i32", [B]), T), position);
  return gather(reshape(x, [B * T, C]), row);
}

/** Non-overlapping patches of images [B,3,H,W], side `size`: [B, P, 3·size²], a patch's channels outermost. */
export function patches(images: Tensor, size: number): Tensor {
  const [B, C, H, W] = images.shape as [number, number, number, number];
  const grid = reshape(images, [B, C, H / size, size, W / size, size]);
  return reshape(transpose(grid, [0, 2, 4, 1, 3, 5]), [B, (H / size) * (W / size), C * size * size]);
}
