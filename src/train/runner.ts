/** A compiled train step and the state that it carries from step to step. */

import type { TypedArray } from "../core/dtype.js";
import { InternalError, UsageError } from "../core/errors.js";
import type { Key } from "../core/random.js";
import { formatType, sizeOfShape, type TensorType } from "../core/shape.js";
import { leaves } from "../core/tree.js";
import type { DeviceBuffer, Engine, Executable } from "../engines/engine.js";
import type { Graph } from "../graph/graph.js";
import { isTensorType } from "../graph/trace.js";
import type { Clip } from "../models/clip.js";
import { initialize, type ParameterSpecs } from "../nn/parameters.js";
import { batchTypes, type StepOptions, stateTypes, trainStep } from "./step.js";

/** One batch in host memory; the arrays are only read during `step`. */
export interface HostBatch {
  /** u8[B,S,S,3], or normalized f32[B,3,S,S], as the step was built. */
  readonly images: TypedArray;
  /** i32[B,T] */
  readonly tokens: Int32Array;
  /** i32[B]: equal numbers are the same image. */
  readonly imageIds: Int32Array;
  /** i32[B]: equal numbers are the same caption. */
  readonly textIds: Int32Array;
  /** What the model draws in training, by name; none of the plain models does. */
  readonly noise?: Readonly<Record<string, TypedArray>> | undefined;
}

export interface StepMetrics {
  readonly loss: number;
  /** Length of the whole gradient before clipping. */
  readonly gradientNorm: number;
  /** Factor on the cosines before the step. */
  readonly logitScale: number;
}

/** Runs train steps; parameters and optimizer state stay in the engine's memory. */
export class StepRunner implements Disposable {
  private constructor(
    private readonly engine: Engine,
    private readonly options: StepOptions,
    private readonly executable: Executable,
    private readonly types: ReadonlyMap<string, TensorType>,
    private state: Record<string, DeviceBuffer>,
  ) {}

  /**
   * Compiles the step. `initial` gives the state by name (`params.NAME`, `statistics.NAME`, `slots.NAME.SLOT`,
   * `ema.NAME`): all parameters and statistics; slots default to zeros and averages to the parameters.
   */
  static async create(
    engine: Engine,
    options: StepOptions,
    initial: Readonly<Record<string, TypedArray>>,
  ): Promise<StepRunner> {
    const executable = await engine.compile(trainStep(options), { name: "train step" });
    const types = new Map(leaves(stateTypes(options), isTensorType).map(({ path, value }) => [path, value]));
    const state: Record<string, DeviceBuffer> = {};
    for (const [name, type] of types)
      state[name] = engine.upload(type, startOf(name, type, initial), { adopt: true });
    return new StepRunner(engine, options, executable, types, state);
  }

  get graph(): Graph {
    return this.executable.graph;
  }

  /** One step. `scalars` are the optimizer's of this step, and `emaDecay` where an average is kept. */
  async step(batch: HostBatch, scalars: Readonly<Record<string, number>>): Promise<StepMetrics> {
    const inputs: Record<string, DeviceBuffer> = { ...this.state };
    const temporary: DeviceBuffer[] = [];
    const give = (name: string, type: TensorType, data: TypedArray, each = false) => {
      const buffer = this.engine.upload(type, data, { adopt: true, each });
      temporary.push(buffer);
      inputs[name] = buffer;
    };
    const types = batchTypes(this.options);
    for (const key of ["images", "tokens", "imageIds", "textIds"] as const)
      give(`batch.${key}`, types[key], batch[key], true);
    for (const [name, type] of Object.entries(types.noise)) {
      const data = batch.noise?.[name];
      if (data === undefined) throw new InternalError(`train step: the batch has no noise ${name}`);
      give(`batch.noise.${name}`, type, data, true);
    }
    for (const [name, value] of Object.entries(scalars)) {
      give(`scalars.${name}`, { dtype: "f32", shape: [] }, Float32Array.of(value));
    }
    const outputs = await this.executable.run(inputs);
    for (const buffer of temporary) buffer[Symbol.dispose]();
    const next: Record<string, DeviceBuffer> = {};
    const read = async (name: string): Promise<number> => {
      const buffer = outputs[`metrics.${name}`];
      if (buffer === undefined) throw new InternalError(`train step: gives no ${name}`);
      const [value] = await this.engine.download(buffer);
      buffer[Symbol.dispose]();
      return Number(value);
    };
    for (const name of this.types.keys()) next[name] = outputs[`next.${name}`]!;
    this.state = next;
    return {
      loss: await read("loss"),
      gradientNorm: await read("gradientNorm"),
      logitScale: await read("logitScale"),
    };
  }

  /** The engine's buffers of the model's variables, its weights or their average; valid until the next step. */
  variables(weights: "params" | "ema"): Record<string, DeviceBuffer> {
    return Object.fromEntries(
      Object.entries(this.state).flatMap(([name, buffer]) => {
        const [group, rest] = splitGroup(name);
        return group === weights || group === "statistics" ? [[rest, buffer]] : [];
      }),
    );
  }

  /** The factor on the cosines that `weights`, buffers of this engine, hold. */
  async logitScale(weights: Readonly<Record<string, DeviceBuffer>>): Promise<number> {
    const [logarithm] = await this.engine.download(weights.logit_scale!);
    return Math.exp(Number(logarithm));
  }

  /** The state by name, with its types; arrays may be the engine's own memory: use them before the next step. */
  async snapshot(): Promise<Map<string, { readonly type: TensorType; readonly data: TypedArray }>> {
    const out = new Map<string, { type: TensorType; data: TypedArray }>();
    for (const [name, type] of this.types) {
      out.set(name, { type, data: await this.engine.download(this.state[name]!) });
    }
    return out;
  }

  [Symbol.dispose](): void {
    for (const buffer of Object.values(this.state)) buffer[Symbol.dispose]();
    this.executable[Symbol.dispose]();
  }
}

/** The state before the first step, by name: what `StepRunner.create` takes. */
export function initialState(clip: Clip, key: Key): Record<string, TypedArray> {
  const start = (group: string, specs: ParameterSpecs) =>
    Object.entries(initialize(specs, key)).map(([name, data]) => [`${group}.${name}`, data] as const);
  return Object.fromEntries([...start("params", clip.parameters), ...start("statistics", clip.statistics)]);
}

/** `params.visual.proj` as `params` and `visual.proj`. */
export function splitGroup(name: string): [group: string, rest: string] {
  const dot = name.indexOf(".");
  return [name.slice(0, dot), name.slice(dot + 1)];
}

function startOf(name: string, type: TensorType, initial: Readonly<Record<string, TypedArray>>): TypedArray {
  const size = sizeOfShape(type.shape);
  const fallback = name.startsWith("ema.") ? initial[name.replace("ema.", "params.")]?.slice() : undefined;
  const given = initial[name] ?? fallback ?? (name.startsWith("slots.") ? new Float32Array(size) : undefined);
  if (given === undefined || given.length !== size) {
    throw new UsageError(
      `train step: the state needs ${name} as ${formatType(type)}; got ${given === undefined ? "nothing" : `${given.length} numbers`}.`,
    );
  }
  return given;
}
