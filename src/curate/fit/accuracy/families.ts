/** Accuracy by a trained CLIP: what the captions of look-alikes say, and labels that are another class's. */

import { UsageError } from "../../../core/errors.js";
import { keyFromSeed } from "../../../core/random.js";
import { allRows, type FeatureSource } from "../../../evaluate/features/source.js";
import { guessClasses } from "../../../evaluate/linear/classifier.js";
import { fitLogistic, pick, rowsAt } from "../../../evaluate/linear/logistic.js";
import type { DataFamily, ScoreValue } from "../../scores/score.js";
import { dealFolds, pictureGroups } from "../crossfit/folds.js";
import { clipFields, withClip } from "../model.js";
import { findLabelFaults, type LabelFaults } from "./confident-learning.js";
import { neighbourAgreement } from "./neighbours.js";
import { WordWeights } from "./word-weights.js";

export const neighboursFamily: DataFamily = {
  name: "neighbours",
  about:
    "Whether a caption says what the captions of the pictures say that look most alike, by a trained CLIP.",
  how:
    "The 20 nearest other pictures by cosine of embeddings less their mean (fewer of less than 500 pictures), those above 0.99 left out as copies; likeness to the likeliest caption of each by the words' " +
    "weights as in siblings, weighted by exp(10 (cosine - 1)), less the mean likeness to all captions. Holds the pictures' embeddings in memory.",
  source: "k-nearest-neighbour agreement, as in cleanlab's Datalab, on captions",
  over: "data",
  byDefault: false,
  settings: clipFields,
  columns: [
    {
      name: "neighbour_agreement",
      kind: "number",
      better: "higher",
      about:
        "Likeness to the captions of look-alikes less that to all captions, -1 … 1; NULL of broken pictures.",
    },
  ],
  score: (host) =>
    withClip(host, "neighbours", async (source) => {
      const { dataset, rows } = host;
      const { features, indices } = await source.images(dataset);
      const placeOf = new Map(Array.from(indices, (sample, place) => [sample, place]));
      const weights = new WordWeights();
      const captionOf = (row: number) => dataset.sample(rows.sample[row]!).captions[rows.caption[row]!];
      for (let row = 0; row < rows.length; row++) weights.add(captionOf(row) ?? "");
      const at = Array.from({ length: rows.length }, (_, row) => row).filter(
        (row) => placeOf.has(rows.sample[row]!) && captionOf(row) !== undefined,
      );
      const found = await neighbourAgreement(
        source.engine,
        allRows(features),
        at.map((row) => weights.vector(captionOf(row)!)),
        at.map((row) => placeOf.get(rows.sample[row]!)!),
      );
      const out = new Float64Array(rows.length).fill(Number.NaN);
      for (const [i, row] of at.entries()) out[row] = found[i]!;
      return { neighbour_agreement: out };
    }),
};

/** Folds of the classifier that has not seen what it judges. */
const FOLDS = 5;
/** Probabilities that are held at once: 1 GiB. */
const MOST_PROBABILITIES = 2 ** 28;

export const labelsFamily: DataFamily = {
  name: "labels",
  about: "Labels that are likely another class's, by a classifier on the embeddings of a trained CLIP.",
  how:
    "Logistic regression, its penalty chosen on held-out rows, on four fifths of the pictures (copies together) says the classes of the last fifth, " +
    "five times; faults by confident learning, pruned by noise rate as cleanlab 2.9 does.",
  source: "confident learning (1911.00068)",
  over: "data",
  byDefault: false,
  settings: clipFields,
  columns: [
    {
      name: "label_fault",
      kind: "flag",
      about: "Whether the label is taken for a fault; NULL without a label.",
    },
    {
      name: "label_confidence",
      kind: "number",
      better: "higher",
      about: "Probability of the label, by a classifier that has not seen the picture.",
    },
    {
      name: "label_margin",
      kind: "number",
      better: "higher",
      about: "Half of 1 + probability of the label - that of the likeliest other, 0 … 1.",
    },
    { name: "label_guess", kind: "text", about: "The likeliest class." },
  ],
  score: (host) =>
    withClip(host, "labels", async (source) => {
      const { dataset, rows, workers, onProgress, onNote } = host;
      const { indices } = await source.images(dataset);
      const samples = indices.filter((sample) => dataset.sample(sample).label !== undefined);
      const names = [...new Set(Array.from(samples, (sample) => dataset.sample(sample).label!))].sort();
      const out: Record<string, ScoreValue[]> = Object.fromEntries(
        labelsFamily.columns.map(({ name }) => [name, new Array<ScoreValue>(rows.length).fill(null)]),
      );
      if (names.length < 2) {
        onNote?.(
          `labels: needs pictures of two classes; the data have ${names.length}. The columns stay NULL.`,
        );
        return out;
      }
      const groups = await pictureGroups(dataset, {
        ...(workers !== undefined && { workers }),
        onProgress: (done, total) => onProgress?.({ what: "looking for copies", done, total }),
      });
      const labels = Int32Array.from(samples, (sample) => names.indexOf(dataset.sample(sample).label!));
      const faults = await labelFaults(source, dataset, samples, labels, names.length, groups);
      const placeOf = new Map(Array.from(samples, (sample, place) => [sample, place]));
      for (let row = 0; row < rows.length; row++) {
        const place = placeOf.get(rows.sample[row]!);
        if (place === undefined) continue;
        out.label_fault![row] = faults.fault[place] === 1;
        out.label_confidence![row] = faults.selfConfidence[place]!;
        out.label_margin![row] = faults.margin[place]!;
        out.label_guess![row] = names[faults.guess[place]!]!;
      }
      return out;
    }),
};

/** Label faults among `samples`, whose `labels` are 0 … classes-1, by cross-validated logistic regression on their embeddings. */
async function labelFaults(
  source: FeatureSource,
  dataset: Parameters<FeatureSource["images"]>[0],
  samples: Uint32Array,
  labels: Int32Array,
  classes: number,
  groups: Int32Array,
): Promise<LabelFaults> {
  if (samples.length * classes > MOST_PROBABILITIES)
    throw new UsageError(
      `labels: pictures times classes must be at most ${MOST_PROBABILITIES}; got ${samples.length} × ${classes}. Score the data in parts.`,
    );
  const { features, indices } = await source.images(dataset);
  const rowOf = new Map(Array.from(indices, (sample, row) => [sample, row]));
  const all = rowsAt(
    allRows(features),
    Uint32Array.from(samples, (sample) => rowOf.get(sample)!),
  );
  const foldOf = dealFolds(
    Int32Array.from(samples, (sample) => groups[sample]!),
    FOLDS,
    keyFromSeed(0),
  );
  const probabilities = new Float32Array(samples.length * classes);
  for (let fold = 0; fold < FOLDS; fold++) {
    const at = (inFold: boolean) => Array.from(foldOf.keys()).filter((i) => (foldOf[i] === fold) === inFold);
    const [held, others] = [at(true), at(false)];
    if (held.length === 0) continue;
    const learned = pick(labels, others);
    const { classifier } = await fitLogistic(source.engine, rowsAt(all, others), learned, classes);
    const { indices: order, scores } = await guessClasses(
      source.engine,
      classifier,
      rowsAt(all, held),
      classes,
    );
    for (const [n, i] of held.entries()) {
      const first = n * classes;
      let sum = 0;
      for (let k = 0; k < classes; k++) sum += Math.exp(scores[first + k]! - scores[first]!);
      for (let k = 0; k < classes; k++)
        probabilities[i * classes + order[first + k]!] = Math.exp(scores[first + k]! - scores[first]!) / sum;
    }
  }
  return findLabelFaults(probabilities, labels, classes);
}
