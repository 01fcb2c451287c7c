/** Batch normalization of images in NCHW, and what it is made of. */

import { UsageError } from "../../core/errors.js";
import { formatType, type Shape, sameShape, sizeOfShape, type TensorType } from "../../core/shape.js";
import {
  type AnyOp,
  type Case,
  type CollectiveOp,
  normal,
  type Op,
  type Ref,
  streaming,
  uniform,
} from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { allReduceMean, allReduceSum } from "./collective.js";
import { cast, greater } from "./compare.js";
import { add, div, maximum, mul, requireFloat, sqrt, sub } from "./elementwise.js";
import { reshape } from "./movement.js";
import { mean, sum } from "./reduce.js";
import { constant } from "./source.js";

type None = Record<never, never>;

function requireImages(what: string, ...images: readonly TensorType[]): void {
  requireFloat(what, ...images);
  if (images.some((x) => x.shape.length !== 4 || formatType(x) !== formatType(images[0]!))) {
    throw new UsageError(
      `${what}: needs images [B,C,H,W] of one type; got ${images.map(formatType).join(", ")}.`,
    );
  }
}

/** The type [C] of what belongs to the channels of images `x`. */
const channelsOf = (x: TensorType): TensorType => ({ dtype: x.dtype, shape: [x.shape[1]!] });

function requireChannels(what: string, x: TensorType, vectors: readonly TensorType[]): void {
  const wanted = formatType(channelsOf(x));
  if (vectors.some((v) => formatType(v) !== wanted)) {
    throw new UsageError(
      `${what}: ${formatType(x)} needs ${wanted} for its channels; got ${vectors.map(formatType).join(", ")}.`,
    );
  }
}

/** Elements of one channel. */
const perChannel = (x: TensorType): number => sizeOfShape(x.shape) / x.shape[1]!;
/** [C] as [C,1,1], which lies on the channels of images. */
const overImages = (v: Tensor): Tensor => reshape(v, [v.shape[0]!, 1, 1]);
/** All axes but that of the channels. */
const PLACES = [0, 2, 3];

/** Calls `visit` with the channel and the flat index of every element. */
function byChannel(shape: Shape, visit: (c: number, at: number) => void): void {
  const [B, C, H, W] = shape as [number, number, number, number];
  for (let plane = 0; plane < B * C; plane++)
    for (let i = 0; i < H * W; i++) visit(plane % C, plane * H * W + i);
}

interface AffineAttrs {
  /** Whether what is below zero becomes zero. */
  readonly relu: boolean;
  readonly [key: string]: boolean;
}

/** Smaller planes than this cost more as a depthwise convolution than as passes of their own. */
const FUSED_PLANE = 64;

const affineOp: Op<AffineAttrs> = {
  name: "channelAffine",
  doc: "Every channel times its factor, plus its shift, plus other images if there are some; then relu, if asked: [B,C,H,W], [C], [C] and [B,C,H,W] give [B,C,H,W].",
  source: "ONNX BatchNormalization; com.microsoft FusedConv",
  traits: [],
  infer([x, factor, shift, plus]) {
    requireImages("channelAffine", x!, plus ?? x!);
    requireChannels("channelAffine", x!, [factor!, shift!]);
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  reference([x, factor, shift, plus], { relu }) {
    const out = new Float64Array(x!.data.length);
    byChannel(x!.shape, (c, at) => {
      const y = x!.data[at]! * factor!.data[c]! + shift!.data[c]! + (plus?.data[at] ?? 0);
      out[at] = relu ? Math.max(y, 0) : y;
    });
    return [out];
  },
  vjp([g], { inputs: [x, factor, , plus], outputs: [y], attrs: { relu } }) {
    const own = relu ? mul(g!, cast(greater(y!, 0), g!.dtype)) : g!;
    const rest = plus === undefined ? [] : [own];
    return [channelAffine(own, factor!), channelDot(own, x!), sum(own, PLACES), ...rest];
  },
  cost: streaming,
  simplify: "never",
  decompose([x, factor, shift, plus], { relu }) {
    const moved = add(mul(x!, overImages(factor!)), overImages(shift!));
    const y = plus === undefined ? moved : add(moved, plus);
    return [relu ? maximum(y, 0) : y];
  },
  // In one pass: a 1×1 convolution of every channel by itself can add images and rectify while it writes.
  onnx(b, [x, factor, shift, plus], { relu }) {
    const [, C, H, W] = x!.shape as [number, number, number, number];
    const fits = b.dialect.fused.includes("FusedConv") && H * W >= FUSED_PLANE;
    if (fits && (relu || plus !== undefined)) {
      const kernel = b.node("Reshape", [factor!.name, b.ints([C, 1, 1, 1])])[0]!;
      const rest = plus === undefined ? [] : [plus.name];
      return b.node(
        "FusedConv",
        [x!.name, kernel, shift!.name, ...rest],
        { group: C, kernel_shape: [1, 1], ...(relu ? { activation: "Relu" } : {}) },
        { domain: "com.microsoft" },
      );
    }
    const filled = (value: number) => b.constant(x!.dtype, [C], new Float32Array(C).fill(value));
    const inputs = [x!.name, factor!.name, shift!.name, filled(0), filled(1)];
    let y = b.node("BatchNormalization", inputs, { epsilon: { float: 0 } });
    if (plus !== undefined) y = b.node("Add", [y[0]!, plus.name]);
    return relu ? b.node("Relu", y) : y;
  },
  stablehlo: "decompose",
  cases: [false, true].flatMap((relu) =>
    [
      { name: "images", x: [2, 3, 2, 4], plus: false },
      { name: "single pixels", x: [4, 3, 1, 1], plus: false },
      { name: "large planes", x: [2, 3, 8, 9], plus: false },
      { name: "and other images", x: [2, 3, 3, 3], plus: true },
      { name: "and other images, large planes", x: [2, 3, 9, 8], plus: true },
    ].map(({ name, x, plus }) => ({
      name: relu ? `${name}, relu` : name,
      inputs: [normal(x, 1), uniform([3], 2, -2, 2), normal([3], 3), ...(plus ? [normal(x, 4)] : [])],
      attrs: { relu },
    })),
  ),
};

/** Images `x` [B,C,H,W], each channel times `factor` [C], plus `shift` [C] and images `plus`, if given. */
export function channelAffine(x: Tensor, factor: Tensor, shift?: Tensor, plus?: Tensor): Tensor {
  const by = shift ?? constant(0, { dtype: x.dtype, shape: factor.shape });
  return apply(affineOp, [x, factor, by, ...(plus === undefined ? [] : [plus])], { relu: false })[0]!;
}

/** relu(x) as one operation with the channelAffine, and the sum with other images, that `x` is; undefined if it is none. */
export function rectified(x: Tensor): Tensor | undefined {
  const isOpen = ({ node }: Tensor) =>
    node.op === (affineOp as unknown as AnyOp) && node.attrs.relu === false;
  if (isOpen(x)) return apply(affineOp, x.node.inputs, { relu: true })[0]!;
  const [a, b] = x.node.inputs;
  if (x.node.op.name !== "add" || !sameShape(a!.shape, x.shape) || !sameShape(b!.shape, x.shape))
    return undefined;
  const [affine, plus] = isOpen(a!) ? [a!, b!] : [b!, a!];
  if (!isOpen(affine) || affine.node.inputs.length > 3) return undefined;
  return apply(affineOp, [...affine.node.inputs, plus], { relu: true })[0]!;
}

const dotOp: Op<None> = {
  name: "channelDot",
  doc: "Products of two images, summed over every channel: [B,C,H,W] twice gives [C].",
  source: "ONNX ReduceSumSquare, where both are the same",
  traits: ["reduction", "commutative"],
  infer([x, y]) {
    requireImages("channelDot", x!, y!);
    return [channelsOf(x!)];
  },
  reference([x, y]) {
    const out = new Float64Array(x!.shape[1]!);
    byChannel(x!.shape, (c, at) => {
      out[c]! += x!.data[at]! * y!.data[at]!;
    });
    return [out];
  },
  vjp: ([g], { inputs: [x, y] }) => [channelAffine(y!, g!), channelAffine(x!, g!)],
  cost: streaming,
  simplify: "never",
  decompose: ([x, y]) => [sum(mul(x!, y!), PLACES)],
  onnx(b, [x, y]) {
    const [type, of] =
      x!.name === y!.name
        ? ["ReduceSumSquare", x!.name]
        : ["ReduceSum", b.node("Mul", [x!.name, y!.name])[0]!];
    return b.node(type!, [of!, b.ints(PLACES)], { keepdims: 0 });
  },
  stablehlo: "decompose",
  cases: [
    { name: "images", inputs: [normal([3, 4, 2, 3], 1), normal([3, 4, 2, 3], 2)], attrs: {} },
    { name: "single pixels", inputs: [normal([5, 3, 1, 1], 3), normal([5, 3, 1, 1], 4)], attrs: {} },
  ],
};

/** [C]: the sum of `x` ⊙ `y`, images [B,C,H,W], over every channel. */
export const channelDot = (x: Tensor, y: Tensor): Tensor => apply(dotOp, [x, y], {})[0]!;

interface BatchNormAttrs {
  readonly epsilon: number;
  /** Copies of the program whose batches are one: the statistics are those of all of them. */
  readonly replicas: number;
  readonly [key: string]: number;
}

/** What a batch norm gives out: y, the mean, the variance, and x less the mean. */
function normalizeBatches(all: readonly (readonly Ref[])[], { epsilon }: BatchNormAttrs): Float64Array[][] {
  const [first] = all[0]!;
  const N = perChannel(first!) * all.length;
  const mu = new Float64Array(first!.shape[1]!);
  const variance = new Float64Array(mu.length);
  for (const [x] of all) {
    byChannel(x!.shape, (c, at) => {
      mu[c]! += x!.data[at]! / N;
    });
  }
  for (const [x] of all) {
    byChannel(x!.shape, (c, at) => {
      variance[c]! += (x!.data[at]! - mu[c]!) ** 2 / N;
    });
  }
  return all.map(([x, weight, bias]) => {
    const y = new Float64Array(x!.data.length);
    const centred = new Float64Array(x!.data.length);
    byChannel(x!.shape, (c, at) => {
      centred[at] = x!.data[at]! - mu[c]!;
      y[at] = (centred[at]! / Math.sqrt(variance[c]! + epsilon)) * weight!.data[c]! + bias!.data[c]!;
    });
    return [y, mu.slice(), variance.slice(), centred];
  });
}

const batchNormOp: CollectiveOp<BatchNormAttrs> = {
  name: "batchNorm",
  doc: "(x − mean) / √(variance + ε) · weight + bias by channel: [B,C,H,W], [C], [C] give y [B,C,H,W], mean [C], biased variance [C] and x − mean [B,C,H,W].",
  source: "Ioffe, Szegedy 2015; PyTorch SyncBatchNorm",
  traits: ["reduction", "collective"],
  infer([x, weight, bias]) {
    requireImages("batchNorm", x!);
    requireChannels("batchNorm", x!, [weight!, bias!]);
    const images = { dtype: x!.dtype, shape: x!.shape };
    return [images, channelsOf(x!), channelsOf(x!), images];
  },
  across: normalizeBatches,
  reference(inputs, attrs) {
    if (attrs.replicas === 1) return normalizeBatches([inputs], attrs)[0]!;
    throw new UsageError(
      `interpret: batchNorm needs the inputs of all ${attrs.replicas} replicas. Use interpretReplicas.`,
    );
  },
  // With x̂ the normalized x and N values in a channel of all replicas:
  // dx = weight / √(variance + ε) · (g − Σ g / N − x̂ Σ g x̂ / N), which is g and x − mean, each times a factor by channel.
  vjp([g, ...others], { inputs: [x, weight], outputs: [, , variance, centred], attrs }) {
    if (g === undefined || others.some((s) => s !== undefined)) return "decompose";
    const { epsilon, replicas } = attrs;
    const N = perChannel(x!) * replicas;
    const inverse = div(1, sqrt(add(variance!, epsilon)));
    const factor = mul(weight!, inverse);
    const total = sum(g, PLACES);
    const dWeight = mul(channelDot(g, centred!), inverse);
    const share = (v: Tensor) => mul(mul(allReduceSum(v, replicas), -1 / N), factor);
    const pull = channelAffine(centred!, mul(share(dWeight), inverse));
    return [channelAffine(g, factor, share(total), pull), dWeight, total];
  },
  cost: streaming,
  simplify: "never",
  decompose([x, weight, bias], { epsilon, replicas }) {
    const N = perChannel(x!);
    const mu = allReduceMean(mean(x!, PLACES), replicas);
    const centred = sub(x!, overImages(mu));
    // Of what is centred: squares less the mean's square lose the variance where the mean is large.
    const variance = allReduceMean(mul(channelDot(centred, centred), 1 / N), replicas);
    const factor = div(weight!, sqrt(add(variance, epsilon)));
    return [channelAffine(centred, factor, bias!), mu, variance, centred];
  },
  onnx: "decompose",
  stablehlo: "decompose",
  cases: batchNormCases(),
};

function batchNormCases(): Case<BatchNormAttrs>[] {
  const of = (name: string, x: Shape, scale: number, shift: number): Case<BatchNormAttrs> => ({
    name,
    inputs: [normal(x, 1, scale, shift), uniform([x[1]!], 2, 0.5, 1.5), normal([x[1]!], 3)],
    attrs: { epsilon: 1e-5, replicas: 1 },
  });
  return [
    of("images", [3, 4, 2, 3], 2, 1),
    of("one image", [1, 2, 3, 3], 1, 0),
    of("single pixels", [5, 3, 1, 1], 1, 0),
    { ...of("far from zero", [2, 3, 4, 4], 0.5, 100), smooth: false },
  ];
}

/**
 * Images `x` [B,C,H,W] less the mean of each channel, over its deviation, times `weight` [C] plus `bias` [C]; and the mean and
 * biased variance, each [C]. Statistics are those of the batches of all `replicas`.
 */
export function batchNorm(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  { epsilon = 1e-5, replicas = 1 }: Partial<BatchNormAttrs> = {},
): { readonly y: Tensor; readonly mean: Tensor; readonly variance: Tensor } {
  const [y, mu, variance] = apply(batchNormOp, [x, weight, bias], { epsilon, replicas });
  return { y: y!, mean: mu!, variance: variance! };
}

export const normalizeOps = [affineOp, dotOp, batchNormOp];
