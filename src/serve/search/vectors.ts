/**
 * Unit vectors as an index stores them, in few bytes. Plain TypeScript: a page in a browser searches by the same code.
 * `N` rows, `E` width; all numbers are little-endian.
 */

import { f16Bits, fromF16Bits } from "../../core/dtype.js";

/**
 * `f32`: as embedded. `f16`: IEEE half precision, [N,E]. `i8`: f32 steps [N], then signed bytes [N,E]; an element is its
 * row's step times its byte.
 */
export const vectorTypes = ["f32", "f16", "i8"] as const;
export type VectorType = (typeof vectorTypes)[number];

/** Bytes that one row takes. */
export const bytesOfRow: Readonly<Record<VectorType, (width: number) => number>> = {
  f32: (width) => 4 * width,
  f16: (width) => 2 * width,
  i8: (width) => 4 + width,
};

/** `rows` [N,E], flat, as they are stored. */
export function packVectors(type: VectorType, rows: Float32Array, width: number): Uint8Array {
  const count = rows.length / width;
  if (type === "f32") return bytesIn(rows.slice());
  if (type === "f16") return bytesIn(Uint16Array.from(rows, f16Bits));
  const steps = new Float32Array(count);
  const bytes = new Int8Array(rows.length);
  for (let row = 0; row < count; row++) {
    let most = 0;
    for (let i = row * width; i < (row + 1) * width; i++) most = Math.max(most, Math.abs(rows[i]!));
    steps[row] = most / 127;
    const inverse = most === 0 ? 0 : 127 / most;
    for (let i = row * width; i < (row + 1) * width; i++) bytes[i] = Math.round(rows[i]! * inverse);
  }
  const packed = new Uint8Array(4 * count + bytes.length);
  packed.set(bytesIn(steps));
  packed.set(bytesIn(bytes), 4 * count);
  return packed;
}

const bytesIn = (data: Float32Array | Uint16Array | Int8Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** What `packVectors` gave, as numbers again [N,E], flat; `rows` from `first` on where they are given. */
export function unpackVectors(
  type: VectorType,
  packed: Uint8Array,
  width: number,
  first = 0,
  rows = packed.byteLength / bytesOfRow[type](width) - first,
): Float32Array {
  const [from, length] = [first * width, rows * width];
  if (type === "f32") return floatsOf(packed, from, length).slice();
  const out = new Float32Array(length);
  if (type === "f16") {
    const bits = halvesOf(packed, from, length);
    for (let i = 0; i < length; i++) out[i] = numberOfHalf[bits[i]!]!;
    return out;
  }
  const { steps, bytes } = bytesAndSteps(packed, width);
  for (let row = 0; row < rows; row++) {
    const step = steps[first + row]!;
    for (let i = 0; i < width; i++) out[row * width + i] = step * bytes[from + row * width + i]!;
  }
  return out;
}

/** The number of each half-precision pattern. */
const numberOfHalf = Float32Array.from({ length: 2 ** 16 }, (_, bits) => fromF16Bits(bits));

/** Views need their elements' alignment; a piece that lacks it is copied. */
const aligned = (bytes: Uint8Array, size: number): Uint8Array =>
  bytes.byteOffset % size === 0 ? bytes : bytes.slice();

function floatsOf(packed: Uint8Array, from: number, length: number): Float32Array {
  const bytes = aligned(packed, 4);
  return new Float32Array(bytes.buffer, bytes.byteOffset + 4 * from, length);
}

function halvesOf(packed: Uint8Array, from: number, length: number): Uint16Array {
  const bytes = aligned(packed, 2);
  return new Uint16Array(bytes.buffer, bytes.byteOffset + 2 * from, length);
}

function bytesAndSteps(packed: Uint8Array, width: number): { steps: Float32Array; bytes: Int8Array } {
  const rows = packed.byteLength / bytesOfRow.i8(width);
  return {
    steps: floatsOf(packed, 0, rows),
    bytes: new Int8Array(packed.buffer, packed.byteOffset + 4 * rows, rows * width),
  };
}

/** Cosines of a unit vector `query` [E] with the rows of a piece, into `scores` [N]. */
export function scorePiece(
  type: VectorType,
  packed: Uint8Array,
  query: Float32Array,
  scores: Float32Array,
): void {
  const width = query.length;
  const rows = packed.byteLength / bytesOfRow[type](width);
  switch (type) {
    case "f32": {
      const rowsOf = floatsOf(packed, 0, rows * width);
      for (let row = 0; row < rows; row++) scores[row] = dot(rowsOf, row * width, query);
      return;
    }
    case "f16": {
      const bits = halvesOf(packed, 0, rows * width);
      for (let row = 0; row < rows; row++) scores[row] = dotOfHalves(bits, row * width, query);
      return;
    }
    case "i8": {
      const { steps, bytes } = bytesAndSteps(packed, width);
      for (let row = 0; row < rows; row++) scores[row] = steps[row]! * dot(bytes, row * width, query);
    }
  }
}

// Four sums at a time: an addition need not wait for the one before it.

function dot(rows: Float32Array | Int8Array, at: number, query: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = query.length - (query.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += rows[at + i]! * query[i]!;
    b += rows[at + i + 1]! * query[i + 1]!;
    c += rows[at + i + 2]! * query[i + 2]!;
    d += rows[at + i + 3]! * query[i + 3]!;
  }
  for (let i = whole; i < query.length; i++) a += rows[at + i]! * query[i]!;
  return a + b + c + d;
}

function dotOfHalves(rows: Uint16Array, at: number, query: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = query.length - (query.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += numberOfHalf[rows[at + i]!]! * query[i]!;
    b += numberOfHalf[rows[at + i + 1]!]! * query[i + 1]!;
    c += numberOfHalf[rows[at + i + 2]!]! * query[i + 2]!;
    d += numberOfHalf[rows[at + i + 3]!]! * query[i + 3]!;
  }
  for (let i = whole; i < query.length; i++) a += numberOfHalf[rows[at + i]!]! * query[i]!;
  return a + b + c + d;
}
