/** SigLIP: each pair judged alone, by a sigmoid (Zhai et al. 2023). */

import { plainClip } from "./clip.js";
import { sigmoidBeside } from "./conditional.js";
import { shareOfMean, sigmoidPairs } from "./loss.js";
import type { StrategyKind } from "./strategy.js";

export const siglip: StrategyKind = {
  description: "Every image and text judged alone, as a pair or not, by a sigmoid with a learned bias.",
  source: "Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training; open_clip's SigLipLoss",
  views: [],
  options: [],
  logits: { scale: 10, bias: -10 },
  build: (clip) => ({
    ...plainClip(clip),
    name: "siglip",
    pairs: sigmoidPairs,
    beside: sigmoidBeside,
    loss: (own, all, logits) => shareOfMean(sigmoidPairs(own, all, logits), own, all),
    // σ of the best constant logit is 1/B: −log(1/B) − (B − 1) log(1 − 1/B)
    chance: (B) => Math.log(B) + (B - 1) * Math.log(B / (B - 1)),
  }),
};
