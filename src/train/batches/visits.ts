/** A batch's parts as the loader makes them, one held at a time. */

import { UsageError } from "../../core/errors.js";
import type { Batch, Loader } from "../../data/index.js";

/** How often the loader makes how many parts of what a step reads. */
export interface Reading {
  readonly parts: number;
  readonly passes: number;
}

/** `rows` at once, and once; or in parts of `microBatch`, twice over. */
export const readingOf = (rows: number, microBatch: number | undefined): Reading =>
  microBatch === undefined ? { parts: 1, passes: 1 } : { parts: rows / microBatch, passes: 2 };

export class Visits {
  private held: Batch | undefined;
  private visits = 0;
  private waitedMs = 0;
  private firstEpoch = 0;
  /** Samples of each part in the first pass. */
  private readonly samples: Uint32Array[] = [];

  constructor(
    private readonly source: { readonly loader: Loader; readonly step: number },
    private readonly reading: Reading,
    private readonly onLoaded: (batch: Batch) => void,
  ) {}

  /** The next part, which is valid until the one after it is asked for: all in order, then all once more. */
  async next(): Promise<Batch> {
    this.close();
    const { loader, step } = this.source;
    const { parts, passes } = this.reading;
    const batch = await loader.batch(step * parts * passes + this.visits);
    this.held = batch;
    if (this.visits === 0) this.firstEpoch = batch.epoch;
    const seen = this.samples[this.visits - parts];
    if (seen === undefined) this.samples.push(batch.indices);
    else if (seen.some((sample, row) => sample !== batch.indices[row])) {
      throw new UsageError(
        `data: an image must be readable in both passes over its batch; got other samples in the second, in step ${step + 1}. Check the disk; the same command continues from the last checkpoint.`,
      );
    }
    this.visits++;
    this.waitedMs += batch.waitMs;
    this.onLoaded(batch);
    return batch;
  }

  /** Passes over the data begun before the first part. */
  get epoch(): number {
    return this.firstEpoch;
  }
  /** Time spent waiting for data, seconds. */
  get waited(): number {
    return this.waitedMs / 1000;
  }

  close(): void {
    this.held?.release();
    this.held = undefined;
  }
}
