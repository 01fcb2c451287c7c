/** Models that a plan considers, and what each strategy makes of their cost. */

import { makeClip } from "../../models/clip.js";
import type { ClipConfig } from "../../models/config/config.js";
import { familyOf } from "../../models/image/timm.js";
import { findPreset } from "../../models/presets/presets.js";
import { checkRecipe } from "../../train/recipe/recipe.js";
import type { StrategyName } from "../../train/strategies/index.js";
import { gmacsOfPair } from "../past/collect.js";
import { gmacsOf } from "../run/facts.js";

/** From the smallest on. Bags of words for minutes, ViTs and ResNets for small pictures, and open_clip's for budgets that they fill. */
export const planModels = [
  "clipwright-pico-32",
  "clipwright-bag-32",
  "clipwright-nano-32",
  "clipwright-vit-50m",
  "clipwright-resnet-50m",
  "clipwright-tiny-48",
  "clipwright-tiny-64",
  "clipwright-resnet-200m",
  "clipwright-vit-200m",
  "clipwright-mini-64",
  "clipwright-small-64",
  "clipwright-base-64",
  "clipwright-resnet-800m",
  "clipwright-convnext-800m",
  "ViT-S-32",
  "ViT-S-16",
  "ViT-B-32",
  "RN50",
  "ViT-B-16",
] as const;

/** Strategies that a plan considers. */
export const planStrategies = ["clip", "clip-aug", "slip", "flip"] as const satisfies readonly StrategyName[];

export interface Candidate {
  readonly model: string;
  readonly family: string;
  readonly imageSize: number;
  readonly strategy: StrategyName;
  /** Multiply-adds of the model's forward pass on a pair, 10⁹. */
  readonly gmacsPerPair: number;
  /** Of all that the strategy does of a pair, 10⁹: views, heads, masks. */
  readonly gmacsPerSample: number;
}

export const configOf = (model: string): ClipConfig => findPreset(model).config;

/** Patches from which on half of them can be spared. */
const MASKED_FROM = 49;

/**
 * Every model with every strategy that its image encoder can follow: masks need patches to spare.
 * @param models names of presets. Throws `UsageError` for one that is none.
 */
export function candidatesOf(
  models: readonly string[] = planModels,
  strategies: readonly StrategyName[] = planStrategies,
): readonly Candidate[] {
  return models.flatMap((model) => {
    const { vision_cfg } = makeClip(configOf(model)).config;
    const patches =
      "patch_size" in vision_cfg ? (vision_cfg.image_size / Number(vision_cfg.patch_size)) ** 2 : 0;
    const gmacsPerPair = gmacsOfPair(configOf(model));
    const family = familyOf(vision_cfg) ?? "vit";
    return strategies
      .filter((strategy) => strategy !== "flip" || patches >= MASKED_FROM)
      .map((strategy) => ({
        ...{ model, family, strategy, gmacsPerPair },
        imageSize: vision_cfg.image_size,
        gmacsPerSample: gmacsPerPair * costFactor(strategy),
      }));
  });
}

/** A model on which strategies' costs are counted. */
const COUNTED = "clipwright-tiny-64";
const factors = new Map<StrategyName, number>();

/** Multiply-adds of a strategy beside those of `clip`, counted on one small ViT. */
function costFactor(strategy: StrategyName): number {
  const known = factors.get(strategy);
  if (known !== undefined) return known;
  const of = (name: StrategyName): number =>
    gmacsOf(checkRecipe({ model: COUNTED, trainData: "counted", steps: 1, strategy: name }));
  const factor = strategy === "clip" || strategy === "clip-aug" ? 1 : of(strategy) / of("clip");
  factors.set(strategy, factor);
  return factor;
}
