/** From the loader's rows to what a step takes: a batch at once, or in parts that are read once for each pass. */

import type { Phase } from "../schedule/phases.js";
import type { HostBatch } from "../step/runner.js";
import { captionIds, hostBatch, repeatedShare } from "./host-batch.js";
import { PickedBatch } from "./picked.js";
import { type BatchesOptions, type BatchSource, drawnOf, type Encoder, type StepBatch } from "./source.js";
import { readingOf, Visits } from "./visits.js";

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
  async open(step: number, phase: Phase): Promise<StepBatch> {
    const { picker } = this.options;
    const loader = await this.options.loaders.at(phase.imageSize);
    const tokenizer = this.tokenizers.get(phase.contextLength)!;
    const source: BatchSource = { loader, tokenizer, step, strategy: phase.strategy };
    if (picker === undefined) return new OpenBatch(this.options, source);
    await picker.follow(phase);
    return PickedBatch.open(this.options, source, picker);
  }
}

/** A batch of the samples that come. */
class OpenBatch implements StepBatch {
  private readonly visits: Visits;
  private readonly samples: Uint32Array[] = [];
  private readonly captions: (readonly string[])[] = [];
  private readonly idOf = new Map<string, number>();
  private shareOfWhole: number | undefined;

  constructor(
    private readonly options: Pick<BatchesOptions, "seed" | "microBatch" | "batchSize" | "onLoaded">,
    private readonly source: BatchSource,
  ) {
    const { batchSize, microBatch, onLoaded } = options;
    this.visits = new Visits(source, readingOf(batchSize, microBatch), onLoaded);
  }

  async whole(): Promise<HostBatch> {
    const batch = await this.visits.next();
    const { host, duplicateCaptionShare } = hostBatch(batch, this.source.tokenizer);
    this.samples.push(batch.indices);
    this.shareOfWhole = duplicateCaptionShare;
    const { start, end } = batch.rows;
    return { ...host, ...drawnOf(this.source, this.options.seed, batch, end - start, start) };
  }

  async part(index: number): Promise<HostBatch> {
    const batch = await this.visits.next();
    const rows = batch.indices.length;
    if (this.samples[index] === undefined) {
      this.samples.push(batch.indices);
      this.captions.push(batch.captions);
    }
    return {
      images: batch.images,
      views: batch.views,
      tokens: this.source.tokenizer.encodeBatch(batch.texts),
      imageIds: Int32Array.from(batch.indices),
      textIds: captionIds(batch.captions, this.idOf, index * rows),
      ...drawnOf(this.source, this.options.seed, batch, rows, index * rows),
    };
  }

  get epoch(): number {
    return this.visits.epoch;
  }
  get indices(): Uint32Array {
    return Uint32Array.from(this.samples.flatMap((part) => [...part]));
  }
  get duplicateCaptionShare(): number {
    return this.shareOfWhole ?? repeatedShare(this.captions.flat());
  }
  get waited(): number {
    return this.visits.waited;
  }

  close(): void {
    this.visits.close();
  }
}
