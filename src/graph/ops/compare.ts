/** Comparing, choosing, and changing dtypes. */

import { type DType, isFloat, roundTo } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import { broadcastShapes, formatType, sizeOfShape } from "../../core/shape.js";
import { given, type Op, streaming, uniform, type Vjp } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { broadcastApply, broadcastIndex } from "./broadcast.js";
import { constant, lift, type Operand } from "./source.js";

type None = Record<never, never>;

const compareRecords: Op<None>[] = [];

function compare(
  name: string,
  doc: string,
  of: (a: number, b: number) => boolean,
  onnx: string,
  direction: string,
): (a: Operand, b: Operand) => Tensor {
  const record: Op<None> = {
    name,
    doc,
    source: `ONNX ${onnx}; StableHLO compare ${direction}`,
    traits: ["elementwise"],
    infer([a, b]) {
      if (a!.dtype !== b!.dtype) {
        throw new UsageError(
          `${name}: needs one dtype; got ${formatType(a!)} and ${formatType(b!)}. Cast one.`,
        );
      }
      return [{ dtype: "bool", shape: broadcastShapes(name, a!.shape, b!.shape) }];
    },
    reference: ([a, b], _, [y]) => [broadcastApply(a!, b!, y!.shape, (p, q) => (of(p, q) ? 1 : 0))],
    vjp: "zero",
    cost: streaming,
    simplify: "never",
    decompose: "primitive",
    onnx: (b, [x, y]) => b.node(onnx, [x!.name, y!.name]),
    stablehlo: (b, [x, y], _, [out]) => {
      const wide = b.typeOf({ dtype: x!.dtype, shape: out!.shape });
      const operands = `${b.broadcast(x!, out!.shape)}, ${b.broadcast(y!, out!.shape)}`;
      return [
        b.emit(`stablehlo.compare ${direction}, ${operands} : (${wide}, ${wide}) -> ${b.typeOf(out!)}`),
      ];
    },
    cases: [
      {
        name: "floats",
        inputs: [given("f32", [4], [1, 2, 3, -1]), given("f32", [4], [1, 3, 2, -1])],
        attrs: {},
      },
      {
        name: "integers, broadcast",
        inputs: [given("i32", [2, 1], [1, 2]), given("i32", [2], [2, 1])],
        attrs: {},
      },
    ],
  };
  compareRecords.push(record);
  return (a, b) => {
    const dtype = typeof a !== "number" ? a.dtype : typeof b !== "number" ? b.dtype : "f32";
    return apply(record, [lift(a, dtype), lift(b, dtype)], {})[0]!;
  };
}

/** a = b, element by element, as bool; shapes broadcast. */
export const equal = compare("equal", "a = b, as bool", (a, b) => a === b, "Equal", "EQ");
/** a < b, element by element, as bool; shapes broadcast. */
export const less = compare("less", "a < b, as bool", (a, b) => a < b, "Less", "LT");
/** a > b, element by element, as bool; shapes broadcast. */
export const greater = compare("greater", "a > b, as bool", (a, b) => a > b, "Greater", "GT");
/** a ≤ b, element by element, as bool; shapes broadcast. */
export const lessEqual = compare("lessEqual", "a ≤ b, as bool", (a, b) => a <= b, "LessOrEqual", "LE");
/** a ≥ b, element by element, as bool; shapes broadcast. */
export const greaterEqual = compare(
  "greaterEqual",
  "a ≥ b, as bool",
  (a, b) => a >= b,
  "GreaterOrEqual",
  "GE",
);

const bools = (values: readonly number[]) => given("bool", [values.length], values);

function logical(
  name: "and" | "or",
  of: (a: number, b: number) => number,
  onnx: "And" | "Or",
): (a: Operand, b: Operand) => Tensor {
  const record: Op<None> = {
    name,
    doc: `Logical ${name} of bools.`,
    source: `ONNX ${onnx}; StableHLO ${name}`,
    traits: ["elementwise", "commutative"],
    infer([a, b]) {
      if (a!.dtype !== "bool" || b!.dtype !== "bool") {
        throw new UsageError(
          `${name}: needs bools; got ${formatType(a!)} and ${formatType(b!)}. Compare first.`,
        );
      }
      return [{ dtype: "bool", shape: broadcastShapes(name, a!.shape, b!.shape) }];
    },
    reference: ([a, b], _, [y]) => [broadcastApply(a!, b!, y!.shape, of)],
    vjp: "zero",
    cost: streaming,
    simplify: "never",
    decompose: "primitive",
    onnx(b, [x, y]) {
      if (onnx === "And" || !b.dialect.lacks.includes("Or")) return b.node(onnx, [x!.name, y!.name]);
      const neither = b.node("And", [b.node("Not", [x!.name])[0]!, b.node("Not", [y!.name])[0]!]);
      return b.node("Not", neither);
    },
    stablehlo: (b, [x, y], _, [out]) => [
      b.emit(
        `stablehlo.${name} ${b.broadcast(x!, out!.shape)}, ${b.broadcast(y!, out!.shape)} : ${b.typeOf(out!)}`,
      ),
    ],
    cases: [{ name: "table", inputs: [bools([0, 0, 1, 1]), bools([0, 1, 0, 1])], attrs: {} }],
  };
  compareRecords.push(record);
  return (a, b) => apply(record, [lift(a, "bool"), lift(b, "bool")], {})[0]!;
}

/** Both, of bools, element by element. */
export const and = logical("and", (a, b) => a * b, "And");
/** Either or both, of bools, element by element. */
export const or = logical("or", (a, b) => Math.max(a, b), "Or");

const notOp: Op<None> = {
  name: "not",
  doc: "Logical not of bools.",
  source: "ONNX Not; StableHLO not",
  traits: ["elementwise"],
  infer([x]) {
    if (x!.dtype !== "bool") throw new UsageError(`not: needs bools; got ${formatType(x!)}. Compare first.`);
    return [{ dtype: "bool", shape: x!.shape }];
  },
  reference: ([x]) => [x!.data.map((v) => 1 - v)],
  vjp: "zero",
  cost: streaming,
  simplify: "never",
  decompose: "primitive",
  onnx: (b, [x]) => b.node("Not", [x!.name]),
  stablehlo: (b, [x]) => [b.emit(`stablehlo.not ${x!.name} : ${b.typeOf(x!)}`)],
  cases: [{ name: "both", inputs: [bools([0, 1])], attrs: {} }],
};
/** Not x, of bools, element by element. */
export const not = (x: Tensor): Tensor => apply(notOp, [x], {})[0]!;

const whereVjp: Vjp<None> = ([g], { inputs }) => {
  const zero = constant(0, { dtype: g!.dtype, shape: [] });
  return [undefined, where(inputs[0]!, g!, zero), where(inputs[0]!, zero, g!)];
};

const whereOp: Op<None> = {
  name: "where",
  doc: "a where the condition holds, else b.",
  source: "ONNX Where; StableHLO select",
  traits: ["elementwise"],
  infer([c, a, b]) {
    if (c!.dtype !== "bool" || a!.dtype !== b!.dtype) {
      throw new UsageError(
        `where: needs a bool condition and two tensors of one dtype; got ${[c!, a!, b!].map(formatType).join(", ")}.`,
      );
    }
    return [{ dtype: a!.dtype, shape: broadcastShapes("where", c!.shape, a!.shape, b!.shape) }];
  },
  reference([c, a, b], _, [y]) {
    const at = [c!, a!, b!].map((x) => broadcastIndex(x.shape, y!.shape));
    return [
      Float64Array.from({ length: sizeOfShape(y!.shape) }, (_, i) =>
        c!.data[at[0]!(i)] ? a!.data[at[1]!(i)]! : b!.data[at[2]!(i)]!,
      ),
    ];
  },
  vjp: whereVjp,
  cost: streaming,
  simplify: "never",
  decompose: "primitive",
  onnx: (b, [c, x, y]) => b.node("Where", [c!.name, x!.name, y!.name]),
  stablehlo: (b, [c, x, y], _, [out]) => {
    const mask = b.broadcast(c!, out!.shape);
    const maskType = b.typeOf({ dtype: "bool", shape: out!.shape });
    const operands = `${b.broadcast(x!, out!.shape)}, ${b.broadcast(y!, out!.shape)}`;
    return [b.emit(`stablehlo.select ${mask}, ${operands} : ${maskType}, ${b.typeOf(out!)}`)];
  },
  cases: [
    {
      name: "same shape",
      inputs: [bools([1, 0, 1]), uniform([3], 1, -1, 1), uniform([3], 2, -1, 1)],
      attrs: {},
    },
    {
      name: "broadcast",
      inputs: [given("bool", [2, 1], [1, 0]), uniform([3], 1, -1, 1), given("f32", [], [7])],
      attrs: {},
    },
  ],
};
/** `a` where `condition` (bool) holds, else `b`; numbers take the dtype of the other. */
export const where = (condition: Tensor, a: Operand, b: Operand): Tensor => {
  const dtype = typeof a !== "number" ? a.dtype : typeof b !== "number" ? b.dtype : "f32";
  return apply(whereOp, [condition, lift(a, dtype), lift(b, dtype)], {})[0]!;
};

interface CastAttrs {
  readonly to: DType;
  readonly [key: string]: DType;
}

const castOp: Op<CastAttrs> = {
  name: "cast",
  doc: "x in another dtype; floats become integers by dropping the fraction, bools by being non-zero.",
  source: "ONNX Cast; StableHLO convert",
  traits: ["elementwise"],
  infer: ([x], { to }) => [{ dtype: to, shape: x!.shape }],
  reference: ([x], { to }) => [to === "f32" ? x!.data.slice() : x!.data.map((v) => roundTo(to, v))],
  vjp: ([g], { inputs }) => [isFloat(inputs[0]!.dtype) ? cast(g!, inputs[0]!.dtype) : undefined],
  cost: streaming,
  // To f32 and back loses nothing.
  simplify([x], { to }) {
    if (x!.dtype === to) return [x!];
    const [from] = x!.node.op.name === "cast" ? x!.node.inputs : [];
    return from?.dtype === to && isFloat(to) && x!.dtype === "f32" ? [from] : undefined;
  },
  decompose: "primitive",
  onnx: (b, [x], { to }) => [b.cast(x!.name, to)],
  stablehlo(b, [x], { to }, [out]) {
    if (to === "bool") {
      const zero = b.broadcast(
        b.arg(b.constant({ dtype: x!.dtype, shape: [] }, 0), { dtype: x!.dtype, shape: [] }),
        x!.shape,
      );
      return [
        b.emit(
          `stablehlo.compare NE, ${x!.name}, ${zero} : (${b.typeOf(x!)}, ${b.typeOf(x!)}) -> ${b.typeOf(out!)}`,
        ),
      ];
    }
    return [b.emit(`stablehlo.convert ${x!.name} : (${b.typeOf(x!)}) -> ${b.typeOf(out!)}`)];
  },
  cases: [
    {
      name: "floats to integers",
      inputs: [given("f32", [4], [1.7, -1.7, 0, 3])],
      attrs: { to: "i32" },
      smooth: false,
    },
    { name: "bytes to floats", inputs: [given("u8", [3], [0, 128, 255])], attrs: { to: "f32" } },
    { name: "integers to floats", inputs: [given("i32", [3], [-5, 0, 7])], attrs: { to: "f32" } },
    { name: "bools to floats", inputs: [bools([1, 0])], attrs: { to: "f32" } },
    {
      name: "floats to bools",
      inputs: [given("f32", [3], [0, -2, 0.5])],
      attrs: { to: "bool" },
      smooth: false,
    },
    { name: "integers to longer ones", inputs: [given("i32", [2], [-5, 7])], attrs: { to: "i64" } },
  ],
};
/** `x` in dtype `to`. */
export const cast = (x: Tensor, to: DType): Tensor => (x.dtype === to ? x : apply(castOp, [x], { to })[0]!);

export const compareOps = [...compareRecords, notOp, whereOp, castOp];
