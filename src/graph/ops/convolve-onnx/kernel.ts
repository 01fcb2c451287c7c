/** Ways to write the kernel's cotangent in ONNX: x correlated with g. */

import type { DType } from "../../../core/dtype.js";
import type { OnnxContext } from "../../emit/context.js";
import type { Rates } from "../../emit/dialect.js";
import {
  area,
  blockedConv,
  type Convolution,
  gemmRate,
  imageSize,
  isDepthwise,
  isUnit,
  isZero,
  kernelSize,
  macs,
  REORDERED_BY,
  reshape,
  resultSize,
  slice,
  toBlocks,
  transpose,
  type Way,
} from "./way.js";

/** The image without rows and columns that no window reached, and the padding that the windows reach into. */
function reached(b: OnnxContext, x: string, of: Convolution) {
  const { H, W, h, v, kernel, stride, padding } = of;
  const high = [0, 1].map((i) => {
    const reach = ([h, v][i]! - 1) * stride[i]! + kernel[i]!;
    return reach - [H, W][i]! - padding[i]!;
  });
  const size = [H + Math.min(0, high[0]!), W + Math.min(0, high[1]!)];
  const cut = high.some((n) => n < 0)
    ? slice(b, x, [
        { axis: 2, start: 0, limit: size[0]! },
        { axis: 3, start: 0, limit: size[1]! },
      ])
    : x;
  const pads = [padding[0]!, padding[1]!, Math.max(0, high[0]!), Math.max(0, high[1]!)];
  return { image: cut, size, pads };
}

/** Batch and channels exchanged: channels are convolved with the cotangents as kernels. */
const exchangedConv: Way = {
  name: "exchanged conv",
  estimate: (of, { rates }) =>
    macs(of) / (isDepthwise(of) ? rates.intoDepthwiseKernel : rates.intoKernel) +
    (imageSize(of) + resultSize(of)) / rates.copy,
  write(b, [x, g], of) {
    const { B, C, h, v, groups, stride } = of;
    const { image, size, pads } = reached(b, x, of);
    // Per group: images as [C/G,G·B,H,W], cotangents as kernels [O,B,h,v], G groups of B channels.
    const rows = transpose(b, reshape(b, image, [B, groups, C / groups, area(size)]), [2, 1, 0, 3]);
    const images = reshape(b, rows, [C / groups, groups * B, ...size]);
    const window = { kernel_shape: [h, v], dilations: stride, pads, group: groups };
    const y = b.node("Conv", [images, transpose(b, g, [1, 0, 2, 3])], window)[0]!;
    return transpose(b, y, [1, 0, 2, 3]);
  },
};

/** Depthwise: each channel of each image by itself is convolved with its cotangent; then the sum over images. */
const blockedChannels: Way = {
  name: "blocked channels",
  estimate(of, { channelBlock, rates }) {
    const fits = channelBlock > 0 && of.dtype === "f32" && (of.B * of.C) % REORDERED_BY === 0;
    if (!fits || !isDepthwise(of)) return undefined;
    const copies = (imageSize(of) + resultSize(of)) / rates.reorder + (of.B * kernelSize(of)) / rates.copy;
    return macs(of) / rates.blockedIntoKernel + copies;
  },
  write(b, [x, g], of) {
    const { B, C, h, v, kernel, stride } = of;
    const { image, size, pads } = reached(b, x, of);
    const filled = Math.ceil((B * C) / b.dialect.channelBlock) * b.dialect.channelBlock;
    const images = toBlocks(b, reshape(b, image, [1, B * C, ...size]));
    const kernels = reshape(b, toBlocks(b, reshape(b, g, [1, B * C, h, v])), [filled, 1, h, v]);
    const window = { kernel_shape: [h, v], dilations: stride, pads, group: filled };
    const each = reshape(b, blockedConv(b, images, kernels, window, B * C), [B, C, 1, ...kernel]);
    return b.node("ReduceSum", [each, b.ints([0])], { keepdims: 0 })[0]!;
  },
};

/**
 * Depthwise: for each channel and column q of the kernel all rows of cotangents g[i,(b,s)] times all rows of the image
 * x[j,(b,s+q)], a product that has every row (p,q) of the kernel on a diagonal: dw[p,q] = Σᵢ (g xᵀ)[i, i + p].
 * Most of what is multiplied is thrown away, at the rate of products.
 */
const rowsByRows: Way = {
  name: "rows by rows",
  estimate(of, { rates }) {
    if (!isDepthwise(of)) return undefined;
    const { B, C, h, v, kernel } = of;
    const { rows, width } = padded(of);
    const [kh, kw] = kernel as [number, number];
    const copies = B * C * (rows * width + 2 * kw * rows * v + h * v);
    const products = C * h * rows * kw;
    return (
      (products * B * v) / gemmRate(rates, h, rows * kw) +
      (copies + products) / rates.copy +
      (C * h * kh * kw) / rates.sum
    );
  },
  write(b, [x, g], of) {
    const { B, C, h, v, kernel, stride, dtype } = of;
    const [kh, kw] = kernel as [number, number];
    const [down, right] = stride as [number, number];
    const { rows, high } = padded(of);
    // [C,rows,B,width]
    const image = transpose(b, reachedOnly(b, x, of, high), [1, 2, 0, 3]);
    const columns = Array.from({ length: kw }, (_, q) =>
      slice(b, image, [{ axis: 3, start: q, limit: q + (v - 1) * right + 1, step: right }]),
    );
    const met = columns.map((column) => reshape(b, column, [C, rows, 1, B * v]));
    const all = reshape(b, b.node("Concat", met, { axis: 2 })[0]!, [C, rows * kw, B * v]);
    const cotangents = reshape(b, transpose(b, g, [1, 2, 0, 3]), [C, h, B * v]);
    const products = reshape(b, byRows(b, cotangents, all), [C, h * rows, kw]);
    // Rows of `rows + down` begin one diagonal step further each.
    const longer = b.node("Pad", [products, b.ints([0, 0, 0, 0, h * down, 0]), b.scalar(dtype, 0)])[0]!;
    const skewed = reshape(b, longer, [C, h, rows + down, kw]);
    const diagonals = slice(b, skewed, [{ axis: 2, start: 0, limit: kh }]);
    const sums = b.node("ReduceSum", [diagonals, b.ints([1])], { keepdims: 0 })[0]!;
    return reshape(b, sums, [C, 1, kh, kw]);
  },
};

/** Rows and columns of the image that windows reach, padding included, and how much padding they reach below and to the right. */
function padded({ H, W, h, v, kernel, stride, padding }: Convolution) {
  const [rows, width] = [h, v].map((n, i) => (n - 1) * stride[i]! + kernel[i]!) as [number, number];
  return { rows, width, high: [rows - H - padding[0]!, width - W - padding[1]!] as const };
}

/** The padded image, without what no window reaches. */
function reachedOnly(b: OnnxContext, x: string, of: Convolution, high: readonly [number, number]): string {
  const widths = [0, 0, of.padding[0]!, of.padding[1]!, 0, 0, ...high];
  // Negative widths take away.
  return isZero(widths) ? x : b.node("Pad", [x, b.ints(widths), b.scalar(of.dtype, 0)])[0]!;
}

/**
 * What each element of the kernel meets: a slice of the padded image for every one of `kernel`, rows first.
 * `axes` are the image's vertical and horizontal axis.
 */
function taps(b: OnnxContext, x: string, of: Convolution, axes: readonly [number, number]): string[] {
  const { H, W, h, v, kernel, stride, padding } = of;
  const [kh, kw] = kernel as [number, number];
  const low = padding.slice(0, 2);
  const span = [(h - 1) * stride[0]! + 1, (v - 1) * stride[1]! + 1];
  const high = [0, 1].map((i) => Math.max(0, span[i]! + kernel[i]! - 1 - low[i]! - [H, W][i]!));
  const widths = new Array<number>(8).fill(0);
  axes.forEach((axis, i) => {
    widths[axis] = low[i]!;
    widths[4 + axis] = high[i]!;
  });
  const padded = isZero(widths) ? x : b.node("Pad", [x, b.ints(widths), b.scalar(of.dtype, 0)])[0]!;
  const whole = isUnit(kernel) && isUnit(stride) && isZero(widths) && span[0] === H && span[1] === W;
  if (whole) return [padded];
  return Array.from({ length: kh * kw }, (_, k) => {
    const start = [Math.floor(k / kw), k % kw];
    return slice(
      b,
      padded,
      axes.map((axis, i) => ({ axis, start: start[i]!, limit: start[i]! + span[i]!, step: stride[i]! })),
    );
  });
}

/** `x` moved by zeros before (`low`) and after along one axis; a negative count takes elements away. */
function shift(b: OnnxContext, x: string, dtype: DType, axis: number, low: number, high: number): string {
  if (low === 0 && high === 0) return x;
  const widths = new Array<number>(8).fill(0);
  widths[axis] = low;
  widths[4 + axis] = high;
  return b.node("Pad", [x, b.ints(widths), b.scalar(dtype, 0)])[0]!;
}

/** Rows that `met` gives its tensors. */
const metRows = (of: Convolution): number => (isUnit(of.stride) ? of.H : of.h);

/**
 * For every element (p,q) of the kernel, rows first: the cotangents and the image such that
 * dw[o,c,p,q] = Σ g[b,o,i,s] x[b,c,i,s]. For stride 1 the cotangents are moved p rows and the image q columns, which
 * takes a copy for every row and every column; else the image is sliced for every element.
 */
function met(b: OnnxContext, x: string, g: string, of: Convolution, axes: readonly [number, number]) {
  if (!isUnit(of.stride)) return taps(b, x, of, axes).map((tap) => ({ g, x: tap }));
  const { H, W, h, v, kernel, padding, dtype } = of;
  const rows = Array.from({ length: kernel[0]! }, (_, p) => {
    const low = p - padding[0]!;
    return shift(b, g, dtype, axes[0], low, H - h - low);
  });
  const columns = Array.from({ length: kernel[1]! }, (_, q) => {
    const low = padding[1]! - q;
    return shift(b, x, dtype, axes[1], low, v - W - low);
  });
  return rows.flatMap((row) => columns.map((column) => ({ g: row, x: column })));
}

/** Nanoseconds of the copies in `met`. */
function meeting(rates: Rates, of: Convolution, rate: number): number {
  const { kernel, stride, padding } = of;
  if (!isUnit(stride)) return (area(kernel) * tapSize(of)) / rate;
  const moved = (i: number) =>
    kernel[i]! - (padding[i]! < kernel[i]! && padding[i] === padding[2 + i] ? 1 : 0);
  return (moved(0) * resultSize(of) + moved(1) * imageSize(of)) / rates.copy;
}

/** From [O,C] for every element of the kernel to [O,C,kernel]. */
function gather(b: OnnxContext, parts: readonly string[], { C, O, kernel }: Convolution): string {
  const single = parts.map((part) => reshape(b, part, [O, C, 1]));
  const joined = single.length === 1 ? single[0]! : b.node("Concat", single, { axis: 2 })[0]!;
  return reshape(b, joined, [O, C, ...kernel]);
}

/** [B,O,P] times [B,N,P] transposed: [B,O,N]. */
const byRows = (b: OnnxContext, g: string, x: string): string =>
  b.dialect.fused.includes("FusedMatMul")
    ? b.node("FusedMatMul", [g, x], { transB: 1 }, { domain: "com.microsoft" })[0]!
    : b.node("MatMul", [g, transpose(b, x, [0, 2, 1])])[0]!;

/** [P,O] transposed times [P,C]: [O,C]. */
const byColumns = (b: OnnxContext, g: string, x: string): string =>
  b.dialect.prefersGemm
    ? b.node("Gemm", [g, x], { transA: 1 })[0]!
    : b.node("MatMul", [transpose(b, g, [1, 0]), x])[0]!;

/** [B,O,P] times [B,N,P] transposed, summed over B: [O,N]. */
const summedProduct = (b: OnnxContext, g: string, x: string): string =>
  b.node("ReduceSum", [byRows(b, g, x), b.ints([0])], { keepdims: 0 })[0]!;

const tapSize = ({ B, C, h, v }: Convolution): number => B * C * h * v;

/** For each element of the kernel: image by image g times the part that it meets, then the sum over images. */
const tapsByImage: Way = {
  name: "taps by image",
  estimate(of, { rates }) {
    if (of.groups !== 1) return undefined;
    const { B, C, O, stride } = of;
    const rate = stride[1] === 1 ? rates.copy : rates.scatteredCopy;
    return macs(of) / gemmRate(rates, O, C) + meeting(rates, of, rate) + (B * kernelSize(of)) / rates.sum;
  },
  write(b, [x, g], of) {
    const { B, C, O, v } = of;
    const P = metRows(of) * v;
    const parts = met(b, x, g, of, [2, 3]).map((pair) =>
      summedProduct(b, reshape(b, pair.g, [B, O, P]), reshape(b, pair.x, [B, C, P])),
    );
    return gather(b, parts, of);
  },
};

/** For each element of the kernel: one product over all images, channels innermost. */
const tapsByBatch: Way = {
  name: "taps by batch",
  estimate(of, { rates }) {
    if (of.groups !== 1) return undefined;
    const transposing = (imageSize(of) + resultSize(of)) / rates.copy;
    return macs(of) / gemmRate(rates, of.O, of.C) + meeting(rates, of, rates.copy) + transposing;
  },
  write(b, [x, g], of) {
    const { B, C, O, v } = of;
    const P = B * metRows(of) * v;
    const innermost = (name: string) => transpose(b, name, [0, 2, 3, 1]);
    const parts = met(b, innermost(x), innermost(g), of, [1, 2]).map((pair) =>
      byColumns(b, reshape(b, pair.g, [P, O]), reshape(b, pair.x, [P, C])),
    );
    return gather(b, parts, of);
  },
};

/** Copies of the image that `columns` may make at once: 64 MiB of f32. */
const COLUMNS_LIMIT = 2 ** 24;

/** All elements of the kernel at once: for few channels, whose single taps are too narrow for Gemm. */
const columns: Way = {
  name: "columns",
  estimate(of, { rates }) {
    const { C, O, kernel, stride, groups } = of;
    const copied = area(kernel) * tapSize(of);
    if (groups !== 1 || copied > COLUMNS_LIMIT) return undefined;
    return (
      macs(of) / gemmRate(rates, O, C * area(kernel)) +
      copied / (stride[1] === 1 ? rates.copy : rates.scatteredCopy) +
      copied / rates.copy +
      (of.B * kernelSize(of)) / rates.sum
    );
  },
  write(b, [x, g], of) {
    const { B, C, O, h, v, kernel } = of;
    const K = area(kernel);
    const parts = taps(b, x, of, [2, 3]).map((tap) => reshape(b, tap, [B, C, h * v]));
    const joined = parts.length === 1 ? parts[0]! : b.node("Concat", parts, { axis: 1 })[0]!;
    const sums = reshape(b, summedProduct(b, reshape(b, g, [B, O, h * v]), joined), [O, K, C]);
    return reshape(b, transpose(b, sums, [0, 2, 1]), [O, C, ...kernel]);
  },
};

/** Ways to the kernel's cotangent: operands x, g. */
export const kernelWays: readonly Way[] = [
  exchangedConv,
  blockedChannels,
  rowsByRows,
  tapsByImage,
  tapsByBatch,
  columns,
];
