/**
 * Kept images on disk, for epochs after the first and for later runs: decoded pixels at the training size, or those that a
 * model is evaluated on, read in place.
 *
 * They belong to the sources of a data set as these were opened, with a folder for each source and way of keeping images, named
 * by a hash of both; an image is known by its row in the source. So a selection, a split or a fold finds what the whole or
 * another part has left, and adds to it. In a folder every writer (a worker of one loader) has a part of its own, appended to
 * and never changed. So no lock is needed: a killed writer leaves a record that is cut, which is passed over, and writers at
 * the same time leave an image twice, of which one is read. A record is read after its sum fitted once.
 */

import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { cacheFolder } from "../../../core/cache-folder.js";
import { namesIn } from "../../../core/disk.js";
import { withFileErrors } from "../../../core/files.js";
import { prune } from "../../../core/prune.js";
import { shared } from "../../columns/numbers.js";
import { describePlace } from "../../image-bytes.js";
import { type ImageIndex, originOf, sourceAt, startsOf } from "../../image-index.js";
import { fingerprintOfImages } from "../../look/fingerprint.js";
import { keptAs, type Pipeline } from "../../pixels/pipeline.js";
import { PIXELS, recordsOf } from "./records.js";
import { findRows } from "./rows.js";

export interface PackedOptions {
  /** The folder of all kept images. */
  readonly root: string;
  /**
   * What they may take, of all data sets together. Where there is no room, the longest unused folders go; not those that
   * were used within half an hour.
   */
  readonly limitBytes: number;
}

/** Plain data and shared memory: goes to worker threads as it is. */
export interface PackedImages extends PackedOptions {
  /** Of each source; those with the same images have the same. */
  readonly folders: readonly string[];
  /** First row of each source, as they lie end to end. */
  readonly starts: readonly number[];
  /** Of each image its row there; absent: its index. */
  readonly rows?: Uint32Array;
  /** Of each image the first with the same row; absent: itself. */
  readonly firsts?: Uint32Array;
  /** Paths of the parts that were there, without their endings. */
  readonly parts: readonly string[];
  /** Of what is written from now on. */
  readonly name: string;
  /** Per image: state, part, block in it, width, height. */
  readonly table: SharedArrayBuffer;
  /** Bytes of all that is kept, of all data sets. */
  readonly used: SharedArrayBuffer;
}

export const FIELDS = 5;
export const ABSENT = 0;
export const WRITING = 1;
export const READY = 2;
/** Seen in a part, its sum not yet looked at. */
export const FOUND = 3;

/** Another number, other folders: raised when other pixels are kept of the same pictures, or kept otherwise. */
const VERSION = 2;

/** Of each folder, for people; written whenever it is opened, which says that it is in use. */
export const ABOUT = "about.json";
/** Folders that were used so lately may be in use. */
export const IN_USE_MS = 30 * 60_000;

/** In the cache folder, within `mebibytes`; undefined for none. */
export const packedInCache = (mebibytes = 0): PackedOptions | undefined =>
  mebibytes === 0 ? undefined : { root: join(cacheFolder(), "images"), limitBytes: mebibytes * 2 ** 20 };

/**
 * The folder below `root` for the images of a source and this way of keeping them. A source that changes (the number of
 * images, sizes, times, or the first bytes of 64 of them) gets another; what was there before may be deleted at any time.
 */
export function packedFolder(root: string, source: ImageIndex, pipeline: Pipeline): string {
  const what = { VERSION, ...fingerprintOfImages(source), ...keptAs(pipeline) };
  return join(root, createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 24));
}

/** Number of the part that a worker writes in a source's folder. */
export const ownPart = ({ parts, folders }: PackedImages, writer: number, source: number): number =>
  parts.length + writer * folders.length + source;

/** The path of a part without its ending. */
export function partPath({ parts, folders, name }: PackedImages, part: number): string {
  if (part < parts.length) return parts[part]!;
  const own = part - parts.length;
  return join(folders[own % folders.length]!, `${name}-${Math.floor(own / folders.length)}`);
}

/**
 * Looks through the parts in the folders of the images' sources, which are made where they are missing. Memory: 20 bytes for
 * each of these images, however many their sources have. Throws `UsageError` when a folder cannot be made.
 */
export function openPackedImages(
  images: ImageIndex,
  pipeline: Pipeline,
  { root, limitBytes }: PackedOptions,
): PackedImages {
  const { sources, rows: own } = originOf(images);
  const { length } = images.container;
  const folders = sources.map((source) => packedFolder(root, source, pipeline));
  const starts = startsOf(sources);
  for (const [s, folder] of folders.entries()) makeUsed(folder, sources[s]!, pipeline);
  const used = new BigInt64Array(new SharedArrayBuffer(8));
  used[0] = BigInt(shrink({ root, folders }, limitBytes));

  const rows = sharedRows({ folders, starts, length, rows: own });
  const { find, firsts } = findRows(length, rows);
  const table = new SharedArrayBuffer(length * FIELDS * 4);
  const entries = new Int32Array(table);
  const parts: string[] = [];
  for (const [s, folder] of folders.entries()) {
    if (folders.indexOf(folder) !== s) continue;
    for (const name of namesIn(folder)) {
      if (!name.endsWith(PIXELS)) continue;
      const part = parts.push(join(folder, name.slice(0, -PIXELS.length))) - 1;
      for (const { row, block, width, height } of recordsOf(parts[part]!)) {
        const at = row < sources[s]!.container.length ? find(starts[s]! + row) : undefined;
        if (at === undefined || entries[at * FIELDS] !== ABSENT) continue;
        entries.set([FOUND, part, block, width, height], at * FIELDS);
      }
    }
  }
  return {
    ...{ root, limitBytes, folders, starts, parts, table },
    name: randomBytes(8).toString("hex"),
    ...(rows === undefined ? {} : { rows }),
    ...(firsts === undefined ? {} : { firsts }),
    used: used.buffer as SharedArrayBuffer,
  };
}

/**
 * Deletes the longest unused folders while all take more than `mostBytes`, but for `folders` and those that may be in use. Gives
 * the bytes that are left.
 */
export function shrink({ root, folders }: Pick<PackedImages, "root" | "folders">, mostBytes: number): number {
  const keep = new Set(folders.map((folder) => basename(folder)));
  return prune(root, mostBytes, { keep, since: Date.now() - IN_USE_MS });
}

/** Makes a folder where it is missing, and says what it is for and that it is in use. */
function makeUsed(folder: string, source: ImageIndex, pipeline: Pipeline): void {
  withFileErrors("write", folder, () => mkdirSync(folder, { recursive: true }));
  const { length } = source.container;
  const about = {
    images: length,
    ...(length > 0 && { first: describePlace(source, 0) }),
    ...keptAs(pipeline),
  };
  try {
    writeFileSync(join(folder, ABOUT), `${JSON.stringify(about, undefined, 2)}\n`);
  } catch {
    // Somebody else's, or a full disk: what is there can be read.
  }
}

/** The rows of images where sources with one folder have the rows of the first of them. */
function sharedRows({
  folders,
  starts,
  length,
  rows,
}: {
  readonly folders: readonly string[];
  readonly starts: readonly number[];
  readonly length: number;
  readonly rows: Uint32Array | undefined;
}): Uint32Array | undefined {
  if (new Set(folders).size === folders.length) return rows;
  const moved = folders.map((folder, s) => starts[folders.indexOf(folder)]! - starts[s]!);
  const all = shared.u32(length);
  for (let i = 0; i < length; i++) {
    const row = rows?.[i] ?? i;
    all[i] = row + moved[sourceAt(starts, row)]!;
  }
  return all;
}
