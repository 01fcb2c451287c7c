/**
 * Training on a part of each image at a part of the cost (FLIP: Li et al. 2023, "Scaling Language-Image Pre-training via
 * Masking"). A tower that can do without patches gets a random subset of them. For others the same is done with a
 * random square window, of the same share of the area: they see a smaller image, with the same parameters.
 */

import { UsageError } from "../../core/errors.js";
import { formatType } from "../../core/shape.js";
import { add, cast, floor, gather, iota, minimum, mul, reshape, slice } from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import type { NoiseSpecs } from "../../nn/noise.js";
import type { Training } from "../../nn/parameters.js";
import { type Clip, sameParameters, type Variables } from "../clip.js";

export interface PartialImages {
  /** What is seen of an image, for people: `98 of 196 patches`, or `windows of 160 of 224 pixels`. */
  readonly about: string;
  /** The tower's noise, and what chooses the parts. */
  readonly noise: NoiseSpecs;
  /** Normalized images f32[B,3,S,S] to pooled features f32[B,W], of the parts that `training.noise` chooses. */
  features(variables: Variables, images: Tensor, training: Training): Tensor;
}

const KEPT = "masking.kept";
const WINDOW = "masking.window";

/**
 * The image tower on a share of each image.
 * @param ratio share that is left out, in (0, 1): of P patches ⌊P (1 − ratio)⌋ are seen.
 * @throws UsageError where nothing would be seen, or the model can see no smaller window with its parameters.
 */
export function maskImages(clip: Clip, ratio: number): PartialImages {
  const { imageTokens: P } = clip;
  if (P === undefined) return windows(clip, ratio);
  const size = Math.floor(P * (1 - ratio));
  if (size === 0) {
    throw new UsageError(
      `maskRatio: must leave a patch to see; got maskRatio=${ratio} of ${P} patches. Lower it, or use smaller patches.`,
    );
  }
  return {
    about: `${size} of ${P} patches`,
    noise: { ...clip.noise, [KEPT]: { kind: "subset", of: P, size } },
    features: (v, images, training) => clip.imageFeatures(v, images, training, training.noise[KEPT]),
  };
}

function windows(clip: Clip, ratio: number): PartialImages {
  const S = clip.config.vision_cfg.image_size;
  const step = clip.imageSizeStep;
  const nearest = Math.max(1, Math.round((S * Math.sqrt(1 - ratio)) / step)) * step;
  let small: Clip | undefined;
  for (let side = nearest; side < S && small === undefined; side += step) {
    const candidate = clip.forWindows(side);
    if (candidate !== undefined && sameParameters(clip.variables, candidate.variables)) small = candidate;
  }
  if (small === undefined) {
    throw new UsageError(
      `maskRatio: this model can see no window smaller than its images with the same parameters; got maskRatio=${ratio}, images of ${S} pixels in steps of ${step}. Use larger images, a ViT, or another --strategy.`,
    );
  }
  const seen = small;
  const side = seen.config.vision_cfg.image_size;
  return {
    about: `windows of ${side} of ${S} pixels`,
    noise: { ...seen.noise, [WINDOW]: { kind: "uniform", shape: [2] } },
    features: (v, images, training) =>
      seen.imageFeatures(v, cropWindows(images, side, training.noise[WINDOW]!), training),
  };
}

/**
 * A square window of each image [B,C,S,S]: [B,C,side,side]. Its corner is ⌊draw · (S − side + 1)⌋, by rows and columns.
 * @param draw f32[B,2] in [0, 1).
 */
export function cropWindows(images: Tensor, side: number, draw: Tensor): Tensor {
  const [B, C, S] = images.shape as [number, number, number, number];
  if (side > S)
    throw new UsageError(`window: must fit into the image; got side=${side}, ${formatType(images)}.`);
  // A draw just below 1 may be 1 in f32.
  const corner = cast(minimum(floor(mul(draw, S - side + 1)), S - side), "i32"); // [B,2]
  const from = (axis: number) => reshape(slice(corner, 1, axis, axis + 1), [B, 1, 1, 1]);
  const rows = add(iota("i32", [1, 1, side, 1], 2), from(0));
  const columns = add(iota("i32", [1, 1, 1, side], 3), from(1));
  const plane = mul(reshape(iota("i32", [B * C]), [B, C, 1, 1]), S * S);
  const places = add(add(plane, mul(rows, S)), columns); // [B,C,side,side]
  return gather(reshape(images, [B * C * S * S]), places);
}
