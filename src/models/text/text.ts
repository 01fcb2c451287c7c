/** CLIP's text tower (Radford et al. 2021; open_clip's TextTransformer). */

import {
  add,
  argmax,
  cast,
  div,
  equal,
  gather,
  linearMap,
  maximum,
  mean,
  mul,
  not,
  reshape,
  slice,
  sum,
  transpose,
} from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { layerNorm, layerNormSpecs, linear, pickToken } from "../../nn/layers.js";
import {
  normalInit,
  type ParameterSpecs,
  prefixed,
  type Scope,
  spec,
  uniformInit,
  zeros,
} from "../../nn/parameters.js";
import { transformer, transformerSpecs } from "../../nn/transformer.js";
import type { CompleteClipConfig } from "../config/config.js";
import { type Depth, depthByBlocks } from "../depth.js";
import type { TowerOptions } from "../image/encoder.js";
import { towerBlocks } from "../image/tower.js";

const blocksOf = (config: CompleteClipConfig, { rematerialize }: TowerOptions = {}) =>
  towerBlocks(config.text_cfg, {
    heads: config.text_cfg.heads,
    causal: !config.text_cfg.no_causal_mask,
    quickGelu: config.quick_gelu,
    rematerialize,
  });

/** Parameters, which open_clip keeps without a prefix, starting as open_clip starts them. */
export function textSpecs(config: CompleteClipConfig): ParameterSpecs {
  const { text_cfg: t, embed_dim: E } = config;
  const C = t.width;
  const options = blocksOf(config);
  const std = C ** -0.5;
  const residual = std * (2 * t.layers) ** -0.5;
  return {
    positional_embedding: spec([t.context_length, C], normalInit(0.01)),
    ...(t.proj_bias
      ? { "text_projection.weight": spec([E, C], normalInit(std)), "text_projection.bias": spec([E], zeros) }
      : { text_projection: spec([C, E], normalInit(std)) }),
    ...prefixed(
      "transformer",
      transformerSpecs(options, {
        inProjection: normalInit(std),
        outProjection: normalInit(residual),
        fc: normalInit((2 * C) ** -0.5),
        fcBias: uniformInit(std),
        projection: normalInit(residual),
        projectionBias: uniformInit(options.hidden ** -0.5),
      }),
    ),
    "token_embedding.weight": spec([t.vocab_size, C], normalInit(0.02)),
    ...prefixed("ln_final", layerNormSpecs(C)),
  };
}

/** Where in the tower its parameters lie. */
export const textDepth = ({ text_cfg: t }: CompleteClipConfig): Depth =>
  depthByBlocks(
    Array.from({ length: t.layers }, (_, i) => [`transformer.resblocks.${i}`]),
    ["ln_final", "text_projection"],
  );

/**
 * Token rows i32[B,T] to features f32[B,E], not yet of unit length. T may be shorter than the context length:
 * the first T positions are used.
 */
export function textTower(
  p: Scope,
  tokens: Tensor,
  config: CompleteClipConfig,
  options: TowerOptions = {},
): Tensor {
  const { text_cfg: t } = config;
  const [B, T] = tokens.shape as [number, number];
  const positions = p.get("positional_embedding");
  let x = gather(p.in("token_embedding").get("weight"), transpose(tokens)); // [T,B,C]
  x = add(x, reshape(slice(positions, 0, 0, T), [T, 1, t.width]));
  x = transformer(p.in("transformer"), x, blocksOf(config, options));

  const norm = (y: Tensor) => layerNorm(p.in("ln_final"), y, t.norm_kwargs.eps);
  const at = (position: number) => reshape(slice(x, 0, position, position + 1), [B, t.width]);
  const pooled = (): Tensor => {
    switch (t.pool_type) {
      case "argmax":
        return norm(pickToken(x, argmax(cast(tokens, "f32"), 1)));
      case "eos":
        return norm(pickToken(x, argmax(cast(equal(tokens, t.eos_id), "f32"), 1)));
      case "first":
        return norm(at(0));
      case "last":
        return norm(at(T - 1));
      case "avg":
        return mean(norm(x), 0);
      case "mean": {
        const words = reshape(cast(not(equal(transpose(tokens), t.pad_id)), "f32"), [T, B, 1]);
        return norm(div(sum(mul(x, words), 0), maximum(sum(words, 0), 1)));
      }
    }
  };
  const y = pooled();
  return t.proj_bias
    ? linear(p.in("text_projection"), y)
    : linearMap(y, p.get("text_projection"), undefined, { transposed: true });
}
