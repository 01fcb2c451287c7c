/** Identities of pairs, 128 bits each: 32 hex digits for people, four words of 32 bits in memory. */
import { createHash, type Hash } from "node:crypto";
import { shared } from "./numbers.js";

/** What a uid looks like. */
export const isUid = (value: unknown): value is string =>
  typeof value === "string" && /^[0-9a-f]{32}$/i.test(value);

/** [4] the words of 32 hex digits, first digits first. */
export const wordsOfUid = (uid: string): Uint32Array =>
  Uint32Array.from({ length: 4 }, (_, w) => Number.parseInt(uid.slice(8 * w, 8 * w + 8), 16));

/** The 32 hex digits of [4] words. */
export const uidOfWords = (words: Uint32Array): string =>
  Array.from(words, (word) => word.toString(16).padStart(8, "0")).join("");

/**
 * The uid of a pair whose data have none of their own: the first 128 bits of SHA-256 over the image's bytes as they are stored
 * and the caption's UTF-8. The same wherever the pair lies.
 */
export const pairUid = (image: Uint8Array, caption: string): string =>
  uidFrom(createHash("sha256").update(image), caption);

/** The same from a SHA-256 that has taken the image's bytes, and can take other captions after. */
export const uidFrom = (image: Hash, caption: string): string =>
  image.copy().update(caption).digest("hex").slice(0, 32);

/** Finds positions by uid: a table of slots, 4 bytes each, over words that lie elsewhere. */
export class UidIndex {
  private readonly slots: Uint32Array;

  /**
   * @param words [4 · n]: of each position its uid; positions whose words are all zero have none and are not found.
   */
  constructor(private readonly words: Uint32Array) {
    const n = words.length / 4;
    let size = 16;
    while (size < 2 * n) size *= 2;
    this.slots = shared.u32(size);
    for (let p = 0; p < n; p++) {
      const at = 4 * p;
      if ((words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) === 0) continue;
      let slot = this.slotOf(words, at);
      while (this.slots[slot] !== 0) slot = (slot + 1) & (size - 1);
      this.slots[slot] = p + 1;
    }
  }

  /** Every position whose uid is that at `at` of `wanted`, in ascending order where they were given so. */
  *find(wanted: Uint32Array, at = 0): Generator<number> {
    const { slots, words } = this;
    for (let slot = this.slotOf(wanted, at); slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
      const position = slots[slot]! - 1;
      const own = 4 * position;
      if (
        words[own] === wanted[at] &&
        words[own + 1] === wanted[at + 1] &&
        words[own + 2] === wanted[at + 2] &&
        words[own + 3] === wanted[at + 3]
      )
        yield position;
    }
  }

  /** Where the search for a uid begins. Uids of data may be anything: their words are mixed. */
  private slotOf(words: Uint32Array, at: number): number {
    let h = 0;
    for (let w = 0; w < 4; w++) {
      h = Math.imul(h ^ words[at + w]!, 0x85ebca6b);
      h ^= h >>> 13;
    }
    h = Math.imul(h, 0xc2b2ae35);
    return (h ^ (h >>> 16)) & (this.slots.length - 1);
  }
}
