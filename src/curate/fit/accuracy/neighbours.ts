/** Whether a caption says what the captions of pictures that look alike say. */

import type { Engine } from "../../../engines/engine.js";
import { type Features, nearestSearch } from "../../../evaluate/features/features.js";
import { eachTileOn } from "../../../evaluate/features/products.js";
import { likeness, meanVector, type WordVector } from "./word-weights.js";

export interface NeighbourOptions {
  /** Pictures that are asked. Default 20. */
  readonly neighbours?: number;
  /** Cosine above which another picture is taken for a copy, which is not asked: its caption may be the same fault. Default 0.99. */
  readonly copies?: number;
}

/** Copies that may push out neighbours. */
const MOST_COPIES = 16;
/** Weight of a neighbour by its cosine: exp(10 · (cosine - 1)). */
const SHARPNESS = 10;

/**
 * For each caption its likeness to the likeliest caption of each of the nearest other pictures by cosine of `images` [N, E], mean of
 * those, nearer ones counting more, less its mean likeness to all captions: words that all have tell nothing. -1 … 1, [P]; NaN
 * where no picture with a caption can be asked.
 */
export async function neighbourAgreement(
  engine: Engine,
  images: Features,
  captions: readonly WordVector[],
  imageOf: ArrayLike<number>,
  { neighbours = 20, copies = 0.99 }: NeighbourOptions = {},
): Promise<Float64Array> {
  const ofImage = Array.from({ length: images.rows }, (): WordVector[] => []);
  for (const [i, caption] of captions.entries()) ofImage[imageOf[i]!]!.push(caption);
  const search = nearestSearch(images.rows, images, Math.min(images.rows, 1 + neighbours + MOST_COPIES));
  await eachTileOn(engine, images, images, search.visit);
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
