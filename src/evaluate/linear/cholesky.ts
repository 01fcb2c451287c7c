/** Symmetric positive definite systems of some hundred unknowns, in float64 (Golub and Van Loan 2013, §4.2). */

import { UsageError } from "../../core/errors.js";

/** Rows of numbers, row-major [rows, width]: features that need not have unit length. */
export interface Rows {
  readonly data: Float32Array;
  readonly rows: number;
  readonly width: number;
}

/** The lower L [n,n] with L·Lᵀ = `matrix`. Throws a `UsageError` when it is not positive definite. */
export function cholesky(matrix: Float64Array, n: number): Float64Array {
  const L = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= L[i * n + k]! * L[j * n + k]!;
      if (i > j) L[i * n + j] = sum / L[j * n + j]!;
      else if (sum > 0) L[i * n + i] = Math.sqrt(sum);
      else {
        throw new UsageError(
          `cholesky: the matrix must be positive definite; got pivot ${sum} at row ${i}. Use a larger penalty.`,
        );
      }
    }
  }
  return L;
}

/** X [n,m] with `matrix`·X = `right` [n,m]. `right` is overwritten and returned. */
export function solve(matrix: Float64Array, n: number, right: Float64Array): Float64Array {
  const L = cholesky(matrix, n);
  const m = right.length / n;
  for (let i = 0; i < n; i++) {
    const row = right.subarray(i * m, (i + 1) * m);
    for (let k = 0; k < i; k++) subtract(row, L[i * n + k]!, right.subarray(k * m, (k + 1) * m));
    for (let c = 0; c < m; c++) row[c]! /= L[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    const row = right.subarray(i * m, (i + 1) * m);
    for (let k = i + 1; k < n; k++) subtract(row, L[k * n + i]!, right.subarray(k * m, (k + 1) * m));
    for (let c = 0; c < m; c++) row[c]! /= L[i * n + i]!;
  }
  return right;
}

/** The inverse of `matrix` [n,n]. */
export function inverseOf(matrix: Float64Array, n: number): Float64Array {
  const identity = new Float64Array(n * n);
  for (let i = 0; i < n; i++) identity[i * n + i] = 1;
  return solve(matrix, n, identity);
}

function subtract(row: Float64Array, scale: number, other: Float64Array): void {
  if (scale === 0) return;
  for (let c = 0; c < row.length; c++) row[c]! -= scale * other[c]!;
}
