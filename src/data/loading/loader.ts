/** Training batches, made ahead of time in worker threads; batch k is a pure function of (data, seed, k). */
import { UsageError } from "../../core/errors.js";
import { foldIn, type Key, keyFromSeed } from "../../core/random.js";
import type { Dataset } from "../dataset.js";
import { keepsTheSame, keptBytes, type Pipeline } from "../pixels/pipeline.js";
import { allocateImageCache, ImageCache } from "./cache.js";
import { chooseCaption, dropWords } from "./chance.js";
import { SampleOrder } from "./order.js";
import { openPackedImages, type PackedOptions } from "./packed/open.js";
import { defaultWorkers, WorkerPool } from "./pool.js";

export interface LoaderOptions {
  readonly dataset: Dataset;
  /** Images a batch, B. */
  readonly batchSize: number;
  readonly seed: number;
  readonly pipeline: Pipeline;
  /**
   * Further views of every image, each by a pipeline of its own (`viewPipeline`), decoded once together with
   * `pipeline`; default none.
   */
  readonly views?: readonly Pipeline[];
  /** Worker threads; default: cores - 1, at least 1. */
  readonly workers?: number;
  /** Which of an image's captions: one at random for every drawing (default), or always its first. */
  readonly captions?: "random" | "first";
  /** Share of a caption's words left out of `texts`, never all of them; default 0. */
  readonly captionDropout?: number;
  /** Memory for decoded images, bytes; default 512 MiB; 0 keeps none. */
  readonly memoryLimitBytes?: number;
  /**
   * Keeps images at `pipeline.keepSize` on disk, too, for later epochs and runs, whatever part of the same sources these
   * use; they are found again while sources and preparation are the same. Default: none.
   */
  readonly packed?: PackedOptions | undefined;
  /** Told once of each image that a worker waits for; default a warning of the process. */
  readonly onSlow?: (line: string) => void;
  /** Steps made ahead, default 2. */
  readonly prefetch?: number;
  /**
   * Steps that go over their batches several times: `batches` of them in order, `times` times over, before the next
   * ones. `batch(k)` is then the k-th visit. Default: each batch once.
   */
  readonly revisit?: { readonly batches: number; readonly times: number };
  /** The rows of every batch that are made here, from `start` to before `end`; default all. */
  readonly rows?: BatchRows;
}

/** A part of a batch's rows: `start` and those after it, before `end`. */
export interface BatchRows {
  readonly start: number;
  readonly end: number;
}

export interface SkippedSample {
  readonly index: number;
  readonly key: string;
  readonly reason: string;
}

export interface Batch {
  readonly step: number;
  /** Passes over the data begun before this batch, from 0; with weighted sources, by the total number of samples. */
  readonly epoch: number;
  /** Which of the batch's B rows these are; n = end − start. */
  readonly rows: BatchRows;
  /** [n, size, size, 3] uint8 RGB, in shared memory; valid until `release`. */
  readonly images: Uint8Array;
  /** One of `LoaderOptions.views` each: [n, size, size, 3] uint8 RGB, as `images`. */
  readonly views: readonly Uint8Array[];
  /** [n] sample indices in the data set. */
  readonly indices: Uint32Array;
  /** [n] position of the caption among the sample's captions. */
  readonly captionIndices: Uint32Array;
  /** [n] as they are stored. */
  readonly captions: readonly string[];
  /** [n] what the model is to read: the captions, words left out by `captionDropout`. */
  readonly texts: readonly string[];
  /** [B] captions of the whole batch as if every image could be read: the same on whichever rows are made. */
  readonly planned: readonly string[];
  /** Time that `batch` waited for the workers, milliseconds. */
  readonly waitMs: number;
  /** Unreadable samples for which the next ones in order stand in this batch. */
  readonly skipped: readonly SkippedSample[];
  /** Gives the images' memory back for a later batch. */
  release(): void;
}

export interface LoaderStats {
  readonly cachedImages: number;
  readonly cachedBytes: number;
  /** Every unreadable sample met so far, by index. */
  readonly broken: readonly SkippedSample[];
}

const DEFAULT_MEMORY = 512 * 2 ** 20;
const DEFAULT_PREFETCH = 2;

/**
 * A loader over the samples of `dataset` that have a caption. Throws `UsageError` when there is none, or an option is
 * out of range.
 */
export function createLoader(options: LoaderOptions): Loader {
  return new Loader(options);
}

export class Loader {
  /** Samples drawn in one pass: those with a caption. */
  readonly samplesPerEpoch: number;
  readonly batchSize: number;
  private readonly dataset: Dataset;
  /** The image's, then the further views'. */
  private readonly pipelines: readonly Pipeline[];
  private readonly captions: "random" | "first";
  private readonly captionDropout: number;
  private readonly prefetch: number;
  private readonly rows: BatchRows;
  private readonly revisit: { readonly batches: number; readonly times: number };
  private readonly order: SampleOrder;
  private readonly augmentKey: Key;
  private readonly captionKey: Key;
  private readonly pool: WorkerPool;
  private readonly cache: ImageCache | undefined;
  private readonly broken = new Map<number, SkippedSample>();
  private readonly pending = new Map<number, Promise<Omit<Batch, "waitMs">>>();
  private readonly freeBuffers: SharedArrayBuffer[][] = [];

  constructor(options: LoaderOptions) {
    const { dataset, batchSize, seed, pipeline, prefetch = DEFAULT_PREFETCH } = options;
    if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
      throw new UsageError(`loader: batchSize is a whole number ≥ 1; got batchSize=${batchSize}.`);
    }
    if (!(Number.isSafeInteger(seed) && seed >= 0)) {
      throw new UsageError(`loader: seed is a whole number ≥ 0; got seed=${seed}.`);
    }
    if (!(Number.isInteger(prefetch) && prefetch >= 0 && prefetch <= 64)) {
      throw new UsageError(`loader: prefetch is a whole number of steps 0 … 64; got prefetch=${prefetch}.`);
    }
    const { captionDropout = 0, views = [] } = options;
    if (!(captionDropout >= 0 && captionDropout < 1)) {
      throw new UsageError(
        `loader: captionDropout is a share from 0 to below 1; got captionDropout=${captionDropout}.`,
      );
    }
    for (const [i, view] of views.entries()) {
      if (keepsTheSame(pipeline, view)) continue;
      throw new UsageError(
        `loader: views start from the same training image; got views[${i}] with another keepSize, resize, filter, transparency, orientation or fill, or without augmentation. Make it with viewPipeline(pipeline, policy).`,
      );
    }
    const memoryLimitBytes = options.memoryLimitBytes ?? DEFAULT_MEMORY;
    if (!(memoryLimitBytes >= 0 && memoryLimitBytes <= 2 ** 36)) {
      throw new UsageError(
        `loader: memoryLimitBytes is 0 … 64 GiB; got memoryLimitBytes=${memoryLimitBytes}.`,
      );
    }
    const rows = options.rows ?? { start: 0, end: batchSize };
    if (!(rows.start >= 0 && rows.start <= rows.end && rows.end <= batchSize)) {
      throw new UsageError(
        `loader: rows must lie in the batch; got ${rows.start} … ${rows.end} of batchSize=${batchSize}.`,
      );
    }
    this.dataset = dataset;
    this.rows = rows;
    this.revisit = options.revisit ?? { batches: 1, times: 1 };
    this.batchSize = batchSize;
    this.pipelines = [pipeline, ...views];
    this.captionDropout = captionDropout;
    this.prefetch = prefetch;
    this.captions = options.captions ?? "random";
    const key = keyFromSeed(seed);
    this.augmentKey = foldIn(key, "augment");
    this.captionKey = foldIn(key, "caption");
    const sources = orderedSources(dataset);
    this.samplesPerEpoch = sources.reduce((sum, source) => sum + source.indices.length, 0);
    this.order = new SampleOrder(sources, key);
    const memory =
      memoryLimitBytes === 0
        ? undefined
        : allocateImageCache(dataset.length, memoryLimitBytes, keptBytes(pipeline));
    this.cache = memory === undefined ? undefined : new ImageCache(memory);
    const { pipelines } = this;
    const { packed, workers = defaultWorkers() } = options;
    if (packed !== undefined && pipeline.keepSize === undefined) {
      throw new UsageError(
        "loader: packed keeps images of one size; got packed without keepSize. Set keepSize, somewhat above size.",
      );
    }
    this.pool = new WorkerPool(
      {
        images: dataset.images,
        pipelines,
        ...(memory === undefined ? {} : { cache: memory }),
        ...(packed && { packed: openPackedImages(dataset.images, pipeline, packed) }),
      },
      workers,
      options.onSlow && { onSlow: options.onSlow },
    );
  }

  /**
   * The batch of `step` (from 0). Later steps are begun in the background. Throws `UsageError` when no sample of a
   * source can be read, `InternalError` when a worker ends.
   */
  async batch(step: number): Promise<Batch> {
    if (!(Number.isSafeInteger(step) && step >= 0)) {
      throw new UsageError(`loader: step is a whole number ≥ 0; got step=${step}.`);
    }
    const start = performance.now();
    for (const [other, stale] of this.pending) {
      if (other >= step && other <= step + this.prefetch) continue;
      this.pending.delete(other);
      stale.then(
        (batch) => batch.release(),
        () => undefined,
      );
    }
    for (let s = step; s <= step + this.prefetch; s++) {
      if (this.pending.has(s)) continue;
      const made = this.prepare(this.visited(s));
      made.catch(() => undefined); // reported when its step is asked for
      this.pending.set(s, made);
    }
    const wanted = this.pending.get(step)!;
    this.pending.delete(step);
    const batch = await this.pool.hold(wanted);
    return { ...batch, waitMs: performance.now() - start };
  }

  stats(): LoaderStats {
    const broken = [...this.broken.values()].sort((a, b) => a.index - b.index);
    return { cachedImages: this.cache?.count ?? 0, cachedBytes: this.cache?.sizeBytes ?? 0, broken };
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    this.pending.clear();
    await this.pool.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The batch of a visit. */
  private visited(visit: number): number {
    const { batches, times } = this.revisit;
    return Math.floor(visit / (batches * times)) * batches + (visit % batches);
  }

  private async prepare(step: number): Promise<Omit<Batch, "waitMs">> {
    const { start, end } = this.rows;
    const n = end - start;
    const planned = this.plan(step);
    const firstPosition = step * this.batchSize + start;
    const buffers =
      this.freeBuffers.pop() ?? this.pipelines.map(({ size }) => new SharedArrayBuffer(n * size ** 2 * 3));
    const drawn: Drawn = { indices: new Uint32Array(n), passes: new Uint32Array(n) };
    const { indices, passes } = drawn;
    const attempts = new Uint32Array(n);
    const skipped = new Map<number, SkippedSample>();
    let open = Array.from({ length: n }, (_, place) => place);
    while (open.length > 0) {
      for (const place of open) this.choose(firstPosition + place, attempts, place, drawn, skipped);
      open = await this.fill(buffers, drawn, open);
    }
    const chosen = Array.from(indices, (index, place) => this.captionOf(index, passes[place]!));
    const texts = chosen.map(({ caption }, place) =>
      this.captionDropout === 0
        ? caption
        : dropWords(caption, this.captionDropout, this.captionKey, indices[place]!, passes[place]!),
    );
    const [images, ...views] = buffers.map((buffer) => new Uint8Array(buffer));
    let held = true;
    return {
      step,
      epoch: Math.floor((step * this.batchSize) / this.samplesPerEpoch),
      rows: this.rows,
      images: images!,
      views,
      indices,
      captionIndices: Uint32Array.from(chosen, ({ nth }) => nth),
      captions: chosen.map(({ caption }) => caption),
      texts,
      planned,
      skipped: [...skipped.values()].sort((a, b) => a.index - b.index),
      release: () => {
        if (held) this.freeBuffers.push(buffers);
        held = false;
      },
    };
  }

  /** The caption of a sample in a pass over its source, and its place among the sample's. */
  private captionOf(index: number, pass: number): { nth: number; caption: string } {
    const own = this.dataset.sample(index).captions;
    const chosen = this.captions === "random" && own.length > 1;
    const nth = chosen ? chooseCaption(this.captionKey, index, pass, own.length) : 0;
    return { nth, caption: own[nth]! };
  }

  /** Captions of the whole batch of `step`, broken images or not. */
  private plan(step: number): string[] {
    return Array.from({ length: this.batchSize }, (_, row) => {
      const { source, nth } = this.order.locate(step * this.batchSize + row);
      const pass = Math.floor(nth / this.order.size(source));
      return this.captionOf(this.order.draw(source, nth), pass).caption;
    });
  }

  /** Sets the sample of a position: the first readable one from its place in the source's order on. */
  private choose(
    position: number,
    attempts: Uint32Array,
    place: number,
    drawn: Drawn,
    skipped: Map<number, SkippedSample>,
  ): void {
    const { source, nth } = this.order.locate(position);
    const size = this.order.size(source);
    for (;;) {
      const at = nth + attempts[place]!;
      const index = this.order.draw(source, at);
      const broken = this.broken.get(index);
      if (broken === undefined) {
        drawn.indices[place] = index;
        drawn.passes[place] = Math.floor(at / size);
        return;
      }
      skipped.set(index, broken);
      attempts[place]!++;
      if (attempts[place]! >= 2 * size) {
        throw new UsageError(
          `loader: no image of "${this.dataset.name}" can be read; the last is ${broken.key}: ${broken.reason} Look at the data with clipwright inspect.`,
        );
      }
    }
  }

  /** Draws the rows `places`; gives back those whose image turned out broken. */
  private async fill(
    buffers: readonly SharedArrayBuffer[],
    { indices, passes }: Drawn,
    places: readonly number[],
  ): Promise<number[]> {
    const chunk = Math.max(8, Math.ceil(places.length / (2 * this.pool.workers)));
    const replies = [];
    for (let start = 0; start < places.length; start += chunk) {
      const part = places.slice(start, start + chunk);
      replies.push(
        this.pool.run({
          kind: "fill",
          buffers,
          key: this.augmentKey,
          places: part,
          indices: part.map((place) => indices[place]!),
          passes: part.map((place) => passes[place]!),
        }),
      );
    }
    const again: number[] = [];
    for (const reply of await Promise.all(replies)) {
      for (const { place, index, reason } of reply.broken ?? []) {
        this.broken.set(index, { index, key: this.dataset.sample(index).key, reason });
        again.push(place);
      }
    }
    return again;
  }
}

/** [B] each: the sample of every row, and which pass over its source this is. */
interface Drawn {
  readonly indices: Uint32Array;
  readonly passes: Uint32Array;
}

/** The samples with a caption, a source each where sources are weighted, else all together. */
function orderedSources(dataset: Dataset): { indices: Uint32Array; weight: number }[] {
  const captioned = (start: number, length: number): Uint32Array => {
    const indices = new Uint32Array(length);
    let count = 0;
    for (let i = start; i < start + length; i++) {
      if (dataset.sample(i).captions.length > 0) indices[count++] = i;
    }
    return indices.slice(0, count);
  };
  const weighted = dataset.sources.every((source) => source.weight !== undefined);
  const ranges =
    weighted && dataset.sources.length > 0
      ? dataset.sources
      : [{ name: dataset.name, start: 0, length: dataset.length, weight: 1 }];
  return ranges.map(({ name, start, length, weight = 1 }) => {
    const indices = captioned(start, length);
    if (indices.length === 0) {
      throw new UsageError(
        `loader: no sample of "${name}" has a caption; got ${length} samples. Run inspect on it.`,
      );
    }
    return { indices, weight };
  });
}
