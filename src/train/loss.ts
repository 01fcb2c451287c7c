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
  sub,
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
export function clipLoss(features: ContrastedFeatures, ids: PairIds, shared: SharedBatch = {}): Tensor {
  const { replicas = 1, padding } = shared;
  const [byImage, byText] = pairLosses(features, ids, shared);
  if (padding === undefined) return mul(add(mean(byImage), mean(byText)), 0.5 / replicas);
  return mul(sum(mul(add(byImage, byText), padding.weights)), 0.5 / padding.rows);
}

/** How a batch lies on the replicas that share it. */
export interface SharedBatch {
  /** Default 1. */
  readonly replicas?: number | undefined;
  /**
   * Where they do not divide it: weights f32[b] are 1 for this replica's rows of the batch and 0 for padding, whose
   * ids are those of no row; `rows` are the batch's own. Padding is no rival and takes no part in the mean.
   */
  readonly padding?: { readonly weights: Tensor; readonly rows: number } | undefined;
}

/** Added to the logits of padding: e to it is 0. */
const NO_RIVAL = -1e9;

/** The loss of every image over the texts, f32[b], and of every text over the images, f32[b]; see `clipLoss`. */
export function pairLosses(
  { images, texts, scale }: ContrastedFeatures,
  { imageIds, textIds }: PairIds,
  { replicas = 1, padding }: SharedBatch = {},
): [byImage: Tensor, byText: Tensor] {
  const all = (x: Tensor) => allGather(x, replicas);
  const together = cast(or(samePair(imageIds, all(imageIds)), samePair(textIds, all(textIds))), "f32"); // [b,B]
  const targets = div(together, sum(together, 1, true));
  const columns = padding && mul(sub(1, all(padding.weights)), NO_RIVAL); // [B]
  const logitsOf = (rows: Tensor, others: Tensor) => {
    const logits = mul(matmul(rows, all(others), { transB: true }), scale); // [b,B]
    return columns === undefined ? logits : add(logits, columns);
  };
  const byImage = logitsOf(images, texts);
  // Alone, one product serves both ways.
  const byText = replicas === 1 ? transpose(byImage) : logitsOf(texts, images);
  return [softmaxCrossEntropy(byImage, targets), softmaxCrossEntropy(byText, targets)];
}

/** bool[b,B]: whether ids i and j are equal. */
const samePair = (rows: Tensor, columns: Tensor): Tensor =>
  equal(reshape(rows, [rows.shape[0]!, 1]), reshape(columns, [1, columns.shape[0]!]));
