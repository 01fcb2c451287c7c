/**
 * Files with holes in a tar: GNU's old headers of type S, and its pax records 0.0, 0.1 and 1.0
 * (https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html).
 */
import type { Piece } from "../../image-index.js";
import { BLOCK, type FileWindow, fieldNumber } from "./tar-fields.js";

export interface Sparse {
  /** Bytes of the file, holes included. */
  readonly size: number;
  readonly pieces: readonly Piece[];
  /** Where the next header is. */
  readonly end: number;
}

/** A part that holds data: where in the file, how many bytes. */
type Extent = readonly [at: number, size: number];

/** No file with more is worth its memory. */
const MOST_EXTENTS = 100_000;
/** Of a file with holes; it is put together in memory. */
const MOST_BYTES = 2 ** 30;

const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

/**
 * The pieces of the member whose header is `block` and whose `size` bytes begin at `offset`; undefined of a file without
 * holes, `damaged` where the map does not fit the bytes.
 */
export function sparsePieces(
  file: FileWindow,
  block: Buffer,
  offset: number,
  size: number,
  pax: readonly (readonly [key: string, value: string])[],
): Sparse | "damaged" | undefined {
  const records = new Map(pax);
  if (block[156] === 0x53) return oldGnu(file, block, offset, size);
  const real = Number(records.get("GNU.sparse.realsize") ?? records.get("GNU.sparse.size"));
  if (records.get("GNU.sparse.major") === "1") {
    const map = mapInData(file, offset, size);
    if (map === undefined) return "damaged";
    return joined(map.extents, real, map.start, offset + size);
  }
  const listed =
    records.get("GNU.sparse.map")?.split(",") ??
    pax.filter(([key]) => /^GNU\.sparse\.(offset|numbytes)$/.test(key)).map(([, value]) => value);
  if (listed.length === 0) return undefined;
  return joined(pairs(listed.map(Number)), real, offset, offset + size);
}

const pairs = (numbers: readonly number[]): Extent[] =>
  Array.from({ length: numbers.length >> 1 }, (_, i) => [numbers[2 * i]!, numbers[2 * i + 1]!]);

/** Four extents in the header, 21 in each block behind it as long as the one before says so. */
function oldGnu(file: FileWindow, block: Buffer, offset: number, size: number): Sparse | "damaged" {
  const extents: Extent[] = [];
  let start = offset;
  let [table, at, count, more] = [block, 386, 4, block[482]];
  for (;;) {
    for (let i = 0; i < count; i++) {
      const extent = [fieldNumber(table, at + 24 * i, 12), fieldNumber(table, at + 24 * i + 12, 12)] as const;
      if (extent[0] > 0 || extent[1] > 0) extents.push(extent);
    }
    if (!more) break;
    table = Buffer.from(file.read(start, BLOCK));
    if (table.length < BLOCK || extents.length > MOST_EXTENTS) return "damaged";
    [at, count, more] = [0, 21, table[504]];
    start += BLOCK;
  }
  return joined(extents, fieldNumber(block, 483, 12), start, start + size);
}

/** Format 1.0: the map stands before the data, a decimal number a line, its count first, padded to whole blocks. */
function mapInData(
  file: FileWindow,
  offset: number,
  size: number,
): { extents: Extent[]; start: number } | undefined {
  const text = file.read(offset, Math.min(size, MOST_EXTENTS * 24)).toString("latin1");
  const count = Number.parseInt(text, 10);
  if (!(count >= 0 && count <= MOST_EXTENTS)) return undefined;
  const lines = text.split("\n", 2 * count + 2);
  if (lines.length < 2 * count + 2) return undefined;
  const bytes = lines.slice(0, 2 * count + 1).reduce((sum, line) => sum + line.length + 1, 0);
  return { extents: pairs(lines.slice(1, 2 * count + 1).map(Number)), start: offset + padded(bytes) };
}

/** Extents in ascending order whose data lie one after the other from `start`, and end at `end` at the latest. */
function joined(extents: readonly Extent[], size: number, start: number, end: number): Sparse | "damaged" {
  const pieces: Piece[] = [];
  let [offset, least] = [start, 0];
  for (const [at, length] of extents) {
    if (!(Number.isInteger(at) && Number.isInteger(length) && at >= least && length >= 0)) return "damaged";
    pieces.push({ at, offset, size: length });
    offset += length;
    least = at + length;
  }
  if (!(Number.isInteger(size) && size >= least && size <= MOST_BYTES) || offset > end) return "damaged";
  return { size, pieces: pieces.filter((piece) => piece.size > 0), end: padded(end) };
}
