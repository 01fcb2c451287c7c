/** A CLIP: two towers into one space, and a learned factor on their cosines. */

import { UsageError } from "../core/errors.js";
import { sameShape, sizeOfShape } from "../core/shape.js";
import { div, exp, maximum, mul, sqrt, sum } from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";
import type { NoiseSpecs } from "../nn/noise.js";
import { type ParameterSpecs, prefixed, Scope, spec, type Training } from "../nn/parameters.js";
import { type ClipConfig, type CompleteClipConfig, completeClipConfig } from "./config/config.js";
import type { Depth } from "./depth.js";
import type { TowerOptions } from "./image/encoder.js";
import { encoderOf } from "./image/encoders.js";
import { textDepth, textSpecs, textTower } from "./text/text.js";
import type { StoredForms } from "./weights/stored.js";

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
  /** Where in its tower a parameter or statistic lies, by its name in the tower (`visual.` taken off). */
  readonly depths: { readonly image: Depth; readonly text: Depth };
  /** What the image tower makes of weights stored elsewhere. */
  readonly stored: StoredForms;
  /** Channels W of the image features before the projection. */
  readonly imageWidth: number;
  /** Patches of an image, where the image tower can do without some of them in training. */
  readonly imageTokens: number | undefined;
  /** Sides of images are multiples of this. */
  readonly imageSizeStep: number;
  /** Normalized images f32[B,3,S,S] to unit vectors f32[B,E]. With `training`, as its pass. */
  encodeImage(variables: Variables, images: Tensor, training?: Training): Tensor;
  /**
   * Normalized images f32[B,3,S,S] to pooled features f32[B,W], before the projection.
   * @param kept i32[B,K], of each image the numbers of the patches that are seen, ascending; needs `imageTokens`.
   */
  imageFeatures(variables: Variables, images: Tensor, training?: Training, kept?: Tensor): Tensor;
  /** Pooled features f32[B,W] to unit vectors f32[B,E]. */
  projectImage(variables: Variables, features: Tensor): Tensor;
  /** Token rows i32[B,T], T up to the context length, to unit vectors f32[B,E]. */
  encodeText(variables: Variables, tokens: Tensor, training?: Training): Tensor;
  /** The factor on the cosines: e to the learned `logit_scale`, f32[]. */
  logitScale(variables: Variables): Tensor;
  /** What is added to the scaled cosines, f32[]: the learned `logit_bias`, where the model has one. */
  logitBias(variables: Variables): Tensor | undefined;
  /**
   * The model for windows of its images, squares of side `size`; undefined where it cannot see such. Its parameters are
   * these, unless the encoder is bound to the size of its images.
   */
  forWindows(size: number): Clip | undefined;
  /**
   * The model for its images at another size, with these parameters: learned positions are resampled (`positionsFor`).
   * Throws `UsageError`, naming `what`, where the encoder takes no such images or is bound to the size of its own.
   */
  forImages(size: number, what: string): Clip;
}

/** Forty times the largest CLIP that was published. In f32 with AdamW's state these are 1.6 TB. */
const LARGEST_MODEL = 1e11;

function checkSize(parameters: ParameterSpecs): void {
  const sized = Object.entries(parameters).map(([name, { shape }]) => ({
    name,
    shape,
    size: sizeOfShape(shape),
  }));
  const total = sized.reduce((n, { size }) => n + size, 0);
  if (total <= LARGEST_MODEL) return;
  const { name, shape } = sized.reduce((a, b) => (b.size > a.size ? b : a));
  throw new UsageError(
    `model: must have at most ${LARGEST_MODEL / 1e9} G parameters; got ${(total / 1e9).toPrecision(3)} G, of which ` +
      `${name} is [${shape.join(",")}]. Check the sizes in its configuration.`,
  );
}

/** The model that `config` describes. Throws `UsageError` for one of more than 100 G parameters. */
export function makeClip(config: ClipConfig, options: TowerOptions = {}): Clip {
  const complete = completeClipConfig(config);
  const encoder = encoderOf(config.vision_cfg);
  const visual = encoder.build(complete.vision_cfg, {
    ...options,
    embedDim: complete.embed_dim,
    quickGelu: complete.quick_gelu,
  });
  const scale = { kind: "constant", value: complete.init_logit_scale } as const;
  const bias = complete.init_logit_bias;
  const parameters = {
    ...textSpecs(complete),
    ...prefixed("visual", visual.parameters),
    logit_scale: spec([], scale),
    ...(bias === null ? {} : { logit_bias: spec([], { kind: "constant", value: bias }) }),
  };
  checkSize(parameters);
  const statistics = prefixed("visual", visual.statistics);
  const variables = { ...parameters, ...statistics };
  const S = complete.vision_cfg.image_size;
  const { fullSize = S } = options;
  const sized = (size: number): ClipConfig => ({
    ...config,
    vision_cfg: { ...config.vision_cfg, image_size: size },
  });
  const imageFeatures: Clip["imageFeatures"] = (v, images, training, kept) =>
    visual.features(new Scope(v, training).in("visual"), images, kept);
  const projectImage: Clip["projectImage"] = (v, features) =>
    unit(visual.project(new Scope(v).in("visual"), features));
  return {
    config: complete,
    parameters,
    statistics,
    variables,
    noise: prefixed("visual", visual.noise),
    depths: { image: visual.depth, text: textDepth(complete) },
    stored: visual.stored,
    imageWidth: visual.width,
    imageTokens: visual.tokens,
    imageSizeStep: encoder.sizeStep(complete.vision_cfg),
    imageFeatures,
    projectImage,
    encodeImage: (v, images, training) => projectImage(v, imageFeatures(v, images, training)),
    encodeText: (v, tokens, training) => unit(textTower(new Scope(v, training), tokens, complete, options)),
    logitScale: (v) => exp(new Scope(v).get("logit_scale")),
    logitBias: (v) => (bias === null ? undefined : new Scope(v).get("logit_bias")),
    forWindows(size) {
      try {
        return makeClip(sized(size), { ...options, fullSize, wholeSize: S });
      } catch (error) {
        if (error instanceof UsageError) return undefined;
        throw error;
      }
    },
    forImages(size, what) {
      const other = sized(size);
      encoder.check(other.vision_cfg, complete.quick_gelu, what);
      const made = makeClip(other, { ...options, fullSize });
      if (sameParameters(variables, made.variables)) return made;
      throw new UsageError(
        `${what}: this image tower has parameters for the size of its images, ${fullSize} pixels; got ${size}. Keep one size, or use another tower.`,
      );
    },
  };
}

/** Whether the weights of one model fit another. */
export function sameParameters(a: ParameterSpecs, b: ParameterSpecs): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => b[name] !== undefined && sameShape(a[name]!.shape, b[name].shape))
  );
}

/** What a parameter of a CLIP belongs to, by its name. */
export const towerOf = (name: string): "image" | "text" | "logits" =>
  name.startsWith("visual.") ? "image" : name.startsWith("logit_") ? "logits" : "text";

/**
 * PyTorch's `normalize`: rows of x [B,E] over their lengths, of at least 1e-12. The root is taken of what is not below
 * the bound's square: that of 0 has no gradient, which would make a row of zeros one of NaN.
 */
export function unit(x: Tensor): Tensor {
  return div(x, sqrt(maximum(sum(mul(x, x), -1, true), 1e-24)));
}
