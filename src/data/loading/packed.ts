/**
 * Kept images on disk, for epochs after the first and for later runs: decoded pixels at the training size, read in place.
 *
 * A folder for each set of images and way of keeping them, named by a hash of both. In it every writer (a worker of one
 * loader) has a part of its own, appended to and never changed: records of a header and pixels, both filled up to 64
 * bytes. So no lock is needed: a killed writer leaves a record that is cut, which is passed over, and writers at the
 * same time leave an image twice, of which one is read. A record is read after its sum fitted once.
 */
import { createHash, randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { namesIn, readExactly, sizeOfFile, writeAll } from "../../core/disk.js";
import { withFileErrors } from "../../core/files.js";
import type { Dataset } from "../dataset.js";
import { fingerprintOf } from "../look/fingerprint.js";
import { type Pipeline, preparationOf } from "../pixels/pipeline.js";
import type { RawImage } from "../pixels/read/image.js";

/** Plain data and shared memory: goes to worker threads as it is. */
export interface PackedImages {
  /** Paths: those that were there, then a new one for each worker. */
  readonly parts: readonly string[];
  /** Parts that were there. */
  readonly found: number;
  readonly limitBlocks: number;
  /** Per image: state, part, block in it, width, height. */
  readonly table: SharedArrayBuffer;
  /** Blocks of all parts, images written and read. */
  readonly used: SharedArrayBuffer;
}

const VERSION = 1;
const ENDING = ".pixels";
const BLOCK = 64;
const FIELDS = 5;
const ABSENT = 0;
const WRITING = 1;
const READY = 2;
/** Seen in a part, its sum not yet looked at. */
const FOUND = 3;

/** Words of a header: what it is, image, width, height, sum of the pixels, sum of these. */
const MAGIC = 0x4b505743;
const HEADER_WORDS = 6;

const blocksOf = (bytes: number): number => Math.ceil(bytes / BLOCK);

/** FNV-1a over words. */
function sumOf(words: Uint32Array): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) sum = Math.imul(sum ^ words[i]!, 0x01000193);
  return sum >>> 0;
}

/**
 * The folder below `root` for these images and this way of keeping them. Sources that change (their number, sizes, times,
 * or the first bytes of 64 of them) get another; what was there before may be deleted at any time.
 */
export function packedFolder(root: string, dataset: Dataset, pipeline: Pipeline): string {
  const { samples, sizes, content, times } = fingerprintOf(dataset);
  const { keepSize } = pipeline;
  const what = { VERSION, samples, sizes, content, times, keepSize, ...preparationOf(pipeline) };
  return join(root, createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 24));
}

/** Looks through the parts in `folder`, which is made where it is missing. Throws `UsageError` when it cannot be. */
export function openPackedImages(
  folder: string,
  images: number,
  limitBytes: number,
  workers: number,
): PackedImages {
  withFileErrors("write", folder, () => mkdirSync(folder, { recursive: true }));
  const there = namesIn(folder).filter((name) => name.endsWith(ENDING));
  const table = new SharedArrayBuffer(images * FIELDS * 4);
  const used = new SharedArrayBuffer(8);
  const entries = new Int32Array(table);
  for (const [part, name] of there.entries()) {
    const path = join(folder, name);
    for (const { index, ...place } of recordsOf(path)) {
      if (index >= images || entries[index * FIELDS] !== ABSENT) continue;
      entries.set([FOUND, part, place.block, place.width, place.height], index * FIELDS);
    }
    new Int32Array(used)[0]! += blocksOf(sizeOfFile(path) ?? 0);
  }
  const own = Array.from({ length: workers }, () => `${randomBytes(8).toString("hex")}${ENDING}`);
  return {
    parts: [...there, ...own].map((name) => join(folder, name)),
    found: there.length,
    limitBlocks: Math.min(2 ** 31 - 1, Math.floor(limitBytes / BLOCK)),
    table,
    used,
  };
}

interface Place {
  readonly index: number;
  readonly block: number;
  readonly width: number;
  readonly height: number;
}

/** The whole records of a part, up to the first that is not one. */
function* recordsOf(path: string): Generator<Place> {
  const size = sizeOfFile(path) ?? 0;
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return; // gone, or somebody else's
  }
  try {
    const header = new Uint32Array(HEADER_WORDS);
    for (let block = 0; readExactly(file, new Uint8Array(header.buffer), block * BLOCK); ) {
      const [magic, index, width, height] = header as unknown as [number, number, number, number];
      const next = block + 1 + blocksOf(width * height * 3);
      if (magic !== MAGIC || header[5] !== sumOf(header.subarray(0, 5)) || next * BLOCK > size) return;
      yield { index, block, width, height };
      block = next;
    }
  } finally {
    closeSync(file);
  }
}

/** One thread's view of the images; `writer` is which of the workers it is. */
export class PackedReader {
  private readonly table: Int32Array;
  private readonly used: Int32Array;
  private readonly files = new Map<number, number | undefined>();
  private readonly own: number;
  private end = 0;
  /** One record. */
  private words = new Uint32Array(0);

  constructor(
    private readonly images: PackedImages,
    writer: number,
  ) {
    this.table = new Int32Array(images.table);
    this.used = new Int32Array(images.used);
    this.own = images.found + writer;
  }

  /** Image `index`, its pixels valid until the next call; undefined when it is not there. */
  get(index: number): RawImage | undefined {
    const at = index * FIELDS;
    const state = Atomics.load(this.table, at);
    if (state !== READY && state !== FOUND) return undefined;
    const [part, block, width, height] = this.table.subarray(at + 1, at + FIELDS) as unknown as number[];
    const blocks = 1 + blocksOf(width! * height! * 3);
    const record = this.record(blocks);
    const file = this.fileOf(part!);
    const whole = file !== undefined && this.read(file, record, block! * BLOCK);
    const words = this.words.subarray(BLOCK / 4, (blocks * BLOCK) / 4);
    if (!whole || (state === FOUND && !(this.words[1] === index && this.words[4] === sumOf(words)))) {
      Atomics.compareExchange(this.table, at, state, ABSENT);
      return undefined;
    }
    Atomics.store(this.table, at, READY);
    const data = record.subarray(BLOCK, BLOCK + width! * height! * 3);
    return { width: width!, height: height!, channels: 3, data };
  }

  /** Keeps `image` unless it is there, another worker writes it, or there is no room. A full disk ends the writing. */
  put(index: number, image: RawImage): void {
    const blocks = 1 + blocksOf(image.data.length);
    const at = index * FIELDS;
    if (Atomics.load(this.used, 0) + blocks > this.images.limitBlocks) return;
    if (Atomics.compareExchange(this.table, at, ABSENT, WRITING) !== ABSENT) return;
    const file = this.fileOf(this.own);
    const record = this.record(blocks).fill(0, 0, BLOCK);
    record.set(image.data, BLOCK);
    record.fill(0, BLOCK + image.data.length);
    const { words } = this;
    words.set([MAGIC, index, image.width, image.height]);
    words[4] = sumOf(words.subarray(BLOCK / 4, (blocks * BLOCK) / 4));
    words[5] = sumOf(words.subarray(0, 5));
    try {
      if (file === undefined) throw new Error("no part of its own");
      writeAll(file, record);
    } catch {
      // What is half written is the last of its part: nothing may follow it.
      Atomics.store(this.used, 0, this.images.limitBlocks);
      Atomics.store(this.table, at, ABSENT);
      return;
    }
    this.table.set([this.own, this.end, image.width, image.height], at + 1);
    this.end += blocks;
    Atomics.add(this.used, 0, blocks);
    Atomics.add(this.used, 1, 1);
    Atomics.store(this.table, at, READY);
  }

  private read(file: number, record: Uint8Array, position: number): boolean {
    try {
      return readExactly(file, record, position);
    } catch {
      return false;
    }
  }

  private record(blocks: number): Uint8Array {
    if (this.words.byteLength < blocks * BLOCK) this.words = new Uint32Array((blocks * BLOCK) / 4);
    return new Uint8Array(this.words.buffer, 0, blocks * BLOCK);
  }

  /** Undefined where it does not open: deleted meanwhile. */
  private fileOf(part: number): number | undefined {
    if (!this.files.has(part)) {
      const path = this.images.parts[part]!;
      try {
        this.files.set(part, openSync(path, part === this.own ? "ax+" : "r"));
      } catch {
        this.files.set(part, undefined);
      }
    }
    return this.files.get(part);
  }
}
