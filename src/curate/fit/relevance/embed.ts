/** Pairs of a data set as features of one model. */

import { type Dataset, subset } from "../../../data/dataset.js";
import { allRows, type FeatureSource } from "../../../evaluate/features/source.js";
import type { PairFeatures } from "./agreement.js";

/** Pairs: of each its sample, ascending, and which of the sample's captions. */
export interface PairRows {
  readonly length: number;
  readonly sample: Uint32Array;
  readonly caption: Uint16Array;
}

export interface EmbeddedPairs extends PairFeatures {
  /** Of each caption its position among the pairs that were asked for, ascending; those of broken pictures are left out. */
  readonly at: Uint32Array;
  /** Sample of each picture. */
  readonly samples: Uint32Array;
}

/** The pairs of `rows` at the positions `wanted` (default all) whose pictures can be read and which have a caption. */
export async function embedPairs(
  source: FeatureSource,
  dataset: Dataset,
  rows: PairRows,
  wanted: ArrayLike<number> = Uint32Array.from({ length: rows.length }, (_, i) => i),
): Promise<EmbeddedPairs> {
  const samples = [...new Set(Array.from(wanted, (row) => rows.sample[row]!))];
  const whole = samples.length === dataset.length;
  const { features, indices } = await source.images(whole ? dataset : subset(dataset, samples));
  const pictures = Uint32Array.from(indices, (i) => samples[i]!);
  const placeOf = new Map(Array.from(pictures, (sample, place) => [sample, place]));
  const at: number[] = [];
  const captions: string[] = [];
  for (let i = 0; i < wanted.length; i++) {
    const row = wanted[i]!;
    const sample = rows.sample[row]!;
    const caption = placeOf.has(sample) ? dataset.sample(sample).captions[rows.caption[row]!] : undefined;
    if (caption === undefined) continue;
    at.push(i);
    captions.push(caption);
  }
  const { features: texts } = await source.texts(captions, `captions of ${dataset.name}`);
  return {
    images: allRows(features),
    texts,
    imageOf: Uint32Array.from(at, (i) => placeOf.get(rows.sample[wanted[i]!]!)!),
    at: Uint32Array.from(at),
    samples: pictures,
  };
}
