/** How far apart two samples of one score lie, and whether chance could have put them there. */

import { chiSquareTail, normalTails } from "../../evaluate/statistics/distributions.js";

/** Shares of nothing, so that a logarithm can be taken of them (Evidently). */
const NO_SHARE = 1e-4;
/** More different numbers are put into bins; fewer are each a bin (Evidently). */
const FEW_VALUES = 20;

/** What two samples of one score come to. */
export interface Difference {
  /** Population stability index, Σ (p − q) ln(p / q): 0.1 is moderate, 0.25 is large. */
  readonly psi: number;
  /** Kolmogorov and Smirnov's largest distance of the distribution functions, of numbers. */
  readonly ks?: number | undefined;
  /** The chance of as much between samples of one distribution: of KS, of χ² for classes. */
  readonly p: number;
}

/** Σ (p − q) ln(p / q) over the bins' shares; counts of 0 stand for a share of 0.0001. */
export function psi(reference: readonly number[], current: readonly number[]): number {
  const shares = (counts: readonly number[]) => {
    const total = counts.reduce((a, b) => a + b, 0);
    return counts.map((count) => (count === 0 ? NO_SHARE : count / total));
  };
  const q = shares(reference);
  return shares(current).reduce((sum, p, i) => sum + (p - q[i]!) * Math.log(p / q[i]!), 0);
}

/**
 * Counts of two samples of numbers in common bins: Sturges' ⌈log₂ n⌉ + 1 of equal width over both, or one for each different
 * number where there are at most 20.
 */
export function binned(
  reference: ArrayLike<number>,
  current: ArrayLike<number>,
): readonly [number[], number[]] {
  const all = [...Array.from(reference), ...Array.from(current)];
  const distinct = [...new Set(all)].sort((a, b) => a - b);
  let binOf: (x: number) => number;
  let bins = distinct.length;
  if (bins <= FEW_VALUES) {
    const at = new Map(distinct.map((value, i) => [value, i]));
    binOf = (x) => at.get(x)!;
  } else {
    bins = Math.ceil(Math.log2(all.length)) + 1;
    const [least, most] = [distinct[0]!, distinct.at(-1)!];
    binOf = (x) => Math.min(bins - 1, Math.floor(((x - least) / (most - least)) * bins));
  }
  const counts = (values: ArrayLike<number>) => {
    const found = new Array<number>(bins).fill(0);
    for (let i = 0; i < values.length; i++) found[binOf(values[i]!)]!++;
    return found;
  };
  return [counts(reference), counts(current)];
}

/** The largest distance between the distribution functions of two samples. */
export function ksDistance(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const a = Float64Array.from(reference).sort();
  const b = Float64Array.from(current).sort();
  let [i, j, most] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const x = Math.min(a[i]!, b[j]!);
    while (i < a.length && a[i]! <= x) i++;
    while (j < b.length && b[j]! <= x) j++;
    most = Math.max(most, Math.abs(i / a.length - j / b.length));
  }
  return most;
}

/**
 * The chance of a distance of at least `d` between samples of `n` and `m` of one distribution: 2 Σ (−1)^(k−1) e^(−2k²λ²), with
 * λ = (√e + 0.12 + 0.11/√e) d and e = nm/(n + m) (Stephens 1970). Too large for samples with equal values.
 */
export function ksTail(d: number, n: number, m: number): number {
  const root = Math.sqrt((n * m) / (n + m));
  const lambda = (root + 0.12 + 0.11 / root) * d;
  if (lambda < 0.2) return 1;
  let sum = 0;
  for (let k = 1; k <= 100; k++) sum += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * (k * lambda) ** 2);
  return Math.min(1, Math.max(0, sum));
}

/** Fewer are expected in a cell of a χ² test: it is joined with the other rare ones. */
const LEAST_EXPECTED = 5;

/** Pearson's χ² test that two rows of counts over the same classes are of one distribution; rare classes are taken together. */
export function chiSquareP(reference: readonly number[], current: readonly number[]): number {
  const [n, m] = [reference, current].map((counts) => counts.reduce((a, b) => a + b, 0)) as [number, number];
  const cells: [number, number][] = [];
  const rare: [number, number] = [0, 0];
  reference.forEach((a, i) => {
    const b = current[i]!;
    if ((Math.min(n, m) * (a + b)) / (n + m) >= LEAST_EXPECTED) cells.push([a, b]);
    else {
      rare[0] += a;
      rare[1] += b;
    }
  });
  if (rare[0] + rare[1] > 0) cells.push(rare);
  let x = 0;
  for (const [a, b] of cells) {
    for (const [count, total] of [
      [a, n],
      [b, m],
    ] as const) {
      const expected = (total * (a + b)) / (n + m);
      x += (count - expected) ** 2 / expected;
    }
  }
  return chiSquareTail(x, cells.length - 1);
}

/** Two samples of numbers. */
export function numbersApart(reference: ArrayLike<number>, current: ArrayLike<number>): Difference {
  const ks = ksDistance(reference, current);
  return { psi: psi(...binned(reference, current)), ks, p: ksTail(ks, reference.length, current.length) };
}

/** Counts of two samples over the same classes. */
export const classesApart = (reference: readonly number[], current: readonly number[]): Difference => ({
  psi: psi(reference, current),
  p: chiSquareP(reference, current),
});

export interface Auc {
  /** The chance that a current row scores above one of the reference; 0.5 where nothing tells them apart. */
  readonly auc: number;
  /** The chance of as much without a difference, by Mann and Whitney's normal approximation, on the upper side. */
  readonly p: number;
}

/** How well scores tell the rows of `isCurrent` from the others; ties count half. */
export function aucOf(scores: ArrayLike<number>, isCurrent: readonly boolean[]): Auc {
  const order = isCurrent.map((_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  const m = isCurrent.filter(Boolean).length;
  const n = isCurrent.length - m;
  let [rankSum, ties] = [0, 0];
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++;
    const rank = (start + end + 1) / 2;
    for (let i = start; i < end; i++) if (isCurrent[order[i]!]) rankSum += rank;
    ties += (end - start) ** 3 - (end - start);
    start = end;
  }
  const auc = (rankSum - (m * (m + 1)) / 2) / (m * n);
  const total = n + m;
  const variance = ((m * n) / 12) * (total + 1 - ties / (total * (total - 1)));
  const z = variance > 0 ? ((auc - 0.5) * m * n) / Math.sqrt(variance) : 0;
  return { auc, p: z > 0 ? normalTails(z) / 2 : 1 - normalTails(z) / 2 };
}
