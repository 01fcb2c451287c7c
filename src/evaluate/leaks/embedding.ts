/**
 * Pictures of one set that stand in another, by a model's own embeddings: crops and edits that hashes miss. How near a copy
 * lies differs from model to model, so the threshold is calibrated: on copies made of the set's pictures, and on how near
 * its different pictures lie to each other.
 */

import { foldIn, keyFromSeed, Random } from "../../core/random.js";
import { COPY_KINDS, type CopyKind, syntheticCopy } from "../../data/copies/synthetic.js";
import type { Dataset } from "../../data/dataset.js";
import type { Engine } from "../../engines/engine.js";
import type { Features } from "../features/features.js";
import { eachTileOn } from "../features/products.js";
import { allRows, type EmbeddedImages, type FeatureRows, type FeatureSource } from "../features/source.js";

/** Pictures that copies are made of. */
const SAMPLE = 128;
/** Share of the copies that the threshold finds, unless look-alikes forbid it. */
const FOUND = 0.95;
/** Share of pictures that may have another, different one beyond the threshold. */
const CONFUSED = 0.01;

export interface CopyThreshold {
  /** Cosine from which two pictures count as one. */
  readonly cosine: number;
  /** Of each kind of copy, the share that lies beyond. */
  readonly found: Readonly<Record<CopyKind, number>>;
  /** Share of the set's pictures that have a different one beyond it. */
  readonly confused: number;
  /** Pictures that it was calibrated on. */
  readonly pictures: number;
}

/** Unit vectors [n,E], flat, of encoded pictures. */
export type EmbedPictures = (images: readonly Uint8Array[]) => Promise<Float32Array>;

/**
 * The cosine beyond which 95 % of synthetic copies lie (saved again, cropped, resized, mirrored), or, where that is higher,
 * beyond which 1 % of the pictures have a different picture of the set.
 * @param repeated samples with a known copy in the set itself: they are no different pictures.
 */
export async function calibrateThreshold(
  engine: Engine,
  dataset: Dataset,
  { features, indices }: EmbeddedImages,
  embed: EmbedPictures,
  repeated: readonly number[],
): Promise<CopyThreshold> {
  const known = new Set(repeated);
  const all = allRows(features);
  const single = [...indices.keys()].filter((row) => !known.has(indices[row]!));
  const usable = single.length > 0 ? single : [...indices.keys()];
  const order = new Random(foldIn(keyFromSeed(0), "copies")).permutation(usable.length);
  const rows = [...order.subarray(0, SAMPLE)].map((at) => usable[at]!);
  const near = new Map<CopyKind, number[]>(COPY_KINDS.map((kind) => [kind, []]));
  for (const row of rows) {
    const bytes = await dataset.readBytes(indices[row]!);
    const copies = await Promise.all(COPY_KINDS.map((kind) => syntheticCopy(bytes, kind)));
    const vectors = await embed(copies);
    for (const [k, kind] of COPY_KINDS.entries()) {
      let sum = 0;
      for (let d = 0; d < all.width; d++) sum += all.data[row * all.width + d]! * vectors[k * all.width + d]!;
      near.get(kind)!.push(sum);
    }
  }
  const others = await nearestOthers(engine, all, usable);
  const cosine = Math.max(quantile([...near.values()].flat(), 1 - FOUND), quantile(others, 1 - CONFUSED));
  const beyond = (cosines: readonly number[]): number =>
    cosines.length === 0 ? 0 : cosines.filter((c) => c >= cosine).length / cosines.length;
  return {
    cosine,
    found: Object.fromEntries([...near].map(([kind, cosines]) => [kind, beyond(cosines)])) as Record<
      CopyKind,
      number
    >,
    confused: beyond(others),
    pictures: rows.length,
  };
}

/** The lowest of `values` that a share `q` of them does not exceed; -1 where there is none. */
const quantile = (values: readonly number[], q: number): number =>
  values.length === 0
    ? -1
    : [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))]!;

/** Of each of the rows, the cosine of the nearest other one. */
async function nearestOthers(engine: Engine, all: Features, rows: readonly number[]): Promise<number[]> {
  if (rows.length < 2) return [];
  const best = new Map<number, number>(rows.map((row) => [row, -1]));
  await eachTileOn(engine, all, all, ({ rowStart, rows: count, columnStart, columns, scores }) => {
    for (let i = 0; i < count; i++) {
      const own = best.get(rowStart + i);
      if (own === undefined) continue;
      let most = own;
      for (let j = 0; j < columns; j++) {
        const score = scores[i * columns + j]!;
        if (score > most && columnStart + j !== rowStart + i && best.has(columnStart + j)) most = score;
      }
      best.set(rowStart + i, most);
    }
  });
  return [...best.values()];
}

/** Of each row of `queries`, the nearest row of `candidates`, which go by block by block. */
export async function nearestByBlocks(
  engine: Engine,
  candidates: FeatureRows,
  queries: Features,
): Promise<{ readonly rows: Uint32Array; readonly cosines: Float32Array }> {
  const rows = new Uint32Array(queries.rows);
  const cosines = new Float32Array(queries.rows).fill(-2);
  await eachTileOn(engine, candidates, queries, (tile) => {
    const { rowStart, columnStart, columns, scores } = tile;
    for (let i = 0; i < tile.rows; i++)
      for (let j = 0; j < columns; j++) {
        const score = scores[i * columns + j]!;
        if (score <= cosines[columnStart + j]!) continue;
        cosines[columnStart + j] = score;
        rows[columnStart + j] = rowStart + i;
      }
  });
  return { rows, cosines };
}

/** A picture of the first set, and the nearest of the other: one picture by the threshold. */
export interface NearCopy {
  readonly index: number;
  readonly other: number;
  readonly cosine: number;
}

/** Pictures of `dataset` with one of `other` at least as near as the threshold, by index. */
export async function nearCopies(
  features: FeatureSource,
  dataset: EmbeddedImages,
  other: EmbeddedImages,
  { cosine: least }: Pick<CopyThreshold, "cosine">,
): Promise<NearCopy[]> {
  const { rows, cosines } = await nearestByBlocks(features.engine, other.features, allRows(dataset.features));
  return [...dataset.indices.entries()].flatMap(([row, index]) => {
    const cosine = cosines[row]!;
    return cosine >= least ? [{ index, other: other.indices[rows[row]!]!, cosine }] : [];
  });
}
