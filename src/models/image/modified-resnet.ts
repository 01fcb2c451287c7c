/**
 * CLIP's ResNet (Radford et al. 2021, open_clip's ModifiedResNet): a stem of three convolutions, strides by mean
 * pooling against aliasing, and attention of the mean over all places instead of the mean itself.
 */

import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import {
  add,
  avgPool,
  concat,
  conv,
  matmul,
  mean,
  relu,
  reshape,
  slice,
  softmax,
  transpose,
} from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { rematerialize } from "../../graph/trace.js";
import { batchNorm, batchNormSpecs, type Declared, declare } from "../../nn/batch-norm.js";
import { linear, linearSpecs } from "../../nn/layers.js";
import { normalInit, ones, type Scope, spec, uniformInit, zeros } from "../../nn/parameters.js";
import { positionsFor } from "../../nn/positions.js";
import { blocks, type Complete, count, plainBlocks, refuse, side } from "../config/fields.js";
import { depthByBlocks } from "../depth.js";
import type { ImageEncoder } from "./encoder.js";

/** open_clip's `CLIPVisionCfg` for its ModifiedResNet. */
export interface ModifiedResNetConfig {
  /** Bottleneck blocks of the four stages, e.g. `[3, 4, 6, 3]`: a list is what tells this tower from a transformer. */
  readonly layers: readonly [number, number, number, number];
  /** Side of the square input, pixels, even and at least 32. Default 224. */
  readonly image_size?: number;
  /** Channels w of the stem; stages are 4w, 8w, 16w and 32w wide. Even. Default 768; ResNet-50 has 64. */
  readonly width?: number;
  /** Channels of one head of the attention pooling; heads are `32 width / head_width`. Default 64. */
  readonly head_width?: number;
  /** There are no patches. */
  readonly patch_size?: null;
}

type CompleteModifiedResNet = Complete<ModifiedResNetConfig>;

/** What open_clip takes where a configuration is silent. */
const defaults = { image_size: 224, width: 768, head_width: 64, patch_size: null } as const;

const complete = (vision: ModifiedResNetConfig): CompleteModifiedResNet => ({ ...defaults, ...vision });

const schema = z.strictObject({
  layers: z.tuple([blocks, blocks, blocks, blocks]),
  image_size: side.exactOptional(),
  width: count.exactOptional(),
  head_width: count.exactOptional(),
  patch_size: z.null().exactOptional(),
});

/** Output channels of a bottleneck over its planes. */
const EXPANSION = 4;
/** By how much the trunk makes the side of an image smaller. */
const REDUCTION = 32;
/** Side of the trunk's grid, on images of side `size`. */
const gridOf = (size: number): number => Math.floor(size / REDUCTION);

/** Kernel [O,C,k,k], uniform by fan-in: PyTorch's default. */
const convSpecs = (C: number, O: number, k: number) => ({
  weight: spec([O, C, k, k], uniformInit((C * k * k) ** -0.5)),
});

/** Stride 1, as large as the input; k is odd. */
function convolve(p: Scope, x: Tensor, stride = 1): Tensor {
  const weight = p.get("weight");
  const side = (weight.shape[2]! - 1) / 2;
  return conv(x, weight, { stride: [stride, stride], padding: [side, side, side, side] });
}

const halve = (x: Tensor): Tensor => avgPool(x, { kernel: [2, 2] });

interface Block {
  /** Below the tower, e.g. `layer1.0`. */
  readonly name: string;
  readonly in: number;
  readonly planes: number;
  readonly halves: boolean;
}

function blocksOf({ layers, width }: CompleteModifiedResNet): Block[] {
  let from = width;
  return layers.flatMap((depth, stage) =>
    Array.from({ length: depth }, (_, i) => {
      const planes = width * 2 ** stage;
      const block = { name: `layer${stage + 1}.${i}`, in: from, planes, halves: stage > 0 && i === 0 };
      from = EXPANSION * planes;
      return block;
    }),
  );
}

const hasDownsample = ({ in: from, planes, halves }: Block): boolean => halves || from !== EXPANSION * planes;

function blockSpecs(block: Block): Declared {
  const { in: from, planes } = block;
  const out = EXPANSION * planes;
  return declare({
    conv1: convSpecs(from, planes, 1),
    bn1: batchNormSpecs(planes),
    conv2: convSpecs(planes, planes, 3),
    bn2: batchNormSpecs(planes),
    conv3: convSpecs(planes, out, 1),
    // Each block starts as its shortcut.
    bn3: batchNormSpecs(out, zeros),
    ...(hasDownsample(block)
      ? { downsample: declare({ "0": convSpecs(from, out, 1), "1": batchNormSpecs(out, ones) }) }
      : {}),
  });
}

/** relu(shortcut + bottleneck); where the block halves, both are pooled by the mean before their last convolution. */
function bottleneck(p: Scope, x: Tensor, block: Block): Tensor {
  const pool = block.halves ? halve : (y: Tensor) => y;
  let y = relu(batchNorm(p.in("bn1"), convolve(p.in("conv1"), x)));
  y = relu(batchNorm(p.in("bn2"), convolve(p.in("conv2"), y)));
  y = batchNorm(p.in("bn3"), convolve(p.in("conv3"), pool(y)));
  const down = p.in("downsample");
  const shortcut = hasDownsample(block) ? batchNorm(down.in("1"), convolve(down.in("0"), pool(x))) : x;
  return relu(add(y, shortcut));
}

/** Parameters and statistics without the `visual.` prefix. */
function specsOf(v: CompleteModifiedResNet, E: number, size: number): Declared {
  const { width: w } = v;
  const C = REDUCTION * w;
  const places = gridOf(size) ** 2;
  const std = normalInit(C ** -0.5);
  const bias = uniformInit(C ** -0.5);
  return declare({
    conv1: convSpecs(3, w / 2, 3),
    bn1: batchNormSpecs(w / 2),
    conv2: convSpecs(w / 2, w / 2, 3),
    bn2: batchNormSpecs(w / 2),
    conv3: convSpecs(w / 2, w, 3),
    bn3: batchNormSpecs(w),
    ...Object.fromEntries(blocksOf(v).map((block) => [block.name, blockSpecs(block)])),
    attnpool: {
      positional_embedding: spec([places + 1, C], std),
      ...declare({
        k_proj: linearSpecs(C, C, std, bias),
        q_proj: linearSpecs(C, C, std, bias),
        v_proj: linearSpecs(C, C, std, bias),
        c_proj: linearSpecs(C, E, std, bias),
      }).parameters,
    },
  });
}

/** Images [B,C,h,w] to [B,E]: their mean attends to itself and to all places, on a grid of side `whole`. */
function attentionPool(p: Scope, x: Tensor, headWidth: number, whole: number): Tensor {
  const [B, C, h, w] = x.shape as [number, number, number, number];
  const H = C / headWidth;
  const places = transpose(reshape(x, [B, C, h * w]), [2, 0, 1]); // [T-1,B,C]
  const tokens = add(
    concat([mean(places, 0, true), places], 0),
    reshape(positionsFor(p.get("positional_embedding"), { extra: 1, whole, seen: h }), [h * w + 1, 1, C]),
  ); // [T,B,C]
  const byHead = (y: Tensor) => transpose(reshape(y, [y.shape[0]!, B, H, headWidth]), [1, 2, 0, 3]); // [B,H,·,D]
  const q = byHead(linear(p.in("q_proj"), slice(tokens, 0, 0, 1)));
  const k = byHead(linear(p.in("k_proj"), tokens));
  const v = byHead(linear(p.in("v_proj"), tokens));
  const weights = softmax(matmul(q, k, { transB: true, alpha: headWidth ** -0.5 })); // [B,H,1,T]
  return linear(p.in("c_proj"), reshape(matmul(weights, v), [B, C]));
}

/** Normalized images f32[B,3,S,S] to f32[B,E]. */
function features(
  p: Scope,
  images: Tensor,
  v: CompleteModifiedResNet,
  { remake, wholeSize }: { readonly remake: boolean; readonly wholeSize: number },
): Tensor {
  const step = remake ? rematerialize(bottleneck) : bottleneck;
  let x = images;
  for (const i of [1, 2, 3]) {
    x = relu(batchNorm(p.in(`bn${i}`), convolve(p.in(`conv${i}`), x, i === 1 ? 2 : 1)));
  }
  x = halve(x);
  for (const block of blocksOf(v)) x = step(p.in(block.name), x, block);
  return attentionPool(p.in("attnpool"), x, v.head_width, gridOf(wholeSize));
}

export const modifiedResNet: ImageEncoder<ModifiedResNetConfig, CompleteModifiedResNet> = {
  name: "ModifiedResNet",
  describes: ({ layers }) => Array.isArray(layers),
  schema,
  refused: {
    ...refuse("It belongs to the vision transformer; remove the key.", {
      mlp_ratio: 4,
      ls_init_value: null,
      attentional_pool: false,
      attn_pooler_queries: 256,
      attn_pooler_heads: 8,
      pool_type: "tok",
      no_ln_pre: false,
      final_ln_after_pool: false,
      pos_embed_type: "learnable",
      act_kwargs: null,
      norm_kwargs: null,
    }),
    ...refuse("Dropping patches is not for convolutions; remove the key.", { patch_dropout: 0 }),
    ...refuse("Only the pooled vector is given out; remove the key.", { output_tokens: false }),
    ...plainBlocks,
  },
  complete,
  check(vision, _, where) {
    const v = complete(vision);
    if (v.image_size < REDUCTION || v.image_size % 2 !== 0) {
      throw new UsageError(
        `${where}: vision_cfg.image_size must be even and at least ${REDUCTION} for this tower; got image_size=${v.image_size}. Nearest: ${Math.max(REDUCTION, 2 * Math.round(v.image_size / 2))}.`,
      );
    }
    if (v.width % 2 !== 0 || (REDUCTION * v.width) % v.head_width !== 0) {
      throw new UsageError(
        `${where}: vision_cfg.width must be even, and ${REDUCTION} times it a multiple of head_width; got width=${v.width}, head_width=${v.head_width}.`,
      );
    }
  },
  extensions: () => [],
  sizeStep: () => 2,
  build(v, { embedDim, rematerialize: remake = false, fullSize = v.image_size, wholeSize = v.image_size }) {
    return {
      ...specsOf(v, embedDim, fullSize),
      noise: {},
      width: embedDim,
      depth: depthByBlocks(
        blocksOf(v).map(({ name }) => [name]),
        ["attnpool"],
      ),
      stored: {
        projection: ["attnpool.c_proj.weight", "attnpool.c_proj.bias"],
        fromTrunk: (name) => name,
        positions: { name: "attnpool.positional_embedding", extra: 1 },
      },
      features: (p, images) => features(p, images, v, { remake, wholeSize }),
      // The attention pooling's own projection is the one into the joint space.
      project: (_, pooled) => pooled,
    };
  },
};
