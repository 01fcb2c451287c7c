/** Whether a caption says what the captions of pictures that look alike say. */

import type { Engine } from "../../../engines/engine.js";
import { type Features, nearestSearch } from "../../../evaluate/features/features.js";
import { eachTileOn } from "../../../evaluate/features/products.js";
import { likeness, meanVector, type WordVector } from "./word-weights.js";

export interface NeighbourOptions {
  /** Pictures that are asked. Default: a twenty-fifth of all, at least 5 and at most 20. */
  readonly neighbours?: number;
  /** Cosine above which another picture is taken for a copy, which is not asked: its caption may be the same fault. Default 0.99. */
  readonly copies?: number;
}

const neighboursAmong = (pictures: number): number => Math.max(5, Math.min(20, Math.round(pictures / 25)));
/** Copies that may push out neighbours. */
const MOST_COPIES = 16;
/** Weight of a neighbour by its cosine: exp(10 · (cosine - 1)). */
const SHARPNESS = 10;

/**
 * For each caption its likeness to the likeliest caption of each of the nearest other pictures by cosine of `images` [N, E] without
 * their mean, mean of those, nearer ones counting more, less its mean likeness to all captions: words that all have tell nothing. -1 … 1, [P]; NaN
 * where no picture with a caption can be asked.
 */
export async function neighbourAgreement(
  engine: Engine,
  images: Features,
  captions: readonly WordVector[],
  imageOf: ArrayLike<number>,
  { neighbours = neighboursAmong(images.rows), copies = 0.99 }: NeighbourOptions = {},
): Promise<Float64Array> {
  const ofImage = Array.from({ length: images.rows }, (): WordVector[] => []);
  for (const [i, caption] of captions.entries()) ofImage[imageOf[i]!]!.push(caption);
  const apart = centred(images);
  const search = nearestSearch(apart.rows, apart, Math.min(apart.rows, 1 + neighbours + MOST_COPIES));
  await eachTileOn(engine, apart, apart, search.visit);
  const { indices, scores, k } = search.result();
  const common = meanVector(captions);
  return Float64Array.from(captions, (caption, i) => {
    const own = imageOf[i]!;
    let [sum, weights, asked] = [0, 0, 0];
    for (let n = own * k; n < (own + 1) * k && asked < neighbours; n++) {
      const other = indices[n]!;
      const texts = ofImage[other]!;
      if (other === own || scores[n]! > copies || texts.length === 0) continue;
      const weight = Math.exp(SHARPNESS * (scores[n]! - 1));
      sum += weight * Math.max(...texts.map((text) => likeness(caption, text)));
      weights += weight;
      asked++;
    }
    return weights === 0 ? Number.NaN : sum / weights - likeness(caption, common);
  });
}

/**
 * The vectors less their mean, of unit length: small models put all pictures into a narrow cone, where even different ones have
 * cosines near 1. One that is the mean stays a row of zeros, near to nothing.
 */
function centred({ data, rows, width }: Features): Features {
  const mean = new Float64Array(width);
  for (let i = 0; i < data.length; i++) mean[i % width]! += data[i]! / rows;
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let e = 0; e < width; e++) {
      const value = data[row * width + e]! - mean[e]!;
      out[row * width + e] = value;
      squares += value * value;
    }
    const length = Math.sqrt(squares);
    for (let e = 0; e < width && length > 0; e++) out[row * width + e]! /= length;
  }
  return { data: out, rows, width };
}
