/**
 * ConvNeXt (Liu et al. 2022, "A ConvNet for the 2020s") and its second version (Woo et al. 2023), with the names,
 * arguments and details of timm's `convnext.py`.
 */

import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import {
  add,
  conv,
  div,
  type GeluKind,
  gelu,
  linearMap,
  maximum,
  mean,
  mul,
  reshape,
  slice,
  sqrt,
  sum,
  transpose,
} from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { rematerialize } from "../../graph/trace.js";
import { makeDropPath } from "../../nn/drop-path.js";
import { layerNorm, layerNormSpecs, linear } from "../../nn/layers.js";
import { normalInit, type ParameterSpecs, prefixed, type Scope, spec, zeros } from "../../nn/parameters.js";
import { blocks, count } from "../config/fields.js";
import { depthByBlocks } from "../depth.js";
import type { TrunkFamily } from "./trunk.js";

type Four = readonly [number, number, number, number];

/** timm's arguments of `ConvNeXt`. */
export interface ConvNextArgs {
  /** Blocks of each stage. */
  readonly depths: Four;
  /** Channels of each stage. */
  readonly dims: Four;
  /** Side of the depthwise kernel, odd; one, or one for each stage. timm's default 7. */
  readonly kernel_sizes: number | Four;
  /** Each branch is multiplied by a learned f32[C] that starts at this; null: it is not. timm's default 1e-6. */
  readonly ls_init_value: number | null;
  /** `"patch"`: one convolution. Else two 3×3 of stride 2: `_tiered` has half the channels between, `_act` a GELU. */
  readonly stem_type: "patch" | "overlap" | "overlap_tiered" | "overlap_act";
  /** Side of a patch of the stem, pixels, up to 7 (a larger one would need dilation). Not read by other stems. */
  readonly patch_size: number;
  /** True norms all pixels before they are averaged; false, timm's default, norms the mean. */
  readonly head_norm_first: boolean;
  /** Units of a hidden layer with GELU after the norm, which are the features then. Null: none. */
  readonly head_hidden_size: number | null;
  /** True keeps the weights of the MLPs as 1×1 convolutions [N,K,1,1]. The function is the same. */
  readonly conv_mlp: boolean;
  /** True: the hidden units of the MLPs pass a global response norm (ConvNeXt V2). */
  readonly use_grn: boolean;
  readonly act_layer: "gelu" | "gelu_tanh";
  /** Added to the variance in every layer norm. timm's default 1e-6. */
  readonly norm_eps: number;
}

const plain = {
  kernel_sizes: 7,
  ls_init_value: 1e-6,
  stem_type: "patch",
  patch_size: 4,
  head_norm_first: false,
  head_hidden_size: null,
  conv_mlp: false,
  use_grn: false,
  act_layer: "gelu",
  norm_eps: 1e-6,
} as const;

/** Channels double from stage to stage. */
const sized = (depths: Four, width: number, rest: Partial<ConvNextArgs> = {}): ConvNextArgs => ({
  depths,
  dims: [width, 2 * width, 4 * width, 8 * width],
  ...plain,
  ...rest,
});

const ATTO: Four = [2, 2, 6, 2];
const NANO: Four = [2, 2, 8, 2];
const TINY: Four = [3, 3, 9, 3];
const SMALL: Four = [3, 3, 27, 3];
const small = { conv_mlp: true } as const;
const v2 = { use_grn: true, ls_init_value: null } as const;
const test = { norm_eps: 1e-5, act_layer: "gelu_tanh" } as const;

const odd = count.refine((n) => n % 2 === 1, { message: "a kernel's side must be odd" });
const four = (n: z.ZodType<number>) => z.tuple([n, n, n, n]).readonly();

const args = z
  .strictObject({
    depths: four(blocks),
    dims: four(count),
    kernel_sizes: z.union([odd, four(odd)]),
    ls_init_value: z.number().nullable(),
    stem_type: z.enum(["patch", "overlap", "overlap_tiered", "overlap_act"]),
    patch_size: count.max(7),
    head_norm_first: z.boolean(),
    head_hidden_size: count.nullable(),
    conv_mlp: z.boolean(),
    use_grn: z.boolean(),
    act_layer: z.enum(["gelu", "gelu_tanh"]),
    norm_eps: z.number().positive(),
  })
  .refine((a) => !a.head_norm_first || a.head_hidden_size === null, {
    message: "head_norm_first leaves no hidden layer in the head",
    path: ["head_hidden_size"],
  });

/** What a block depends on beside its channels. */
interface BlockOptions {
  readonly kernel: number;
  readonly layerScale: boolean;
  readonly responseNorm: boolean;
  readonly gelu: GeluKind;
  readonly epsilon: number;
}

/** Every weight starts normal: timm's truncation at ±2 lies a hundred standard deviations out. */
const weight = normalInit(0.02);

const convSpecs = (I: number, O: number, side: number): ParameterSpecs => ({
  weight: spec([O, I, side, side], weight),
  bias: spec([O], zeros),
});

/** timm's `make_divisible`: the nearest multiple of 8, not a tenth below `n`. */
function toMultipleOf8(n: number): number {
  const rounded = Math.max(8, Math.floor((n + 4) / 8) * 8);
  return rounded < 0.9 * n ? rounded + 8 : rounded;
}

/** The two convolutions of a stem that is not of patches, by their place in it, and where its norm stands. */
function overlappingStem({ stem_type, dims }: ConvNextArgs) {
  const between = stem_type === "overlap_tiered" ? toMultipleOf8(Math.floor(dims[0] / 2)) : dims[0];
  return { between, act: stem_type === "overlap_act", second: stem_type === "overlap_act" ? 2 : 1 };
}

const normPlace = (a: ConvNextArgs): string =>
  `stem.${a.stem_type === "patch" ? 1 : overlappingStem(a).second + 1}`;

function stemSpecs(a: ConvNextArgs): ParameterSpecs {
  const C = a.dims[0];
  const norm = prefixed(normPlace(a), layerNormSpecs(C));
  if (a.stem_type === "patch") return { ...prefixed("stem.0", convSpecs(3, C, a.patch_size)), ...norm };
  const { between, second } = overlappingStem(a);
  return {
    ...prefixed("stem.0", convSpecs(3, between, 3)),
    ...prefixed(`stem.${second}`, convSpecs(between, C, 3)),
    ...norm,
  };
}

/** Whether stage `i` starts by halving the image: all but the first do, and that one after a stem of stride 2. */
const halves = (a: ConvNextArgs, i: number): boolean =>
  i > 0 || (a.stem_type === "patch" && a.patch_size === 2);

const kernelOf = ({ kernel_sizes: k }: ConvNextArgs, stage: number): number =>
  typeof k === "number" ? k : k[stage]!;

function convNextSpecs(a: ConvNextArgs): ParameterSpecs {
  const { dims, depths, conv_mlp, ls_init_value, use_grn, head_hidden_size: hidden } = a;
  const product = (K: number, N: number): ParameterSpecs =>
    conv_mlp ? convSpecs(K, N, 1) : { weight: spec([N, K], weight), bias: spec([N], zeros) };
  const block = (C: number, kernel: number): ParameterSpecs => ({
    ...(ls_init_value === null ? {} : { gamma: spec([C], { kind: "constant", value: ls_init_value }) }),
    ...prefixed("conv_dw", convSpecs(1, C, kernel)),
    ...prefixed("norm", layerNormSpecs(C)),
    ...prefixed("mlp.fc1", product(C, 4 * C)),
    ...(use_grn ? { "mlp.grn.weight": spec([4 * C], zeros), "mlp.grn.bias": spec([4 * C], zeros) } : {}),
    ...prefixed("mlp.fc2", product(4 * C, C)),
  });
  const stage = (i: number): ParameterSpecs => ({
    ...(halves(a, i)
      ? {
          ...prefixed("downsample.0", layerNormSpecs(dims[i - 1] ?? dims[0])),
          ...prefixed("downsample.1", convSpecs(dims[i - 1] ?? dims[0], dims[i]!, 2)),
        }
      : {}),
    ...Object.assign(
      {},
      ...Array.from({ length: depths[i]! }, (_, j) =>
        prefixed(`blocks.${j}`, block(dims[i]!, kernelOf(a, i))),
      ),
    ),
  });
  return {
    ...stemSpecs(a),
    ...Object.assign({}, ...depths.map((_, i) => prefixed(`stages.${i}`, stage(i)))),
    ...prefixed(a.head_norm_first ? "norm_pre" : "head.norm", layerNormSpecs(dims[3])),
    ...(hidden === null
      ? {}
      : {
          "head.pre_logits.fc.weight": spec([hidden, dims[3]], weight),
          "head.pre_logits.fc.bias": spec([hidden], zeros),
        }),
  };
}

const toRows = (x: Tensor): Tensor => transpose(x, [0, 2, 3, 1]); // [B,C,H,W] to [B,H,W,C]
const toPlanes = (x: Tensor): Tensor => transpose(x, [0, 3, 1, 2]); // and back

/** Normalized images f32[B,3,S,S] to [B,H,W,C]. */
function stem(p: Scope, images: Tensor, a: ConvNextArgs): Tensor {
  const at = (i: number) => p.in(`stem.${i}`);
  const norm = (x: Tensor) => layerNorm(p.in(normPlace(a)), x, a.norm_eps);
  if (a.stem_type === "patch") {
    const [B, C, S] = images.shape as [number, number, number];
    const size = a.patch_size;
    const h = S / size;
    const grid = transpose(reshape(images, [B, C, h, size, h, size]), [0, 2, 4, 1, 3, 5]);
    const kernel = reshape(at(0).get("weight"), [a.dims[0], C * size ** 2]);
    return norm(linearMap(reshape(grid, [B, h, h, C * size ** 2]), kernel, at(0).get("bias")));
  }
  const { act, second } = overlappingStem(a);
  const halve = (q: Scope, x: Tensor) => conv(x, q.get("weight"), { stride: [2, 2], padding: [1, 1, 1, 1] });
  const first = toRows(halve(at(0), images));
  const biased = add(first, at(0).get("bias"));
  const x = toRows(halve(at(second), toPlanes(act ? gelu(biased, activation(a)) : biased)));
  return norm(add(x, at(second).get("bias")));
}

const activation = (a: ConvNextArgs): GeluKind => (a.act_layer === "gelu_tanh" ? "tanh" : "erf");

/** A norm and a 2×2 convolution of stride 2; x [B,H,W,C]. A last odd row and column are left out. */
function downsample(p: Scope, x: Tensor, epsilon: number): Tensor {
  const [B, H, W, C] = x.shape as [number, number, number, number];
  const [h, w] = [Math.floor(H / 2), Math.floor(W / 2)];
  const even = slice(slice(layerNorm(p.in("0"), x, epsilon), 1, 0, 2 * h), 2, 0, 2 * w);
  const grid = transpose(reshape(even, [B, h, 2, w, 2, C]), [0, 1, 3, 2, 4, 5]);
  const weight = p.in("1").get("weight"); // [O,C,2,2]
  const kernel = reshape(toRows(weight), [weight.shape[0]!, 4 * C]);
  return linearMap(reshape(grid, [B, h, w, 4 * C]), kernel, p.in("1").get("bias"));
}

/** The branch of a block, x [B,H,W,C]: its pixels are rows but for the depthwise convolution. */
function branch(
  p: Scope,
  x: Tensor,
  { kernel, layerScale, responseNorm, epsilon, ...o }: BlockOptions,
): Tensor {
  const C = x.shape[3]!;
  const side = (kernel - 1) / 2;
  const depthwise = p.in("conv_dw");
  const mixed = conv(toPlanes(x), depthwise.get("weight"), { groups: C, padding: [side, side, side, side] });
  const rows = layerNorm(p.in("norm"), add(toRows(mixed), depthwise.get("bias")), epsilon);
  const mlp = p.in("mlp");
  const [hiddenWeight, hiddenBias] = productOf(mlp.in("fc1"));
  const hidden = gelu(linearMap(rows, hiddenWeight, hiddenBias), o.gelu);
  const y = responseNorm ? globalResponseNorm(mlp.in("grn"), hidden) : hidden;
  const [weight, bias] = productOf(mlp.in("fc2"));
  if (!layerScale) return linearMap(y, weight, bias);
  // Scaling the last product's weights saves two passes over the pixels forwards, and three backwards.
  const gamma = p.get("gamma");
  return linearMap(y, mul(weight, reshape(gamma, [C, 1])), mul(bias, gamma));
}

/** Weight [N,K], kept so or as [N,K,1,1], and bias [N]. */
function productOf(p: Scope): [Tensor, Tensor] {
  const weight = p.get("weight");
  return [reshape(weight, weight.shape.slice(0, 2)), p.get("bias")];
}

/** x + weight · x · n + bias, where n is a channel's length over the pixels, over the mean of these; x [B,H,W,C]. */
function globalResponseNorm(p: Scope, x: Tensor): Tensor {
  // A floor near 0 keeps the slope of the root finite where a channel is 0 everywhere.
  const length = sqrt(maximum(sum(mul(x, x), [1, 2], true), 1e-37)); // [B,1,1,C]
  const relative = div(length, add(mean(length, -1, true), 1e-6));
  return add(mul(x, add(mul(relative, p.get("weight")), 1)), p.get("bias"));
}

/** Throws unless a pixel is left at the last stage. */
function checkSize(a: ConvNextArgs, imageSize: number): void {
  const stride =
    (a.stem_type === "patch" ? a.patch_size : 4) * 2 ** a.depths.filter((_, i) => halves(a, i)).length;
  if (imageSize >= stride) return;
  throw new UsageError(
    `model: vision_cfg.image_size must be at least ${stride}, which this ConvNeXt makes one pixel of; got image_size=${imageSize}. ` +
      "Give larger images, or a smaller patch_size in timm_model_args.",
  );
}

export const convNext: TrunkFamily<ConvNextArgs> = {
  name: "ConvNeXt",
  source: "arXiv 2201.03545, 2301.00808; timm/models/convnext.py",
  architectures: {
    convnext_atto: sized(ATTO, 40, small),
    convnext_atto_ols: sized(ATTO, 40, { ...small, stem_type: "overlap_tiered" }),
    convnext_femto: sized(ATTO, 48, small),
    convnext_femto_ols: sized(ATTO, 48, { ...small, stem_type: "overlap_tiered" }),
    convnext_pico: sized(ATTO, 64, small),
    convnext_pico_ols: sized(ATTO, 64, { ...small, stem_type: "overlap_tiered" }),
    convnext_nano: sized(NANO, 80, small),
    convnext_nano_ols: sized(NANO, 80, { ...small, stem_type: "overlap" }),
    convnext_tiny_hnf: sized(TINY, 96, { ...small, head_norm_first: true }),
    convnext_tiny: sized(TINY, 96),
    convnext_small: sized(SMALL, 96),
    convnext_base: sized(SMALL, 128),
    convnext_large: sized(SMALL, 192),
    convnext_large_mlp: sized(SMALL, 192, { head_hidden_size: 1536 }),
    convnext_xlarge: sized(SMALL, 256),
    convnext_xxlarge: sized([3, 4, 30, 3], 384, { norm_eps: 1e-5 }),
    convnextv2_atto: sized(ATTO, 40, { ...small, ...v2 }),
    convnextv2_femto: sized(ATTO, 48, { ...small, ...v2 }),
    convnextv2_pico: sized(ATTO, 64, { ...small, ...v2 }),
    convnextv2_nano: sized(NANO, 80, { ...small, ...v2 }),
    convnextv2_tiny: sized(TINY, 96, v2),
    convnextv2_small: sized(SMALL, 96, v2),
    convnextv2_base: sized(SMALL, 128, v2),
    convnextv2_large: sized(SMALL, 192, v2),
    convnextv2_huge: sized(SMALL, 352, v2),
    test_convnext: { ...sized([1, 2, 4, 2], 24, test), dims: [24, 32, 48, 64] },
    test_convnext2: { ...sized([1, 1, 1, 1], 32, test), dims: [32, 64, 96, 128] },
  },
  args,
  classifier: "head.fc",
  sizeStep: (a) => (a.stem_type === "patch" ? a.patch_size : 4),
  build(a, { imageSize, dropPath: rate, rematerialize: again }) {
    checkSize(a, imageSize);
    const dropPath = makeDropPath(
      rate,
      a.depths.reduce((n, d) => n + d, 0),
    );
    return {
      parameters: convNextSpecs(a),
      noise: dropPath.noise,
      width: a.head_hidden_size ?? a.dims[3],
      depth: depthByBlocks(
        a.depths.flatMap((depth, i) =>
          Array.from({ length: depth }, (_, j) => [
            `stages.${i}.blocks.${j}`,
            ...(j === 0 ? [`stages.${i}.downsample`] : []),
          ]),
        ),
        ["norm_pre", "head"],
      ),
      features(p, images) {
        const step = again ? rematerialize(branch) : branch;
        let x = stem(p, images, a); // [B,H,W,C]
        let block = 0;
        a.depths.forEach((depth, i) => {
          const stage = p.in(`stages.${i}`);
          if (halves(a, i)) x = downsample(stage.in("downsample"), x, a.norm_eps);
          const options: BlockOptions = {
            kernel: kernelOf(a, i),
            layerScale: a.ls_init_value !== null,
            responseNorm: a.use_grn,
            gelu: activation(a),
            epsilon: a.norm_eps,
          };
          for (let j = 0; j < depth; j++) {
            const own = stage.in(`blocks.${j}`);
            x = add(x, dropPath.apply(p, own, step(own, x, options), block++));
          }
        });
        const pool = (y: Tensor) => mean(y, [1, 2]); // [B,C]
        if (a.head_norm_first) return withHidden(p, pool(layerNorm(p.in("norm_pre"), x, a.norm_eps)), a);
        return withHidden(p, layerNorm(p.in("head.norm"), pool(x), a.norm_eps), a);
      },
    };
  },
};

/** Pooled and normed [B,C] through the hidden layer of the head, where there is one. */
const withHidden = (p: Scope, y: Tensor, { head_hidden_size }: ConvNextArgs): Tensor =>
  head_hidden_size === null ? y : gelu(linear(p.in("head.pre_logits.fc"), y));
