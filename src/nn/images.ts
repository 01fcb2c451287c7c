/** Images as they come from a decoder, made what a tower reads. */

import { add, cast, constant, mul, transpose } from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";

/** Bytes u8[B,H,W,3] to f32[B,3,H,W]: (x / 255 − mean) / std by channel. */
export function normalizeImages(bytes: Tensor, mean: readonly number[], std: readonly number[]): Tensor {
  // Channels are moved outwards first: engines repeat a number along a row fast, three numbers side by side slowly.
  const planes = cast(transpose(bytes, [0, 3, 1, 2]), "f32");
  const byChannel = (values: readonly number[]) => constant(values, { shape: [values.length, 1, 1] });
  const scaled = mul(planes, byChannel(std.map((s) => 1 / (255 * s))));
  return add(scaled, byChannel(mean.map((m, i) => -m / std[i]!)));
}
