/** The same elements in another shape or order. */

import { UsageError } from "../../core/errors.js";
import {
  broadcastShapes,
  distinctAxes,
  formatType,
  type Shape,
  sameShape,
  sizeOfShape,
  strides,
} from "../../core/shape.js";
import { free, given, normal, type Op, streaming } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { broadcastIndex } from "./broadcast.js";

interface ShapeAttrs {
  readonly shape: Shape;
  readonly [key: string]: Shape;
}

const reshapeOp: Op<ShapeAttrs> = {
  name: "reshape",
  doc: "The same elements in row-major order in another shape.",
  source: "ONNX Reshape; StableHLO reshape",
  traits: ["view"],
  infer([x], { shape }) {
    if (sizeOfShape(shape) !== sizeOfShape(x!.shape)) {
      throw new UsageError(
        `reshape: the number of elements must stay; got ${formatType(x!)} (${sizeOfShape(x!.shape)}) to [${shape.join(",")}] (${sizeOfShape(shape)}).`,
      );
    }
    return [{ dtype: x!.dtype, shape }];
  },
  reference: ([x]) => [x!.data.slice()],
  vjp: ([g], { inputs }) => [reshape(g!, inputs[0]!.shape)],
  cost: free,
  simplify([x], { shape }) {
    if (sameShape(x!.shape, shape)) return [x!];
    return x!.node.op.name === "reshape" ? [reshape(x!.node.inputs[0]!, shape)] : undefined;
  },
  decompose: "primitive",
  onnx: (b, [x], { shape }) => b.node("Reshape", [x!.name, b.ints(shape)], { allowzero: 1 }),
  stablehlo: (b, [x], _, [y]) => [
    b.emit(`stablehlo.reshape ${x!.name} : (${b.typeOf(x!)}) -> ${b.typeOf(y!)}`),
  ],
  cases: [
    { name: "split an axis", inputs: [normal([4, 6], 1)], attrs: { shape: [4, 2, 3] } },
    { name: "to a scalar", inputs: [normal([1, 1], 2)], attrs: { shape: [] } },
    { name: "integers", inputs: [given("i32", [4], [1, 2, 3, 4])], attrs: { shape: [2, 2] } },
  ],
};

/** `x` with another shape; one size may be -1 and is then worked out. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
  const full = shape.map((d) => (d === -1 ? sizeOfShape(x.shape) / known : d));
  return sameShape(full, x.shape) ? x : apply(reshapeOp, [x], { shape: full })[0]!;
}

/** `x` as another tensor, which gradients tell from it; simplified away before a program runs. */
export const alias = (x: Tensor): Tensor => apply(reshapeOp, [x], { shape: x.shape })[0]!;

interface TransposeAttrs {
  readonly permutation: readonly number[];
  readonly [key: string]: readonly number[];
}

const invert = (permutation: readonly number[]): number[] => {
  const out = new Array<number>(permutation.length);
  permutation.forEach((from, to) => {
    out[from] = to;
  });
  return out;
};

const transposeOp: Op<TransposeAttrs> = {
  name: "transpose",
  doc: "Axes in another order: output axis i is input axis permutation[i].",
  source: "ONNX Transpose; StableHLO transpose",
  traits: ["movement"],
  infer([x], { permutation }) {
    const { shape } = x!;
    const axes = distinctAxes("transpose", permutation, shape.length);
    if (axes.length !== shape.length) {
      throw new UsageError(
        `transpose: needs every axis once; got permutation=[${permutation.join(",")}] for ${formatType(x!)}.`,
      );
    }
    return [{ dtype: x!.dtype, shape: axes.map((axis) => shape[axis]!) }];
  },
  reference([x], { permutation }, [y]) {
    const from = strides(x!.shape);
    const to = strides(y!.shape);
    const at = (flat: number) =>
      permutation.reduce(
        (sumOf, axis, i) => sumOf + (Math.floor(flat / to[i]!) % y!.shape[i]!) * from[axis]!,
        0,
      );
    return [Float64Array.from({ length: x!.data.length }, (_, i) => x!.data[at(i)]!)];
  },
  vjp: ([g], { attrs }) => [transpose(g!, invert(attrs.permutation))],
  cost: streaming,
  simplify([x], { permutation }) {
    if (permutation.every((axis, i) => axis === i)) return [x!];
    const moved = permutation.filter((axis) => x!.shape[axis] !== 1);
    if (moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)) {
      return [
        reshape(
          x!,
          permutation.map((axis) => x!.shape[axis]!),
        ),
      ];
    }
    if (x!.node.op.name !== "transpose") return undefined;
    const inner = x!.node.attrs.permutation as readonly number[];
    return [
      transpose(
        x!.node.inputs[0]!,
        permutation.map((axis) => inner[axis]!),
      ),
    ];
  },
  decompose: "primitive",
  onnx: (b, [x], { permutation }) => b.node("Transpose", [x!.name], { perm: permutation }),
  stablehlo: (b, [x], { permutation }, [y]) => [
    b.emit(
      `stablehlo.transpose ${x!.name}, dims = [${permutation.join(", ")}] : (${b.typeOf(x!)}) -> ${b.typeOf(y!)}`,
    ),
  ],
  cases: [
    { name: "matrix", inputs: [normal([2, 3], 1)], attrs: { permutation: [1, 0] } },
    { name: "heads forward", inputs: [normal([2, 3, 2, 4], 2)], attrs: { permutation: [0, 2, 1, 3] } },
    { name: "rotation", inputs: [normal([2, 3, 4], 3)], attrs: { permutation: [2, 0, 1] } },
  ],
};

/** Axes of `x` in the order of `permutation`; default reversed. */
export const transpose = (x: Tensor, permutation?: readonly number[]): Tensor =>
  apply(transposeOp, [x], {
    permutation: distinctAxes("transpose", permutation ?? x.shape.map((_, i) => x.rank - 1 - i), x.rank),
  })[0]!;

const broadcastOp: Op<ShapeAttrs> = {
  name: "broadcast",
  doc: "Sizes of 1 and missing leading axes repeated, as in numpy.",
  source: "ONNX Expand; StableHLO broadcast_in_dim",
  traits: ["movement"],
  infer([x], { shape }) {
    if (!sameShape(broadcastShapes("broadcast", x!.shape, shape), shape)) {
      throw new UsageError(`broadcast: ${formatType(x!)} does not broadcast to [${shape.join(",")}].`);
    }
    return [{ dtype: x!.dtype, shape }];
  },
  reference([x], { shape }) {
    const at = broadcastIndex(x!.shape, shape);
    return [Float64Array.from({ length: sizeOfShape(shape) }, (_, i) => x!.data[at(i)]!)];
  },
  // The walk sums over what was repeated.
  vjp: ([g]) => [g!],
  cost: streaming,
  simplify: ([x], { shape }) => (sameShape(x!.shape, shape) ? [x!] : undefined),
  decompose: "primitive",
  onnx: (b, [x], { shape }) => b.node("Expand", [x!.name, b.ints(shape)]),
  stablehlo: (b, [x], { shape }) => [b.broadcast(x!, shape)],
  cases: [
    { name: "column", inputs: [normal([3, 1], 1)], attrs: { shape: [3, 4] } },
    { name: "new axes", inputs: [normal([3], 2)], attrs: { shape: [2, 2, 3] } },
    { name: "scalar", inputs: [given("f32", [], [2])], attrs: { shape: [2, 2] } },
  ],
};

/** `x` repeated to `shape` by numpy's rules. */
export const broadcastTo = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply(broadcastOp, [x], { shape })[0]!;

interface ReverseAttrs {
  readonly axes: readonly number[];
  readonly [key: string]: readonly number[];
}

const reverseOp: Op<ReverseAttrs> = {
  name: "reverse",
  doc: "Elements in the opposite order along axes.",
  source: "StableHLO reverse; ONNX Slice with step -1",
  traits: ["movement"],
  infer([x], { axes }) {
    distinctAxes("reverse", axes, x!.shape.length);
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  reference([x], { axes }) {
    const steps = strides(x!.shape);
    const at = (flat: number) =>
      x!.shape.reduce((n, d, i) => {
        const position = Math.floor(flat / steps[i]!) % d;
        return n + (axes.includes(i) ? d - 1 - position : position) * steps[i]!;
      }, 0);
    return [Float64Array.from({ length: x!.data.length }, (_, i) => x!.data[at(i)]!)];
  },
  vjp: ([g], { attrs }) => [reverse(g!, attrs.axes)],
  cost: streaming,
  simplify: ([x], { axes }) => (axes.every((i) => x!.shape[i] === 1) ? [x!] : undefined),
  decompose: "primitive",
  onnx(b, [x], { axes }) {
    const ends = axes.map(() => Number.MIN_SAFE_INTEGER);
    return b.node("Slice", [
      x!.name,
      b.ints(axes.map(() => -1)),
      b.ints(ends),
      b.ints(axes),
      b.ints(axes.map(() => -1)),
    ]);
  },
  stablehlo: (b, [x], { axes }) => [
    b.emit(`stablehlo.reverse ${x!.name}, dims = [${axes.join(", ")}] : ${b.typeOf(x!)}`),
  ],
  cases: [{ name: "both axes", inputs: [normal([2, 3], 1)], attrs: { axes: [0, 1] } }],
};

/** `x` back to front along `axes`. */
export const reverse = (x: Tensor, axes: readonly number[]): Tensor =>
  apply(reverseOp, [x], { axes: distinctAxes("reverse", axes, x.rank) })[0]!;

const MAX_F32 = (2 - 2 ** -23) * 2 ** 127;

const barrierOp: Op<Record<never, never>> = {
  name: "barrier",
  doc: "x, but not before `after` has been computed; keeps a recomputation from being merged with the original.",
  source: "StableHLO optimization_barrier",
  traits: ["view", "barrier"],
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  reference: ([x]) => [x!.data.slice()],
  vjp: ([g]) => [g!, undefined],
  cost: free,
  simplify: "never",
  decompose: "primitive",
  // The target shape of a (free) Reshape is made to depend on `after`; or, for compilers that see through that, x is
  // held against the least of all numbers and `after`'s first.
  onnx(b, [x, after]) {
    if (b.dialect.seesThroughShapes) {
      if (x!.dtype !== "f32") return b.node("Identity", [x!.name]);
      const first = b.node("Reshape", [after!.name, b.ints([-1])])[0]!;
      const one = b.node("Slice", [first, b.ints([0]), b.ints([1])])[0]!;
      const scalar = b.node("Reshape", [b.cast(one, "f32"), b.ints([])])[0]!;
      return b.node("Max", [x!.name, b.node("Min", [scalar, b.scalar("f32", -MAX_F32)])[0]!]);
    }
    const rank = b.node("Size", b.node("Shape", [after!.name]))[0]!;
    const zero = b.node("Mul", [rank, b.scalar("i64", 0)])[0]!;
    return b.node("Reshape", [x!.name, b.node("Add", [zero, b.ints(x!.shape)])[0]!], { allowzero: 1 });
  },
  stablehlo(b, [x, after]) {
    const both = `${b.typeOf(x!)}, ${b.typeOf(after!)}`;
    const pair = b.emit(`stablehlo.optimization_barrier ${x!.name}, ${after!.name} : ${both}`, 2);
    return [`${pair}#0`];
  },
  cases: [{ name: "passes x on", inputs: [normal([2, 3], 1), normal([2], 2)], attrs: {} }],
};

/** `x`, computed only after `after`. */
export const barrier = (x: Tensor, after: Tensor): Tensor => apply(barrierOp, [x, after], {})[0]!;

export const movementOps = [reshapeOp, transposeOp, broadcastOp, reverseOp, barrierOp];
