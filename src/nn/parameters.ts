/**
 * Parameters as data: what a layer needs, how it starts, and where it finds its tensors. All parameters of a
 * model form one flat map by name (open_clip's state-dict names), which is also a tree that `trace` takes.
 */

import { InternalError } from "../core/errors.js";
import { foldIn, type Key, Random } from "../core/random.js";
import { formatType, type Shape, sameShape, sizeOfShape, type TensorType } from "../core/shape.js";
import type { Tensor } from "../graph/tensor.js";

/** How a parameter starts. */
export type Init =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "normal"; readonly std: number }
  /** Normal, drawn again beyond two standard deviations, then scaled so that the deviation is `std`. */
  | { readonly kind: "truncated"; readonly std: number }
  /** Uniform in [-bound, bound). */
  | { readonly kind: "uniform"; readonly bound: number };

export interface ParameterSpec {
  readonly shape: Shape;
  readonly init: Init;
}

export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;

export const zeros: Init = { kind: "constant", value: 0 };
export const ones: Init = { kind: "constant", value: 1 };
export const normalInit = (std: number): Init => ({ kind: "normal", std });
export const truncatedNormalInit = (std: number): Init => ({ kind: "truncated", std });
export const uniformInit = (bound: number): Init => ({ kind: "uniform", bound });

export const spec = (shape: Shape, init: Init): ParameterSpec => ({ shape, init });

/** `specs` with every name under `prefix`: `weight` in `ln_1` is `ln_1.weight`. */
export const prefixed = <T>(prefix: string, specs: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(specs).map(([name, s]) => [`${prefix}.${name}`, s]));

/** Elements in all parameters. */
export const countParameters = (specs: ParameterSpecs): number =>
  Object.values(specs).reduce((n, { shape }) => n + sizeOfShape(shape), 0);

/** Types of all parameters, for `trace`. Parameters are f32. */
export const parameterTypes = (specs: ParameterSpecs): Record<string, TensorType> =>
  Object.fromEntries(Object.entries(specs).map(([name, { shape }]) => [name, { dtype: "f32", shape }]));

/** Standard deviation of a normal number cut off at ±2: √(1 − 4 φ(2) / (2 Φ(2) − 1)). */
const TRUNCATED_STD = 0.8796256610342398;

function truncated(random: Random): number {
  for (;;) {
    const value = random.normal();
    if (Math.abs(value) <= 2) return value;
  }
}

/**
 * Starting values. Each parameter draws from a key of its own name, so that adding one changes no other.
 */
export function initialize(specs: ParameterSpecs, key: Key): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape, init }]) => {
      const data = new Float32Array(sizeOfShape(shape));
      const random = new Random(foldIn(key, "init", name));
      if (init.kind === "constant") data.fill(init.value);
      else if (init.kind === "normal")
        for (let i = 0; i < data.length; i++) data[i] = random.normal() * init.std;
      else if (init.kind === "truncated")
        for (let i = 0; i < data.length; i++) data[i] = (truncated(random) * init.std) / TRUNCATED_STD;
      else for (let i = 0; i < data.length; i++) data[i] = (2 * random.uniform() - 1) * init.bound;
      return [name, data];
    }),
  );
}

/** What a forward pass in training has beside parameters and statistics. */
export interface Training {
  /** By the names that the model declares. */
  readonly noise: Readonly<Record<string, Tensor>>;
  /** Copies of the program that share the batch. */
  readonly replicas: number;
  /** Running statistics after the pass, by name: layers that keep some write them here. */
  readonly statistics: Record<string, Tensor>;
  /** Whether all that lies under a name, `visual.layer1.0.`, is frozen: it then computes as in evaluation. */
  readonly frozen?: ((under: string) => boolean) | undefined;
}

/** The parameters and statistics below one name. */
export class Scope {
  constructor(
    private readonly all: Readonly<Record<string, Tensor>>,
    /** Undefined in evaluation, and where all is frozen. */
    readonly training?: Training,
    private readonly prefix = "",
  ) {}

  in(name: string): Scope {
    const prefix = `${this.prefix}${name}.`;
    const frozen = this.training?.frozen?.(prefix) === true;
    return new Scope(this.all, frozen ? undefined : this.training, prefix);
  }

  get(name: string, shape?: Shape): Tensor {
    const tensor = this.find(this.all, name);
    if (shape !== undefined && !sameShape(shape, tensor.shape)) {
      throw new InternalError(
        `parameters: ${this.prefix}${name} is ${formatType(tensor)}, wanted [${shape}]`,
      );
    }
    return tensor;
  }

  /** Noise that the model declares under this name; only in training. */
  noise(name: string): Tensor {
    return this.find(this.training?.noise ?? {}, name);
  }

  /** Sets what the running statistic `name` is after this pass. */
  update(name: string, value: Tensor): void {
    if (this.training !== undefined) this.training.statistics[`${this.prefix}${name}`] = value;
  }

  private find(tensors: Readonly<Record<string, Tensor>>, name: string): Tensor {
    const tensor = tensors[`${this.prefix}${name}`];
    if (tensor === undefined) throw new InternalError(`parameters: ${this.prefix}${name} was not declared`);
    return tensor;
  }
}
