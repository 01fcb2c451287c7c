/** What runs graphs. An engine compiles a graph once and runs it many times on buffers that it owns. */

import type { DType, TypedArray } from "../core/dtype.js";
import type { TensorType } from "../core/shape.js";
import type { Graph } from "../graph/graph.js";
import type { DeviceKind } from "../graph/op.js";

export interface Capabilities {
  /** Dtypes that buffers can have. */
  readonly dtypes: readonly DType[];
  /** Dtypes that the operands of matrix products and convolutions can have. */
  readonly computeDtypes: readonly DType[];
  /** Dtypes that products of bf16 operands can leave behind: f32 where their full sums can be had. */
  readonly bf16Results: readonly DType[];
  /** What `--precision auto` means on it: the fastest format that keeps a run's quality. */
  readonly preferredPrecision: "f32" | "bf16" | "bf16-results";
  /** What its programs run on, for lowerings to kernels that only some devices have. */
  readonly device: DeviceKind;
  /** Whether an output can take an input's memory. */
  readonly donation: boolean;
  /** Devices of this process that a program runs on at once. */
  readonly devices: number;
  /** Copies of a program that run together, one a device, over all processes. */
  readonly replicas: number;
}

/** A tensor in an engine's memory: one on each device, of one type, with the same numbers or with different ones. */
export interface DeviceBuffer extends Disposable {
  readonly type: TensorType;
  /** True once its memory went to an output or was freed: it can no longer be read. */
  readonly spent: boolean;
}

export interface Executable extends Disposable {
  /** As compiled: optimized for the engine. */
  readonly graph: Graph;
  /** Undefined where the engine's compiler makes no plan. */
  plannedMemory(): PlannedMemory | undefined;
  /**
   * Runs the graph. Buffers of donated inputs are spent; outputs are new handles, on the same memory where
   * donated. May return while the device still computes: a later run or `download` waits for it, and throws
   * what it failed with. Inputs must not be disposed before. Throws `UsageError` when a buffer is missing,
   * spent or of another type.
   */
  run(inputs: Readonly<Record<string, DeviceBuffer>>): Promise<Record<string, DeviceBuffer>>;
}

export interface CompileOptions {
  /** For messages and profiles. Default "graph". */
  readonly name?: string;
  /**
   * Options of the engine's compiler for this program alone, by the compiler's own names (XLA's debug options,
   * e.g. `xla_gpu_autotune_level: 2`), over those of the engine. ONNX Runtime has none.
   */
  readonly flags?: CompilerFlags | undefined;
}

export type CompilerFlags = Readonly<Record<string, string | number | boolean>>;

/** Bytes that one run needs on each device, as the compiler plans them. */
export interface PlannedMemory {
  readonly arguments: number;
  readonly outputs: number;
  /** Of the outputs, what lies in arguments' memory. */
  readonly shared: number;
  /** What lives only during the run. */
  readonly temporary: number;
}

export interface Engine extends AsyncDisposable {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Throws `Unsupported` with the operation and where it was written. */
  compile(graph: Graph, options?: CompileOptions): Promise<Executable>;
  /**
   * A buffer with a copy of `data`, or, with `adopt`, on `data` itself where the engine can: it must not change
   * then. Every device gets the same; with `each`, `data` holds one tensor of `type` for every device of this
   * process after each other (the rows of a batch, first device first).
   */
  upload(
    type: TensorType,
    data: TypedArray,
    options?: { readonly adopt?: boolean; readonly each?: boolean },
  ): DeviceBuffer;
  /**
   * The numbers of a buffer on the first device; with `each`, of every device of this process after each other.
   * The array may be the buffer's own memory: read it before the buffer is spent.
   */
  download(buffer: DeviceBuffer, options?: { readonly each?: boolean }): Promise<TypedArray>;
  /** Most bytes that one device has held; undefined where the device keeps no count. */
  peakMemory(): number | undefined;
  /** Buffers alive and their bytes. */
  stats(): { readonly buffers: number; readonly bytes: number };
}
