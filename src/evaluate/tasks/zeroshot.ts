/**
 * Zero-shot classification (Radford et al. 2021, §3.1.4): each class is the mean of its prompts' embeddings, and an image
 * belongs to the class with the highest cosine. `N` images, `C` classes, `E` width.
 */

import { InternalError, UsageError } from "../../core/errors.js";
import { type Features, type Nearest, nearestRows, normalise } from "../features/features.js";
import { fillTemplate } from "../prompts/templates.js";
import {
  type BootstrapOptions,
  classMeanInterval,
  type Interval,
  meanInterval,
} from "../statistics/bootstrap.js";

/** Embeds texts into [texts.length, E], row-major; the rows need not have unit length. */
export type EmbedTexts = (texts: readonly string[]) => Promise<Float32Array>;

export interface ClassEmbeddingOptions {
  /** Prompts embedded in one call. Default 256. */
  readonly batchSize?: number;
  /** Called after each batch with the prompts done and the prompts in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * One embedding a class, [C, E]: every template is filled with the name, each prompt's embedding is brought to unit length,
 * the mean over templates is taken and brought to unit length again (as open_clip and CLIP_benchmark do).
 * Throws a `UsageError` without names or templates, or where the prompts of a class cancel out.
 */
export async function classEmbeddings(
  names: readonly string[],
  templates: readonly string[],
  embedTexts: EmbedTexts,
  options: ClassEmbeddingOptions = {},
): Promise<Features> {
  if (names.length === 0 || templates.length === 0) {
    throw new UsageError(
      `classEmbeddings: at least one class name and one template are needed; got ${names.length} names and ${templates.length} templates. Check the class names file.`,
    );
  }
  const { batchSize = 256, onProgress } = options;
  const total = names.length * templates.length;
  let sums = new Float32Array(0);
  let width = 0;
  for (let start = 0; start < total; start += batchSize) {
    const count = Math.min(batchSize, total - start);
    const prompts = Array.from({ length: count }, (_, i) =>
      fillTemplate(
        templates[(start + i) % templates.length]!,
        names[Math.floor((start + i) / templates.length)]!,
      ),
    );
    const raw = await embedTexts(prompts);
    if (start === 0) {
      width = raw.length / count;
      sums = new Float32Array(names.length * Math.ceil(width));
    }
    if (raw.length !== count * width || width === 0 || !Number.isInteger(width)) {
      throw new InternalError(`embedTexts: [${count}, ${width}] expected; got ${raw.length} numbers`);
    }
    const embedded = normalise(raw, width, "text features");
    for (let i = 0; i < count; i++) {
      const into = Math.floor((start + i) / templates.length) * width;
      for (let k = 0; k < width; k++) sums[into + k]! += embedded.data[i * width + k]! / templates.length;
    }
    onProgress?.(start + count, total);
  }
  return normalise(sums, width, "class embeddings");
}

/** Guesses of every image, best first: `indices` and cosine `scores`, both [N, k]. */
export type Predictions = Nearest;

/** Guesses that are kept of each image. */
export const GUESSES = 5;

export interface ZeroshotScoreOptions extends BootstrapOptions {
  /** The `GUESSES` nearest classes of each image, where they are known. Default: worked out here. */
  readonly predictions?: Predictions;
}

/** The guesses for image `image` with their names, best first. */
export const namedGuesses = (
  { indices, scores, k }: Predictions,
  names: readonly string[],
  image: number,
): { name: string; score: number }[] =>
  Array.from({ length: k }, (_, rank) => ({
    name: names[indices[image * k + rank]!]!,
    score: scores[image * k + rank]!,
  }));

export interface ClassScore {
  readonly name: string;
  /** Images of this class. */
  readonly n: number;
  /** Share of them whose first guess is this class. */
  readonly recall: number;
}

/** A wrong first guess and how many images got it. */
export interface Confusion {
  readonly truth: string;
  readonly predicted: string;
  readonly count: number;
}

export interface ZeroshotResult {
  readonly top1: Interval;
  readonly top5: Interval;
  readonly meanPerClassRecall: Interval;
  /** 1 where the first guess is right, [N]; for `pairedDifference` between two runs. */
  readonly correct: Uint8Array;
  /** 1 where one of the first five guesses is right, [N]. */
  readonly correctTop5: Uint8Array;
  readonly predictions: Predictions;
  /** Classes that have images, in order of index. */
  readonly perClass: readonly ClassScore[];
  /** Most frequent first, equal counts in order of class. */
  readonly confusions: readonly Confusion[];
}

/**
 * Scores `images` [N, E] with true classes `labels` [N] against `classes` [C, E], whose names are `names` [C].
 * Equal cosines are ranked by class index, so two classes of the same name cannot both be found. Intervals resample
 * images; see `classMeanInterval` for the mean per-class recall, in which only classes with images count.
 */
export function evaluateZeroshot(
  images: Features,
  labels: Uint32Array,
  classes: Features,
  names: readonly string[],
  options: ZeroshotScoreOptions = {},
): ZeroshotResult {
  if (names.length !== classes.rows) {
    throw new InternalError(`evaluateZeroshot: ${names.length} names for ${classes.rows} class embeddings`);
  }
  if (labels.length !== images.rows || images.rows === 0) {
    throw new UsageError(
      `evaluateZeroshot: one label an image is needed; got ${labels.length} labels for ${images.rows} images. Check the data set.`,
    );
  }
  const unknown = labels.findIndex((label) => label >= classes.rows);
  if (unknown >= 0) {
    throw new UsageError(
      `evaluateZeroshot: a label must index a class name; got labels[${unknown}]=${labels[unknown]} with ${classes.rows} classes. Add the missing names or count labels from 0.`,
    );
  }
  const predictions = options.predictions ?? nearestRows(images, classes, GUESSES);
  const { indices, k } = predictions;
  const correct = new Uint8Array(images.rows);
  const correctTop5 = new Uint8Array(images.rows);
  const counts = new Uint32Array(classes.rows);
  const hits = new Uint32Array(classes.rows);
  const wrong = new Map<number, number>();
  for (let i = 0; i < images.rows; i++) {
    const label = labels[i]!;
    const guesses = indices.subarray(i * k, (i + 1) * k);
    counts[label]!++;
    if (guesses.includes(label)) correctTop5[i] = 1;
    if (guesses[0] === label) {
      correct[i] = 1;
      hits[label]!++;
    } else {
      const pair = label * classes.rows + guesses[0]!;
      wrong.set(pair, (wrong.get(pair) ?? 0) + 1);
    }
  }
  return {
    top1: meanInterval(correct, options),
    top5: meanInterval(correctTop5, options),
    meanPerClassRecall: classMeanInterval(correct, labels, options),
    correct,
    correctTop5,
    predictions,
    perClass: names
      .map((name, c) => ({ name, n: counts[c]!, recall: hits[c]! / counts[c]! }))
      .filter((score) => score.n > 0),
    confusions: [...wrong]
      .sort(([pairA, a], [pairB, b]) => b - a || pairA - pairB)
      .map(([pair, count]) => ({
        truth: names[Math.floor(pair / classes.rows)]!,
        predicted: names[pair % classes.rows]!,
        count,
      })),
  };
}
