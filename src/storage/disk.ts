/**
 * The few things that a run does to a disk, behind an interface, so that tests can fill it up or kill the run
 * between any two of them. Failures that a person can mend become one clear line.
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
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { UsageError } from "../core/errors.js";

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
      for (const piece of pieces instanceof Uint8Array ? [pieces] : pieces) writeFully(file, piece);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  },
  append: (path, text) => appendFileSync(path, text),
  sync(path) {
    const file = openSync(path, "r");
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  },
  rename: (from, to) => renameSync(from, to),
  link: (from, to) => linkOrCopy(from, to),
  remove: (path) => rmSync(path, { recursive: true, force: true }),
};

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

/** `write(2)` may take less than it is given, e.g. above 2 GiB. */
function writeFully(file: number, bytes: Uint8Array): void {
  const PIECE_BYTES = 1 << 30;
  for (let at = 0; at < bytes.length; ) {
    at += writeSync(file, bytes, at, Math.min(PIECE_BYTES, bytes.length - at));
  }
}

/** Replaces a file so that a reader, or a crash, sees the old or the new content and nothing between. */
export function replaceFile(disk: Disk, path: string, content: FileContent): void {
  const temporary = `${path}.${process.pid}.tmp`;
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
    // The next opening of the run removes it.
  }
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

/**
 * Runs `write`, turning failures of the disk into a `UsageError` of one line.
 * @param what is written, e.g. `checkpoint`; `path`: where.
 * @param consolation what is safe and how to go on; a function when that is costly to find out.
 */
export function guarded<T>(
  what: string,
  path: string,
  consolation: string | (() => string),
  write: () => T,
): T {
  try {
    return write();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = (rule: string, remedy: string) =>
      new UsageError(
        `${what}: ${rule}; got ${code} at ${path}. ${remedy} ${typeof consolation === "string" ? consolation : consolation()}`.trim(),
      );
    switch (code) {
      case "ENOSPC":
      case "EDQUOT":
        throw message(`the disk is full${freeSpace(path)}`, "Free some space.");
      case "EACCES":
      case "EPERM":
      case "EROFS":
        throw message(
          "the folder cannot be written",
          "Change its permissions, or choose another with --logs.",
        );
      case "ENOTDIR":
      case "EEXIST":
        throw message("a file stands where a folder is needed", "Move it, or choose another with --logs.");
      case "EIO":
        throw message("the disk failed", "Check the disk, or choose another with --logs.");
      default:
        throw error;
    }
  }
}

/** ` (12 MB free)` of the file system that holds `path`, if it can be asked. */
function freeSpace(path: string): string {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = statfsSync(at);
      return ` (${Math.floor((bavail * bsize) / 1e6)} MB free)`;
    } catch {
      if (at === dirname(at)) return "";
    }
  }
}
