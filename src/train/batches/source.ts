/** What the batches of a run are made of, and what a step takes of one. */

import { foldIn, keyFromSeed } from "../../core/random.js";
import type { Batch, Loader } from "../../data/index.js";
import type { Tokenizer } from "../../data/tokenizer/tokenizer.js";
import { drawNoise } from "../../nn/noise.js";
import type { Picker } from "../pick/picker.js";
import type { HostBatch } from "../step/runner.js";
import type { BatchParts } from "../step/two-pass-runner.js";
import type { Strategy } from "../strategies/strategy.js";
import type { Loaders } from "./loaders.js";

export interface BatchesOptions {
  readonly loaders: Loaders;
  readonly tokenizer: Pick<Tokenizer, "contextLength" | "encodeBatch" | "withContextLength">;
  readonly seed: number;
  readonly batchSize: number;
  /** Rows that the loader makes at once, where a batch is read in parts. */
  readonly microBatch?: number | undefined;
  /** Picks each batch from a larger one, which is then what the loader makes, or makes parts of. Default: takes what comes. */
  readonly picker?: Picker | undefined;
  /** Told of every batch that the loader has made. */
  readonly onLoaded: (batch: Batch) => void;
}

export type Encoder = Pick<Tokenizer, "encodeBatch">;

/** A batch while its step is made. Close it when the engine has taken it. */
export interface StepBatch extends BatchParts {
  /** All of this process's rows at once; only where the batch is not read in parts. */
  whole(): Promise<HostBatch>;
  readonly epoch: number;
  /** Samples of this process's rows. */
  readonly indices: Uint32Array;
  /** Share of the batch's captions that another row has too. */
  readonly duplicateCaptionShare: number;
  /** Time spent waiting for data, seconds. */
  readonly waited: number;
  close(): void;
}

/** What a batch is made of. */
export interface BatchSource {
  readonly loader: Loader;
  readonly tokenizer: Encoder;
  readonly step: number;
  readonly strategy: Strategy;
}

/** What rows from `first` on draw, the same in each pass, and what the loss has of them beside what is encoded. */
export function drawnOf(
  { strategy, step }: Pick<BatchSource, "strategy" | "step">,
  seed: number,
  { indices, captions }: Pick<Batch, "indices" | "captions">,
  rows: number,
  first: number,
): Pick<HostBatch, "noise" | "extra"> {
  const key = foldIn(keyFromSeed(seed), "step", step);
  const extra = Object.entries(strategy.extra ?? {}).map(([name, each]) => [
    name,
    each.rows(indices, captions),
  ]);
  return { noise: drawNoise(strategy.noise, key, rows, first), extra: Object.fromEntries(extra) };
}
