/** Folds of a data set: every picture is in one, with all that look the same. */

import { foldIn, type Key, Random } from "../../../core/random.js";
import { coarse, groupPictures, hashNumber, MINIATURE_BYTES } from "../../../data/copies/group.js";
import type { Dataset } from "../../../data/dataset.js";
import { type ExamineOptions, eachExamined } from "../../../data/look/examine.js";

/** Bits of 64 by which perceptual hashes of copies differ: as of the scores `duplicates`. */
const COPY_BITS = 4;

/**
 * The first sample of each sample's group, [N]: pictures of equal bytes or pixels, and near duplicates as the scores
 * `duplicates` find them; itself where it is alone or cannot be read. A model that was trained on a picture knows its copies,
 * too; but look-alikes that are no copies must not be joined, or a model never sees their kind. Equal captions make no group:
 * that other pictures have a caption is how a model learns what it means.
 */
export async function pictureGroups(
  dataset: Dataset,
  options: Pick<ExamineOptions, "workers" | "onProgress"> = {},
): Promise<Int32Array> {
  const N = dataset.length;
  const columns = {
    bytes: new Float64Array(N).fill(Number.NaN),
    pixels: new Float64Array(N).fill(Number.NaN),
    hashes: new Uint32Array(2 * N),
    miniatures: new Uint8Array(MINIATURE_BYTES * N),
  };
  for await (const part of eachExamined(dataset, { ...options, perceptual: true, measured: true }))
    for (const { index, sha256, picture } of part) {
      columns.bytes[index] = hashNumber(sha256);
      if (picture === undefined) continue;
      columns.pixels[index] = hashNumber(picture.measured?.pixelSha256);
      columns.hashes.set(picture.perceptual!.hash, 2 * index);
      columns.miniatures.set(coarse(picture.miniature), MINIATURE_BYTES * index);
    }
  const { first } = groupPictures(columns, COPY_BITS);
  return first.map((root, at) => (root < 0 ? at : root));
}

/**
 * The fold of each sample, 0 … folds-1: groups in random order, the largest first, each to the fold that is smallest by
 * then, so that folds differ in size by no more than one group, and by one sample where many pictures are alone.
 */
export function dealFolds(groups: Int32Array, folds: number, key: Key): Uint32Array {
  const sizes = new Map<number, number>();
  for (const group of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  const distinct = [...sizes.keys()];
  const order = [...new Random(foldIn(key, "folds")).permutation(distinct.length)].sort(
    (a, b) => sizes.get(distinct[b]!)! - sizes.get(distinct[a]!)!,
  );
  const filled = new Array<number>(folds).fill(0);
  const foldOf = new Map<number, number>();
  for (const at of order) {
    const group = distinct[at]!;
    const fold = filled.indexOf(Math.min(...filled));
    filled[fold]! += sizes.get(group)!;
    foldOf.set(group, fold);
  }
  return Uint32Array.from(groups, (group) => foldOf.get(group)!);
}
