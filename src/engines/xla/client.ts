/** A PJRT client: devices, transfers, programs. Pointers in, pointers out; who owns what is the engine's affair. */

import { allocate, sizeOf, type TypedArray } from "../../core/dtype.js";
import { InternalError, Unsupported, UsageError } from "../../core/errors.js";
import { sizeOfShape, type TensorType } from "../../core/shape.js";
import type { PlannedMemory } from "../engine.js";
import { memoryAt, type Pointer, textAt } from "../native.js";
import {
  bufferType,
  errorCodes,
  executeOptions,
  hostBuffer,
  memoryLayout,
  program,
  TILED_STRUCT_BYTES,
  UNIMPLEMENTED,
} from "./layout.js";
import {
  Block,
  copyOf,
  errorOf,
  namedValues,
  type OptionValue,
  type Pjrt,
  pointersAt,
  readNamedValues,
} from "./pjrt.js";

export interface Device {
  readonly pointer: Pointer;
  /** Unique among all processes. */
  readonly id: number;
  /** E.g. `NVIDIA H200`, `cpu`. */
  readonly kind: string;
  /** NVIDIA's, e.g. 9 or 10.3; undefined on other devices. */
  readonly computeCapability: number | undefined;
}

export interface MemoryStats {
  readonly bytesInUse: number;
  readonly peakBytesInUse: number | undefined;
  readonly bytesLimit: number | undefined;
}

/** The functions of the store that the processes of one run share. */
export interface StoreCallbacks {
  readonly get: Pointer;
  readonly put: Pointer;
  readonly tryGet: Pointer;
}

/** Threads that wait for devices at once: libuv's pool has four, and files and names need some of them. */
const MOST_WAITERS = 2;

export class Client {
  readonly platform: string;
  readonly platformVersion: string;
  /** Of all processes. */
  readonly devices: readonly Device[];
  /** Of this process. */
  readonly localDevices: readonly Device[];
  readonly processIndex: number;
  private waiters = 0;
  private readonly queue: (() => void)[] = [];

  private constructor(
    readonly plugin: Pjrt,
    private readonly pointer: Pointer,
  ) {
    const client = pointer;
    const name = plugin.call("Client_PlatformName", { client });
    this.platform = textAt(name.pointer("text"), name.number("text_size"));
    const version = plugin.call("Client_PlatformVersion", { client });
    this.platformVersion = textAt(version.pointer("text"), version.number("text_size"));
    this.processIndex = plugin.call("Client_ProcessIndex", { client }).number("process_index");
    const all = plugin.call("Client_Devices", { client });
    this.devices = pointersAt(all.pointer("devices"), all.number("num_devices")).map((p) => this.describe(p));
    const local = plugin.call("Client_AddressableDevices", { client });
    this.localDevices = pointersAt(local.pointer("devices"), local.number("num_devices")).map(
      (p) => this.devices.find((d) => d.pointer === p) ?? this.describe(p),
    );
  }

  /** Creates the client on a thread of libuv's pool: it may call `store` and wait for other processes. */
  static async create(
    plugin: Pjrt,
    options: Readonly<Record<string, OptionValue>>,
    store?: StoreCallbacks,
  ): Promise<Client> {
    const { args, status } = await plugin.tryAsync("Client_Create", {
      create_options: namedValues(options),
      num_options: Object.keys(options).length,
      ...(store === undefined
        ? {}
        : { kv_get_callback: store.get, kv_put_callback: store.put, kv_try_get_callback: store.tryGet }),
    });
    if (status !== undefined) {
      throw new UsageError(
        `xla: ${plugin.path} must find its devices; got ${errorCodes[status.code] ?? status.code}: ` +
          `${status.message}. See: clipwright engines.`,
      );
    }
    return new Client(plugin, args.pointer("client"));
  }

  private describe(device: Pointer): Device {
    const device_description = this.plugin
      .call("Device_GetDescription", { device })
      .pointer("device_description");
    const kind = this.plugin.call("DeviceDescription_Kind", { device_description });
    const found = this.plugin.call("DeviceDescription_Attributes", { device_description });
    const attributes = readNamedValues(found.pointer("attributes"), found.number("num_attributes"));
    const capability = Number.parseFloat(String(attributes.compute_capability));
    return {
      pointer: device,
      id: this.plugin.call("DeviceDescription_Id", { device_description }).number("id"),
      kind: textAt(kind.pointer("text"), kind.number("text_size")),
      computeCapability: Number.isNaN(capability) ? undefined : capability,
    };
  }

  /** Versions and the like that the plugin tells of itself. */
  attributes(): Record<string, string | number | number[]> {
    const { plugin } = this;
    const found = plugin.call("Plugin_Attributes", {});
    return readNamedValues(found.pointer("attributes"), found.number("num_attributes"));
  }

  /** What the device's allocator reports; undefined where the plugin keeps no count (the CPU's does not). */
  memory(device: Device): MemoryStats | undefined {
    if (!this.plugin.has("Device_MemoryStats")) return undefined;
    try {
      const stats = this.plugin.call("Device_MemoryStats", { device: device.pointer });
      const optional = (value: "peak_bytes_in_use" | "bytes_limit") =>
        stats.number(`${value}_is_set`) ? stats.number(value) : undefined;
      return {
        bytesInUse: stats.number("bytes_in_use"),
        peakBytesInUse: optional("peak_bytes_in_use"),
        bytesLimit: optional("bytes_limit"),
      };
    } catch {
      return undefined;
    }
  }

  /**
   * Starts a copy of `data` to the device: the buffer, and the event after which `data` may change (until then
   * it must be kept alive). With `now`, `data` is read before the call returns.
   */
  upload(
    device: Device,
    type: TensorType,
    data: TypedArray,
    now: boolean,
  ): { buffer: Pointer; done: Pointer } {
    const size = sizeOfShape(type.shape);
    // A shorter array would be read beyond its end.
    if (data.byteLength !== size * sizeOf(type.dtype)) {
      throw new InternalError(`xla: upload of ${data.byteLength} bytes as ${size} elements of ${type.dtype}`);
    }
    const args = this.plugin.call("Client_BufferFromHostBuffer", {
      client: this.pointer,
      data: size === 0 ? new ArrayBuffer(64) : data,
      type: bufferType[type.dtype],
      dims: BigInt64Array.from(type.shape, BigInt),
      num_dims: type.shape.length,
      host_buffer_semantics: now ? hostBuffer.onlyDuringCall : hostBuffer.untilTransferCompletes,
      device: device.pointer,
    });
    return { buffer: args.pointer("buffer"), done: args.pointer("done_with_host_buffer") };
  }

  /** The numbers of a buffer, row-major. */
  async download(buffer: Pointer, type: TensorType): Promise<TypedArray> {
    const data = allocate(type.dtype, sizeOfShape(type.shape));
    if (data.length === 0) return data;
    const rank = type.shape.length;
    const order = BigInt64Array.from({ length: rank }, (_, i) => BigInt(rank - 1 - i));
    const layout = this.plugin.struct(memoryLayout.size);
    layout.word(memoryLayout.tiledSize, TILED_STRUCT_BYTES);
    layout.word(memoryLayout.minorToMajor, order).word(memoryLayout.minorToMajorSize, rank);
    const args = this.plugin.call("Buffer_ToHostBuffer", {
      src: buffer,
      host_layout: layout,
      dst: data,
      dst_size: data.byteLength,
    });
    await this.wait(args.pointer("event"));
    return data;
  }

  destroyBuffer(buffer: Pointer): void {
    this.plugin.call("Buffer_Destroy", { buffer });
  }

  /** Whether the event has happened; does not free it. */
  isReady(event: Pointer): boolean {
    return this.plugin.call("Event_IsReady", { event }).number("is_ready") !== 0;
  }

  /** Waits on a thread of libuv's pool for the event, then frees it. Throws what it failed with. */
  async wait(event: Pointer): Promise<void> {
    if (this.isReady(event)) return this.finish(event);
    if (this.waiters === MOST_WAITERS) await new Promise<void>((resolve) => this.queue.push(resolve));
    else this.waiters++;
    try {
      const { status } = await this.plugin.tryAsync("Event_Await", { event });
      this.plugin.call("Event_Destroy", { event });
      if (status !== undefined) throw errorOf("the program", status);
    } finally {
      const next = this.queue.shift();
      if (next === undefined) this.waiters--;
      else next();
    }
  }

  /** Frees an event that has happened. Throws what it failed with. */
  finish(event: Pointer): void {
    try {
      this.plugin.call("Event_Error", { event });
    } finally {
      this.plugin.call("Event_Destroy", { event });
    }
  }

  /** Compiles StableHLO text on a thread of libuv's pool. */
  async compile(text: string, options: Uint8Array, what: string): Promise<Pointer> {
    const code = copyOf(Buffer.from(text, "utf8"));
    const format = copyOf(Buffer.from("mlir", "utf8"));
    const source = this.plugin.struct(program.size);
    source.word(program.code, code).word(program.codeSize, code.byteLength);
    source.word(program.format, format).word(program.formatSize, format.byteLength);
    const { args, status } = await this.plugin.tryAsync("Client_Compile", {
      client: this.pointer,
      program: source,
      compile_options: copyOf(options),
      compile_options_size: options.length,
    });
    if (status?.code === UNIMPLEMENTED) {
      throw new Unsupported(`xla: the plugin cannot compile ${what}: ${status.message}`, what);
    }
    if (status !== undefined) throw errorOf(`compiling ${what}`, status);
    return args.pointer("executable");
  }

  /** The loaded executable as bytes that this plugin on this machine can load again. */
  serialize(loaded: Pointer): Uint8Array {
    return this.withExecutable(loaded, (executable) => {
      const args = this.plugin.call("Executable_Serialize", { executable });
      const size = args.number("serialized_bytes_size");
      const bytes = new Uint8Array(memoryAt(args.pointer("serialized_bytes"), size)).slice();
      this.plugin.callPointer(
        args.pointer("serialized_executable_deleter"),
        args.pointer("serialized_executable"),
      );
      return bytes;
    });
  }

  /** A loaded executable from `serialize`'s bytes, or undefined when the plugin refuses them. */
  async deserialize(bytes: Uint8Array): Promise<Pointer | undefined> {
    const { args, status } = await this.plugin.tryAsync("Executable_DeserializeAndLoad", {
      client: this.pointer,
      serialized_executable: copyOf(bytes),
      serialized_executable_size: bytes.length,
    });
    return status === undefined ? args.pointer("loaded_executable") : undefined;
  }

  /** How many results the program has, and the devices of this process that it runs on, in row order. */
  inspect(loaded: Pointer): { outputs: number; devices: Device[] } {
    const outputs = this.withExecutable(loaded, (executable) =>
      this.plugin.call("Executable_NumOutputs", { executable }).number("num_outputs"),
    );
    const found = this.plugin.call("LoadedExecutable_AddressableDevices", { executable: loaded });
    const devices = pointersAt(found.pointer("devices"), found.number("num_devices")).map((pointer) => {
      const device = this.localDevices.find((d) => d.pointer === pointer);
      if (device === undefined) throw new InternalError("xla: a program runs on an unknown device");
      return device;
    });
    return { outputs, devices };
  }

  /** Bytes that a run needs on a device, as the compiler plans them. */
  plannedMemory(loaded: Pointer): PlannedMemory {
    return this.withExecutable(loaded, (executable) => {
      const stats = this.plugin.call("Executable_GetCompiledMemoryStats", { executable });
      return {
        arguments: stats.number("argument_size_in_bytes"),
        outputs: stats.number("output_size_in_bytes"),
        shared: stats.number("alias_size_in_bytes"),
        temporary: stats.number("temp_size_in_bytes"),
      };
    });
  }

  private withExecutable<T>(loaded: Pointer, f: (executable: Pointer) => T): T {
    const executable = this.plugin
      .call("LoadedExecutable_GetExecutable", { loaded_executable: loaded })
      .pointer("executable");
    try {
      return f(executable);
    } finally {
      this.plugin.call("Executable_Destroy", { executable });
    }
  }

  destroyExecutable(executable: Pointer): void {
    this.plugin.call("LoadedExecutable_Destroy", { executable });
  }

  /**
   * Enqueues a run: `rows[d]` are the arguments on device d. Gives the results per device, and per device an
   * event that happens when it is done. With several devices the call waits for their threads to start, and
   * goes through libuv's pool; the caller keeps such calls in order.
   */
  async execute(
    executable: Pointer,
    rows: readonly (readonly Pointer[])[],
    numOutputs: number,
  ): Promise<{ results: Pointer[][]; events: Pointer[] }> {
    const lists = rows.map((row) => BigUint64Array.from(row.length === 0 ? [0n] : row));
    const outputs = rows.map(() => new BigUint64Array(Math.max(1, numOutputs)));
    const events = new BigUint64Array(rows.length);
    const addresses = (arrays: readonly BigUint64Array[]) => {
      const table = new Block(arrays.length * 8);
      arrays.forEach((array, i) => {
        table.word(i * 8, array);
      });
      return table;
    };
    const fields = {
      executable,
      options: this.plugin.struct(executeOptions.size),
      argument_lists: addresses(lists),
      num_devices: rows.length,
      num_args: rows[0]!.length,
      output_lists: addresses(outputs),
      device_complete_events: events,
    };
    if (rows.length === 1) this.plugin.call("LoadedExecutable_Execute", fields);
    else await this.plugin.callAsync("LoadedExecutable_Execute", fields);
    return { results: outputs.map((list) => [...list].slice(0, numOutputs)), events: [...events] };
  }

  /** Frees the client. Every buffer and program must be gone. */
  async destroy(): Promise<void> {
    await this.plugin.callAsync("Client_Destroy", { client: this.pointer });
  }
}
