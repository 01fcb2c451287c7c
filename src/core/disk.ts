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
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** The bytes of a file, at once or piece by piece. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array>;

export interface Disk {
  makeFolder(path: string): void;
  /** Writes a new file and waits until it is on the disk. */
  writeNew(path: string, content: FileContent): void;
  append(path: string, text: string): void;
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
  makeFolder: (path) => void mkdirSync(path, { recursive: true }),
  writeNew(path, content) {
    const file = openSync(path, "w");
    try {
      const pieces = typeof content === "string" ? [Buffer.from(content)] : content;
      for (const piece of pieces instanceof Uint8Array ? [pieces] : pieces) writeAll(file, piece);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  },
  append: (path, text) => appendFileSync(path, text),
  sync,
  rename: (from, to) => renameSync(from, to),
  link: (from, to) => linkOrCopy(from, to),
  remove: (path) => rmSync(path, { recursive: true, force: true }),
};

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
