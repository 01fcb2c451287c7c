/** A file that grows over time and takes its place whole; for content that is there at once, see `replaceFile`. */

import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { realDisk, removeQuietly, writeAll } from "./disk.js";
import { UsageError } from "./errors.js";
import { withFileErrors } from "./files.js";

/**
 * Written in pieces beside its place (`PATH.tmp`) and moved there by `commit`: readers see the old content or the
 * new, whatever happens to the process or the machine. Leaving its scope without `commit` removes the pieces; a
 * leftover of a killed process is overwritten by the next writer.
 */
export class AtomicFile implements Disposable {
  private readonly temporary: string;
  private file: number | undefined;

  constructor(readonly path: string) {
    this.temporary = `${path}.tmp`;
    this.file = withFileErrors("write", path, () => openSync(this.temporary, "w"));
  }

  /** Appends `bytes`. Throws a `UsageError` when the disk is full. */
  write(bytes: Uint8Array): void {
    const file = this.open();
    withFileErrors("write", this.path, () => writeAll(file, bytes));
  }

  /** Puts the file in its place, on the disk. */
  commit(): void {
    const file = this.open();
    withFileErrors("write", this.path, () => {
      fsyncSync(file);
      realDisk.rename(this.temporary, this.path);
      realDisk.sync(dirname(this.path));
    });
    closeSync(file);
    this.file = undefined;
  }

  [Symbol.dispose](): void {
    if (this.file === undefined) return;
    closeSync(this.file);
    this.file = undefined;
    removeQuietly(realDisk, this.temporary);
  }

  private open(): number {
    if (this.file === undefined) {
      throw new UsageError(`write ${this.path}: the file must be open; it was closed.`);
    }
    return this.file;
  }
}
