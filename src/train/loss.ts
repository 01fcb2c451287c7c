/** Contrastive losses over a batch of pairs. */

import {
  add,
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
 */
export function clipLoss(features: ContrastedFeatures, ids: PairIds): Tensor {
  const [byImage, byText] = pairLosses(features, ids);
  return mul(add(mean(byImage), mean(byText)), 0.5);
}

/** The loss of every image over the texts, f32[B], and of every text over the images, f32[B]; see `clipLoss`. */
export function pairLosses(
  { images, texts, scale }: ContrastedFeatures,
  { imageIds, textIds }: PairIds,
): [byImage: Tensor, byText: Tensor] {
  const logits = mul(matmul(images, texts, { transB: true }), scale); // [B,B]
  const together = cast(or(samePair(imageIds), samePair(textIds)), "f32"); // symmetric
  const targets = div(together, sum(together, 1, true));
  return [softmaxCrossEntropy(logits, targets), softmaxCrossEntropy(transpose(logits), targets)];
}

/** bool[B,B]: whether ids i and j are equal. */
function samePair(ids: Tensor): Tensor {
  const B = ids.shape[0]!;
  return equal(reshape(ids, [B, 1]), reshape(ids, [1, B]));
}
