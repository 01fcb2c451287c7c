/**
 * Files that survive a crash: whole files appear at once or not at all, lines are on the disk when the call
 * returns, and whatever the operating system refuses becomes one `UsageError` line that names the path.
 *
 * Each path has one writer at a time. All calls are synchronous: they are short, or at the end of a step.
 */

import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
} from "node:fs";
import { basename, dirname, resolve } from "node:path";
import {
  type FileContent,
  filePieces,
  firstMissing,
  readExactly,
  realDisk,
  replaceFile,
  specialFile,
  writeAll,
} from "./disk.js";
import { didYouMean, UsageError } from "./errors.js";
import { readLines } from "./lines.js";

const FULL = "Free some space and run the same command again; nothing that was complete before is touched";
const DENIED = "Choose another place or change the permissions";

/** What each refusal of the operating system means to the caller, and what to do. */
const advice: Readonly<Record<string, readonly [rule: string, remedy: string]>> = {
  ENOSPC: ["the disk is full", FULL],
  EDQUOT: ["the disk quota is used up", FULL],
  EACCES: ["permission was denied", DENIED],
  EPERM: ["the system does not permit it", DENIED],
  EROFS: ["the file system is read-only", "Choose a place that can be written"],
  EISDIR: ["it is a folder", "Give the path of a file"],
  ENOTDIR: ["a part of the path is a file, not a folder", "Give another path"],
  EEXIST: ["a file of that name is in the way", "Move it, or give another path"],
  EMFILE: ["this process has too many files open", "Raise the limit (ulimit -n)"],
  ENFILE: ["the system has too many files open", "Close some programs"],
  EIO: ["the device reported an error", "Check the disk"],
  ENAMETOOLONG: ["the name is too long", "Give a shorter one"],
  ELOOP: ["its symbolic links go round in a circle", "Give the real path"],
};

/** What a caller knows besides, e.g. the option that says where files go; a function when finding out is costly. */
export type Consolation = string | (() => string);

/**
 * The `UsageError` for a failure of the file system while doing `action` ("read", "write", …) with `path`:
 * `cannot ACTION PATH: why (CODE). What to do. CONSOLATION`. An error that is not the file system's is returned
 * unchanged, so that `throw fileError(…)` is always right.
 */
export function fileError(
  error: unknown,
  action: string,
  path: string,
  consolation: Consolation = "",
): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (!(error instanceof Error) || typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) return error;
  const [rule, remedy] =
    code === "ENOENT" ? missing(path) : (advice[code] ?? [error.message, "Check the path"]);
  const free = code === "ENOSPC" ? freeSpace(path) : "";
  const more = typeof consolation === "string" ? consolation : consolation();
  return new UsageError(`cannot ${action} ${path}: ${rule}${free} (${code}). ${remedy}. ${more}`.trim(), {
    code,
    file: path,
    cause: error,
  });
}

/** Of a path that is not there: the first part that is missing, and the nearest name beside it; or where a link points. */
function missing(path: string): [rule: string, remedy: string] {
  const at = firstMissing(path) ?? path;
  const rule = at === path ? "no such file" : `the folder ${at} does not exist`;
  try {
    const target = readlinkSync(at);
    return [`${at} is a symbolic link to ${target}, which does not exist`, "Mend the link"];
  } catch {
    return [rule, `${neighbours(at)} Check the path`.trim()];
  }
}

/** ` Did you mean "x"?`, with the name nearest to the path's last part among those beside it; or nothing. */
export function neighbours(path: string): string {
  try {
    return didYouMean(basename(path), readdirSync(dirname(path)));
  } catch {
    return "";
  }
}

/** The `UsageError` for a path that is not there, as reading it would give. */
export const missingFile = (path: string, action = "read"): unknown =>
  fileError(Object.assign(new Error("no such file"), { code: "ENOENT" }), action, path);

/** Bytes that are free on the file system that holds `path`, which need not be there; undefined where it cannot be asked. */
export function freeBytes(path: string): number | undefined {
  for (let at = resolve(path); ; at = dirname(at)) {
    try {
      const { bavail, bsize } = statfsSync(at);
      return bavail * bsize;
    } catch {
      if (at === dirname(at)) return undefined;
    }
  }
}

/** `, 12 MB free,` of the file system that holds `path`, if it can be asked. */
function freeSpace(path: string): string {
  const free = freeBytes(path);
  return free === undefined ? "" : `, ${Math.floor(free / 1e6)} MB free`;
}

/** Runs `body`, turning what the file system refuses into a `UsageError`. */
export function withFileErrors<T>(
  action: string,
  path: string,
  body: () => T,
  consolation: Consolation = "",
): T {
  try {
    return body();
  } catch (error) {
    throw fileError(error, action, path, consolation);
  }
}

/** Writes a whole file so that a crash leaves the old content or the new. The folder must exist. */
export const writeFileAtomic = (path: string, content: FileContent): void =>
  withFileErrors("write", path, () => replaceFile(realDisk, path, content));

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

/**
 * The bytes of a file of at most `most` bytes (default 2 GiB). Throws what the system refuses, and a `UsageError` for a
 * pipe, a socket or a device, which could make a reader wait or read for ever.
 */
export function readRegularFile(path: string, most = 2 ** 31 - 1): Buffer {
  if (path.includes("\0")) throw new UsageError(`cannot read ${path}: a path holds no NUL. Check the path.`);
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    const what = specialFile(stats);
    if (what !== undefined) {
      throw new UsageError(
        `cannot read ${path}: it is ${what}, not a file. Write what it gives to a file first.`,
      );
    }
    if (stats.size > most) {
      throw new UsageError(`cannot read ${path}: it must have at most ${most} bytes; got ${stats.size}.`);
    }
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/** The bytes of a file (under 2 GiB). Throws a `UsageError` that names it. */
export const readBytes = (path: string): Uint8Array =>
  withFileErrors("read", path, () => readRegularFile(path));

/** SHA-256 of a file's bytes, in hex; of any size, as it is read piece by piece. Throws a `UsageError` that names the file. */
export function digestOfFile(path: string): string {
  const hash = createHash("sha256");
  withFileErrors("read", path, () => {
    for (const piece of filePieces(path)) hash.update(piece);
  });
  return hash.digest("hex");
}

/** The text of a file. Throws a `UsageError` that names it (with the nearest name in its folder) if it is not there. */
export const readText = (path: string): string =>
  withFileErrors("read", path, () => readRegularFile(path).toString("utf8")).replace(/^\uFEFF/, "");

/** The value in a JSON file. A mistake is reported as `file:line:column`. */
export function readJson(path: string): unknown {
  return parseJson(readText(path), path, 1);
}

/** The object in a JSON file. A file that holds anything else is a `UsageError`, too. */
export function readJsonObject(path: string): Record<string, unknown> {
  const value = readJson(path);
  if (isObject(value)) return value;
  throw new UsageError(`${path}: must hold one JSON object; got ${shown(value)}. Restore the file.`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const shown = (value: unknown): string => JSON.stringify(value).slice(0, 60);

/**
 * The values of a JSON Lines file, empty lines skipped. A mistake is reported as `file:line:column`; an
 * unfinished last line (no newline, not JSON), as a killed process leaves one, is skipped.
 */
export function readJsonLines(path: string): unknown[] {
  return withFileErrors("read", path, () => {
    const values: unknown[] = [];
    for (const { bytes, number, ended } of readLines(path)) {
      const line = bytes.toString("utf8").replace(/^\uFEFF/, "");
      if (line.trim() === "" || (!ended && !isJson(line))) continue;
      values.push(parseJson(line, path, number));
    }
    return values;
  });
}

/** The same of a file whose lines are objects, with the number of its line; another line is a `UsageError`. */
export function readJsonRecords(path: string, is: (value: Record<string, unknown>) => boolean, rule: string) {
  return readJsonLines(path).map((value, i) => {
    if (isObject(value) && is(value)) return value;
    throw new UsageError(`${path}: record ${i + 1} must be ${rule}; got ${shown(value)}. Delete this line.`);
  });
}

/** The value of JSON text that starts at line `firstLine` of the file `path`. A mistake is reported as `file:line:column`. */
export function parseJson(text: string, path: string, firstLine = 1): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const before = text.slice(0, firstMistake(text)).split("\n");
    const line = firstLine + before.length - 1;
    const at = `${path}:${line}:${before.at(-1)!.length + 1}`;
    const what = (error as Error).message.replace(
      / in JSON at position.*$| in JSON$|, .*is not valid JSON$/s,
      "",
    );
    throw new UsageError(`${at}: must be JSON; ${what}. Correct the file, or delete it to start over.`, {
      file: path,
      line,
      cause: error,
    });
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
