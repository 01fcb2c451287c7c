/** What probes learn from and are scored on: features with their classes. */

import { UsageError } from "../../core/errors.js";
import { classNameOf, labelsOf } from "../../data/class-names.js";
import type { Dataset } from "../../data/dataset.js";
import { allRows, type EmbeddedImages } from "../features/source.js";
import type { Rows } from "../linear/cholesky.js";
import { rowsAt } from "../linear/logistic.js";
import type { TaskContext } from "./task.js";

/** Embedded images with labels: row i is sample `samples[i]`, of class `labels[i]`. */
export interface LabelledRows {
  readonly features: Rows;
  readonly labels: Uint32Array;
  readonly samples: Uint32Array;
}

export interface ProbeData {
  readonly train: LabelledRows;
  readonly test: LabelledRows;
  /** All classes that are right of each scored row, its label first. */
  readonly answers: readonly (readonly number[])[];
  /** The learned classes that can be guessed, ascending; undefined: all. */
  readonly allowed: Uint32Array | undefined;
  /** How many classes there are to learn: those of the training part, which come first. */
  readonly classes: number;
  /** The labels of the training part in order, then others of the scored part, as words; a class is its place here. */
  readonly names: readonly string[];
  readonly notes: readonly string[];
}

/**
 * The training part and the scored part of a probe, each embedded once. Of a set whose classes are known the others are masked:
 * they cannot be guessed. Images of classes that the training part lacks cannot be right; they are counted, and told. Throws `UsageError` where a part or its labels are missing, or none is in both.
 */
export async function probeData({ features, data }: TaskContext, task: string): Promise<ProbeData> {
  const { dataset, train, classes: known } = data;
  if (train === undefined) {
    throw new UsageError(
      `evaluate ${dataset.name}: ${task} needs labelled images to learn from, apart from those that are scored; got none. Give --probe-data SOURCE.`,
    );
  }
  const learned = labelsOf(samplesOf(train));
  const scored = known?.labels ?? labelsOf(samplesOf(dataset));
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
  const part = async (set: Dataset, labelOf = (sample: number) => set.sample(sample).label) =>
    labelled(await features.images(set), labelOf, indexOf);
  const labelOf = known && ((sample: number) => known.labels[known.answers[sample]![0]!]);
  const parts = { train: await part(train), test: await part(dataset, labelOf) };
  const places = known?.labels.map((label) => indexOf.get(label)!);
  const answers = Array.from(parts.test.samples, (sample, row) =>
    places === undefined ? [parts.test.labels[row]!] : known!.answers[sample]!.map((c) => places[c]!),
  );
  const allowed = places?.filter((c) => c < learned.length).sort((a, b) => a - b);
  const lost = answers.filter((right) => right.every((c) => c >= learned.length)).length;
  const unseen = known === undefined ? labels.length - scored.length : 0;
  return {
    ...parts,
    answers,
    allowed: allowed && Uint32Array.from(allowed),
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

/** The rows whose samples have one of the labels. */
function labelled(
  { features, indices }: EmbeddedImages,
  labelOf: (sample: number) => string | undefined,
  indexOf: ReadonlyMap<string, number>,
): LabelledRows {
  const rows: number[] = [];
  const labels: number[] = [];
  for (const [row, sample] of indices.entries()) {
    const label = labelOf(sample);
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
