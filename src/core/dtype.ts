/** Element types of tensors and how they lie in memory (little-endian). */

export const dtypes = ["f32", "bf16", "f16", "i32", "i64", "u8", "bool"] as const;
export type DType = (typeof dtypes)[number];

export type TypedArray = Float32Array | Uint16Array | Int32Array | BigInt64Array | Uint8Array;

interface DTypeInfo {
  readonly sizeBytes: number;
  readonly kind: "float" | "int" | "bool";
  readonly create: (source: number | ArrayBufferLike, byteOffset?: number, length?: number) => TypedArray;
}

const info: Record<DType, DTypeInfo> = {
  f32: { sizeBytes: 4, kind: "float", create: (s, o, n) => new Float32Array(s as ArrayBuffer, o, n) },
  bf16: { sizeBytes: 2, kind: "float", create: (s, o, n) => new Uint16Array(s as ArrayBuffer, o, n) },
  f16: { sizeBytes: 2, kind: "float", create: (s, o, n) => new Uint16Array(s as ArrayBuffer, o, n) },
  i32: { sizeBytes: 4, kind: "int", create: (s, o, n) => new Int32Array(s as ArrayBuffer, o, n) },
  i64: { sizeBytes: 8, kind: "int", create: (s, o, n) => new BigInt64Array(s as ArrayBuffer, o, n) },
  u8: { sizeBytes: 1, kind: "int", create: (s, o, n) => new Uint8Array(s as ArrayBuffer, o, n) },
  bool: { sizeBytes: 1, kind: "bool", create: (s, o, n) => new Uint8Array(s as ArrayBuffer, o, n) },
};

/** Bytes that one element takes. */
export const sizeOf = (dtype: DType): number => info[dtype].sizeBytes;
export const isFloat = (dtype: DType): boolean => info[dtype].kind === "float";
export const isInt = (dtype: DType): boolean => info[dtype].kind === "int";

/** A zeroed array of `length` elements. */
export const allocate = (dtype: DType, length: number): TypedArray => info[dtype].create(length);

/** A view of `length` elements of `buffer` from `byteOffset`. */
export const viewOf = (
  dtype: DType,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): TypedArray => info[dtype].create(buffer, byteOffset, length);

const scratch = new DataView(new ArrayBuffer(4));

/** The bits of `value` as bfloat16, rounded to nearest even; NaN stays NaN. */
export function bf16Bits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The number that bfloat16 `bits` stand for. */
export function fromBf16Bits(bits: number): number {
  scratch.setUint32(0, (bits << 16) >>> 0);
  return scratch.getFloat32(0);
}

/** The bits of `value` as IEEE half precision, rounded to nearest even. */
export function f16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -25) return sign;
  const exponent = Math.max(Math.floor(Math.log2(magnitude)), -14);
  const ulp = 2 ** (exponent - 10);
  const units = magnitude / ulp;
  const floor = Math.floor(units);
  const rest = units - floor;
  const rounded = floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
  // A subnormal has no implicit bit: its units are the bits. A normal starts at 1024 units.
  return sign | (exponent === -14 ? rounded : ((exponent + 15) << 10) + (rounded - 1024));
}

/** The number that IEEE half `bits` stand for. */
export function fromF16Bits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** `value` as `dtype` would hold it, as a number. */
export function roundTo(dtype: DType, value: number): number {
  switch (dtype) {
    case "f32":
      return Math.fround(value);
    case "bf16":
      return fromBf16Bits(bf16Bits(value));
    case "f16":
      return fromF16Bits(f16Bits(value));
    case "i32":
      return Math.trunc(value) | 0;
    case "i64":
      return Math.trunc(value);
    case "u8":
      return Math.trunc(value) & 0xff;
    case "bool":
      return value !== 0 ? 1 : 0;
  }
}

/** Numbers stored as `dtype`. */
export function encode(dtype: DType, values: ArrayLike<number>): TypedArray {
  const out = allocate(dtype, values.length);
  if (out instanceof BigInt64Array) {
    for (let i = 0; i < values.length; i++) out[i] = BigInt(Math.trunc(values[i]!));
  } else if (dtype === "bf16") {
    for (let i = 0; i < values.length; i++) out[i] = bf16Bits(values[i]!);
  } else if (dtype === "f16") {
    for (let i = 0; i < values.length; i++) out[i] = f16Bits(values[i]!);
  } else if (dtype === "bool") {
    for (let i = 0; i < values.length; i++) out[i] = values[i] !== 0 ? 1 : 0;
  } else {
    for (let i = 0; i < values.length; i++) out[i] = values[i]!;
  }
  return out;
}

/** The numbers that an array of `dtype` holds. */
export function decode(dtype: DType, data: TypedArray): Float64Array {
  if (dtype === "bf16") return Float64Array.from(data as Uint16Array, fromBf16Bits);
  if (dtype === "f16") return Float64Array.from(data as Uint16Array, fromF16Bits);
  if (data instanceof BigInt64Array) return Float64Array.from(data, Number);
  return Float64Array.from(data as Float32Array);
}

/** Bits of a float's exponent: all are set in NaN and in infinities, and in nothing else. */
const exponents: Partial<Record<DType, number>> = { f32: 0x7f800000, bf16: 0x7f80, f16: 0x7c00 };

/** Whether an array of `dtype` holds neither NaN nor an infinity. */
export function allFinite(dtype: DType, data: TypedArray): boolean {
  const exponent = exponents[dtype];
  if (exponent === undefined) return true;
  const bits = dtype === "f32" ? new Uint32Array(data.buffer, data.byteOffset, data.length) : data;
  for (let i = 0; i < bits.length; i++) if (((bits[i] as number) & exponent) === exponent) return false;
  return true;
}
