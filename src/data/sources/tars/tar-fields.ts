/** Parts of a tar file: ranges of it, text and number fields of its headers. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** Headers and contents begin at multiples of it. */
export const BLOCK = 512;
/** Bytes read at once. */
export const WINDOW = 256 * 1024;

/** Reads ranges of a file through one window, so that small members cost no call of their own. */
export class FileWindow {
  private readonly window = Buffer.allocUnsafe(WINDOW);
  private start = 0;
  private end = 0;
  private readonly fd: number;
  readonly length: number;

  constructor(readonly path: string) {
    this.fd = openSync(path, "r");
    this.length = fstatSync(this.fd).size;
  }

  /** `size` bytes at `offset`, fewer at the file's end; valid until the next call. */
  read(offset: number, size: number): Buffer {
    if (size > WINDOW) {
      const large = Buffer.allocUnsafe(Math.max(0, Math.min(size, this.length - offset)));
      return large.subarray(0, readSync(this.fd, large, 0, large.length, offset));
    }
    if (offset < this.start || offset + size > this.end) {
      this.start = offset;
      this.end = offset + readSync(this.fd, this.window, 0, WINDOW, offset);
    }
    return this.window.subarray(offset - this.start, Math.min(offset + size, this.end) - this.start);
  }

  close(): void {
    closeSync(this.fd);
  }
}

export const fieldText = (block: Buffer, start: number, length: number): string => {
  const end = block.indexOf(0, start);
  return block.toString("utf8", start, end < 0 || end > start + length ? start + length : end);
};

/** A number field: octal text, or GNU's base-256 when the top bit is set; NaN where it is neither, or negative. */
export function fieldNumber(block: Buffer, start: number, length: number): number {
  const first = block[start]!;
  if ((first & 0x80) !== 0) {
    if (first !== 0x80) return Number.NaN;
    let value = 0;
    for (let i = 1; i < length; i++) value = value * 256 + block[start + i]!;
    return value;
  }
  const digits = fieldText(block, start, length).trim();
  if (!/^[0-7]*$/.test(digits)) return Number.NaN;
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}
