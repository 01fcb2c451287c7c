/** Stored tensors by name, whatever holds them: one file, several, or others under other names. */

import { basename, dirname, join } from "node:path";
import { sizeOf, type TypedArray } from "../../core/dtype.js";
import { didYouMean, UsageError } from "../../core/errors.js";
import { readJsonObject } from "../../core/files.js";
import { SafetensorsFile, type StoredTensor } from "../../core/safetensors.js";
import { formatType, sizeOfShape } from "../../core/shape.js";

/** Open weights. Hold them with `using`. */
export interface WeightsFile extends Disposable {
  readonly path: string;
  readonly names: readonly string[];
  /** What is stored under `name`. Throws a `UsageError` where there is nothing. */
  info(name: string): StoredTensor;
  /** The whole tensor, row-major, freshly read. */
  read(name: string): TypedArray;
}

/** Where the tensors of a checkpoint in several files lie: `{"weight_map": {NAME: FILE}}` of Hugging Face. */
export const isIndex = (path: string): boolean => path.endsWith(".index.json");

/** The files with the tensors of weights at `path`: those that an index names, else the one. */
export function filesOf(path: string): string[] {
  if (!isIndex(path)) return [path];
  const { weight_map: map } = readJsonObject(path);
  const names = typeof map === "object" && map !== null ? [...new Set(Object.values(map))] : [];
  const bad = names.find((name) => typeof name !== "string" || basename(name) !== name || name === "..");
  if (names.length === 0 || bad !== undefined) {
    throw new UsageError(
      `${path}: weight_map must name a file of the same folder for every tensor; got ${bad === undefined ? "none" : JSON.stringify(bad)}. Get the file again.`,
      { file: path },
    );
  }
  return (names as string[]).map((name) => join(dirname(path), name));
}

/** The tensors of several files as those of one, called `path`. Owns the files. Throws for a name that stands twice. */
export function joined(path: string, files: readonly WeightsFile[]): WeightsFile {
  const places = new Map<string, WeightsFile>();
  const dispose = () => {
    for (const file of files) file[Symbol.dispose]();
  };
  for (const file of files) {
    for (const name of file.names) {
      if (places.has(name)) {
        dispose();
        throw new UsageError(
          `${path}: "${name}" must stand in one of its files; it is in two. Get them again.`,
        );
      }
      places.set(name, file);
    }
  }
  const placeOf = (name: string): WeightsFile => {
    const file = places.get(name);
    if (file === undefined) throw missing(path, name, places.keys());
    return file;
  };
  return {
    path,
    names: [...places.keys()],
    info: (name) => placeOf(name).info(name),
    read: (name) => placeOf(name).read(name),
    [Symbol.dispose]: dispose,
  };
}

/** A tensor under another name: of several, their rows one after the other. */
export interface Renamed {
  readonly from: readonly string[];
  /** Rows become columns, of a matrix. */
  readonly transposed?: boolean;
}

/** `file` with `tensors` in place of its own. Owns the file. */
export function renamed(file: WeightsFile, tensors: ReadonlyMap<string, Renamed>): WeightsFile {
  const { path } = file;
  const of = (name: string): Renamed => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw missing(path, name, tensors.keys());
    return tensor;
  };
  /** Rows and the rest of the shape of what is put together. */
  const stacked = (name: string): StoredTensor => {
    const parts = of(name).from.map((each) => file.info(each));
    const [first] = parts as [StoredTensor];
    if (parts.length === 1) return { ...first, name };
    const same = ({ shape, dtype }: StoredTensor) => `${dtype}${shape.slice(1)}`;
    const other = parts.find((part) => same(part) !== same(first) || part.shape.length === 0);
    if (other !== undefined) {
      throw new UsageError(
        `${path}: "${other.name}" must have rows as "${first.name}", ${formatType(first)}; got ${formatType(other)}. Get the file again.`,
        { file: path },
      );
    }
    const shape = [parts.reduce((rows, part) => rows + part.shape[0]!, 0), ...first.shape.slice(1)];
    return { ...first, name, shape, sizeBytes: sizeOfShape(shape) * sizeOf(first.dtype) };
  };
  return {
    path,
    names: [...tensors.keys()],
    info(name) {
      const info = stacked(name);
      const { transposed } = of(name);
      return transposed && info.shape.length === 2 ? { ...info, shape: info.shape.toReversed() } : info;
    },
    read(name) {
      const { from, transposed } = of(name);
      const { shape } = stacked(name);
      const data = stack(from.map((each) => file.read(each)));
      return transposed && shape.length === 2 ? transpose(data, shape as [number, number]) : data;
    },
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

function stack(parts: readonly TypedArray[]): TypedArray {
  const [first] = parts as [TypedArray];
  if (parts.length === 1) return first;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const out = like(first, length);
  let at = 0;
  for (const part of parts) {
    out.set(part as never, at);
    at += part.length;
  }
  return out;
}

function transpose(data: TypedArray, [rows, columns]: readonly [number, number]): TypedArray {
  const out = like(data, data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j]!;
  return out;
}

/** An array of the same kind. */
const like = (data: TypedArray, length: number): TypedArray =>
  new (data.constructor as new (length: number) => TypedArray)(length);

/** The `UsageError` for a tensor that is not there, with the nearest name. */
export const missing = (path: string, name: string, names: Iterable<string>): UsageError => {
  const all = [...names];
  return new UsageError(
    `${path}: must hold the tensor "${name}"; it has ${all.length} others.${didYouMean(name, all)}`,
    { file: path },
  );
};

/** One file of safetensors. */
export const openSafetensors = (path: string): WeightsFile => new SafetensorsFile(path);
