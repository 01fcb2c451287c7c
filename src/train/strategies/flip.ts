/** FLIP: a part of each image at a part of the cost (Li et al. 2023). */

import { maskImages } from "../../models/image/masking.js";
import { CLIP_SCALE, plainClip } from "./clip.js";
import type { StrategyKind } from "./strategy.js";

export const flip: StrategyKind = {
  description:
    "clip on a random part of each image, which costs less: patches of a ViT, windows for other encoders. --mask-ratio.",
  source: "Li et al. 2023, Scaling Language-Image Pre-training via Masking; facebookresearch/flip",
  views: [],
  // What is locked sees whole images.
  learnsFrom: "image tower",
  options: ["labelSmoothing", "maskRatio"],
  logits: { scale: CLIP_SCALE },
  build(clip, { labelSmoothing, maskRatio }) {
    const parts = maskImages(clip, maskRatio);
    return {
      ...plainClip(clip, labelSmoothing),
      name: "flip",
      noise: parts.noise,
      seen: parts.about,
      encodeImages: (v, [images], training) => ({
        images: clip.projectImage(v, parts.features(v, images!, training)),
      }),
    };
  },
};
