/**
 * ONNX Runtime (npm onnxruntime-node) as an engine: the embedded default, on any CPU. A graph becomes one
 * session. Buffers are plain memory of this process: inputs are read where they lie, outputs are written into
 * memory given beforehand, and a donated input's memory takes its output in place.
 */

import { cpus } from "node:os";
import type ort from "onnxruntime-node";
import { allocate, type DType, sizeOf, type TypedArray } from "../core/dtype.js";
import { InternalError, UsageError } from "../core/errors.js";
import { formatType, sameType, sizeOfShape, type TensorType } from "../core/shape.js";
import { onnxRuntimeDialect } from "../graph/emit/dialect.js";
import { emitOnnx } from "../graph/emit/onnx.js";
import type { Graph } from "../graph/graph.js";
import { optimize } from "../graph/passes.js";
import { requireCapabilities } from "./capabilities.js";
import { channelBlock } from "./channel-block.js";
import { deviceFailed, outOfMemory } from "./device-trouble.js";
import { overwritable } from "./donation.js";
import type { Capabilities, CompileOptions, DeviceBuffer, Engine, Executable } from "./engine.js";
import { onnxRuntime } from "./onnxruntime-package.js";

export interface OnnxRuntimeOptions {
  /** Threads within an operation. Default: the number of physical cores, as ONNX Runtime counts them. */
  readonly threads?: number | undefined;
  /** Writes a profile (JSON, chrome://tracing) to `PREFIX_<date>.json` when a graph is disposed. */
  readonly profile?: string | undefined;
}

const elementType: Partial<Record<DType, ort.Tensor.Type>> = {
  f32: "float32",
  f16: "float16",
  i32: "int32",
  i64: "int64",
  u8: "uint8",
  bool: "bool",
};

class HostBuffer implements DeviceBuffer {
  private tensor: ort.Tensor | undefined;

  constructor(
    readonly type: TensorType,
    readonly data: TypedArray,
    private readonly owner: OnnxRuntime,
  ) {
    const name = elementType[type.dtype];
    if (name === undefined) {
      throw new UsageError(`onnxruntime: has no ${type.dtype} on the CPU; got ${formatType(type)}. Use f32.`);
    }
    if (data.length !== sizeOfShape(type.shape)) {
      throw new UsageError(
        `onnxruntime: needs ${sizeOfShape(type.shape)} elements for ${formatType(type)}; got ${data.length}.`,
      );
    }
    this.tensor = new (onnxRuntime().Tensor)(name, data as Float32Array, type.shape as number[]);
    owner.track(this, 1);
  }

  get spent(): boolean {
    return this.tensor === undefined;
  }
  get bytes(): number {
    return this.data.length * sizeOf(this.type.dtype);
  }

  /** The tensor, or a `UsageError` when its memory is gone. */
  use(name: string): ort.Tensor {
    if (this.tensor === undefined) {
      throw new UsageError(
        `onnxruntime: the buffer given as ${name} was donated or freed before. Use the run's output.`,
      );
    }
    return this.tensor;
  }

  [Symbol.dispose](): void {
    if (this.tensor === undefined) return;
    this.tensor = undefined;
    this.owner.track(this, -1);
  }
}

class Session implements Executable {
  constructor(
    readonly graph: Graph,
    private readonly session: ort.InferenceSession,
    private readonly owner: OnnxRuntime,
    private readonly inPlace: ReadonlySet<string>,
  ) {}

  /** ONNX Runtime allocates as it goes. */
  plannedMemory(): undefined {}

  async run(inputs: Readonly<Record<string, DeviceBuffer>>): Promise<Record<string, DeviceBuffer>> {
    const feeds: Record<string, ort.Tensor> = {};
    const held = new Map<string, HostBuffer>();
    for (const { name, tensor } of this.graph.inputs) {
      const buffer = inputs[name];
      if (!(buffer instanceof HostBuffer) || !sameType(buffer.type, tensor)) {
        throw new UsageError(
          `onnxruntime: input ${name} must be a buffer of type ${formatType(tensor)}; got ` +
            `${buffer === undefined ? "none" : formatType(buffer.type)}.`,
        );
      }
      feeds[name] = buffer.use(name);
      held.set(name, buffer);
    }
    const fetches: Record<string, ort.Tensor> = {};
    const targets = this.graph.outputs.map(({ name, tensor, donates }) => {
      const source = donates === undefined ? undefined : held.get(donates);
      const inPlace = source !== undefined && this.inPlace.has(name);
      const data = inPlace ? source.data : allocate(tensor.dtype, sizeOfShape(tensor.shape));
      fetches[name] = new (onnxRuntime().Tensor)(
        elementType[tensor.dtype]!,
        data as Float32Array,
        tensor.shape as number[],
      );
      return { name, type: { dtype: tensor.dtype, shape: tensor.shape }, data, source };
    });
    await this.session.run(feeds, fetches).catch((error: Error) => {
      throw failureOf("a run", error);
    });
    const outputs: Record<string, DeviceBuffer> = {};
    for (const { name, type, data, source } of targets) {
      source?.[Symbol.dispose]();
      outputs[name] = new HostBuffer(type, data, this.owner);
    }
    return outputs;
  }

  [Symbol.dispose](): void {
    void this.session.release();
  }
}

/** How ONNX Runtime says that an allocation failed. */
const NO_MEMORY = /bad_alloc|bad allocation|failed to allocate/i;

const failureOf = (doing: string, { message }: Error): Error =>
  (NO_MEMORY.test(message) ? outOfMemory : deviceFailed)("onnxruntime", doing, message);

/** ONNX Runtime on the CPU. */
export class OnnxRuntime implements Engine {
  readonly name = "onnxruntime";
  readonly capabilities: Capabilities = {
    dtypes: Object.keys(elementType) as DType[],
    computeDtypes: ["f32"],
    bf16Results: [],
    preferredPrecision: "f32",
    device: { platform: "cpu", name: cpus()[0]?.model },
    donation: true,
    devices: 1,
    replicas: 1,
  };
  private buffers = 0;
  private bytes = 0;

  /** Throws `UsageError` where ONNX Runtime's package is missing or an option cannot be. */
  constructor(private readonly options: OnnxRuntimeOptions = {}) {
    onnxRuntime();
    const { threads } = options;
    if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
      throw new UsageError(`onnxruntime: threads must be an integer from 1; got threads=${threads}.`, {
        key: "threads",
      });
    }
  }

  async compile(graph: Graph, { name = "graph", flags = {} }: CompileOptions = {}): Promise<Executable> {
    const [flag] = Object.keys(flags);
    if (flag !== undefined) {
      throw new UsageError(
        `onnxruntime: has no compiler flags; got ${flag}. Leave it out, or use --engine xla.`,
      );
    }
    const optimized = optimize(graph, "onnx");
    requireCapabilities(this.name, this.capabilities, optimized);
    const model = emitOnnx(optimized, onnxRuntimeDialect(await channelBlock()));
    const { threads, profile } = this.options;
    const session = await onnxRuntime()
      .InferenceSession.create(model, {
        executionProviders: ["cpu"],
        // The graph comes optimized; what ONNX Runtime would rewrite could undo barriers.
        graphOptimizationLevel: "disabled",
        // One block planned for all intermediates took half as much memory again as allocating them one by one.
        enableMemPattern: false,
        // Threads that wait do not spin: the cores are shared with those that decode images.
        extra: { session: { intra_op: { allow_spinning: "0" } } },
        logSeverityLevel: 3,
        ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
        ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile }),
      })
      .catch((error: Error) => {
        if (NO_MEMORY.test(error.message)) throw failureOf(`compiling ${name}`, error);
        throw new InternalError(`onnxruntime: refused the model of ${name}: ${error.message}`);
      });
    return new Session(optimized, session, this, overwritable(optimized));
  }

  upload(type: TensorType, data: TypedArray, { adopt = false } = {}): DeviceBuffer {
    // The binding cannot read shared memory; a slice of it is shared again.
    const shared = data.buffer instanceof SharedArrayBuffer;
    if (adopt && !shared) return new HostBuffer(type, data, this);
    const copy = allocate(type.dtype, data.length);
    copy.set(data as never);
    return new HostBuffer(type, copy, this);
  }

  async download(buffer: DeviceBuffer): Promise<TypedArray> {
    if (!(buffer instanceof HostBuffer)) {
      throw new UsageError("onnxruntime: the buffer belongs to another engine.");
    }
    buffer.use("download");
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

  /** Holds nothing that must be freed. */
  async [Symbol.asyncDispose](): Promise<void> {}
}
