/** How weights that were stored by others become a tower's: their names, and positions for another image size. */

import { InternalError } from "../../core/errors.js";

/** What an image tower knows of weights that were not stored by a CLIP with the same images. Names are the tower's. */
export interface StoredForms {
  /** The projection into the joint space, which a trunk stored by itself does not have. */
  readonly projection: readonly string[];
  /**
   * The tower's name of a tensor of a trunk that was stored by itself, under its own names or timm's; undefined for
   * a classifier's.
   */
  fromTrunk(name: string): string | undefined;
  /** Learned positions on a square grid, `[extra + side², C]`, which can be resampled for another side. */
  readonly positions?: { readonly name: string; readonly extra: number } | undefined;
  /** Parameters whose shape follows from the images' size and cannot be made another's, and why. */
  readonly sizeBound?: { readonly names: RegExp; readonly why: string } | undefined;
}

/** Keys's cubic with a = −1/2 (PIL's and PyTorch's with antialias). */
function cubic(x: number): number {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

/** Rows of weights [to][from] that resample a line of `from` samples to `to`; what shrinks is smoothed first. */
function cubicWeights(from: number, to: number): Float64Array[] {
  const scale = from / to;
  const width = Math.max(scale, 1);
  const support = 2 * width;
  return Array.from({ length: to }, (_, i) => {
    const center = scale * (i + 0.5);
    const row = new Float64Array(from);
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), from);
    let sum = 0;
    for (let j = first; j < end; j++) {
      row[j] = cubic((j - center + 0.5) / width);
      sum += row[j]!;
    }
    return row.map((w) => w / sum);
  });
}

/**
 * Positions [extra + from²,C] of a square grid as those of one of another side, [extra + to²,C]: open_clip's
 * `resize_pos_embed`, PyTorch's `interpolate(mode="bicubic", antialias=True)`. The first `extra` rows stay.
 */
export function resamplePositions(data: ArrayLike<number>, channels: number, extra: number, to: number) {
  const from = Math.sqrt(data.length / channels - extra);
  if (!Number.isInteger(from))
    throw new InternalError(`positions: ${data.length / channels} rows are no grid`);
  const weights = cubicWeights(from, to);
  const C = channels;
  const mix = (source: ArrayLike<number>, offset: number, stride: number, row: Float64Array, c: number) => {
    let sum = 0;
    for (let j = 0; j < from; j++) if (row[j] !== 0) sum += row[j]! * source[offset + j * stride + c]!;
    return sum;
  };
  const wide = new Float64Array(from * to * C); // [from,to,C]
  for (let y = 0; y < from; y++)
    for (let x = 0; x < to; x++)
      for (let c = 0; c < C; c++)
        wide[(y * to + x) * C + c] = mix(data, (extra + y * from) * C, C, weights[x]!, c);
  const out = new Float32Array((extra + to * to) * C);
  for (let i = 0; i < extra * C; i++) out[i] = data[i]!;
  for (let y = 0; y < to; y++)
    for (let x = 0; x < to; x++)
      for (let c = 0; c < C; c++)
        out[(extra + y * to + x) * C + c] = mix(wide, x * C, to * C, weights[y]!, c);
  return out;
}
