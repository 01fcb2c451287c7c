/**
 * Label faults by confident learning (Northcutt et al. 2021, 1911.00068), with the conventions of cleanlab 2.9: what classes
 * truly are is counted where a classifier is as sure as it is, on average, of that class; the counts say how many labels of
 * each class are another's, and those are pruned that look most like it.
 */

import { UsageError } from "../../../core/errors.js";

/** `N` rows, `K` classes. */
export interface LabelFaults {
  /** 1 where the label is taken for a fault, [N]. */
  readonly fault: Uint8Array;
  /** Probability of the given label, [N]. */
  readonly selfConfidence: Float64Array;
  /** (p(label) - largest other p + 1) / 2, 0 … 1, [N]. */
  readonly margin: Float64Array;
  /** Likeliest class, [N]. */
  readonly guess: Uint32Array;
  /** Estimated rows by given label and true class, [K, K]; sums to N. */
  readonly joint: Float64Array;
  /** Mean probability of each class among the rows that have its label, [K]. */
  readonly thresholds: Float64Array;
}

/** cleanlab compares floats with this room, and holds thresholds above twice that. */
const ROOM = 1e-6;
/** More than a probability. */
const OUT_OF_REACH = 2;
/** Labels of a class that are never pruned. */
const LEAST_KEPT = 1;

/**
 * Finds labels that are faults. `probabilities` [N, K] row-major are of a classifier that has not seen the row (cross-validated);
 * `labels` [N] are 0 … K-1. Throws `UsageError` for lengths or labels that do not fit.
 */
export function findLabelFaults(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
): LabelFaults {
  const [N, K] = [labels.length, classes];
  if (probabilities.length !== N * K)
    throw new UsageError(
      `probabilities: must be [${N}, ${K}], a row a label; got ${probabilities.length} numbers. Give one for each row and class.`,
    );
  const p = (i: number, k: number) => probabilities[i * K + k]!;
  const counts = new Float64Array(K);
  const sums = new Float64Array(K);
  for (let i = 0; i < N; i++) {
    const label = labels[i]!;
    if (!(Number.isInteger(label) && label >= 0 && label < K))
      throw new UsageError(
        `labels: must be 0 … ${K - 1}; got ${label} in row ${i}. Number the classes anew.`,
      );
    counts[label]!++;
    sums[label]! += p(i, label);
  }
  // A class without rows is never confident: its threshold is out of reach.
  const thresholds = sums.map((sum, k) =>
    counts[k] === 0 ? OUT_OF_REACH : Math.max(2 * ROOM, sum / counts[k]!),
  );

  const selfConfidence = new Float64Array(N);
  const margin = new Float64Array(N);
  const guess = new Uint32Array(N);
  const confident = new Float64Array(K * K);
  for (let i = 0; i < N; i++) {
    const label = labels[i]!;
    let [best, other, sure] = [0, Number.NEGATIVE_INFINITY, -1];
    for (let k = 0; k < K; k++) {
      if (p(i, k) > p(i, best)) best = k;
      if (k !== label && p(i, k) > other) other = p(i, k);
      // Of several the likeliest; of equals the first.
      if (p(i, k) >= thresholds[k]! - ROOM && (sure < 0 || p(i, k) > p(i, sure))) sure = k;
    }
    guess[i] = best;
    selfConfidence[i] = p(i, label);
    margin[i] = (p(i, label) - other + 1) / 2;
    if (sure >= 0) confident[label * K + sure]!++;
  }
  const joint = calibrate(confident, counts);
  return { fault: prune(p, labels, joint, counts), selfConfidence, margin, guess, joint, thresholds };
}

/** Counts whose rows sum to the labels of each class, in whole numbers. */
function calibrate(confident: Float64Array, counts: Float64Array): Float64Array {
  const K = counts.length;
  const out = new Float64Array(K * K);
  let total = 0;
  for (let k = 0; k < K; k++) {
    // At least one row of each class is what it says.
    const row = Array.from(confident.subarray(k * K, (k + 1) * K), (n, j) => (j === k ? Math.max(1, n) : n));
    const sum = row.reduce((a, b) => a + b, 0);
    for (const [j, n] of row.entries()) {
      out[k * K + j] = (n / sum) * counts[k]!;
      total += out[k * K + j]!;
    }
  }
  const N = counts.reduce((a, b) => a + b, 0);
  for (let k = 0; k < K; k++) {
    const row = out.subarray(k * K, (k + 1) * K);
    row.set(roundedTogether(row.map((value) => (total === 0 ? 0 : (value / total) * N))));
  }
  return out;
}

/** Half to even, as NumPy rounds. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Whole numbers of the same sum: those change that are nearest to the next. */
function roundedTogether(values: Float64Array): Float64Array {
  const out = values.map(roundHalfEven);
  const sum = (numbers: Float64Array) => Math.round(numbers.reduce((a, b) => a + b, 0));
  const wanted = roundHalfEven(values.reduce((a, b) => a + b, 0));
  for (let missing = wanted - sum(out); missing !== 0; missing = wanted - sum(out)) {
    const step = Math.sign(missing);
    // Of equals the first goes down and the last goes up.
    const order = Array.from(out.keys()).sort(
      (a, b) => values[a]! - out[a]! - (values[b]! - out[b]!) || a - b,
    );
    if (step > 0) order.reverse();
    for (const i of order.slice(0, Math.abs(missing))) out[i]! += step;
  }
  return out;
}

/**
 * Of each label k and class j as many rows as the joint says are j's, those of the largest p(j) - p(k); but none whose own label
 * is the likeliest.
 */
function prune(
  p: (i: number, k: number) => number,
  labels: ArrayLike<number>,
  joint: Float64Array,
  counts: Float64Array,
): Uint8Array {
  const K = counts.length;
  const out = new Uint8Array(labels.length);
  const rowsOf = Array.from({ length: K }, (): number[] => []);
  for (let i = 0; i < labels.length; i++) rowsOf[labels[i]!]!.push(i);
  const most = pruneCounts(joint, K);
  for (const [k, rows] of rowsOf.entries()) {
    if (rows.length <= LEAST_KEPT) continue;
    const suspect = rows.filter((i) => {
      for (let j = 0; j < K; j++) if (j !== k && p(i, j) > p(i, k) + ROOM) return true;
      return false;
    });
    for (let j = 0; j < K; j++) {
      const n = j === k ? 0 : most[j * K + k]!;
      if (n <= 0) continue;
      // Those that are no suspects take their places in the order, too, and then stay.
      const order = rows.toSorted((a, b) => p(b, j) - p(b, k) - (p(a, j) - p(a, k)));
      const first = new Set(order.slice(0, n));
      for (const i of suspect) if (first.has(i)) out[i] = 1;
    }
  }
  return out;
}

/** Rows to prune by true class j and label k, [K, K]: the joint turned round, with a row at least of each label left. */
function pruneCounts(joint: Float64Array, K: number): Float64Array {
  const out = new Float64Array(K * K);
  for (let k = 0; k < K; k++) {
    const row = joint.subarray(k * K, (k + 1) * K);
    const kept = Math.max(LEAST_KEPT, row[k]!);
    const others = Math.max(1, row.filter((n) => n !== 0).length - 1);
    const less = (kept - row[k]!) / others;
    for (let j = 0; j < K; j++) out[j * K + k] = j === k ? kept : Math.max(0, row[j]! - less);
  }
  for (let j = 0; j < K; j++) {
    const row = out.subarray(j * K, (j + 1) * K);
    row.set(roundedTogether(row));
  }
  return out;
}
