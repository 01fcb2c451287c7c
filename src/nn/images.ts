/** Images as they come from a decoder, made what a tower reads. */

import { add, cast, constant, mul, transpose } from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";

/** Bytes u8[B,H,W,3] to f32[B,3,H,W]: (x / 255 − mean) / std by channel. */
export function normalizeImages(bytes: Tensor, mean: readonly number[], std: readonly number[]): Tensor {
  const scale = constant(std.map((s) => 1 / (255 * s)));
  const shift = constant(mean.map((m, i) => -m / std[i]!));
  return transpose(add(mul(cast(bytes, "f32"), scale), shift), [0, 3, 1, 2]);
}
