/**
 * How many faults are left among what nobody has looked at: the stop rule of a review. What is shown by priority says
 * nothing of the rest, so a part of what is shown is an audit: drawn at random within strata of the score.
 */

import { clopperPearson } from "../../../evaluate/statistics/distributions.js";

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
 * Of strata in the order of their scores. Expected are Σ unseen · faults/audited. The bounds are Clopper and Pearson's of the
 * share with an effective number of draws (Korn and Graubard 1998): fewer than were made where strata were audited unequally
 * (Kish's (Σw)²/Σw²), and fewer as the audit is a larger part of all, since what is left is then uncertain in itself, too.
 * What stratifying gains is not counted: the interval is rather too wide. Undefined while the audit is smaller than five.
 */
export function faultsLeft(strata: readonly Stratum[], level = 0.95): FaultsLeft | undefined {
  const joined = joinSmall(strata);
  if (joined.length === 0) return undefined;
  let value = 0;
  let squares = 0;
  let unseen = 0;
  let audited = 0;
  for (const stratum of joined) {
    const weight = stratum.unseen / stratum.audited;
    value += weight * stratum.faults;
    squares += weight * weight * stratum.audited;
    unseen += stratum.unseen;
    audited += stratum.audited;
  }
  const told = { value, unseen, audited, strata: joined.length };
  if (unseen === 0) return { ...told, low: 0, high: 0 };
  // Drawn without replacement, what is left varies by N·U/n · p(1 − p), not U²/n · p(1 − p).
  const draws = ((unseen * unseen) / squares) * (unseen / (unseen + audited));
  const { low, high } = clopperPearson((value / unseen) * draws, draws, level);
  return { ...told, low: low * unseen, high: high * unseen };
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
