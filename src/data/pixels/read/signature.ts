/**
 * A fingerprint that survives re-encoding and resizing: a 64-bit difference hash (is each of 8 × 8 cells of a grey
 * 9 × 8 miniature brighter than its right neighbour?) and an 8 × 8 colour miniature that tells apart what the hash
 * confuses, plain drawings above all.
 */

import { luma } from "../augment/operations/operation.js";
import { resample } from "../resize/resample.js";
import type { RawImage } from "./image.js";

const SIDE = 8;

export interface Signature {
  readonly hash: readonly [high: number, low: number];
  /** [8, 8, 3] uint8 */
  readonly miniature: Uint8Array;
}

/** The signature of an RGB image. */
export function imageSignature(image: RawImage): Signature {
  const cells = resample(image, SIDE + 1, SIDE, "bilinear").data;
  const grey = (x: number, y: number): number => {
    const at = (y * (SIDE + 1) + x) * 3;
    return luma(cells[at]!, cells[at + 1]!, cells[at + 2]!);
  };
  const words: [number, number] = [0, 0];
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const word = y < SIDE / 2 ? 0 : 1;
      words[word] = ((words[word] << 1) | (grey(x, y) > grey(x + 1, y) ? 1 : 0)) >>> 0;
    }
  }
  return { hash: words, miniature: resample(image, SIDE, SIDE, "bilinear").data };
}
