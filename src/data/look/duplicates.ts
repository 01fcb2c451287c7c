/**
 * Groups of images that are the same picture: equal bytes, or difference hashes within a few bits of each other and
 * miniatures alike. Pairs are found without comparing all: of t+1 bands of the hash, two hashes within t bits agree
 * on at least one (pigeonhole).
 */
import type { Examined } from "../loading/messages.js";

export interface DuplicateOptions {
  /** Bits of 64 by which the hashes of near duplicates may differ; default 4. */
  readonly maxDistance?: number;
  /**
   * Mean absolute difference of the 8 × 8 colour miniatures, of 255; default 8. It is also held below an eighth of
   * the picture's own contrast, or else all faint line drawings would be one.
   */
  readonly maxDifference?: number;
}

export interface DuplicateGroup {
  /** Sample indices, ascending; at least two. */
  readonly indices: readonly number[];
  /** `exact`: all have equal bytes. */
  readonly kind: "exact" | "near";
}

/** Sets that merge; the smallest member stands for each. */
export class UnionFind {
  private readonly parent: Int32Array;
  constructor(n: number) {
    this.parent = Int32Array.from({ length: n }, (_, i) => i);
  }
  find(i: number): number {
    let root = i;
    while (this.parent[root] !== root) root = this.parent[root]!;
    while (this.parent[i] !== root) {
      const next = this.parent[i]!;
      this.parent[i] = root;
      i = next;
    }
    return root;
  }
  merge(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)];
    if (x !== y) this.parent[Math.max(x, y)] = Math.min(x, y);
  }
}

/** Ones in a 32-bit word. */
export function popcount(x: number): number {
  let v = x - ((x >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

type Picture = NonNullable<Examined["picture"]>;

/** Differing bits of two hashes. */
export const hashDistance = (a: Picture["hash"], b: Picture["hash"]): number =>
  popcount(a[0] ^ b[0]) + popcount(a[1] ^ b[1]);

/** Mean absolute difference of two miniatures, of 255; infinite when it is more than `most`. */
export function difference(a: Uint8Array, b: Uint8Array, most: number): number {
  const mostSum = most * a.length;
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    sum += Math.abs(a[i]! - b[i]!);
    if (sum > mostSum) return Number.POSITIVE_INFINITY;
  }
  return sum / a.length;
}

/** Mean absolute deviation of a miniature from its mean colour, of 255. */
export function contrast(miniature: Uint8Array): number {
  const mean = [0, 0, 0];
  const pixels = miniature.length / 3;
  for (let i = 0; i < miniature.length; i++) mean[i % 3]! += miniature[i]! / pixels;
  let sum = 0;
  for (let i = 0; i < miniature.length; i++) sum += Math.abs(miniature[i]! - mean[i % 3]!);
  return sum / miniature.length;
}

/** Bits `from` … `to`-1 of a hash, counted from the highest, as a number (at most 32 bits). */
function band(hash: Picture["hash"], from: number, to: number): number {
  const value = (BigInt(hash[0]) << 32n) | BigInt(hash[1]);
  return Number((value >> BigInt(64 - to)) & ((1n << BigInt(to - from)) - 1n));
}

/** Mean of a miniature, 0 … 255. */
const brightness = (miniature: Uint8Array): number =>
  miniature.reduce((sum, value) => sum + value, 0) / miniature.length;

/** Mean absolute difference of miniatures, of 255, that rounding makes. */
const INDISTINCT = 0.5;

/** A picture, and how far others may be from it. */
interface Look extends Pick<Picture, "hash" | "miniature"> {
  readonly at: number;
  readonly allowed: number;
  readonly brightness: number;
}

/** For each entry of `examined`, the position of the first entry of its group; itself where it is alone. */
export function groupDuplicates(examined: readonly Examined[], options: DuplicateOptions = {}): Int32Array {
  const { maxDistance = 4, maxDifference = 8 } = options;
  const sets = new UnionFind(examined.length);
  const bySha = new Map<string, number>();
  const distinct: number[] = [];
  for (const [at, { sha256, picture }] of examined.entries()) {
    if (sha256 === undefined) continue;
    const known = bySha.get(sha256);
    if (known !== undefined) {
      sets.merge(known, at);
      continue;
    }
    bySha.set(sha256, at);
    if (picture !== undefined) distinct.push(at);
  }
  const looks = distinct.map((at): Look => {
    const { hash, miniature } = examined[at]!.picture!;
    const allowed = Math.max(1, Math.min(maxDifference, contrast(miniature) / 8));
    return { at, hash, miniature, allowed, brightness: brightness(miniature) };
  });
  const bands = maxDistance + 1;
  for (let b = 0; b < bands; b++) {
    const from = Math.floor((64 * b) / bands);
    const to = Math.floor((64 * (b + 1)) / bands);
    const buckets = new Map<number, Look[][]>();
    for (const look of looks) {
      const value = bands === 1 ? band(look.hash, 0, 32) : band(look.hash, from, to);
      const bucket = buckets.get(value) ?? [];
      buckets.set(value, bucket);
      // Miniatures differ by at least as much as their brightness does.
      const darkest = Math.max(0, Math.floor(look.brightness - look.allowed));
      let known = false;
      for (let level = darkest; level <= look.brightness + look.allowed; level++) {
        for (const other of bucket[level] ?? []) {
          const distance = hashDistance(look.hash, other.hash);
          if (distance > maxDistance) continue;
          const apart = difference(look.miniature, other.miniature, look.allowed);
          if (apart > look.allowed) continue;
          sets.merge(other.at, look.at);
          known ||= distance === 0 && apart <= INDISTINCT;
        }
      }
      // One of many that look the same stands for them, or they would all be compared with each other.
      if (known) continue;
      const level = Math.floor(look.brightness);
      const alike = bucket[level];
      if (alike === undefined) bucket[level] = [look];
      else alike.push(look);
    }
  }
  return Int32Array.from({ length: examined.length }, (_, at) => sets.find(at));
}

/** The groups of two and more, by their first index. */
export function duplicateGroups(
  examined: readonly Examined[],
  options: DuplicateOptions = {},
): DuplicateGroup[] {
  const first = groupDuplicates(examined, options);
  const groups = new Map<number, number[]>();
  for (const [at, root] of first.entries()) {
    const members = groups.get(root);
    if (members === undefined) groups.set(root, [at]);
    else members.push(at);
  }
  return [...groups.values()]
    .filter((members) => members.length > 1)
    .map((members) => ({
      indices: members.map((at) => examined[at]!.index),
      kind: new Set(members.map((at) => examined[at]!.sha256)).size === 1 ? "exact" : "near",
    }));
}
