/** A CLIP: two towers into one space, and a learned factor on their cosines. */

import { div, exp, maximum, mul, sqrt, sum } from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";
import type { NoiseSpecs } from "../nn/noise.js";
import { type ParameterSpecs, prefixed, Scope, spec, type Training } from "../nn/parameters.js";
import { type ClipConfig, type CompleteClipConfig, completeClipConfig } from "./config.js";
import type { TowerOptions } from "./encoder.js";
import { encoderOf } from "./encoders.js";
import { textSpecs, textTower } from "./text.js";

/** Parameters and statistics by open_clip's names. */
export type Variables = Readonly<Record<string, Tensor>>;

export interface Clip {
  readonly config: CompleteClipConfig;
  /** What is trained. */
  readonly parameters: ParameterSpecs;
  /** Running statistics of batch norms: state of a run that no gradient reaches. */
  readonly statistics: ParameterSpecs;
  /** Parameters and statistics: what the towers take, and what a file of weights holds. */
  readonly variables: ParameterSpecs;
  /** Random numbers that a training pass takes, by name. */
  readonly noise: NoiseSpecs;
  /** Channels W of the image features before the projection. */
  readonly imageWidth: number;
  /** Normalized images f32[B,3,S,S] to unit vectors f32[B,E]. With `training`, as its pass. */
  encodeImage(variables: Variables, images: Tensor, training?: Training): Tensor;
  /** Normalized images f32[B,3,S,S] to pooled features f32[B,W], before the projection. */
  imageFeatures(variables: Variables, images: Tensor, training?: Training): Tensor;
  /** Pooled features f32[B,W] to unit vectors f32[B,E]. */
  projectImage(variables: Variables, features: Tensor): Tensor;
  /** Token rows i32[B,T], T up to the context length, to unit vectors f32[B,E]. */
  encodeText(variables: Variables, tokens: Tensor, training?: Training): Tensor;
  /** The factor on the cosines: e to the learned `logit_scale`, f32[]. */
  logitScale(variables: Variables): Tensor;
}

/** The model that `config` describes. */
export function makeClip(config: ClipConfig, options: TowerOptions = {}): Clip {
  const complete = completeClipConfig(config);
  const visual = encoderOf(config.vision_cfg).build(complete.vision_cfg, {
    ...options,
    embedDim: complete.embed_dim,
    quickGelu: complete.quick_gelu,
  });
  const scale = { kind: "constant", value: complete.init_logit_scale } as const;
  const parameters = {
    ...textSpecs(complete),
    ...prefixed("visual", visual.parameters),
    logit_scale: spec([], scale),
  };
  const statistics = prefixed("visual", visual.statistics);
  const imageFeatures: Clip["imageFeatures"] = (v, images, training) =>
    visual.features(new Scope(v, training).in("visual"), images);
  const projectImage: Clip["projectImage"] = (v, features) =>
    unit(visual.project(new Scope(v).in("visual"), features));
  return {
    config: complete,
    parameters,
    statistics,
    variables: { ...parameters, ...statistics },
    noise: prefixed("visual", visual.noise),
    imageWidth: visual.width,
    imageFeatures,
    projectImage,
    encodeImage: (v, images, training) => projectImage(v, imageFeatures(v, images, training)),
    encodeText: (v, tokens, training) => unit(textTower(new Scope(v, training), tokens, complete, options)),
    logitScale: (v) => exp(new Scope(v).get("logit_scale")),
  };
}

/** PyTorch's `normalize`: rows of x [B,E] over their lengths, of at least 1e-12. */
export function unit(x: Tensor): Tensor {
  return div(x, maximum(sqrt(sum(mul(x, x), -1, true)), 1e-12));
}
