/** Where one curve overtakes another, and which runs nothing else beats for what they spent. */

import { UsageError } from "../../core/errors.js";
import { type LawFit, type LawParameters, middle, valueAt } from "./fit.js";
import type { LawPoint } from "./law.js";

export interface Crossing {
  /** From here on the second law's error is the lower one, or the first's where `overtakes` is "first". */
  readonly x: number;
  readonly low: number;
  readonly high: number;
  readonly overtakes: "first" | "second";
  /** Share of the draws in which they cross at all, in this direction. */
  readonly share: number;
}

export interface CrossingOptions {
  /** Where to look; default: from the least to the largest x of all runs. */
  readonly from?: number;
  readonly to?: number;
  /** What a point says besides x, e.g. `unique` as a share of it. Default: nothing. */
  readonly place?: (x: number) => Omit<LawPoint, "y">;
}

/** Share of the draws that must cross before a crossing is told. */
const SURE = 0.8;
const STEPS = 400;

/**
 * Where the two laws cross between the runs' ends, with the middle 95 % of where they do when runs are drawn anew; a reason where that
 * cannot be told. Curves that cross twice are told by their last crossing.
 */
export function crossingOf(
  first: LawFit,
  second: LawFit,
  options: CrossingOptions = {},
): Crossing | { readonly unknown: string } {
  const xs = [...first.points, ...second.points].map(({ x }) => x);
  const { from = Math.min(...xs), to = Math.max(...xs), place = (x: number) => ({ x }) } = options;
  if (!(from > 0 && to > from))
    throw new UsageError(`crossing: from must be positive and below to; got from=${from}, to=${to}.`);
  const places = Array.from({ length: STEPS + 1 }, (_, i) => from * (to / from) ** (i / STEPS));
  const find = (a: LawParameters, b: LawParameters) => {
    const gap = (x: number) => valueAt(first.law, place(x), a) - valueAt(second.law, place(x), b);
    let before = gap(places[0]!);
    let found: { x: number; overtakes: Crossing["overtakes"] } | undefined;
    for (let i = 1; i < places.length; i++) {
      const after = gap(places[i]!);
      if (Math.sign(after) !== Math.sign(before) && before !== 0 && after !== 0) {
        // Between two places the gap is nearly straight in log x.
        const share = before / (before - after);
        const x = places[i - 1]! * (places[i]! / places[i - 1]!) ** share;
        found = { x, overtakes: after > 0 ? "second" : "first" };
      }
      if (after !== 0) before = after;
    }
    return found;
  };
  const here = find(first, second);
  const draws = first.redrawn.map((a, at) => find(a, second.redrawn[at % second.redrawn.length]!));
  const crossed = draws.filter((draw) => draw !== undefined);
  if (here === undefined) {
    const share = crossed.length / draws.length;
    return {
      unknown: `they do not cross between the runs' ends${share > 0.05 ? ` (in ${(100 * share).toFixed(0)} % of the draws they do)` : ""}`,
    };
  }
  const same = crossed.filter(({ overtakes }) => overtakes === here.overtakes);
  const share = same.length / draws.length;
  if (share < SURE)
    return {
      unknown: `whether they cross cannot be told: in ${(100 * share).toFixed(0)} % of the draws they do, near ${here.x.toPrecision(2)}`,
    };
  return { ...here, ...middle(same.map(({ x }) => x)), share };
}

/** A run by what it spent and what it scored. */
export interface Spent {
  readonly cost: number;
  /** Higher is better. */
  readonly score: number;
}

/** The runs that no other beats at the same or less cost, by ascending cost. */
export function frontier<T extends Spent>(runs: readonly T[]): readonly T[] {
  const order = [...runs].sort((a, b) => a.cost - b.cost || b.score - a.score);
  const best: T[] = [];
  for (const run of order) if (best.length === 0 || run.score > best.at(-1)!.score) best.push(run);
  return best;
}
