/** Where tasks get features from: images of a data set and texts, embedded by one model. */

import type { Dataset } from "../../data/dataset.js";
import type { SkippedSample } from "../../data/loading/loader.js";
import type { Engine } from "../../engines/engine.js";
import type { Encoder } from "../model/encoder.js";
import { type Features, unitFeatures } from "./features.js";

/** Unit vectors that lie in memory or on the disk, read in blocks. */
export interface FeatureRows {
  readonly rows: number;
  readonly width: number;
  /** Rows `start` … `end`-1, not to be written to. From the disk: a copy, so large sets are read block by block. */
  read(start: number, end: number): Features;
}

/** Images of a data set. */
export interface EmbeddedImages {
  readonly features: FeatureRows;
  /** Sample of each row, ascending. */
  readonly indices: Uint32Array;
  /** Left out because unreadable. */
  readonly skipped: readonly SkippedSample[];
}

export interface EmbeddedTexts {
  /** [texts.length, E] */
  readonly features: Features;
  /** Positions of the texts that were longer than the model reads, and were cut. */
  readonly cut: readonly number[];
}

/** How far something is that takes a while. */
export interface Progress {
  /** e.g. `images of flickr`. */
  readonly what: string;
  readonly done: number;
  readonly total: number;
}

export interface FeatureSource {
  /** What multiplies features. */
  readonly engine: Engine;
  /** The factor on cosines that the model has learned. */
  scale(): Promise<number>;
  /** Every readable image of the set, in order. Throws `UsageError` if none is readable. */
  images(dataset: Dataset): Promise<EmbeddedImages>;
  /** The texts in their order. `what` names them in progress and errors. */
  texts(texts: readonly string[], what: string): Promise<EmbeddedTexts>;
}

/** Rows in a block: 16,384 × 512 floats are 32 MiB. */
const BLOCK_ROWS = 16_384;

/** The rows in blocks of at most 16,384, with the number of each block's first row. */
export function* blocksOf(features: FeatureRows): Generator<{ start: number; block: Features }> {
  for (let start = 0; start < features.rows; start += BLOCK_ROWS)
    yield { start, block: features.read(start, Math.min(features.rows, start + BLOCK_ROWS)) };
}

/** All rows in memory. */
export const allRows = (features: FeatureRows): Features => features.read(0, features.rows);

/** Features in memory as rows. */
export const rowsInMemory = (features: Features): FeatureRows => ({
  rows: features.rows,
  width: features.width,
  read: (start, end) =>
    start === 0 && end === features.rows
      ? features
      : {
          data: features.data.subarray(start * features.width, end * features.width),
          rows: end - start,
          width: features.width,
        },
});

/** Features straight from a model, kept nowhere: for weights that change, as in training. */
export function freshFeatures(encoder: Encoder, onProgress?: (progress: Progress) => void): FeatureSource {
  const width = encoder.options.clip.config.embed_dim;
  return {
    engine: encoder.engine,
    scale: () => encoder.scale(),
    async images(dataset) {
      const onBatch = (done: number) =>
        onProgress?.({ what: `images of ${dataset.name}`, done, total: dataset.length });
      const { features, indices, skipped } = await encoder.embedDataset(dataset, { onBatch });
      return { features: rowsInMemory(features), indices, skipped };
    },
    async texts(texts, what) {
      const onBatch = (done: number) => onProgress?.({ what, done, total: texts.length });
      const flat = await encoder.embedTexts(texts, { onBatch });
      return { features: unitFeatures(flat, width, what), cut: encoder.cutTexts(texts) };
    },
  };
}
