/**
 * Hashes within a few bits of another, without comparing all (multi-index hashing, Norouzi et al. 2012): of four bands of 16
 * bits, two hashes within t bits agree on one to within ⌊t/4⌋, so each band is a table, asked for every value that near.
 */

import { UsageError } from "../../core/errors.js";
import { popcount } from "../look/duplicates.js";
import type { Hash } from "./perceptual-hash.js";

const BANDS = 4;
const VALUES = 65_536;
/** Beyond it tables are asked so often that comparing all is as fast. */
const FARTHEST = 15;

/** Band `b` of a hash, from the highest: 16 bits. */
const bandOf = (high: number, low: number, b: number): number =>
  ((b < 2 ? high : low) >>> (b % 2 === 0 ? 16 : 0)) & 0xffff;

/** Every 16-bit number of at most `ones` ones. */
function masksOf(ones: number): Uint16Array {
  const masks: number[] = [];
  const add = (mask: number, from: number, left: number): void => {
    masks.push(mask);
    if (left > 0) for (let bit = from; bit < 16; bit++) add(mask | (1 << bit), bit + 1, left - 1);
  };
  add(0, 0, ones);
  return Uint16Array.from(masks);
}

export class HashIndex {
  /** Of each band: `members` sorted by value, those of value x at `starts[x]` … `starts[x + 1]` - 1. */
  private readonly bands: readonly { readonly starts: Uint32Array; readonly members: Uint32Array }[];
  private readonly masks: Uint16Array;
  /** The last search that met a hash. */
  private readonly met: Uint32Array;
  private searches = 0;

  /**
   * An index of `hashes`, high and low words one behind the other, for searches within `maxDistance` bits; throws `UsageError`
   * unless that is a whole number 0 … 15.
   */
  constructor(
    private readonly hashes: Uint32Array,
    private readonly maxDistance: number,
  ) {
    if (!(Number.isInteger(maxDistance) && maxDistance >= 0 && maxDistance <= FARTHEST)) {
      throw new UsageError(
        `copies: hashes of one picture may differ in 0 … ${FARTHEST} of 64 bits; got ${maxDistance}. Give a smaller number.`,
      );
    }
    this.masks = masksOf(Math.floor(maxDistance / BANDS));
    const length = hashes.length / 2;
    this.met = new Uint32Array(length);
    this.bands = Array.from({ length: BANDS }, (_, b) => {
      const bandAt = (at: number): number => bandOf(hashes[2 * at]!, hashes[2 * at + 1]!, b);
      const starts = new Uint32Array(VALUES + 1);
      for (let at = 0; at < length; at++) starts[bandAt(at) + 1]!++;
      for (let value = 0; value < VALUES; value++) starts[value + 1]! += starts[value]!;
      const next = starts.slice();
      const members = new Uint32Array(length);
      for (let at = 0; at < length; at++) members[next[bandAt(at)]!++] = at;
      return { starts, members };
    });
  }

  /** Visits the place of every hash within the distance of `hash`, once, in no order. */
  search([high, low]: Hash, visit: (at: number, distance: number) => void): void {
    this.searches++;
    for (const [b, { starts, members }] of this.bands.entries()) {
      const own = bandOf(high, low, b);
      for (const mask of this.masks) {
        const value = own ^ mask;
        for (let m = starts[value]!; m < starts[value + 1]!; m++) {
          const at = members[m]!;
          if (this.met[at] === this.searches) continue;
          this.met[at] = this.searches;
          const distance = popcount(high ^ this.hashes[2 * at]!) + popcount(low ^ this.hashes[2 * at + 1]!);
          if (distance <= this.maxDistance) visit(at, distance);
        }
      }
    }
  }
}
