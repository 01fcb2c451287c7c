/** Stochastic depth (Huang et al. 2016, "Deep networks with stochastic depth"), with timm's rates. */

import { cast, div, greaterEqual, mul, reshape, slice } from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";
import type { NoiseSpecs } from "./noise.js";
import type { Scope } from "./parameters.js";

export interface DropPath {
  /** What the model declares as its noise. */
  readonly noise: NoiseSpecs;
  /**
   * Branch `branch` of block `block`: in training left out for a share of the samples, and scaled up for the others so that
   * its mean stays; in evaluation, and where the block is frozen, as it is. `axis` of y is that of the samples.
   * @param p the scope at which the model declares `noise`.
   * @param own the block's scope.
   */
  apply(p: Scope, own: Scope, y: Tensor, block: number, branch?: number, axis?: number): Tensor;
}

/**
 * The share left out grows linearly from 0 at the first of `blocks` to `rate` at the last, or is `rate` at all of them.
 * Each block has `branches` residual branches, which draw apart.
 */
export function makeDropPath(
  rate: number,
  blocks: number,
  branches = 1,
  shares: "linear" | "constant" = "linear",
): DropPath {
  return {
    noise: rate > 0 ? { drop_path: { kind: "uniform", shape: [blocks * branches] } } : {},
    apply(p, own, y, block, branch = 0, axis = 0) {
      const reached = shares === "constant" ? 1 : blocks > 1 ? block / (blocks - 1) : 0;
      const share = rate * reached;
      if (own.training === undefined || share === 0) return y;
      const column = block * branches + branch;
      const draw = slice(p.noise("drop_path"), 1, column, column + 1); // [B,1]
      const factor = div(cast(greaterEqual(draw, share), "f32"), 1 - share);
      return mul(
        y,
        reshape(
          factor,
          y.shape.map((d, i) => (i === axis ? d : 1)),
        ),
      );
    },
  };
}
