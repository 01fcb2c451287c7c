/** The paper's runs as the facts that scores are predicted from: its zero-shot curves over pairs and passes (`../paper/curves.ts`). */

import { paperCurves } from "../paper/curves.js";
import type { PaperExperiment } from "../paper/paper.js";
import { B32_GMACS, spentAt } from "../paper/spent.js";
import type { Terms } from "./terms.js";

export interface PaperRun extends Terms {
  /** Per cent. */
  readonly error: number;
  /** The paper's number. */
  readonly figure: string;
}

/** Classes of ImageNet. */
const CLASSES = 1000;

const families: Readonly<Record<string, string>> = {
  "ResNet-50": "resnet",
  "Swin-T": "swin",
  "ConvNeXt-T": "convnext",
  "Mixer-B/32": "mixer",
};
/** Levels that are strategies; of augmentations the strongest, which is ours. */
const strategies: Readonly<Record<string, string>> = {
  SLIP: "slip",
  FLIP: "flip",
  "CLIP + augmentation": "clip-aug",
  "Stacked RandAugment": "clip-aug",
};

/** Lines that are drawn a second time beside others, and augmentations that are not ours. */
const left: Readonly<Partial<Record<PaperExperiment, readonly string[]>>> = {
  encoders: ["ViT-B/32"],
  strategies: ["CLIP"],
  augmentation: ["crop and flip", "RandAugment"],
};

/** Runs that all differ in what is predicted from; curves over shares by quality differ in the data, and are left out. */
export const paperRuns: readonly PaperRun[] = paperCurves
  .filter(({ metric, over }) => metric === "zero-shot" && over !== "share")
  .filter(({ experiment, level }) => !left[experiment]?.includes(level))
  .flatMap((curve) =>
    curve.points.map(
      ({ x, y }): PaperRun => ({
        ...spentAt(curve, x),
        // What a strategy adds to the model's own cost is not of the model.
        gmacsPerPair: curve.experiment === "strategies" ? B32_GMACS : (curve.gmacs ?? B32_GMACS),
        family: families[curve.level] ?? "vit",
        strategy: strategies[curve.level] ?? "clip",
        chance: 1 / CLASSES,
        error: y,
        figure: curve.figure,
      }),
    ),
  );
