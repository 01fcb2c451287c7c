/** From blocks to the files of an index: vectors, names and thumbnails in pieces. */

import { join } from "node:path";
import { realDisk } from "../../core/disk.js";
import { withFileErrors } from "../../core/files.js";
import { nearestRows, normalise } from "../../evaluate/features/features.js";
import { fileNames, type IndexInfo, ROWS_PER_PACK, ROWS_PER_PIECE } from "../search/layout.js";
import { packVectors, unpackVectors, type VectorType } from "../search/vectors.js";
import { type Block, readBlock } from "./blocks.js";

/** Pictures that stand for all when the recall of short vectors is measured; its queries are among them. */
const MEASURED = 10_000;
const QUERIES = 100;
const NEIGHBOURS = 10;
const MOST_LABELS = 200;

export interface AssembleOptions {
  readonly blocks: { readonly folder: string; readonly count: number };
  /** Where the files go: there, and empty. */
  readonly files: string;
  readonly type: VectorType;
  readonly width: number;
  readonly onProgress?: ((done: number) => void) | undefined;
}

export type Assembled = Pick<IndexInfo, "rows"> & {
  readonly recall: IndexInfo["vectors"]["recall"];
  readonly labels: readonly string[];
  readonly skipped: number;
};

/** Writes all files but `index.json` and the graph. */
export function assemble({ blocks, files, type, width, onProgress }: AssembleOptions): Assembled {
  const path = (name: string): string => join(files, name);
  const write = (name: string, content: Uint8Array | string): void =>
    withFileErrors("write", path(name), () => realDisk.writeNew(path(name), content));
  const vectors = new Pieces(4 * width * ROWS_PER_PIECE, (bytes, number) => {
    write(fileNames.vectors(number), packVectors(type, floatsIn(bytes), width));
  });
  const names = new Grouped<string>(ROWS_PER_PIECE, (lines, number) =>
    write(fileNames.names(number), lines.join("")),
  );
  const thumbnails = new Grouped<Uint8Array>(ROWS_PER_PACK, (pictures, number) =>
    write(fileNames.thumbnails(number), joined(pictures)),
  );
  const places: number[] = [];
  const contents: string[] = [];
  const labels = new Map<string, number>();
  const sample = new SpreadRows(MEASURED, width);
  let skipped = 0;
  let packed = 0;
  for (let b = 0; b < blocks.count; b++) {
    const block: Block = readBlock(blocks.folder, b);
    skipped += block.skipped.length;
    vectors.add(bytesIn(block.vectors));
    let at = 0;
    for (const [i, { content, thumbnail, ...name }] of block.rows.entries()) {
      if (contents.length % ROWS_PER_PACK === 0) packed = 0;
      places.push(packed, thumbnail);
      packed += thumbnail;
      contents.push(content);
      names.add(`${JSON.stringify(name)}\n`);
      thumbnails.add(block.thumbnails.subarray(at, at + thumbnail));
      at += thumbnail;
      if (name.label !== undefined) labels.set(name.label, (labels.get(name.label) ?? 0) + 1);
      sample.offer(block.vectors.subarray(i * width, (i + 1) * width));
    }
    onProgress?.(b + 1);
  }
  vectors.end();
  names.end();
  thumbnails.end();
  write(fileNames.places, bytesIn(Uint32Array.from(places)));
  write(fileNames.contents, Buffer.from(contents.join(""), "hex"));
  return {
    rows: contents.length,
    recall: recallOf(type, sample.rows(), width),
    labels: [...labels]
      .sort(([, a], [, b]) => b - a)
      .slice(0, MOST_LABELS)
      .map(([label]) => label),
    skipped,
  };
}

const bytesIn = ({ buffer, byteOffset, byteLength }: Float32Array | Uint32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
const floatsIn = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Bytes in pieces of one size, the last one shorter. */
class Pieces {
  private readonly piece: Uint8Array;
  private filled = 0;
  private count = 0;

  constructor(
    size: number,
    private readonly put: (piece: Uint8Array, number: number) => void,
  ) {
    this.piece = new Uint8Array(size);
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.piece.length - this.filled);
      this.piece.set(part, this.filled);
      this.filled += part.length;
      at += part.length;
      if (this.filled === this.piece.length) this.end();
    }
  }

  end(): void {
    if (this.filled > 0) this.put(this.piece.subarray(0, this.filled), this.count++);
    this.filled = 0;
  }
}

/** Items in groups of one number, the last one smaller. */
class Grouped<T> {
  private items: T[] = [];
  private count = 0;

  constructor(
    private readonly each: number,
    private readonly put: (items: readonly T[], number: number) => void,
  ) {}

  add(item: T): void {
    this.items.push(item);
    if (this.items.length === this.each) this.end();
  }

  end(): void {
    if (this.items.length > 0) this.put(this.items, this.count++);
    this.items = [];
  }
}

/** At most twice `most` of the rows that are offered, evenly spread over them. */
class SpreadRows {
  private kept: Float32Array[] = [];
  private offered = 0;
  private every = 1;

  constructor(
    private readonly most: number,
    private readonly width: number,
  ) {}

  offer(row: Float32Array): void {
    if (this.offered++ % this.every !== 0) return;
    this.kept.push(row.slice());
    if (this.kept.length < 2 * this.most) return;
    this.kept = this.kept.filter((_, i) => i % 2 === 0);
    this.every *= 2;
  }

  rows(): Float32Array {
    const out = new Float32Array(this.kept.length * this.width);
    for (const [i, row] of this.kept.entries()) out.set(row, i * this.width);
    return out;
  }
}

/** Share of each query's ten nearest other rows by `rows` [N,E] that are among its ten nearest by what is stored of them. */
export function recallOf(
  type: VectorType,
  rows: Float32Array,
  width: number,
): IndexInfo["vectors"]["recall"] {
  const count = rows.length / width;
  const k = Math.min(NEIGHBOURS, count - 1);
  const queries = Math.min(QUERIES, count);
  if (type === "f32" || k < 1) return { value: 1, queries, among: count };
  const stored = unpackVectors(type, packVectors(type, rows, width), width);
  const chosen = Array.from({ length: queries }, (_, i) => Math.floor((i * count) / queries));
  const asked = new Float32Array(queries * width);
  for (const [i, row] of chosen.entries())
    asked.set(rows.subarray(row * width, (row + 1) * width), i * width);
  const query = normalise(asked, width, "vectors");
  const near = (data: Float32Array): Set<number>[] => {
    const found = nearestRows(query, { data, rows: count, width }, k + 1);
    return chosen.map((own, i) => {
      const others = found.indices.subarray(i * found.k, (i + 1) * found.k).filter((row) => row !== own);
      return new Set(others.subarray(0, k));
    });
  };
  const short = near(stored);
  const hits = near(rows).map((best, i) => [...best].filter((row) => short[i]!.has(row)).length);
  return { value: hits.reduce((sum, n) => sum + n, 0) / (queries * k), queries, among: count };
}
