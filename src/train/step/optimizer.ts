/**
 * Optimizers: what they keep for every parameter and how a step is written into the graph. Scalars that change
 * from step to step are inputs, worked out in float64 outside.
 */

import type { Shape, TensorType } from "../../core/shape.js";
import { add, div, mean, mul, pow, sqrt, sub } from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";

export type OptimizerName = "adamw" | "adafactor";

export interface OptimizerOptions {
  /** Decay of the first moment. Default 0.9. */
  readonly beta1: number;
  /** Decay of the second moment: AdamW's, or the ceiling of Adafactor's. Default 0.98. */
  readonly beta2: number;
  /** Added to the root of the second moment (AdamW). Default 1e-6. */
  readonly epsilon: number;
  /** Decoupled: a decayed parameter loses learning rate · this share of itself each step. Default 0.2. */
  readonly weightDecay: number;
}

/** State tensors of one parameter, by their names. */
export type Slots = Readonly<Record<string, TensorType>>;

export interface Optimizer {
  readonly name: OptimizerName;
  /** What is kept for a parameter of `shape`; starts as zeros. */
  slots(shape: Shape): Slots;
  /** Scalars of step `step` (counted from 1) at learning rate `lr`. */
  scalars(step: number, lr: number): Readonly<Record<string, number>>;
  /** The parameter and its state after the step. `gradientScale` f32[] multiplies the gradient (clipping). */
  update(context: {
    readonly parameter: Tensor;
    readonly gradient: Tensor;
    readonly gradientScale: Tensor;
    readonly slots: Readonly<Record<string, Tensor>>;
    readonly scalars: Readonly<Record<string, Tensor>>;
    readonly decays: boolean;
    /** This parameter's share of the learning rate. Default 1. */
    readonly rate?: number | undefined;
  }): { parameter: Tensor; slots: Record<string, Tensor> };
}

/**
 * open_clip's and the paper's rule: matrices and tables decay; vectors, scalars, biases and norms do not.
 * The names matter only for tensors of two axes and more.
 */
export const decaysWeight = (name: string, shape: Shape): boolean =>
  shape.length >= 2 && !/bn|ln|bias|logit_scale/.test(name);

const times = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : mul(x, factor));

/** θ (1 − rate · lr · wd) */
const shrunk = (parameter: Tensor, shrink: Tensor, rate: number): Tensor =>
  mul(parameter, sub(1, times(shrink, rate)));

export function makeOptimizer(name: OptimizerName, options: OptimizerOptions): Optimizer {
  return name === "adamw" ? adamw(options) : adafactor(options);
}

/**
 * AdamW (Loshchilov, Hutter 2019), PyTorch's form. With bias corrections c₁ = 1 − β₁ᵗ, c₂ = 1 − β₂ᵗ:
 * θ ← θ (1 − lr·wd) − lr √c₂ / c₁ · m / (√v + ε √c₂).
 */
function adamw({ beta1, beta2, epsilon, weightDecay }: OptimizerOptions): Optimizer {
  return {
    name: "adamw",
    slots: (shape) => ({ m: { dtype: "f32", shape }, v: { dtype: "f32", shape } }),
    scalars(step, lr) {
      const correction1 = 1 - beta1 ** step;
      const correction2 = Math.sqrt(1 - beta2 ** step);
      return {
        stepSize: (lr * correction2) / correction1,
        epsilon: epsilon * correction2,
        shrink: lr * weightDecay,
      };
    },
    update({ parameter, gradient, gradientScale, slots, scalars, decays, rate = 1 }) {
      // g (1 − β₁), and g² (1 − β₂) from it: one scalar less to read for every element.
      const g = mul(gradient, mul(gradientScale, 1 - beta1));
      const m = add(mul(slots.m!, beta1), g);
      const v = add(mul(slots.v!, beta2), mul(mul(g, g), (1 - beta2) / (1 - beta1) ** 2));
      const change = mul(div(m, add(sqrt(v), scalars.epsilon!)), times(scalars.stepSize!, rate));
      const kept = decays && weightDecay !== 0 ? shrunk(parameter, scalars.shrink!, rate) : parameter;
      return { parameter: sub(kept, change), slots: { m, v } };
    },
  };
}

/** A second moment is factored when its two largest axes have at least this size (big_vision). */
const FACTORED_SIZE = 32;
/** Added to squared gradients. */
const ADAFACTOR_EPSILON = 1e-30;

/**
 * Adafactor (Shazeer, Stern 2018) as big_vision's `scale_by_adafactor` has it, which the paper follows: second
 * moments factored into row and column means, β₂(t) = min(beta2, 1 − t^−0.8), a first moment of the scaled
 * gradient, no relative step size, no update clipping. The first moment is kept in f32 (there bf16).
 */
function adafactor({ beta1, beta2, weightDecay }: OptimizerOptions): Optimizer {
  return {
    name: "adafactor",
    slots(shape) {
      const axes = factoredAxes(shape);
      const m: TensorType = { dtype: "f32", shape };
      if (axes === undefined) return { m, v: { dtype: "f32", shape } };
      const without = (axis: number) => shape.map((d, i) => (i === axis ? 1 : d));
      return {
        m,
        rows: { dtype: "f32", shape: without(axes.columns) },
        columns: { dtype: "f32", shape: without(axes.rows) },
      };
    },
    scalars(step, lr) {
      const decay = Math.min(beta2, 1 - step ** -0.8);
      return { decay, fresh: 1 - decay, lr, shrink: lr * weightDecay };
    },
    update({ parameter, gradient, gradientScale, slots, scalars, decays, rate = 1 }) {
      const g = mul(gradient, gradientScale);
      const square = add(mul(g, g), ADAFACTOR_EPSILON);
      const blend = (old: Tensor, now: Tensor) => add(mul(old, scalars.decay!), mul(now, scalars.fresh!));
      const axes = factoredAxes(parameter.shape);
      let scaled: Tensor;
      let moments: Record<string, Tensor>;
      if (axes === undefined) {
        const v = blend(slots.v!, square);
        scaled = div(g, sqrt(v));
        moments = { v };
      } else {
        const rows = blend(slots.rows!, mean(square, axes.columns, true));
        const columns = blend(slots.columns!, mean(square, axes.rows, true));
        const rowFactor = pow(div(rows, mean(rows, axes.rows, true)), -0.5);
        scaled = mul(mul(g, rowFactor), pow(columns, -0.5));
        moments = { rows, columns };
      }
      const m = add(mul(slots.m!, beta1), mul(scaled, 1 - beta1));
      const kept = decays && weightDecay !== 0 ? shrunk(parameter, scalars.shrink!, rate) : parameter;
      return { parameter: sub(kept, mul(m, times(scalars.lr!, rate))), slots: { ...moments, m } };
    },
  };
}

/** The two largest axes, the largest as columns; undefined when the second moment is kept whole. */
function factoredAxes(shape: Shape): { rows: number; columns: number } | undefined {
  const order = shape.map((_, i) => i).sort((a, b) => shape[a]! - shape[b]! || a - b);
  const [rows, columns] = order.slice(-2);
  if (shape.length < 2 || shape[rows!]! < FACTORED_SIZE) return undefined;
  return { rows: rows!, columns: columns! };
}
