/** Operations without inputs: program inputs, constants, counting. */

import type { DType } from "../../core/dtype.js";
import { roundTo } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import { normalizeAxis, type Shape, sizeOfShape, strides, type TensorType } from "../../core/shape.js";
import { free, type Op, streaming, unsupported } from "../op.js";
import { apply, Tensor } from "../tensor.js";

interface InputAttrs {
  readonly name: string;
  readonly dtype: string;
  readonly shape: Shape;
  readonly [key: string]: string | Shape;
}

export const input: Op<InputAttrs> = {
  name: "input",
  doc: "A value given when the program runs, of any shape.",
  source: "Clipwright",
  traits: ["source", "barrier"],
  infer: (_, { dtype, shape }) => [{ dtype: dtype as DType, shape }],
  reference: () => {
    throw new UsageError("interpret: an input has no value of its own; pass it to the interpreter.");
  },
  vjp: "zero",
  cost: free,
  simplify: "never",
  decompose: "primitive",
  onnx: unsupported("inputs are written by the emitter"),
  stablehlo: unsupported("inputs are written by the emitter"),
  cases: [],
};

/** A program input. Usually made by `trace`. */
export const inputTensor = (name: string, type: TensorType): Tensor =>
  apply(input, [], { name, dtype: type.dtype, shape: type.shape })[0]!;

interface ConstantAttrs {
  readonly dtype: DType;
  readonly shape: Shape;
  /** One number for every element, or all of them in row-major order. */
  readonly value: number | readonly number[];
  readonly [key: string]: DType | Shape | number | readonly number[];
}

const constantOp: Op<ConstantAttrs> = {
  name: "constant",
  doc: "The same numbers in every run.",
  source: "ONNX Constant; StableHLO constant",
  traits: ["source"],
  infer(_, { dtype, shape, value }) {
    if (typeof value !== "number" && value.length !== sizeOfShape(shape)) {
      throw new UsageError(
        `constant: needs one number or as many as the shape has; got ${value.length} for [${shape.join(",")}].`,
      );
    }
    return [{ dtype, shape }];
  },
  reference(_, { dtype, shape, value }) {
    const data = new Float64Array(sizeOfShape(shape));
    for (let i = 0; i < data.length; i++) {
      // Numbers beyond f32 in a program are meant as written: the oracle keeps them in float64.
      const x = typeof value === "number" ? value : value[i]!;
      data[i] = dtype === "f32" ? x : roundTo(dtype, x);
    }
    return [data];
  },
  vjp: "zero",
  cost: free,
  simplify: "never",
  decompose: "primitive",
  onnx(b, _, { dtype, shape, value }) {
    if (typeof value !== "number") return [b.constant(dtype, shape, value)];
    if (sizeOfShape(shape) <= 1024) {
      return [b.constant(dtype, shape, new Array<number>(sizeOfShape(shape)).fill(value))];
    }
    return b.node("Expand", [b.scalar(dtype, value), b.ints(shape)]);
  },
  stablehlo: (b, _, { value }, [type]) => [b.constant(type!, value)],
  cases: [
    { name: "scalar", inputs: [], attrs: { dtype: "f32", shape: [], value: 1.5 } },
    { name: "splat", inputs: [], attrs: { dtype: "f32", shape: [40, 40], value: -2 } },
    { name: "list", inputs: [], attrs: { dtype: "i32", shape: [2, 2], value: [1, 2, 3, -4] } },
    { name: "bools", inputs: [], attrs: { dtype: "bool", shape: [3], value: [1, 0, 1] } },
    { name: "infinities", inputs: [], attrs: { dtype: "f32", shape: [2], value: [Infinity, -Infinity] } },
  ],
};

/** A constant: `value` is one number for all elements or the elements in row-major order. */
export const constant = (
  value: number | readonly number[],
  type: { readonly dtype?: DType; readonly shape?: Shape } = {},
): Tensor => {
  const shape = type.shape ?? (typeof value === "number" ? [] : [value.length]);
  return apply(constantOp, [], { dtype: type.dtype ?? "f32", shape, value })[0]!;
};

export type Operand = Tensor | number;

/** A number becomes a scalar constant of the dtype that it meets. */
export const lift = (x: Operand, dtype: DType): Tensor =>
  x instanceof Tensor ? x : constant(x, { dtype, shape: [] });

interface IotaAttrs {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly axis: number;
  readonly [key: string]: DType | Shape | number;
}

const iotaOp: Op<IotaAttrs> = {
  name: "iota",
  doc: "Counts 0, 1, 2, … along one axis.",
  source: "StableHLO iota",
  traits: ["source"],
  infer(_, { dtype, shape, axis }) {
    normalizeAxis("iota", axis, shape.length);
    return [{ dtype, shape }];
  },
  reference(_, { shape, axis }) {
    const step = strides(shape)[axis]!;
    return [Float64Array.from({ length: sizeOfShape(shape) }, (_, i) => Math.floor(i / step) % shape[axis]!)];
  },
  vjp: "zero",
  cost: streaming,
  simplify: "never",
  decompose: "primitive",
  onnx(b, _, { dtype, shape, axis }) {
    const n = shape[axis]!;
    const line = shape.map((_, i) => (i === axis ? n : 1));
    const counts = b.constant(
      dtype,
      line,
      Array.from({ length: n }, (_, i) => i),
    );
    return line.every((d, i) => d === shape[i]) ? [counts] : b.node("Expand", [counts, b.ints(shape)]);
  },
  stablehlo: (b, _, { axis }, [type]) => [b.emit(`stablehlo.iota dim = ${axis} : ${b.typeOf(type!)}`)],
  cases: [
    { name: "vector", inputs: [], attrs: { dtype: "i32", shape: [5], axis: 0 } },
    { name: "middle axis", inputs: [], attrs: { dtype: "f32", shape: [2, 3, 2], axis: 1 } },
  ],
};

/** `shape` filled with the position along `axis`. */
export const iota = (dtype: DType, shape: Shape, axis = 0): Tensor =>
  apply(iotaOp, [], { dtype, shape, axis: normalizeAxis("iota", axis, shape.length) })[0]!;

export const sourceOps = [input, constantOp, iotaOp];
