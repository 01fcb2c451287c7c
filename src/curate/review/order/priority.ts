/**
 * Which pair a person should look at next: where scores disagree, where the selection's border runs, and where a verdict
 * moves most of the selection.
 */

/** A score's column over the items; NaN where it is unknown. */
export interface ScoreColumnValues {
  readonly name: string;
  /** Which way is better; columns without one do not take part. */
  readonly better?: "higher" | "lower" | undefined;
  readonly values: Float64Array;
}

export interface PriorityInputs {
  readonly length: number;
  readonly scores: readonly ScoreColumnValues[];
  /** Whether the selection keeps each item; absent: everything is kept. */
  readonly keep?: ArrayLike<number | boolean> | undefined;
  /** Pairs that a verdict on each item speaks for: the size of its group of copies, times its weight. Default 1. */
  readonly speaksFor?: Float64Array | undefined;
}

export interface Priorities {
  /** Mean place of each item among all, by its scores: 0 the worst, 1 the best; 0.5 without scores. */
  readonly quality: Float64Array;
  /** Twice the standard deviation of the places that its scores give it, from 0 to 1. */
  readonly disagreement: Float64Array;
  /** How near the selection's border runs, from 0 to 1. */
  readonly border: Float64Array;
  /** How much of the selection a verdict moves, from 0 to 1. */
  readonly influence: Float64Array;
}

export const reviewOrders = [
  "useful",
  "border",
  "disagreement",
  "influence",
  "worst",
  "best",
  "random",
] as const;
/** `useful`: (border + disagreement) × (½ + ½ influence). */
export type ReviewOrder = (typeof reviewOrders)[number];

export function prioritiesOf({ length, scores, keep, speaksFor }: PriorityInputs): Priorities {
  const places = scores.filter(({ better }) => better !== undefined).map(placesOf);
  const quality = new Float64Array(length).fill(0.5);
  const spread = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    const known = places.map((place) => place[i]!).filter((place) => !Number.isNaN(place));
    if (known.length === 0) continue;
    const mean = known.reduce((a, b) => a + b, 0) / known.length;
    quality[i] = mean;
    spread[i] = 2 * Math.sqrt(known.reduce((sum, p) => sum + (p - mean) ** 2, 0) / known.length);
  }
  const border = bordering(quality, keep);
  const weight =
    speaksFor === undefined ? new Float64Array(length) : speaksFor.map((x) => Math.log2(Math.max(1, x)));
  return { quality, disagreement: spread, border, influence: scaled(weight) };
}

/**
 * The items, the first to be looked at first. Ties keep the table's order.
 * @param draw a number from 0 to 1 for each item, for `random`.
 */
export function orderOf(
  order: ReviewOrder,
  priorities: Priorities,
  draw: (i: number) => number,
): Uint32Array {
  const { quality, disagreement, border, influence } = priorities;
  const value = {
    useful: (i: number) => (border[i]! + disagreement[i]!) * (0.5 + 0.5 * influence[i]!),
    border: (i: number) => border[i]!,
    disagreement: (i: number) => disagreement[i]!,
    influence: (i: number) => influence[i]!,
    worst: (i: number) => -quality[i]!,
    best: (i: number) => quality[i]!,
    random: draw,
  }[order];
  const values = Float64Array.from(quality, (_, i) => value(i));
  return Uint32Array.from(quality, (_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b);
}

/** The stratum of each item, 0 … strata − 1, by its quality; of about equal sizes. */
export function strataOf(quality: Float64Array, strata: number): Uint8Array {
  const order = Uint32Array.from(quality, (_, i) => i).sort((a, b) => quality[a]! - quality[b]! || a - b);
  const out = new Uint8Array(quality.length);
  for (const [rank, i] of order.entries()) out[i] = Math.floor((rank * strata) / quality.length);
  return out;
}

/** Of each item its place among those whose score is known, from 0 (worst) to 1 (best); equal scores share the middle of theirs. */
function placesOf({ values, better }: ScoreColumnValues): Float64Array {
  const known = Uint32Array.from(values.keys()).filter((i) => !Number.isNaN(values[i]!));
  known.sort((a, b) => values[a]! - values[b]!);
  const places = new Float64Array(values.length).fill(Number.NaN);
  for (let start = 0; start < known.length; ) {
    let end = start + 1;
    while (end < known.length && values[known[end]!] === values[known[start]!]) end++;
    const middle = known.length === 1 ? 0.5 : (start + end - 1) / 2 / (known.length - 1);
    for (let k = start; k < end; k++) places[known[k]!] = better === "lower" ? 1 - middle : middle;
    start = end;
  }
  return places;
}

/**
 * 1 at the quality that parts kept from dropped with the fewest on the wrong side, falling to 0 a quarter of the set away
 * in rank; and 1 on every item that lies on the wrong side of it. Without a selection the border is the middle.
 */
function bordering(quality: Float64Array, keep?: ArrayLike<number | boolean>): Float64Array {
  const n = quality.length;
  const order = Uint32Array.from(quality, (_, i) => i).sort((a, b) => quality[a]! - quality[b]! || a - b);
  const kept = (i: number): boolean => Boolean(keep?.[i] ?? true);
  const dropped = order.filter((i) => !kept(i)).length;
  let cut = Math.floor(n / 2);
  if (keep !== undefined && dropped > 0 && dropped < n) {
    let wrong = dropped;
    let least = wrong;
    cut = 0;
    for (let rank = 0; rank < n; rank++) {
      wrong += kept(order[rank]!) ? 1 : -1;
      if (wrong < least) {
        least = wrong;
        cut = rank + 1;
      }
    }
  }
  const reach = Math.max(1, n / 4);
  const out = new Float64Array(n);
  for (const [rank, i] of order.entries()) {
    const misplaced = keep !== undefined && dropped > 0 && dropped < n && kept(i) !== rank >= cut;
    out[i] = misplaced ? 1 : Math.max(0, 1 - Math.abs(rank + 0.5 - cut) / reach);
  }
  return out;
}

function scaled(values: Float64Array): Float64Array {
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  return most === 0 ? values : values.map((x) => x / most);
}
