/** From the loader's rows to what a step takes: a batch at once, or in parts that are read once for each pass. */

import { UsageError } from "../../core/errors.js";
import { foldIn, keyFromSeed } from "../../core/random.js";
import type { Batch, Loader } from "../../data/index.js";
import type { Tokenizer } from "../../data/tokenizer/tokenizer.js";
import { drawNoise } from "../../nn/noise.js";
import type { Phase } from "../schedule/phases.js";
import type { HostBatch } from "../step/runner.js";
import type { BatchParts } from "../step/two-pass-runner.js";
import type { Strategy } from "../strategies/strategy.js";
import { captionIds, hostBatch, repeatedShare } from "./host-batch.js";
import type { Loaders } from "./loaders.js";

export interface BatchesOptions {
  readonly loaders: Loaders;
  readonly tokenizer: Pick<Tokenizer, "contextLength" | "encodeBatch" | "withContextLength">;
  readonly seed: number;
  /** Parts of a batch, each a batch of the loader's; 1: it is read at once, and once. */
  readonly parts: number;
  /** Told of every batch that the loader has made. */
  readonly onLoaded: (batch: Batch) => void;
}

/** Passes over the parts of a batch. */
export const PASSES = 2;

type Encoder = Pick<Tokenizer, "encodeBatch">;

/** The batches of a run's steps. */
export class Batches {
  /** By context length. */
  private readonly tokenizers: ReadonlyMap<number, Encoder>;

  /**
   * @param phases those of the run. Throws `UsageError` where the tokenizer cannot make such short texts: shorter rows
   *   lack words at the end, and keep the tokens that begin and end a text.
   */
  constructor(
    private readonly options: BatchesOptions,
    phases: readonly Pick<Phase, "contextLength">[],
  ) {
    const { tokenizer } = options;
    this.tokenizers = new Map(
      phases.map(({ contextLength: T }) => [
        T,
        T === tokenizer.contextLength ? tokenizer : tokenizer.withContextLength(T),
      ]),
    );
  }

  /** The batch of the step after `step` steps, as `phase` takes it. */
  async open(step: number, phase: Phase): Promise<OpenBatch> {
    const loader = await this.options.loaders.at(phase.imageSize);
    return new OpenBatch(this.options, {
      loader,
      tokenizer: this.tokenizers.get(phase.contextLength)!,
      step,
      strategy: phase.strategy,
    });
  }
}

interface BatchSource {
  readonly loader: Loader;
  readonly tokenizer: Encoder;
  readonly step: number;
  readonly strategy: Strategy;
}

/** A batch while its step is made. Close it when the engine has taken it. */
export class OpenBatch implements BatchParts {
  private held: Batch | undefined;
  private visits = 0;
  private waitedMs = 0;
  private firstEpoch = 0;
  private readonly samples: Uint32Array[] = [];
  private readonly captions: (readonly string[])[] = [];
  private readonly idOf = new Map<string, number>();
  private shareOfWhole: number | undefined;

  constructor(
    private readonly options: Pick<BatchesOptions, "seed" | "parts" | "onLoaded">,
    private readonly source: BatchSource,
  ) {}

  /** All of this process's rows at once; only where the batch has one part. */
  async whole(): Promise<HostBatch> {
    const batch = await this.load(this.source.step);
    const { host, duplicateCaptionShare } = hostBatch(batch, this.source.tokenizer);
    this.samples.push(batch.indices);
    this.shareOfWhole = duplicateCaptionShare;
    const { start, end } = batch.rows;
    return { ...host, noise: this.noise(end - start, start), extra: this.extraOf(batch) };
  }

  async part(index: number): Promise<HostBatch> {
    const { parts } = this.options;
    const { tokenizer, step } = this.source;
    const batch = await this.load(step * parts * PASSES + this.visits);
    const rows = batch.indices.length;
    const seen = this.samples[index];
    if (seen === undefined) {
      this.samples.push(batch.indices);
      this.captions.push(batch.captions);
    } else if (seen.some((sample, row) => sample !== batch.indices[row])) {
      throw new UsageError(
        `data: an image must be readable in both passes over its batch; got other samples in the second, in step ${step + 1}. Check the disk; the same command continues from the last checkpoint.`,
      );
    }
    const textIds = captionIds(batch.captions, this.idOf, index * rows);
    return {
      images: batch.images,
      views: batch.views,
      tokens: tokenizer.encodeBatch(batch.texts),
      imageIds: Int32Array.from(batch.indices),
      textIds,
      noise: this.noise(rows, index * rows),
      extra: this.extraOf(batch),
    };
  }

  get epoch(): number {
    return this.firstEpoch;
  }
  /** Samples of this process's rows. */
  get indices(): Uint32Array {
    return Uint32Array.from(this.samples.flatMap((part) => [...part]));
  }
  /** Share of the batch's captions that another row has too. */
  get duplicateCaptionShare(): number {
    return this.shareOfWhole ?? repeatedShare(this.captions.flat());
  }
  /** Time spent waiting for data, seconds. */
  get waited(): number {
    return this.waitedMs / 1000;
  }

  close(): void {
    this.held?.release();
    this.held = undefined;
  }

  private async load(visit: number): Promise<Batch> {
    this.close();
    const batch = await this.source.loader.batch(visit);
    this.held = batch;
    if (this.visits === 0) this.firstEpoch = batch.epoch;
    this.visits++;
    this.waitedMs += batch.waitMs;
    this.options.onLoaded(batch);
    return batch;
  }

  /** What the loss has of these rows beside what is encoded. */
  private extraOf({ indices, captions }: Batch): Record<string, Float32Array> {
    const { extra = {} } = this.source.strategy;
    return Object.fromEntries(
      Object.entries(extra).map(([name, each]) => [name, each.rows(indices, captions)]),
    );
  }

  /** What rows from `first` on draw: the same in each pass. */
  private noise(rows: number, first: number) {
    const key = foldIn(keyFromSeed(this.options.seed), "step", this.source.step);
    return drawNoise(this.source.strategy.noise, key, rows, first);
  }
}
