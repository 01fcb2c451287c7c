/**
 * NumPy's .npy: magic, version, a Python dictionary `{'descr', 'fortran_order', 'shape'}` padded to 64 bytes,
 * then the elements. Source: numpy/lib/format.py, versions 1.0 to 3.0.
 */

import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { readExactly } from "./disk.js";
import { type DType, sizeOf, type TypedArray } from "./dtype.js";
import { UsageError } from "./errors.js";
import { withFileErrors, writeFileAtomic } from "./files.js";
import { dtypeOfStored, fromStored, type StoredType, storedSizeOf } from "./foreign-dtype.js";
import { formatType, type Shape, sizeOfShape } from "./shape.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Decimal digits kept free for the number of rows, so that the header never changes its length. */
const ROW_DIGITS = 20;

const descriptors: Record<DType, string | undefined> = {
  f32: "<f4",
  f16: "<f2",
  i32: "<i4",
  i64: "<i8",
  u8: "|u1",
  bool: "|b1",
  bf16: undefined, // NumPy has no bfloat16
};

const storedTypes: Readonly<Record<string, StoredType>> = {
  "<f8": "f64",
  "<f4": "f32",
  "<f2": "f16",
  "<i8": "i64",
  "<i4": "i32",
  "<i2": "i16",
  "<u2": "u16",
  "|i1": "i8",
  "|u1": "u8",
  "|b1": "bool",
};

export interface NpyArray {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Row-major. */
  readonly data: TypedArray;
}

function headerOf(path: string, dtype: DType, shape: Shape): Uint8Array {
  const descriptor = descriptors[dtype];
  if (descriptor === undefined) {
    throw new UsageError(`write ${path}: .npy has no ${dtype}. Convert to f32 or f16 first.`);
  }
  return npyHeader(`'${descriptor}'`, shape);
}

/** A header; `descr` as Python writes it: `'<f4'`, `[('f0', '<u8')]`. */
export function npyHeader(descr: string, shape: Shape): Uint8Array {
  const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const text = `{'descr': ${descr}, 'fortran_order': False, 'shape': ${tuple}, }`;
  const room = shape.length === 0 ? 0 : ROW_DIGITS - String(shape[0]).length;
  const total = Math.ceil((10 + text.length + room + 1) / 64) * 64;
  const bytes = new Uint8Array(total).fill(0x20);
  bytes.set(MAGIC);
  bytes.set([1, 0, (total - 10) & 0xff, (total - 10) >> 8], 6);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes[total - 1] = 0x0a;
  return bytes;
}

/** Writes an array of `shape` to `path`, atomically. Throws a `UsageError` for bf16 or a wrong size. */
export function writeNpy(path: string, array: NpyArray): void {
  checkSize(path, array, array.data);
  writeFileAtomic(path, [headerOf(path, array.dtype, array.shape), bytesOf(array.data)]);
}

const bytesOf = (data: TypedArray): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function checkSize(path: string, type: { dtype: DType; shape: Shape }, data: TypedArray): void {
  const expected = sizeOfShape(type.shape) * sizeOf(type.dtype);
  if (data.byteLength === expected) return;
  throw new UsageError(
    `write ${path}: data must take ${expected} bytes for ${formatType(type)}; got ${data.byteLength}.`,
  );
}

interface NpyHeader {
  /** Of the elements, as Python writes it: `'<f4'`, `[('f0', '<u8')]`. */
  readonly descr: string;
  readonly shape: number[];
  readonly dataStart: number;
}

/** The header of an open file. Throws a `UsageError` naming the file where it is none, or not row-major. */
export function readNpyHeader(fd: number, path: string): NpyHeader {
  const notOne = (why: string) =>
    new UsageError(`${path}: must be a .npy file; ${why}. Give a whole .npy file.`);
  const prefix = new Uint8Array(12);
  if (!readExactly(fd, prefix.subarray(0, 10), 0) || MAGIC.some((byte, i) => prefix[i] !== byte)) {
    throw notOne("it does not begin as one");
  }
  const wide = prefix[6]! >= 2;
  if (wide) readExactly(fd, prefix, 0);
  const view = new DataView(prefix.buffer);
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const begin = wide ? 12 : 10;
  if (begin + length > fstatSync(fd).size) throw notOne("it ends within its header");
  const bytes = new Uint8Array(length);
  readExactly(fd, bytes, begin);
  const text = new TextDecoder().decode(bytes);
  const descr = /'descr':\s*('[^']*'|\[[^\]]*\])/.exec(text)?.[1];
  const sizes = /'shape':\s*\(([^)]*)\)/.exec(text)?.[1];
  const fortran = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  if (descr === undefined || sizes === undefined || fortran === undefined)
    throw notOne("its header cannot be understood");
  const parts = sizes.split(",").map((part) => part.trim());
  // A tuple of one ends in a comma; Python 2 wrote long integers as 3L.
  if (parts.at(-1) === "") parts.pop();
  const shape = parts.map((part) => (/^\d+L?$/.test(part) ? Number.parseInt(part, 10) : Number.NaN));
  if (!Number.isSafeInteger(8 * sizeOfShape(shape))) {
    throw notOne(`its shape (${sizes}) is none of sizes that can be`);
  }
  if (fortran === "True" && shape.filter((size) => size > 1).length > 1) {
    throw new UsageError(
      `${path}: must be row-major; it is in Fortran order. Save numpy.ascontiguousarray of it.`,
    );
  }
  return { descr, shape, dataStart: begin + length };
}

/** The header of an open file of numbers. */
function readHeader(fd: number, path: string): { type: StoredType } & Omit<NpyHeader, "descr"> {
  const { descr, ...rest } = readNpyHeader(fd, path);
  const name = descr.slice(1, -1);
  const type = Object.hasOwn(storedTypes, name) ? storedTypes[name] : undefined;
  if (type !== undefined) return { type, ...rest };
  throw new UsageError(
    `${path}: descr must be one of ${Object.keys(storedTypes).join(", ")}; got ${descr.startsWith("'") ? name : "a record type"}. ` +
      "Convert it with numpy's astype first.",
  );
}

/** Reads a whole .npy file. f64 is given as f32, i8, i16 and u16 as i32. Throws a `UsageError` naming the file. */
export function readNpy(path: string): NpyArray {
  return withFileErrors("read", path, () => {
    const fd = openSync(path, "r");
    try {
      const { type, shape, dataStart } = readHeader(fd, path);
      const length = sizeOfShape(shape);
      const expected = length * storedSizeOf(type, sizeOf);
      const got = fstatSync(fd).size - dataStart;
      if (got < expected) {
        throw new UsageError(
          `${path}: must hold ${expected} bytes of data; got ${got}. The file was cut short.`,
        );
      }
      const bytes = new ArrayBuffer(expected);
      readExactly(fd, new Uint8Array(bytes), dataStart);
      return { dtype: dtypeOfStored(type), shape, data: fromStored(type, bytes, length) };
    } finally {
      closeSync(fd);
    }
  });
}

/** Rows of a .npy file of f32 [rows, width], read from the disk when asked for. Hold it with `using`. */
export class NpyRows implements Disposable {
  readonly rows: number;
  readonly width: number;
  private readonly fd: number;
  private readonly dataStart: number;

  /** Throws a `UsageError` naming the file when it is no whole file of such rows. */
  constructor(readonly path: string) {
    this.fd = withFileErrors("read", path, () => openSync(path, "r"));
    try {
      const { type, shape, dataStart } = withFileErrors("read", path, () => readHeader(this.fd, path));
      const [rows, width] = shape;
      if (type !== "f32" || rows === undefined || width === undefined || shape.length !== 2) {
        throw new UsageError(`${path}: must be f32 [rows, width]; got ${type} [${shape}]. Write it again.`);
      }
      const size = fstatSync(this.fd).size;
      if (size < dataStart + 4 * rows * width) {
        throw new UsageError(`${path}: ends before its last row. The file was cut short; write it again.`);
      }
      this.rows = rows;
      this.width = width;
      this.dataStart = dataStart;
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
  }

  /** The rows of these numbers, in this order: [numbers.length, width], flat. */
  read(numbers: ArrayLike<number>): Float32Array {
    const { width } = this;
    const out = new Float32Array(numbers.length * width);
    for (let i = 0; i < numbers.length; i++) {
      const row = new Uint8Array(out.buffer, 4 * i * width, 4 * width);
      withFileErrors("read", this.path, () =>
        readExactly(this.fd, row, this.dataStart + 4 * numbers[i]! * width),
      );
    }
    return out;
  }

  /** Rows `start` … `end`-1: [end - start, width], flat. */
  readRange(start: number, end: number): Float32Array {
    const { width } = this;
    const out = new Float32Array((end - start) * width);
    const bytes = new Uint8Array(out.buffer);
    withFileErrors("read", this.path, () => {
      // One call of the system reads at most 2 GiB.
      for (let at = 0; at < bytes.length; at += 2 ** 30)
        readExactly(this.fd, bytes.subarray(at, at + 2 ** 30), this.dataStart + 4 * start * width + at);
    });
    return out;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

export interface NpyWriterOptions {
  readonly dtype: DType;
  /** The shape of one row; `[]` for a list of numbers. The file's shape is `[rows, ...rowShape]`. */
  readonly rowShape: Shape;
  /** Continue a file that an earlier writer of the same type left, after its last flushed row. Default: start anew. */
  readonly resume?: boolean;
}

/**
 * A .npy file that grows by rows. Its header counts the rows of the last `flush`, so that at any moment,
 * a crash included, the file can be read and holds whole rows.
 */
export class NpyWriter implements Disposable {
  private fd: number | undefined;
  private rowCount = 0;
  private flushedRows = 0;
  private readonly dataStart: number;
  private readonly rowBytes: number;

  constructor(
    readonly path: string,
    private readonly options: NpyWriterOptions,
  ) {
    const empty = headerOf(path, options.dtype, [0, ...options.rowShape]);
    this.dataStart = empty.length;
    this.rowBytes = sizeOfShape(options.rowShape) * sizeOf(options.dtype);
    withFileErrors("write", path, () => {
      const fd = openSync(path, options.resume === true ? "a+" : "w+");
      closeSync(fd); // "a+" makes the file where it is missing; positions are honoured only by "r+"
      this.fd = openSync(path, "r+");
      try {
        if (fstatSync(this.fd).size > 0) this.takeUp(this.fd);
        else this.put(empty, 0);
      } catch (error) {
        closeSync(this.fd);
        throw error;
      }
    });
  }

  /** Rows appended so far, those of a resumed file included. */
  get rows(): number {
    return this.rowCount;
  }

  /** Appends one or more rows. Throws a `UsageError` when `data` is not whole rows or the disk is full. */
  append(data: TypedArray): void {
    const rows = this.rowBytes === 0 ? 0 : data.byteLength / this.rowBytes;
    if (!Number.isInteger(rows)) {
      const row = formatType({ dtype: this.options.dtype, shape: this.options.rowShape });
      throw new UsageError(
        `append to ${this.path}: data must be whole rows of ${row}; got ${data.byteLength} bytes.`,
      );
    }
    const end = this.dataStart + this.rowCount * this.rowBytes;
    withFileErrors("write", this.path, () => {
      try {
        this.put(bytesOf(data), end);
      } catch (error) {
        if (this.fd !== undefined) ftruncateSync(this.fd, end); // gives back what a full disk took of the row
        throw error;
      }
    });
    this.rowCount += rows;
  }

  /** Makes the rows so far part of the file, on the disk. */
  flush(): void {
    if (this.fd === undefined || this.flushedRows === this.rowCount) return;
    const { fd } = this;
    withFileErrors("write", this.path, () => {
      fsyncSync(fd); // the rows before the header that counts them
      this.put(headerOf(this.path, this.options.dtype, [this.rowCount, ...this.options.rowShape]), 0);
      fsyncSync(fd);
    });
    this.flushedRows = this.rowCount;
  }

  /** Flushes and closes. */
  close(): void {
    if (this.fd === undefined) return;
    try {
      this.flush();
    } finally {
      closeSync(this.fd);
      this.fd = undefined;
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Checks an existing file against the options and drops what was not flushed. */
  private takeUp(fd: number): void {
    const { type, shape, dataStart } = readHeader(fd, this.path);
    const [rows = 0, ...rowShape] = shape;
    const { dtype } = this.options;
    if (
      type !== dtype ||
      String(rowShape) !== String(this.options.rowShape) ||
      dataStart !== this.dataStart
    ) {
      const wanted = formatType({ dtype, shape: this.options.rowShape });
      throw new UsageError(
        `continue ${this.path}: rows must be ${wanted}; the file has ${type}[${rowShape.join(",")}]. ` +
          "Choose another file or delete this one.",
      );
    }
    ftruncateSync(fd, dataStart + rows * this.rowBytes);
    this.rowCount = rows;
    this.flushedRows = rows;
  }

  private put(bytes: Uint8Array, position: number): void {
    if (this.fd === undefined)
      throw new UsageError(`write ${this.path}: the file must be open; it was closed.`);
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.fd, bytes, done, Math.min(2 ** 28, bytes.length - done), position + done);
    }
  }
}
