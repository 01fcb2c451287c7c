/** What is true of an operation stands in one record; everything else asks the record. */

import type { DType, TypedArray } from "../core/dtype.js";
import { roundTo, sizeOf } from "../core/dtype.js";
import { keyFromSeed, Random } from "../core/random.js";
import { type Shape, sizeOfShape, type TensorType } from "../core/shape.js";
import type { OnnxContext } from "./emit/onnx.js";
import type { StableHloContext } from "./emit/stablehlo.js";
import type { Tensor } from "./tensor.js";

export type AttrValue = number | string | boolean | readonly number[] | TypedArray | undefined;
export type Attrs = { readonly [name: string]: AttrValue };

/**
 * - `elementwise`: each output element depends on the inputs' elements at the same place (after broadcasting);
 * - `view`: the same elements in the same memory order;
 * - `movement`: the same elements, moved or repeated;
 * - `reduction`, `contraction`: sums over axes; `commutative`: inputs may swap;
 * - `source`: has no inputs; `barrier`: must not be merged or folded;
 * - `collective`: replicas of the program meet in it; the attribute `replicas` says how many.
 */
export type Trait =
  | "elementwise"
  | "view"
  | "movement"
  | "reduction"
  | "contraction"
  | "commutative"
  | "source"
  | "barrier"
  | "collective";

/** Multiply-adds, and bytes read and written. */
export interface Cost {
  readonly macs: number;
  readonly bytes: number;
}

/** A float64 tensor of the reference interpreter; integers and bools are held as numbers. */
export interface Ref extends TensorType {
  readonly data: Float64Array;
}

/** A named input of a lowering. */
export interface Arg extends TensorType {
  readonly name: string;
}

export interface NotDifferentiable {
  readonly notDifferentiable: string;
}
export interface NotLowered {
  readonly unsupported: string;
}

export const notDifferentiable = (why: string): NotDifferentiable => ({ notDifferentiable: why });
export const unsupported = (why: string): NotLowered => ({ unsupported: why });

export interface VjpContext<A> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly attrs: A;
}

/**
 * Cotangents of the inputs from those of the outputs: `g[i]` is undefined where output i is unused, never for the
 * only output. May return a cotangent in the broadcast shape: the reverse walk sums it.
 * "zero": constant almost everywhere. "decompose", also for some `g` alone: the gradient of the decomposition.
 */
export type Vjp<A> =
  | ((g: readonly (Tensor | undefined)[], context: VjpContext<A>) => (Tensor | undefined)[] | "decompose")
  | "zero"
  | "decompose"
  | NotDifferentiable;

type Lower<C, A> = (context: C, inputs: readonly Arg[], attrs: A, outputs: readonly TensorType[]) => string[];

export type Lowering<C, A> = Lower<C, A> | "decompose" | NotLowered;

/** What runs a program, as far as lowerings ask. */
export interface DeviceKind {
  /** As PJRT names it: `cpu`, `cuda`, … */
  readonly platform: string;
  /** For people, e.g. `NVIDIA H200`. */
  readonly name?: string | undefined;
  /** NVIDIA's compute capability, e.g. 9 for Hopper, 10.3 for Blackwell Ultra. */
  readonly computeCapability?: number | undefined;
}

/** A lowering to a kernel that some devices have for some inputs; elsewhere the operation is decomposed. */
export interface KernelLowering<C, A> {
  /** Whose kernel it is. */
  readonly kernel: string;
  /** Whether `device` has it for inputs of these types. */
  fits(device: DeviceKind, inputs: readonly TensorType[], attrs: A): boolean;
  /** Inputs that mixed precision rounds; the others stay in f32. */
  readonly rounded: readonly number[];
  readonly lower: Lower<C, A>;
}

export interface CaseInput extends TensorType {
  readonly data: Float64Array;
}

/** Inputs on which reference, engines and gradients must agree. */
export interface Case<A> {
  readonly name: string;
  readonly inputs: readonly CaseInput[];
  readonly attrs: A;
  /** False where central differences cannot stand for the gradient (kinks, jumps, ties). Default true. */
  readonly smooth?: boolean;
}

export interface Op<A extends Attrs = Attrs> {
  readonly name: string;
  /** One line, with shapes in letters. */
  readonly doc: string;
  /** The specification or the paper. */
  readonly source: string;
  readonly traits: readonly Trait[];
  /** Validates inputs and attributes; gives the outputs' types. Throws `UsageError`. */
  infer(inputs: readonly TensorType[], attrs: A): TensorType[];
  /** Plain loops in float64. */
  reference(inputs: readonly Ref[], attrs: A, outputs: readonly TensorType[]): Float64Array[];
  readonly vjp: Vjp<A>;
  cost(inputs: readonly TensorType[], outputs: readonly TensorType[], attrs: A): Cost;
  /** An equal tensor or tensors written more simply, or undefined; "never" when there is none. */
  readonly simplify: ((inputs: readonly Tensor[], attrs: A) => readonly Tensor[] | undefined) | "never";
  /** The same function in simpler operations; "primitive" when it is one. */
  readonly decompose: ((inputs: readonly Tensor[], attrs: A) => Tensor[]) | "primitive";
  readonly onnx: Lowering<OnnxContext, A>;
  readonly stablehlo: Lowering<StableHloContext, A> | KernelLowering<StableHloContext, A>;
  readonly cases: readonly Case<A>[];
}

/** An operation of trait `collective`. Its `reference` is for one replica only. */
export interface CollectiveOp<A extends Attrs = Attrs> extends Op<A> {
  /** The outputs on every replica from the inputs on every replica: plain loops in float64. */
  across(inputs: readonly (readonly Ref[])[], attrs: A, outputs: readonly TensorType[]): Float64Array[][];
}

/** An operation whose attributes' types have been forgotten. */
export type AnyOp = Op<Attrs>;

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
