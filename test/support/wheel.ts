/** Zip archives and wheels of small files, whole or damaged in one way. */

import { createHash } from "node:crypto";
import { crc32, deflateRawSync } from "node:zlib";

export interface ZipFile {
  readonly name: string;
  readonly content: string;
  readonly packed?: boolean;
  /** Unix mode, type included. */
  readonly mode?: number;
  readonly crc?: number;
  /** The unpacked size that the directory claims. */
  readonly size?: number;
}

/** A zip archive (PKWARE APPNOTE 6.3). */
export function zip(files: readonly ZipFile[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, content, packed = true, mode = 0o644, crc = crc32(content), size } of files) {
    const data = packed ? deflateRawSync(content) : Buffer.from(content);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(packed ? 8 : 0, 8);
    local.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(packed ? 8 : 0, 10);
    entry.writeUInt32LE(crc, 16);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(size ?? content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE((mode << 16) >>> 0, 38);
    entry.writeUInt32LE(at, 42);
    parts.push(local, Buffer.from(name), data);
    directory.push(entry, Buffer.from(name));
    at += 30 + name.length + data.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(
    directory.reduce((n, b) => n + b.length, 0),
    12,
  );
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

const recordLine = ({ name, content }: ZipFile): string =>
  `${name},sha256=${createHash("sha256").update(content).digest("base64url")},${content.length}\n`;

/** A wheel: the files and their RECORD, or the `record` that is given. */
export function wheel(files: readonly ZipFile[], record?: string): Buffer {
  const name = "pkg-1.dist-info/RECORD";
  const lines = files.filter((f) => !f.name.endsWith("/")).map(recordLine);
  return zip([...files, { name, content: record ?? `${lines.join("")}${name},,\n` }]);
}
