/** What passes between the trainer and those who call it: the command line, a study, a test. */

import type { Recipe } from "./recipe/recipe.js";

/** One optimizer step, as the trainer saw it. */
export interface StepReport {
  /** Steps done, this one included. */
  readonly step: number;
  /** Undefined while a time-limited run is measured. */
  readonly totalSteps: number | undefined;
  readonly samplesSeen: number;
  readonly loss: number;
  readonly lr: number;
  /** Inverse temperature, not its logarithm. */
  readonly logitScale: number;
  /** Norm of all gradients before clipping. */
  readonly gradNorm: number;
  /** The whole step, and the part of it spent waiting for data. */
  readonly stepSeconds: number;
  readonly dataSeconds: number;
  /** Share of the batch whose caption another image of the batch has too. */
  readonly duplicateCaptionShare: number;
}

/** What a run turned out to be before its first step. */
export interface RunStart {
  readonly folder: string;
  readonly recipe: Recipe;
  /** Steps done earlier; 0 for a new run. */
  readonly step: number;
  readonly totalSteps: number | undefined;
  readonly warmupSteps: number;
  /** On the model and the data, for people; its parts are joined by "; ". */
  readonly description: string;
}

/** A line of `evaluation.jsonl`. */
export interface ScoreLine {
  readonly step?: number;
  /** Part of the data set, e.g. `val`. */
  readonly split?: string;
  readonly dataset: string;
  readonly task: string;
  readonly metric: string;
  readonly value: number;
  /** Bootstrap 95 % interval. */
  readonly low: number;
  readonly high: number;
  readonly n: number;
  /** What guessing gives. */
  readonly chance?: number;
}

export interface TrainHooks {
  /** Called once, before the first step. */
  onStart?(start: RunStart): void;
  /** Called after every step. */
  onStep?(report: StepReport): void;
  /** A `warning` says what is wrong, in words; a `note` what is going on. */
  onMessage?(text: string, kind: "note" | "warning"): void;
  /** Called with the scores of each evaluation. */
  onEvaluation?(lines: readonly ScoreLine[]): void;
  /** Called when a checkpoint is on the disk. */
  onCheckpoint?(step: number, path: string): void;
  /** When aborted, the trainer finishes its step, saves a checkpoint, and returns. */
  readonly signal?: AbortSignal;
  /** After so many steps of the run it stops as by `signal`: saved, and continued by the same recipe. */
  readonly stopAfter?: number;
  /**
   * When aborted, the run ends within the recipe's `grace`: a run of `const-cooldown` cools down and is finished, any
   * other stops as by `signal`.
   */
  readonly finish?: AbortSignal;
}

export interface TrainResult {
  readonly folder: string;
  readonly step: number;
  readonly totalSteps: number;
  readonly samplesSeen: number;
  /** Wall-clock time of training, all sittings together. */
  readonly seconds: number;
  /** Mean over the last logged steps. */
  readonly loss: number;
  /** False when the signal stopped it early; the same command continues it. */
  readonly finished: boolean;
  /** The last scores. */
  readonly evaluation: readonly ScoreLine[];
}

/** `train` of the typed API. */
export type TrainFunction = (recipe: Recipe, hooks?: TrainHooks) => Promise<TrainResult>;
