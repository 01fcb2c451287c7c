/** Whether a caption says what the captions of pictures that look alike say. */

import type { Engine } from "../../../engines/engine.js";
import { type Features, nearestSearch } from "../../../evaluate/features/features.js";
import { eachTileOn } from "../../../evaluate/features/products.js";
import { likeness, type WordVector } from "./wording.js";

export interface NeighbourOptions {
  /** Pictures that are asked. Default 10. */
  readonly neighbours?: number;
  /** The group of each picture: those of one are copies, and are not asked. Default: each its own. */
  readonly groups?: ArrayLike<number> | undefined;
}

/**
 * For each caption the mean, over the nearest pictures by cosine of `images` [N, E], of its likeness to their likeliest caption,
 * 0 … 1; [P]. Each neighbour counts by how near it is: exp(10 · (cosine - 1)).
 */
export async function neighbourAgreement(
  engine: Engine,
  images: Features,
  captions: readonly WordVector[],
  imageOf: ArrayLike<number>,
  { neighbours = 10, groups = Uint32Array.from({ length: images.rows }, (_, n) => n) }: NeighbourOptions = {},
): Promise<Float64Array> {
  const ofImage = Array.from({ length: images.rows }, (): WordVector[] => []);
  for (const [i, caption] of captions.entries()) ofImage[imageOf[i]!]!.push(caption);
  const largest = largestGroup(groups);
  const search = nearestSearch(images.rows, images, Math.min(images.rows, neighbours + largest));
  await eachTileOn(engine, images, images, search.visit);
  const { indices, scores, k } = search.result();
  return Float64Array.from(captions, (caption, i) => {
    const own = imageOf[i]!;
    let [sum, weights, asked] = [0, 0, 0];
    for (let n = own * k; n < (own + 1) * k && asked < neighbours; n++) {
      const other = indices[n]!;
      const texts = ofImage[other]!;
      if (groups[other] === groups[own] || texts.length === 0) continue;
      const weight = Math.exp(SHARPNESS * (scores[n]! - 1));
      sum += weight * Math.max(...texts.map((text) => likeness(caption, text)));
      weights += weight;
      asked++;
    }
    return weights === 0 ? Number.NaN : sum / weights;
  });
}

const SHARPNESS = 10;
/** Copies beyond which a group may push out neighbours. */
const MOST_COPIES = 64;

function largestGroup(groups: ArrayLike<number>): number {
  const sizes = new Map<number, number>();
  let most = 0;
  for (let n = 0; n < groups.length; n++) {
    const size = (sizes.get(groups[n]!) ?? 0) + 1;
    sizes.set(groups[n]!, size);
    if (size > most) most = size;
  }
  return Math.min(most, MOST_COPIES);
}
