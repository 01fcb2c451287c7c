/** Contrastive losses over a batch of pairs. */

import {
  add,
  allGather,
  cast,
  div,
  equal,
  matmul,
  mean,
  mul,
  or,
  reshape,
  softmaxCrossEntropy,
  sum,
  transpose,
} from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";

export interface ContrastedFeatures {
  readonly images: Tensor;
  readonly texts: Tensor;
  readonly scale: Tensor;
}

export interface PairIds {
  readonly imageIds: Tensor;
  readonly textIds: Tensor;
}

/**
 * CLIP's loss: cross-entropy of every image over the texts and of every text over the images, halved.
 *
 * images, texts: unit vectors f32[B,E]; scale f32[]; imageIds, textIds i32[B]. Image i and text j belong together
 * when i = j, when their rows show the same image (equal image ids: another caption of one image), or when their
 * captions are equal (equal text ids). A row with several such partners shares its target equally among them, so
 * that no true pair is pushed apart; without repetitions this is open_clip's `ClipLoss`.
 *
 * With several replicas, each has b of the B rows: its loss is its rows' share of the mean over all of them,
 * compared with the columns of all replicas; the replicas' losses add up to the loss of the whole batch.
 */
export function clipLoss(features: ContrastedFeatures, ids: PairIds, replicas = 1): Tensor {
  const [byImage, byText] = pairLosses(features, ids, replicas);
  return mul(add(mean(byImage), mean(byText)), 0.5 / replicas);
}

/** The loss of every image over the texts, f32[b], and of every text over the images, f32[b]; see `clipLoss`. */
export function pairLosses(
  { images, texts, scale }: ContrastedFeatures,
  { imageIds, textIds }: PairIds,
  replicas = 1,
): [byImage: Tensor, byText: Tensor] {
  const all = (x: Tensor) => allGather(x, replicas);
  const together = cast(or(samePair(imageIds, all(imageIds)), samePair(textIds, all(textIds))), "f32"); // [b,B]
  const targets = div(together, sum(together, 1, true));
  const logitsOf = (rows: Tensor, columns: Tensor) =>
    mul(matmul(rows, all(columns), { transB: true }), scale); // [b,B]
  const byImage = logitsOf(images, texts);
  // Alone, one product serves both ways.
  const byText = replicas === 1 ? transpose(byImage) : logitsOf(texts, images);
  return [softmaxCrossEntropy(byImage, targets), softmaxCrossEntropy(byText, targets)];
}

/** bool[b,B]: whether ids i and j are equal. */
const samePair = (rows: Tensor, columns: Tensor): Tensor =>
  equal(reshape(rows, [rows.shape[0]!, 1]), reshape(columns, [1, columns.shape[0]!]));
