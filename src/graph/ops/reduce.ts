/** Many elements in, one out, along listed axes. */

import { UsageError } from "../../core/errors.js";
import {
  distinctAxes,
  formatType,
  normalizeAxis,
  type Shape,
  sameShape,
  sizeOfShape,
  strides,
  type TensorType,
} from "../../core/shape.js";
import { type Case, given, normal, type Op, streaming } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { cast, equal } from "./compare.js";
import { add, div, mul, requireFloat, sub } from "./elementwise.js";
import { broadcastTo, reshape } from "./movement.js";
import { iota } from "./source.js";

interface ReduceAttrs {
  /** Sorted, counted from the front. */
  readonly axes: readonly number[];
  /** Whether reduced axes stay, with size 1. */
  readonly keep: boolean;
  readonly [key: string]: readonly number[] | boolean;
}

const reducedShape = (shape: Shape, { axes, keep }: ReduceAttrs): Shape =>
  keep ? shape.map((d, i) => (axes.includes(i) ? 1 : d)) : shape.filter((_, i) => !axes.includes(i));

/** For every element of `shape`, the index of the element that it is reduced into. */
function reducedIndex(shape: Shape, axes: readonly number[]): (flat: number) => number {
  const kept = shape.map((d, i) => (axes.includes(i) ? 1 : d));
  const own = strides(kept);
  const steps = strides(shape);
  return (flat) => {
    let at = 0;
    for (let i = 0; i < shape.length; i++) {
      if (kept[i] !== 1) at += (Math.floor(flat / steps[i]!) % shape[i]!) * own[i]!;
    }
    return at;
  };
}

interface ReduceRule {
  readonly name: string;
  readonly doc: string;
  readonly init: number;
  readonly of: (a: number, b: number) => number;
  readonly onnx: string;
  readonly stablehlo: string;
  /** dx from g and y, both with reduced axes kept, and x. */
  readonly vjp: (g: Tensor, x: Tensor, y: Tensor) => Tensor;
  readonly cases?: readonly Case<ReduceAttrs>[];
}

const records: Op<ReduceAttrs>[] = [];

function reduction(rule: ReduceRule) {
  const record: Op<ReduceAttrs> = {
    name: rule.name,
    doc: rule.doc,
    source: `ONNX ${rule.onnx}; StableHLO reduce`,
    traits: ["reduction"],
    infer([x], attrs) {
      if (x!.dtype === "bool")
        throw new UsageError(`${rule.name}: needs numbers; got ${formatType(x!)}. Cast it.`);
      distinctAxes(rule.name, attrs.axes, x!.shape.length);
      if (!Number.isFinite(rule.init) && attrs.axes.some((axis) => x!.shape[axis] === 0)) {
        throw new UsageError(
          `${rule.name}: needs at least one element; got ${formatType(x!)}, axes=[${attrs.axes.join(",")}].`,
        );
      }
      return [{ dtype: x!.dtype, shape: reducedShape(x!.shape, attrs) }];
    },
    reference([x], { axes }, [y]) {
      const out = new Float64Array(sizeOfShape(y!.shape)).fill(rule.init);
      const at = reducedIndex(x!.shape, axes);
      for (let i = 0; i < x!.data.length; i++) out[at(i)] = rule.of(out[at(i)]!, x!.data[i]!);
      return [out];
    },
    vjp([g], { inputs: [x], outputs: [y], attrs }) {
      const kept = reducedShape(x!.shape, { ...attrs, keep: true });
      return [rule.vjp(reshape(g!, kept), x!, reshape(y!, kept))];
    },
    cost: streaming,
    simplify: ([x], { axes, keep }) =>
      axes.every((i) => x!.shape[i] === 1)
        ? [reshape(x!, reducedShape(x!.shape, { axes, keep }))]
        : undefined,
    decompose: "primitive",
    onnx: (b, [x], { axes, keep }) =>
      b.node(rule.onnx, [x!.name, b.ints(axes)], { keepdims: keep ? 1 : 0, noop_with_empty_axes: 1 }),
    stablehlo(b, [x], { axes, keep }, [out]) {
      const y = b.reduce(x!, axes, rule.stablehlo, rule.init);
      return [keep ? b.emit(`stablehlo.reshape ${y.name} : (${b.typeOf(y)}) -> ${b.typeOf(out!)}`) : y.name];
    },
    cases: [
      { name: "last axis", inputs: [normal([3, 5], 1)], attrs: { axes: [1], keep: false } },
      { name: "first axis, kept", inputs: [normal([3, 5], 2)], attrs: { axes: [0], keep: true } },
      { name: "outer and inner", inputs: [normal([2, 3, 4], 3)], attrs: { axes: [0, 2], keep: false } },
      { name: "all", inputs: [normal([2, 3], 4)], attrs: { axes: [0, 1], keep: false } },
      ...(rule.cases ?? []),
    ],
  };
  records.push(record);
  return (x: Tensor, axes?: number | readonly number[], keep = false): Tensor => {
    const list = axes === undefined ? x.shape.map((_, i) => i) : typeof axes === "number" ? [axes] : axes;
    const sorted = distinctAxes(rule.name, list, x.rank).sort((a, b) => a - b);
    return sorted.length === 0 ? x : apply(record, [x], { axes: sorted, keep })[0]!;
  };
}

/** Sum over `axes` (default all); reduced axes stay with size 1 when `keep`. */
export const sum = reduction({
  name: "sum",
  doc: "Sum over axes.",
  init: 0,
  of: (a, b) => a + b,
  onnx: "ReduceSum",
  stablehlo: "add",
  vjp: (g, x) => broadcastTo(g, x.shape),
  cases: [
    { name: "integers", inputs: [given("i32", [2, 2], [1, 2, 3, 4])], attrs: { axes: [1], keep: false } },
  ],
});

/** The sum of `g` over the axes along which `shape` was broadcast: the reverse of broadcasting. */
export function unbroadcast(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const lead = g.rank - shape.length;
  const axes = g.shape.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  return reshape(sum(g, axes), shape);
}

/** Greatest over `axes` (default all); ties share the gradient equally. */
export const max = reduction({
  name: "max",
  doc: "Greatest over axes; ties share the gradient equally.",
  init: Number.NEGATIVE_INFINITY,
  of: Math.max,
  onnx: "ReduceMax",
  stablehlo: "maximum",
  vjp: (g, x, y) => tieShare(g, x, y),
});

/** Least over `axes` (default all); ties share the gradient equally. */
export const min = reduction({
  name: "min",
  doc: "Least over axes; ties share the gradient equally.",
  init: Number.POSITIVE_INFINITY,
  of: Math.min,
  onnx: "ReduceMin",
  stablehlo: "minimum",
  vjp: (g, x, y) => tieShare(g, x, y),
});

function tieShare(g: Tensor, x: Tensor, y: Tensor): Tensor {
  const hits = cast(equal(x, y), g.dtype);
  const axes = x.shape.flatMap((d, i) => (d !== y.shape[i] ? [i] : []));
  return mul(hits, div(g, sum(hits, axes, true)));
}

/** Mean over `axes` (default all). */
export function mean(x: Tensor, axes?: number | readonly number[], keep = false): Tensor {
  requireFloat("mean", x);
  const total = sum(x, axes, keep);
  return mul(total, sizeOfShape(total.shape) / sizeOfShape(x.shape));
}

interface ArgmaxAttrs {
  readonly axis: number;
  readonly [key: string]: number;
}

const argmaxOp: Op<ArgmaxAttrs> = {
  name: "argmax",
  doc: "Position of the greatest along an axis, the first of equals, as i32.",
  source: "ONNX ArgMax; StableHLO reduce",
  traits: ["reduction"],
  infer: ([x], { axis }): TensorType[] => {
    normalizeAxis("argmax", axis, x!.shape.length);
    if (x!.shape[axis] === 0) {
      throw new UsageError(`argmax: needs at least one element; got ${formatType(x!)}, axis=${axis}.`);
    }
    return [{ dtype: "i32", shape: x!.shape.filter((_, i) => i !== axis) }];
  },
  reference([x], { axis }, [y]) {
    const out = new Float64Array(sizeOfShape(y!.shape));
    const best = new Float64Array(out.length).fill(Number.NEGATIVE_INFINITY);
    const at = reducedIndex(x!.shape, [axis]);
    const step = strides(x!.shape)[axis]!;
    for (let i = 0; i < x!.data.length; i++) {
      if (x!.data[i]! > best[at(i)]!) {
        best[at(i)] = x!.data[i]!;
        out[at(i)] = Math.floor(i / step) % x!.shape[axis]!;
      }
    }
    return [out];
  },
  vjp: "zero",
  cost: streaming,
  simplify: "never",
  // The first position among those that hold the greatest.
  decompose([x], { axis }) {
    const n = x!.shape[axis]!;
    const position = cast(iota("i32", x!.shape, axis), "f32");
    const hit = cast(equal(x!, broadcastTo(max(x!, axis, true), x!.shape)), "f32");
    return [cast(add(min(mul(hit, sub(position, n)), axis), n), "i32")];
  },
  onnx(b, [x], { axis }) {
    if (!b.dialect.lacks.includes("i64"))
      return [b.cast(b.node("ArgMax", [x!.name], { axis, keepdims: 0 })[0]!, "i32")];
    // The least number of those that are as great as the greatest.
    const n = x!.shape[axis]!;
    const line = x!.shape.map((_, i) => (i === axis ? n : 1));
    const numbers = b.constant("i32", line, [...Array(n).keys()]);
    const top = b.node("ReduceMax", [x!.name, b.ints([axis])], { keepdims: 1 })[0]!;
    const is = b.node("Equal", [x!.name, top])[0]!;
    const found = b.node("Where", [is, numbers, b.scalar("i32", n)])[0]!;
    return b.node("ReduceMin", [found, b.ints([axis])], { keepdims: 0 });
  },
  stablehlo: "decompose",
  cases: [
    { name: "rows", inputs: [normal([4, 6], 1)], attrs: { axis: 1 } },
    {
      name: "ties take the first",
      inputs: [given("i32", [2, 4], [3, 7, 7, 1, 0, 0, 0, 0])],
      attrs: { axis: 1 },
    },
    { name: "columns", inputs: [normal([4, 3], 2)], attrs: { axis: 0 } },
  ],
};
/** i32 position of the greatest element along `axis`; the first among equals. */
export const argmax = (x: Tensor, axis: number): Tensor =>
  apply(argmaxOp, [x], { axis: normalizeAxis("argmax", axis, x.rank) })[0]!;

const sumOfSquaresOp: Op<Record<never, never>> = {
  name: "sumOfSquares",
  doc: "The squares of all elements, summed: [..] gives f32[].",
  source: "ONNX ReduceSumSquare",
  traits: ["reduction"],
  infer([x]) {
    requireFloat("sumOfSquares", x!);
    return [{ dtype: "f32", shape: [] }];
  },
  reference: ([x]) => [Float64Array.of(x!.data.reduce((n, v) => n + v * v, 0))],
  vjp: ([g], { inputs: [x] }) => [cast(mul(mul(cast(x!, "f32"), 2), g!), x!.dtype)],
  cost: streaming,
  // What bf16 holds is f32 as it is.
  simplify: ([x]) => {
    const [source] = x!.node.inputs;
    return x!.node.op.name === "cast" && source?.dtype === "bf16" ? [sumOfSquares(source)] : undefined;
  },
  decompose([x]) {
    const wide = cast(x!, "f32");
    return [sum(mul(wide, wide))];
  },
  onnx(b, [x]) {
    const wide = (name: string) => (x!.dtype === "f32" ? name : b.cast(name, "f32"));
    const parts = b.dialect.fusesIntoReductions ? 1 : partsOf(x!.shape);
    if (parts === 1) return b.node("ReduceSumSquare", [wide(x!.name)], { keepdims: 0 });
    // The squares of a few parts are added up in one pass, so that only that many times fewer are written to be summed.
    const squares = b
      .node("Split", [x!.name], { axis: 0, num_outputs: parts }, { outputs: parts })
      .map((name) => wide(name))
      .map((name) => b.node("Mul", [name, name])[0]!);
    const total = squares.reduce((sum, square) => b.node("Add", [sum, square])[0]!);
    return b.node("ReduceSum", [total], { keepdims: 0 });
  },
  stablehlo: "decompose",
  cases: [
    { name: "matrix", inputs: [normal([3, 5], 1)], attrs: {} },
    { name: "scalar", inputs: [given("f32", [], [-3])], attrs: {} },
    { name: "large", inputs: [normal([12, 2048], 2)], attrs: {}, smooth: false },
    { name: "bf16", inputs: [given("bf16", [2, 2], [1, -2, 3, 0.5])], attrs: {}, smooth: false },
  ],
};

/** Elements from which on another pass over memory counts. */
const LARGE = 2 ** 14;
/** Operands that a kernel of OpenVINO's holds at once, beside its result. */
const MOST_PARTS = 8;

/** How many equal parts of its first axis a large tensor has, at most. */
function partsOf(shape: Shape): number {
  if (sizeOfShape(shape) < LARGE) return 1;
  const counts = Array.from({ length: MOST_PARTS }, (_, i) => MOST_PARTS - i);
  return counts.find((n) => shape[0]! % n === 0)!;
}

/** The sum of the squares of all elements, f32[]. */
export const sumOfSquares = (x: Tensor): Tensor => apply(sumOfSquaresOp, [x], {})[0]!;

export const reduceOps = [...records, argmaxOp, sumOfSquaresOp];
