/**
 * Byte-pair encoding (Sennrich et al. 2016): a word begins as its bytes; the pair of neighbours that was learned
 * first is joined, again and again, until no learned pair is left.
 */

import { Heap } from "./heap.js";

/** Ids stay below this, so that a pair of them, or a rank and an id, is one exact number. */
export const MAX_IDS = 2 ** 21;

/** One number for the ordered pair of ids `(a, b)`. */
export const pairKey = (a: number, b: number): number => a * MAX_IDS + b;

/**
 * The printable character that stands for each byte in vocabularies (GPT-2's `bytes_to_unicode`): itself where it
 * prints in Latin-1, else the next from U+0100 on.
 */
export const byteCharacters: readonly string[] = (() => {
  const prints = (b: number) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(prints(b) ? b : next++));
})();

/** A learned join: `left` and `right` become `id`. */
export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly id: number;
}

interface Candidate {
  /** rank × MAX_IDS + id of the joined token */
  readonly join: number;
  readonly at: number;
  readonly left: number;
  readonly right: number;
}

/** The merges of a vocabulary, in the order in which they were learned. */
export class BytePairs {
  private readonly joins = new Map<number, number>();

  constructor(readonly merges: readonly Merge[]) {
    merges.forEach(({ left, right, id }, rank) => {
      const key = pairKey(left, right);
      if (!this.joins.has(key)) this.joins.set(key, rank * MAX_IDS + id);
    });
  }

  /** The ids of a word given as the ids of its bytes. O(n log n). */
  apply(symbols: readonly number[]): number[] {
    const n = symbols.length;
    if (n < 2) return [...symbols];
    const ids = Int32Array.from(symbols);
    const next = Int32Array.from({ length: n }, (_, i) => i + 1);
    const previous = Int32Array.from({ length: n }, (_, i) => i - 1);
    const queue = new Heap<Candidate>((a, b) => a.join < b.join || (a.join === b.join && a.at < b.at));
    const offer = (at: number) => {
      const right = next[at]!;
      if (at < 0 || right >= n) return;
      const join = this.joins.get(pairKey(ids[at]!, ids[right]!));
      if (join !== undefined) queue.push({ join, at, left: ids[at]!, right: ids[right]! });
    };
    for (let i = 0; i < n - 1; i++) offer(i);
    for (let best = queue.pop(); best !== undefined; best = queue.pop()) {
      const { at, join } = best;
      const right = next[at]!;
      if (ids[at] !== best.left || right >= n || ids[right] !== best.right) continue; // joined since
      ids[at] = join % MAX_IDS;
      ids[right] = -1;
      const after = next[right]!;
      next[at] = after;
      if (after < n) previous[after] = at;
      offer(at);
      if (previous[at]! >= 0) offer(previous[at]!);
    }
    const out: number[] = [];
    for (let i = 0; i < n; i = next[i]!) out.push(ids[i]!);
    return out;
  }
}

const CACHE_LIMIT = 100_000;

/** Remembers the ids of words. Captions repeat their words, so nearly every look-up is answered from memory. */
export class WordCache {
  private readonly known = new Map<string, readonly number[]>();

  constructor(private readonly encodeWord: (word: string) => number[]) {}

  get(word: string): readonly number[] {
    const found = this.known.get(word);
    if (found !== undefined) return found;
    const ids = this.encodeWord(word);
    if (this.known.size >= CACHE_LIMIT) this.known.clear();
    if (word.length <= 64) this.known.set(word, ids);
    return ids;
  }
}
