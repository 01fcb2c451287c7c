/** What the paper says of its experiments, and where its figures say more or otherwise. */

import type { PaperExperiment, PaperFact } from "./paper.js";

/** Statements of the paper's text, then of its figures alone. */
const facts: Readonly<Record<PaperExperiment, Readonly<Record<PaperFact["by"], readonly string[]>>>> = {
  "data quantity": {
    text: [
      "More passes stop paying on small sets (25M pairs: nothing from 16 to 32) and keep paying at 400M.",
      "Retrieval gains little beyond 8 passes.",
      "Scores on shifted sets follow zero-shot on average, but not one by one.",
    ],
    figure: ["Up to 100M pairs retrieval of texts is worse after 32 passes than after 16."],
  },
  "data quality": {
    text: [
      "The best 40 % of the pairs beat the whole set even in one pass, with 60 % fewer steps.",
      "At equal samples the best 40 % are best for zero-shot; few-shot gains from stricter selection; retrieval is best with 80 %.",
    ],
    figure: ["In one pass 60 % are best for zero-shot, and 20 % are worse than all."],
  },
  "ViT sizes": {
    text: [
      "ViT-L/16 is the worst of the family below 100M samples in one pass, and the best where data are many.",
      "At equal samples more different pairs are better up to about 400M of 3.4G samples; beyond they give no zero-shot gain.",
      "The gap between sizes widens with data; small ViTs level off earlier in retrieval.",
    ],
    figure: [
      "For compute below 2 · 10⁹ GMACs ViT-Ti/16 is best, ViT-B/32 or S/16 up to 2 · 10¹⁰, ViT-B/16 up to 6.5 · 10¹⁰, then ViT-L/16.",
    ],
  },
  encoders: {
    text: [
      "In one pass ResNet-50 is ahead of ViT-B/32 where samples are few, ViT-B/32 where they are many; in few-shot and retrieval ViT passes it above 400M samples.",
      "No encoder gains from more than 400M different pairs at equal samples.",
      "Mixer is the worst for retrieval at equal samples.",
    ],
    figure: [
      "At equal samples Swin-T leads up to 50M pairs, ViT-B/32 from 100M on, although the text calls ViT-B/32 consistently best.",
    ],
  },
  augmentation: {
    text: [
      "With augmentation half the data do about as well: Stacked RandAugment on 25M pairs is near none on 50M.",
      "In one single pass augmentation hurts.",
    ],
    figure: ["Stacked RandAugment ≥ RandAugment > crop and flip > none, at every size of the set."],
  },
  strategies: {
    text: [
      "In one pass SLIP is best below 1G samples; beyond, CLIP and FLIP are alike and ahead of it.",
      "For the same compute SLIP is the worst.",
      "At equal samples CLIP with augmentation is best over all, mostly on shifted sets.",
      "SLIP is best for retrieval.",
    ],
    figure: ["At equal samples all are within about a point of each other from 400M pairs on (zero-shot)."],
  },
};

/** What the paper's text and figures say, experiment by experiment. */
export const paperFacts: readonly PaperFact[] = Object.entries(facts).flatMap(([experiment, ways]) =>
  Object.entries(ways).flatMap(([by, texts]) =>
    texts.map((text) => ({
      experiment: experiment as PaperExperiment,
      text,
      by: by as PaperFact["by"],
    })),
  ),
);
