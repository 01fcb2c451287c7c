/** One line on a terminal that says how far something is; nothing where standard error is no terminal. */

import { oneLine } from "../core/errors.js";
import type { Terminal } from "./command.js";

/** Things that take less say nothing. */
const FIRST_MS = 700;
const EVERY_MS = 100;

/** Shows progress of whatever is under way, on a line that is gone when `clear` is called or the scope is left. */
export class ProgressLine implements Disposable {
  private readonly started = performance.now();
  private shownAt = Number.NEGATIVE_INFINITY;
  private shown = false;

  constructor(private readonly terminal: Terminal) {}

  /** `what done/total`, at most ten times a second. */
  show = ({ what, done, total }: { what: string; done: number; total: number }): void => {
    const now = performance.now();
    if (!this.terminal.interactive || now - this.started < FIRST_MS || now - this.shownAt < EVERY_MS) return;
    this.shownAt = now;
    this.shown = true;
    const numbers = ` ${done.toLocaleString("en-US")} of ${total.toLocaleString("en-US")}`;
    const room = Math.max(0, this.terminal.columns - numbers.length - 1);
    this.terminal.err(`\r\x1b[K${oneLine(what).slice(0, room)}${numbers}`, true);
  };

  /** A line that stays, above the progress. */
  say = (line: string): void => {
    this.clear();
    this.terminal.err(`${oneLine(line)}\n`);
  };

  clear(): void {
    if (this.shown) this.terminal.err("\r\x1b[K", true);
    this.shown = false;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
