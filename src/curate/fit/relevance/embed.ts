/** Pairs of a data set as features of one model, so many at a time that memory does not grow with the set. */

import type { Dataset } from "../../../data/dataset.js";
import type { FeatureSource } from "../../../evaluate/features/source.js";
import type { PairRows } from "../../scores/run/rows.js";
import type { PairFeatures } from "./agreement.js";

export interface EmbeddedPairs extends PairFeatures {
  /** Of each caption its row, ascending; those of broken pictures, and samples without a caption, are left out. */
  readonly at: Uint32Array;
}

/** Rows of a window: 65,536 texts of 512 floats are 128 MiB. */
const WINDOW = 65_536;

/** All pairs that can be read, a window of rows after the other; the captions of a picture stay together. */
export async function* embedPairs(
  source: FeatureSource,
  dataset: Dataset,
  rows: PairRows,
  window = WINDOW,
): AsyncGenerator<EmbeddedPairs> {
  const { features, indices } = await source.images(dataset);
  for (let start = 0, end: number; start < rows.length; start = end) {
    end = Math.min(rows.length, start + window);
    while (end < rows.length && rows.sample[end] === rows.sample[end - 1]) end++;
    const first = firstFrom(indices, rows.sample[start]!);
    const last = firstFrom(indices, rows.sample[end - 1]! + 1);
    const at: number[] = [];
    const imageOf: number[] = [];
    const captions: string[] = [];
    for (let row = start, place = first; row < end; row++) {
      const sample = rows.sample[row]!;
      while (place < last && indices[place]! < sample) place++;
      const caption = dataset.sample(sample).captions[rows.caption[row]!];
      if (indices[place] !== sample || caption === undefined) continue;
      at.push(row);
      imageOf.push(place - first);
      captions.push(caption);
    }
    if (at.length === 0) continue;
    const { features: texts } = await source.texts(captions, `captions of ${dataset.name}`);
    yield { images: features.read(first, last), texts, imageOf, at: Uint32Array.from(at) };
  }
}

/** The first position in `ascending` of a number that is `value` or more. */
function firstFrom(ascending: Uint32Array, value: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
