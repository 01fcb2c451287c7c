/** Unpacks Python wheels, which are zip archives (PKWARE APPNOTE 6.3, without encryption and without zip64). */

import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname, join, normalize, sep } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { UsageError } from "../../core/errors.js";

const END_RECORD = {
  signature: 0x06054b50,
  size: 22,
  count: 10,
  directorySize: 12,
  directoryAt: 16,
} as const;
const ENTRY = {
  signature: 0x02014b50,
  size: 46,
  method: 10,
  packedSize: 20,
  size32: 24,
  nameLength: 28,
  extraLength: 30,
  commentLength: 32,
  attributes: 38,
  at: 42,
} as const;
const LOCAL = { size: 30, nameLength: 26, extraLength: 28 } as const;
const LONGEST_COMMENT = 65535;
const STORED = 0;
const DEFLATED = 8;

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly packedSize: number;
  readonly size: number;
  /** Unix permissions, 0 when unknown. */
  readonly mode: number;
  readonly at: number;
}

/** Writes the files of the archive at `path` under `folder`; gives their number and bytes. */
export async function unpackWheel(path: string, folder: string): Promise<{ files: number; bytes: number }> {
  const damaged = (why: string) =>
    new UsageError(`install: ${path} must be a whole zip archive; ${why}. Delete it and download it again.`);
  const file = await open(path);
  let files = 0;
  let bytes = 0;
  try {
    const entries = await readDirectory(file, damaged);
    for (const entry of entries) {
      if (entry.name.endsWith("/")) continue;
      const target = join(folder, normalize(entry.name));
      if (!target.startsWith(folder + sep)) throw damaged(`it holds a file outside of itself, ${entry.name}`);
      await mkdir(dirname(target), { recursive: true });
      const local = Buffer.alloc(LOCAL.size);
      await file.read(local, 0, LOCAL.size, entry.at);
      const start =
        entry.at + LOCAL.size + local.readUInt16LE(LOCAL.nameLength) + local.readUInt16LE(LOCAL.extraLength);
      const mode = entry.mode & 0o111 ? 0o755 : 0o644;
      let written = 0;
      const count = new Transform({
        transform(chunk: Buffer, _, done) {
          written += chunk.length;
          done(null, chunk);
        },
      });
      if (entry.packedSize > 0) {
        const source = createReadStream(path, { start, end: start + entry.packedSize - 1 });
        const sink = createWriteStream(target, { mode });
        if (entry.method === STORED) await pipeline(source, count, sink);
        else await pipeline(source, createInflateRaw(), count, sink);
      } else {
        await (await open(target, "w", mode)).close();
      }
      if (written !== entry.size) throw damaged(`${entry.name} has ${written} of ${entry.size} bytes`);
      files++;
      bytes += written;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code?.startsWith("Z_")) throw damaged((error as Error).message);
    throw error;
  } finally {
    await file.close();
  }
  return { files, bytes };
}

async function readDirectory(
  file: Awaited<ReturnType<typeof open>>,
  damaged: (why: string) => UsageError,
): Promise<Entry[]> {
  const { size } = await file.stat();
  const tailSize = Math.min(size, END_RECORD.size + LONGEST_COMMENT);
  const tail = Buffer.alloc(tailSize);
  await file.read(tail, 0, tailSize, size - tailSize);
  let end = tailSize - END_RECORD.size;
  while (end >= 0 && tail.readUInt32LE(end) !== END_RECORD.signature) end--;
  if (end < 0) throw damaged("it has no directory");
  const directory = Buffer.alloc(tail.readUInt32LE(end + END_RECORD.directorySize));
  await file.read(directory, 0, directory.length, tail.readUInt32LE(end + END_RECORD.directoryAt));
  const entries: Entry[] = [];
  let at = 0;
  for (let i = 0; i < tail.readUInt16LE(end + END_RECORD.count); i++) {
    if (at + ENTRY.size > directory.length || directory.readUInt32LE(at) !== ENTRY.signature) {
      throw damaged("its directory is cut off");
    }
    const nameLength = directory.readUInt16LE(at + ENTRY.nameLength);
    const entry = {
      name: directory.toString("utf8", at + ENTRY.size, at + ENTRY.size + nameLength),
      method: directory.readUInt16LE(at + ENTRY.method),
      packedSize: directory.readUInt32LE(at + ENTRY.packedSize),
      size: directory.readUInt32LE(at + ENTRY.size32),
      mode: directory.readUInt32LE(at + ENTRY.attributes) >>> 16,
      at: directory.readUInt32LE(at + ENTRY.at),
    };
    if (entry.method !== STORED && entry.method !== DEFLATED) {
      throw damaged(`${entry.name} is packed by method ${entry.method}`);
    }
    entries.push(entry);
    const extra = directory.readUInt16LE(at + ENTRY.extraLength);
    at += ENTRY.size + nameLength + extra + directory.readUInt16LE(at + ENTRY.commentLength);
  }
  return entries;
}
