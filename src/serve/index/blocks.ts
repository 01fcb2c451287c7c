/**
 * The work of an index in blocks of 1,024 samples: vectors, thumbnails and names of each are a folder that appears whole. What is
 * there is not made again, by this process or another; what an index before has of the same bytes is taken from it.
 */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, realDisk } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { readJsonLines, withFileErrors } from "../../core/files.js";
import type { Dataset } from "../../data/dataset.js";
import type { SkippedSample } from "../../data/loading/loader.js";
import { thumbnail } from "../../data/pixels/show/thumbnail.js";
import type { Progress } from "../../evaluate/features/source.js";
import type { Encoder } from "../../evaluate/model/encoder.js";
import type { PictureName } from "../search/layout.js";
import { CONTENT_BYTES, type PictureIndex } from "./open.js";

/** Samples of a block: so much work a kill costs. */
export const BLOCK = 1024;

/** A sample in a block. */
interface BlockRow extends PictureName {
  /** Of the picture's file, hex. */
  readonly content: string;
  /** Bytes of its thumbnail. */
  readonly thumbnail: number;
}

/** What a block holds: rows in the order of their samples, and the samples that could not be read. */
export interface Block {
  readonly rows: readonly BlockRow[];
  /** [rows, E], flat. */
  readonly vectors: Float32Array;
  /** One after the other. */
  readonly thumbnails: Uint8Array;
  readonly skipped: readonly SkippedSample[];
}

export interface BlocksOptions {
  /** Where blocks are. */
  readonly folder: string;
  /** Pixels of a thumbnail's longer side. */
  readonly side: number;
  readonly processes: { readonly index: number; readonly count: number };
  /** What there was before, of the same model and thumbnails. */
  readonly known?: PictureIndex | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export const blocksOf = (samples: number): number => Math.ceil(samples / BLOCK);
export const blockFolder = (folder: string, block: number): string => join(folder, `block-${block}`);

/** The first 16 bytes of the SHA-256 of a picture's file, in hex. */
const contentOf = (bytes: Uint8Array): string =>
  createHash("sha256")
    .update(bytes)
    .digest("hex")
    .slice(0, 2 * CONTENT_BYTES);

/** A sample that is done. */
interface Made {
  readonly content: string;
  readonly vector: Float32Array;
  readonly thumbnail: Uint8Array;
}

/** Makes this process's blocks; gives how many pictures it embedded. */
export async function makeBlocks(
  encoder: Encoder,
  dataset: Dataset,
  { folder, side, processes, known, onProgress }: BlocksOptions,
): Promise<number> {
  const own = Array.from({ length: blocksOf(dataset.length) }, (_, block) => block).filter(
    (block) => block % processes.count === processes.index && !existsSync(blockFolder(folder, block)),
  );
  const samples = own.flatMap((block) => samplesOf(dataset, block));
  const old =
    known === undefined ? new Map<number, OldRow>() : await findKnown(dataset, samples, known, onProgress);
  const fresh = samples.filter((sample) => !old.has(sample));
  const made = new Map<number, Made | SkippedSample>();
  const batches = encoder.embedBatches(dataset, fresh);
  let embedded = 0;
  try {
    for (const block of own) {
      const wanted = samplesOf(dataset, block);
      const last = wanted.findLast((sample) => !old.has(sample));
      while (last !== undefined && !made.has(last)) {
        const { value: batch, done } = await batches.next();
        if (done === true) break;
        const width = batch.vectors.length / Math.max(1, batch.indices.length);
        for (const skipped of batch.skipped) made.set(skipped.index, skipped);
        const rows = Array.from(batch.indices, async (sample, i) => {
          const bytes = await dataset.readBytes(sample);
          const vector = batch.vectors.subarray(i * width, (i + 1) * width);
          made.set(sample, { content: contentOf(bytes), vector, thumbnail: await thumbnail(bytes, side) });
        });
        await Promise.all(rows);
        embedded += rows.length;
        onProgress?.({ what: "Embedding pictures", done: embedded, total: fresh.length });
      }
      for (const sample of wanted) {
        const row = old.get(sample);
        if (row === undefined || known === undefined) continue;
        const vector = await known.vectorOf(row.row);
        made.set(sample, { content: row.content, vector, thumbnail: known.thumbnail(row.row) });
      }
      writeBlock(blockFolder(folder, block), dataset, wanted, made);
      made.clear();
    }
  } finally {
    await batches.return(undefined);
  }
  return embedded;
}

const samplesOf = (dataset: Dataset, block: number): number[] =>
  Array.from({ length: Math.min(BLOCK, dataset.length - block * BLOCK) }, (_, i) => block * BLOCK + i);

interface OldRow {
  readonly row: number;
  readonly content: string;
}

/** The samples whose bytes an index has, with their rows there. What cannot be read is left to whoever embeds it. */
async function findKnown(
  dataset: Dataset,
  samples: readonly number[],
  known: PictureIndex,
  onProgress: BlocksOptions["onProgress"],
): Promise<Map<number, OldRow>> {
  const rowOf = known.rowsByContent();
  const found = new Map<number, OldRow>();
  for (const [done, sample] of samples.entries()) {
    const content = await dataset.readBytes(sample).then(contentOf, (error: unknown) => {
      if (error instanceof UsageError) return undefined;
      throw error;
    });
    const row = content === undefined ? undefined : rowOf.get(content);
    if (row !== undefined) found.set(sample, { row, content: content! });
    onProgress?.({ what: "Looking for what is new", done, total: samples.length });
  }
  return found;
}

function writeBlock(
  path: string,
  dataset: Dataset,
  samples: readonly number[],
  made: ReadonlyMap<number, Made | SkippedSample>,
): void {
  const rows: Made[] = [];
  const lines: string[] = [];
  const skipped: SkippedSample[] = [];
  for (const sample of samples) {
    const one = made.get(sample);
    if (one === undefined) continue;
    if ("reason" in one) {
      skipped.push(one);
      continue;
    }
    const { key, captions, label } = dataset.sample(sample);
    rows.push(one);
    const row: BlockRow = {
      key,
      captions,
      ...(label !== undefined && { label }),
      content: one.content,
      thumbnail: one.thumbnail.length,
    };
    lines.push(`${JSON.stringify(row)}\n`);
  }
  withFileErrors("write", path, () => {
    const temporary = `${path}.tmp`;
    realDisk.remove(temporary);
    makeFolder(temporary);
    const vectors = rows.map(
      ({ vector: { buffer, byteOffset, byteLength } }) => new Uint8Array(buffer, byteOffset, byteLength),
    );
    realDisk.writeNew(join(temporary, "vectors.f32"), vectors);
    realDisk.writeNew(
      join(temporary, "thumbnails.bin"),
      rows.map((row) => row.thumbnail),
    );
    realDisk.writeNew(join(temporary, "rows.jsonl"), lines.join(""));
    realDisk.writeNew(
      join(temporary, "skipped.jsonl"),
      skipped.map((one) => `${JSON.stringify(one)}\n`).join(""),
    );
    realDisk.rename(temporary, path);
  });
}

export function readBlock(folder: string, block: number): Block {
  const path = blockFolder(folder, block);
  const bytes = (name: string): Uint8Array =>
    withFileErrors("read", path, () => new Uint8Array(readFileSync(join(path, name))));
  const { buffer, byteLength } = bytes("vectors.f32");
  return {
    rows: readJsonLines(join(path, "rows.jsonl")) as BlockRow[],
    vectors: new Float32Array(buffer, 0, byteLength / 4),
    thumbnails: bytes("thumbnails.bin"),
    skipped: readJsonLines(join(path, "skipped.jsonl")) as SkippedSample[],
  };
}
