/** The lines of a file of any size, read piece by piece. */
import { closeSync, openSync, readSync } from "node:fs";

export interface Line {
  /** The line's bytes without its newline; valid until the next line is asked for. */
  readonly bytes: Buffer;
  /** Counted from 1. */
  readonly number: number;
  /** Of its first byte in the file. */
  readonly offset: number;
  /** Whether a newline ends it; only the last line may lack one. */
  readonly ended: boolean;
}

const NEWLINE = 10;
const CHUNK = 2 ** 20;

/**
 * Lines between newlines (`\n`; a `\r` before it stays). Memory holds one line and a piece of 1 MiB. A line of more than
 * `mostBytes` (default 256 MiB) throws a `RangeError`; so does the file system what it refuses.
 */
export function* readLines(path: string, mostBytes = 2 ** 28): Generator<Line> {
  const fd = openSync(path, "r");
  try {
    let rest = Buffer.alloc(0);
    let offset = 0;
    let number = 0;
    for (;;) {
      const piece = Buffer.allocUnsafe(Math.max(CHUNK, rest.length));
      const got = readSync(fd, piece);
      const read = piece.subarray(0, got);
      const bytes = rest.length === 0 ? read : Buffer.concat([rest, read]);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE, rest.length); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        yield { bytes: bytes.subarray(start, end), number: ++number, offset: offset + start, ended: true };
        start = end + 1;
      }
      rest = bytes.subarray(start);
      offset += start;
      if (got === 0) break;
      if (rest.length > mostBytes) {
        throw new RangeError(`line ${number + 1} is longer than ${mostBytes} bytes`);
      }
    }
    if (rest.length > 0) yield { bytes: rest, number: number + 1, offset, ended: false };
  } finally {
    closeSync(fd);
  }
}
