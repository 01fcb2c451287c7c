/** One worker's view of kept images: it reads all parts and writes parts of its own. */

import { openSync, statSync } from "node:fs";
import { join } from "node:path";
import { readExactly, writeAll } from "../../../core/disk.js";
import { touch } from "../../../core/prune.js";
import { descriptor } from "../../image-bytes.js";
import { filePath, type ImageIndex, sourceAt } from "../../image-index.js";
import type { RawImage } from "../../pixels/read/image.js";
import {
  ABOUT,
  ABSENT,
  FIELDS,
  FOUND,
  IN_USE_MS,
  ownPart,
  type PackedImages,
  partPath,
  READY,
  shrink,
  WRITING,
} from "./open.js";
import {
  BLOCK,
  HEADER_WORDS,
  INDEX,
  PIXELS,
  readHeader,
  recordBlocks,
  sumOfWords,
  writeHeader,
} from "./records.js";

/** How often a worker says that it uses a folder. */
const TOUCH_MS = IN_USE_MS / 3;
/** Where nothing could be deleted, it is tried again after this time. */
const RETRY_MS = IN_USE_MS / 3;
/** Where something is deleted, this share of the limit becomes free, so that it is done seldom. */
const ROOM = 1 / 16;

/** What this worker writes of a source. */
interface OwnPart {
  /** Its position among the parts. */
  readonly part: number;
  /** Descriptors of its files. */
  readonly pixels: number;
  readonly index: number;
  /** Blocks so far. */
  end: number;
}

type Place = readonly [part: number, block: number, width: number, height: number];

export class PackedReader {
  private readonly table: Int32Array;
  private readonly used: BigInt64Array;
  /** By source; undefined where it does not open, or a write has failed: what is half written is the last of its part. */
  private readonly own = new Map<number, OwnPart | undefined>();
  /** When each source was last said to be in use. */
  private readonly touched: number[];
  private fullUntil = 0;
  /** One record. */
  private words = new Uint32Array(0);

  /** @param writer which of the workers this is. */
  constructor(
    private readonly kept: PackedImages,
    private readonly images: ImageIndex,
    private readonly writer: number,
  ) {
    this.table = new Int32Array(kept.table);
    this.used = new BigInt64Array(kept.used);
    this.touched = kept.folders.map(() => performance.now());
  }

  /** Image `index`, its pixels valid until the next call; undefined when it is not there. */
  get(index: number): RawImage | undefined {
    const at = this.entryOf(index);
    const state = Atomics.load(this.table, at);
    if (state !== READY && state !== FOUND) return undefined;
    const [part, block, width, height] = this.table.subarray(at + 1, at + FIELDS) as unknown as Place;
    const record = this.record(recordBlocks(width, height));
    if (!this.read(part, record, block) || (state === FOUND && !this.fits(index))) {
      Atomics.compareExchange(this.table, at, state, ABSENT);
      return undefined;
    }
    Atomics.store(this.table, at, READY);
    this.touch(this.placeOf(index).source);
    return { width, height, channels: 3, data: record.subarray(BLOCK, BLOCK + width * height * 3) };
  }

  /**
   * A number that is another once the file of image `index` has been written again, by its size and time; 0 for images within
   * a larger file, which is looked at when kept images are opened.
   */
  fileStamp(index: number): number {
    const container = this.images.containers[this.images.container[index]!]!;
    if (container.kind !== "files") return 0;
    const path = filePath(container, this.images.offset[index]!);
    const { size = -1, mtimeMs = -1 } = statSync(path, { throwIfNoEntry: false }) ?? {};
    return sumOfWords(new Uint32Array(Float64Array.of(size, mtimeMs).buffer));
  }

  /**
   * Keeps `image` unless it is there, another worker writes it, or there is no room. `stamp` is the file's from before it was
   * read. A failed write, as on a full disk, is the worker's last to this source.
   */
  put(index: number, image: RawImage, stamp: number): void {
    const { width, height, data } = image;
    const at = this.entryOf(index);
    if (Atomics.load(this.table, at) !== ABSENT) return;
    const { source, row } = this.placeOf(index);
    const blocks = recordBlocks(width, height);
    const bytes = blocks * BLOCK + 4 * HEADER_WORDS;
    const own = this.hasRoom(bytes) ? this.writing(source) : undefined;
    if (own === undefined || own.end + blocks >= 2 ** 31) return;
    if (Atomics.compareExchange(this.table, at, ABSENT, WRITING) !== ABSENT) return;
    const record = this.record(blocks).fill(0, 0, BLOCK);
    record.set(data, BLOCK);
    record.fill(0, BLOCK + data.length);
    writeHeader(this.words, { row, width, height, sum: this.sum(blocks), stamp });
    try {
      writeAll(own.pixels, record);
      writeAll(own.index, record.subarray(0, 4 * HEADER_WORDS));
    } catch {
      this.own.set(source, undefined);
      Atomics.store(this.table, at, ABSENT);
      return;
    }
    this.table.set([own.part, own.end, width, height], at + 1);
    own.end += blocks;
    Atomics.add(this.used, 0, BigInt(bytes));
    Atomics.store(this.table, at, READY);
    this.touch(source);
  }

  /** Position in the table: the same for all images of one row. */
  private entryOf(index: number): number {
    return (this.kept.firsts?.[index] ?? index) * FIELDS;
  }

  private placeOf(index: number): { source: number; row: number } {
    const { rows, starts } = this.kept;
    const row = rows?.[index] ?? index;
    const source = sourceAt(starts, row);
    return { source, row: row - starts[source]! };
  }

  /** Whether the record that was read is whole and of that image, whose file is as it was. */
  private fits(index: number): boolean {
    const header = readHeader(this.words);
    if (header === undefined || header.row !== this.placeOf(index).row) return false;
    const { width, height, sum, stamp } = header;
    return sum === this.sum(recordBlocks(width, height)) && stamp === this.fileStamp(index);
  }

  /** Of the pixels of a record. */
  private sum(blocks: number): number {
    return sumOfWords(this.words, BLOCK / 4, (blocks * BLOCK) / 4);
  }

  private record(blocks: number): Uint8Array {
    if (this.words.byteLength < blocks * BLOCK) this.words = new Uint32Array((blocks * BLOCK) / 4);
    return new Uint8Array(this.words.buffer, 0, blocks * BLOCK);
  }

  /** False where the part is gone, or cut. */
  private read(part: number, record: Uint8Array, block: number): boolean {
    try {
      return readExactly(descriptor(partPath(this.kept, part) + PIXELS), record, block * BLOCK);
    } catch {
      return false;
    }
  }

  private writing(source: number): OwnPart | undefined {
    if (!this.own.has(source)) {
      const part = ownPart(this.kept, this.writer, source);
      const path = partPath(this.kept, part);
      try {
        const [pixels, index] = [openSync(path + PIXELS, "ax"), openSync(path + INDEX, "ax")];
        this.own.set(source, { part, pixels, index, end: 0 });
      } catch {
        this.own.set(source, undefined);
      }
    }
    return this.own.get(source);
  }

  /** Whether `bytes` are left of the limit, when need be after the longest unused folders are deleted. */
  private hasRoom(bytes: number): boolean {
    const { limitBytes } = this.kept;
    const fits = () => Number(Atomics.load(this.used, 0)) + bytes <= limitBytes;
    if (fits()) return true;
    if (performance.now() < this.fullUntil) return false;
    this.shrinkTo(limitBytes * (1 - ROOM));
    if (fits()) return true;
    this.fullUntil = performance.now() + RETRY_MS;
    return false;
  }

  /** Deletes the longest unused folders while all take more than `mostBytes`, and counts what is left, whoever wrote it. */
  private shrinkTo(mostBytes: number): void {
    try {
      Atomics.store(this.used, 0, BigInt(shrink(this.kept, mostBytes)));
    } catch {
      // All is deleted, or somebody else's.
    }
  }

  /** Says now and then that a source's folder is in use, and looks at what others have written. A folder that was deleted is written to no more. */
  private touch(source: number): void {
    const now = performance.now();
    if (now - this.touched[source]! < TOUCH_MS) return;
    this.touched[source] = now;
    try {
      touch(join(this.kept.folders[source]!, ABOUT));
    } catch {
      this.own.set(source, undefined);
    }
    if (this.writer === 0) this.shrinkTo(this.kept.limitBytes);
  }
}
