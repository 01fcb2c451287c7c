/** Drawing a batch from a super-batch chunk by chunk, each given the ones before (Evans et al. 2024, JEST). */

import { foldIn, keyFromSeed, Random } from "../../core/random.js";

/** Where random numbers come from. */
export interface Uniform {
  /** In [0, 1). */
  uniform(): number;
}

export interface DrawOptions {
  /** Pairs of the super-batch, S. */
  readonly from: number;
  /** Pairs of the batch, B ≤ S. */
  readonly size: number;
  /** Chunks that the batch is drawn in; the last is smaller where they do not divide it. */
  readonly chunks: number;
  readonly random: Uniform;
  /**
   * Logits f64[S] of the next draw, given the rows that the chunk before has added; the first time none. Those of rows
   * that are chosen do not matter.
   */
  score(added: Int32Array): Promise<ArrayLike<number>>;
}

/** Pairs of each chunk but the last. */
export const chunkSize = (size: number, chunks: number): number => Math.ceil(size / chunks);

/** What the draw of step `step` (from 0) of a run is made with. */
export const drawKey = (seed: number, step: number): Random =>
  new Random(foldIn(keyFromSeed(seed), "pick", step));

/**
 * Rows i32[B] of the super-batch, in the order in which they were drawn. Within a chunk rows are drawn without replacement by
 * softmax(logits), as the largest of logit + Gumbel noise are (Kool et al. 2019); one number is used for each row of
 * the super-batch and chunk.
 */
export async function drawJointly({ from, size, chunks, random, score }: DrawOptions): Promise<Int32Array> {
  const most = chunkSize(size, chunks);
  const chosen = new Int32Array(size);
  const left = new Set(Array.from({ length: from }, (_, i) => i));
  let added = new Int32Array(0);
  for (let done = 0; done < size; done += added.length) {
    const logits = await score(added);
    const noisy = Float64Array.from({ length: from }, (_, i) => logits[i]! + gumbel(random.uniform()));
    const best = [...left].sort((a, b) => noisy[b]! - noisy[a]! || a - b);
    added = Int32Array.from(best.slice(0, Math.min(most, size - done)));
    chosen.set(added, done);
    for (const row of added) left.delete(row);
  }
  return chosen;
}

/** −log(−log u), with u kept off 0. */
const gumbel = (u: number): number => -Math.log(-Math.log(u + 2 ** -54));
