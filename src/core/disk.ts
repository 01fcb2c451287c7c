/**
 * The few things that are done to a disk, behind an interface, so that tests can fill it up or kill a run between
 * any two of them. Failures are the system's own; `withFileErrors` of files.ts makes one clear line of each.
 */

import {
  appendFileSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** The bytes of a file, at once or piece by piece. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array>;

export function piecesOf(content: FileContent): Iterable<Uint8Array> {
  if (typeof content === "string") return [Buffer.from(content)];
  return content instanceof Uint8Array ? [content] : content;
}

export interface Disk {
  makeFolder(path: string): void;
  /** Writes a new file and waits until it is on the disk. */
  writeNew(path: string, content: FileContent): void;
  append(path: string, content: string | Uint8Array): void;
  /** Waits until what was written to a file, or the names in a folder, are on the disk. */
  sync(path: string): void;
  rename(from: string, to: string): void;
  /** Gives a file a second name; fails with EEXIST if that is taken. */
  link(from: string, to: string): void;
  /** Removes a file or a folder with all in it; nothing there is fine. */
  remove(path: string): void;
}

/** The disk itself. */
export const realDisk: Disk = {
  makeFolder,
  writeNew(path, content) {
    const file = openSync(path, "w");
    try {
      for (const piece of piecesOf(content)) writeAll(file, piece);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  },
  append: (path, content) => appendFileSync(path, content),
  sync,
  rename: (from, to) => renameSync(from, to),
  link: (from, to) => linkOrCopy(from, to),
  remove: (path) => rmSync(path, { recursive: true, force: true }),
};

/** Makes a folder and those above it. Node's own way says of a disk that is read-only that there is no such file. */
export function makeFolder(path: string, makeOne: (path: string) => void = mkdirSync): void {
  if (existsSync(path) && statSync(path).isDirectory()) return;
  const above = dirname(path);
  if (above !== path && !existsSync(above)) makeFolder(above, makeOne);
  try {
    makeOne(path);
  } catch (error) {
    // Another process may have been quicker.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST" || !statSync(path).isDirectory()) throw error;
  }
}

/** The outermost folder that `makeFolder` would have to make for `path`; undefined where it is there. */
export function firstMissing(path: string): string | undefined {
  if (existsSync(path)) return undefined;
  const above = dirname(path);
  return above === path ? path : (firstMissing(above) ?? path);
}

/** Removes `path` and the folders above it up to `last`, as far as they are empty. */
export function removeEmptyFolders(path: string, last: string): void {
  try {
    rmdirSync(path);
    if (path !== last) removeEmptyFolders(dirname(path), last);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // Of a folder that was not made yet, those above it may be.
    if (code === "ENOENT" && path !== last) removeEmptyFolders(dirname(path), last);
  }
}

/** Waits for a file, or for the names in a folder, on systems that can sync one. */
function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } catch (error) {
    const cannot = ["EINVAL", "EPERM", "ENOTSUP", "EBADF"];
    if (!cannot.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    closeSync(file);
  }
}

/** A hard link, or on file systems without them a copy that fails alike if the name is taken. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    const unsupported = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"];
    if (!unsupported.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    copyFileSync(from, to, constants.COPYFILE_EXCL);
  }
}

/** The largest piece given to one system call: a read or write of 2 GiB or more fails on Linux. */
const CHUNK_BYTES = 2 ** 28;

/** Writes all of `bytes` at the file's position; a short write is continued. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) {
    at += writeSync(file, bytes, at, Math.min(CHUNK_BYTES, bytes.byteLength - at));
  }
}

/** Fills `out` from byte `position` of an open file; false when the file ends before. */
export function readExactly(file: number, out: Uint8Array, position: number): boolean {
  for (let at = 0; at < out.byteLength; ) {
    const got = readSync(file, out, at, Math.min(CHUNK_BYTES, out.byteLength - at), position + at);
    if (got === 0) return false;
    at += got;
  }
  return true;
}

/** The bytes of a file, piece by piece; a piece is valid until the next. */
export function* filePieces(path: string): Generator<Uint8Array> {
  const file = openSync(path, "r");
  try {
    const room = new Uint8Array(2 ** 20);
    for (;;) {
      const got = readSync(file, room, 0, room.length, null);
      if (got === 0) return;
      yield room.subarray(0, got);
    }
  } finally {
    closeSync(file);
  }
}

/**
 * Replaces a file so that a reader, or a crash, sees the old or the new content and nothing between. The pieces of a
 * killed process (`PATH.tmp`) are overwritten by the next one; a path has one writer at a time.
 */
export function replaceFile(disk: Disk, path: string, content: FileContent): void {
  const temporary = `${path}.tmp`;
  try {
    disk.writeNew(temporary, content);
    disk.rename(temporary, path);
    disk.sync(dirname(path));
  } catch (error) {
    removeQuietly(disk, temporary);
    throw error;
  }
}

/** Removes what is left of a failed write; the failure itself is what matters. */
export function removeQuietly(disk: Disk, path: string): void {
  try {
    disk.remove(path);
  } catch {
    // Whoever writes there next overwrites it.
  }
}

/**
 * What `stats` tell of when it is neither a file nor a folder: a pipe, a socket or a device, which could make a reader wait
 * or read for ever; undefined of a file or folder.
 */
export function specialFile(stats: Stats): string | undefined {
  if (stats.isFile() || stats.isDirectory()) return undefined;
  if (stats.isFIFO()) return "a pipe";
  if (stats.isSocket()) return "a socket";
  return stats.isCharacterDevice() || stats.isBlockDevice() ? "a device" : "something special";
}

/** Names in a folder, sorted; none if there is no such folder. */
export const namesIn = (path: string): string[] => (existsSync(path) ? readdirSync(path).sort() : []);

/** The text of a file, or undefined when there is none. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Size in bytes, or undefined when there is no such file. */
export const sizeOfFile = (path: string): number | undefined =>
  statSync(path, { throwIfNoEntry: false })?.size;
