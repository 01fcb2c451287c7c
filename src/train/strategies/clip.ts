/** Pairs against pairs, nothing else: CLIP, and CLIP on augmented images. */

import type { Clip } from "../../models/clip.js";
import { softmaxBeside } from "./conditional.js";
import { shareOfMean, softmaxPairs } from "./loss.js";
import type { Strategy, StrategyKind } from "./strategy.js";

/** CLIP's loss on whole images. */
export const plainClip = (clip: Clip, labelSmoothing = 0): Strategy => ({
  name: "clip",
  views: 0,
  parameters: {},
  statistics: {},
  noise: clip.noise,
  encodeImages: (v, [images], training) => ({ images: clip.encodeImage(v, images!, training) }),
  encodeTexts: (v, tokens, training) => ({ texts: clip.encodeText(v, tokens, training) }),
  pairs: softmaxPairs,
  beside: softmaxBeside,
  loss: (own, all, logits) => shareOfMean(softmaxPairs(own, all, logits, labelSmoothing), own, all),
});

/** Radford et al.'s starting factor, and their temperature's inverse. */
export const CLIP_SCALE = 1 / 0.07;

export const clip: StrategyKind = {
  description: "Each image against the batch's texts, and each text against its images.",
  source: "Radford et al. 2021; open_clip's ClipLoss",
  views: [],
  options: ["labelSmoothing"],
  logits: { scale: CLIP_SCALE },
  build: (model, { labelSmoothing }) => plainClip(model, labelSmoothing),
};

export const clipAug: StrategyKind = {
  ...clip,
  description:
    "clip on images changed by an augmentation policy, stacked-randaugment unless --augment names one.",
  source: "Li, Xie, Cubuk 2024, §7; the policy as in Khosla et al. 2020",
  augment: "stacked-randaugment",
};
