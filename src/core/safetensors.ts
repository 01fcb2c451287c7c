/**
 * Safetensors: eight bytes of header length (u64, little-endian), a JSON header
 * `{"name": {"dtype", "shape", "data_offsets": [begin, end]}, …, "__metadata__": {string: string}}`, then the
 * data without holes. Source: https://github.com/huggingface/safetensors#format.
 *
 * Reading takes the header only; each tensor, or rows of it, comes from the disk when asked for, so that files
 * of any size open at once. Writing streams one tensor at a time and is atomic.
 */

import { closeSync, fstatSync, openSync } from "node:fs";
import { readExactly } from "./disk.js";
import { type DType, sizeOf, type TypedArray } from "./dtype.js";
import { didYouMean, UsageError } from "./errors.js";
import { withFileErrors, writeFileAtomic } from "./files.js";
import { dtypeOfStored, fromStored, type StoredType, storedSizeOf } from "./foreign-dtype.js";
import { formatType, type Shape, sizeOfShape } from "./shape.js";

/** The limit of the reference implementation (MAX_HEADER_SIZE). */
const MAX_HEADER_BYTES = 100_000_000;

const storedTypes: Readonly<Record<string, StoredType>> = {
  F64: "f64",
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  I64: "i64",
  I32: "i32",
  I16: "i16",
  U16: "u16",
  I8: "i8",
  U8: "u8",
  BOOL: "bool",
};

const fileNames: Record<DType, string> = {
  f32: "F32",
  bf16: "BF16",
  f16: "F16",
  i32: "I32",
  i64: "I64",
  u8: "U8",
  bool: "BOOL",
};

/** What the header says of one tensor. */
export interface StoredTensor {
  readonly name: string;
  /** The dtype that `read` gives: F64 is given as f32, I8, I16 and U16 as i32. */
  readonly dtype: DType;
  readonly shape: Shape;
  /** The dtype's name in the file, e.g. `F64`. */
  readonly fileDType: string;
  readonly sizeBytes: number;
}

interface Entry extends StoredTensor {
  readonly type: StoredType | undefined;
  readonly begin: number;
}

/** An open safetensors file. Hold it with `using`, or call `close`. */
export class SafetensorsFile implements Disposable {
  /** The strings under `__metadata__`; empty when there are none. */
  readonly metadata: Readonly<Record<string, string>>;
  private readonly entries: ReadonlyMap<string, Entry>;
  private readonly dataStart: number;
  private fd: number | undefined;

  /** Opens `path` and checks its header. Throws a `UsageError` naming the file, and the tensor if it is one's fault. */
  constructor(readonly path: string) {
    const fd = withFileErrors("read", path, () => openSync(path, "r"));
    this.fd = fd;
    try {
      const { header, dataStart, dataBytes } = withFileErrors("read", path, () => readHeader(fd, path));
      this.dataStart = dataStart;
      this.metadata = metadataOf(header, path);
      this.entries = entriesOf(header, path);
      checkLayout(this.entries, dataBytes, path);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The tensors' names in the order of their data. */
  get names(): string[] {
    return [...this.entries.keys()];
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  /** What is stored under `name`. Throws a `UsageError` with the nearest name when there is nothing. */
  info(name: string): StoredTensor {
    return this.entry(name);
  }

  /** The whole tensor, row-major, freshly read. */
  read(name: string): TypedArray {
    const entry = this.entry(name);
    return this.elements(entry, 0, sizeOfShape(entry.shape));
  }

  /** Rows `start` … `start + count - 1` along the first axis: `[count, ...shape[1:]]`; nothing else is read. */
  readRows(name: string, start: number, count: number): TypedArray {
    const entry = this.entry(name);
    const [rows, ...rest] = entry.shape;
    if (rows === undefined || start < 0 || count < 0 || start + count > rows) {
      throw new UsageError(
        `${this.path}: rows of "${name}" must lie in ${formatType(entry)}; got start=${start}, count=${count}.`,
      );
    }
    const rowSize = sizeOfShape(rest);
    return this.elements(entry, start * rowSize, count * rowSize);
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private entry(name: string): Entry {
    const entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    const near = didYouMean(name, this.entries.keys());
    throw new UsageError(
      `${this.path}: must hold the tensor "${name}"; it has ${this.entries.size} others.${near}`,
    );
  }

  private elements(entry: Entry, first: number, length: number): TypedArray {
    const { fd } = this;
    if (fd === undefined)
      throw new UsageError(`${this.path}: must be open to read "${entry.name}"; it is closed.`);
    if (entry.type === undefined) {
      throw new UsageError(
        `${this.path}: "${entry.name}" must have one of the dtypes ${Object.keys(storedTypes).join(", ")}; ` +
          `got dtype=${entry.fileDType}. Convert the file first.`,
      );
    }
    const elementBytes = storedSizeOf(entry.type, sizeOf);
    const bytes = new ArrayBuffer(length * elementBytes);
    const position = this.dataStart + entry.begin + first * elementBytes;
    const whole = withFileErrors("read", this.path, () => readExactly(fd, new Uint8Array(bytes), position));
    if (!whole)
      throw new UsageError(`${this.path}: ends within "${entry.name}". The file was cut; get it again.`);
    return fromStored(entry.type, bytes, length);
  }
}

interface Header {
  readonly header: Record<string, unknown>;
  readonly dataStart: number;
  readonly dataBytes: number;
}

function readHeader(fd: number, path: string): Header {
  const fileBytes = fstatSync(fd).size;
  const prefix = new Uint8Array(8);
  const notOne = (why: string) =>
    new UsageError(`${path}: must be a safetensors file; ${why}. Give a .safetensors file that is whole.`);
  if (fileBytes < 8 || !readExactly(fd, prefix, 0)) throw notOne(`it has only ${fileBytes} bytes`);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES || 8 + length > fileBytes) {
    throw notOne(`its header would take ${length} bytes of ${fileBytes}`);
  }
  const bytes = new Uint8Array(length);
  readExactly(fd, bytes, 8);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw notOne(`its header is not JSON (${(error as Error).message})`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header))
    throw notOne("its header is no object");
  return {
    header: header as Record<string, unknown>,
    dataStart: 8 + length,
    dataBytes: fileBytes - 8 - length,
  };
}

function metadataOf(header: Record<string, unknown>, path: string): Record<string, string> {
  const metadata = header.__metadata__ ?? {};
  if (typeof metadata !== "object" || Object.values(metadata as object).some((v) => typeof v !== "string")) {
    throw new UsageError(`${path}: __metadata__ must map strings to strings.`);
  }
  return metadata as Record<string, string>;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** The tensors of a header, in the order of their data. */
function entriesOf(header: Record<string, unknown>, path: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
    const valid =
      typeof dtype === "string" &&
      Array.isArray(shape) &&
      shape.every(isSize) &&
      Array.isArray(offsets) &&
      offsets.length === 2 &&
      offsets.every(isSize);
    if (!valid) {
      const rule = `"${name}" must have dtype, shape and data_offsets`;
      throw new UsageError(`${path}: ${rule}; got ${JSON.stringify(value)}. Get the file again.`);
    }
    const [begin, end] = offsets as [number, number];
    const type = Object.hasOwn(storedTypes, dtype) ? storedTypes[dtype] : undefined;
    const sizeBytes = end - begin;
    const expected = type === undefined ? sizeBytes : sizeOfShape(shape) * storedSizeOf(type, sizeOf);
    if (sizeBytes !== expected) {
      throw new UsageError(
        `${path}: "${name}" must take ${expected} bytes for ${dtype}[${shape.join(",")}]; ` +
          `got data_offsets=[${begin},${end}]. Get the file again.`,
      );
    }
    // A dtype that cannot be read is refused when that tensor is asked for, not before.
    entries.set(name, {
      name,
      dtype: type === undefined ? "u8" : dtypeOfStored(type),
      shape,
      fileDType: dtype,
      sizeBytes,
      type,
      begin,
    });
  }
  return new Map([...entries].sort(([, a], [, b]) => a.begin - b.begin || a.sizeBytes - b.sizeBytes));
}

/** The tensors must fill the data without holes or overlaps: the format demands it, and a cut file breaks it. */
function checkLayout(entries: ReadonlyMap<string, Entry>, dataBytes: number, path: string): void {
  let at = 0;
  for (const { name, begin, sizeBytes } of entries.values()) {
    if (begin !== at) {
      throw new UsageError(
        `${path}: "${name}" must begin at byte ${at} of the data, without hole or overlap; got begin=${begin}.`,
      );
    }
    at += sizeBytes;
    if (at > dataBytes) {
      throw new UsageError(`${path}: ends within "${name}". The file was cut short; get it again.`);
    }
  }
  if (at !== dataBytes) {
    throw new UsageError(`${path}: the tensors must fill the ${dataBytes} bytes of data; got size=${at}.`);
  }
}

/** A tensor to write. `data` may be a function, called when its turn comes, so that not all need be in memory. */
export interface TensorToStore {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: TypedArray | (() => TypedArray);
}

/**
 * The bytes of a safetensors file, piece by piece. Wider dtypes come first, so that every tensor is aligned to its
 * element; within a dtype the given order is kept. The same input gives the same bytes.
 */
export function* encodeSafetensors(
  tensors: Iterable<TensorToStore>,
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array> {
  const ordered = [...tensors].sort((a, b) => sizeOf(b.dtype) - sizeOf(a.dtype));
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let at = 0;
  for (const { name, dtype, shape } of ordered) {
    if (name in header || name === "__metadata__") {
      throw new UsageError(`safetensors: tensor names must be different; got "${name}" twice.`);
    }
    const end = at + sizeOfShape(shape) * sizeOf(dtype);
    header[name] = { dtype: fileNames[dtype], shape, data_offsets: [at, end] };
    at = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20);
  padded.set(json);
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(padded.length), true);
  yield prefix;
  yield padded;
  for (const tensor of ordered) {
    const data = typeof tensor.data === "function" ? tensor.data() : tensor.data;
    const expected = sizeOfShape(tensor.shape) * sizeOf(tensor.dtype);
    if (data.byteLength !== expected) {
      throw new UsageError(
        `safetensors: "${tensor.name}" must take ${expected} bytes for ${formatType(tensor)}; got ${data.byteLength}.`,
      );
    }
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}

/** Writes tensors and string `metadata` to `path`, atomically. */
export function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToStore>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}
