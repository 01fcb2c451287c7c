/** What records of operations are written with: their types, costs, refusals and the inputs of their cases. */

import type { DType } from "../core/dtype.js";
import { roundTo, sizeOf } from "../core/dtype.js";
import { keyFromSeed, Random } from "../core/random.js";
import { type Shape, sizeOfShape, type TensorType } from "../core/shape.js";
import type { StableHloContext } from "./emit/context.js";
import type {
  AnyOp,
  Attrs,
  Case,
  CaseInput,
  Cost,
  DeviceKind,
  KernelLowering,
  NotDifferentiable,
  NotLowered,
} from "./tensor.js";

export type {
  AnyOp,
  Attrs,
  AttrValue,
  Case,
  CaseInput,
  CollectiveOp,
  Cost,
  DeviceKind,
  KernelLowering,
  Lowering,
  NotDifferentiable,
  NotLowered,
  Op,
  Ref,
  Trait,
  Vjp,
  VjpContext,
} from "./tensor.js";

export const notDifferentiable = (why: string): NotDifferentiable => ({ notDifferentiable: why });
export const unsupported = (why: string): NotLowered => ({ unsupported: why });

/** The kernel that `op` becomes on `device` for inputs of these types, if there is one. */
export function kernelFor(
  { stablehlo }: AnyOp,
  device: DeviceKind | undefined,
  inputs: readonly TensorType[],
  attrs: Attrs,
): KernelLowering<StableHloContext, Attrs> | undefined {
  if (device === undefined || typeof stablehlo !== "object" || !("kernel" in stablehlo)) return undefined;
  return stablehlo.fits(device, inputs, attrs) ? stablehlo : undefined;
}

const bytesOf = (types: readonly TensorType[]): number =>
  types.reduce((n, t) => n + sizeOfShape(t.shape) * sizeOf(t.dtype), 0);

/** Reads every input once and writes every output once, without multiply-adds. */
export const streaming = (inputs: readonly TensorType[], outputs: readonly TensorType[]): Cost => ({
  macs: 0,
  bytes: bytesOf(inputs) + bytesOf(outputs),
});

/** Costs nothing: the output is the input's memory, or is a constant. */
export const free = (): Cost => ({ macs: 0, bytes: 0 });

/** `macs` multiply-adds, every operand moved once. */
export const contracting = (
  macs: number,
  inputs: readonly TensorType[],
  outputs: readonly TensorType[],
): Cost => ({ macs, bytes: bytesOf(inputs) + bytesOf(outputs) });

/** A case input of given numbers. */
export const given = (dtype: DType, shape: Shape, values: readonly number[]): CaseInput => ({
  dtype,
  shape,
  data: Float64Array.from(values, (v) => roundTo(dtype, v)),
});

/** A case input of normal numbers, times `scale`, plus `shift`; reproducible by `seed`. */
export function normal(shape: Shape, seed: number, scale = 1, shift = 0): CaseInput {
  const random = new Random(keyFromSeed(seed));
  const draw = () => Math.fround(random.normal() * scale + shift);
  return { dtype: "f32", shape, data: Float64Array.from({ length: sizeOfShape(shape) }, draw) };
}

/** A case input of uniform numbers in [low, high). */
export function uniform(shape: Shape, seed: number, low: number, high: number): CaseInput {
  const random = new Random(keyFromSeed(seed));
  const draw = () => Math.fround(low + random.uniform() * (high - low));
  return { dtype: "f32", shape, data: Float64Array.from({ length: sizeOfShape(shape) }, draw) };
}

/** A case input of integers in [0, n). */
export function integers(
  dtype: "i32" | "i64" | "u8" | "bool",
  shape: Shape,
  seed: number,
  n: number,
): CaseInput {
  const random = new Random(keyFromSeed(seed));
  return { dtype, shape, data: Float64Array.from({ length: sizeOfShape(shape) }, () => random.integer(n)) };
}

/** The case with its inputs in bf16, accumulated into f32. Its gradients are rounded, so that differences cannot check them. */
export const inBf16 = <A>(kase: Case<A>): Case<A> => ({
  ...kase,
  name: `${kase.name}, bf16 into f32`,
  inputs: kase.inputs.map(({ shape, data }) => given("bf16", shape, [...data])),
  smooth: false,
});
