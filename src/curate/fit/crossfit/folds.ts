/** Folds of a data set: every picture is in one, with all that look the same. */

import { foldIn, type Key, Random } from "../../../core/random.js";
import type { Dataset } from "../../../data/dataset.js";
import { groupDuplicates } from "../../../data/look/duplicates.js";
import { type ExamineOptions, examineImages } from "../../../data/look/examine.js";

/**
 * The first sample of each sample's group, [N]: pictures of equal bytes, and near duplicates by their hash and miniature.
 * A model that was trained on a picture knows its copies, too. Equal captions make no group: that other pictures have a
 * caption is how a model learns what it means.
 */
export async function pictureGroups(
  dataset: Dataset,
  options: Pick<ExamineOptions, "workers" | "onProgress"> = {},
): Promise<Int32Array> {
  return groupDuplicates(await examineImages(dataset, { ...options, perceptual: true }));
}

/**
 * The fold of each sample, 0 … folds-1: groups in random order, each to the fold that is smallest by then, so that folds
 * differ in size by less than the largest group.
 */
export function dealFolds(groups: Int32Array, folds: number, key: Key): Uint32Array {
  const sizes = new Map<number, number>();
  for (const group of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  const distinct = [...sizes.keys()];
  const order = new Random(foldIn(key, "folds")).permutation(distinct.length);
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
