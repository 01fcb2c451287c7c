/**
 * How convolutions are written for ONNX Runtime: for each of the three products (the convolution and the cotangents
 * of its image and of its kernel) several ways, and a cost rule that takes the cheapest for the shapes at hand.
 *
 * The rule estimates each way's time from shapes and attributes alone: multiply-adds at the rate of the kernel that
 * does them, and elements that are copied at the rate of the copy. Its constants (`Rate`) were measured with
 * ONNX Runtime 1.30 on two cores of a Zen 5; only their ratios matter. `bench/convolutions.ts` measures every way
 * beside the rule's choice.
 *
 * "Blocked" is ONNX Runtime's own layout [B,C/n,H,W,n] (NCHWc, domain `com.microsoft.nchwc`), n channels wide as the
 * processor's vectors are; its kernels read windows where they lie instead of copying them into columns, and are the
 * only fast depthwise ones. `OnnxContext.channelBlock` says n.
 */

import type { DType } from "../../core/dtype.js";
import type { OnnxContext } from "../emit/onnx.js";

/** A convolution y = x ∗ w by its sizes: x [B,C,H,W], w [O,C/groups,kernel], y [B,O,h,v]. */
export interface Convolution {
  readonly B: number;
  readonly C: number;
  readonly H: number;
  readonly W: number;
  readonly O: number;
  readonly h: number;
  readonly v: number;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  /** Top, left, bottom, right. */
  readonly padding: readonly number[];
  readonly groups: number;
  readonly dtype: DType;
}

/** One way to write one of the products. */
export interface Way {
  readonly name: string;
  /** Estimated nanoseconds, or undefined where the way does not apply. `block` is `OnnxContext.channelBlock`. */
  estimate(of: Convolution, block: number): number | undefined;
  /** Writes it from the names of the operands in the order of the record; gives the result's name. */
  write(b: OnnxContext, operands: readonly [string, string], of: Convolution): string;
}

/** Multiply-adds, or elements copied, in a nanosecond. */
const Rate = {
  /** Gemm. */
  gemm: 95,
  /** Conv by columns and Gemm, where windows overlap; ConvTranspose by Gemm and columns. */
  columns: 65,
  /** Conv that sums over a whole image into a few numbers. */
  intoKernel: 22,
  /** Conv of one channel into one. */
  depthwise: 3,
  blocked: 115,
  blockedDepthwise: 25,
  blockedIntoKernel: 9,
  /** Runs of elements, by one thread: Slice, Pad, Concat, Transpose. */
  copy: 1,
  /** Elements one by one: Slice and Transpose that take the innermost axis apart. */
  scatteredCopy: 0.3,
  /** ReorderInput, ReorderOutput. */
  reorder: 3,
  /** ReduceSum. */
  sum: 2,
  /** Results written, or kernels read anew for every image, beside the multiply-adds. */
  stream: 10,
} as const;

const area = ([a, b]: readonly number[]): number => a! * b!;
const isUnit = (list: readonly number[]): boolean => list.every((n) => n === 1);
const isZero = (list: readonly number[]): boolean => list.every((n) => n === 0);

const macs = ({ B, C, O, h, v, kernel, groups }: Convolution): number =>
  B * O * h * v * (C / groups) * area(kernel);
const imageSize = ({ B, C, H, W }: Convolution): number => B * C * H * W;
const resultSize = ({ B, O, h, v }: Convolution): number => B * O * h * v;
const kernelSize = ({ O, C, groups, kernel }: Convolution): number => O * (C / groups) * area(kernel);
const isDepthwise = ({ C, O, groups }: Convolution): boolean => groups > 1 && C === groups && O === groups;
/** Windows that do not overlap, and with nothing between them, are columns already. */
const overlaps = ({ kernel, stride }: Convolution): boolean => kernel.some((k, i) => k > stride[i]!);

/** Gemm's rate, and what is left of it where one side is a few numbers wide. */
const gemmRate = (rows: number, columns: number): number =>
  Rate.gemm * Math.min(1, Math.min(rows, columns) / 32);

/** Conv's rate: Gemm's where no columns have to be made. */
function plainRate(of: Convolution): number {
  const { C, O, groups } = of;
  if (groups > 1 && C / groups < 8) return Rate.depthwise;
  return (overlaps(of) ? Rate.columns : Rate.gemm) * Math.min(1, O / groups / 16);
}

// Nodes by short names.
type Ranges = readonly { axis: number; start: number; limit: number; step?: number }[];

const transpose = (b: OnnxContext, x: string, perm: readonly number[]): string =>
  b.node("Transpose", [x], { perm })[0]!;
const reshape = (b: OnnxContext, x: string, shape: readonly number[]): string =>
  b.node("Reshape", [x, b.ints(shape)])[0]!;
const slice = (b: OnnxContext, x: string, ranges: Ranges): string =>
  b.node("Slice", [
    x,
    b.ints(ranges.map((r) => r.start)),
    b.ints(ranges.map((r) => r.limit)),
    b.ints(ranges.map((r) => r.axis)),
    b.ints(ranges.map((r) => r.step ?? 1)),
  ])[0]!;
const reverse = (b: OnnxContext, x: string, axes: readonly number[]): string =>
  slice(
    b,
    x,
    axes.map((axis) => ({ axis, start: -1, limit: Number.MIN_SAFE_INTEGER, step: -1 })),
  );

interface Window {
  readonly kernel_shape: readonly number[];
  readonly pads: readonly number[];
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly group: number;
}

const BLOCKED = { domain: "com.microsoft.nchwc" } as const;

const toBlocks = (b: OnnxContext, x: string): string => b.node("ReorderInput", [x], {}, BLOCKED)[0]!;

/** Conv on a blocked image with a blocked kernel; gives plain [B,channels,h,v]. */
function blockedConv(b: OnnxContext, x: string, kernel: string, window: Window, channels: number): string {
  const y = b.node("Conv", [x, kernel], { ...window }, BLOCKED)[0]!;
  return b.node("ReorderOutput", [y], { channels }, BLOCKED)[0]!;
}

// ---- y = x ∗ w

const windowOf = ({ kernel, stride, padding, groups }: Convolution): Window => ({
  kernel_shape: kernel,
  strides: stride,
  pads: padding,
  group: groups,
});

const plainForward: Way = {
  name: "conv",
  estimate: (of) => macs(of) / plainRate(of) + (of.B * kernelSize(of) + 2 * resultSize(of)) / Rate.stream,
  write: (b, operands, of) => b.node("Conv", operands, { ...windowOf(of) })[0]!,
};

/** A convolution's channels in whole blocks: how its inputs come, and how many there are, the last block filled up. */
interface Blocks {
  /** Every channel by itself; too few for a block, so left plain; or blocks. */
  readonly inputs: "depthwise" | "few" | "whole";
  readonly C: number;
  readonly O: number;
}

/** Reordering takes channels in fours. */
const REORDERED = 4;

function blocksOf(of: Convolution, block: number): Blocks | undefined {
  const { O, C, groups, dtype } = of;
  if (block === 0 || dtype !== "f32" || O % REORDERED !== 0) return undefined;
  const filled = (channels: number) => Math.ceil(channels / block) * block;
  if (groups === 1 && C < block) return { inputs: "few", C, O: filled(O) };
  if (C % REORDERED !== 0) return undefined;
  if (isDepthwise(of)) return { inputs: "depthwise", C: filled(C), O: filled(C) };
  const whole = groups === 1 || ((C / groups) % block === 0 && (O / groups) % block === 0);
  return whole ? { inputs: "whole", C: filled(C), O: filled(O) } : undefined;
}

/** Multiply-adds in a nanosecond: few products a sum are no more than what surrounds them. */
function blockedRate({ inputs, C }: Blocks, { kernel }: Convolution): number {
  if (inputs === "depthwise") return Rate.blockedDepthwise;
  return Rate.blocked * (inputs === "few" ? Math.min(1, (C * area(kernel)) / 64) : 1);
}

/** The kernel [O,I,h,w] with zeros for the channels that fill up the last blocks. */
function filledKernel(
  b: OnnxContext,
  w: string,
  from: readonly [number, number],
  to: readonly [number, number],
) {
  if (from[0] === to[0] && from[1] === to[1]) return w;
  const widths = [0, 0, 0, 0, to[0] - from[0], to[1] - from[1], 0, 0];
  return b.node("Pad", [w, b.ints(widths), b.scalar("f32", 0)])[0]!;
}

/** Moving image, result and kernel into blocks and out of them. */
function reorderings(of: Convolution): number {
  return (imageSize(of) + resultSize(of)) / Rate.reorder + kernelSize(of) / Rate.copy;
}

const blockedForward: Way = {
  name: "blocked conv",
  estimate(of, block) {
    const blocks = blocksOf(of, block);
    if (blocks === undefined) return undefined;
    const filled = isDepthwise(of) ? blocks.C / of.C : (blocks.C / of.C) * (blocks.O / of.O);
    return (macs(of) * filled) / blockedRate(blocks, of) + reorderings(of);
  },
  write(b, [x, w], of) {
    const n = b.channelBlock;
    const { inputs, C, O } = blocksOf(of, n)!;
    const K = area(of.kernel);
    if (inputs === "depthwise") {
      const filter = toBlocks(b, reshape(b, w, [1, of.C, ...of.kernel])); // [1,C/n,K,n]
      const each = { ...windowOf(of), group: C };
      return blockedConv(b, toBlocks(b, x), reshape(b, filter, [C, 1, ...of.kernel]), each, of.O);
    }
    const I = C / of.groups;
    const kernel = filledKernel(b, w, [of.O, of.C / of.groups], [O, I]);
    // n outputs innermost: [O/n,n,I·K] to [O/n,I·K,n]; then, where inputs come in blocks, [.., K,n inputs,n outputs].
    let filter = toBlocks(b, reshape(b, kernel, [O / n, n, I, K]));
    if (inputs === "whole" && K > 1)
      filter = transpose(b, reshape(b, filter, [(O * I) / n / n, n, K, n]), [0, 2, 1, 3]);
    const image = inputs === "few" ? x : toBlocks(b, x);
    return blockedConv(b, image, reshape(b, filter, [O, I, ...of.kernel]), windowOf(of), of.O);
  },
};

/** Ways to convolve: operands x, w. */
export const forwardWays: readonly Way[] = [plainForward, blockedForward];

// ---- dx: g spread over the image by w

/** For stride 1, dx is itself a convolution: of g with the kernel turned round and its channels exchanged. */
function turned(of: Convolution): Convolution | undefined {
  const { kernel, padding, stride } = of;
  const pads = padding.map((p, i) => kernel[i % 2]! - 1 - p);
  if (!isUnit(stride) || pads.some((p) => p < 0)) return undefined;
  return { ...of, C: of.O, O: of.C, H: of.h, W: of.v, h: of.H, v: of.W, padding: pads };
}

const spread: Way = {
  name: "convTranspose",
  estimate: (of) =>
    macs(of) / (plainRate(of) === Rate.depthwise ? Rate.depthwise / 2 : Rate.columns) +
    imageSize(of) / Rate.copy,
  write(b, operands, of) {
    const { kernel, stride, padding } = of;
    const rest = [0, 1].map((i) => {
      const covered = ([of.h, of.v][i]! - 1) * stride[i]! + kernel[i]! - padding[i]! - padding[2 + i]!;
      return [of.H, of.W][i]! - covered;
    });
    return b.node("ConvTranspose", operands, { ...windowOf(of), output_padding: rest })[0]!;
  },
};

const turnedConv: Way = {
  name: "turned conv",
  estimate(of) {
    const conv = turned(of);
    const rate = isUnit(of.kernel) ? Rate.copy : Rate.scatteredCopy;
    return conv && plainForward.estimate(conv, 0)! + kernelSize(of) / rate;
  },
  write(b, [g, w], of) {
    const conv = turned(of)!;
    const { C, O, groups, kernel } = of;
    const round = isUnit(kernel) ? w : reverse(b, w, [2, 3]);
    if (isDepthwise(of)) return plainForward.write(b, [g, round], conv);
    const split = reshape(b, round, [groups, O / groups, C / groups, area(kernel)]);
    const exchanged = reshape(b, transpose(b, split, [0, 2, 1, 3]), [C, O / groups, ...kernel]);
    return plainForward.write(b, [g, exchanged], conv);
  },
};

const blockedTurnedConv: Way = {
  name: "blocked turned conv",
  estimate(of, block) {
    const conv = turned(of);
    const blocks = conv && blocksOf(conv, block);
    return blocks === undefined || blocks.inputs === "few"
      ? undefined
      : blockedForward.estimate(conv!, block);
  },
  write(b, [g, w], of) {
    const n = b.channelBlock;
    const conv = turned(of)!;
    const blocks = blocksOf(conv, n)!;
    // In the names of the convolution that is turned: from its results O to its image's C.
    const [O, C] = [blocks.C, blocks.O];
    const { groups, kernel } = of;
    const K = area(kernel);
    // Turning round is one reversal of the flat kernel axis, done where runs of n or n·n lie inside it.
    if (blocks.inputs === "depthwise") {
      const rows = reshape(b, toBlocks(b, reshape(b, w, [1, of.C, ...kernel])), [C / n, K, n]);
      const filter = reshape(b, K > 1 ? reverse(b, rows, [1]) : rows, [C, 1, ...kernel]);
      return blockedConv(b, toBlocks(b, g), filter, { ...windowOf(conv), group: C }, of.C);
    }
    const [o, I] = [O / groups, C / groups];
    const filled = filledKernel(b, w, [of.O, of.C / groups], [O, I]);
    const rows = reshape(b, toBlocks(b, reshape(b, filled, [O, I, K, 1])), [groups, o / n, n, I / n, K, n]);
    const exchanged = reshape(b, transpose(b, rows, [0, 3, 1, 4, 2, 5]), [
      (groups * I * o) / n / n,
      K,
      n * n,
    ]);
    const filter = reshape(b, K > 1 ? reverse(b, exchanged, [1]) : exchanged, [C, o, ...kernel]);
    return blockedConv(b, toBlocks(b, g), filter, windowOf(conv), of.C);
  },
};

/** Ways to the image's cotangent: operands g, w. */
export const imageWays: readonly Way[] = [spread, turnedConv, blockedTurnedConv];

// ---- dw: x correlated with g

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
  estimate: (of) =>
    macs(of) / (isDepthwise(of) ? Rate.depthwise / 1.5 : Rate.intoKernel) +
    (imageSize(of) + resultSize(of)) / Rate.copy,
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
  estimate(of, block) {
    const fits = block > 0 && of.dtype === "f32" && (of.B * of.C) % REORDERED === 0;
    if (!fits || !isDepthwise(of)) return undefined;
    const copies = (imageSize(of) + resultSize(of)) / Rate.reorder + (of.B * kernelSize(of)) / Rate.copy;
    return macs(of) / Rate.blockedIntoKernel + copies;
  },
  write(b, [x, g], of) {
    const { B, C, h, v, kernel, stride } = of;
    const { image, size, pads } = reached(b, x, of);
    const filled = Math.ceil((B * C) / b.channelBlock) * b.channelBlock;
    const images = toBlocks(b, reshape(b, image, [1, B * C, ...size]));
    const kernels = reshape(b, toBlocks(b, reshape(b, g, [1, B * C, h, v])), [filled, 1, h, v]);
    const window = { kernel_shape: [h, v], dilations: stride, pads, group: filled };
    const each = reshape(b, blockedConv(b, images, kernels, window, B * C), [B, C, 1, ...kernel]);
    return b.node("ReduceSum", [each, b.ints([0])], { keepdims: 0 })[0]!;
  },
};

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
function meeting(of: Convolution, rate: number): number {
  const { kernel, stride, padding } = of;
  if (!isUnit(stride)) return (area(kernel) * tapSize(of)) / rate;
  const moved = (i: number) =>
    kernel[i]! - (padding[i]! < kernel[i]! && padding[i] === padding[2 + i] ? 1 : 0);
  return (moved(0) * resultSize(of) + moved(1) * imageSize(of)) / Rate.copy;
}

/** From [O,C] for every element of the kernel to [O,C,kernel]. */
function gather(b: OnnxContext, parts: readonly string[], { C, O, kernel }: Convolution): string {
  const single = parts.map((part) => reshape(b, part, [O, C, 1]));
  const joined = single.length === 1 ? single[0]! : b.node("Concat", single, { axis: 2 })[0]!;
  return reshape(b, joined, [O, C, ...kernel]);
}

/** [B,O,P] times [B,N,P] transposed, summed over B: [O,N]. */
function summedProduct(b: OnnxContext, g: string, x: string): string {
  const products = b.node("FusedMatMul", [g, x], { transB: 1 }, { domain: "com.microsoft" })[0]!;
  return b.node("ReduceSum", [products, b.ints([0])], { keepdims: 0 })[0]!;
}

const tapSize = ({ B, C, h, v }: Convolution): number => B * C * h * v;

/** For each element of the kernel: image by image g times the part that it meets, then the sum over images. */
const tapsByImage: Way = {
  name: "taps by image",
  estimate(of) {
    if (of.groups !== 1) return undefined;
    const { B, C, O, stride } = of;
    const rate = stride[1] === 1 ? Rate.copy : Rate.scatteredCopy;
    return macs(of) / gemmRate(O, C) + meeting(of, rate) + (B * kernelSize(of)) / Rate.sum;
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
  estimate(of) {
    if (of.groups !== 1) return undefined;
    const turning = (imageSize(of) + resultSize(of)) / Rate.copy;
    return macs(of) / gemmRate(of.O, of.C) + meeting(of, Rate.copy) + turning;
  },
  write(b, [x, g], of) {
    const { B, C, O, v } = of;
    const P = B * metRows(of) * v;
    const innermost = (name: string) => transpose(b, name, [0, 2, 3, 1]);
    const parts = met(b, innermost(x), innermost(g), of, [1, 2]).map(
      (pair) => b.node("Gemm", [reshape(b, pair.g, [P, O]), reshape(b, pair.x, [P, C])], { transA: 1 })[0]!,
    );
    return gather(b, parts, of);
  },
};

/** Copies of the image that `columns` may make at once: 64 MiB of f32. */
const COLUMNS_LIMIT = 2 ** 24;

/** All elements of the kernel at once: for few channels, whose single taps are too narrow for Gemm. */
const columns: Way = {
  name: "columns",
  estimate(of) {
    const { C, O, kernel, stride, groups } = of;
    const copied = area(kernel) * tapSize(of);
    if (groups !== 1 || copied > COLUMNS_LIMIT) return undefined;
    return (
      macs(of) / gemmRate(O, C * area(kernel)) +
      copied / (stride[1] === 1 ? Rate.copy : Rate.scatteredCopy) +
      copied / Rate.copy +
      (of.B * kernelSize(of)) / Rate.sum
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
export const kernelWays: readonly Way[] = [exchangedConv, blockedChannels, tapsByImage, tapsByBatch, columns];

/** The way of the least estimated time among those that apply. */
export function cheapest(ways: readonly Way[], of: Convolution, block: number): Way {
  const times = ways.map((way) => way.estimate(of, block) ?? Number.POSITIVE_INFINITY);
  return ways[times.indexOf(Math.min(...times))]!;
}
