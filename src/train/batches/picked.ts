/**
 * A batch that is picked from a super-batch. Where batches have parts the super-batch is read part by part, once to judge its
 * pairs and once to take those that were chosen; the batch itself is in memory then.
 */

import type { Batch } from "../../data/index.js";
import type { Picker } from "../pick/picker.js";
import type { HostBatch } from "../step/runner.js";
import { captionIds, repeatedShare } from "./host-batch.js";
import { type BatchesOptions, type BatchSource, drawnOf, type StepBatch } from "./source.js";
import { type Reading, readingOf, Visits } from "./visits.js";

/** What is kept of the super-batch's rows. */
interface Rows {
  readonly samples: Uint32Array;
  readonly captions: readonly string[];
  /** i32[S,T] */
  readonly tokens: Int32Array;
}

/** Rows of pixels that a batch brings: the images, then each further view. */
type Pixels = readonly Uint8Array[];

export class PickedBatch implements StepBatch {
  private constructor(
    private readonly options: Pick<BatchesOptions, "seed" | "microBatch" | "batchSize">,
    private readonly source: BatchSource,
    private readonly rows: Rows & { readonly pixels: Pixels },
    readonly waited: number,
  ) {}

  /** Reads the super-batch of the source's step, and picks. */
  static async open(options: BatchesOptions, source: BatchSource, picker: Picker): Promise<PickedBatch> {
    const { seed, microBatch, batchSize } = options;
    const { superBatch } = picker.options;
    const reading = readingOf(superBatch, microBatch);
    const visits = new Visits(source, reading, options.onLoaded);
    try {
      const { candidates, first } = await judgeable(visits, reading, source, picker);
      const chosen = await picker.pick(source.step, {
        ...candidates,
        imageIds: Int32Array.from(candidates.samples),
        textIds: captionIds(candidates.captions, new Map(), 0),
        texts: await picker.embedTexts(candidates.tokens),
      });
      const pixels = await take(visits, reading, chosen, first);
      return new PickedBatch(
        { seed, microBatch, batchSize },
        source,
        { ...rowsAt(candidates, chosen), pixels },
        visits.waited,
      );
    } finally {
      visits.close();
    }
  }

  whole = async (): Promise<HostBatch> => this.between(0, this.options.batchSize);

  async part(index: number): Promise<HostBatch> {
    const { batchSize, microBatch = batchSize } = this.options;
    return this.between(index * microBatch, (index + 1) * microBatch);
  }

  private between(start: number, end: number): HostBatch {
    const { samples, captions, tokens, pixels } = this.rows;
    const B = this.options.batchSize;
    const cut = <T extends Uint8Array | Int32Array | Uint32Array>(rows: T): T =>
      rows.slice((start * rows.length) / B, (end * rows.length) / B) as T;
    const [images, ...views] = pixels.map(cut);
    const own = { indices: cut(samples), captions: captions.slice(start, end) };
    return {
      images: images!,
      views,
      tokens: cut(tokens),
      imageIds: Int32Array.from(own.indices),
      textIds: cut(captionIds(captions, new Map(), 0)),
      ...drawnOf(this.source, this.options.seed, own, end - start, start),
    };
  }

  /** By the pairs that were trained on. */
  get epoch(): number {
    const { step, loader } = this.source;
    return Math.floor((step * this.options.batchSize) / loader.samplesPerEpoch);
  }
  get indices(): Uint32Array {
    return this.rows.samples;
  }
  get duplicateCaptionShare(): number {
    return repeatedShare(this.rows.captions);
  }

  close(): void {}
}

/** Reads all candidates once, with the learner's vectors of their images; `first` is held where it is all there is. */
async function judgeable(visits: Visits, { parts }: Reading, { tokenizer }: BatchSource, picker: Picker) {
  const samples: number[] = [];
  const captions: string[] = [];
  const tokens: Int32Array[] = [];
  const images: Float32Array[] = [];
  let first: Batch | undefined;
  for (let part = 0; part < parts; part++) {
    first = await visits.next();
    samples.push(...first.indices);
    captions.push(...first.captions);
    tokens.push(tokenizer.encodeBatch(first.texts));
    images.push(await picker.embedImages(first.images));
  }
  const candidates = {
    samples: Uint32Array.from(samples),
    captions,
    tokens: joined(tokens, Int32Array),
    images: joined(images, Float32Array),
  };
  return { candidates, first: first! };
}

/** The pixels of the chosen rows, ascending. */
async function take(
  visits: Visits,
  { parts, passes }: Reading,
  chosen: Int32Array,
  first: Batch,
): Promise<Pixels> {
  let pixels: Uint8Array[] | undefined;
  let at = 0;
  let start = 0;
  for (let part = 0; part < parts; part++) {
    const { images, views, indices } = passes === 1 ? first : await visits.next();
    const n = indices.length;
    const sources = [images, ...views];
    pixels ??= sources.map(({ length }) => new Uint8Array((chosen.length * length) / n));
    for (; at < chosen.length && chosen[at]! < start + n; at++) {
      const row = chosen[at]! - start;
      for (const [i, source] of sources.entries()) {
        const size = source.length / n;
        pixels[i]!.set(source.subarray(row * size, (row + 1) * size), at * size);
      }
    }
    start += n;
  }
  return pixels!;
}

function rowsAt({ samples, captions, tokens }: Rows, chosen: Int32Array): Rows {
  const T = tokens.length / samples.length;
  const own = new Int32Array(chosen.length * T);
  chosen.forEach((row, i) => {
    own.set(tokens.subarray(row * T, (row + 1) * T), i * T);
  });
  return {
    samples: Uint32Array.from(chosen, (row) => samples[row]!),
    captions: Array.from(chosen, (row) => captions[row]!),
    tokens: own,
  };
}

/** All of them after each other. */
function joined<T extends Int32Array | Float32Array>(parts: readonly T[], Of: new (length: number) => T): T {
  const out = new Of(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
