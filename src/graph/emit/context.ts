/** What lowerings are given by the emitters: the two formats' vocabularies. */

import type { DType } from "../../core/dtype.js";
import type { Shape, TensorType } from "../../core/shape.js";
import type { OnnxDialect } from "./dialect.js";

/** A named input of a lowering. */
export interface Arg extends TensorType {
  readonly name: string;
}

export type OnnxAttribute = number | string | readonly number[] | { readonly float: number };

/** Operators of ONNX Runtime's own; those of `nchwc` work on images whose channels come in blocks. */
export type OnnxDomain = "com.microsoft" | "com.microsoft.nchwc";

/** What a lowering to ONNX may write. */
export interface OnnxContext {
  /** What the engine has that will read the model. */
  readonly dialect: OnnxDialect;
  /** Adds a node and gives the names of its `outputs` (default 1); an empty input name means "left out". */
  node(
    type: string,
    inputs: readonly string[],
    attributes?: { readonly [name: string]: OnnxAttribute },
    options?: { readonly domain?: OnnxDomain; readonly outputs?: number },
  ): string[];
  /** The name of `input` in another dtype. */
  cast(input: string, dtype: DType): string;
  /** The name of a constant tensor. */
  constant(dtype: DType, shape: Shape, values: ArrayLike<number>): string;
  /** The name of a 1-D int64 constant: axes, shapes. */
  ints(values: readonly number[]): string;
  /** The name of a scalar constant. */
  scalar(dtype: DType, value: number): string;
}

/** What a lowering to StableHLO may write. */
export interface StableHloContext {
  /** Adds `%n = text` and gives `%n`; with several results, `%n:results`, to be used as `%n#0`, `%n#1`. */
  emit(text: string, results?: number): string;
  /** A constant with every element `value`, or the listed elements in row-major order. */
  constant(type: TensorType, value: number | ArrayLike<number>): string;
  /** `x` repeated to `shape` by numpy's rules; `x` itself when the shapes are equal. */
  broadcast(x: Arg, shape: Shape): string;
  /** `stablehlo.reduce` of `x` over `axes` by `add`, `maximum`, `minimum`, `and` or `or`. */
  reduce(x: Arg, axes: readonly number[], by: string, init: number): Arg;
  /** `tensor<2x3xf32>` */
  typeOf(type: TensorType): string;
  /** The name of a result that is known by its type. */
  arg(name: string, type: TensorType): Arg;
}
