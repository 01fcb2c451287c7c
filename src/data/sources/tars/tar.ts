/**
 * The members of a tar without unpacking it: name and place of each, from headers alone. Entries are told apart as
 * Python's tarfile does, so that what webdataset reads is read here.
 * Format: POSIX.1-2001 pax (path, size records), ustar (prefix), GNU (long names, base-256 sizes, sparse files).
 */
import { posix } from "node:path";
import type { Piece } from "../../image-index.js";
import { BLOCK, type FileWindow, fieldNumber, fieldText, WINDOW } from "./tar-fields.js";
import { sparsePieces } from "./tar-sparse.js";

export interface TarMember {
  readonly name: string;
  /** Of the member's first byte in the file. */
  readonly offset: number;
  /** Bytes, holes included. */
  readonly size: number;
  /** Of a file with holes; otherwise all bytes lie at `offset`. */
  readonly pieces?: readonly Piece[];
}

export interface TarReading {
  readonly members: readonly TarMember[];
  /** Why the members are not, or may not be, all: in words, `is cut short; got …`. */
  readonly damage?: string;
}

/** No name and no pax header is longer. */
const MOST_HEADER_BYTES = 2 ** 20;

/** Sums of the header's bytes, as POSIX has it and with signed bytes as some old programs wrote it. */
function checksumHolds(block: Buffer): boolean {
  let sum = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? 32 : block[i]!;
    sum += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const stated = fieldNumber(block, 148, 8);
  return stated === sum || stated === signed;
}

const isZero = (block: Buffer): boolean => block.every((byte) => byte === 0);

/** pax records: `length key=value\n`, the length counting the whole record; GNU repeats keys for sparse files. */
function paxRecords(data: Buffer): [key: string, value: string][] {
  const records: [string, string][] = [];
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(32, at);
    const length = Number.parseInt(data.toString("latin1", at, space), 10);
    if (space < 0 || !(length > space - at)) break;
    const record = data.toString("utf8", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    records.push([record.slice(0, equals), record.slice(equals + 1)]);
    at += length;
  }
  return records;
}

/** What the entries before a member say of it. */
interface Ahead {
  longName?: string;
  longLink?: string;
  pax: readonly [key: string, value: string][];
}

/** Links, devices and folders have no bytes, whatever their size says (tarfile's rule); sockets and such are unknown. */
const WITHOUT_BYTES = new Set(["1", "2", "3", "4", "5", "6"]);
const REGULAR = new Set(["0", "\0", "7", "S"]);

/**
 * The files in the tar, in order; links to other members stand for what they point to. Reading ends at the first
 * damage, which is told: a bad header, a tar that is cut, one without an end. Throws what the file system refuses.
 */
export function readTar(file: FileWindow): TarReading {
  const members: TarMember[] = [];
  const links: { name: string; target: string; place: number }[] = [];
  const damage = walk(file, members, links);
  const byName = new Map(members.map((member) => [posix.normalize(member.name), member]));
  const inserts: [place: number, member: TarMember][] = [];
  for (const { name, target, place } of links) {
    const known = byName.get(posix.normalize(target));
    if (known === undefined) continue;
    const member = { ...known, name };
    byName.set(posix.normalize(name), member);
    inserts.push([place, member]);
  }
  for (const [place, member] of inserts.reverse()) members.splice(place, 0, member);
  return damage === undefined ? { members } : { members, damage };
}

/** Fills `members` and `links`; gives what is wrong with the tar. */
function walk(
  file: FileWindow,
  members: TarMember[],
  links: { name: string; target: string; place: number }[],
): string | undefined {
  const { length } = file;
  if (length === 0) return "is empty (0 bytes)";
  let at = 0;
  let ahead: Ahead = { pax: [] };
  let shared: readonly [key: string, value: string][] = [];
  for (;;) {
    if (at === length) return `has no end marker after ${length} bytes, as a tar that is cut short`;
    const block = Buffer.from(file.read(at, BLOCK));
    if (block.length < BLOCK) {
      return at === 0
        ? `is not a tar file; got ${length} bytes`
        : `is cut short; got ${length} bytes, the last header is incomplete`;
    }
    if (isZero(block)) {
      if (at === 0) return `is not a tar file; got ${length} bytes that begin with zeros`;
      return isZero(file.read(at, WINDOW)) ? undefined : `goes on after its end marker at byte ${at}`;
    }
    if (!checksumHolds(block)) {
      if (block[0] === 0x1f && block[1] === 0x8b)
        return "is not a tar file but gzip-compressed; run gunzip first";
      return `${at === 0 ? "is not a tar file" : "is damaged"}; got a bad header at byte ${at}`;
    }
    const type = String.fromCharCode(block[156]!);
    const pax = new Map([...shared, ...ahead.pax]);
    const stated = pax.has("size") ? Number(pax.get("size") || Number.NaN) : fieldNumber(block, 124, 12);
    if (!(Number.isInteger(stated) && stated >= 0)) {
      return `is damaged; got a size that is none in the header at byte ${at}`;
    }
    const name = nameOf(block, ahead, pax);
    const isFolder = type === "5" || (type === "\0" && name.endsWith("/"));
    const offset = at + BLOCK;
    const size = isFolder || WITHOUT_BYTES.has(type) ? linkBytes(file, offset, stated) : stated;
    if (offset + size > length) {
      return `is cut short; got ${length} bytes, the member at byte ${at} needs ${offset + size}`;
    }
    at = offset + Math.ceil(size / BLOCK) * BLOCK;
    if ("LKxXg".includes(type)) {
      if (size > MOST_HEADER_BYTES) return `is damaged; got a name of ${size} bytes at byte ${offset}`;
      const bytes = file.read(offset, size);
      if (type === "L") ahead.longName = fieldText(bytes, 0, size);
      else if (type === "K") ahead.longLink = fieldText(bytes, 0, size);
      else if (type === "g") shared = [...shared, ...paxRecords(bytes)];
      else ahead.pax = paxRecords(bytes);
    } else {
      if (REGULAR.has(type) && !isFolder) {
        const sparse = sparsePieces(file, block, offset, size, ahead.pax);
        if (sparse === "damaged") return `is damaged; got a map of holes that is none at byte ${offset}`;
        if (sparse === undefined) members.push({ name, offset, size });
        else {
          at = sparse.end;
          if (at > length)
            return `is cut short; got ${length} bytes, the member at byte ${offset} needs ${at}`;
          members.push({ name, offset, size: sparse.size, pieces: sparse.pieces });
        }
      } else if (type === "1" || type === "2") {
        const written = ahead.longLink ?? pax.get("linkpath") ?? fieldText(block, 157, 100);
        const target = type === "1" ? written : posix.join(posix.dirname(name), written);
        links.push({ name, target, place: members.length + links.length });
      }
      ahead = { pax: [] };
    }
    if (at > length) return `is cut short; got ${length} bytes, ${at} with the last member's padding`;
  }
}

/** Bytes behind a link or a folder that states a size: none, unless only behind them is a header or the end. */
function linkBytes(file: FileWindow, offset: number, stated: number): number {
  const isHeader = (at: number): boolean => {
    const block = Buffer.from(file.read(at, BLOCK));
    return block.length === BLOCK && (isZero(block) || checksumHolds(block));
  };
  const behind = offset + Math.ceil(stated / BLOCK) * BLOCK;
  return stated > 0 && behind <= file.length && !isHeader(offset) && isHeader(behind) ? stated : 0;
}

function nameOf(block: Buffer, { longName }: Ahead, pax: ReadonlyMap<string, string>): string {
  const said = pax.get("GNU.sparse.name") ?? longName ?? pax.get("path");
  if (said !== undefined) return said;
  const prefix =
    fieldText(block, 257, 5) === "ustar" && block[262] === 0 && block[156] !== 0x53
      ? fieldText(block, 345, 155)
      : "";
  const short = fieldText(block, 0, 100);
  return prefix ? `${prefix}/${short}` : short;
}
