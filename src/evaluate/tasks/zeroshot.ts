/**
 * Zero-shot classification (Radford et al. 2021, §3.1.4): each class is the mean of its prompts' embeddings, and an image
 * belongs to the class with the highest cosine. `N` images, `C` classes, `E` width.
 */

import { InternalError, UsageError } from "../../core/errors.js";
import { type Classes, classesOf, datasetLabels } from "../../data/class-names.js";
import { type Features, type Nearest, nearestSearch, normalise } from "../features/features.js";
import { eachTileOn } from "../features/products.js";
import type { FeatureRows } from "../features/source.js";
import { cutNotes, twinNotes } from "../prompts/notes.js";
import { fillTemplate, loadTemplates } from "../prompts/templates.js";
import {
  type BootstrapOptions,
  classMeanInterval,
  type Interval,
  meanInterval,
} from "../statistics/bootstrap.js";
import type { EvaluationSet, Task, TaskScore } from "./task.js";

/** The classes of a labelled set, and what is right for each sample, its own class first. */
interface GuessedClasses extends Classes {
  answersOf(sample: number): readonly number[];
}

function classesToGuess({ dataset, classes, classnames }: EvaluationSet): GuessedClasses {
  if (classes === undefined) {
    const found = classesOf(datasetLabels(dataset), dataset.name, classnames);
    const answersOf = (sample: number) => {
      const { label } = dataset.sample(sample);
      return label === undefined ? [] : [found.indexOf.get(label)!];
    };
    return { ...found, answersOf };
  }
  const { names: synonyms, answers, notes } = classes;
  const indexOf = new Map<string, number>();
  for (const [sample, [own]] of answers.entries()) {
    const { label } = dataset.sample(sample);
    if (label !== undefined && own !== undefined) indexOf.set(label, own);
  }
  const names = synonyms.map(([name]) => name!);
  return { names, synonyms, indexOf, notes, answersOf: (sample) => answers[sample]! };
}

/** Every prompt: of each name all templates, class by class. */
export const promptsOf = (names: readonly string[], templates: readonly string[]): string[] =>
  names.flatMap((name) => templates.map((template) => fillTemplate(template, name)));

/**
 * One embedding a class, [C, E], from those of `promptsOf`: the mean over a class's prompts is brought to unit length again
 * (as open_clip and CLIP_benchmark do). Throws a `UsageError` where the prompts of a class cancel out.
 * @param counts how many prompts each class has, or all have.
 */
export function classEmbeddings(prompts: Features, counts: number | readonly number[]): Features {
  const { data, rows, width } = prompts;
  const each = typeof counts === "number" ? new Array<number>(Math.ceil(rows / counts)).fill(counts) : counts;
  if (rows === 0 || each.some((count) => count < 1) || each.reduce((a, b) => a + b, 0) !== rows) {
    throw new InternalError(`classEmbeddings: ${counts} prompts a class; got ${rows} in all`);
  }
  const sums = new Float32Array(each.length * width);
  let row = 0;
  for (const [c, count] of each.entries()) {
    for (const end = row + count; row < end; row++) {
      for (let k = 0; k < width; k++) sums[c * width + k]! += data[row * width + k]! / count;
    }
  }
  return normalise(sums, width, "class embeddings");
}

/** Guesses of every image, best first: `indices` and cosine `scores`, both [N, k]. */
export type Predictions = Nearest;

/** Guesses that are kept of each image. */
export const GUESSES = 5;

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
  /** What the model's own guesses give, dealt to the images at random (the agreement by chance of Cohen's kappa, 1960). */
  readonly chance: { readonly top1: number; readonly top5: number; readonly meanPerClassRecall: number };
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

export interface ZeroshotOptions extends BootstrapOptions {
  /** All classes that are right for each image, [N]; default: the label alone. An image counts in its label's class. */
  readonly answers?: readonly (readonly number[])[];
}

/**
 * Scores the guesses `predictions` [N, k] for images with true classes `labels` [N] among classes called `names` [C].
 * Equal cosines are ranked by class index, so two classes of the same name cannot both be found. Intervals resample
 * images; see `classMeanInterval` for the mean per-class recall, in which only classes with images count.
 */
export function evaluateZeroshot(
  labels: Uint32Array,
  names: readonly string[],
  predictions: Predictions,
  { answers, ...options }: ZeroshotOptions = {},
): ZeroshotResult {
  const n = labels.length;
  const C = names.length;
  const { indices, k } = predictions;
  if (n === 0 || indices.length !== n * k) {
    throw new UsageError(
      `evaluateZeroshot: one label an image is needed; got ${n} labels for ${indices.length / k} images. Check the data set.`,
    );
  }
  const unknown = labels.findIndex((label) => label >= C);
  if (unknown >= 0) {
    throw new UsageError(
      `evaluateZeroshot: a label must index a class name; got labels[${unknown}]=${labels[unknown]} with ${C} classes. Add the missing names or count labels from 0.`,
    );
  }
  const correct = new Uint8Array(n);
  const correctTop5 = new Uint8Array(n);
  const counts = new Uint32Array(C);
  const hits = new Uint32Array(C);
  const rightFor = (i: number): readonly number[] => answers?.[i] ?? [labels[i]!];
  const wrong = new Map<number, number>();
  for (let i = 0; i < n; i++) {
    const label = labels[i]!;
    const guesses = indices.subarray(i * k, (i + 1) * k);
    counts[label]!++;
    const right = rightFor(i);
    if (guesses.some((guess) => right.includes(guess))) correctTop5[i] = 1;
    if (right.includes(guesses[0]!)) {
      correct[i] = 1;
      hits[label]!++;
    } else {
      const pair = label * C + guesses[0]!;
      wrong.set(pair, (wrong.get(pair) ?? 0) + 1);
    }
  }
  const dealtTop1 = imagesGuessed(predictions, 1, C);
  const dealtTop5 = imagesGuessed(predictions, k, C);
  const dealt = (rowsWith: typeof dealtTop1, weight: (i: number) => number): number =>
    labels.reduce((sum, _, i) => sum + rowsWith(rightFor(i)) / weight(i), 0);
  const present = counts.filter((count) => count > 0).length;
  return {
    chance: {
      top1: dealt(dealtTop1, () => 1) / n / n,
      top5: dealt(dealtTop5, () => 1) / n / n,
      meanPerClassRecall: dealt(dealtTop1, (i) => counts[labels[i]!]!) / n / present,
    },
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
        truth: names[Math.floor(pair / C)]!,
        predicted: names[pair % C]!,
        count,
      })),
  };
}

/** How many images have one of the classes among their first `depth` guesses. */
function imagesGuessed(
  { indices, k }: Predictions,
  depth: number,
  C: number,
): (classes: readonly number[]) => number {
  const n = indices.length / k;
  const rowsOf = Array.from({ length: C }, (): number[] => []);
  for (let i = 0; i < n; i++) for (let r = 0; r < depth; r++) rowsOf[indices[i * k + r]!]!.push(i);
  return (classes) => {
    const [only] = classes;
    const rows =
      classes.length === 1 ? rowsOf[only!]!.length : new Set(classes.flatMap((c) => rowsOf[c]!)).size;
    return rows;
  };
}

/** What zero-shot classification leaves besides its scores. */
export interface ZeroshotDetails {
  readonly result: ZeroshotResult;
  readonly classes: Classes;
  /** [C, E] */
  readonly classFeatures: Features;
  readonly images: FeatureRows;
  /** Row in `images`, sample and class of each image that was scored. */
  readonly rows: Uint32Array;
  readonly indices: Uint32Array;
  readonly labels: Uint32Array;
  /** All that is right for each image, its label first. */
  readonly answers: readonly (readonly number[])[];
}

/** Whether pictures get the names of their classes, by prompts alone. */
export const zeroshotTask: Task<ZeroshotDetails> = {
  name: "zeroshot_classification",
  doc: "Each picture is given the class whose prompts lie nearest.",
  how: "A class is the mean of its prompts' unit vectors, brought to length 1: of all templates, and of all names where it has several (the best name instead would favour classes with many). Where several answers are right, any counts, and a picture without one is left out. A picture belongs to the class of the highest cosine, equal ones by order. Chance deals the model's own guesses to the pictures at random.",
  source: "Radford et al. 2021, §3.1.4; CLIP_benchmark, zeroshot_classification.py",
  needs: ["labels"],
  metrics: [
    {
      name: "acc1",
      words: "top-1",
      doc: "Share of the pictures whose first guess is right.",
      kind: "share",
      better: "higher",
    },
    {
      name: "acc5",
      words: "top-5",
      doc: "Share of the pictures with the right class among five guesses.",
      kind: "share",
      better: "higher",
    },
    {
      name: "mean_per_class_recall",
      words: "mean per-class recall",
      doc: "Mean over the classes that have pictures of the share of their pictures that are right.",
      kind: "share",
      better: "higher",
    },
  ],
  async run({ features, data, bootstrap }) {
    const { dataset, templates = "simple" } = data;
    const classes = classesToGuess(data);
    const sentences = await loadTemplates(templates);
    const prompts = promptsOf(classes.synonyms.flat(), sentences);
    const embedded = await features.images(dataset);
    const texts = await features.texts(prompts, `prompts for ${dataset.name}`);
    const classFeatures = classEmbeddings(
      texts.features,
      classes.synonyms.map((names) => names.length * sentences.length),
    );
    const { features: images } = embedded;
    const search = nearestSearch(images.rows, classFeatures, GUESSES);
    await eachTileOn(features.engine, images, classFeatures, search.visit);
    const rows = Uint32Array.from(embedded.indices.keys()).filter(
      (row) => classes.answersOf(embedded.indices[row]!).length > 0,
    );
    const indices = rows.map((row) => embedded.indices[row]!);
    const answers = Array.from(indices, (sample) => classes.answersOf(sample));
    const labels = Uint32Array.from(answers, ([own]) => own!);
    const guesses = selectRows(search.result(), rows);
    const result = evaluateZeroshot(labels, classes.names, guesses, { ...bootstrap, answers });
    const score = (metric: string, interval: Interval, chance: number, values?: Uint8Array): TaskScore => ({
      metric,
      score: interval,
      chance,
      ...(values && { items: { values: Float64Array.from(values), samples: indices } }),
    });
    const empty = classes.names.length - result.perClass.length;
    return {
      scores: [
        score("acc1", result.top1, result.chance.top1, result.correct),
        score("acc5", result.top5, result.chance.top5, result.correctTop5),
        score("mean_per_class_recall", result.meanPerClassRecall, result.chance.meanPerClassRecall),
      ],
      notes: [
        ...classes.notes,
        ...(empty === 0
          ? []
          : [`${empty} of ${classes.names.length} classes have no picture; they can be guessed`]),
        ...cutNotes("prompts", prompts, texts.cut),
        ...twinNotes("classes", classes.names, classFeatures),
      ],
      details: { result, classes, classFeatures, images, rows, indices, labels, answers },
    };
  },
};

/** The guesses of some rows. */
function selectRows({ indices, scores, k }: Predictions, rows: Uint32Array): Predictions {
  const out = { indices: new Uint32Array(rows.length * k), scores: new Float32Array(rows.length * k), k };
  for (const [i, row] of rows.entries()) {
    out.indices.set(indices.subarray(row * k, (row + 1) * k), i * k);
    out.scores.set(scores.subarray(row * k, (row + 1) * k), i * k);
  }
  return out;
}
