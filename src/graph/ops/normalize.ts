/** What batch normalization is made of: statistics, factors and products of the channels of images in NCHW. */

import { UsageError } from "../../core/errors.js";
import { formatType, type Shape, sizeOfShape, type TensorType } from "../../core/shape.js";
import { normal, type Op, type Ref, streaming, uniform } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { add, div, mul, requireFloat, sub } from "./elementwise.js";
import { broadcastTo, reshape } from "./movement.js";
import { mean, sum } from "./reduce.js";

type None = Record<never, never>;

function requireImages(what: string, ...images: readonly TensorType[]): void {
  requireFloat(what, ...images);
  if (images.some((x) => x.shape.length !== 4 || formatType(x) !== formatType(images[0]!))) {
    throw new UsageError(
      `${what}: needs images [B,C,H,W] of one type; got ${images.map(formatType).join(", ")}.`,
    );
  }
}

const channelsOf = (x: TensorType): TensorType => ({ dtype: x.dtype, shape: [x.shape[1]!] });
const perChannel = (x: TensorType): number => sizeOfShape(x.shape) / x.shape[1]!;
/** [C] as [C,1,1], which lies on the channels of images. */
const overImages = (v: Tensor): Tensor => reshape(v, [v.shape[0]!, 1, 1]);

/** Calls `visit` with the channel and the flat index of every element. */
function byChannel(shape: Shape, visit: (c: number, at: number) => void): void {
  const [B, C, H, W] = shape as [number, number, number, number];
  for (let plane = 0; plane < B * C; plane++)
    for (let i = 0; i < H * W; i++) visit(plane % C, plane * H * W + i);
}

const momentsOp: Op<None> = {
  name: "channelMoments",
  doc: "Mean and biased variance of every channel: [B,C,H,W] gives [C] and [C].",
  source: "Ioffe, Szegedy 2015, algorithm 1",
  traits: ["reduction"],
  infer([x]) {
    requireImages("channelMoments", x!);
    return [channelsOf(x!), channelsOf(x!)];
  },
  reference([x]) {
    const N = perChannel(x!);
    const mu = new Float64Array(x!.shape[1]!);
    const variance = new Float64Array(mu.length);
    byChannel(x!.shape, (c, at) => {
      mu[c]! += x!.data[at]! / N;
    });
    byChannel(x!.shape, (c, at) => {
      variance[c]! += (x!.data[at]! - mu[c]!) ** 2 / N;
    });
    return [mu, variance];
  },
  // dx = g_mean / N + 2 g_variance (x − mean) / N
  vjp([gMean, gVariance], { inputs: [x], outputs: [mu] }) {
    const N = perChannel(x!);
    const share = gMean === undefined ? undefined : div(gMean, N);
    if (gVariance === undefined) return [broadcastTo(overImages(share!), x!.shape)];
    const slope = mul(gVariance, 2 / N);
    const offset = mul(slope, mu!);
    return [channelAffine(x!, slope, share === undefined ? mul(offset, -1) : sub(share, offset))];
  },
  cost: streaming,
  simplify: "never",
  decompose([x]) {
    const mu = mean(x!, [0, 2, 3]);
    const centred = sub(x!, overImages(mu));
    return [mu, mean(mul(centred, centred), [0, 2, 3])];
  },
  onnx: "decompose",
  stablehlo: "decompose",
  cases: [
    { name: "images", inputs: [normal([3, 4, 2, 3], 1, 2, 1)], attrs: {} },
    { name: "one image", inputs: [normal([1, 2, 3, 3], 2)], attrs: {} },
    { name: "single pixels", inputs: [normal([5, 3, 1, 1], 3)], attrs: {} },
  ],
};

/** Mean and biased variance, each [C], of every channel of images `x` [B,C,H,W]. */
export function channelMoments(x: Tensor): { readonly mean: Tensor; readonly variance: Tensor } {
  const [mu, variance] = apply(momentsOp, [x], {});
  return { mean: mu!, variance: variance! };
}

const affineOp: Op<None> = {
  name: "channelAffine",
  doc: "Every channel times its factor, plus its shift if there is one: [B,C,H,W], [C] and [C] give [B,C,H,W].",
  source: "Ioffe, Szegedy 2015, algorithm 1",
  traits: [],
  infer([x, factor, shift]) {
    requireImages("channelAffine", x!);
    const wanted = formatType(channelsOf(x!));
    if ([factor!, shift ?? factor!].some((v) => formatType(v) !== wanted)) {
      throw new UsageError(
        `channelAffine: factor and shift of ${formatType(x!)} must be ${wanted}; got ${[factor!, ...(shift === undefined ? [] : [shift])].map(formatType).join(", ")}.`,
      );
    }
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  reference([x, factor, shift]) {
    const out = new Float64Array(x!.data.length);
    byChannel(x!.shape, (c, at) => {
      out[at] = x!.data[at]! * factor!.data[c]! + (shift?.data[c] ?? 0);
    });
    return [out];
  },
  vjp([g], { inputs: [x, factor, shift] }) {
    return [
      channelAffine(g!, factor!),
      channelDot(g!, x!),
      ...(shift === undefined ? [] : [sum(g!, [0, 2, 3])]),
    ];
  },
  cost: streaming,
  simplify: "never",
  decompose([x, factor, shift]) {
    const scaled = mul(x!, overImages(factor!));
    return [shift === undefined ? scaled : add(scaled, overImages(shift))];
  },
  onnx: "decompose",
  stablehlo: "decompose",
  cases: [
    {
      name: "with a shift",
      inputs: [normal([2, 3, 2, 4], 1), uniform([3], 2, -2, 2), normal([3], 3)],
      attrs: {},
    },
    { name: "without", inputs: [normal([2, 3, 3, 3], 4), uniform([3], 5, -2, 2)], attrs: {} },
    { name: "single pixels", inputs: [normal([4, 3, 1, 1], 6), normal([3], 7), normal([3], 8)], attrs: {} },
  ],
};

/** Images `x` [B,C,H,W], each channel times `factor` [C], plus `shift` [C] or nothing. */
export const channelAffine = (x: Tensor, factor: Tensor, shift?: Tensor): Tensor =>
  apply(affineOp, shift === undefined ? [x, factor] : [x, factor, shift], {})[0]!;

const dotOp: Op<None> = {
  name: "channelDot",
  doc: "Products of two images, summed over every channel: [B,C,H,W] twice gives [C].",
  source: "the gradient of channelAffine in its factor",
  traits: ["reduction", "commutative"],
  infer([x, y]) {
    requireImages("channelDot", x!, y!);
    return [channelsOf(x!)];
  },
  reference([x, y]: readonly Ref[]) {
    const out = new Float64Array(x!.shape[1]!);
    byChannel(x!.shape, (c, at) => {
      out[c]! += x!.data[at]! * y!.data[at]!;
    });
    return [out];
  },
  vjp: ([g], { inputs: [x, y] }) => [channelAffine(y!, g!), channelAffine(x!, g!)],
  cost: streaming,
  simplify: "never",
  decompose: ([x, y]) => [sum(mul(x!, y!), [0, 2, 3])],
  onnx: "decompose",
  stablehlo: "decompose",
  cases: [
    { name: "images", inputs: [normal([3, 4, 2, 3], 1), normal([3, 4, 2, 3], 2)], attrs: {} },
    { name: "single pixels", inputs: [normal([5, 3, 1, 1], 3), normal([5, 3, 1, 1], 4)], attrs: {} },
  ],
};

/** [C]: the sum of `x` ⊙ `y`, images [B,C,H,W], over every channel. */
const channelDot = (x: Tensor, y: Tensor): Tensor => apply(dotOp, [x, y], {})[0]!;

export const normalizeOps = [momentsOp, affineOp, dotOp];
