/** A compiled train step and the state that it carries from step to step. */

import type { TypedArray } from "../core/dtype.js";
import { InternalError, UsageError } from "../core/errors.js";
import type { Key } from "../core/random.js";
import { formatType, sizeOfShape, type TensorType } from "../core/shape.js";
import { leaves } from "../core/tree.js";
import type { DeviceBuffer, Engine, Executable } from "../engines/engine.js";
import type { Graph } from "../graph/graph.js";
import { isTensorType } from "../graph/trace.js";
import { initialize, type ParameterSpecs } from "../nn/parameters.js";
import type { LogitValues } from "./held-out.js";
import { batchTypes, type StepOptions, stateTypes, trained, trainStep } from "./step.js";
import type { Strategy } from "./strategies/strategy.js";

/** One batch in host memory; the arrays are only read during `step`. */
export interface HostBatch {
  /** u8[B,S,S,3], or normalized f32[B,3,S,S], as the step was built. */
  readonly images: TypedArray;
  /** As many further views as the strategy needs, each like `images`. */
  readonly views?: readonly TypedArray[] | undefined;
  /** i32[B,T] */
  readonly tokens: Int32Array;
  /** i32[B]: equal numbers are the same image. */
  readonly imageIds: Int32Array;
  /** i32[B]: equal numbers are the same caption. */
  readonly textIds: Int32Array;
  /** What the strategy's pass draws (`Strategy.noise`), by name; plain models draw nothing. */
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
    private options: StepOptions,
    private executable: Executable,
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

  /** Goes on by another strategy with the same state; what was compiled before is freed. */
  async follow(strategy: Strategy): Promise<void> {
    if (strategy === this.options.strategy) return;
    const options = { ...this.options, strategy };
    const executable = await this.engine.compile(trainStep(options), { name: "train step" });
    this.executable[Symbol.dispose]();
    this.executable = executable;
    this.options = options;
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
    types.views.forEach((type, i) => {
      const view = batch.views?.[i];
      if (view === undefined) throw new InternalError(`train step: the batch has no view ${i}`);
      give(`batch.views.${i}`, type, view, true);
    });
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

  /** The engine's buffers of the CLIP's variables, its weights or their average; valid until the next step. */
  variables(weights: "params" | "ema"): Record<string, DeviceBuffer> {
    const { clip } = this.options;
    const group = (name: string) => (clip.statistics[name] === undefined ? weights : "statistics");
    return Object.fromEntries(
      Object.keys(clip.variables).map((name) => [name, this.state[`${group(name)}.${name}`]!]),
    );
  }

  /** What the model with `weights`, buffers of this engine, makes of cosines. */
  async logits(weights: Readonly<Record<string, DeviceBuffer>>): Promise<LogitValues> {
    const read = async (buffer: DeviceBuffer) => Number((await this.engine.download(buffer))[0]);
    const { logit_scale: scale, logit_bias: bias } = weights;
    return { scale: Math.exp(await read(scale!)), bias: bias === undefined ? 0 : await read(bias) };
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
export function initialState(
  options: Pick<StepOptions, "clip" | "strategy">,
  key: Key,
): Record<string, TypedArray> {
  const { parameters, statistics } = trained(options);
  const start = (group: string, specs: ParameterSpecs) =>
    Object.entries(initialize(specs, key)).map(([name, data]) => [`${group}.${name}`, data] as const);
  return Object.fromEntries([...start("params", parameters), ...start("statistics", statistics)]);
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
