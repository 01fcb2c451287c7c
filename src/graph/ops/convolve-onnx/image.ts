/** Ways to write the image's cotangent in ONNX: g spread over the image by w. */

import type { Rates } from "../../emit/dialect.js";
import { blockedTime, blocksOf, filledKernel, plainForward, windowOf } from "./forward.js";
import {
  area,
  blockedConv,
  type Convolution,
  imageSize,
  isDepthwise,
  isUnit,
  kernelSize,
  macs,
  plainRate,
  reshape,
  resultSize,
  reverse,
  toBlocks,
  transpose,
  type Way,
} from "./way.js";

/** For stride 1, dx is itself a convolution: of g with the kernel turned round and its channels exchanged. */
function turned(of: Convolution): Convolution | undefined {
  const { kernel, padding, stride } = of;
  const pads = padding.map((p, i) => kernel[i % 2]! - 1 - p);
  if (!isUnit(stride) || pads.some((p) => p < 0)) return undefined;
  return { ...of, C: of.O, O: of.C, H: of.h, W: of.v, h: of.H, v: of.W, padding: pads };
}

/** Nanoseconds of turning the kernel round and exchanging its channels. */
const turning = (rates: Rates, of: Convolution): number =>
  kernelSize(of) / (isUnit(of.kernel) ? rates.copy : rates.scatteredCopy);

const spread: Way = {
  name: "convTranspose",
  estimate(of, { rates }) {
    const strided = of.dtype === "f32" ? rates.spreadDepthwiseApart : rates.spreadDepthwiseApartRounded;
    const depthwise = isUnit(of.stride) ? rates.spreadDepthwise : strided;
    const rate = plainRate(rates, of) === rates.depthwise ? depthwise : rates.spread;
    return macs(of) / rate + imageSize(of) / rates.copy + (of.B * kernelSize(of)) / rates.stream;
  },
  write(b, operands, of) {
    const { kernel, stride, padding } = of;
    const rest = [0, 1].map((i) => {
      const covered = ([of.h, of.v][i]! - 1) * stride[i]! + kernel[i]! - padding[i]! - padding[2 + i]!;
      return [of.H, of.W][i]! - covered;
    });
    return b.node("ConvTranspose", operands, { ...windowOf(of), output_padding: rest })[0]!;
  },
};

/** For kernels that are slow in other dtypes. */
const spreadInF32: Way = {
  name: "convTranspose in f32",
  estimate(of, on) {
    if (of.dtype === "f32") return undefined;
    const casts = (imageSize(of) + resultSize(of) + kernelSize(of)) / on.rates.copy;
    return spread.estimate({ ...of, dtype: "f32" }, on)! + casts;
  },
  write(b, [g, w], of) {
    const y = spread.write(b, [b.cast(g, "f32"), b.cast(w, "f32")], { ...of, dtype: "f32" });
    return b.cast(y, of.dtype);
  },
};

const turnedConv: Way = {
  name: "turned conv",
  estimate(of, on) {
    const conv = turned(of);
    return conv && plainForward.estimate(conv, on)! + turning(on.rates, of);
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

/** With zeros between the cotangents a strided one is as of stride 1: undefined where it is one already, or reaches too far. */
function apart(of: Convolution): Convolution | undefined {
  const { h, v, H, W, kernel, stride, padding } = of;
  const [rows, columns] = [h * stride[0]!, v * stride[1]!] as const;
  const rest = [H + padding[0]! - rows, W + padding[1]! - columns] as const;
  if (isUnit(stride) || rest.some((n) => n < 0)) return undefined;
  return {
    ...of,
    h: rows,
    v: columns,
    stride: [1, 1],
    padding: [padding[0]!, padding[1]!, ...rest.map((n, i) => kernel[i]! - 1 - n)],
  };
}

const turnedConvApart: Way = {
  name: "turned conv of what is spread apart",
  estimate(of, on) {
    const unit = apart(of);
    const time = unit && turnedConv.estimate(unit, on);
    return time && time + resultSize(unit!) / on.rates.scatteredCopy;
  },
  write(b, [g, w], of) {
    const { B, O, h, v, stride, dtype } = of;
    const [down, right] = stride as [number, number];
    const widths = [0, 0, 0, 0, 0, 0, 0, 0, 0, down - 1, 0, right - 1];
    const lone = reshape(b, g, [B, O, h, 1, v, 1]);
    const spaced = b.node("Pad", [lone, b.ints(widths), b.scalar(dtype, 0)])[0]!;
    return turnedConv.write(b, [reshape(b, spaced, [B, O, h * down, v * right]), w], apart(of)!);
  },
};

const blockedTurnedConv: Way = {
  name: "blocked turned conv",
  estimate(of, on) {
    const conv = turned(of);
    if (conv === undefined || blocksOf(conv, on.channelBlock)?.inputs === "few") return undefined;
    const time = blockedTime(conv, on);
    return time && time + turning(on.rates, of);
  },
  write(b, [g, w], of) {
    const n = b.dialect.channelBlock;
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
    // A single element is in blocks as it lies.
    const inner = K === 1 ? filled : toBlocks(b, reshape(b, filled, [O, I, K, 1]));
    const rows = reshape(b, inner, [groups, o / n, n, I / n, K, n]);
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
export const imageWays: readonly Way[] = [
  spread,
  spreadInF32,
  turnedConv,
  turnedConvApart,
  blockedTurnedConv,
];
