/**
 * OpenVINO's CPU plugin as an engine, through the C API of its wheel. A graph becomes one compiled model with one
 * request. Buffers are plain memory of this process: inputs are read where they lie, outputs are written into memory
 * given beforehand. Runs happen on OpenVINO's own threads, one at a time; this thread stays free.
 */

import { writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { allocate, type DType, sizeOf, type TypedArray } from "../../core/dtype.js";
import { InternalError, UsageError } from "../../core/errors.js";
import { prune } from "../../core/prune.js";
import { formatType, sameType, sizeOfShape, type TensorType } from "../../core/shape.js";
import { openVinoDialect } from "../../graph/emit/dialect.js";
import { emitOnnx } from "../../graph/emit/onnx.js";
import type { Graph } from "../../graph/graph.js";
import { optimize } from "../../graph/passes.js";
import { requireCapabilities } from "../capabilities.js";
import type {
  Capabilities,
  CompileOptions,
  CompilerFlags,
  DeviceBuffer,
  Engine,
  Executable,
} from "../engine.js";
import { addressOf, type Pointer, PROGRAMS_LIMIT_BYTES, returnFreedMemory } from "../native.js";
import { processor } from "../processor.js";
import { elementType, type KernelTime, OpenVinoLibrary, type Properties } from "./library.js";
import { asWritten, passedOn, scalar } from "./written.js";

export interface OpenVinoOptions {
  /** Path of `libopenvino_c` among the wheel's libraries. */
  readonly library: string;
  /** Threads that compute. Default: the physical cores, as OpenVINO counts them. */
  readonly threads?: number | undefined;
  /** Folder for compiled programs. Default: none are kept. */
  readonly cache?: string | undefined;
  /** Properties by OpenVINO's names for every compilation, e.g. `ENABLE_CPU_PINNING: "YES"`. */
  readonly properties?: CompilerFlags | undefined;
  /** Whether its products of bf16 are to be trusted here. Default true. */
  readonly bf16?: boolean | undefined;
  /** Writes what each kernel took in the mean of the runs after the first to `PREFIX_<name>.json` when a graph is disposed. */
  readonly profile?: string | undefined;
}

class HostBuffer implements DeviceBuffer {
  private alive = true;

  constructor(
    readonly type: TensorType,
    readonly data: TypedArray,
    private readonly owner: OpenVino,
    /** The run that fills it. */
    readonly filled: Promise<void> = Promise.resolve(),
  ) {
    owner.track(this, 1);
  }

  get spent(): boolean {
    return !this.alive;
  }
  get bytes(): number {
    return this.data.length * sizeOf(this.type.dtype);
  }
  belongsTo(engine: OpenVino): boolean {
    return this.owner === engine;
  }

  /** Throws a `UsageError` when its memory is gone. */
  requireAlive(name: string): void {
    if (this.alive) return;
    throw new UsageError(
      `openvino: the buffer given as ${name} was donated or freed before. Use the run's output.`,
    );
  }

  [Symbol.dispose](): void {
    if (!this.alive) return;
    this.alive = false;
    this.owner.track(this, -1);
  }
}

/** Inputs of fewer bytes are not worth the call. */
const WORTH_RELEASING_BYTES = 2 ** 26;

/** Where an output of a run goes. */
interface Target {
  readonly name: string;
  readonly type: TensorType;
  /** Its place among the compiled model's outputs; undefined for an input that is passed on. */
  readonly index: number | undefined;
  /** The input that it is, where it is passed on. */
  readonly passes: string | undefined;
  readonly donates: string | undefined;
}

class Program implements Executable {
  private alive = true;
  private runs = 0;
  /** Where a profile is wanted: the first run's, which has to set things up. */
  private firstTimes: readonly KernelTime[] | undefined;
  private readonly targets: readonly Target[];
  /** Memory of donated inputs, which the next run's outputs of the same name are written to. */
  private readonly spare = new Map<string, TypedArray>();
  /** What the request was told last, so that it need not be told again. */
  private readonly told = { input: new Map<number, TypedArray>(), output: new Map<number, TypedArray>() };

  constructor(
    readonly graph: Graph,
    /** The graph as the compiled model has it. */
    private readonly written: Graph,
    /** Outputs that are written over the inputs whose memory they take. */
    private readonly inPlace: ReadonlySet<string>,
    private readonly name: string,
    private readonly model: Pointer,
    private readonly request: Pointer | undefined,
    private readonly owner: OpenVino,
    private readonly profile: string | undefined,
  ) {
    const indices = new Map(written.outputs.map((output, i) => [output.name, i]));
    this.targets = graph.outputs.map(({ name: output, tensor, donates }) => {
      const passes = passedOn(graph, tensor.node.id);
      const type = { dtype: tensor.dtype, shape: tensor.shape };
      return { name: output, type, index: indices.get(output), passes, donates };
    });
  }

  /** OpenVINO's compiler tells no plan. */
  plannedMemory(): undefined {}

  run(inputs: Readonly<Record<string, DeviceBuffer>>): Promise<Record<string, DeviceBuffer>> {
    return this.owner.inTurn(async () => {
      if (!this.alive) throw new UsageError("openvino: the program was disposed. Compile the graph again.");
      const held = this.collect(inputs);
      const outputs = this.targets.map((target) => ({ ...target, data: this.memoryFor(target, held) }));
      let done = Promise.resolve();
      if (this.request !== undefined) {
        this.written.inputs.forEach(({ name, tensor }, i) => {
          this.tell("input", i, tensor, (held.get(name) ?? this.owner.one).data);
        });
        for (const { index, data } of outputs) {
          if (index !== undefined) this.tell("output", index, this.written.outputs[index]!.tensor, data);
        }
        done = this.owner.start(this.request, this.name, [held, outputs], () => this.noteFirst());
        if (this.runs++ === 0) void this.releaseInputs(done);
      }
      const results: Record<string, DeviceBuffer> = {};
      for (const { name, type, data, donates } of outputs) {
        const source = donates === undefined ? undefined : held.get(donates);
        if (source !== undefined && source.data !== data) this.spare.set(name, source.data);
        source?.[Symbol.dispose]();
        results[name] = new HostBuffer(type, data, this.owner, done);
      }
      return results;
    });
  }

  /**
   * A compiled model has memory of its own for every input, filled with zeros, and frees it when its first run takes
   * ours. Given back to the system at once, it is there for what the run computes.
   */
  private async releaseInputs(done: Promise<void>): Promise<void> {
    const sizes = this.graph.inputs.map(({ tensor }) => sizeOfShape(tensor.shape) * sizeOf(tensor.dtype));
    if (sizes.reduce((n, size) => n + size, 0) < WORTH_RELEASING_BYTES) return;
    const ended = done.then(
      () => true,
      () => true,
    );
    for (let waitMs = 10, over = false; !over; waitMs *= 4) {
      over = await Promise.race([ended, delay(waitMs, false, { ref: false })]);
      await returnFreedMemory();
    }
  }

  private collect(inputs: Readonly<Record<string, DeviceBuffer>>): Map<string, HostBuffer> {
    const held = new Map<string, HostBuffer>();
    for (const { name, tensor } of this.graph.inputs) {
      const buffer = inputs[name];
      if (
        !(buffer instanceof HostBuffer) ||
        !buffer.belongsTo(this.owner) ||
        !sameType(buffer.type, tensor)
      ) {
        throw new UsageError(
          `openvino: input ${name} must be a buffer of this engine of type ${formatType(tensor)}; got ` +
            `${buffer === undefined ? "none" : formatType(buffer.type)}.`,
        );
      }
      buffer.requireAlive(name);
      held.set(name, buffer);
    }
    return held;
  }

  private memoryFor(
    { name, type, passes, donates }: Target,
    held: ReadonlyMap<string, HostBuffer>,
  ): TypedArray {
    if (passes !== undefined) {
      const source = held.get(passes)!.data;
      return passes === donates ? source : copyOf(type, source);
    }
    if (this.inPlace.has(name)) return held.get(donates!)!.data;
    const spare = this.spare.get(name);
    this.spare.delete(name);
    return spare ?? allocate(type.dtype, sizeOfShape(type.shape));
  }

  private noteFirst(): void {
    if (this.profile !== undefined && this.runs === 1)
      this.firstTimes = this.owner.library.profile(this.request!);
  }

  /** What each kernel took in the mean of the runs after the first; of one run alone where there was only that. */
  private kernelTimes(): KernelTime[] {
    // OpenVINO gives means of all runs.
    const means = this.owner.library.profile(this.request!);
    const [n, first] = [this.runs, this.firstTimes];
    if (n < 2 || first === undefined) return means;
    return means.map((mean, i) => ({
      ...mean,
      microseconds: (n * mean.microseconds - first[i]!.microseconds) / (n - 1),
    }));
  }

  /** Gives the request memory for an input or output of the compiled model, of the type that it has there. */
  private tell(side: "input" | "output", index: number, type: TensorType, data: TypedArray): void {
    if (this.told[side].get(index) === data) return;
    const tensor = this.owner.describe(type, data);
    this.owner.library.setTensor(this.request!, side, index, tensor);
    this.owner.library.free("tensor", tensor);
    this.told[side].set(index, data);
  }

  [Symbol.dispose](): void {
    if (!this.alive) return;
    this.alive = false;
    this.owner.afterRuns(() => {
      const { library } = this.owner;
      if (this.request !== undefined) {
        if (this.profile !== undefined) {
          writeFileSync(`${this.profile}_${this.name}.json`, JSON.stringify(this.kernelTimes()));
        }
        library.free("infer_request", this.request);
        library.free("compiled_model", this.model);
      }
      this.owner.forget(this);
    });
  }
}

const textOf = (flags: CompilerFlags): Properties =>
  Object.fromEntries(Object.entries(flags).map(([key, value]) => [key, String(value)]));

/** Stands for the memory of tensors without elements. */
const NOTHING = new BigInt64Array(1);

/** OpenVINO's own, of what it keeps in `CACHE_DIR`. */
const KEPT_SUFFIX = ".blob";

/** The compiler's error as the caller's where it is about a property. */
function explained(error: Error): Error {
  const [, name] = /(?:Unsupported property|property(?: key)?) ([A-Z][A-Z_]+)/.exec(error.message) ?? [];
  return name === undefined
    ? error
    : new UsageError(
        `openvino: flags must be properties of its CPU plugin with values of their kind; got ${name}: ${error.message}. ` +
          "Correct it or leave it out.",
      );
}

function copyOf(type: TensorType, data: TypedArray): TypedArray {
  const copy = allocate(type.dtype, data.length);
  copy.set(data as never);
  return copy;
}

/** OpenVINO on the CPU. Made by `OpenVino.open`. */
export class OpenVino implements Engine {
  readonly name = "openvino";
  readonly capabilities: Capabilities;
  private readonly programs = new Set<Program>();
  private readonly compiling = new Set<Promise<Executable>>();
  private buffers = 0;
  private bytes = 0;
  /** The input `ONE` of programs. */
  readonly one: HostBuffer;
  private turn: Promise<unknown> = Promise.resolve();
  /** The run under way, with the memory that it reads and writes. */
  private running: { readonly done: Promise<void>; readonly kept: unknown } | undefined;
  private open = true;

  private constructor(
    readonly library: OpenVinoLibrary,
    private readonly core: Pointer,
    private readonly options: OpenVinoOptions,
  ) {
    const { bf16 = true } = options;
    this.capabilities = {
      dtypes: Object.keys(elementType) as DType[],
      computeDtypes: bf16 ? ["f32", "bf16"] : ["f32"],
      bf16Results: bf16 ? ["bf16"] : [],
      // Without instructions for it, bf16 is computed in f32 after all.
      preferredPrecision: bf16 && processor().bf16 ? "bf16-results" : "f32",
      device: { platform: "cpu", name: processor().name },
      donation: true,
      devices: 1,
      replicas: 1,
    };
    this.one = new HostBuffer(scalar, Float32Array.of(1), this);
    this.track(this.one, -1);
  }

  /** Loads the library. Throws `UsageError` when it cannot. */
  static async open(options: OpenVinoOptions): Promise<OpenVino> {
    const { threads } = options;
    if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
      throw new UsageError(`openvino: threads must be an integer of at least 1; got threads=${threads}.`);
    }
    const library = OpenVinoLibrary.load(options.library);
    return new OpenVino(library, library.createCore(), options);
  }

  async compile(graph: Graph, options: CompileOptions = {}): Promise<Executable> {
    this.requireOpen();
    const compiling = this.build(graph, options);
    this.compiling.add(compiling);
    try {
      return await compiling;
    } finally {
      this.compiling.delete(compiling);
    }
  }

  private async build(graph: Graph, { name = "graph", flags = {} }: CompileOptions): Promise<Executable> {
    const optimized = optimize(graph, "onnx");
    requireCapabilities(this.name, this.capabilities, optimized);
    const { threads, cache, properties, profile } = this.options;
    const { written, inPlace } = asWritten(optimized);
    let model = 0n;
    let request: Pointer | undefined;
    if (written.outputs.length > 0) {
      const { program, inputs, outputs } = await this.library
        .compile(
          this.core,
          emitOnnx(written, openVinoDialect),
          {
            // The graph says what is rounded.
            INFERENCE_PRECISION_HINT: "f32",
            PERFORMANCE_HINT: "LATENCY",
            NUM_STREAMS: "1",
            // Threads may move: the cores are shared with those that decode images.
            ENABLE_CPU_PINNING: "NO",
            ...(threads === undefined ? {} : { INFERENCE_NUM_THREADS: `${threads}` }),
            ...(cache === undefined ? {} : { CACHE_DIR: cache }),
            ...(profile === undefined ? {} : { PERF_COUNT: "YES" }),
            ...textOf({ ...properties, ...flags }),
          },
          name,
        )
        .catch((error) => {
          throw explained(error);
        });
      if (cache !== undefined) prune(cache, PROGRAMS_LIMIT_BYTES, { suffix: KEPT_SUFFIX });
      model = program;
      if (inputs !== written.inputs.length || outputs !== written.outputs.length) {
        this.library.free("compiled_model", program);
        throw new InternalError(
          `openvino: ${name} has ${inputs} inputs and ${outputs} outputs; ` +
            `expected ${written.inputs.length} and ${written.outputs.length}`,
        );
      }
      request = this.library.createRequest(program);
    }
    const made = new Program(optimized, written, inPlace, name, model, request, this, profile);
    this.programs.add(made);
    return made;
  }

  upload(type: TensorType, data: TypedArray, { adopt = false } = {}): DeviceBuffer {
    this.requireOpen();
    const kind = allocate(type.dtype, 0).constructor as new () => TypedArray;
    const count = sizeOfShape(type.shape);
    if (data.length !== count || !(data instanceof kind)) {
      throw new UsageError(
        `openvino: needs ${count} elements in a ${kind.name} for ${formatType(type)}; ` +
          `got ${data.length} in a ${data.constructor.name}.`,
      );
    }
    // Shared memory may change while a run reads it.
    const own = adopt && !(data.buffer instanceof SharedArrayBuffer) ? data : copyOf(type, data);
    return new HostBuffer({ dtype: type.dtype, shape: type.shape }, own, this);
  }

  async download(buffer: DeviceBuffer): Promise<TypedArray> {
    if (!(buffer instanceof HostBuffer) || !buffer.belongsTo(this)) {
      throw new UsageError("openvino: the buffer belongs to another engine.");
    }
    buffer.requireAlive("download");
    await buffer.filled;
    return buffer.data;
  }

  /** Its memory is this process's, which has other uses as well. */
  peakMemory(): undefined {}

  stats(): { buffers: number; bytes: number } {
    return { buffers: this.buffers, bytes: this.bytes };
  }

  /** Counts a buffer made (+1) or gone (-1). */
  track(buffer: HostBuffer, sign: 1 | -1): void {
    this.buffers += sign;
    this.bytes += sign * buffer.bytes;
  }

  /** OpenVINO's description of memory. */
  describe(type: TensorType, data: TypedArray): Pointer {
    // Asked for its buffer, a small array moves off V8's heap, and stays where it is.
    void data.buffer;
    return this.library.tensor(
      type.dtype,
      type.shape,
      data.length === 0 ? addressOf(NOTHING) : addressOf(data),
    );
  }

  /** Does `f` when the runs before it have ended. */
  inTurn<T>(f: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(async () => {
      this.requireOpen();
      await this.settle();
      return f();
    });
    this.turn = mine.catch(() => {});
    return mine;
  }

  /** Starts a run on `kept`, which stays in memory until its end; then does `ended`. */
  start(request: Pointer, name: string, kept: unknown, ended: () => void): Promise<void> {
    const done = this.library.run(request, name).then(ended);
    this.running = { done, kept };
    // Whoever waits for it is told; until somebody does, a failure is not unhandled.
    done.catch(() => {});
    return done;
  }

  /** Does `f` once nothing runs. */
  afterRuns(f: () => void): void {
    this.turn = this.turn.then(() => this.settle().catch(() => {})).then(f);
  }

  forget(program: Program): void {
    this.programs.delete(program);
  }

  private async settle(): Promise<void> {
    const { running } = this;
    this.running = undefined;
    await running?.done;
  }

  private requireOpen(): void {
    if (!this.open) throw new UsageError("openvino: the engine was disposed. Open another.");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.open) return;
    this.open = false;
    await Promise.allSettled(this.compiling);
    for (const program of [...this.programs]) program[Symbol.dispose]();
    await this.turn;
    await this.settle().catch(() => {});
    this.library.free("core", this.core);
  }
}
