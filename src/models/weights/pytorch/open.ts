/**
 * Files that `torch.save` and `torch.jit.save` write, without PyTorch and without running what they hold.
 *
 * An archive (since PyTorch 1.6) is a zip of uncompressed files: `ROOT/data.pkl`, and `ROOT/data/KEY` with the numbers of
 * each storage. Before, pickles followed each other: a magic number, a version, the machine, the value, the storages'
 * keys; then each storage, its length first (u64). Source: torch/serialization.py.
 */

import { closeSync, fstatSync, openSync } from "node:fs";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { readExactly } from "../../../core/disk.js";
import { sizeOf, type TypedArray } from "../../../core/dtype.js";
import { UsageError } from "../../../core/errors.js";
import { withFileErrors } from "../../../core/files.js";
import { dtypeOfStored, fromStored, type StoredType, storedSizeOf } from "../../../core/foreign-dtype.js";
import { sizeOfShape } from "../../../core/shape.js";
import { missing, type WeightsFile } from "../file.js";
import { PickleError, unpickle } from "./pickle.js";
import { find, type Storage, storageOf, type TorchTensor, tensorsIn } from "./tensors.js";

/** A range of the file. */
interface Place {
  readonly at: number;
  readonly sizeBytes: number;
}

/** The tensors of a file, and where their storages lie. */
interface Contents {
  readonly value: unknown;
  readonly places: ReadonlyMap<string, Place>;
}

/** Larger pickles hold more than weights. */
const MOST_PICKLE_BYTES = 2 ** 27;

/** Opens a file of `torch.save`. Throws `UsageError` naming it, and what of it is not read. */
export async function openPyTorch(path: string, form: "archive" | "pickles"): Promise<WeightsFile> {
  const fd = withFileErrors("read", path, () => openSync(path, "r"));
  try {
    const { value, places } = form === "archive" ? await readArchive(path, fd) : readPickles(fd);
    const tensors = tensorsIn(value);
    if (tensors.size === 0) throw new PickleError(`it holds no tensors under names${keysOf(value)}`);
    for (const { storage } of tensors.values()) checkPlace(storage, places);
    return weightsOf(path, fd, tensors, places);
  } catch (error) {
    closeSync(fd);
    // Of the zip's reader, errors without a system's code are the archive's.
    const { code, message } = error as NodeJS.ErrnoException;
    const isFlaw = error instanceof PickleError || (code === undefined && isPlain(error));
    if (!isFlaw) throw error;
    throw new UsageError(
      `${path}: must be weights as torch.save writes them; ${message}. Give a file of tensors alone, or .safetensors.`,
      { file: path },
    );
  }
}

const isPlain = (error: unknown): boolean => error instanceof Error && error.constructor === Error;

const keysOf = (value: unknown): string =>
  value instanceof Map ? `; its keys are ${[...value.keys()].slice(0, 6).map(String).join(", ")}` : "";

function weightsOf(
  path: string,
  fd: number,
  tensors: ReadonlyMap<string, TorchTensor>,
  places: Contents["places"],
): WeightsFile {
  const of = (name: string): TorchTensor => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw missing(path, name, tensors.keys());
    return tensor;
  };
  return {
    path,
    names: [...tensors.keys()],
    info(name) {
      const { storage, shape } = of(name);
      const dtype = dtypeOfStored(storage.type);
      const sizeBytes = sizeOfShape(shape) * storedSizeOf(storage.type, sizeOf);
      return { name, dtype, shape, fileDType: storage.type.toUpperCase(), sizeBytes };
    },
    read(name) {
      const tensor = of(name);
      const { storage, offset, span } = tensor;
      const elementBytes = storedSizeOf(storage.type, sizeOf);
      const bytes = new ArrayBuffer(span * elementBytes);
      const at = places.get(storage.key)!.at + offset * elementBytes;
      const whole = withFileErrors("read", path, () => readExactly(fd, new Uint8Array(bytes), at));
      if (!whole) throw new UsageError(`${path}: ends within "${name}". The file was cut; get it again.`);
      return inOrder(tensor, fromStored(storage.type, bytes, span));
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** The elements of a tensor in the order of its axes, from its span of the storage. */
function inOrder(tensor: TorchTensor, span: TypedArray): TypedArray {
  if (tensor.isContiguous) return span;
  const { shape, strides } = tensor;
  const out = new (span.constructor as new (length: number) => TypedArray)(sizeOfShape(shape));
  const index = shape.map(() => 0);
  let at = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = span[at]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

function checkPlace({ key, length, type }: Storage, places: Contents["places"]): void {
  const place = places.get(key);
  const bytes = length * storedSizeOf(type, sizeOf);
  if (place === undefined || place.sizeBytes < bytes)
    throw new PickleError(
      `the numbers "${key.slice(0, 40)}" must take ${bytes} bytes; got ${place?.sizeBytes ?? "none"}`,
    );
}

async function readArchive(path: string, fd: number): Promise<Contents> {
  const archive = await openPromise(path, { strictFileNames: true, autoClose: false });
  try {
    const entries = new Map<string, Entry>();
    for await (const entry of archive.eachEntry()) entries.set(entry.fileName, entry);
    const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
    const [pickle] = pickles;
    if (pickle === undefined || pickles.length > 1)
      throw new PickleError(`it has ${pickles.length} files data.pkl, not one`);
    const root = pickle.slice(0, -"data.pkl".length);
    const size = fstatSync(fd).size;
    const order = entries.get(`${root}byteorder`);
    if (order !== undefined && bytesAt(fd, await placeOf(archive, order, size)).toString() !== "little")
      throw new PickleError("its numbers have the largest byte first");
    const bytes = bytesAt(fd, await placeOf(archive, entries.get(pickle)!, size));
    const { value } = unpickle(bytes, { find, persistent: storageOf });
    const places = new Map<string, Place>();
    for (const [name, entry] of entries) {
      if (name.startsWith(`${root}data/`))
        places.set(name.slice(`${root}data/`.length), await placeOf(archive, entry, size));
    }
    return { value, places };
  } finally {
    archive.close();
  }
}

async function placeOf(archive: ZipFile, entry: Entry, fileBytes: number): Promise<Place> {
  const { fileName: name, compressedSize: sizeBytes } = entry;
  if (entry.compressionMethod !== 0 || entry.isEncrypted())
    throw new PickleError(`its ${JSON.stringify(name.slice(0, 80))} is compressed`);
  const { fileDataStart: at } = await archive.readLocalFileHeaderPromise(entry, { minimal: true });
  if (at + sizeBytes > fileBytes) throw new PickleError("it is cut short");
  return { at, sizeBytes };
}

function bytesAt(fd: number, { at, sizeBytes }: Place): Buffer {
  if (sizeBytes > MOST_PICKLE_BYTES) throw new PickleError(`its pickle has ${sizeBytes} bytes`);
  const bytes = Buffer.alloc(sizeBytes);
  if (!readExactly(fd, bytes, at)) throw new PickleError("it is cut short");
  return bytes;
}

/** The first pickle of the form before 1.6. */
const MAGIC = 0x1950a86a20f9469cfc6cn;

function readPickles(fd: number): Contents {
  const fileBytes = fstatSync(fd).size;
  const bytes = bytesAt(fd, { at: 0, sizeBytes: Math.min(fileBytes, MOST_PICKLE_BYTES) });
  const types = new Map<string, StoredType>();
  const persistent = (id: unknown): Storage => {
    const storage = storageOf(id);
    types.set(storage.key, storage.type);
    return storage;
  };
  let at = 0;
  const next = (): unknown => {
    const { value, end } = unpickle(bytes, { find, persistent }, at);
    at = end;
    return value;
  };
  if (next() !== MAGIC) throw new PickleError("its first pickle is not PyTorch's");
  next(); // its version
  next(); // sizes of numbers on the machine that wrote it
  const value = next();
  const keys = next();
  if (!Array.isArray(keys)) throw new PickleError("it does not list its numbers");
  const places = new Map<string, Place>();
  const head = new Uint8Array(8);
  for (const key of keys as string[]) {
    if (!readExactly(fd, head, at)) throw new PickleError("it is cut short");
    const length = Number(new DataView(head.buffer).getBigUint64(0, true));
    const type = types.get(key);
    if (type === undefined) throw new PickleError("it lists numbers that nothing refers to");
    const sizeBytes = length * storedSizeOf(type, sizeOf);
    at += head.length;
    if (!(at + sizeBytes <= fileBytes)) throw new PickleError("it is cut short");
    places.set(key, { at, sizeBytes });
    at += sizeBytes;
  }
  return { value, places };
}
