/** Element types that other tools write and that no engine here computes in: what they are read as. */

import { type DType, type TypedArray, viewOf } from "./dtype.js";

/** Types that are converted when read: f64 to f32, narrow integers to i32. */
export const foreignTypes = ["f64", "i8", "i16", "u16"] as const;
export type ForeignType = (typeof foreignTypes)[number];
export type StoredType = DType | ForeignType;

interface Conversion {
  readonly sizeBytes: number;
  readonly as: DType;
  readonly convert: (bytes: ArrayBuffer) => TypedArray;
}

const conversions: Record<ForeignType, Conversion> = {
  f64: { sizeBytes: 8, as: "f32", convert: (b) => Float32Array.from(new Float64Array(b)) },
  i8: { sizeBytes: 1, as: "i32", convert: (b) => Int32Array.from(new Int8Array(b)) },
  i16: { sizeBytes: 2, as: "i32", convert: (b) => Int32Array.from(new Int16Array(b)) },
  u16: { sizeBytes: 2, as: "i32", convert: (b) => Int32Array.from(new Uint16Array(b)) },
};

const isForeign = (type: StoredType): type is ForeignType => type in conversions;

/** The dtype that values stored as `type` are given in. */
export const dtypeOfStored = (type: StoredType): DType => (isForeign(type) ? conversions[type].as : type);

/** Bytes that one stored element takes, given the size of a dtype. */
export const storedSizeOf = (type: StoredType, sizeOf: (dtype: DType) => number): number =>
  isForeign(type) ? conversions[type].sizeBytes : sizeOf(type);

/** The elements in `bytes` (its whole length), as `dtypeOfStored(type)`. */
export const fromStored = (type: StoredType, bytes: ArrayBuffer, length: number): TypedArray =>
  isForeign(type) ? conversions[type].convert(bytes) : viewOf(type, bytes, 0, length);
