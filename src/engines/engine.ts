/** What runs graphs. An engine compiles a graph once and runs it many times on buffers that it owns. */

import type { DType, TypedArray } from "../core/dtype.js";
import type { TensorType } from "../core/shape.js";
import type { Graph } from "../graph/graph.js";

export interface Capabilities {
  /** Dtypes that matrix products can have. */
  readonly computeDtypes: readonly DType[];
  /** Whether an output can take an input's memory. */
  readonly donation: boolean;
  readonly devices: number;
}

/** A tensor in an engine's memory. */
export interface DeviceBuffer extends Disposable {
  readonly type: TensorType;
  /** True once its memory went to an output or was freed: it can no longer be read. */
  readonly spent: boolean;
}

export interface Executable extends Disposable {
  /** As compiled: optimized for the engine. */
  readonly graph: Graph;
  /**
   * Runs the graph. Buffers of donated inputs are spent; outputs are new handles, on the same memory where
   * donated. Throws `UsageError` when a buffer is missing, spent or of another type.
   */
  run(inputs: Readonly<Record<string, DeviceBuffer>>): Promise<Record<string, DeviceBuffer>>;
}

export interface CompileOptions {
  /** For messages and profiles. Default "graph". */
  readonly name?: string;
}

export interface Engine extends AsyncDisposable {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Throws `Unsupported` with the operation and where it was written. */
  compile(graph: Graph, options?: CompileOptions): Promise<Executable>;
  /** A buffer with a copy of `data`, or, with `adopt`, on `data` itself where the engine can. */
  upload(type: TensorType, data: TypedArray, options?: { readonly adopt?: boolean }): DeviceBuffer;
  /** The numbers of a buffer. The array may be the buffer's own memory: read it before the buffer is spent. */
  download(buffer: DeviceBuffer): Promise<TypedArray>;
  /** Buffers alive and their bytes. */
  stats(): { readonly buffers: number; readonly bytes: number };
}
