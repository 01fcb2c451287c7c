/**
 * Groups of pictures that are one: equal bytes or pixels, or perceptual hashes a few bits apart and miniatures alike. In
 * columns, 80 bytes a picture, so that it is done for millions at once.
 */

import { contrast, difference, UnionFind } from "../look/duplicates.js";
import { HashIndex } from "./hash-index.js";

/** Width and height of the miniatures here, and bytes of one: RGB. */
const SIDE = 4;
export const MINIATURE_BYTES = 3 * SIDE * SIDE;

/** n pictures, a column each; NaN in `bytes` is a picture that cannot be read. */
export interface PictureColumns {
  /** [n]: a hash of the file, up to 53 bits. */
  readonly bytes: Float64Array;
  /** [n]: a hash of the pixels, up to 53 bits. */
  readonly pixels: Float64Array;
  /** [2n]: high and low words of the perceptual hash. */
  readonly hashes: Uint32Array;
  /** [48n]: each in 4 × 4 pixels RGB, as `coarse` gives. */
  readonly miniatures: Uint8Array;
}

/** What joins a picture to the others of its group, the surest: `bytes`, `pixels` or `near`. */
export type Likeness = "bytes" | "pixels" | "near";

export interface PictureGroups {
  /** [n]: the first picture of each one's group; itself where it is alone, -1 where it cannot be read. */
  readonly first: Int32Array;
  /** Of pictures that are not alone. */
  readonly likeness: ReadonlyMap<number, Likeness>;
}

/** The first 52 bits of a hash in hex, for the columns; NaN of what is no text. */
export const hashNumber = (hash: unknown): number =>
  typeof hash === "string" ? Number.parseInt(hash.slice(0, 13), 16) : Number.NaN;

/** A miniature [8, 8, 3] in a quarter of its pixels. */
export function coarse(miniature: Uint8Array): Uint8Array {
  const row = 3 * 2 * SIDE;
  return Uint8Array.from({ length: MINIATURE_BYTES }, (_, at) => {
    const [pixel, c] = [Math.floor(at / 3), at % 3];
    const from = 2 * Math.floor(pixel / SIDE) * row + 6 * (pixel % SIDE) + c;
    const sum = miniature[from]! + miniature[from + 3]! + miniature[from + row]! + miniature[from + row + 3]!;
    return (sum + 2) >> 2;
  });
}

/**
 * Mean difference of miniatures of one picture, of 255; and at most this share of the picture's own contrast. Copies saved again at
 * quality 60 or half as large differ by at most 0.7 and 1/30 (of 800 product pictures), which leaves room for harder ones; twice as
 * much joins 90 pictures of 800 that are not the same product.
 */
const MOST_DIFFERENCE = 4;
const MOST_OF_CONTRAST = 1 / 16;

/** Groups pictures whose hashes differ in at most `maxDistance` of 64 bits. */
export function groupPictures(
  { bytes, pixels, hashes, miniatures }: PictureColumns,
  maxDistance: number,
): PictureGroups {
  const length = bytes.length;
  const sets = new UnionFind(length);
  const likeness = new Map<number, Likeness>();
  const mark = (at: number, like: Likeness): void => {
    const known = likeness.get(at);
    if (known === undefined || known === "near" || like === "bytes") likeness.set(at, like);
  };
  /** Merges neighbours in an order of equal keys. */
  const joinEqual = (keys: Float64Array, like: Likeness): void => {
    const order = Uint32Array.from(keys.keys())
      .filter((at) => keys[at]! >= 0)
      .sort((a, b) => keys[a]! - keys[b]! || a - b);
    for (let i = 1; i < order.length; i++) {
      const [a, b] = [order[i - 1]!, order[i]!];
      if (keys[a] !== keys[b]) continue;
      sets.merge(a, b);
      mark(a, like);
      mark(b, like);
    }
  };
  joinEqual(bytes, "bytes");
  joinEqual(pixels, "pixels");

  // One of each set of equal pictures stands for them.
  const standing = Uint32Array.from(bytes.keys()).filter((at) => pixels[at]! >= 0 && sets.find(at) === at);
  const index = new HashIndex(
    Uint32Array.from({ length: 2 * standing.length }, (_, i) => hashes[2 * standing[i >> 1]! + (i & 1)]!),
    maxDistance,
  );
  const miniatureOf = (at: number): Uint8Array =>
    miniatures.subarray(MINIATURE_BYTES * at, MINIATURE_BYTES * (at + 1));
  for (const [place, at] of standing.entries()) {
    const own = miniatureOf(at);
    const most = Math.max(1, Math.min(MOST_DIFFERENCE, MOST_OF_CONTRAST * contrast(own)));
    index.search([hashes[2 * at]!, hashes[2 * at + 1]!], (other) => {
      const rival = standing[other]!;
      if (other >= place || sets.find(rival) === sets.find(at)) return;
      if (difference(own, miniatureOf(rival), most) > most) return;
      sets.merge(rival, at);
      mark(rival, "near");
      mark(at, "near");
    });
  }
  const first = Int32Array.from({ length }, (_, at) => (Number.isNaN(bytes[at]) ? -1 : sets.find(at)));
  return { first, likeness };
}
