/** What a task is: something that a model can be scored by, told and computed in one record. */

import type { Question } from "../../data/choices.js";
import type { ClassNames } from "../../data/class-names.js";
import type { Dataset } from "../../data/dataset.js";
import type { FeatureSource } from "../features/source.js";
import type { BootstrapOptions, Interval } from "../statistics/bootstrap.js";

/** One number that a task gives. */
export interface Metric {
  /** In `evaluation.jsonl`; CLIP_benchmark's where it has one. */
  readonly name: string;
  /** For people: `top-1`. */
  readonly words: string;
  readonly doc: string;
  /** A share in 0…1 is told in percent, a rank counts from 1, a number is told as it is. */
  readonly kind: "share" | "rank" | "number";
  readonly better: "higher" | "lower";
}

/** What a task asks of the data. `train`: a labelled part to learn from, apart from what is scored. */
export type Need = "labels" | "captions" | "train" | "choices";

/** The classes of a set whose labels alone do not tell them. */
export interface KnownClasses {
  /** Names of each class; several are synonyms. Only these classes can be guessed. */
  readonly names: readonly (readonly string[])[];
  /** What training parts call each class. */
  readonly labels: readonly string[];
  /** What is right for each sample, as positions in `names`, its own class first; one without any is not scored. */
  readonly answers: readonly (readonly number[])[];
  readonly notes: readonly string[];
}

/** The data that are scored, and what belongs to them. */
export interface EvaluationSet {
  readonly dataset: Dataset;
  /** Class names, or the file of them as `loadClassNames` reads it; default: the labels. */
  readonly classnames?: string | ClassNames | undefined;
  /** Stands for the labels and `classnames` where it is given. */
  readonly classes?: KnownClasses | undefined;
  /** A template set's name, a file, or the templates; default `simple`. */
  readonly templates?: string | readonly string[] | undefined;
  /** Labelled images that probes learn from. */
  readonly train?: Dataset | undefined;
  /** Questions on the set's pictures, for choices between captions. */
  readonly questions?: readonly Question[] | undefined;
}

export interface TaskContext {
  readonly features: FeatureSource;
  readonly data: EvaluationSet;
  readonly bootstrap?: BootstrapOptions | undefined;
}

export interface TaskScore {
  /** Name of one of the task's metrics. */
  readonly metric: string;
  readonly score: Interval;
  /** What guessing gives, in the metric's unit; left out where there is no such thing. */
  readonly chance?: number;
  /**
   * What was averaged, for paired comparisons of runs: one value an item, the sample that each item belongs to, and what items
   * count where they do not count alike.
   */
  readonly items?: {
    readonly values: Float64Array;
    readonly samples: Uint32Array;
    readonly weights?: Float64Array;
  };
}

export interface TaskOutcome<Details = unknown> {
  readonly scores: readonly TaskScore[];
  /** What a person must know to read the scores: texts that were cut, classes that cannot be told apart. */
  readonly notes: readonly string[];
  /** What reports show besides. */
  readonly details: Details;
}

export interface Task<Details = unknown> {
  /** In `evaluation.jsonl`; CLIP_benchmark's where it has one. */
  readonly name: string;
  /** One sentence: what is asked of the model. */
  readonly doc: string;
  /** How it is computed, with every convention that moves a number. */
  readonly how: string;
  /** Where the protocol is from. */
  readonly source: string;
  readonly needs: readonly Need[];
  readonly metrics: readonly Metric[];
  /** Throws `UsageError` where the data lack what the task needs. */
  run(context: TaskContext): Promise<TaskOutcome<Details>>;
}
