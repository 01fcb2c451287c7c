/** Ways to write the image's cotangent for ONNX Runtime: g spread over the image by w. */

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
  Rate,
  reshape,
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
const turning = (of: Convolution): number =>
  kernelSize(of) / (isUnit(of.kernel) ? Rate.copy : Rate.scatteredCopy);

const spread: Way = {
  name: "convTranspose",
  estimate(of) {
    const rate = plainRate(of) === Rate.depthwise ? Rate.depthwise / 2 : Rate.columns;
    return macs(of) / rate + imageSize(of) / Rate.copy + (of.B * kernelSize(of)) / Rate.stream;
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

const turnedConv: Way = {
  name: "turned conv",
  estimate(of) {
    const conv = turned(of);
    return conv && plainForward.estimate(conv, 0)! + turning(of);
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
    if (conv === undefined || blocksOf(conv, block)?.inputs === "few") return undefined;
    const time = blockedTime(conv, block);
    return time && time + turning(of);
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
export const imageWays: readonly Way[] = [spread, turnedConv, blockedTurnedConv];
