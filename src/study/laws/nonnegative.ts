/** Least squares with coefficients that must not be negative, for the few columns that a law has. */

/**
 * The coefficients c ≥ 0 that make Σᵢ wᵢ·(Σⱼ cⱼ·columns[j][i] − y[i])² least, and that sum. At the solution the columns that are not
 * at 0 solve the unconstrained problem among themselves (Lawson and Hanson 1974, chapter 23), so with at most five columns every choice of
 * them is tried: no iteration, no tolerance.
 */
export function nonnegativeLeastSquares(
  columns: readonly Float64Array[],
  y: Float64Array,
  weights: Float64Array,
): { readonly coefficients: Float64Array; readonly loss: number } {
  const count = columns.length;
  // Columns of one length: what they are made of may differ by many powers of ten.
  const lengths = columns.map((column) => {
    let sum = 0;
    for (let i = 0; i < y.length; i++) sum += weights[i]! * column[i]! ** 2;
    return Math.sqrt(sum) || 1;
  });
  const gram = new Float64Array(count * count);
  const right = new Float64Array(count);
  for (let a = 0; a < count; a++) {
    for (let i = 0; i < y.length; i++) right[a]! += (weights[i]! * columns[a]![i]! * y[i]!) / lengths[a]!;
    for (let b = 0; b <= a; b++) {
      let sum = 0;
      for (let i = 0; i < y.length; i++) sum += weights[i]! * columns[a]![i]! * columns[b]![i]!;
      gram[a * count + b] = gram[b * count + a] = sum / (lengths[a]! * lengths[b]!);
    }
  }
  let best = new Float64Array(count);
  let least = lossOf(columns, y, weights, best);
  for (let choice = 1; choice < 1 << count; choice++) {
    const chosen = Array.from({ length: count }, (_, j) => j).filter((j) => (choice >> j) & 1);
    const solved = solve(
      chosen.map((a) => chosen.map((b) => gram[a * count + b]!)),
      chosen.map((a) => right[a]!),
    );
    if (solved === undefined || solved.some((c) => !(c >= 0))) continue;
    const coefficients = new Float64Array(count);
    for (const [at, j] of chosen.entries()) coefficients[j] = solved[at]! / lengths[j]!;
    const loss = lossOf(columns, y, weights, coefficients);
    if (loss < least) [best, least] = [coefficients, loss];
  }
  return { coefficients: best, loss: least };
}

function lossOf(
  columns: readonly Float64Array[],
  y: Float64Array,
  weights: Float64Array,
  coefficients: Float64Array,
): number {
  let loss = 0;
  for (let i = 0; i < y.length; i++) {
    let rest = -y[i]!;
    for (let j = 0; j < columns.length; j++) rest += coefficients[j]! * columns[j]![i]!;
    loss += weights[i]! * rest ** 2;
  }
  return loss;
}

/** Gauss's elimination with the largest pivot; undefined where columns depend on each other. */
function solve(matrix: number[][], right: number[]): number[] | undefined {
  const n = right.length;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let row = k + 1; row < n; row++)
      if (Math.abs(matrix[row]![k]!) > Math.abs(matrix[pivot]![k]!)) pivot = row;
    if (Math.abs(matrix[pivot]![k]!) < 1e-13) return undefined;
    [matrix[k], matrix[pivot]] = [matrix[pivot]!, matrix[k]!];
    [right[k], right[pivot]] = [right[pivot]!, right[k]!];
    for (let row = k + 1; row < n; row++) {
      const share = matrix[row]![k]! / matrix[k]![k]!;
      for (let j = k; j < n; j++) matrix[row]![j]! -= share * matrix[k]![j]!;
      right[row]! -= share * right[k]!;
    }
  }
  for (let k = n - 1; k >= 0; k--) {
    for (let j = k + 1; j < n; j++) right[k]! -= matrix[k]![j]! * right[j]!;
    right[k]! /= matrix[k]![k]!;
  }
  return right;
}
