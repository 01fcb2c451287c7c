/** Ways to write the gradient of max pooling in ONNX; an engine's rates decide. */

import { sizeOfShape } from "../../core/shape.js";
import type { Arg, OnnxContext } from "../emit/context.js";
import type { OnnxDialect } from "../emit/dialect.js";

export interface WindowAttrs {
  /** Vertical, horizontal. */
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  /** Top, left, bottom, right. */
  readonly padding: readonly number[];
  readonly [key: string]: readonly number[];
}

export const poolWindow = ({ kernel, stride, padding }: WindowAttrs) => ({
  kernel_shape: kernel,
  strides: stride,
  pads: padding,
});

type Sizes = readonly [number, number, number, number];

/** One way to write the image's cotangent from x [B,C,H,W] and g [B,C,h,w]. */
export interface PoolGradientWay {
  readonly name: string;
  /** Estimated nanoseconds, or undefined where the way does not apply. */
  estimate(dialect: OnnxDialect, x: Arg, g: Arg, attrs: WindowAttrs): number | undefined;
  write(b: OnnxContext, x: Arg, g: Arg, attrs: WindowAttrs): string;
}

/** Where each window's greatest lies is asked of the pooling, and the cotangents are added there. */
const byIndices: PoolGradientWay = {
  name: "by indices",
  estimate: ({ rates, lacks }, _, g) =>
    lacks.includes("i64") ? undefined : sizeOfShape(g.shape) / rates.scatterAdd,
  write(b, x, g, attrs) {
    const [, indices] = b.node("MaxPool", [x.name], poolWindow(attrs), { outputs: 2 });
    const flat = b.ints([-1]);
    const zeros = b.node("Expand", [b.scalar(x.dtype, 0), b.ints([sizeOfShape(x.shape)])])[0]!;
    const scattered = b.node(
      "ScatterElements",
      [zeros, b.node("Reshape", [indices!, flat])[0]!, b.node("Reshape", [g.name, flat])[0]!],
      { axis: 0, reduction: "add" },
    )[0]!;
    return b.node("Reshape", [scattered, b.ints(x.shape)])[0]!;
  },
};

/**
 * Element by element: which of its elements (taps) is each window's first greatest; then, for each place between two windows' starts,
 * the sum over the windows that reach it, where it is theirs. Images are taken apart into such places before, and joined after.
 */
const byTaps: PoolGradientWay = {
  name: "by taps",
  estimate({ rates }, x, g, { kernel }) {
    const [K, n] = [kernel[0]! * kernel[1]!, sizeOfShape(g.shape)];
    return (4 * K * n + 6 * sizeOfShape(x.shape)) / rates.copy;
  },
  write(b, x, g, attrs) {
    const { kernel, stride, padding } = attrs;
    const [B, C, H, W] = x.shape as [number, number, number, number];
    const [h, w] = g.shape.slice(2) as [number, number];
    const [kh, kw] = kernel as [number, number];
    const [vertical, horizontal] = stride as [number, number];
    const [top, left] = padding as [number, number];
    /** Steps by which windows reach beyond their own place, and lengths in places. */
    const [down, right] = [Math.ceil(kh / vertical) - 1, Math.ceil(kw / horizontal) - 1];
    const [rows, columns] = [h + down, w + right];
    const rest = [rows * vertical - H - top, columns * horizontal - W - left];
    const pad = (name: string, widths: readonly number[], value: number) =>
      widths.every((n) => n === 0)
        ? name
        : b.node("Pad", [name, b.ints(widths), b.scalar(x.dtype, value)])[0]!;
    const zero = b.scalar(x.dtype, 0);

    const framed = pad(x.name, [0, 0, top, left, 0, 0, ...rest], Number.NEGATIVE_INFINITY);
    const places = takeApart(b, framed, [B, C, rows, columns], stride);
    const taps = Array.from({ length: kh * kw }, (_, k) => [Math.floor(k / kw), k % kw] as const);
    const place = (p: number, q: number) => (p % vertical) * horizontal + (q % horizontal);
    const tap = ([p, q]: readonly [number, number]) => {
      const start = [place(p, q) * C, Math.floor(p / vertical), Math.floor(q / horizontal)];
      const limit = [start[0]! + C, start[1]! + h, start[2]! + w];
      return b.node("Slice", [places, b.ints(start), b.ints(limit), b.ints([1, 2, 3])])[0]!;
    };
    const greatest = b.node("MaxPool", [x.name], poolWindow(attrs))[0]!;
    // From the last tap to the first, so that the first stays; of a window of one that one is asked, too: an engine may leave
    // out an input that nothing depends on.
    let winner = b.node("Expand", [b.scalar(x.dtype, taps.length - 1), b.ints(g.shape)])[0]!;
    for (let k = Math.max(0, taps.length - 2); k >= 0; k--) {
      const is = b.node("Equal", [tap(taps[k]!), greatest])[0]!;
      winner = b.node("Where", [is, b.scalar(x.dtype, k), winner])[0]!;
    }

    /** Windows `dy` and `dx` steps before each place. */
    const moved = (name: string, dy: number, dx: number, value: number) =>
      pad(name, [0, 0, dy, dx, 0, 0, down - dy, right - dx], value);
    const sums = Array.from({ length: vertical * horizontal }, (_, at) => {
      const reaching = taps.flatMap(([p, q], k) =>
        place(p, q) === at ? [{ k, dy: Math.floor(p / vertical), dx: Math.floor(q / horizontal) }] : [],
      );
      const parts = reaching.map(({ k, dy, dx }) => {
        const is = b.node("Equal", [moved(winner, dy, dx, -1), b.scalar(x.dtype, k)])[0]!;
        return b.node("Where", [is, moved(g.name, dy, dx, 0), zero])[0]!;
      });
      if (parts.length === 0) return b.node("Expand", [zero, b.ints([B, C, rows, columns])])[0]!;
      return parts.reduce((sum, part) => b.node("Add", [sum, part])[0]!);
    });
    const whole = putTogether(b, sums, [B, C, rows, columns], stride);
    // Negative widths take away.
    return pad(whole, [0, 0, -top, -left, 0, 0, ...rest.map((n) => -n)], 0);
  },
};

/** Images [B,C,v·rows,h·columns] as [B,v·h·C,rows,columns]: one after the other what lies at each place of a block of v × h. */
function takeApart(
  b: OnnxContext,
  x: string,
  [B, C, rows, columns]: Sizes,
  [v, h]: readonly number[],
): string {
  if (v === 1 && h === 1) return x;
  if (v === h && !b.dialect.lacks.includes("SpaceToDepth"))
    return b.node("SpaceToDepth", [x], { blocksize: v! })[0]!;
  const blocks = b.node("Reshape", [x, b.ints([B, C, rows, v!, columns, h!])]);
  const places = b.node("Transpose", blocks, { perm: [0, 3, 5, 1, 2, 4] })[0]!;
  return b.node("Reshape", [places, b.ints([B, v! * h! * C, rows, columns])])[0]!;
}

/** The reverse: `parts` are what lies at each place. */
function putTogether(
  b: OnnxContext,
  parts: readonly string[],
  [B, C, rows, columns]: Sizes,
  [v, h]: readonly number[],
): string {
  const places = parts.length === 1 ? parts[0]! : b.node("Concat", parts, { axis: 1 })[0]!;
  if (v === 1 && h === 1) return places;
  if (v === h) return b.node("DepthToSpace", [places], { blocksize: v!, mode: "DCR" })[0]!;
  const apart = b.node("Reshape", [places, b.ints([B, v!, h!, C, rows, columns])]);
  const blocks = b.node("Transpose", apart, { perm: [0, 3, 4, 1, 5, 2] })[0]!;
  return b.node("Reshape", [blocks, b.ints([B, C, rows * v!, columns * h!])])[0]!;
}

export const poolGradientWays: readonly PoolGradientWay[] = [byIndices, byTaps];

/** The way of the least estimated time among those that apply. */
export function cheapestPoolGradient(
  dialect: OnnxDialect,
  x: Arg,
  g: Arg,
  attrs: WindowAttrs,
): PoolGradientWay {
  const times = poolGradientWays.map((way) => way.estimate(dialect, x, g, attrs) ?? Number.POSITIVE_INFINITY);
  return poolGradientWays[times.indexOf(Math.min(...times))]!;
}
