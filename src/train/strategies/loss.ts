/**
 * Contrastive losses over a batch. Each compares some rows of the batch with all of them and gives these rows' share of
 * the batch's loss: the shares of rows that make up the batch add up to it, whether replicas hold them or blocks.
 */

import {
  abs,
  add,
  allGather,
  and,
  cast,
  concat,
  div,
  equal,
  exp,
  gather,
  iota,
  log,
  matmul,
  maximum,
  mean,
  mul,
  neg,
  not,
  or,
  replicaIndex,
  reshape,
  softmax,
  softmaxCrossEntropy,
  sub,
  sum,
  transpose,
  where,
} from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";

/** Rows of a batch: what the towers made of them, and which they are. */
export interface Rows {
  /** f32[b,…] by name, e.g. `images` and `texts`: unit vectors f32[b,E]. */
  readonly features: Readonly<Record<string, Tensor>>;
  /** i32[b]: equal numbers are the same image. */
  readonly imageIds: Tensor;
  /** i32[b]: equal numbers are the same caption. */
  readonly textIds: Tensor;
  /** i32[b]: places in the whole batch. */
  readonly places: Tensor;
  /** f32[b]: 1 for rows of the batch and 0 for padding, whose ids are those of no row. Default: no padding. */
  readonly weights?: Tensor | undefined;
}

/** All rows of a batch. */
export interface WholeBatch extends Rows {
  /** How many there are, without padding: what a mean is over. */
  readonly count: number;
}

/** What a loss makes of cosines. */
export interface Logits {
  /** f32[]: factor. */
  readonly scale: Tensor;
  /** f32[]: added to the scaled cosines; softmax takes no notice of it. */
  readonly bias?: Tensor | undefined;
}

/** What a model makes of cosines: times `scale`, plus `bias`. */
export interface LogitValues {
  readonly scale: number;
  readonly bias: number;
}

/**
 * The rows of one of `replicas` replicas, which together hold the batch in order, and the batch's.
 * @param count rows of the batch; needed where there is padding.
 */
export function acrossReplicas(
  rows: Omit<Rows, "places">,
  replicas: number,
  count = rows.imageIds.shape[0]! * replicas,
): { readonly own: Rows; readonly all: WholeBatch } {
  const b = rows.imageIds.shape[0]!;
  if (replicas === 1) {
    const all = { ...rows, places: iota("i32", [b]), count };
    return { own: all, all };
  }
  const everywhere = (x: Tensor) => allGather(x, replicas);
  return {
    own: { ...rows, places: add(iota("i32", [b]), mul(replicaIndex(replicas), b)) },
    all: {
      features: Object.fromEntries(Object.entries(rows.features).map(([name, x]) => [name, everywhere(x)])),
      imageIds: everywhere(rows.imageIds),
      textIds: everywhere(rows.textIds),
      places: iota("i32", [b * replicas]),
      weights: rows.weights && everywhere(rows.weights),
      count,
    },
  };
}

/** The rows of a batch at `places` i32[b]. */
export const rowsAt = ({ features, imageIds, textIds }: WholeBatch, places: Tensor): Rows => ({
  features: Object.fromEntries(Object.entries(features).map(([name, x]) => [name, gather(x, places)])),
  imageIds: gather(imageIds, places),
  textIds: gather(textIds, places),
  places,
});

/** Most logits of a block of rows against the whole batch where it is taken in blocks: 16 MiB. */
export const BLOCK_LOGITS = 2 ** 22;

/** Name of the pairs' own weights f32[b,1] among the features. */
export const SAMPLE_WEIGHT = "sampleWeight";

/** What `values`, one a row of `own` f32[b], times the rows' own weights, are of a mean over `all` rows. */
export function shareOfMean(values: Tensor, { weights, features }: Rows, { count }: WholeBatch): Tensor {
  const b = values.shape[0]!;
  const own = features[SAMPLE_WEIGHT];
  const weighed = own === undefined ? values : mul(values, reshape(own, [b]));
  return weights === undefined ? mul(mean(weighed), b / count) : mul(sum(mul(weighed, weights)), 1 / count);
}

/**
 * CLIP's loss (Radford et al. 2021) of every pair, f32[b]: the cross-entropy of its image over the texts and of its text
 * over the images, halved.
 *
 * Image i and text j belong together when i = j, when their rows show the same image (equal image ids: another caption
 * of one image), or when their captions are equal (equal text ids). A row with several such partners shares its target
 * equally among them, so that no true pair is pushed apart; without repetitions this is open_clip's `ClipLoss`.
 * @param smoothing share of each target that is spread over all columns, as in PyTorch's `cross_entropy`.
 */
export function softmaxPairs(own: Rows, all: WholeBatch, { scale }: Logits, smoothing = 0): Tensor {
  const { images, texts } = own.features as PairFeatures;
  const targets = smooth(shared(together(own, all)), smoothing, all);
  const logitsOf = (rows: Tensor, columns: Tensor) =>
    withoutPadding(mul(matmul(rows, columns, { transB: true }), scale), all); // [b,B]
  const byImage = logitsOf(images, (all.features as PairFeatures).texts);
  // Of all rows, one product serves both ways.
  const byText =
    own === all && all.weights === undefined
      ? transpose(byImage)
      : logitsOf(texts, (all.features as PairFeatures).images);
  return mul(add(softmaxCrossEntropy(byImage, targets), softmaxCrossEntropy(byText, targets)), 0.5);
}

/** Names of a teacher's unit vectors f32[b,·] among the features. */
export const TEACHER = { images: "teacherImages", texts: "teacherTexts" } as const;

/**
 * TinyCLIP's affinity mimicking (Wu et al. 2023, eq. 2 and 3; its `ClipSoftLoss`) of every pair, f32[b]: the cross-entropy
 * of its image's affinity to the batch's texts from the teacher's, and of its text's to the images, halved. An affinity is a
 * softmax over the scaled cosines; equal pairs need no care, since the teacher finds them equal.
 * @param teacherScale factor on the teacher's cosines, its inverse temperature.
 */
export function affinityPairs(own: Rows, all: WholeBatch, { scale }: Logits, teacherScale: number): Tensor {
  const logitsOf = (rows: string, columns: string, factor: Tensor | number) =>
    withoutPadding(mul(matmul(own.features[rows]!, all.features[columns]!, { transB: true }), factor), all); // [b,B]
  const oneWay = (rows: "images" | "texts", columns: "images" | "texts") =>
    softmaxCrossEntropy(
      logitsOf(rows, columns, scale),
      softmax(logitsOf(TEACHER[rows], TEACHER[columns], teacherScale)),
    );
  return mul(add(oneWay("images", "texts"), oneWay("texts", "images")), 0.5);
}

/**
 * SigLIP's loss (Zhai et al. 2023; open_clip's `SigLipLoss`) of every image, f32[b]: −Σⱼ log σ(± (s cos(i,j) + bias)) over
 * all texts, + for those that belong to it (see `softmaxPairs`), − for all others.
 */
export function sigmoidPairs(own: Rows, all: WholeBatch, { scale, bias }: Logits): Tensor {
  const { images } = own.features as PairFeatures;
  const { texts } = all.features as PairFeatures;
  const cosines = mul(matmul(images, texts, { transB: true }), scale);
  const logits = bias === undefined ? cosines : add(cosines, bias);
  const wrong = where(together(own, all), neg(logits), logits);
  // −log σ(−x) = max(x, 0) + log(1 + e^−|x|)
  const losses = add(maximum(wrong, 0), log(add(exp(neg(abs(wrong))), 1)));
  return sum(all.weights === undefined ? losses : mul(losses, all.weights), 1);
}

/**
 * SimCLR's NT-Xent (Chen et al. 2020), as in SLIP's losses.py, of every image, f32[b]: the mean over its two views of the
 * cross-entropy over the 2B − 1 other views of the batch, whose target is the image's other view, or all other views of
 * equal images (equal image ids), equally.
 * @param views names of the two features, unit vectors f32[b,D].
 */
export function viewPairs(
  own: Rows,
  all: WholeBatch,
  [first, second]: readonly [string, string],
  temperature: number,
): Tensor {
  const self = sameNumber(own.places, all.places);
  const same = sameNumber(own.imageIds, all.imageIds);
  const targets = shared(concat([same, and(same, not(self))].map(asNumbers), 1)); // [b,2B]
  const oneView = (view: string, other: string) => {
    const against = (name: string) =>
      withoutPadding(
        div(matmul(own.features[view]!, all.features[name]!, { transB: true }), temperature),
        all,
      );
    const logits = concat([against(other), where(self, NEVER, against(view))], 1);
    return softmaxCrossEntropy(logits, targets);
  };
  return mul(add(oneView(first, second), oneView(second, first)), 0.5);
}

interface PairFeatures extends Readonly<Record<string, Tensor>> {
  readonly images: Tensor;
  readonly texts: Tensor;
}

/** A logit that softmax gives no weight. */
export const NEVER = -1e9;

const asNumbers = (x: Tensor): Tensor => cast(x, "f32");

/** bool[b,B]: which images and texts belong together. */
export const together = (own: Rows, all: Rows): Tensor =>
  or(sameNumber(own.imageIds, all.imageIds), sameNumber(own.textIds, all.textIds));

/** bool[b,B]: whether numbers i and j are equal. */
const sameNumber = (rows: Tensor, columns: Tensor): Tensor =>
  equal(reshape(rows, [rows.shape[0]!, 1]), reshape(columns, [1, columns.shape[0]!]));

/** Rows of 0 and 1 as targets: each 1 an equal share. */
function shared(marks: Tensor): Tensor {
  const numbers = asNumbers(marks);
  return div(numbers, sum(numbers, 1, true));
}

/** A share of the targets spread over the batch's columns. */
function smooth(targets: Tensor, smoothing: number, { weights, count }: WholeBatch): Tensor {
  if (smoothing === 0) return targets;
  const each = smoothing / count;
  return add(mul(targets, 1 - smoothing), weights === undefined ? each : mul(weights, each));
}

/** Logits f32[b,B] in which padding is no rival. */
const withoutPadding = (logits: Tensor, { weights }: WholeBatch): Tensor =>
  weights === undefined ? logits : add(logits, mul(sub(1, weights), NEVER));
