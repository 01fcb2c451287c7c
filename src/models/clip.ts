/** A CLIP: two towers into one space, and a learned factor on their cosines. */

import { div, exp, maximum, mul, sqrt, sum } from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";
import { type ParameterSpecs, prefixed, Scope, spec } from "../nn/parameters.js";
import { type ClipConfig, type CompleteClipConfig, completeClipConfig } from "./config.js";
import { textSpecs, textTower } from "./text.js";
import type { TowerOptions } from "./tower.js";
import { vit, vitSpecs } from "./vit.js";

/** Parameters by open_clip's names. */
export type Parameters = Readonly<Record<string, Tensor>>;

export interface Clip {
  readonly config: CompleteClipConfig;
  readonly parameters: ParameterSpecs;
  /** Normalized images f32[B,3,S,S] to unit vectors f32[B,E]. */
  encodeImage(parameters: Parameters, images: Tensor): Tensor;
  /** Token rows i32[B,T], T up to the context length, to unit vectors f32[B,E]. */
  encodeText(parameters: Parameters, tokens: Tensor): Tensor;
  /** The factor on the cosines: e to the learned `logit_scale`, f32[]. */
  logitScale(parameters: Parameters): Tensor;
}

/** The model that `config` describes. */
export function makeClip(config: ClipConfig, options: TowerOptions = {}): Clip {
  const complete = completeClipConfig(config);
  const scale = { kind: "constant", value: complete.init_logit_scale } as const;
  return {
    config: complete,
    parameters: {
      ...textSpecs(complete),
      ...prefixed("visual", vitSpecs(complete)),
      logit_scale: spec([], scale),
    },
    encodeImage: (p, images) => unit(vit(new Scope(p).in("visual"), images, complete, options)),
    encodeText: (p, tokens) => unit(textTower(new Scope(p), tokens, complete, options)),
    logitScale: (p) => exp(new Scope(p).get("logit_scale")),
  };
}

/** PyTorch's `normalize`: rows of x [B,E] over their lengths, of at least 1e-12. */
export function unit(x: Tensor): Tensor {
  return div(x, maximum(sqrt(sum(mul(x, x), -1, true)), 1e-12));
}
