/** One element in, one element out; two inputs broadcast by numpy's rules. */

import { type DType, isFloat } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import { broadcastShapes, formatType, type Shape, sameShape } from "../../core/shape.js";
import type { Arg, OnnxContext } from "../emit/context.js";
import { type Case, given, type Op, streaming, uniform } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { broadcastApply } from "./broadcast.js";
import { and, cast, equal, greater, greaterEqual, less, lessEqual, where } from "./compare.js";
import { lift, type Operand } from "./source.js";

type None = Record<never, never>;
type Binary = (a: Operand, b: Operand) => Tensor;
type Unary = (x: Tensor) => Tensor;

export function requireFloat(what: string, ...inputs: readonly { dtype: DType; shape: Shape }[]): void {
  for (const x of inputs) {
    if (!isFloat(x.dtype))
      throw new UsageError(`${what}: needs floating point; got ${formatType(x)}. Cast it.`);
  }
}

interface UnaryRule {
  readonly name: string;
  readonly doc: string;
  readonly source?: string;
  readonly of: (x: number) => number;
  /** dx from g, x and y. */
  readonly vjp: ((g: Tensor, x: Tensor, y: Tensor) => Tensor) | "zero";
  readonly onnx: string;
  /** For engines without `onnx`. */
  readonly instead?: (b: OnnxContext, x: Arg) => string[];
  readonly stablehlo: string;
  readonly domain?: readonly [number, number];
  readonly edges?: readonly number[];
  readonly smooth?: boolean;
}

const unaryRecords: Op<None>[] = [];

function unary(rule: UnaryRule): Unary {
  const [low, high] = rule.domain ?? [-3, 3];
  const { vjp } = rule;
  const smooth = rule.smooth ?? true;
  const record: Op<None> = {
    name: rule.name,
    doc: rule.doc,
    source: rule.source ?? `ONNX ${rule.onnx}; StableHLO ${rule.stablehlo}`,
    traits: ["elementwise"],
    infer([x]) {
      requireFloat(rule.name, x!);
      return [x!].map(({ dtype, shape }) => ({ dtype, shape }));
    },
    reference: ([x]) => [x!.data.map(rule.of)],
    vjp: vjp === "zero" ? "zero" : ([g], { inputs, outputs }) => [vjp(g!, inputs[0]!, outputs[0]!)],
    cost: streaming,
    simplify: "never",
    decompose: "primitive",
    onnx: (b, [x]) =>
      rule.instead !== undefined && (b.dialect.lacks as readonly string[]).includes(rule.onnx)
        ? rule.instead(b, x!)
        : b.node(rule.onnx, [x!.name]),
    stablehlo: (b, [x]) =>
      rule.stablehlo.startsWith("chlo.")
        ? [b.emit(`${rule.stablehlo} ${x!.name} : ${b.typeOf(x!)} -> ${b.typeOf(x!)}`)]
        : [b.emit(`stablehlo.${rule.stablehlo} ${x!.name} : ${b.typeOf(x!)}`)],
    cases: [
      { name: "random", inputs: [uniform([3, 5], 1, low, high)], attrs: {}, smooth },
      ...(rule.edges === undefined
        ? []
        : [
            {
              name: "edges",
              inputs: [given("f32", [rule.edges.length], rule.edges)],
              attrs: {},
              smooth: false,
            },
          ]),
    ],
  };
  unaryRecords.push(record);
  return (x) => apply(record, [x], {})[0]!;
}

const SQRT_PI = Math.sqrt(Math.PI);

/** −x, element by element. */
export const neg = unary({
  name: "neg",
  doc: "-x",
  of: (x) => -x,
  vjp: (g) => neg(g),
  onnx: "Neg",
  stablehlo: "negate",
});
/** eˣ, element by element. */
export const exp = unary({
  name: "exp",
  doc: "e to the x",
  of: Math.exp,
  vjp: (g, _, y) => mul(g, y),
  onnx: "Exp",
  stablehlo: "exponential",
  edges: [-100, 0, Number.NEGATIVE_INFINITY],
});
/** ln x, element by element. */
export const log = unary({
  name: "log",
  doc: "Natural logarithm.",
  of: Math.log,
  vjp: (g, x) => div(g, x),
  onnx: "Log",
  stablehlo: "log",
  domain: [0.1, 5],
  edges: [0, 1],
});
/** √x, element by element. */
export const sqrt = unary({
  name: "sqrt",
  doc: "Square root.",
  of: Math.sqrt,
  vjp: (g, _, y) => div(mul(g, 0.5), y),
  onnx: "Sqrt",
  stablehlo: "sqrt",
  domain: [0.1, 5],
  edges: [0, 4],
});
/** tanh x, element by element. */
export const tanh = unary({
  name: "tanh",
  doc: "Hyperbolic tangent.",
  of: Math.tanh,
  vjp: (g, _, y) => mul(g, sub(1, mul(y, y))),
  onnx: "Tanh",
  stablehlo: "tanh",
  edges: [-30, 30],
});
/** 1 / (1 + e⁻ˣ), element by element. */
export const sigmoid = unary({
  name: "sigmoid",
  doc: "1 / (1 + e to the -x)",
  of: (x) => 1 / (1 + Math.exp(-x)),
  vjp: (g, _, y) => mul(g, mul(y, sub(1, y))),
  onnx: "Sigmoid",
  stablehlo: "logistic",
  edges: [-50, 50],
});
/** The error function of x, element by element. */
export const erf = unary({
  name: "erf",
  doc: "Error function, 2/√π ∫ e to the -t² from 0 to x.",
  of: erf64,
  vjp: (g, x) => mul(g, mul(exp(neg(mul(x, x))), 2 / SQRT_PI)),
  onnx: "Erf",
  stablehlo: "chlo.erf",
  edges: [-6, 0, 6],
});
/** sin x, of radians, element by element. */
export const sin = unary({
  name: "sin",
  doc: "Sine; radians.",
  of: Math.sin,
  vjp: (g, x) => mul(g, cos(x)),
  onnx: "Sin",
  stablehlo: "sine",
});
/** cos x, of radians, element by element. */
export const cos = unary({
  name: "cos",
  doc: "Cosine; radians.",
  of: Math.cos,
  vjp: (g, x) => neg(mul(g, sin(x))),
  onnx: "Cos",
  stablehlo: "cosine",
});
/** |x|, element by element. */
export const abs = unary({
  name: "abs",
  doc: "Magnitude; the gradient at 0 is 0.",
  of: Math.abs,
  vjp: (g, x) => mul(g, sign(x)),
  onnx: "Abs",
  stablehlo: "abs",
  edges: [-1, 0],
});
/** −1, 0 or 1, as x is, element by element. */
export const sign = unary({
  name: "sign",
  doc: "-1, 0 or 1.",
  of: Math.sign,
  vjp: "zero",
  onnx: "Sign",
  instead(b, { name, dtype }) {
    const is = (order: string) => b.cast(b.node(order, [name, b.scalar(dtype, 0)])[0]!, dtype);
    return b.node("Sub", [is("Greater"), is("Less")]);
  },
  stablehlo: "sign",
  edges: [-2, 0, 2],
  smooth: false,
});
/** The largest whole number that is at most x, element by element. */
export const floor = unary({
  name: "floor",
  doc: "The greatest integer not above x.",
  of: Math.floor,
  vjp: "zero",
  onnx: "Floor",
  stablehlo: "floor",
  edges: [-1.5, -1, 0, 1.5],
  smooth: false,
});

/** erf in float64: Maclaurin series near 0, continued fraction (Abramowitz and Stegun 7.1.14) beyond. */
export function erf64(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; Math.abs(term) > 1e-17 * sum || n < 3; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
      if (n > 200) break;
    }
    return (Math.sign(x) * 2 * sum) / SQRT_PI;
  }
  let fraction = 0;
  for (let k = 60; k >= 1; k--) fraction = k / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (a + fraction) / SQRT_PI);
}

interface BinaryRule {
  readonly name: string;
  readonly doc: string;
  readonly of: (a: number, b: number) => number;
  readonly vjp: (g: Tensor, a: Tensor, b: Tensor, y: Tensor) => [Tensor, Tensor];
  readonly onnx: string;
  readonly stablehlo: string;
  readonly commutative?: boolean;
  /** `x op identity = x`, from the right. */
  readonly identity?: number;
  readonly domain?: readonly [number, number];
  readonly cases?: readonly Case<None>[];
}

const binaryRecords: Op<None>[] = [];

/** The number that fills a constant. */
const splatValue = (x: Tensor): number | undefined => {
  const { op, attrs } = x.node;
  return op.traits.includes("source") && typeof attrs.value === "number" ? attrs.value : undefined;
};

function binary(rule: BinaryRule): Binary {
  const [low, high] = rule.domain ?? [-3, 3];
  const at = (a: Shape, b: Shape, seed: number) => [
    uniform(a, seed, low, high),
    uniform(b, seed + 1, low, high),
  ];
  const keep = (kept: Tensor, constantSide: Tensor) =>
    rule.identity !== undefined &&
    splatValue(constantSide) === rule.identity &&
    sameShape(broadcastShapes(rule.name, kept.shape, constantSide.shape), kept.shape);
  const record: Op<None> = {
    name: rule.name,
    doc: rule.doc,
    source: `ONNX ${rule.onnx}; StableHLO ${rule.stablehlo}`,
    traits: rule.commutative ? ["elementwise", "commutative"] : ["elementwise"],
    infer([a, b]) {
      if (a!.dtype !== b!.dtype || a!.dtype === "bool") {
        throw new UsageError(
          `${rule.name}: needs two tensors of numbers of one dtype; got ${formatType(a!)} and ${formatType(b!)}. Cast one.`,
        );
      }
      return [{ dtype: a!.dtype, shape: broadcastShapes(rule.name, a!.shape, b!.shape) }];
    },
    reference: ([a, b], _, [y]) => [broadcastApply(a!, b!, y!.shape, rule.of)],
    vjp: ([g], { inputs, outputs }) => rule.vjp(g!, inputs[0]!, inputs[1]!, outputs[0]!),
    cost: streaming,
    simplify([a, b]) {
      if (keep(a!, b!)) return [a!];
      if (rule.commutative && keep(b!, a!)) return [b!];
      return undefined;
    },
    decompose: "primitive",
    onnx: (b, [x, y]) => b.node(rule.onnx, [x!.name, y!.name]),
    stablehlo: (b, [x, y], _, [out]) => [
      b.emit(
        `stablehlo.${rule.stablehlo} ${b.broadcast(x!, out!.shape)}, ${b.broadcast(y!, out!.shape)} : ${b.typeOf(out!)}`,
      ),
    ],
    cases: [
      { name: "same shape", inputs: at([2, 3], [2, 3], 3), attrs: {} },
      { name: "scalar on the right", inputs: at([2, 3], [], 5), attrs: {} },
      { name: "row and column", inputs: at([3, 1], [1, 4], 7), attrs: {} },
      { name: "missing axes", inputs: at([4], [2, 3, 4], 9), attrs: {} },
      ...(rule.cases ?? []),
    ],
  };
  binaryRecords.push(record);
  return (a, b) => {
    const dtype = typeof a !== "number" ? a.dtype : typeof b !== "number" ? b.dtype : "f32";
    return apply(record, [lift(a, dtype), lift(b, dtype)], {})[0]!;
  };
}

const whole = (name: string): Case<None> => ({
  name,
  inputs: [given("i32", [4], [7, -7, 6, 0]), given("i32", [4], [2, 3, -3, 5])],
  attrs: {},
});

/** a + b, element by element; shapes broadcast. */
export const add = binary({
  name: "add",
  doc: "a + b",
  of: (a, b) => a + b,
  vjp: (g) => [g, g],
  onnx: "Add",
  stablehlo: "add",
  commutative: true,
  identity: 0,
  cases: [whole("integers")],
});
/** a − b, element by element; shapes broadcast. */
export const sub = binary({
  name: "sub",
  doc: "a - b",
  of: (a, b) => a - b,
  vjp: (g) => [g, neg(g)],
  onnx: "Sub",
  stablehlo: "subtract",
  identity: 0,
  cases: [whole("integers")],
});
/** a · b, element by element; shapes broadcast. */
export const mul = binary({
  name: "mul",
  doc: "a · b",
  of: (a, b) => a * b,
  vjp: (g, a, b) => [mul(g, b), mul(g, a)],
  onnx: "Mul",
  stablehlo: "multiply",
  commutative: true,
  identity: 1,
  cases: [whole("integers")],
});
/** a / b, element by element; shapes broadcast. */
export const div = binary({
  name: "div",
  doc: "a / b; of integers, towards zero.",
  of: (a, b) => a / b,
  vjp: (g, _, b, y) => [div(g, b), neg(div(mul(g, y), b))],
  onnx: "Div",
  stablehlo: "divide",
  identity: 1,
  domain: [0.5, 3],
});
/** aᵇ, element by element; shapes broadcast. */
export const pow = binary({
  name: "pow",
  doc: "a to the b. As in PyTorch, the gradient in a is 0 where b is 0, that in b where a is 0 and b is not below it.",
  of: (a, b) => a ** b,
  vjp(g, a, b, y) {
    const base = where(equal(b, 0), 0, mul(b, pow(a, sub(b, 1))));
    const exponent = where(and(equal(a, 0), greaterEqual(b, 0)), 0, mul(y, log(a)));
    return [mul(g, base), mul(g, exponent)];
  },
  onnx: "Pow",
  stablehlo: "power",
  identity: 1,
  domain: [0.5, 2],
  cases: [
    {
      name: "zeros",
      inputs: [given("f32", [4], [0, 0, 0, 2]), given("f32", [4], [0, 1, 2, 0])],
      attrs: {},
      smooth: false,
    },
  ],
});
/** The larger of a and b, element by element; shapes broadcast. */
export const maximum = binary({
  name: "maximum",
  doc: "The greater of a and b; in a tie each has half of the gradient.",
  of: Math.max,
  vjp: (g, a, b) => sharedPair(g, greaterEqual(a, b), greater(a, b)),
  onnx: "Max",
  stablehlo: "maximum",
  commutative: true,
});
/** The smaller of a and b, element by element; shapes broadcast. */
export const minimum = binary({
  name: "minimum",
  doc: "The lesser of a and b; in a tie each has half of the gradient.",
  of: Math.min,
  vjp: (g, a, b) => sharedPair(g, lessEqual(a, b), less(a, b)),
  onnx: "Min",
  stablehlo: "minimum",
  commutative: true,
});

/** g for a where `won` holds, half of it where only `atLeast` does; for b the rest. */
function sharedPair(g: Tensor, atLeast: Tensor, won: Tensor): [Tensor, Tensor] {
  const share = mul(add(cast(atLeast, g.dtype), cast(won, g.dtype)), 0.5);
  return [mul(g, share), mul(g, sub(1, share))];
}

/** x², element by element. */
export const square: Unary = (x) => mul(x, x);
/** 1 / √x, element by element. */
export const rsqrt: Unary = (x) => div(1, sqrt(x));

export const elementwiseOps = [...unaryRecords, ...binaryRecords];
