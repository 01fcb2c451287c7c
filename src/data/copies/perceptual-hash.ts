/**
 * A 64-bit perceptual hash (Zauner 2010; the rule of the ImageHash library): of a grey 32 × 32 miniature the 8 × 8 lowest
 * frequencies, a bit each: above their median or not. Re-encoding, resizing and small changes of tone leave most bits.
 */

import { luma } from "../pixels/augment/operations/operation.js";
import type { RawImage } from "../pixels/read/image.js";
import { resample } from "../pixels/resize/resample.js";

const SIDE = 32;
const KEPT = 8;

export type Hash = readonly [high: number, low: number];

export interface PerceptualHash {
  readonly hash: Hash;
  /** That of the picture's mirror image. */
  readonly mirrored: Hash;
}

/** [KEPT, SIDE]: cos(π·k·(2x + 1) / 2·SIDE), the rows of a DCT-II. */
const cosines = Float64Array.from({ length: KEPT * SIDE }, (_, at) =>
  Math.cos((Math.PI * Math.floor(at / SIDE) * (2 * (at % SIDE) + 1)) / (2 * SIDE)),
);

/** The hash of an RGB image: bits row by row, frequencies down first, the lowest in the highest bit. */
export function perceptualHash(image: RawImage): PerceptualHash {
  const small = resample(image, SIDE, SIDE, "bilinear").data;
  const grey = Float64Array.from({ length: SIDE * SIDE }, (_, at) =>
    luma(small[3 * at]!, small[3 * at + 1]!, small[3 * at + 2]!),
  );
  // rows[y, v] = Σₓ grey[y, x]·cos(v, x), then waves[u, v] = Σ_y rows[y, v]·cos(u, y)
  const rows = new Float64Array(SIDE * KEPT);
  for (let y = 0; y < SIDE; y++)
    for (let v = 0; v < KEPT; v++) {
      let sum = 0;
      for (let x = 0; x < SIDE; x++) sum += grey[y * SIDE + x]! * cosines[v * SIDE + x]!;
      rows[y * KEPT + v] = sum;
    }
  const waves = new Float64Array(KEPT * KEPT);
  for (let u = 0; u < KEPT; u++)
    for (let v = 0; v < KEPT; v++) {
      let sum = 0;
      for (let y = 0; y < SIDE; y++) sum += rows[y * KEPT + v]! * cosines[u * SIDE + y]!;
      waves[u * KEPT + v] = sum;
    }
  // Turning x round changes the sign of every odd frequency along it.
  return { hash: aboveMedian(waves), mirrored: aboveMedian(waves.map((w, at) => (at % 2 === 1 ? -w : w))) };
}

function aboveMedian(waves: Float64Array): Hash {
  const order = waves.slice().sort();
  const median = (order[31]! + order[32]!) / 2;
  const words: [number, number] = [0, 0];
  for (const [at, wave] of waves.entries()) {
    const word = at < 32 ? 0 : 1;
    words[word] = ((words[word] << 1) | (wave > median ? 1 : 0)) >>> 0;
  }
  return words;
}
