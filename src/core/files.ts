/**
 * Files that survive a crash: whole files appear at once or not at all, lines are on the disk when the call
 * returns, and whatever the operating system refuses becomes one `UsageError` line that names the path.
 *
 * Each path has one writer at a time. All calls are synchronous: they are short, or at the end of a step.
 */

import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { didYouMean, UsageError } from "./errors.js";

/** The largest piece given to one system call: a read or write of 2 GiB or more fails on Linux. */
const CHUNK_BYTES = 2 ** 28;

/** What each refusal of the operating system means to the caller. */
const advice: Readonly<Record<string, string>> = {
  ENOSPC:
    "the disk is full. Free some space and run the same command again; what was written before is intact",
  EDQUOT:
    "the disk quota is used up. Free some space and run the same command again; what was written before is intact",
  EACCES: "permission was denied. Choose another place or change the permissions",
  EPERM: "the system does not permit it. Choose another place or change the permissions",
  EROFS: "the file system is read-only. Choose a place that can be written",
  EISDIR: "it is a folder. Give the path of a file",
  ENOTDIR: "a part of the path is a file, not a folder. Give another path",
  EMFILE: "this process has too many files open. Raise the limit (ulimit -n)",
  ENFILE: "the system has too many files open. Close some programs",
  EIO: "the device reported an error. Check the disk",
  ENAMETOOLONG: "the name is too long. Give a shorter one",
  ELOOP: "its symbolic links go round in a circle. Give the real path",
};

/**
 * The `UsageError` for a failure of the file system while doing `action` ("read", "write", …) with `path`.
 * An error that is not the file system's is returned unchanged, so that `throw fileError(…)` is always right.
 */
export function fileError(error: unknown, action: string, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (!(error instanceof Error) || typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) return error;
  const why = code === "ENOENT" ? missing(path) : (advice[code] ?? error.message);
  return new UsageError(`cannot ${action} ${path}: ${why} (${code}).`, { cause: error });
}

function missing(path: string): string {
  const folder = dirname(path);
  try {
    return `no such file.${didYouMean(basename(path), readdirSync(folder))} Check the path`;
  } catch {
    return `the folder ${folder} does not exist. Check the path`;
  }
}

/** Runs `body`, turning what the file system refuses into a `UsageError`. */
export function withFileErrors<T>(action: string, path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw fileError(error, action, path);
  }
}

/** Writes all of `bytes` at the file's position; a short write is continued. */
function writeAll(fd: number, bytes: Uint8Array, position: number | null = null): void {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(CHUNK_BYTES, bytes.byteLength - done);
    done += writeSync(fd, bytes, done, length, position === null ? null : position + done);
  }
}

/** Fills `out` from byte `position` of an open file; false when the file ends before. */
export function readExactly(fd: number, out: Uint8Array, position: number): boolean {
  let done = 0;
  while (done < out.byteLength) {
    const got = readSync(fd, out, done, Math.min(CHUNK_BYTES, out.byteLength - done), position + done);
    if (got === 0) return false;
    done += got;
  }
  return true;
}

/** Makes a rename or a new name in `folder` durable. Systems that cannot sync a folder are left alone. */
export function syncFolder(folder: string): void {
  let fd: number;
  try {
    fd = openSync(folder, "r");
  } catch {
    return;
  }
  try {
    fsyncSync(fd);
  } catch (error) {
    if (!["EINVAL", "EPERM", "ENOTSUP", "EBADF"].includes((error as NodeJS.ErrnoException).code ?? ""))
      throw error;
  } finally {
    closeSync(fd);
  }
}

/**
 * A file that is written in pieces beside its place (`PATH.tmp`) and moved there by `commit`: readers see the
 * old content or the new, never a part, whatever happens to the process or the machine. Leaving its scope
 * without `commit` removes the pieces; a leftover of a killed process is overwritten by the next writer.
 */
export class AtomicFile implements Disposable {
  private readonly temporary: string;
  private fd: number | undefined;
  private sizeBytes = 0;

  constructor(readonly path: string) {
    this.temporary = `${path}.tmp`;
    this.fd = withFileErrors("write", path, () => openSync(this.temporary, "w"));
  }

  /** Bytes written so far. */
  get size(): number {
    return this.sizeBytes;
  }

  /** Appends `bytes`. Throws a `UsageError` when the disk is full. */
  write(bytes: Uint8Array): void {
    const fd = this.descriptor();
    withFileErrors("write", this.path, () => writeAll(fd, bytes));
    this.sizeBytes += bytes.byteLength;
  }

  /** Puts the file in its place, on the disk: fsync, rename, fsync of the folder. */
  commit(): void {
    const fd = this.descriptor();
    withFileErrors("write", this.path, () => {
      fsyncSync(fd);
      closeSync(fd);
      this.fd = undefined;
      try {
        renameSync(this.temporary, this.path);
      } catch (error) {
        rmSync(this.temporary, { force: true });
        throw error;
      }
      syncFolder(dirname(this.path));
    });
  }

  [Symbol.dispose](): void {
    if (this.fd === undefined) return;
    closeSync(this.fd);
    this.fd = undefined;
    rmSync(this.temporary, { force: true });
  }

  private descriptor(): number {
    if (this.fd === undefined)
      throw new UsageError(`write ${this.path}: the file must be open; it was closed.`);
    return this.fd;
  }
}

/** Writes a whole file so that a crash leaves the old content or the new. The folder must exist. */
export function writeFileAtomic(path: string, content: string | Uint8Array): void {
  using file = new AtomicFile(path);
  file.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
  file.commit();
}

/** Writes `value` as JSON, two spaces deep and ending in a newline, atomically. */
export const writeJsonAtomic = (path: string, value: unknown): void =>
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);

/**
 * Appends one line of JSON Lines (no newline within) and returns when it is on the disk. An unfinished last
 * line, as a killed process leaves one, is removed first (kept if it is whole and lacks only its newline). If
 * the disk fills up, the file is as before and a `UsageError` says so.
 */
export function appendLineDurably(path: string, line: string): void {
  if (line.includes("\n")) throw new UsageError(`append to ${path}: a line must not hold a newline.`);
  withFileErrors("append to", path, () => {
    const fd = openSync(path, "a+");
    try {
      const { end, needsNewline } = lastWholeLine(fd);
      if (end < fstatSync(fd).size) ftruncateSync(fd, end);
      try {
        writeAll(fd, new TextEncoder().encode(`${needsNewline ? "\n" : ""}${line}\n`));
        fsyncSync(fd);
      } catch (error) {
        if (fstatSync(fd).isFile()) ftruncateSync(fd, end);
        throw error;
      }
    } finally {
      closeSync(fd);
    }
  });
}

/** Where the last whole line ends, and whether its newline is missing. */
function lastWholeLine(fd: number): { end: number; needsNewline: boolean } {
  const { size } = fstatSync(fd);
  const window = 65536;
  let tail = new Uint8Array(0);
  for (let start = size; start > 0; ) {
    const from = Math.max(0, start - window);
    const piece = new Uint8Array(start - from);
    if (!readExactly(fd, piece, from)) break;
    tail = Buffer.concat([piece, tail]);
    start = from;
    const newline = tail.lastIndexOf(10);
    if (newline < 0 && start > 0) continue;
    const rest = tail.subarray(newline + 1);
    if (rest.length === 0) return { end: size, needsNewline: false };
    if (isJson(new TextDecoder().decode(rest))) return { end: size, needsNewline: true };
    return { end: size - rest.length, needsNewline: false };
  }
  return { end: size, needsNewline: false };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The text of a file. Throws a `UsageError` that names it (with the nearest name in its folder) if it is not there. */
export const readText = (path: string): string =>
  withFileErrors("read", path, () => readFileSync(path, "utf8")).replace(/^\uFEFF/, "");

/** The bytes of a file (under 2 GiB). */
export const readBytes = (path: string): Uint8Array => withFileErrors("read", path, () => readFileSync(path));

/** The value in a JSON file. A mistake is reported as `file:line:column`. */
export function readJson(path: string): unknown {
  return parseJson(readText(path), path, 1);
}

/**
 * The values of a JSON Lines file, empty lines skipped. A mistake is reported as `file:line:column`; an
 * unfinished last line (no newline, not JSON), as a killed process leaves one, is skipped.
 */
export function readJsonLines(path: string): unknown[] {
  const lines = readText(path).split("\n");
  const last = lines.length - 1;
  return lines.flatMap((line, i) => {
    if (line.trim() === "" || (i === last && !isJson(line))) return [];
    return [parseJson(line, path, i + 1)];
  });
}

function parseJson(text: string, path: string, firstLine: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const before = text.slice(0, firstMistake(text)).split("\n");
    const at = `${path}:${firstLine + before.length - 1}:${before.at(-1)!.length + 1}`;
    const what = (error as Error).message.replace(
      / in JSON at position.*$| in JSON$|, .*is not valid JSON$/s,
      "",
    );
    throw new UsageError(`${at}: must be JSON; ${what}. Correct the file, or delete it to start over.`);
  }
}

/** Where JSON breaks, by bisection: the longest start of `text` that more text could complete. V8 does not always tell. */
function firstMistake(text: string): number {
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isStartOfJson(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function isStartOfJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const { message } = error as Error;
    const position = /position (\d+)/.exec(message)?.[1];
    return /end of JSON|Unterminated/.test(message) || position === String(text.length);
  }
}
