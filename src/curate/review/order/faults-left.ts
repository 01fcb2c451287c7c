/**
 * How many faults are left among what nobody has looked at: the stop rule of a review. What is shown by priority says
 * nothing of the rest, so a part of what is shown is an audit: drawn at random within strata of the score.
 */

import { UsageError } from "../../../core/errors.js";

/** What is known of one stratum. */
export interface Stratum {
  /** Items that nobody has judged. */
  readonly unseen: number;
  /** Items drawn at random from those that priority has not reached, and judged. */
  readonly audited: number;
  /** Those of them that were faults. */
  readonly faults: number;
}

export interface FaultsLeft {
  /** Expected faults among the unseen, with an interval of the level that was asked for. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly unseen: number;
  readonly audited: number;
  /** Strata after those of too small an audit were joined to a neighbour. */
  readonly strata: number;
}

/** A stratum whose audit is smaller is joined to the next. */
export const LEAST_AUDIT = 5;

/**
 * Of strata in the order of their scores. In each the count of faults is bounded as Clopper and Pearson (1934) do, for
 * draws without replacement; the sum's bounds are those of Zou and Donner's MOVER (2008): the squares of the strata's
 * margins add. Undefined while the whole audit is smaller than five.
 */
export function faultsLeft(strata: readonly Stratum[], level = 0.95): FaultsLeft | undefined {
  const joined = joinSmall(strata);
  if (joined.length === 0) return undefined;
  let value = 0;
  let below = 0;
  let above = 0;
  for (const { unseen, audited, faults } of joined) {
    const expected = (unseen * faults) / audited;
    const { low, high } = hypergeometricBounds(faults, audited, unseen + audited, level);
    value += expected;
    below += (expected - Math.min(expected, low - faults)) ** 2;
    above += (Math.max(expected, high - faults) - expected) ** 2;
  }
  const unseen = joined.reduce((sum, stratum) => sum + stratum.unseen, 0);
  const audited = joined.reduce((sum, stratum) => sum + stratum.audited, 0);
  return {
    value,
    low: Math.max(0, value - Math.sqrt(below)),
    high: Math.min(unseen, value + Math.sqrt(above)),
    unseen,
    audited,
    strata: joined.length,
  };
}

function joinSmall(strata: readonly Stratum[]): Stratum[] {
  const out: Stratum[] = [];
  let open: Stratum = { unseen: 0, audited: 0, faults: 0 };
  for (const stratum of strata) {
    open = plus(open, stratum);
    if (open.audited < LEAST_AUDIT) continue;
    out.push(open);
    open = { unseen: 0, audited: 0, faults: 0 };
  }
  const last = out.pop();
  return last === undefined ? [] : [...out, plus(last, open)];
}

const plus = (a: Stratum, b: Stratum): Stratum => ({
  unseen: a.unseen + b.unseen,
  audited: a.audited + b.audited,
  faults: a.faults + b.faults,
});

/**
 * Exact bounds of how many of `total` items are faults when `faults` of `drawn`, drawn without replacement, were: each
 * tail holds at most half of what the level leaves.
 */
export function hypergeometricBounds(
  faults: number,
  drawn: number,
  total: number,
  level: number,
): { low: number; high: number } {
  if (!(faults <= drawn && drawn <= total)) {
    throw new UsageError(`faults left: ${faults} of ${drawn} of ${total} cannot be. Count the draws anew.`);
  }
  const tail = (1 - level) / 2;
  const least = faults;
  const most = total - (drawn - faults);
  // The smallest K with P(X ≥ faults | K) > tail, and the largest with P(X ≤ faults | K) > tail.
  const low = firstThat(least, most, (K) => 1 - atMost(faults - 1, K, drawn, total) > tail);
  const beyond = firstThat(least, most + 1, (K) => K > most || atMost(faults, K, drawn, total) <= tail);
  return { low, high: beyond - 1 };
}

/** The smallest integer from `low` to `high` that `holds`, where all larger ones do, too. */
function firstThat(low: number, high: number, holds: (x: number) => boolean): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    if (holds(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** P(X ≤ x) of faults among `drawn` of `total` items of which K are faults. */
function atMost(x: number, K: number, drawn: number, total: number): number {
  const least = Math.max(0, drawn - (total - K));
  if (x < least) return 0;
  if (x >= Math.min(K, drawn)) return 1;
  const logChance = (k: number): number =>
    logChoose(K, k) + logChoose(total - K, drawn - k) - logChoose(total, drawn);
  let sum = 0;
  let chance = Math.exp(logChance(x));
  // From x down, each term from the one above it.
  for (let k = x; k >= least && chance > 0; k--) {
    sum += chance;
    chance *= (k * (total - K - drawn + k)) / ((K - k + 1) * (drawn - k + 1));
    if (chance < sum * 1e-17) break;
  }
  return Math.min(1, sum);
}

const logChoose = (n: number, k: number): number => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

const small: number[] = [0];
for (let n = 1; n < 256; n++) small.push(small[n - 1]! + Math.log(n));

/** ln n!; from 256 on by Stirling's series, whose third term is below the last bits there. */
function logFactorial(n: number): number {
  if (n < small.length) return small[n]!;
  return n * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI * n) + 1 / (12 * n) - 1 / (360 * n ** 3);
}
