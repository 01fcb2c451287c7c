/** The same elements in another shape or place. */

import type { DType } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import {
  broadcastShapes,
  formatType,
  normalizeAxis,
  type Shape,
  sameShape,
  sizeOfShape,
  strides,
} from "../../core/shape.js";
import { free, given, normal, type Op, streaming, type VjpContext } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { broadcastIndex } from "./elementwise.js";
import { sum } from "./reduce.js";
import { constant } from "./source.js";

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
    if (permutation.length !== shape.length || new Set(permutation).size !== shape.length) {
      throw new UsageError(
        `transpose: needs every axis once; got permutation=[${permutation.join(",")}] for ${formatType(x!)}.`,
      );
    }
    return [
      {
        dtype: x!.dtype,
        shape: permutation.map((axis) => shape[normalizeAxis("transpose", axis, shape.length)]!),
      },
    ];
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
  apply(transposeOp, [x], { permutation: permutation ?? x.shape.map((_, i) => x.rank - 1 - i) })[0]!;

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

/** The sum of `g` over the axes along which `shape` was broadcast: the reverse of broadcasting. */
export function unbroadcast(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const lead = g.rank - shape.length;
  const axes = g.shape.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  return reshape(sum(g, axes), shape);
}

interface SliceAttrs {
  readonly start: readonly number[];
  readonly limit: readonly number[];
  readonly step: readonly number[];
  readonly [key: string]: readonly number[];
}

const sliceOp: Op<SliceAttrs> = {
  name: "slice",
  doc: "Elements start, start + step, … below limit, on every axis.",
  source: "ONNX Slice; StableHLO slice",
  traits: ["movement"],
  infer([x], { start, limit, step }) {
    const { shape } = x!;
    const fits = shape.every(
      (d, i) =>
        start[i]! >= 0 &&
        start[i]! <= limit[i]! &&
        limit[i]! <= d &&
        Number.isInteger(step[i]) &&
        step[i]! > 0,
    );
    if (start.length !== shape.length || !fits) {
      throw new UsageError(
        `slice: needs 0 ≤ start ≤ limit ≤ size and step > 0 on every axis; got start=[${start.join(",")}], ` +
          `limit=[${limit.join(",")}], step=[${step.join(",")}] for ${formatType(x!)}.`,
      );
    }
    return [{ dtype: x!.dtype, shape: shape.map((_, i) => Math.ceil((limit[i]! - start[i]!) / step[i]!)) }];
  },
  reference([x], { start, step }, [y]) {
    const from = strides(x!.shape);
    const to = strides(y!.shape);
    const at = (flat: number) =>
      y!.shape.reduce(
        (n, d, i) => n + (start[i]! + (Math.floor(flat / to[i]!) % d) * step[i]!) * from[i]!,
        0,
      );
    return [Float64Array.from({ length: sizeOfShape(y!.shape) }, (_, i) => x!.data[at(i)]!)];
  },
  vjp([g], { inputs, attrs: { start, step } }: VjpContext<SliceAttrs>) {
    const { shape } = inputs[0]!;
    const interior = step.map((s) => s - 1);
    const spread = (i: number) => Math.max(0, (g!.shape[i]! - 1) * step[i]! + 1);
    return [pad(g!, { low: start, high: shape.map((d, i) => d - start[i]! - spread(i)), interior })];
  },
  cost: streaming,
  simplify: ([x], { start, limit, step }) =>
    x!.shape.every((d, i) => start[i] === 0 && limit[i] === d && step[i] === 1) ? [x!] : undefined,
  decompose: "primitive",
  onnx(b, [x], { start, limit, step }) {
    const axes = x!.shape
      .map((_, i) => i)
      .filter((i) => start[i] !== 0 || limit[i] !== x!.shape[i] || step[i] !== 1);
    const pick = (list: readonly number[]) => b.ints(axes.map((i) => list[i]!));
    return b.node("Slice", [x!.name, pick(start), pick(limit), b.ints(axes), pick(step)]);
  },
  stablehlo(b, [x], { start, limit, step }, [y]) {
    const ranges = start.map((s, i) => `${s}:${limit[i]}:${step[i]}`).join(", ");
    return [b.emit(`stablehlo.slice ${x!.name} [${ranges}] : (${b.typeOf(x!)}) -> ${b.typeOf(y!)}`)];
  },
  cases: [
    {
      name: "inner block",
      inputs: [normal([4, 6], 1)],
      attrs: { start: [1, 2], limit: [3, 5], step: [1, 1] },
    },
    {
      name: "every second",
      inputs: [normal([5, 7], 2)],
      attrs: { start: [0, 1], limit: [5, 7], step: [2, 3] },
    },
    { name: "nothing", inputs: [normal([2, 3], 3)], attrs: { start: [1, 0], limit: [1, 3], step: [1, 1] } },
  ],
};

/** `x` from `start` to `limit` (exclusive) along one axis, every `step`-th. */
export function slice(x: Tensor, axis: number, start: number, limit: number, step = 1): Tensor {
  const at = normalizeAxis("slice", axis, x.rank);
  const on = (all: number, one: number) => x.shape.map((d, i) => (i === at ? one : all === -1 ? d : all));
  return apply(sliceOp, [x], { start: on(0, start), limit: on(-1, limit), step: on(1, step) })[0]!;
}

interface SplitAttrs {
  readonly axis: number;
  readonly parts: number;
  readonly [key: string]: number;
}

const splitOp: Op<SplitAttrs> = {
  name: "split",
  doc: "Equal parts along one axis, as so many outputs.",
  source: "ONNX Split; StableHLO slice",
  traits: ["movement"],
  infer([x], { axis, parts }) {
    const width = x!.shape[normalizeAxis("split", axis, x!.shape.length)]! / parts;
    if (!Number.isInteger(width)) {
      throw new UsageError(
        `split: ${parts} parts must divide the axis; got ${formatType(x!)}, axis=${axis}.`,
      );
    }
    const shape = x!.shape.map((d, i) => (i === axis ? width : d));
    return Array.from({ length: parts }, () => ({ dtype: x!.dtype, shape }));
  },
  reference([x], { axis, parts }, [y]) {
    const row = strides(x!.shape)[axis]! * x!.shape[axis]!;
    const width = row / parts;
    return Array.from({ length: parts }, (_, part) =>
      Float64Array.from({ length: sizeOfShape(y!.shape) }, (_, i) => {
        return x!.data[Math.floor(i / width) * row + part * width + (i % width)]!;
      }),
    );
  },
  vjp(g, { outputs, attrs }) {
    const whole = outputs.map((y, i) => g[i] ?? broadcastTo(constant(0, { dtype: y.dtype }), y.shape));
    return [concat(whole, attrs.axis)];
  },
  cost: streaming,
  simplify: ([x], { parts }) => (parts === 1 ? [x!] : undefined),
  decompose: ([x], { axis, parts }) => {
    const width = x!.shape[axis]! / parts;
    return Array.from({ length: parts }, (_, i) => slice(x!, axis, i * width, (i + 1) * width));
  },
  onnx: (b, [x], { axis, parts }) =>
    b.node("Split", [x!.name], { axis, num_outputs: parts }, { outputs: parts }),
  stablehlo: "decompose",
  cases: [
    { name: "columns", inputs: [normal([2, 6], 1)], attrs: { axis: 1, parts: 3 } },
    { name: "outermost", inputs: [normal([4, 3], 2)], attrs: { axis: 0, parts: 2 } },
  ],
};

/** Equal parts of `x` along `axis`. */
export const split = (x: Tensor, axis: number, parts: number): Tensor[] =>
  apply(splitOp, [x], { axis: normalizeAxis("split", axis, x.rank), parts });

interface ConcatAttrs {
  readonly axis: number;
  readonly [key: string]: number;
}

const concatOp: Op<ConcatAttrs> = {
  name: "concat",
  doc: "Tensors after each other along one axis.",
  source: "ONNX Concat; StableHLO concatenate",
  traits: ["movement"],
  infer(inputs, { axis }) {
    const [first] = inputs;
    const rest = (shape: Shape) => shape.filter((_, i) => i !== axis);
    if (
      !first ||
      inputs.some((x) => x.dtype !== first.dtype || !sameShape(rest(x.shape), rest(first.shape)))
    ) {
      throw new UsageError(
        `concat: needs one dtype and equal sizes off axis ${axis}; got ${inputs.map(formatType).join(", ")}.`,
      );
    }
    const size = inputs.reduce((n, x) => n + x.shape[axis]!, 0);
    return [{ dtype: first.dtype, shape: first.shape.map((d, i) => (i === axis ? size : d)) }];
  },
  reference(inputs, { axis }, [y]) {
    const out = new Float64Array(sizeOfShape(y!.shape));
    const inner = strides(y!.shape)[axis]!;
    const row = y!.shape[axis]! * inner;
    let column = 0;
    for (const x of inputs) {
      const width = x.shape[axis]! * inner;
      for (let r = 0; width > 0 && r * width < x.data.length; r++) {
        out.set(x.data.subarray(r * width, (r + 1) * width), r * row + column);
      }
      column += width;
    }
    return [out];
  },
  vjp([g], { inputs, attrs: { axis } }) {
    let at = 0;
    return inputs.map((x) => {
      const start = at;
      at += x.shape[axis]!;
      return slice(g!, axis, start, at);
    });
  },
  cost: streaming,
  simplify: (inputs) => (inputs.length === 1 ? [inputs[0]!] : undefined),
  decompose: "primitive",
  onnx: (b, inputs, { axis }) =>
    b.node(
      "Concat",
      inputs.map((x) => x.name),
      { axis },
    ),
  stablehlo: (b, inputs, { axis }, [y]) => [
    b.emit(
      `stablehlo.concatenate ${inputs.map((x) => x.name).join(", ")}, dim = ${axis} : (${inputs.map(b.typeOf).join(", ")}) -> ${b.typeOf(y!)}`,
    ),
  ],
  cases: [
    {
      name: "columns",
      inputs: [normal([2, 3], 1), normal([2, 1], 2), normal([2, 2], 3)],
      attrs: { axis: 1 },
    },
    { name: "rows", inputs: [normal([1, 3], 4), normal([2, 3], 5)], attrs: { axis: 0 } },
  ],
};

/** Tensors joined along `axis`. */
export const concat = (inputs: readonly Tensor[], axis: number): Tensor =>
  apply(concatOp, inputs, { axis: normalizeAxis("concat", axis, inputs[0]?.rank ?? 0) })[0]!;

interface PadAttrs {
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly interior: readonly number[];
  readonly [key: string]: readonly number[];
}

const padOp: Op<PadAttrs> = {
  name: "pad",
  doc: "Zeros before, after and between the elements of every axis.",
  source: "StableHLO pad; ONNX Pad, Reshape, Slice",
  traits: ["movement"],
  infer([x], { low, high, interior }) {
    const { shape } = x!;
    const all = [low, high, interior];
    if (all.some((list) => list.length !== shape.length || list.some((n) => n < 0 || !Number.isInteger(n)))) {
      throw new UsageError(
        `pad: needs counts ≥ 0 for every axis of ${formatType(x!)}; got low=[${low.join(",")}], high=[${high.join(",")}], interior=[${interior.join(",")}].`,
      );
    }
    return [
      {
        dtype: x!.dtype,
        shape: shape.map((d, i) => low[i]! + d + Math.max(0, d - 1) * interior[i]! + high[i]!),
      },
    ];
  },
  reference([x], { low, interior }, [y]) {
    const out = new Float64Array(sizeOfShape(y!.shape));
    const from = strides(x!.shape);
    const to = strides(y!.shape);
    for (let flat = 0; flat < x!.data.length; flat++) {
      let at = 0;
      x!.shape.forEach((d, i) => {
        at += (low[i]! + (Math.floor(flat / from[i]!) % d) * (interior[i]! + 1)) * to[i]!;
      });
      out[at] = x!.data[flat]!;
    }
    return [out];
  },
  vjp([g], { inputs, attrs: { low, interior } }) {
    const { shape } = inputs[0]!;
    const limit = shape.map((d, i) => low[i]! + Math.max(0, d - 1) * (interior[i]! + 1) + Math.min(d, 1));
    return [apply(sliceOp, [g!], { start: [...low], limit, step: interior.map((n) => n + 1) })[0]!];
  },
  cost: streaming,
  simplify: ([x], attrs) =>
    Object.values(attrs).every((list) => list.every((n) => n === 0)) ? [x!] : undefined,
  decompose: "primitive",
  onnx(b, [x], { low, high, interior }) {
    let name = x!.name;
    let shape = [...x!.shape];
    interior.forEach((gap, axis) => {
      if (gap === 0 || shape[axis]! < 2) return;
      // Each element becomes a row of itself and `gap` zeros; the last row's zeros are cut off.
      const rows = [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)];
      const widths = [...rows.map(() => 0), ...rows.map((_, i) => (i === axis + 1 ? gap : 0))];
      const column = b.node("Reshape", [name, b.ints(rows)])[0]!;
      const padded = b.node("Pad", [column, b.ints(widths), b.scalar(x!.dtype, 0)])[0]!;
      const spread = shape.map((d, i) => (i === axis ? d * (gap + 1) : d));
      const flat = b.node("Reshape", [padded, b.ints(spread)])[0]!;
      const end = spread[axis]! - gap;
      name = b.node("Slice", [flat, b.ints([0]), b.ints([end]), b.ints([axis])])[0]!;
      shape = spread.map((d, i) => (i === axis ? end : d));
    });
    if ([...low, ...high].every((n) => n === 0))
      return name === x!.name ? b.node("Identity", [name]) : [name];
    return b.node("Pad", [name, b.ints([...low, ...high]), b.scalar(x!.dtype, 0)]);
  },
  stablehlo(b, [x], { low, high, interior }, [y]) {
    const scalar = { dtype: x!.dtype as DType, shape: [] };
    const lists = [low, high, interior].map((list) => `[${list.join(", ")}]`);
    return [
      b.emit(
        `stablehlo.pad ${x!.name}, ${b.constant(scalar, 0)}, low = ${lists[0]}, high = ${lists[1]}, interior = ${lists[2]}` +
          ` : (${b.typeOf(x!)}, ${b.typeOf(scalar)}) -> ${b.typeOf(y!)}`,
      ),
    ];
  },
  cases: [
    { name: "around", inputs: [normal([2, 3], 1)], attrs: { low: [1, 0], high: [0, 2], interior: [0, 0] } },
    { name: "between", inputs: [normal([3, 2], 2)], attrs: { low: [0, 1], high: [0, 0], interior: [1, 2] } },
  ],
};

/** Zeros around (`low`, `high`) and between (`interior`) the elements of every axis. */
export const pad = (
  x: Tensor,
  { low, high, interior }: { low: readonly number[]; high: readonly number[]; interior?: readonly number[] },
): Tensor => apply(padOp, [x], { low, high, interior: interior ?? x.shape.map(() => 0) })[0]!;

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
    for (const axis of axes) normalizeAxis("reverse", axis, x!.shape.length);
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
export const reverse = (x: Tensor, axes: readonly number[]): Tensor => apply(reverseOp, [x], { axes })[0]!;

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
  // The target shape of a (free) Reshape is made to depend on `after`.
  onnx(b, [x, after]) {
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

export const movementOps = [
  reshapeOp,
  transposeOp,
  broadcastOp,
  sliceOp,
  splitOp,
  concatOp,
  padOp,
  reverseOp,
  barrierOp,
];
