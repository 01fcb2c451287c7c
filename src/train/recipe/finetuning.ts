/**
 * Settings for training a pretrained CLIP on with few pairs of one's own, a thousand or so. Each stands for a finding:
 *
 * - The loss is the one of the pretraining, CLIP's, and both towers are trained (FLYP, Goyal et al. 2023): ahead of a new
 *   classifier and of locked towers, also on what is not trained on. `--lock-image` locks one (LiT, Zhai et al. 2022).
 * - Rates of 1e-5, a cosine and ten passes (FLYP and WiSE-FT, Wortsman et al. 2022, on batches of 256 and 512): larger rates
 *   and longer runs gain little on the own pairs and forget more of the rest.
 * - Rates that fall from each block to the one before it (Dong et al. 2022, "CLIP itself is a strong fine-tuner"; 0.75 as
 *   in MAE): early blocks see what all pictures have in common.
 * - An average of the weights over about the last twenty steps. Dong et al. average over thousands; a run on a thousand
 *   pairs has 150 steps.
 * - A tenth of the pairs is held out, scored after each pass, and decides which checkpoint is used.
 * - With `--reference-data` the run ends where it has forgotten five points of them.
 */

import type { RecipeInput } from "./input.js";

export const finetuning = {
  epochs: 10,
  batchSize: 64,
  lr: 1e-5,
  layerDecay: 0.75,
  wd: 0.1,
  warmup: 0.1,
  schedule: "cosine",
  emaDecay: 0.95,
  precision: "auto",
  valSplit: 0.1,
  valFrequency: "1 epoch",
  referenceMaxLoss: 5,
  referenceStop: true,
} as const satisfies RecipeInput;
