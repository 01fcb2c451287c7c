/**
 * Calls into a PJRT plugin (a shared library with one exported function) through koffi. Arguments are written
 * as raw memory; every call's error becomes one of ours. Nothing here knows what a graph is.
 */

import { existsSync } from "node:fs";
import koffi, { type KoffiFunc, type LibraryHandle } from "koffi";
import { InternalError, UsageError } from "../../core/errors.js";
import { deviceFailed, outOfMemory } from "../device-trouble.js";
import { addressOf, loadForever, memoryAt, type Pointer, textAt } from "../native.js";
import {
  api,
  errorCodes,
  type FieldOf,
  type FunctionName,
  functions,
  INVALID_ARGUMENT,
  KNOWN_MINOR,
  type Layout,
  namedValue,
  OUT_OF_MEMORY,
  SPARE_BYTES,
  UNIMPLEMENTED,
} from "./layout.js";

/** What a field may be given: a memory block stands for its address and is kept alive with the call. */
export type FieldValue = bigint | number | boolean | ArrayBuffer | ArrayBufferView | Block;

/** What went wrong, as the plugin says it. */
export interface Status {
  readonly code: number;
  readonly message: string;
}

/** What to do about libraries that do not load. */
export const INSTALL = "clipwright engines install xla-cpu (or xla-cuda13)";

const pluginFunction = koffi.proto("void *PjrtFunction(void *args)");

/** Pointers in an array at `pointer`. */
export function pointersAt(pointer: Pointer, count: number): Pointer[] {
  return count === 0 ? [] : [...new BigUint64Array(memoryAt(pointer, count * 8))];
}

/** Raw memory written field by field. */
export class Block {
  readonly memory: ArrayBuffer;
  readonly view: DataView;
  private readonly kept: unknown[] = [];

  constructor(structSize: number, spare = 0) {
    // Rounded up: the last field may be shorter than a word.
    this.memory = new ArrayBuffer(Math.ceil((structSize + spare) / 8) * 8);
    this.view = new DataView(this.memory);
    this.view.setBigUint64(0, BigInt(structSize + spare), true);
  }

  /** Writes a pointer or size; or a memory block's address, keeping that block alive as long as this one. */
  word(offset: number, value: FieldValue): this {
    this.view.setBigUint64(offset, this.toWord(value), true);
    return this;
  }
  int(offset: number, value: number): this {
    this.view.setInt32(offset, value, true);
    return this;
  }
  readWord(offset: number): bigint {
    return this.view.getBigUint64(offset, true);
  }

  private toWord(value: FieldValue): bigint {
    if (typeof value === "bigint") return value;
    if (typeof value === "number" || typeof value === "boolean") return BigInt(value);
    this.kept.push(value);
    return addressOf(value instanceof Block ? value.memory : value);
  }
}

/** The arguments of one call, and its results once it is done. */
export class Args<N extends FunctionName> extends Block {
  private readonly layout: Layout;

  constructor(name: N, fields: { readonly [F in FieldOf<N>]?: FieldValue }, spare: number) {
    const layout: Layout = functions[name];
    super(layout.size, spare);
    this.layout = layout;
    for (const [field, value] of Object.entries<FieldValue | undefined>(fields)) {
      if (value === undefined) continue;
      const [offset, kind] = layout.fields[field]!;
      if (kind === "u64") this.word(offset, value);
      else if (kind === "i32") this.int(offset, Number(value as number));
      else this.view.setUint8(offset, value ? 1 : 0);
    }
  }

  /** A pointer, a size or an int64 that the call left. */
  pointer(field: FieldOf<N>): Pointer {
    return this.readWord(this.layout.fields[field]![0]);
  }
  number(field: FieldOf<N>): number {
    const [offset, kind] = this.layout.fields[field]!;
    if (kind === "i32") return this.view.getInt32(offset, true);
    return kind === "u8" ? this.view.getUint8(offset) : Number(this.view.getBigInt64(offset, true));
  }
}

type Native = KoffiFunc<(args: ArrayBuffer) => Pointer | null>;

/** A plugin's table of functions. */
export class Pjrt {
  /** `0.81` */
  readonly version: string;
  private readonly count: number;
  private readonly natives = new Map<number, Native>();
  private readonly spare: number;

  private constructor(
    readonly path: string,
    private readonly table: Pointer,
    // Held, so that the library stays loaded.
    readonly library: LibraryHandle,
  ) {
    const head = new DataView(memoryAt(table, api.functions));
    this.count = (Number(head.getBigUint64(api.size, true)) - api.functions) / 8;
    const [major, minor] = [head.getInt32(api.major, true), head.getInt32(api.minor, true)];
    if (major !== 0) {
      throw new UsageError(
        `xla: needs a plugin with PJRT API version 0; got ${major}.${minor} from ${path}. Use an older plugin.`,
      );
    }
    this.version = `${major}.${minor}`;
    this.spare = minor > KNOWN_MINOR ? SPARE_BYTES : 0;
  }

  /** Loads and initializes the plugin at `path`. Throws `UsageError` when it is no plugin. */
  static load(path: string): Pjrt {
    const known = loaded.get(path);
    if (known !== undefined) return known;
    if (!existsSync(path)) {
      throw new UsageError(`xla: the plugin must exist; got ${path}. See: clipwright engines.`);
    }
    process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
    const library = loadForever(path, "xla", INSTALL);
    let table: Pointer | null;
    try {
      table = library.func("void *GetPjrtApi()")() as Pointer | null;
    } catch {
      throw new UsageError(`xla: a plugin exports GetPjrtApi; ${path} does not. Name another file.`);
    }
    if (table === null) throw new UsageError(`xla: the plugin ${path} offers no API.`);
    const plugin = new Pjrt(path, table, library);
    plugin.call("Plugin_Initialize", {});
    loaded.set(path, plugin);
    return plugin;
  }

  /** Whether the plugin has the function. */
  has(name: FunctionName): boolean {
    return functions[name].slot < this.count && this.pointerTo(name) !== 0n;
  }

  /** Calls and returns the arguments with their results. Throws as `errorOf` says. */
  call<N extends FunctionName>(name: N, fields: { readonly [F in FieldOf<N>]?: FieldValue }): Args<N> {
    const args = new Args(name, fields, this.spare);
    const error = this.native(name)(args.memory);
    const status = error === null ? undefined : this.statusOf(error);
    if (status !== undefined) throw errorOf(name, status);
    return args;
  }

  /** Like `call`, on a thread of libuv's pool. */
  async callAsync<N extends FunctionName>(
    name: N,
    fields: { readonly [F in FieldOf<N>]?: FieldValue },
  ): Promise<Args<N>> {
    const { args, status } = await this.tryAsync(name, fields);
    if (status !== undefined) throw errorOf(name, status);
    return args;
  }

  /** Like `callAsync`, with the plugin's error as a value. */
  tryAsync<N extends FunctionName>(
    name: N,
    fields: { readonly [F in FieldOf<N>]?: FieldValue },
  ): Promise<{ args: Args<N>; status: Status | undefined }> {
    const args = new Args(name, fields, this.spare);
    return new Promise((resolve, reject) => {
      // `args` lives in this closure until the call is done, and with it everything that it points to.
      this.native(name).async(args.memory, (failure: Error | null, error: Pointer | null) => {
        if (failure) reject(new InternalError(`xla: ${name} could not be called: ${failure.message}`));
        else resolve({ args, status: error === null ? undefined : this.statusOf(error) });
      });
    });
  }

  /** Calls a function that the plugin handed out, with one pointer. */
  callPointer(pointer: Pointer, argument: Pointer): void {
    koffi.call(pointer, pluginFunction, argument);
  }

  /** A struct of `size` bytes that goes into a call. */
  struct(size: number): Block {
    return new Block(size, this.spare);
  }

  private pointerTo(name: FunctionName): Pointer {
    return pointersAt(this.table + BigInt(api.functions + 8 * functions[name].slot), 1)[0]!;
  }

  private native(name: FunctionName): Native {
    const { slot } = functions[name];
    const known = this.natives.get(slot);
    if (known !== undefined) return known;
    if (!this.has(name)) {
      throw new UsageError(
        `xla: needs PJRT_${name}, which the plugin (API ${this.version}) does not have. Use a newer plugin.`,
      );
    }
    const native = koffi.decode(this.pointerTo(name), pluginFunction) as Native;
    this.natives.set(slot, native);
    return native;
  }

  /** Reads and frees an error. */
  private statusOf(error: Pointer): Status {
    const message = new Args("Error_Message", { error }, this.spare);
    this.native("Error_Message")(message.memory);
    const text = textAt(message.pointer("message"), message.number("message_size"));
    const code = new Args("Error_GetCode", { error }, this.spare);
    this.native("Error_GetCode")(code.memory);
    const number = code.number("code");
    this.native("Error_Destroy")(new Args("Error_Destroy", { error }, this.spare).memory);
    return { code: number, message: text };
  }
}

const loaded = new Map<string, Pjrt>();

/** Our error for a plugin's. */
export function errorOf(what: string, { code, message }: Status): Error {
  // A program that is under way says it in words only.
  if (code === OUT_OF_MEMORY || /out of memory/i.test(message)) return outOfMemory("xla", what, message);
  const text = `${errorCodes[code] ?? code}: ${message}`;
  // What a plugin answers to a wrong call or program, on any device.
  const ourFault = code === INVALID_ARGUMENT || code === UNIMPLEMENTED;
  return ourFault ? new InternalError(`xla: ${what} failed: ${text}`) : deviceFailed("xla", what, text);
}

export type OptionValue = string | number | boolean | readonly number[] | { readonly float: number };

/** PJRT_NamedValues in one block. */
export function namedValues(options: Readonly<Record<string, OptionValue>>): Block {
  const entries = Object.entries(options);
  const out = new Block(Math.max(1, entries.length) * namedValue.size);
  entries.forEach(([name, value], i) => {
    const at = i * namedValue.size;
    const bytes = Buffer.from(name, "utf8");
    out.word(at, namedValue.size).word(at + namedValue.name, copyOf(bytes));
    out.word(at + namedValue.nameSize, bytes.length);
    const { types } = namedValue;
    if (typeof value === "string") {
      const text = Buffer.from(value, "utf8");
      out.int(at + namedValue.type, types.string).word(at + namedValue.value, copyOf(text));
      out.word(at + namedValue.valueSize, text.length);
      return;
    }
    out.word(at + namedValue.valueSize, 1);
    if (typeof value === "number") {
      out.int(at + namedValue.type, types.int64);
      out.view.setBigInt64(at + namedValue.value, BigInt(value), true);
    } else if (typeof value === "boolean") {
      out.int(at + namedValue.type, types.bool).view.setUint8(at + namedValue.value, value ? 1 : 0);
    } else if ("float" in value) {
      out.int(at + namedValue.type, types.float).view.setFloat32(at + namedValue.value, value.float, true);
    } else {
      out.int(at + namedValue.type, types.int64List);
      out.word(at + namedValue.value, BigInt64Array.from(value, BigInt));
      out.word(at + namedValue.valueSize, value.length);
    }
  });
  return out;
}

/** Named values that a plugin gave, as numbers, lists and texts. */
export function readNamedValues(pointer: Pointer, count: number): Record<string, string | number | number[]> {
  const out: Record<string, string | number | number[]> = {};
  if (count === 0) return out;
  // A plugin states the size of its own struct; they stand side by side.
  const step = Number(new DataView(memoryAt(pointer, 8)).getBigUint64(0, true));
  for (let i = 0; i < count; i++) {
    const view = new DataView(memoryAt(pointer + BigInt(i * Math.ceil(step / 8) * 8), namedValue.size));
    const name = textAt(
      view.getBigUint64(namedValue.name, true),
      Number(view.getBigUint64(namedValue.nameSize, true)),
    );
    const size = Number(view.getBigUint64(namedValue.valueSize, true));
    const word = view.getBigUint64(namedValue.value, true);
    const { types } = namedValue;
    const type = view.getInt32(namedValue.type, true);
    if (type === types.string) out[name] = textAt(word, size);
    else if (type === types.int64) out[name] = Number(BigInt.asIntN(64, word));
    else if (type === types.int64List)
      out[name] = Array.from(new BigInt64Array(memoryAt(word, size * 8)), Number);
    else if (type === types.float) out[name] = view.getFloat32(namedValue.value, true);
    else out[name] = view.getUint8(namedValue.value);
  }
  return out;
}

/** The bytes in memory that does not move: small Buffers share a pool, small arrays lie on the heap. */
export function copyOf(bytes: Uint8Array): ArrayBuffer {
  const out = new ArrayBuffer(bytes.length);
  new Uint8Array(out).set(bytes);
  return out;
}
