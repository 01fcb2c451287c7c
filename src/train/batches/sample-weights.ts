/** The weights of a training set's pairs, as the loss takes them. */

import { UsageError } from "../../core/errors.js";
import type { Dataset } from "../../data/index.js";
import type { ExtraRows } from "../strategies/strategy.js";

/**
 * Rows f32[n,1] of weights, divided by their mean over the set, in which each image counts once; undefined where all pairs
 * weigh the same, and the loss is the one without.
 * @param captions which of an image's captions are trained on.
 * @throws UsageError where none weighs anything.
 */
export function sampleWeights(dataset: Dataset, captions: "random" | "first"): ExtraRows | undefined {
  let sum = 0;
  let images = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < dataset.length; i++) {
    const { captions: all, weights } = dataset.sample(i);
    if (all.length === 0) continue;
    const own = Array.from({ length: captions === "first" ? 1 : all.length }, (_, c) => weights?.[c] ?? 1);
    sum += own.reduce((a, b) => a + b, 0) / own.length;
    images++;
    least = Math.min(least, ...own);
    most = Math.max(most, ...own);
  }
  if (least === most && most > 0) return undefined;
  const mean = sum / images;
  if (!(mean > 0))
    throw new UsageError(
      `sampleWeight: some pair must have a weight above 0; got none of "${dataset.name}". Name another column, or leave the pairs out by a selection.`,
    );
  return {
    width: 1,
    rows: (samples, texts) =>
      Float32Array.from(texts, (text, row) => {
        const { captions: all, weights } = dataset.sample(samples[row]!);
        return (weights?.[all.indexOf(text)] ?? 1) / mean;
      }),
  };
}
