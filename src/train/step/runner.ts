/** A compiled train step and the state that it carries from step to step. */

import type { TypedArray } from "../../core/dtype.js";
import { InternalError } from "../../core/errors.js";
import { sizeOfShape, type TensorType } from "../../core/shape.js";
import type {
  CompileOptions,
  DeviceBuffer,
  Engine,
  Executable,
  PlannedMemory,
} from "../../engines/engine.js";
import type { Graph } from "../../graph/graph.js";
import type { Phase } from "../schedule/phases.js";
import { type DeviceRows, rowsOfDevices, spread, weightsOf } from "./device-rows.js";
import { batchTypes, type StepOptions } from "./options.js";
import { RunState } from "./state.js";
import { trainStep } from "./step.js";

/** This process's n rows of a batch in host memory; the arrays are only read during `start`. */
export interface HostBatch {
  /** u8[n,S,S,3], or normalized f32[n,3,S,S], as the step was built. */
  readonly images: TypedArray;
  /** As many further views as the strategy needs, each like `images`. */
  readonly views?: readonly TypedArray[] | undefined;
  /** i32[n,T] */
  readonly tokens: Int32Array;
  /** i32[n], from 0: equal numbers are the same image, in the rows of all processes. */
  readonly imageIds: Int32Array;
  /** i32[n], from 0: equal numbers are the same caption, in the rows of all processes. */
  readonly textIds: Int32Array;
  /** What the strategy's pass draws (`Strategy.noise`), by name; plain models draw nothing. */
  readonly noise?: Readonly<Record<string, TypedArray>> | undefined;
  /** What the strategy's loss has beside what is encoded (`Strategy.extra`), by name: f32[n,width]. */
  readonly extra?: Readonly<Record<string, Float32Array>> | undefined;
}

export interface StepMetrics {
  readonly loss: number;
  /** Length of the whole gradient before clipping. */
  readonly gradientNorm: number;
  /** Factor on the cosines before the step. */
  readonly logitScale: number;
}

/** A step that the engine has taken. */
export interface RunningStep {
  /** Rejects with what it failed with. */
  readonly metrics: Promise<StepMetrics>;
}

/** What a step follows that may change on the way. */
export type StepPhase = Pick<Phase, "clip" | "strategy" | "contextLength">;

/** Runs train steps; parameters and optimizer state stay in the engine's memory. */
export class StepRunner implements Disposable {
  /** The rows that `start` takes. */
  readonly share: DeviceRows;

  private constructor(
    private readonly engine: Engine,
    private options: StepOptions,
    private executable: Executable,
    readonly state: RunState,
    private readonly compile: (options: StepOptions) => Promise<Executable>,
  ) {
    const { batchSize, replicas = 1, firstReplica: first = 0 } = options;
    this.share = rowsOfDevices(batchSize, replicas, { first, devices: engine.capabilities.devices });
  }

  /**
   * Compiles the step. `initial` gives the state by name (`params.NAME`, `statistics.NAME`, `slots.NAME.SLOT`,
   * `ema.NAME`): all parameters and statistics; slots default to zeros and averages to the parameters. `flags` are the
   * compiler's, for the step.
   */
  static async create(
    engine: Engine,
    options: StepOptions,
    initial: Readonly<Record<string, TypedArray>>,
    { flags }: Pick<CompileOptions, "flags"> = {},
  ): Promise<StepRunner> {
    const compile = (step: StepOptions) => engine.compile(trainStep(step), { name: "train step", flags });
    return new StepRunner(
      engine,
      options,
      await compile(options),
      new RunState(engine, options, initial),
      compile,
    );
  }

  /** Goes on by another phase of the run with the same state; what was compiled before is freed. */
  async follow({ clip, strategy, contextLength }: StepPhase): Promise<void> {
    if (strategy === this.options.strategy) return;
    const options = { ...this.options, clip, strategy, contextLength };
    const executable = await this.compile(options);
    this.executable[Symbol.dispose]();
    this.executable = executable;
    this.options = options;
  }

  get graph(): Graph {
    return this.executable.graph;
  }

  /** What the compiler plans for a step, where it makes plans. */
  plannedMemory(): PlannedMemory | undefined {
    return this.executable.plannedMemory();
  }

  /**
   * Starts one step, and returns once the engine has taken it; what it gives may come later, and another step may be
   * started before. `scalars` are the optimizer's of this step, and `emaDecay` where an average is kept.
   */
  async start(batch: HostBatch, scalars: Readonly<Record<string, number>>): Promise<RunningStep> {
    const inputs: Record<string, DeviceBuffer> = { ...this.state.buffers };
    const temporary: DeviceBuffer[] = [];
    const give = (name: string, type: TensorType, data: TypedArray, each = false) => {
      const buffer = this.engine.upload(type, data, { adopt: true, each });
      temporary.push(buffer);
      inputs[name] = buffer;
    };
    const { noise, extra, weights, views, ...types } = batchTypes(this.options);
    const giveRows = (name: string, type: TensorType, data: TypedArray | undefined, fill?: number) => {
      const width = sizeOfShape(type.shape.slice(1));
      const rows = this.share.end - this.share.start;
      if (data?.length !== rows * width) {
        throw new InternalError(
          `train step: ${name} has ${data?.length} numbers, not ${rows} rows of ${width}`,
        );
      }
      give(name, type, spread(data, width, this.share, fill), true);
    };
    giveRows("batch.images", types.images, batch.images);
    views.forEach((type, i) => {
      giveRows(`batch.views.${i}`, type, batch.views?.[i]);
    });
    giveRows("batch.tokens", types.tokens, batch.tokens);
    // Padding has no partner among the rows.
    giveRows("batch.imageIds", types.imageIds, batch.imageIds, -1);
    giveRows("batch.textIds", types.textIds, batch.textIds, -1);
    for (const [name, type] of Object.entries(noise))
      giveRows(`batch.noise.${name}`, type, batch.noise?.[name]);
    for (const [name, type] of Object.entries(extra))
      giveRows(`batch.extra.${name}`, type, batch.extra?.[name]);
    if (weights !== undefined) give("batch.weights", weights, weightsOf(this.share), true);
    for (const [name, value] of Object.entries(scalars)) {
      give(`scalars.${name}`, { dtype: "f32", shape: [] }, Float32Array.of(value));
    }
    const outputs = await this.executable.run(inputs);
    for (const buffer of temporary) buffer[Symbol.dispose]();
    this.state.advance(outputs);
    const metrics = this.read(outputs);
    // Whoever waits for it is told; until somebody does, a failure is not unhandled.
    metrics.catch(() => {});
    return { metrics };
  }

  /** One step from beginning to end. */
  async step(batch: HostBatch, scalars: Readonly<Record<string, number>>): Promise<StepMetrics> {
    const { metrics } = await this.start(batch, scalars);
    return metrics;
  }

  private async read(outputs: Readonly<Record<string, DeviceBuffer>>): Promise<StepMetrics> {
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
