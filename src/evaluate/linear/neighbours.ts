/**
 * The nearest-neighbour probe (Wu et al. 2018; constants of DINO and DINOv2): each of the k nearest training rows votes for its
 * class with e^(cosine/T). Nothing is fitted.
 */

import { UsageError } from "../../core/errors.js";
import type { Nearest } from "../features/features.js";

/** Numbers of neighbours that are customary; 20 is usually best. */
export const NEIGHBOURS = [10, 20, 100, 200] as const;

/**
 * The class of most votes among the first `k` of `nearest` for each query, `labels` being those of the rows that were searched;
 * of equal ones the lowest; with `allowed` only those classes can be guessed. With fewer rows than `k`, all of them vote. Throws a `UsageError` where fewer were searched for.
 */
export function neighbourVotes(
  nearest: Nearest,
  labels: ArrayLike<number>,
  classes: number,
  k: number,
  { temperature = 0.07, allowed }: { readonly temperature?: number; readonly allowed?: Uint32Array } = {},
): Int32Array {
  if (k > nearest.k && nearest.k < labels.length) {
    throw new UsageError(
      `neighbours: ${k} neighbours must be searched for; got ${nearest.k}. Search for more.`,
    );
  }
  const depth = Math.min(k, nearest.k);
  const queries = nearest.k === 0 ? 0 : nearest.indices.length / nearest.k;
  const votes = new Float64Array(classes);
  const candidates = allowed ?? Uint32Array.from(votes.keys());
  return Int32Array.from({ length: queries }, (_, q) => {
    votes.fill(0);
    for (let i = q * nearest.k; i < q * nearest.k + depth; i++) {
      votes[labels[nearest.indices[i]!]!]! += Math.exp(nearest.scores[i]! / temperature);
    }
    let best = candidates[0]!;
    for (const c of candidates) if (votes[c]! > votes[best]!) best = c;
    return best;
  });
}
