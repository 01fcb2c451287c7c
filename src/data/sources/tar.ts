/**
 * The members of a tar without unpacking it: name, offset and size of each, from headers alone.
 * Format: POSIX.1-2001 pax (path, size records), ustar (prefix), GNU (long names, base-256 sizes).
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { UsageError } from "../../core/errors.js";

export interface TarMember {
  readonly name: string;
  /** Of the member's first byte in the file. */
  readonly offset: number;
  readonly size: number;
}

const BLOCK = 512;
const WINDOW = 256 * 1024;

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
      const large = Buffer.allocUnsafe(size);
      return large.subarray(0, readSync(this.fd, large, 0, size, offset));
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

const text = (block: Buffer, start: number, length: number): string => {
  const end = block.indexOf(0, start);
  return block.toString("utf8", start, end < 0 || end > start + length ? start + length : end);
};

/** A number field: octal text, or GNU's base-256 when the top bit is set. */
function number(block: Buffer, start: number, length: number): number {
  if ((block[start]! & 0x80) !== 0) {
    let value = block[start]! & 0x7f;
    for (let i = 1; i < length; i++) value = value * 256 + block[start + i]!;
    return value;
  }
  const digits = text(block, start, length).trim();
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function checksumHolds(block: Buffer): boolean {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : block[i]!;
  return sum === number(block, 148, 8);
}

/** pax records: `length key=value\n`, the length counting the whole record. */
function paxRecords(data: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(32, at);
    const length = Number.parseInt(data.toString("latin1", at, space), 10);
    if (space < 0 || !(length > 0)) break;
    const record = data.toString("utf8", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

/** The regular members of the tar, in order. Throws `UsageError` when it is no tar, or is cut short. */
export function* tarMembers(file: FileWindow): Generator<TarMember> {
  const { path, length } = file;
  let at = 0;
  let longName: string | undefined;
  let pax = new Map<string, string>();
  while (at + BLOCK <= length) {
    const block = Buffer.from(file.read(at, BLOCK));
    if (block.every((byte) => byte === 0)) return;
    if (!checksumHolds(block)) {
      const hint = block[0] === 0x1f && block[1] === 0x8b ? " It is gzip-compressed: run gunzip first." : "";
      throw new UsageError(
        `tar ${path}: ${at === 0 ? "is not a tar file" : "is damaged"}; got a bad header at byte ${at}.${hint || " Fetch or make it again."}`,
      );
    }
    const type = String.fromCharCode(block[156]!);
    const size = pax.has("size") ? Number(pax.get("size")) : number(block, 124, 12);
    const offset = at + BLOCK;
    if (offset + size > length) {
      throw new UsageError(
        `tar ${path}: is cut short; got ${length} bytes, the member at byte ${at} needs ${offset + size}. Fetch or make it again.`,
      );
    }
    at = offset + Math.ceil(size / BLOCK) * BLOCK;
    if (type === "L") {
      longName = text(file.read(offset, size), 0, size);
    } else if (type === "x") {
      pax = paxRecords(file.read(offset, size));
    } else if (type === "0" || type === "\0" || type === "7") {
      const prefix = text(block, 257, 5) === "ustar" && block[262] === 0 ? text(block, 345, 155) : "";
      const short = text(block, 0, 100);
      yield { name: longName ?? pax.get("path") ?? (prefix ? `${prefix}/${short}` : short), offset, size };
      longName = undefined;
      pax = new Map();
    } else if (type !== "g" && type !== "K") {
      longName = undefined; // a folder or a link ends the reach of a long name
      pax = new Map();
    }
  }
  if (length === 0) throw new UsageError(`tar ${path}: is empty (0 bytes). Fetch or make it again.`);
  if (at === 0)
    throw new UsageError(`tar ${path}: is not a tar file; got ${length} bytes. Fetch or make it again.`);
}
