/** What a run carries from step to step, in the engine's memory. */

import type { TypedArray } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import type { Key } from "../../core/random.js";
import { formatType, sizeOfShape, type TensorType } from "../../core/shape.js";
import { leaves } from "../../core/tree.js";
import type { DeviceBuffer, Engine } from "../../engines/engine.js";
import { isTensorType } from "../../graph/trace.js";
import { initialize, type ParameterSpecs } from "../../nn/parameters.js";
import type { LogitValues } from "../strategies/loss.js";
import { type StepOptions, stateTypes, variablesOf } from "./options.js";

/** Parameters, statistics, optimizer slots and averages of a run, as buffers by name (`stateTypes`). */
export class RunState implements Disposable {
  readonly types: ReadonlyMap<string, TensorType>;
  private held: Record<string, DeviceBuffer> = {};

  /**
   * @param initial the state by name: all parameters and statistics; slots default to zeros and averages to the
   *   parameters. Throws `UsageError` for what is missing or of another size.
   */
  constructor(
    private readonly engine: Engine,
    private readonly options: StepOptions,
    initial: Readonly<Record<string, TypedArray>>,
  ) {
    this.types = new Map(leaves(stateTypes(options), isTensorType).map(({ path, value }) => [path, value]));
    for (const [name, type] of this.types)
      this.held[name] = engine.upload(type, startOf(name, type, initial), { adopt: true });
  }

  /** The buffers by name; valid until they are given to a program that takes their memory. */
  get buffers(): Readonly<Record<string, DeviceBuffer>> {
    return this.held;
  }

  /** Takes the outputs `next.NAME` of a program for the state NAME; what it does not give stays. */
  advance(outputs: Readonly<Record<string, DeviceBuffer>>): void {
    const next: Record<string, DeviceBuffer> = {};
    for (const name of this.types.keys()) next[name] = outputs[`next.${name}`] ?? this.held[name]!;
    this.held = next;
  }

  /** The engine's buffers of the CLIP's variables, its weights or their average; valid until the next step. */
  variables(weights: "params" | "ema"): Record<string, DeviceBuffer> {
    const { clip } = this.options;
    // What is locked has no average but itself.
    const group = (name: string) =>
      clip.statistics[name] !== undefined
        ? "statistics"
        : this.types.has(`${weights}.${name}`)
          ? weights
          : "params";
    return Object.fromEntries(
      Object.keys(clip.variables).map((name) => [name, this.held[`${group(name)}.${name}`]!]),
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
      out.set(name, { type, data: await this.engine.download(this.held[name]!) });
    }
    return out;
  }

  [Symbol.dispose](): void {
    for (const buffer of Object.values(this.held)) buffer[Symbol.dispose]();
  }
}

/**
 * The state before the first step, by name: parameters and statistics.
 * @param values values that some of the model's start from, by name; the others are drawn.
 */
export function initialState(
  options: Pick<StepOptions, "clip" | "strategy">,
  key: Key,
  values: Readonly<Record<string, TypedArray>> = {},
): Record<string, TypedArray> {
  const { parameters, statistics } = variablesOf(options);
  const start = (group: string, specs: ParameterSpecs) =>
    Object.entries(initialize(specs, key)).map(
      ([name, data]) => [`${group}.${name}`, values[name] ?? data] as const,
    );
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
  const value = initial[name] ?? fallback ?? (name.startsWith("slots.") ? new Float32Array(size) : undefined);
  if (value === undefined || value.length !== size) {
    throw new UsageError(
      `train step: the state needs ${name} as ${formatType(type)}; got ${value === undefined ? "nothing" : `${value.length} numbers`}.`,
    );
  }
  return value;
}
