/** Ways to write y = x ∗ w in ONNX. */

import type { OnnxContext } from "../../emit/context.js";
import type { Rates } from "../../emit/dialect.js";
import {
  area,
  blockedConv,
  type Convolution,
  type Costs,
  imageSize,
  isDepthwise,
  kernelSize,
  macs,
  plainRate,
  REORDERED_BY,
  reshape,
  resultSize,
  toBlocks,
  transpose,
  type Way,
  type Window,
} from "./way.js";

export const windowOf = ({ kernel, stride, padding, groups }: Convolution): Window => ({
  kernel_shape: kernel,
  strides: stride,
  pads: padding,
  group: groups,
});

export const plainForward: Way = {
  name: "conv",
  estimate: (of, { rates }) =>
    macs(of) / plainRate(rates, of) + (of.B * kernelSize(of) + 2 * resultSize(of)) / rates.stream,
  write: (b, operands, of) => b.node("Conv", operands, { ...windowOf(of) })[0]!,
};

/** A convolution's channels in whole blocks: how its inputs come, and how many there are, the last block filled up. */
interface Blocks {
  /** Every channel by itself; too few for a block, so left plain; or blocks. */
  readonly inputs: "depthwise" | "few" | "whole";
  readonly C: number;
  readonly O: number;
}

/** The blocks of a convolution, or undefined where its channels cannot come in blocks. */
export function blocksOf(of: Convolution, block: number): Blocks | undefined {
  const { O, C, groups, dtype } = of;
  if (block === 0 || dtype !== "f32" || O % REORDERED_BY !== 0) return undefined;
  const filled = (channels: number) => Math.ceil(channels / block) * block;
  if (groups === 1 && C < block) return { inputs: "few", C, O: filled(O) };
  if (C % REORDERED_BY !== 0) return undefined;
  if (isDepthwise(of)) return { inputs: "depthwise", C: filled(C), O: filled(C) };
  const whole = groups === 1 || ((C / groups) % block === 0 && (O / groups) % block === 0);
  return whole ? { inputs: "whole", C: filled(C), O: filled(O) } : undefined;
}

/** Multiply-adds in a nanosecond: few products a sum are no more than what surrounds them. */
function blockedRate(rates: Rates, { inputs, C }: Blocks, { kernel }: Convolution): number {
  if (inputs === "depthwise") return rates.blockedDepthwise;
  return rates.blocked * (inputs === "few" ? Math.min(1, (C * area(kernel)) / 64) : 1);
}

/** The kernel [O,I,h,w] with zeros for the channels that fill up the last blocks. */
export function filledKernel(
  b: OnnxContext,
  w: string,
  from: readonly [number, number],
  to: readonly [number, number],
) {
  if (from[0] === to[0] && from[1] === to[1]) return w;
  const widths = [0, 0, 0, 0, to[0] - from[0], to[1] - from[1], 0, 0];
  return b.node("Pad", [w, b.ints(widths), b.scalar("f32", 0)])[0]!;
}

/** Nanoseconds of a blocked convolution without those of its kernel's way into blocks. */
export function blockedTime(of: Convolution, { channelBlock, rates }: Costs): number | undefined {
  const blocks = blocksOf(of, channelBlock);
  if (blocks === undefined) return undefined;
  const filled = (blocks.O / of.O) * (isDepthwise(of) ? 1 : blocks.C / of.C);
  return (
    (macs(of) * filled) / blockedRate(rates, blocks, of) + (imageSize(of) + resultSize(of)) / rates.reorder
  );
}

const blockedForward: Way = {
  name: "blocked conv",
  estimate(of, on) {
    const time = blockedTime(of, on);
    return time && time + kernelSize(of) / on.rates.copy;
  },
  write(b, [x, w], of) {
    const n = b.dialect.channelBlock;
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
