/**
 * XLA as an engine, through a plugin with the PJRT C API: CPUs, NVIDIA GPUs, TPUs. A graph becomes one program;
 * with several devices the same program runs on each of them, and its collective operations let them meet.
 * All calls come from one thread, in order; compiling and waiting happen on libuv's.
 */

import { statSync } from "node:fs";
import { cpus } from "node:os";
import { allocate, sizeOf, type TypedArray } from "../../core/dtype.js";
import { InternalError, UsageError } from "../../core/errors.js";
import { formatType, sameType, sizeOfShape, type TensorType } from "../../core/shape.js";
import { emitStableHlo } from "../../graph/emit/stablehlo.js";
import type { Graph } from "../../graph/graph.js";
import { optimize } from "../../graph/passes.js";
import { requireCapabilities } from "../capabilities.js";
import type {
  Capabilities,
  CompileOptions,
  DeviceBuffer,
  Engine,
  Executable,
  PlannedMemory,
} from "../engine.js";
import type { Pointer } from "../native.js";
import { cacheKey, ProgramCache } from "./cache.js";
import { Client, type Device, type MemoryStats, type StoreCallbacks } from "./client.js";
import { compileOptionsBytes, type XlaFlags } from "./options.js";
import { Pjrt } from "./pjrt.js";
import { clientOptions, environmentFlags, platformFlags, preload } from "./platform.js";

export interface XlaOptions {
  /** Path of the plugin's shared library. */
  readonly plugin: string;
  /** Devices of this process that a program runs on at once. Default 1. */
  readonly devices?: number | undefined;
  /** Folder for compiled programs. Default: none are kept. */
  readonly cache?: string | undefined;
  /** Options of XLA's for every compilation, over those of the environment's XLA_FLAGS. */
  readonly flags?: XlaFlags | undefined;
  /** Share of a GPU's memory that is taken at the start, in (0, 1]. Default: the plugin's (0.75). */
  readonly memoryFraction?: number | undefined;
  /** This process among several that run the same programs. Default: the only one. */
  readonly processes?: ProcessPlace | undefined;
}

/** One of several processes, and the store through which their clients find each other. */
export interface ProcessPlace {
  readonly index: number;
  readonly count: number;
  /** Its place among those on its machine, which decides its devices. Default 0. */
  readonly localIndex?: number | undefined;
  readonly store: StoreCallbacks;
}

/** Arrays up to this size are copied at once instead of kept alive until the device has read them. */
const COPY_AT_ONCE_BYTES = 65536;

/** Runs that may be under way: one computes while the next is prepared. */
const RUNS_AHEAD = 2;

class XlaBuffer implements DeviceBuffer {
  private parts: readonly Pointer[] | undefined;
  private holders = 0;
  private doomed = false;

  constructor(
    readonly type: TensorType,
    parts: readonly Pointer[],
    private readonly owner: Xla,
  ) {
    this.parts = parts;
    owner.track(this, 1);
  }

  get spent(): boolean {
    return this.parts === undefined || this.doomed;
  }
  get bytes(): number {
    return sizeOfShape(this.type.shape) * sizeOf(this.type.dtype) * this.owner.capabilities.devices;
  }
  belongsTo(engine: Xla): boolean {
    return this.owner === engine;
  }

  /** One pointer a device, or a `UsageError` when the memory is gone. */
  use(name: string): readonly Pointer[] {
    if (this.parts === undefined || this.doomed) {
      throw new UsageError(
        `xla: the buffer given as ${name} was donated or freed before. Use the run's output.`,
      );
    }
    return this.parts;
  }

  /** Keeps the memory while a call on another thread reads it; gives the way to let go. */
  hold(): () => void {
    this.holders++;
    return () => {
      this.holders--;
      if (this.holders === 0 && this.doomed) this.free();
    };
  }

  [Symbol.dispose](): void {
    if (this.holders > 0) this.doomed = true;
    else this.free();
  }

  private free(): void {
    if (this.parts === undefined) return;
    this.owner.track(this, -1);
    for (const part of this.parts) this.owner.client.destroyBuffer(part);
    this.parts = undefined;
  }
}

class Program implements Executable {
  private alive = true;
  private readonly donated: ReadonlySet<string>;

  constructor(
    readonly graph: Graph,
    readonly pointer: Pointer,
    /** Row d of a run goes to `order[d]`, a place among the engine's devices. */
    private readonly order: readonly number[],
    private readonly owner: Xla,
  ) {
    this.donated = new Set(graph.outputs.flatMap((o) => (o.donates === undefined ? [] : [o.donates])));
  }

  async run(inputs: Readonly<Record<string, DeviceBuffer>>): Promise<Record<string, DeviceBuffer>> {
    return this.owner.inTurn(async () => {
      if (!this.alive) throw new UsageError("xla: the program was disposed. Compile the graph again.");
      const buffers = this.collect(inputs);
      const rows = this.order.map((device) => buffers.map(({ parts }) => parts[device]!));
      const release = buffers.map(({ buffer }) => buffer.hold());
      try {
        const { results, events } = await this.owner.client.execute(
          this.pointer,
          rows,
          this.graph.outputs.length,
        );
        this.owner.watch(events);
        for (const { name, buffer } of buffers) if (this.donated.has(name)) buffer[Symbol.dispose]();
        return Object.fromEntries(
          this.graph.outputs.map(({ name, tensor }, i) => {
            const parts = new Array<Pointer>(this.order.length);
            this.order.forEach((device, row) => {
              parts[device] = results[row]![i]!;
            });
            return [name, new XlaBuffer({ dtype: tensor.dtype, shape: tensor.shape }, parts, this.owner)];
          }),
        );
      } finally {
        for (const letGo of release) letGo();
      }
    });
  }

  /** Every input's buffer, checked: a wrong one on one of several devices would leave the others waiting. */
  private collect(inputs: Readonly<Record<string, DeviceBuffer>>) {
    const users = new Map<DeviceBuffer, string>();
    return this.graph.inputs.map(({ name, tensor }) => {
      const buffer = inputs[name];
      const own = buffer instanceof XlaBuffer && buffer.belongsTo(this.owner);
      if (!own || !sameType(buffer.type, tensor)) {
        throw new UsageError(
          `xla: input ${name} must be a buffer of this engine of type ${formatType(tensor)}; got ` +
            `${buffer === undefined ? "none" : own ? formatType(buffer.type) : "another engine's"}.`,
        );
      }
      const other = users.get(buffer);
      if (other !== undefined && (this.donated.has(name) || this.donated.has(other))) {
        throw new UsageError(
          `xla: a buffer that is donated can be only one input; got it as ${other} and ${name}. Upload it twice.`,
        );
      }
      users.set(buffer, name);
      return { name, buffer, parts: buffer.use(name) };
    });
  }

  plannedMemory(): PlannedMemory {
    return this.owner.client.plannedMemory(this.pointer);
  }

  [Symbol.dispose](): void {
    if (!this.alive) return;
    this.alive = false;
    this.owner.forget(this);
  }
}

/** A copy in memory of its own; `slice` of a Buffer would be the same memory again. */
function copyArray(type: TensorType, data: TypedArray): TypedArray {
  const out = allocate(type.dtype, data.length);
  out.set(data as never);
  return out;
}

/** The compiler's error as the caller's where it is about a flag, or with what to try where a kernel was asked for. */
function explained(error: unknown, flags: XlaFlags, { nodes }: Graph): unknown {
  if (!(error instanceof InternalError)) return error;
  const wrong = /(?:No such compile option: '|While setting option )(\w+)/.exec(error.message)?.[1];
  if (wrong !== undefined && wrong in flags) {
    return new UsageError(
      `xla: flags must be options of the plugin's XLA with values of their kind; got ${wrong}=${flags[wrong]}: ` +
        `${error.message}. Correct it or leave it out.`,
    );
  }
  const kernel = nodes.find(({ op }) => typeof op.stablehlo === "object" && "kernel" in op.stablehlo);
  if (kernel !== undefined) {
    error.message += ` (${kernel.op.name} is written as a kernel of the device's; --attention plain avoids that)`;
  }
  return error;
}

/** XLA on the devices of one plugin. Made by `Xla.open`. */
export class Xla implements Engine {
  readonly name = "xla";
  readonly capabilities: Capabilities;
  private readonly buffers = new Set<XlaBuffer>();
  private readonly programs = new Set<Program>();
  private bytes = 0;
  private uploads: { done: Pointer; data: TypedArray }[] = [];
  private runs: Pointer[][] = [];
  private turn: Promise<unknown> = Promise.resolve();
  private open = true;

  private constructor(
    readonly client: Client,
    private readonly devices: readonly Device[],
    private readonly replicas: readonly number[],
    private readonly flags: XlaFlags,
    private readonly cache: ProgramCache | undefined,
    private readonly identity: string,
  ) {
    this.capabilities = {
      computeDtypes: ["f32", "bf16", "f16"],
      bf16Results: ["f32", "bf16"],
      // Its CPU multiplies bf16 more slowly than f32.
      preferredPrecision: client.platform === "cpu" ? "f32" : "bf16",
      dtypes: ["f32", "bf16", "f16", "i32", "i64", "u8", "bool"],
      donation: true,
      device: {
        platform: client.platform,
        name: devices[0]!.kind,
        computeCapability: devices[0]!.computeCapability,
      },
      devices: devices.length,
      replicas: replicas.length,
    };
  }

  /** Loads the plugin and finds its devices. Throws `UsageError` when it cannot. */
  static async open(options: XlaOptions): Promise<Xla> {
    const { plugin: path, devices: wanted = 1, processes } = options;
    if (!Number.isInteger(wanted) || wanted < 1) {
      throw new UsageError(`xla: devices must be an integer of at least 1; got devices=${wanted}.`);
    }
    const fraction = options.memoryFraction;
    if (fraction !== undefined && !(fraction > 0 && fraction <= 1)) {
      throw new UsageError(`xla: memoryFraction must lie in (0, 1]; got memoryFraction=${fraction}.`);
    }
    const flags = { ...environmentFlags(), ...platformFlags(path), ...options.flags };
    preload(path);
    const plugin = Pjrt.load(path);
    const client = await Client.create(
      plugin,
      clientOptions(path, { devices: wanted, fraction, processes }),
      processes?.store,
    );
    const local = client.localDevices.slice(0, wanted);
    if (local.length < wanted) {
      await client.destroy();
      throw new UsageError(
        `xla: devices must be at most what the machine has; got devices=${wanted}, found ${local.length} ` +
          `(${local.map((d) => d.kind).join(", ")}).`,
      );
    }
    const everyone = processes === undefined || processes.count === 1 ? local : client.devices;
    if (processes !== undefined && everyone.length !== processes.count * wanted) {
      await client.destroy();
      throw new UsageError(
        `xla: the plugin must join the devices of ${processes.count} processes, ${processes.count * wanted} in all; ` +
          `it found ${everyone.length} (${client.platform}). ` +
          "The CPU's plugin cannot: use several devices in one process there, or a GPU's plugin.",
      );
    }
    const { size, mtimeMs } = statSync(path);
    const identity = [
      client.platform,
      client.platformVersion,
      plugin.version,
      `${size}:${mtimeMs}`,
      JSON.stringify(client.attributes()),
      local.map((d) => d.kind).join(),
      client.platform === "cpu" ? (cpus()[0]?.model ?? "") : "",
    ].join("\n");
    const cache = options.cache === undefined ? undefined : new ProgramCache(options.cache);
    return new Xla(
      client,
      local,
      everyone.map((d) => d.id),
      flags,
      cache,
      identity,
    );
  }

  async compile(graph: Graph, { name = "graph", flags }: CompileOptions = {}): Promise<Program> {
    this.requireOpen();
    const optimized = optimize(graph, "stablehlo", this.capabilities.device);
    requireCapabilities(this.name, this.capabilities, optimized);
    const text = emitStableHlo(optimized);
    const allFlags = { ...this.flags, ...flags };
    // Where replicas do not meet, no other process need compile or run the program.
    const meet = optimized.nodes.some(({ op }) => op.traits.includes("collective"));
    const replicas = meet ? this.replicas : this.devices.map(({ id }) => id);
    const options = compileOptionsBytes(replicas, allFlags);
    const key = cacheKey(text, options, this.identity);
    const pointer =
      (await this.restore(key)) ??
      (await this.build(key, text, options, name).catch((error) => {
        throw explained(error, allFlags, optimized);
      }));
    const { outputs, devices } = this.client.inspect(pointer);
    // Results are written where `execute` says: too few places would be written over.
    if (outputs !== optimized.outputs.length || devices.length !== this.devices.length) {
      this.client.destroyExecutable(pointer);
      throw new InternalError(
        `xla: ${name} has ${outputs} results on ${devices.length} devices; ` +
          `expected ${optimized.outputs.length} on ${this.devices.length}`,
      );
    }
    const order = devices.map((device) => this.devices.indexOf(device));
    const program = new Program(optimized, pointer, order, this);
    this.programs.add(program);
    return program;
  }

  private async restore(key: string): Promise<Pointer | undefined> {
    const bytes = this.cache?.read(key);
    if (bytes === undefined) return undefined;
    const pointer = await this.client.deserialize(bytes);
    if (pointer === undefined) this.cache?.remove(key);
    return pointer;
  }

  private async build(key: string, text: string, options: Uint8Array, name: string): Promise<Pointer> {
    const pointer = await this.client.compile(text, options, name);
    this.cache?.write(key, this.client.serialize(pointer));
    return pointer;
  }

  upload(
    type: TensorType,
    data: TypedArray,
    { adopt = false, each = false }: { adopt?: boolean; each?: boolean } = {},
  ): DeviceBuffer {
    this.requireOpen();
    const count = sizeOfShape(type.shape);
    const expected = each ? count * this.devices.length : count;
    const kind = allocate(type.dtype, 0).constructor as new () => TypedArray;
    if (data.length !== expected || !(data instanceof kind)) {
      throw new UsageError(
        `xla: needs ${expected} elements in a ${kind.name} for ${formatType(type)}` +
          `${each ? ` on each of ${this.devices.length} devices` : ""}; got ${data.length} in a ${data.constructor.name}.`,
      );
    }
    this.sweep();
    const now = data.byteLength <= COPY_AT_ONCE_BYTES;
    // Memory that other threads share cannot be handed to the plugin.
    const own = (adopt || now) && !(data.buffer instanceof SharedArrayBuffer) ? data : copyArray(type, data);
    const parts = this.devices.map((device, d) => {
      const part = each ? own.subarray(d * count, (d + 1) * count) : own;
      const { buffer, done } = this.client.upload(device, type, part, now);
      this.uploads.push({ done, data: part });
      return buffer;
    });
    return new XlaBuffer({ dtype: type.dtype, shape: type.shape }, parts, this);
  }

  async download(buffer: DeviceBuffer, { each = false }: { each?: boolean } = {}): Promise<TypedArray> {
    this.requireOpen();
    if (!(buffer instanceof XlaBuffer) || !buffer.belongsTo(this)) {
      throw new UsageError("xla: the buffer belongs to another engine.");
    }
    this.sweep();
    const parts = buffer.use("download").slice(0, each ? undefined : 1);
    const release = buffer.hold();
    try {
      const [first, ...rest] = await Promise.all(parts.map((p) => this.client.download(p, buffer.type)));
      if (rest.length === 0) return first!;
      const out = allocate(buffer.type.dtype, first!.length * parts.length);
      [first!, ...rest].forEach((part, d) => {
        out.set(part as never, d * first!.length);
      });
      return out;
    } finally {
      release();
    }
  }

  stats(): { buffers: number; bytes: number } {
    return { buffers: this.buffers.size, bytes: this.bytes };
  }

  peakMemory(): number | undefined {
    const peaks = this.memory().map((m) => m?.peakBytesInUse);
    return peaks.includes(undefined) ? undefined : Math.max(...(peaks as number[]));
  }

  /** What the allocator of each device reports; undefined where it keeps no count. */
  memory(): (MemoryStats | undefined)[] {
    return this.devices.map((device) => this.client.memory(device));
  }

  /** What the programs run on, e.g. `cuda: NVIDIA H200 × 4`. */
  get description(): string {
    const times = this.devices.length > 1 ? ` × ${this.devices.length}` : "";
    return `${this.client.platform}: ${this.devices[0]!.kind}${times}`;
  }

  /** Counts a buffer made (+1) or gone (-1). */
  track(buffer: XlaBuffer, sign: 1 | -1): void {
    if (sign === 1) this.buffers.add(buffer);
    else this.buffers.delete(buffer);
    this.bytes += sign * buffer.bytes;
  }

  /** Frees a program. */
  forget(program: Program): void {
    this.programs.delete(program);
    this.client.destroyExecutable(program.pointer);
  }

  /** Runs `f` after the runs before it have been enqueued, and when no more than `RUNS_AHEAD` are under way. */
  inTurn<T>(f: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(async () => {
      this.requireOpen();
      this.sweep();
      while (this.runs.length >= RUNS_AHEAD) await this.settle(this.runs.shift()!);
      return f();
    });
    this.turn = mine.catch(() => {});
    return mine;
  }

  /** Remembers the events that end a run. */
  watch(events: Pointer[]): void {
    this.runs.push(events);
  }

  private async settle(events: readonly Pointer[]): Promise<void> {
    const outcomes = await Promise.allSettled(events.map((event) => this.client.wait(event)));
    const failed = outcomes.find((o) => o.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** Lets go of arrays that devices have read. */
  private sweep(): void {
    this.uploads = this.uploads.filter(({ done }) => {
      if (!this.client.isReady(done)) return true;
      this.client.finish(done);
      return false;
    });
  }

  private requireOpen(): void {
    if (!this.open) throw new UsageError("xla: the engine was disposed. Open another.");
  }

  /** Waits for what is under way, then frees buffers, programs and the client, in this order. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.open) return;
    await this.turn;
    this.open = false;
    for (const events of this.runs) await this.settle(events).catch(() => {});
    for (const { done } of this.uploads) await this.client.wait(done).catch(() => {});
    this.runs = [];
    this.uploads = [];
    for (const buffer of [...this.buffers]) buffer[Symbol.dispose]();
    for (const program of [...this.programs]) program[Symbol.dispose]();
    await this.client.destroy();
  }
}
