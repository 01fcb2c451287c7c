/**
 * Unpacks Python wheels: zip archives with a RECORD of every file's hash and size
 * (https://packaging.python.org/en/latest/specifications/binary-distribution-format/). Nothing in an archive is
 * believed: names stay inside of the folder, links are refused, sizes are limited, hashes are compared.
 */

import { createHash, type Hash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { UsageError } from "../../core/errors.js";

export interface WheelLimits {
  readonly entries: number;
  /** Of all files unpacked, as the archive's directory gives them. */
  readonly bytes: number;
  /** Bytes unpacked for each packed one, over the whole archive. */
  readonly ratio: number;
}

/** Several times what the largest wheel of the sets has: 1.2 GB, 9,000 files, 5 to one. */
export const wheelLimits: WheelLimits = { entries: 50_000, bytes: 8e9, ratio: 100 };

const LONGEST_NAME = 255;
const LARGEST_RECORD = 16e6;
/** Unix file types in the upper half of an entry's external attributes. */
const TYPE_MASK = 0o170000;
const REGULAR = 0o100000;
const FOLDER = 0o040000;
/** Files that RECORD lists without a hash: itself and its signatures. */
const unhashed = /^[^/]+\.dist-info\/RECORD(\.jws|\.p7s)?$/;
const recordName = /^[^/]+\.dist-info\/RECORD$/;

/**
 * Writes the files of the wheel at `path` under `folder`, which must hold no links; gives their number and bytes.
 * Throws `UsageError` for whatever is not a whole and harmless wheel: some files may then lie in `folder`.
 */
export async function unpackWheel(
  path: string,
  folder: string,
  limits: WheelLimits = wheelLimits,
): Promise<{ files: number; bytes: number }> {
  try {
    const archive = await openPromise(path, { strictFileNames: true, autoClose: false });
    try {
      const entries = await readDirectory(archive, limits);
      const record = await readRecord(archive, entries);
      let bytes = 0;
      for (const entry of entries) {
        await unpackFile(archive, entry, join(folder, entry.fileName), record.get(entry.fileName));
        bytes += entry.uncompressedSize;
      }
      return { files: entries.length, bytes };
    } finally {
      archive.close();
    }
  } catch (error) {
    // Errors with a system's code (no space, no permission) are not the archive's.
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== undefined && !code.startsWith("Z_")) throw error;
    throw new UsageError(
      `install: ${path} must be a whole wheel; ${message}. Delete it and download it again.`,
    );
  }
}

/** The entries that are files, all of them checked before any is read. */
async function readDirectory(archive: ZipFile, limits: WheelLimits): Promise<Entry[]> {
  if (archive.entryCount > limits.entries) {
    throw new Error(`it has ${archive.entryCount} entries, over ${limits.entries}`);
  }
  const files = new Map<string, Entry>();
  const folders = new Set<string>();
  let packed = 0;
  let unpacked = 0;
  for await (const entry of archive.eachEntry()) {
    const name = checkedName(entry);
    packed += entry.compressedSize;
    unpacked += entry.uncompressedSize;
    const parts = name.split("/");
    for (let depth = 1; depth < parts.length; depth++) folders.add(parts.slice(0, depth).join("/"));
    if (name.endsWith("/")) continue;
    if (files.has(name)) throw new Error(`it holds ${show(name)} twice`);
    files.set(name, entry);
  }
  for (const name of files.keys()) {
    if (folders.has(name)) throw new Error(`it holds ${show(name)} as a file and as a folder`);
  }
  // Entries may not share packed bytes, by which a small archive would become a large folder.
  if (packed > archive.fileSize) throw new Error("its entries overlap");
  if (unpacked > limits.bytes) throw new Error(`it unpacks to ${unpacked} bytes, over ${limits.bytes}`);
  if (unpacked > limits.ratio * archive.fileSize) {
    throw new Error(`it unpacks to more than ${limits.ratio} times its size`);
  }
  return [...files.values()];
}

/** The entry's name, relative and inside of the folder (yauzl refuses "..", "/" at the start and backslashes). */
function checkedName(entry: Entry): string {
  const name = entry.fileName;
  const parts = name.replace(/\/$/, "").split("/");
  const odd = parts.some((p) => p === "" || p === "." || Buffer.byteLength(p) > LONGEST_NAME);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (odd || /[\u0000-\u001f\u007f]/.test(name)) throw new Error(`it holds a file named ${show(name)}`);
  const type = (entry.externalFileAttributes >>> 16) & TYPE_MASK;
  if (type !== 0 && type !== (name.endsWith("/") ? FOLDER : REGULAR)) {
    throw new Error(`${show(name)} is a link or another special file`);
  }
  if (entry.isEncrypted()) throw new Error(`${show(name)} is encrypted`);
  return name;
}

const show = (name: string): string => JSON.stringify(name.slice(0, LONGEST_NAME));

interface Recorded {
  readonly algorithm: string;
  /** Base64 for URLs, without padding. */
  readonly digest: string;
}

/** What RECORD says of every entry; undefined for those that it cannot hash. */
async function readRecord(
  archive: ZipFile,
  entries: readonly Entry[],
): Promise<Map<string, Recorded | undefined>> {
  const found = entries.filter((e) => recordName.test(e.fileName));
  if (found.length !== 1) throw new Error(`it has ${found.length} files *.dist-info/RECORD, not one`);
  if (found[0]!.uncompressedSize > LARGEST_RECORD) throw new Error("its RECORD is over 16 MB");
  const chunks: Buffer[] = [];
  for await (const chunk of await archive.openReadStreamPromise(found[0]!, {})) chunks.push(chunk as Buffer);
  const record = new Map<string, Recorded | undefined>();
  for (const line of Buffer.concat(chunks).toString("utf8").split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const [, quoted, hash = ""] = /^(.*),([^,]*),\d*$/.exec(line) ?? [];
    const name = quoted?.replace(/^"(.*)"$/, "$1").replaceAll('""', '"');
    const [, algorithm, digest] = /^(sha256|sha384|sha512)=([\w-]+)$/.exec(hash) ?? [];
    const known = algorithm === undefined ? undefined : { algorithm, digest: digest! };
    if (name === undefined || (known === undefined && !unhashed.test(name))) {
      throw new Error(`its RECORD has no usable hash in ${show(line)}`);
    }
    record.set(name, known);
  }
  for (const { fileName } of entries) {
    if (!record.has(fileName) && !unhashed.test(fileName))
      throw new Error(`its RECORD lacks ${show(fileName)}`);
    if (record.has(fileName) && unhashed.test(fileName)) record.set(fileName, undefined);
  }
  const names = new Set(entries.map((e) => e.fileName));
  for (const name of record.keys()) if (!names.has(name)) throw new Error(`it lacks ${show(name)}`);
  return record;
}

/** Writes one file; its size (by yauzl), its CRC-32 and its hash must be what the archive says. */
async function unpackFile(
  archive: ZipFile,
  entry: Entry,
  target: string,
  recorded: Recorded | undefined,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const hash = createHash(recorded?.algorithm ?? "sha256");
  const sums = new Sums(hash);
  const mode = (entry.externalFileAttributes >>> 16) & 0o111 ? 0o755 : 0o644;
  await pipeline(await archive.openReadStreamPromise(entry, {}), sums, createWriteStream(target, { mode }));
  if (sums.crc !== undefined && sums.crc !== entry.crc32) {
    throw new Error(`${show(entry.fileName)} has another CRC-32 than the directory says`);
  }
  if (recorded !== undefined && hash.digest("base64url") !== recorded.digest) {
    throw new Error(`${show(entry.fileName)} has another hash than RECORD says`);
  }
}

/** Passes bytes on and sums them. */
class Sums extends Transform {
  /** Undefined on a Node before 20.15, which has none; the hash is there always. */
  crc: number | undefined = typeof zlib.crc32 === "function" ? 0 : undefined;
  constructor(private readonly hash: Hash) {
    super();
  }
  override _transform(chunk: Buffer, _: BufferEncoding, done: (error: null, chunk: Buffer) => void): void {
    this.hash.update(chunk);
    if (this.crc !== undefined) this.crc = zlib.crc32(chunk, this.crc);
    done(null, chunk);
  }
}
