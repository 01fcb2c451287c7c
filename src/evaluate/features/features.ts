/**
 * Embedded images or texts, and their cosine similarities tile by tile in plain JavaScript. `N` rows, `E` width of the
 * joint embedding. Nothing here knows a model: features come in as arrays.
 */

import { UsageError } from "../../core/errors.js";

/** `rows` embeddings of unit length, row-major [rows, width]. Make one with `unitFeatures` or `normalise`. */
export interface Features {
  readonly data: Float32Array;
  readonly rows: number;
  readonly width: number;
}

/** How far a row's length may be from 1: bf16 features keep 8 bits, so their rounding moves a length by up to 2^-8. */
const LENGTH_TOLERANCE = 2 ** -7;

/**
 * Takes `data` [N, width], whose rows already have unit length, as features. `what` names them in errors.
 * Throws a `UsageError` for a length that is no multiple of `width`, a value that is not finite, or a row that is not
 * of unit length (within 2^-7).
 */
export function unitFeatures(data: Float32Array, width: number, what: string): Features {
  const rows = countRows(data, width, what);
  for (let row = 0; row < rows; row++) {
    const length = rowLength(data, row, width, what);
    if (Math.abs(length - 1) > LENGTH_TOLERANCE) {
      throw new UsageError(
        `${what}: every row must have unit length; got row=${row} length=${length.toPrecision(4)}. Call normalise() first.`,
      );
    }
  }
  return { data, rows, width };
}

/**
 * A copy of `data` [N, width] with every row divided by its length. Throws a `UsageError` for a value that is not
 * finite and for a row of zeros, which has no direction.
 */
export function normalise(data: Float32Array, width: number, what: string): Features {
  const rows = countRows(data, width, what);
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const length = rowLength(data, row, width, what);
    if (length === 0) {
      throw new UsageError(
        `${what}: a row of zeros has no direction; got row=${row}. Look at this sample and at the model's weights.`,
      );
    }
    for (let i = row * width; i < (row + 1) * width; i++) out[i] = data[i]! / length;
  }
  return { data: out, rows, width };
}

function countRows(data: Float32Array, width: number, what: string): number {
  if (!Number.isInteger(width) || width < 1 || data.length % width !== 0) {
    throw new UsageError(
      `${what}: the array must be [N, width] row-major; got length=${data.length}, width=${width}. Pass the model's embedding width.`,
    );
  }
  return data.length / width;
}

function rowLength(data: Float32Array, row: number, width: number, what: string): number {
  let sum = 0;
  for (let i = row * width; i < (row + 1) * width; i++) sum += data[i]! * data[i]!;
  if (!Number.isFinite(sum)) {
    throw new UsageError(
      `${what}: features must be finite; got row=${row} with NaN or infinity. Look for a diverged loss in metrics.jsonl.`,
    );
  }
  return Math.sqrt(sum);
}

/** Throws a `UsageError` unless `left` and `right` live in the same space. */
export function requireSameWidth(
  left: Pick<Features, "width">,
  leftName: string,
  right: Pick<Features, "width">,
  rightName: string,
): void {
  if (left.width !== right.width) {
    throw new UsageError(
      `${leftName} and ${rightName}: both must come from one model; got widths ${left.width} and ${right.width}. Embed both again with the same checkpoint.`,
    );
  }
}

/**
 * The cosine of row `i` of `left` and row `j` of `right`, rounded to float32. Sums in the same order as `eachTile`, so
 * both give the same bits and equal vectors tie exactly.
 */
export function similarity(left: Features, i: number, right: Features, j: number): number {
  const { width } = left;
  let sum = 0;
  for (let k = 0; k < width; k++) sum += left.data[i * width + k]! * right.data[j * width + k]!;
  return Math.fround(sum);
}

/** Scores of rows `rowStart`… of the left side against rows `columnStart`… of the right: `scores` [rows, columns]. */
export interface Tile {
  readonly rowStart: number;
  readonly rows: number;
  readonly columnStart: number;
  readonly columns: number;
  /** Row-major with stride `columns`; overwritten by the next tile. */
  readonly scores: Float32Array;
  /** How far a score may be from `similarity`, which decides where that matters; 0 where they are equal to the bit. */
  readonly margin: number;
  /** The left side, or the block of it that is in memory, and the number of its first row: row `rowStart + i` is `left`'s row `rowStart - leftStart + i`. */
  readonly left: Features;
  readonly leftStart: number;
}

/** Takes the tiles of a product, each row's columns ascending, and then has the result. */
export interface TileVisitor<Result> {
  visit(tile: Tile): void;
  result(): Result;
}

/** 64 left rows of 512 floats are 128 KiB, which stays in the second-level cache while the right side goes by. */
const TILE_ROWS = 64;
const TILE_COLUMNS = 512;

/**
 * Visits `left · rightᵀ` [N, M] in tiles, all columns of one band of rows before the next band. Memory is one tile,
 * whatever N and M are. Sums run in float64 over ascending `k`.
 */
export function eachTile(left: Features, right: Features, visit: (tile: Tile) => void): void {
  const scores = new Float32Array(TILE_ROWS * TILE_COLUMNS);
  for (let rowStart = 0; rowStart < left.rows; rowStart += TILE_ROWS) {
    const rows = Math.min(TILE_ROWS, left.rows - rowStart);
    for (let columnStart = 0; columnStart < right.rows; columnStart += TILE_COLUMNS) {
      const columns = Math.min(TILE_COLUMNS, right.rows - columnStart);
      multiplyTile(left, rowStart, rows, right, columnStart, columns, scores);
      visit({ rowStart, rows, columnStart, columns, scores, margin: 0, left, leftStart: 0 });
    }
  }
}

/** Four by two dot products at a time: eight accumulators stay in registers, six loads feed eight multiply-adds. */
function multiplyTile(
  left: Features,
  rowStart: number,
  rows: number,
  right: Features,
  columnStart: number,
  columns: number,
  out: Float32Array,
): void {
  const { width, data: a } = left;
  const b = right.data;
  const wholeRows = rows - (rows % 4);
  const wholeColumns = columns - (columns % 2);
  for (let j = 0; j < wholeColumns; j += 2) {
    const b0 = (columnStart + j) * width;
    const b1 = b0 + width;
    for (let i = 0; i < wholeRows; i += 4) {
      const a0 = (rowStart + i) * width;
      const a1 = a0 + width;
      const a2 = a1 + width;
      const a3 = a2 + width;
      let s00 = 0;
      let s01 = 0;
      let s10 = 0;
      let s11 = 0;
      let s20 = 0;
      let s21 = 0;
      let s30 = 0;
      let s31 = 0;
      for (let k = 0; k < width; k++) {
        const y0 = b[b0 + k]!;
        const y1 = b[b1 + k]!;
        const x0 = a[a0 + k]!;
        const x1 = a[a1 + k]!;
        const x2 = a[a2 + k]!;
        const x3 = a[a3 + k]!;
        s00 += x0 * y0;
        s01 += x0 * y1;
        s10 += x1 * y0;
        s11 += x1 * y1;
        s20 += x2 * y0;
        s21 += x2 * y1;
        s30 += x3 * y0;
        s31 += x3 * y1;
      }
      const o = i * columns + j;
      out[o] = s00;
      out[o + 1] = s01;
      out[o + columns] = s10;
      out[o + columns + 1] = s11;
      out[o + 2 * columns] = s20;
      out[o + 2 * columns + 1] = s21;
      out[o + 3 * columns] = s30;
      out[o + 3 * columns + 1] = s31;
    }
  }
  for (let i = 0; i < rows; i++) {
    for (let j = i < wholeRows ? wholeColumns : 0; j < columns; j++) {
      out[i * columns + j] = similarity(left, rowStart + i, right, columnStart + j);
    }
  }
}

/** Rows most similar to each query, best first: `indices` and cosine `scores`, both [queries, k]. */
export interface Nearest {
  readonly indices: Uint32Array;
  readonly scores: Float32Array;
  readonly k: number;
}

/** The `k` rows of `candidates` most similar to each row of `queries`, best first; equal scores in order of index. */
export function nearestRows(queries: Features, candidates: Features, k: number): Nearest {
  requireSameWidth(queries, "queries", candidates, "candidates");
  const search = nearestSearch(queries.rows, candidates, k);
  eachTile(queries, candidates, search.visit);
  return search.result();
}

/** `nearestRows` of `queries` rows over tiles that somebody else multiplies. */
export function nearestSearch(queries: number, candidates: Features, k: number): TileVisitor<Nearest> {
  const depth = Math.min(k, candidates.rows);
  const indices = new Uint32Array(queries * depth);
  const best = new Float32Array(queries * depth).fill(Number.NEGATIVE_INFINITY);
  const visit = ({ rowStart, rows, columnStart, columns, scores, margin, left, leftStart }: Tile) => {
    for (let i = 0; i < rows; i++) {
      const first = (rowStart + i) * depth;
      const last = first + depth - 1;
      for (let j = 0; j < columns; j++) {
        let score = scores[i * columns + j]!;
        if (score + margin <= best[last]!) continue; // columns ascend, so an equal score comes later
        if (margin > 0) {
          score = similarity(left, rowStart - leftStart + i, candidates, columnStart + j);
          if (score <= best[last]!) continue;
        }
        let at = last;
        while (at > first && best[at - 1]! < score) {
          best[at] = best[at - 1]!;
          indices[at] = indices[at - 1]!;
          at--;
        }
        best[at] = score;
        indices[at] = columnStart + j;
      }
    }
  };
  return { visit, result: () => ({ indices, scores: best, k: depth }) };
}
