/**
 * The log of verdicts: JSON Lines that only grow. Each line is one write at the file's end (`O_APPEND`) and is on the disk
 * when the call returns, so several processes may write to one log on a local disk. A line that was torn by a crash
 * is ended by whoever writes next and passed over by readers; nothing that was whole is ever cut off.
 */

import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { readExactly, realDisk } from "../../../core/disk.js";
import { UsageError } from "../../../core/errors.js";
import { withFileErrors } from "../../../core/files.js";
import { LINE_START, type Verdict, verdictLine, verdictOfLine } from "./verdict.js";

const NEWLINE = 10;
const CHUNK = 2 ** 20;

/** What was read of a log. */
export interface ReadVerdicts {
  /** In the order of the log. */
  readonly verdicts: readonly Verdict[];
  /** Numbers of lines, from 1, that hold no verdict: torn by a crash, or not written by Clipwright. */
  readonly damaged: readonly number[];
}

export class ReviewLog implements Disposable {
  private readonly file: number;
  /** Bytes and lines that were read. */
  private offset = 0;
  private line = 0;
  private closed = false;

  /** Opens the log at `path`, or makes it. Throws a `UsageError` when that cannot be. */
  constructor(readonly path: string) {
    const { O_RDWR, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
    this.file = withFileErrors("open the log", path, () => {
      const file = openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK, 0o644);
      realDisk.sync(dirname(path));
      return file;
    });
    if (!fstatSync(this.file).isFile()) {
      closeSync(this.file);
      throw new UsageError(`the log ${path}: must be a file. Give another path.`, { file: path });
    }
  }

  /** Appends verdicts, a write each, and returns when they are on the disk. */
  append(...verdicts: readonly Verdict[]): void {
    withFileErrors("append to", this.path, () => {
      for (const verdict of verdicts) this.appendLine(verdictLine(verdict));
      fsyncSync(this.file);
    });
  }

  private appendLine(line: string): void {
    const bytes = Buffer.from(`${this.isTorn() ? "\n" : ""}${line}\n`);
    if (writeSync(this.file, bytes) === bytes.length) return;
    // The disk may be full, or a signal came between. Going on where it stopped could land behind another's line.
    const again = Buffer.from(`\n${line}\n`);
    if (writeSync(this.file, again) !== again.length) {
      throw Object.assign(new Error("short write"), { code: "ENOSPC" });
    }
  }

  /** Whether the last line lacks its newline. */
  private isTorn(): boolean {
    const { size } = fstatSync(this.file);
    const last = new Uint8Array(1);
    return size > 0 && readExactly(this.file, last, size - 1) && last[0] !== NEWLINE;
  }

  /**
   * Verdicts that were written since the last call, by anybody. A last line without its newline is taken when it is a
   * whole verdict, and is else left for the next call.
   */
  read(): ReadVerdicts {
    const verdicts: Verdict[] = [];
    const damaged: number[] = [];
    withFileErrors("read", this.path, () => {
      if (fstatSync(this.file).size < this.offset) {
        throw new UsageError(
          `${this.path}: a log only grows; it became shorter. Restore it, and start the review anew.`,
          { file: this.path },
        );
      }
      const take = (bytes: Buffer): void => {
        this.line++;
        const text = bytes.toString("utf8");
        if (text.trim() === "") return;
        // A torn line, and behind it on the same line one that was written at the very moment of the crash.
        const verdict = verdictOfLine(text) ?? verdictOfLine(text.slice(text.lastIndexOf(LINE_START)));
        if (verdict !== undefined) verdicts.push(verdict);
        if (verdict === undefined || text.lastIndexOf(LINE_START) > 0) damaged.push(this.line);
      };
      let rest = Buffer.alloc(0);
      for (;;) {
        const piece = Buffer.allocUnsafe(CHUNK);
        const got = readSync(this.file, piece, 0, CHUNK, this.offset + rest.length);
        const bytes = Buffer.concat([rest, piece.subarray(0, got)]);
        let start = 0;
        for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
          take(bytes.subarray(start, end));
          start = end + 1;
        }
        this.offset += start;
        rest = bytes.subarray(start);
        if (got === 0) break;
      }
      if (rest.length > 0 && verdictOfLine(rest.toString("utf8")) !== undefined) {
        take(rest);
        this.offset += rest.length;
        // Its newline, when it comes, ends an empty line.
        this.line--;
      }
    });
    return { verdicts, damaged };
  }

  [Symbol.dispose](): void {
    if (this.closed) return;
    this.closed = true;
    closeSync(this.file);
  }
}

/** All verdicts of a log. A log that is not there is a `UsageError`. */
export function readReviewLog(path: string): ReadVerdicts {
  withFileErrors("read", path, () => closeSync(openSync(path, "r")));
  using log = new ReviewLog(path);
  return log.read();
}
