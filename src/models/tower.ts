/** What a configuration says of a tower's transformer. */

import type { TransformerOptions } from "../nn/transformer.js";
import type { CompleteClipConfig } from "./config.js";

export interface TowerOptions {
  /** Recompute blocks in the backward pass. Default false. */
  readonly rematerialize?: boolean | undefined;
}

/** The blocks of the image tower or of the text tower. */
export function towerBlocks(
  config: CompleteClipConfig,
  tower: "image" | "text",
  { rematerialize }: TowerOptions = {},
): TransformerOptions {
  const { vision_cfg: vision, text_cfg: text } = config;
  const own = tower === "image" ? vision : text;
  return {
    width: own.width,
    layers: own.layers,
    heads: tower === "image" ? vision.width / vision.head_width : text.heads,
    hidden: Math.trunc(own.width * own.mlp_ratio),
    gelu: config.quick_gelu ? "quick" : own.act_kwargs.approximate === "tanh" ? "tanh" : "erf",
    epsilon: own.norm_kwargs.eps,
    causal: tower === "text" && !text.no_causal_mask,
    layerScale: own.ls_init_value,
    rematerialize,
  };
}
