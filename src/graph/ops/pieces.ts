/** Pieces of tensors: cut out, put side by side, surrounded by zeros. */

import type { DType } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import {
  formatType,
  normalizeAxis,
  sameShape,
  sizeOfShape,
  strides,
  type TensorType,
} from "../../core/shape.js";
import { normal, type Op, streaming, type VjpContext } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { broadcastTo } from "./movement.js";
import { constant } from "./source.js";

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
        [start[i], limit[i], step[i]].every(Number.isInteger) &&
        start[i]! >= 0 &&
        start[i]! <= limit[i]! &&
        limit[i]! <= d &&
        step[i]! > 0,
    );
    if (start.length !== shape.length || !fits) {
      throw new UsageError(
        `slice: needs whole numbers 0 ≤ start ≤ limit ≤ size and step > 0 on every axis; got start=[${start.join(",")}], ` +
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
    if (!Number.isInteger(width) || !Number.isInteger(parts) || parts < 1) {
      throw new UsageError(
        `split: parts must be a whole number that divides the axis; got parts=${parts}, ${formatType(x!)}, axis=${axis}.`,
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
    const fits = ({ dtype, shape }: TensorType) =>
      dtype === first!.dtype &&
      sameShape(
        shape.map((d, i) => (i === axis ? 0 : d)),
        first!.shape.map((d, i) => (i === axis ? 0 : d)),
      );
    if (first === undefined || !inputs.every(fits)) {
      throw new UsageError(
        `concat: needs one dtype and rank, and equal sizes off axis ${axis}; got ${inputs.map(formatType).join(", ")}.`,
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

export const pieceOps = [sliceOp, splitOp, concatOp, padOp];
