/**
 * Recipes compared through the runs that were made of them. A run's score is uncertain for two reasons: other test samples
 * would have given another score, and so would another seed of the training. Both are in the interval here.
 *
 * With A and B runs of two recipes scored on the same n items, x[r,i] the score of run r on item i:
 *
 *   difference  d = mean(A) − mean(B)
 *   var(d)      = var over items of (mean of A's runs − mean of B's runs) / n     what other items would change
 *               + s²·(1/A + 1/B)                                                  what other seeds would change
 *               − q²·(1/A + 1/B)/n                                                counted in both
 *
 * s² is the variance of the runs' scores within their recipes and q² that of single items beyond it, both pooled over the two
 * recipes. It is the variance of a bootstrap that draws runs and items at once (Owen 2007, "The pigeonhole bootstrap"),
 * without what that counts twice and without the (A − 1)/A by which a bootstrap of few runs is too small. The interval is
 * Student's, its degrees of freedom by Satterthwaite (1946): with three seeds a recipe percentiles are far too narrow.
 */

import { UsageError } from "../../core/errors.js";
import type { Interval } from "./bootstrap.js";
import { normalQuantile, studentQuantile, studentTails } from "./distributions.js";

export interface GroupOptions {
  /** Share of the intervals that should hold the true difference. Default 0.95. */
  readonly level?: number;
  /** What each item counts, e.g. 1 / (classes · items of its class) for mean per-class recall. Default: all alike. */
  readonly weights?: ArrayLike<number>;
  /** Items that belong together, as an id each: they count as one when items are thought of as drawn. Default: none do. */
  readonly clusters?: ArrayLike<number>;
}

export interface GroupComparison {
  /** Mean of the first recipe's runs less that of the second's, and its interval. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Two-sided: how often recipes that are alike would differ as much. */
  readonly p: number;
  /** Standard deviation of `value`, and its degrees of freedom. */
  readonly error: number;
  readonly df: number;
  /** Parts of the variance `error²`: of other test items, and of other seeds (undefined where no recipe has two runs). */
  readonly variance: { readonly items: number; readonly seeds: number | undefined };
  readonly runs: readonly [number, number];
  /** Items, or clusters of items. */
  readonly n: number;
}

/**
 * Compares two recipes by the scores of their runs, each `[n]` over the same items. Where neither has two runs, the interval
 * covers the items alone: it speaks of these two runs, not of their recipes (`variance.seeds` is undefined).
 */
export function compareGroups(
  first: readonly ArrayLike<number>[],
  second: readonly ArrayLike<number>[],
  options: GroupOptions = {},
): GroupComparison {
  const { level = 0.95 } = options;
  const items = itemsOf(first[0]?.length ?? 0, options);
  const a = first.map((scores, run) => clusterScores(scores, items, `first group, run ${run + 1}`));
  const b = second.map((scores, run) => clusterScores(scores, items, `second group, run ${run + 1}`));
  if (a.length === 0 || b.length === 0) {
    throw new UsageError("compare: a group must have a run; got none. Name at least one run of each recipe.");
  }
  const A = groupParts(a);
  const B = groupParts(b);
  const value = A.mean - B.mean;
  const inverse = 1 / a.length + 1 / b.length;
  const differences = A.items.map((x, i) => x - B.items[i]!);
  return { ...spreadOf(value, differences, items, [A, B], inverse, level), runs: [a.length, b.length] };
}

/**
 * The score of one recipe, or of one protocol with several draws: the mean of its runs' scores `[n]` over the same items, with
 * an interval over items and runs, as in `compareGroups`.
 */
export function groupMean(runs: readonly ArrayLike<number>[], options: GroupOptions = {}): Interval {
  const items = itemsOf(runs[0]?.length ?? 0, options);
  const parts = runs.map((scores, run) => clusterScores(scores, items, `run ${run + 1}`));
  const A = groupParts(parts);
  const spread = spreadOf(A.mean, A.items, items, [A], 1 / runs.length, options.level ?? 0.95);
  return { value: A.mean, low: spread.low, high: spread.high, n: items.of.length };
}

/** Interval and test of a `value` that is the sum of its items' `parts`, when items and runs might have been others. */
function spreadOf(
  value: number,
  parts: Float64Array,
  { n, share }: Items,
  groups: readonly GroupParts[],
  inverse: number,
  level: number,
): Omit<GroupComparison, "runs"> {
  const seedDf = groups.reduce((sum, group) => sum + group.runs - 1, 0);
  // A run's score is the sum of its items' parts, so n times their variance is its own; what heavier items add to both
  // sides of the mean is taken off (the linear form of a ratio of sums).
  const itemVariance = n < 2 ? 0 : n * varianceOf(parts.map((x, i) => x - share[i]! * value));
  let seeds: number | undefined;
  let twice = 0;
  if (seedDf > 0) {
    const s2 = groups.reduce((sum, group) => sum + group.seedSquares, 0) / seedDf;
    const q2 = n < 2 ? 0 : groups.reduce((sum, group) => sum + group.interaction, 0) / seedDf;
    seeds = s2 * inverse;
    twice = Math.min(q2 * inverse, seeds, itemVariance);
  }
  const total = itemVariance + (seeds ?? 0) - twice;
  const error = Math.sqrt(Math.max(0, total));
  const own = Math.max(0, (seeds ?? 0) - twice);
  const df = own === 0 ? n - 1 : total ** 2 / (own ** 2 / seedDf + itemVariance ** 2 / Math.max(1, n - 1));
  const variance = { items: itemVariance, seeds };
  if (error === 0) return { value, low: value, high: value, p: value === 0 ? 1 : 0, error, df, variance, n };
  const half = studentQuantile((1 + level) / 2, df) * error;
  return {
    value,
    low: value - half,
    high: value + half,
    p: studentTails(value / error, df),
    error,
    df,
    variance,
    n,
  };
}

export interface Needed {
  /** The smallest true difference that this comparison would find in a share `power` of the cases. */
  readonly detectable: number;
  /** Items that would be needed to find a difference as large as the one seen, with these runs; Infinity where none suffice. */
  readonly items: number;
  /** Runs of each recipe that would be needed, with these items; Infinity where none suffice; undefined with one run each. */
  readonly runs: number | undefined;
}

/** What it would take to tell a difference as large as the one seen from none, at `level` with the chance `power`. */
export function needed(c: GroupComparison, { level = 0.95, power = 0.8 } = {}): Needed {
  const reach = reachOf(c.df, level, power);
  const allowed = (c.value / reach) ** 2;
  const seeds = c.variance.seeds ?? 0;
  const runs = 2 / (1 / c.runs[0] + 1 / c.runs[1]);
  const over = (part: number, rest: number, have: number): number =>
    allowed - rest <= 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.ceil((have * part) / (allowed - rest)));
  return {
    detectable: reach * c.error,
    items: over(c.variance.items, seeds, c.n),
    runs: c.variance.seeds === undefined ? undefined : Math.max(2, over(seeds, c.variance.items, runs)),
  };
}

/** How many standard deviations a true difference must be, to be found at `level` in a share `power` of the cases. */
const reachOf = (df: number, level: number, power: number): number =>
  studentQuantile((1 + level) / 2, df) + normalQuantile(power);

/** What makes comparisons of two recipes unsure, as far as it is known before their runs are done. */
export interface Noise {
  /** Variance of their difference that other test items would make, however many seeds there are. */
  readonly items: number;
  /** Variance of a run's score over seeds; undefined where it is not known: then of the items alone. */
  readonly seeds: number | undefined;
  /** Items, or clusters of items. */
  readonly n: number;
}

/**
 * The smallest true difference of two recipes that `compareGroups` would find at `level` in a share `power` of the cases, with
 * `runs` runs of each. With one run each it speaks of the runs, not of the recipes, as `compareGroups` does.
 */
export function detectable(
  { items, seeds = 0, n }: Noise,
  runs: number,
  { level = 0.95, power = 0.8 } = {},
): number {
  const own = runs === 1 ? 0 : (2 * seeds) / runs;
  const total = own + items;
  if (total === 0) return 0;
  const df = own === 0 ? n - 1 : total ** 2 / (own ** 2 / (2 * (runs - 1)) + items ** 2 / Math.max(1, n - 1));
  return reachOf(df, level, power) * Math.sqrt(total);
}

interface Items {
  readonly n: number;
  /** Cluster of each item, from 0, and the item's weight; weights sum to 1. */
  readonly of: Uint32Array;
  readonly weights: Float64Array;
  /** What each cluster weighs. */
  readonly share: Float64Array;
}

function itemsOf(count: number, { weights, clusters }: GroupOptions): Items {
  for (const [name, list] of [
    ["weights", weights],
    ["clusters", clusters],
  ] as const) {
    if (list !== undefined && list.length !== count) {
      throw new UsageError(
        `compare: ${name} must have one entry an item; got ${list.length} for ${count} items.`,
      );
    }
  }
  if (count === 0)
    throw new UsageError("compare: a score needs at least one item; got none. Check the data set.");
  const ids = new Map<number, number>();
  const of = new Uint32Array(count);
  const w = new Float64Array(count);
  let total = 0;
  for (let i = 0; i < count; i++) {
    const id = clusters?.[i] ?? i;
    let at = ids.get(id);
    if (at === undefined) {
      at = ids.size;
      ids.set(id, at);
    }
    of[i] = at;
    w[i] = weights?.[i] ?? 1;
    total += w[i]!;
  }
  const share = new Float64Array(ids.size);
  for (let i = 0; i < count; i++) {
    w[i]! /= total;
    share[of[i]!]! += w[i]!;
  }
  return { n: ids.size, of, weights: w, share };
}

/** Each cluster's part of a run's score: they add up to it. */
function clusterScores(scores: ArrayLike<number>, { n, of, weights }: Items, what: string): Float64Array {
  if (scores.length !== of.length) {
    throw new UsageError(
      `compare: every run must be scored on the same items; got ${scores.length} in the ${what}, ${of.length} in the first run. Evaluate all on one data set.`,
    );
  }
  const parts = new Float64Array(n);
  for (let i = 0; i < scores.length; i++) {
    if (!Number.isFinite(scores[i]!)) {
      throw new UsageError(`compare: scores must be finite; got ${scores[i]} for item ${i} in the ${what}.`);
    }
    parts[of[i]!]! += scores[i]! * weights[i]!;
  }
  return parts;
}

/** Of one recipe's runs: mean score, mean part of each item, and sums of squares about them. */
interface GroupParts {
  readonly runs: number;
  readonly mean: number;
  readonly items: Float64Array;
  readonly seedSquares: number;
  readonly interaction: number;
}

function groupParts(runs: readonly Float64Array[]): GroupParts {
  const n = runs[0]!.length;
  const items = new Float64Array(n);
  const totals = runs.map((parts) => parts.reduce((x, y) => x + y, 0));
  for (const parts of runs) for (let i = 0; i < n; i++) items[i]! += parts[i]! / runs.length;
  const mean = totals.reduce((x, y) => x + y, 0) / runs.length;
  let seedSquares = 0;
  let interaction = 0;
  runs.forEach((parts, r) => {
    const shift = totals[r]! - mean;
    seedSquares += shift * shift;
    // What one item varies by beyond its run and itself; n times its variance is that of the run's whole score.
    let squares = 0;
    for (let i = 0; i < n; i++) squares += (parts[i]! - items[i]! - shift / n) ** 2;
    interaction += n < 2 ? 0 : (n * squares) / (n - 1);
  });
  return { runs: runs.length, items, mean, seedSquares, interaction };
}

function varianceOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  const mean = sum / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - mean) ** 2;
  return squares / (values.length - 1);
}
