/**
 * The few-shot probe of big_vision (`evaluators/fewshot_lsr.py`): ridge regression to ±1 targets in closed form. Features are
 * whitened by the support's mean and deviation, a constant feature of 100 stands for the bias, and one penalty of 2¹⁰ serves
 * all: nothing is tuned, so that numbers compare between models and papers.
 */

import { UsageError } from "../../core/errors.js";
import { type Rows, solve } from "./cholesky.js";
import type { LinearClassifier } from "./classifier.js";

export interface RidgeOptions {
  /** Penalty on the squared weights, that of the constant feature too. Default 1,024. */
  readonly penalty?: number;
  /** The constant feature. Default 100. */
  readonly constant?: number;
}

/** Keeps a feature that never changes from being divided by 0. */
const EPSILON = 1e-5;

/**
 * The ridge classifier of `labels` (0 … classes−1) on `features`, for features as they are (whitening is folded in). Solved in
 * float64, in D + 1 unknowns, or in N where there are fewer rows.
 */
export function fitRidge(
  { data, rows, width }: Rows,
  labels: ArrayLike<number>,
  classes: number,
  { penalty = 2 ** 10, constant = 100 }: RidgeOptions = {},
): LinearClassifier {
  if (rows === 0 || labels.length !== rows) {
    throw new UsageError(
      `ridge probe: every row must have a label; got ${labels.length} labels for ${rows} rows.`,
    );
  }
  const { mean, scale } = moments(data, rows, width);
  const D = width + 1;
  const X = new Float64Array(rows * D);
  for (let i = 0; i < rows; i++) {
    for (let d = 0; d < width; d++) X[i * D + d] = (data[i * width + d]! - mean[d]!) * scale[d]!;
    X[i * D + width] = constant;
  }
  const W =
    rows < D ? dual(X, rows, D, labels, classes, penalty) : primal(X, rows, D, labels, classes, penalty);
  const weight = new Float32Array(width * classes);
  const bias = Float64Array.from({ length: classes }, (_, c) => constant * W[width * classes + c]!);
  for (let d = 0; d < width; d++) {
    for (let c = 0; c < classes; c++) {
      const w = W[d * classes + c]! * scale[d]!;
      weight[d * classes + c] = w;
      bias[c]! -= mean[d]! * w;
    }
  }
  return { weight, bias: Float32Array.from(bias), width, classes };
}

function moments(
  data: Float32Array,
  rows: number,
  width: number,
): { mean: Float64Array; scale: Float64Array } {
  const mean = new Float64Array(width);
  const scale = new Float64Array(width);
  for (let i = 0; i < rows; i++) for (let d = 0; d < width; d++) mean[d]! += data[i * width + d]! / rows;
  for (let i = 0; i < rows; i++) {
    for (let d = 0; d < width; d++) scale[d]! += (data[i * width + d]! - mean[d]!) ** 2 / rows;
  }
  return { mean, scale: scale.map((variance) => 1 / (Math.sqrt(variance) + EPSILON)) };
}

/** (XᵀX + λI)⁻¹ XᵀY with Y = 2·onehot − 1: XᵀY is twice the sum of a class's rows less that of all. */
function primal(
  X: Float64Array,
  rows: number,
  D: number,
  labels: ArrayLike<number>,
  classes: number,
  penalty: number,
): Float64Array {
  const gram = new Float64Array(D * D);
  const right = new Float64Array(D * classes);
  for (let i = 0; i < rows; i++) {
    const x = X.subarray(i * D, (i + 1) * D);
    for (let d = 0; d < D; d++) {
      const v = x[d]!;
      for (let e = 0; e <= d; e++) gram[d * D + e]! += v * x[e]!;
      right[d * classes + labels[i]!]! += 2 * v;
    }
  }
  for (let d = 0; d < D; d++) {
    for (let e = 0; e < d; e++) gram[e * D + d] = gram[d * D + e]!;
    gram[d * D + d]! += penalty;
    let all = 0;
    for (let c = 0; c < classes; c++) all += right[d * classes + c]! / 2;
    for (let c = 0; c < classes; c++) right[d * classes + c]! -= all;
  }
  return solve(gram, D, right);
}

/** Xᵀ (XXᵀ + λI)⁻¹ Y, the same where there are fewer rows than features. */
function dual(
  X: Float64Array,
  rows: number,
  D: number,
  labels: ArrayLike<number>,
  classes: number,
  penalty: number,
): Float64Array {
  const gram = new Float64Array(rows * rows);
  const targets = new Float64Array(rows * classes).fill(-1);
  for (let i = 0; i < rows; i++) {
    const x = X.subarray(i * D, (i + 1) * D);
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += x[d]! * X[j * D + d]!;
      gram[i * rows + j] = sum;
      gram[j * rows + i] = sum;
    }
    gram[i * rows + i]! += penalty;
    targets[i * classes + labels[i]!] = 1;
  }
  const a = solve(gram, rows, targets);
  const W = new Float64Array(D * classes);
  for (let i = 0; i < rows; i++) {
    for (let d = 0; d < D; d++) {
      const v = X[i * D + d]!;
      for (let c = 0; c < classes; c++) W[d * classes + c]! += v * a[i * classes + c]!;
    }
  }
  return W;
}
