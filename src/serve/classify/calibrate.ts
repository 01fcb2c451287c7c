/**
 * How sure a run's model may be: the factor on cosines that makes its probabilities likeliest on pictures that it was not trained
 * on (temperature scaling, Guo et al. 2017). It changes no guess.
 */

import { UsageError } from "../../core/errors.js";
import { foldIn, keyFromSeed, Random } from "../../core/random.js";
import { type Dataset, subset } from "../../data/dataset.js";
import { overlapWith } from "../../data/look/overlap.js";
import { similarity } from "../../evaluate/features/features.js";
import { allRows, type FeatureSource } from "../../evaluate/features/source.js";
import { fitTemperature } from "../../evaluate/statistics/calibration.js";
import { calibrationTask } from "../../evaluate/tasks/calibration.js";
import { suitableTasks } from "../../evaluate/tasks/index.js";
import { heldOutSets, type ScoredSet, trainingDataOf } from "../../train/run/data.js";

/** What multiplies cosines before the softmax. */
export interface Scale {
  readonly value: number;
  /** By how many held-out pictures it was fitted; undefined: as the model has learned it. */
  readonly pictures?: number | undefined;
  /** In words: by what it was fitted, or why it was not. */
  readonly about: string;
}

/** Pictures that decide; of more, as many spread over the set. */
const MOST_PICTURES = 2000;

/**
 * The scale by what the run at `run` holds out: by its labelled pictures where it has them, else by telling each picture's own
 * caption from `classes` - 1 others. The learned one, with the reason, where there is nothing to fit it on.
 */
export async function calibratedScale(
  features: FeatureSource,
  run: string | undefined,
  classes: number,
  say: (line: string) => void = () => {},
): Promise<Scale> {
  const learned = await features.scale();
  const asLearned = (why: string): Scale => ({ value: learned, about: `not calibrated: ${why}` });
  if (run === undefined) return asLearned("the model is no run's, and has held nothing out");
  try {
    const sets = await heldOutSets(run, say);
    const unseen: ScoredSet[] = [];
    for (const set of sets) unseen.push(...(await withoutSeen(run, set, say)));
    if (unseen.length === 0) return asLearned("the run was trained on what it is scored on");
    for (const set of unseen) {
      const byLabels = suitableTasks(set.dataset).zeroshot && (await scaleByLabels(features, set));
      if (byLabels) return byLabels;
    }
    const byCaptions = await scaleByCaptions(features, some(unseen[0]!.dataset), classes);
    return byCaptions ?? asLearned("there are too few held-out captions");
  } catch (error) {
    if (error instanceof UsageError) return asLearned(error.message);
    throw error;
  }
}

/** The set without what the run was trained on; none where nothing is left, or what it was trained on is not known. */
async function withoutSeen(run: string, set: ScoredSet, say: (line: string) => void): Promise<ScoredSet[]> {
  const { dataset, seen } = set;
  if (seen === undefined || seen >= dataset.length) return [];
  if (seen === 0) return [set];
  const trained = new Set(await overlapWith(dataset, await trainingDataOf(run, say)));
  const left = Array.from({ length: dataset.length }, (_, i) => i).filter((i) => !trained.has(i));
  return [{ ...set, dataset: subset(dataset, left), seen: 0 }];
}

function some(dataset: Dataset): Dataset {
  const count = Math.min(MOST_PICTURES, dataset.length);
  const chosen = Array.from({ length: count }, (_, i) => Math.floor((i * dataset.length) / count));
  return count === dataset.length ? dataset : subset(dataset, chosen);
}

/** Undefined where the labels have no names. */
async function scaleByLabels(features: FeatureSource, set: ScoredSet): Promise<Scale | undefined> {
  const data = { ...set, dataset: some(set.dataset) };
  try {
    const { details } = await calibrationTask.run({ features, data, bootstrap: { resamples: 100 } });
    const pictures = data.dataset.length;
    const about = `calibrated on the labels of ${pictures} held-out pictures of ${set.dataset.name}`;
    return { value: details.bestScale, pictures, about };
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

async function scaleByCaptions(
  features: FeatureSource,
  dataset: Dataset,
  classes: number,
): Promise<Scale | undefined> {
  const { features: rows, indices } = await features.images(dataset);
  const captions = Array.from(indices, (sample) => dataset.sample(sample).captions[0]);
  const owners = captions.flatMap((caption, row) => (caption === undefined ? [] : [row]));
  const count = Math.min(Math.max(2, classes), owners.length);
  if (count < 2) return undefined;
  const texts = await features.texts(
    owners.map((row) => captions[row]!),
    `captions of ${dataset.name}`,
  );
  const images = allRows(rows);
  const learned = await features.scale();
  const random = new Random(foldIn(keyFromSeed(0), "other captions"));
  const logits = new Float32Array(owners.length * count);
  for (const [i, row] of owners.entries()) {
    for (let c = 0; c < count; c++) {
      // The first is its own; the others are anybody's.
      const text = c === 0 ? i : (i + 1 + random.integer(owners.length - 1)) % owners.length;
      logits[i * count + c] = learned * similarity(images, row, texts.features, text);
    }
  }
  const labels = new Uint32Array(owners.length);
  return {
    value: learned / fitTemperature({ logits, labels, classes: count }),
    pictures: owners.length,
    about: `calibrated on ${owners.length} held-out pictures of ${dataset.name}, each with its caption among ${count}`,
  };
}
