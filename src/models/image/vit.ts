/** The Vision Transformer as CLIP's image tower (Dosovitskiy et al. 2021; open_clip's VisionTransformer). */

import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import {
  add,
  concat,
  gather,
  linearMap,
  mean,
  mul,
  reshape,
  scatterAdd,
  slice,
  transpose,
} from "../../graph/ops/index.js";
import { broadcastTo } from "../../graph/ops/movement.js";
import type { Tensor } from "../../graph/tensor.js";
import { type DropPath, makeDropPath } from "../../nn/drop-path.js";
import { keptPatches, layerNorm, layerNormSpecs, linear, patches, placesOf } from "../../nn/layers.js";
import {
  normalInit,
  type ParameterSpecs,
  prefixed,
  type Scope,
  spec,
  uniformInit,
  zeros,
} from "../../nn/parameters.js";
import { positionsFor } from "../../nn/positions.js";
import { type TransformerOptions, transformer, transformerSpecs } from "../../nn/transformer.js";
import {
  type CompleteTransformer,
  checkActivation,
  checkDivides,
  count,
  flag,
  plainBlocks,
  refuse,
  side,
  type TransformerConfig,
  transformerKeys,
  transformerKwargs,
} from "../config/fields.js";
import { depthByBlocks } from "../depth.js";
import type { ImageEncoder } from "./encoder.js";
import { towerBlocks } from "./tower.js";

/** open_clip's `CLIPVisionCfg` for its VisionTransformer, with extensions that it lacks, each marked. */
export interface VitConfig extends TransformerConfig {
  /** Side of the square input, pixels, a multiple of `patch_size`. Default 224. */
  readonly image_size?: number;
  /** Side of a patch, pixels. Default 16. */
  readonly patch_size?: number;
  /** Channels of one attention head; heads are `width / head_width`. Default 64. */
  readonly head_width?: number;
  /**
   * `"tok"`, the default: the class token. `"avg"`: the mean over the patches, without the class token. Extension:
   * `"flat"`, all patches side by side, so that the projection is f32[P·C,E]: for few patches of centred subjects,
   * whose layout matters; needs `class_token: false`.
   */
  readonly pool_type?: "tok" | "avg" | "flat";
  /** True leaves out the layer norm between the embeddings and the first block. Default false. */
  readonly no_ln_pre?: boolean;
  /** True pools first and norms the pooled vector; false, the default, norms all tokens and then pools. */
  readonly final_ln_after_pool?: boolean;
  /**
   * Extension. False: no class token and no position for it, as in big_vision; needs another `pool_type` than `"tok"`. Default true:
   * open_clip keeps the token in the sequence even when it pools the patches.
   */
  readonly class_token?: boolean;
  /** Extension. True: the patch convolution has a bias, as in big_vision and timm. Default false. */
  readonly conv_bias?: boolean;
  /** Extension. True: the projection has a bias (`visual.proj.weight` f32[E,C], `visual.proj.bias`). Default false. */
  readonly proj_bias?: boolean;
}

export type CompleteVitConfig = CompleteTransformer<VitConfig>;

/** What open_clip takes where a configuration is silent; the extensions are off. */
const defaults = {
  image_size: 224,
  patch_size: 16,
  width: 768,
  layers: 12,
  head_width: 64,
  mlp_ratio: 4,
  ls_init_value: null,
  pool_type: "tok",
  no_ln_pre: false,
  final_ln_after_pool: false,
  class_token: true,
  conv_bias: false,
  proj_bias: false,
} as const;

const complete = (vision: VitConfig): CompleteVitConfig => ({
  ...defaults,
  ...vision,
  ...transformerKwargs(vision),
});

const schema = z.strictObject({
  ...transformerKeys,
  image_size: side.exactOptional(),
  patch_size: count.exactOptional(),
  head_width: count.exactOptional(),
  pool_type: z.enum(["tok", "avg", "flat"]).exactOptional(),
  no_ln_pre: flag,
  final_ln_after_pool: flag,
  class_token: flag,
  conv_bias: flag,
  proj_bias: flag,
});

const gridOf = (v: CompleteVitConfig, size = v.image_size): number => size / v.patch_size;
const patchCount = (v: CompleteVitConfig): number => gridOf(v) ** 2;
const featureWidth = (v: CompleteVitConfig): number =>
  v.pool_type === "flat" ? patchCount(v) * v.width : v.width;

/** Parameters without the `visual.` prefix, starting as open_clip starts them. */
function vitSpecs(v: CompleteVitConfig, E: number, options: TransformerOptions): ParameterSpecs {
  const { width: C, patch_size } = v;
  const P = patchCount(v);
  const std = C ** -0.5;
  // PyTorch's defaults: Conv2d and Linear uniform by fan-in, in_proj by Xavier.
  const patchBound = (3 * patch_size ** 2) ** -0.5;
  const hiddenBound = options.hidden ** -0.5;
  const pooledWidth = featureWidth(v);
  const projectionStd = pooledWidth ** -0.5;
  return {
    ...(v.class_token ? { class_embedding: spec([C], normalInit(std)) } : {}),
    positional_embedding: spec([v.class_token ? P + 1 : P, C], normalInit(std)),
    ...(v.proj_bias
      ? { "proj.weight": spec([E, pooledWidth], normalInit(projectionStd)), "proj.bias": spec([E], zeros) }
      : { proj: spec([pooledWidth, E], normalInit(projectionStd)) }),
    "conv1.weight": spec([C, 3, patch_size, patch_size], uniformInit(patchBound)),
    ...(v.conv_bias ? { "conv1.bias": spec([C], zeros) } : {}),
    ...(v.no_ln_pre ? {} : prefixed("ln_pre", layerNormSpecs(C))),
    ...prefixed(
      "transformer",
      transformerSpecs(options, {
        inProjection: uniformInit((1.5 / C) ** 0.5),
        outProjection: uniformInit(std),
        fc: uniformInit(std),
        fcBias: uniformInit(std),
        projection: uniformInit(hiddenBound),
        projectionBias: uniformInit(hiddenBound),
      }),
    ),
    ...prefixed("ln_post", layerNormSpecs(C)),
  };
}

const BLOCKS = "transformer.resblocks";

interface VitPass {
  readonly blocks: TransformerOptions;
  readonly dropPath: DropPath;
  /** Side of whole images, pixels. */
  readonly wholeSize: number;
  /** i32[B,K]: the patches that are seen; all without it. */
  readonly kept: Tensor | undefined;
}

/** Normalized images f32[B,3,S,S] to pooled features f32[B,W]. */
function vitFeatures(
  p: Scope,
  images: Tensor,
  v: CompleteVitConfig,
  { blocks, dropPath, wholeSize, kept }: VitPass,
): Tensor {
  const { width: C, patch_size } = v;
  const B = images.shape[0]!;
  const P = patchCount(v);
  const eps = v.norm_kwargs.eps;
  const positions = positionsFor(p.get("positional_embedding"), {
    extra: v.class_token ? 1 : 0,
    whole: gridOf(v, wholeSize),
    seen: gridOf(v),
  });
  const numbers = kept && transpose(kept); // [K,B]

  const all = patches(images, patch_size); // [P,B,·]
  // A convolution whose stride is its kernel is a matrix product over patches.
  const kernel = reshape(p.in("conv1").get("weight"), [C, 3 * patch_size ** 2]);
  const bias = v.conv_bias ? p.in("conv1").get("bias") : undefined;
  let x = linearMap(kept === undefined ? all : keptPatches(all, kept), kernel, bias); // [K,B,C]
  if (v.class_token) {
    x = concat([broadcastTo(reshape(p.get("class_embedding"), [1, 1, C]), [1, B, C]), x], 0);
  }
  const T = x.shape[0]!;
  if (numbers === undefined)
    x = add(x, reshape(positions, [T, 1, C])); // [T,B,C]
  else if (!v.class_token) x = add(x, gather(positions, numbers));
  else {
    const first = broadcastTo(reshape(slice(positions, 0, 0, 1), [1, 1, C]), [1, B, C]);
    x = add(x, concat([first, gather(positions, add(numbers, 1))], 0));
  }
  if (!v.no_ln_pre) x = layerNorm(p.in("ln_pre"), x, eps);
  x = transformer(p.in("transformer"), x, blocks, (y, block, branch) =>
    dropPath.apply(p, p.in(`${BLOCKS}.${block}`), y, block, branch, 1),
  );

  const norm = (y: Tensor) => layerNorm(p.in("ln_post"), y, eps);
  const pool = (y: Tensor): Tensor => {
    if (v.pool_type === "flat") {
      // Patches that are not seen are zeros there, and the others weigh more for it, as in dropout.
      const spread =
        kept === undefined ? y : reshape(mul(scatterAdd(placesOf(kept), y, P * B), P / T), [P, B, C]);
      return reshape(transpose(spread, [1, 0, 2]), [B, P * C]);
    }
    if (v.pool_type === "tok") return reshape(slice(y, 0, 0, 1), [B, C]);
    return mean(v.class_token ? slice(y, 0, 1, T) : y, 0);
  };
  // Rows are normed one by one: with a token to be picked, norming only that one is the same.
  return v.final_ln_after_pool || v.pool_type === "tok" ? norm(pool(x)) : pool(norm(x));
}

/** timm's names (its vision_transformer.py) where they differ from open_clip's. */
const TIMM_NAMES: readonly (readonly [RegExp, string])[] = [
  [/^cls_token$/, "class_embedding"],
  [/^pos_embed$/, "positional_embedding"],
  [/^patch_embed\.proj\./, "conv1."],
  [/^norm_pre\./, "ln_pre."],
  [/^(norm|fc_norm)\./, "ln_post."],
  [/^blocks\.(\d+)\.norm([12])\./, `${BLOCKS}.$1.ln_$2.`],
  [/^blocks\.(\d+)\.ls([12])\./, `${BLOCKS}.$1.ls_$2.`],
  [/^blocks\.(\d+)\.attn\.qkv\./, `${BLOCKS}.$1.attn.in_proj_`],
  [/^blocks\.(\d+)\.attn\.proj\./, `${BLOCKS}.$1.attn.out_proj.`],
  [/^blocks\.(\d+)\.mlp\.fc1\./, `${BLOCKS}.$1.mlp.c_fc.`],
  [/^blocks\.(\d+)\.mlp\.fc2\./, `${BLOCKS}.$1.mlp.c_proj.`],
];

function fromTimm(name: string): string | undefined {
  if (/^head\./.test(name)) return undefined;
  const [pattern, ours] = TIMM_NAMES.find(([timm]) => timm.test(name)) ?? [];
  return pattern === undefined ? name : name.replace(pattern, ours!);
}

export const vit: ImageEncoder<VitConfig, CompleteVitConfig> = {
  name: "ViT",
  describes: () => true,
  schema,
  refused: {
    ...refuse("It belongs to timm's models; name one by timm_model_name.", {
      timm_model_name: null,
      timm_model_pretrained: false,
      timm_pool: "avg",
      timm_proj: "linear",
      timm_proj_bias: false,
      timm_drop: 0,
      timm_drop_path: null,
    }),
    ...refuse("Attention pooling is not built; use pool_type tok or avg.", {
      attentional_pool: false,
      attn_pooler_queries: 256,
      attn_pooler_heads: 8,
    }),
    ...refuse("Dropping patches is part of training, not of the model; set it in the recipe.", {
      patch_dropout: 0,
    }),
    ...refuse("Only learned positions are built; remove the key.", { pos_embed_type: "learnable" }),
    ...refuse("Only the pooled vector is given out; remove the key.", { output_tokens: false }),
    ...plainBlocks,
  },
  complete,
  check(vision, quickGelu, where) {
    const v = complete(vision);
    checkDivides("vision_cfg", ["image_size", v.image_size], ["patch_size", v.patch_size], where);
    checkDivides("vision_cfg", ["width", v.width], ["head_width", v.head_width], where);
    if (v.class_token && v.pool_type === "flat") {
      throw new UsageError(
        `${where}: vision_cfg.pool_type="flat" takes the patches alone; got class_token=true. Set class_token to false.`,
      );
    }
    if (!v.class_token && v.pool_type === "tok") {
      throw new UsageError(
        `${where}: vision_cfg.class_token=false leaves nothing for pool_type to take; got ` +
          `pool_type="${v.pool_type}". Set vision_cfg.pool_type to "avg".`,
      );
    }
    checkActivation("vision_cfg", vision, quickGelu, where);
  },
  extensions: (v) => [
    ...(v.pool_type === "flat" ? ["pool_type"] : []),
    ...(v.class_token ? [] : ["class_token"]),
    ...(v.conv_bias ? ["conv_bias"] : []),
    ...(v.proj_bias ? ["proj_bias"] : []),
  ],
  sizeStep: (v) => v.patch_size,
  build(
    v,
    {
      embedDim,
      quickGelu,
      rematerialize,
      dropPath: rate = 0,
      fullSize = v.image_size,
      wholeSize = v.image_size,
    },
  ) {
    const blocks = towerBlocks(v, {
      heads: v.width / v.head_width,
      causal: false,
      quickGelu,
      rematerialize,
    });
    const dropPath = makeDropPath(rate, v.layers, 2);
    return {
      // Patches side by side bind the projection to their number.
      parameters: vitSpecs(v.pool_type === "flat" ? v : { ...v, image_size: fullSize }, embedDim, blocks),
      statistics: {},
      noise: dropPath.noise,
      width: featureWidth(v),
      tokens: patchCount(v),
      depth: depthByBlocks(
        Array.from({ length: v.layers }, (_, i) => [`${BLOCKS}.${i}`]),
        ["ln_post", "proj"],
      ),
      stored: {
        projection: v.proj_bias ? ["proj.weight", "proj.bias"] : ["proj"],
        fromTrunk: fromTimm,
        positions: { name: "positional_embedding", extra: v.class_token ? 1 : 0 },
      },
      features: (p, images, kept) => vitFeatures(p, images, v, { blocks, dropPath, wholeSize, kept }),
      project: (p, features) =>
        v.proj_bias
          ? linear(p.in("proj"), features)
          : linearMap(features, p.get("proj"), undefined, { transposed: true }),
    };
  },
};
