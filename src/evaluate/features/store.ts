/**
 * Features once: a folder in which what a model has embedded stays, under a name made of everything that decides the
 * numbers (weights, configuration, preprocessing, tokenizer, engine; the data or the texts). An entry is `rows.npy`,
 * `skipped.jsonl` and, when it is whole, `entry.json`; one that was cut short goes on where it was.
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { makeFolder, realDisk } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { appendLineDurably, readJsonRecords, withFileErrors, writeJsonAtomic } from "../../core/files.js";
import { NpyRows, NpyWriter } from "../../core/npy.js";
import { prune, touch } from "../../core/prune.js";
import type { Dataset } from "../../data/dataset.js";
import type { SkippedSample } from "../../data/loading/loader.js";
import { fingerprintOf } from "../../data/look/fingerprint.js";
import type { Engine } from "../../engines/engine.js";
import { type Lock, takeLock } from "../../storage/lock.js";
import { type Encoder, requireReadable } from "../model/encoder.js";
import { type Features, unitFeatures } from "./features.js";
import {
  type EmbeddedImages,
  type EmbeddedTexts,
  type FeatureRows,
  type FeatureSource,
  freshFeatures,
  type Progress,
} from "./source.js";

/** Another number, other entries: raised when the same inputs give other features than before. */
const VERSION = 1;

/** Images or texts after which an entry's rows are on the disk. */
const FLUSH_EVERY = 1024;

export interface FeatureStoreOptions {
  /** The folder of all entries; made where it is missing. */
  readonly folder: string;
  /** Tells this model from every other: see `modelKey`. */
  readonly model: string;
  /** Told what takes a while, and how far it is. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** What all entries may take; the longest unused go, those that this store has used apart. Default 16 GiB. */
  readonly limitBytes?: number | undefined;
}

/** What the entries of all models may take unless it is said. */
export const FEATURES_LIMIT_BYTES = 16 * 2 ** 30;

/** Embedded images and texts of one model, from the folder where they are there. Hold it with `using`. */
export class FeatureStore implements FeatureSource, Disposable {
  readonly engine: Engine;
  private readonly open: NpyRows[] = [];
  /** Names of the entries that were used. */
  private readonly used = new Set<string>();

  constructor(
    private readonly encoder: Encoder,
    private readonly options: FeatureStoreOptions,
  ) {
    this.engine = encoder.engine;
  }

  scale(): Promise<number> {
    return this.encoder.scale();
  }

  async images(dataset: Dataset): Promise<EmbeddedImages> {
    const keys = createHash("sha256");
    for (let i = 0; i < dataset.length; i++) keys.update(`${JSON.stringify(dataset.sample(i).key)}\n`);
    const { samples, sizes, content, times } = fingerprintOf(dataset);
    const { prepared } = dataset.images;
    const entry = this.entry("images", [
      ...[samples, sizes, content, times, keys.digest("hex")],
      ...(prepared === undefined ? [] : [prepared]),
    ]);
    const what = `images of ${dataset.name}`;
    const made = await this.fill(entry, what, dataset.length, (from) => this.imagesFrom(dataset, from));
    if (!made) return freshFeatures(this.encoder, this.options.onProgress).images(dataset);
    const skipped = readSkipped(entry);
    const gone = new Set(skipped.map(({ index }) => index));
    const features = this.rows(entry, what);
    requireReadable(dataset.name, features.rows, skipped);
    const indices = Uint32Array.from({ length: dataset.length }, (_, i) => i).filter((i) => !gone.has(i));
    return { features, indices, skipped };
  }

  async texts(texts: readonly string[], what: string): Promise<EmbeddedTexts> {
    const words = createHash("sha256");
    for (const text of texts) words.update(`${JSON.stringify(text)}\n`);
    const entry = this.entry("texts", [texts.length, words.digest("hex")]);
    const made = await this.fill(entry, what, texts.length, (from) => this.textsFrom(texts, from));
    if (!made) return freshFeatures(this.encoder, this.options.onProgress).texts(texts, what);
    return { features: this.rows(entry, what).read(0, texts.length), cut: this.encoder.cutTexts(texts) };
  }

  private entry(kind: string, content: readonly unknown[]): string {
    const key = createHash("sha256").update(JSON.stringify([VERSION, this.options.model, kind, content]));
    return join(this.options.folder, key.digest("hex").slice(0, 24));
  }

  /** Makes what the entry lacks. False when another process is at it, and nothing was done. */
  private async fill(
    entry: string,
    what: string,
    total: number,
    embed: (from: number) => AsyncGenerator<Embedded>,
  ): Promise<boolean> {
    this.used.add(basename(entry));
    if (existsSync(join(entry, "entry.json"))) {
      touch(join(entry, "entry.json"));
      return true;
    }
    withFileErrors("write", entry, () => makeFolder(entry));
    const lock = lockOf(entry);
    if (lock === undefined) return false;
    using _ = lock;
    const rowShape = [this.encoder.options.clip.config.embed_dim];
    using rows = new NpyWriter(join(entry, "rows.npy"), { dtype: "f32", rowShape, resume: true });
    // Skipped samples are told before the rows after them, so there may be more of them than were passed.
    const skipped = new Set(readSkipped(entry).map(({ index }) => index));
    let done = 0;
    for (let kept = 0; kept < rows.rows; done++) if (!skipped.has(done)) kept++;
    let flushed = done;
    for await (const batch of embed(done)) {
      for (const sample of batch.skipped)
        if (!skipped.has(sample.index))
          appendLineDurably(join(entry, "skipped.jsonl"), JSON.stringify(sample));
      rows.append(batch.vectors);
      done += batch.count;
      if (done - flushed >= FLUSH_EVERY) rows.flush();
      if (done - flushed >= FLUSH_EVERY) flushed = done;
      this.options.onProgress?.({ what, done, total });
    }
    rows.close();
    writeJsonAtomic(join(entry, "entry.json"), { version: VERSION, model: this.options.model, what, total });
    const { folder, limitBytes = FEATURES_LIMIT_BYTES } = this.options;
    prune(folder, limitBytes, { keep: this.used });
    return true;
  }

  private async *imagesFrom(dataset: Dataset, from: number): AsyncGenerator<Embedded> {
    const rest = Array.from({ length: dataset.length - from }, (_, i) => from + i);
    if (rest.length === 0) return;
    for await (const { vectors, skipped, indices } of this.encoder.embedBatches(dataset, rest))
      yield { vectors, skipped, count: indices.length + skipped.length };
  }

  private async *textsFrom(texts: readonly string[], from: number): AsyncGenerator<Embedded> {
    for (let start = from; start < texts.length; start += FLUSH_EVERY) {
      const part = texts.slice(start, start + FLUSH_EVERY);
      yield { vectors: await this.encoder.embedTexts(part), skipped: [], count: part.length };
    }
  }

  private rows(entry: string, what: string): FeatureRows {
    const file = new NpyRows(join(entry, "rows.npy"));
    this.open.push(file);
    const { rows, width } = file;
    const read = (start: number, end: number): Features =>
      unitFeatures(file.readRange(start, end), width, what);
    return { rows, width, read };
  }

  /** Closes its files. */
  [Symbol.dispose](): void {
    for (const file of this.open.splice(0)) file[Symbol.dispose]();
  }
}

/** What a model has made of some images or texts. */
interface Embedded {
  readonly vectors: Float32Array;
  readonly skipped: readonly SkippedSample[];
  /** Samples that are done with this. */
  readonly count: number;
}

function readSkipped(entry: string): SkippedSample[] {
  const file = join(entry, "skipped.jsonl");
  return existsSync(file)
    ? (readJsonRecords(
        file,
        ({ index }) => Number.isInteger(index),
        "a skipped sample",
      ) as unknown as SkippedSample[])
    : [];
}

/** The entry's lock, or undefined where another process has it. */
function lockOf(entry: string): Lock | undefined {
  try {
    return takeLock(realDisk, entry);
  } catch (error) {
    if (error instanceof UsageError && error.cause === undefined) return undefined;
    throw error;
  }
}
