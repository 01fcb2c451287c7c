/** The Vision Transformer as CLIP's image tower (Dosovitskiy et al. 2021; open_clip's VisionTransformer). */

import { add, concat, linearMap, mean, reshape, slice, transpose } from "../graph/ops/index.js";
import { broadcastTo } from "../graph/ops/movement.js";
import type { Tensor } from "../graph/tensor.js";
import { layerNorm, layerNormSpecs, linear, patches } from "../nn/layers.js";
import {
  normalInit,
  type ParameterSpecs,
  prefixed,
  type Scope,
  spec,
  uniformInit,
  zeros,
} from "../nn/parameters.js";
import { transformer, transformerSpecs } from "../nn/transformer.js";
import type { CompleteClipConfig } from "./config.js";
import { type TowerOptions, towerBlocks } from "./tower.js";

/** Parameters without the `visual.` prefix, starting as open_clip starts them. */
export function vitSpecs(config: CompleteClipConfig): ParameterSpecs {
  const { vision_cfg: v, embed_dim: E } = config;
  const { width: C, patch_size } = v;
  const P = (v.image_size / patch_size) ** 2;
  const options = towerBlocks(config, "image");
  const std = C ** -0.5;
  // PyTorch's defaults: Conv2d and Linear uniform by fan-in, in_proj by Xavier.
  const patchBound = (3 * patch_size ** 2) ** -0.5;
  const hiddenBound = options.hidden ** -0.5;
  const pooledWidth = v.pool_type === "flat" ? P * C : C;
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

/** Normalized images f32[B,3,S,S] to features f32[B,E], not yet of unit length. */
export function vit(
  p: Scope,
  images: Tensor,
  config: CompleteClipConfig,
  options: TowerOptions = {},
): Tensor {
  const { vision_cfg: v } = config;
  const { width: C, patch_size } = v;
  const B = images.shape[0]!;
  const eps = v.norm_kwargs.eps;

  // A convolution whose stride is its kernel is a matrix product over patches.
  const kernel = reshape(p.in("conv1").get("weight"), [C, 3 * patch_size ** 2]);
  const bias = v.conv_bias ? p.in("conv1").get("bias") : undefined;
  let x = linearMap(patches(images, patch_size), kernel, bias); // [P,B,C]
  if (v.class_token) {
    x = concat([broadcastTo(reshape(p.get("class_embedding"), [1, 1, C]), [1, B, C]), x], 0);
  }
  const T = x.shape[0]!;
  x = add(x, reshape(p.get("positional_embedding"), [T, 1, C])); // [T,B,C]
  if (!v.no_ln_pre) x = layerNorm(p.in("ln_pre"), x, eps);
  x = transformer(p.in("transformer"), x, towerBlocks(config, "image", options));

  const norm = (y: Tensor) => layerNorm(p.in("ln_post"), y, eps);
  const pool = (y: Tensor): Tensor => {
    if (v.pool_type === "flat") return reshape(transpose(y, [1, 0, 2]), [B, T * C]);
    if (v.pool_type === "tok") return reshape(slice(y, 0, 0, 1), [B, C]);
    return mean(v.class_token ? slice(y, 0, 1, T) : y, 0);
  };
  // Rows are normed one by one: with a token to be picked, norming only that one is the same.
  const pooled = v.final_ln_after_pool || v.pool_type === "tok" ? norm(pool(x)) : pool(norm(x));
  return v.proj_bias
    ? linear(p.in("proj"), pooled)
    : linearMap(pooled, p.get("proj"), undefined, { transposed: true });
}
