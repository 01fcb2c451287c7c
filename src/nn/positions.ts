/** Learned positions of a square grid, used on another one: the parameters stay those of their own grid. */

import { concat, constant, gather, matmul, reshape, slice, transpose } from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";

/** Keys' cubic with a = −1/2, as Pillow and PyTorch's antialiased `bicubic` have it; 0 from ±2 on. */
function cubic(x: number): number {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}

/**
 * The matrix [to,from] that resamples a line of `from` numbers to `to`: rows add up to 1. PyTorch's `interpolate` with
 * `mode="bicubic", antialias=True, align_corners=False`, with which open_clip fits positions to another image size.
 */
export function resamplingMatrix(from: number, to: number): Float64Array {
  const scale = from / to;
  // Where there are fewer numbers than before, each is a mean over more of them.
  const stretch = Math.max(1, scale);
  const matrix = new Float64Array(to * from);
  for (let i = 0; i < to; i++) {
    const center = scale * (i + 0.5);
    const first = Math.max(0, Math.trunc(center - 2 * stretch + 0.5));
    const end = Math.min(from, Math.trunc(center + 2 * stretch + 0.5));
    const row = matrix.subarray(i * from + first, i * from + end);
    row.forEach((_, j) => {
      row[j] = cubic((first + j + 0.5 - center) / stretch);
    });
    const total = row.reduce((sum, weight) => sum + weight, 0);
    row.forEach((weight, j) => {
      row[j] = weight / total;
    });
  }
  return matrix;
}

export interface Grids {
  /** Rows before the grid's, which belong to no place: a class token's. */
  readonly extra: number;
  /** Side of the grid of whole images. */
  readonly whole: number;
  /** Side of the grid that is seen: less than `whole` for windows in their middle. Default `whole`. */
  readonly seen?: number | undefined;
}

/** Positions [extra + n²,C] of a grid n × n for one of `seen` × `seen`, [extra + seen²,C]: resampled to `whole`, then cut. */
export function positionsFor(learned: Tensor, { extra, whole, seen = whole }: Grids): Tensor {
  const [rows] = learned.shape as [number, number];
  const n = Math.sqrt(rows - extra);
  if (n === whole && seen === whole) return learned;
  const grid = slice(learned, 0, extra, rows);
  const resampled = n === whole ? grid : resample(grid, n, whole);
  const cut = seen === whole ? resampled : gather(resampled, middleOf(whole, seen));
  return extra === 0 ? cut : concat([slice(learned, 0, 0, extra), cut], 0);
}

/** A grid [n²,C] as [m²,C]: rows, then columns. */
function resample(grid: Tensor, n: number, m: number): Tensor {
  const C = grid.shape[1]!;
  const matrix = constant([...resamplingMatrix(n, m)], { shape: [m, n] });
  const alongFirst = (x: Tensor) => {
    const mixed = matmul(matrix, reshape(x, [n, x.shape[1]! * C])); // [m,·C]
    return transpose(reshape(mixed, [m, x.shape[1]!, C]), [1, 0, 2]);
  };
  return reshape(alongFirst(alongFirst(reshape(grid, [n, n, C]))), [m * m, C]);
}

/** The places of a grid `seen` × `seen` in the middle of one of `whole` × `whole`. */
function middleOf(whole: number, seen: number): Tensor {
  const before = Math.floor((whole - seen) / 2);
  const place = (i: number) => (before + Math.floor(i / seen)) * whole + before + (i % seen);
  return constant(
    Array.from({ length: seen * seen }, (_, i) => place(i)),
    { dtype: "i32" },
  );
}
