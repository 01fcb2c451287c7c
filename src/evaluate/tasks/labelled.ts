/** What probes learn from and are scored on: features with their classes. */

import { UsageError } from "../../core/errors.js";
import { classNameOf, labelsOf } from "../../data/class-names.js";
import type { Dataset } from "../../data/dataset.js";
import { allRows, type EmbeddedImages } from "../features/source.js";
import type { Rows } from "../linear/cholesky.js";
import { rowsAt } from "../linear/logistic.js";
import type { EvaluationSet, TaskContext } from "./task.js";

/** Embedded images with labels: row i is sample `samples[i]`, of class `labels[i]`. */
export interface LabelledRows {
  readonly features: Rows;
  readonly labels: Uint32Array;
  readonly samples: Uint32Array;
}

export interface ProbeData {
  readonly train: LabelledRows;
  readonly test: LabelledRows;
  /** How many classes there are to learn: those of the training part, which come first. */
  readonly classes: number;
  /** The labels of the training part in order, then others of the scored part, as words; a class is its place here. */
  readonly names: readonly string[];
  readonly notes: readonly string[];
}

/**
 * The training part and the scored part of a probe, each embedded once. Images of classes that the training part lacks cannot
 * be right; they are counted, and told. Throws `UsageError` where a part or its labels are missing, or none is in both.
 */
export async function probeData({ features, data }: TaskContext, task: string): Promise<ProbeData> {
  const { dataset, train } = data;
  requireOneAnswer(data, task);
  if (train === undefined) {
    throw new UsageError(
      `evaluate ${dataset.name}: ${task} needs labelled images to learn from, apart from those that are scored; got none. Give --probe-data SOURCE.`,
    );
  }
  const learned = labelsOf(samplesOf(train));
  const scored = labelsOf(samplesOf(dataset));
  for (const [set, found] of [
    [train, learned],
    [dataset, scored],
  ] as const) {
    if (found.length === 0) {
      throw new UsageError(
        `evaluate ${set.name}: ${task} needs labels; got none. Give a folder per class, or a label column (--label-key).`,
      );
    }
  }
  const strangers = scored.filter((label) => !learned.includes(label));
  if (strangers.length === scored.length) {
    throw new UsageError(
      `evaluate ${dataset.name}: ${task} can only know the classes of ${train.name}; got none of them, e.g. "${strangers[0]}" but "${learned[0]}". Give both parts of one data set.`,
    );
  }
  const labels = [...learned, ...strangers];
  const indexOf = new Map(labels.map((label, i) => [label, i]));
  const part = async (set: Dataset) => labelled(await features.images(set), set, indexOf);
  const parts = { train: await part(train), test: await part(dataset) };
  const lost = parts.test.labels.filter((label) => label >= learned.length).length;
  const unseen = labels.length - scored.length;
  return {
    ...parts,
    classes: learned.length,
    names: labels.map(classNameOf),
    notes: [
      ...(lost === 0
        ? []
        : [
            `${lost} pictures are of ${strangers.length} classes that ${train.name} lacks: wrong whatever is guessed`,
          ]),
      ...(unseen === 0
        ? []
        : [`${unseen} of ${labels.length} classes have no picture among those that are scored`]),
    ],
  };
}

/** Throws `UsageError` where a picture has several right answers, which a task of single labels cannot score. */
export function requireOneAnswer({ dataset, classes }: EvaluationSet, task: string): void {
  const at = classes?.answers.findIndex((right) => right.length > 1) ?? -1;
  if (at < 0) return;
  throw new UsageError(
    `evaluate ${dataset.name}: ${task} needs one right answer a picture; got ${classes!.answers[at]!.length} for ${dataset.sample(at).key}. Score it by zeroshot_classification.`,
  );
}

/** The rows whose samples have one of the labels. */
export function labelled(
  { features, indices }: EmbeddedImages,
  dataset: Dataset,
  indexOf: ReadonlyMap<string, number>,
): LabelledRows {
  const rows: number[] = [];
  const labels: number[] = [];
  for (const [row, sample] of indices.entries()) {
    const { label } = dataset.sample(sample);
    const at = label === undefined ? undefined : indexOf.get(label);
    if (at === undefined) continue;
    rows.push(row);
    labels.push(at);
  }
  const all = allRows(features);
  return {
    features: rows.length === all.rows ? all : rowsAt(all, rows),
    labels: Uint32Array.from(labels),
    samples: Uint32Array.from(rows, (row) => indices[row]!),
  };
}

function* samplesOf(dataset: Dataset): Generator<{ readonly label?: string }> {
  for (let i = 0; i < dataset.length; i++) yield dataset.sample(i);
}
