/** A compiled train step and the state that it carries from step to step. */

import type { TypedArray } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import type { TensorType } from "../core/shape.js";
import type { DeviceBuffer, Engine, Executable } from "../engines/engine.js";
import type { Graph } from "../graph/graph.js";
import { RunState } from "./state.js";
import { batchTypes, type StepOptions, trainStep } from "./step.js";
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
    readonly state: RunState,
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
    return new StepRunner(engine, options, executable, new RunState(engine, options, initial));
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
    const inputs: Record<string, DeviceBuffer> = { ...this.state.buffers };
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
    this.state.advance(outputs);
    const read = async (name: string): Promise<number> => {
      const buffer = outputs[`metrics.${name}`];
      if (buffer === undefined) throw new InternalError(`train step: gives no ${name}`);
      const [value] = await this.engine.download(buffer);
      buffer[Symbol.dispose]();
      return Number(value);
    };
    return {
      loss: await read("loss"),
      gradientNorm: await read("gradientNorm"),
      logitScale: await read("logitScale"),
    };
  }

  [Symbol.dispose](): void {
    this.state[Symbol.dispose]();
    this.executable[Symbol.dispose]();
  }
}
