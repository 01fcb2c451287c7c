/** Tests between two models on the same items, and what many of them at once are worth. */

import { UsageError } from "../../core/errors.js";
import { binomialAtMost } from "./distributions.js";

export interface McNemar {
  /** Items that only the first model has right, and only the second. */
  readonly onlyFirst: number;
  readonly onlySecond: number;
  /** Two-sided exact: 2·P(Bin(onlyFirst + onlySecond, ½) ≤ the smaller), at most 1. */
  readonly p: number;
}

/**
 * McNemar's exact test (1947) of two models that are right (1) or wrong (0) on the same `n` items: only items on which
 * they differ tell. Throws a `UsageError` for other values and for lists of different lengths.
 */
export function mcNemar(first: ArrayLike<number>, second: ArrayLike<number>): McNemar {
  if (first.length !== second.length) {
    throw new UsageError(
      `McNemar's test: both models must be scored on the same items; got ${first.length} and ${second.length}. Evaluate both on one data set.`,
    );
  }
  let onlyFirst = 0;
  let onlySecond = 0;
  for (let i = 0; i < first.length; i++) {
    for (const value of [first[i]!, second[i]!]) {
      if (value !== 0 && value !== 1) {
        throw new UsageError(
          `McNemar's test: an item must be right (1) or wrong (0); got ${value} for item ${i}. Use a metric such as top-1.`,
        );
      }
    }
    if (first[i]! > second[i]!) onlyFirst++;
    else if (second[i]! > first[i]!) onlySecond++;
  }
  const discordant = onlyFirst + onlySecond;
  const p = discordant === 0 ? 1 : 2 * binomialAtMost(Math.min(onlyFirst, onlySecond), discordant, 0.5);
  return { onlyFirst, onlySecond, p: Math.min(1, p) };
}

/**
 * Holm's step-down correction (1979) of `m` tests made at once: adjusted p-values, in the order given. A test whose adjusted
 * value is below α may be called different, and the chance that any such call is wrong stays below α.
 */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((a, b) => p[a]! - p[b]!);
  const adjusted = new Array<number>(p.length);
  let least = 0;
  order.forEach((index, rank) => {
    least = Math.max(least, Math.min(1, (p.length - rank) * p[index]!));
    adjusted[index] = least;
  });
  return adjusted;
}
