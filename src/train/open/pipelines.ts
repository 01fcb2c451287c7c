/** What the images of a run go through, in training and in evaluation. */

import type { Normalization } from "../../data/normalizations.js";
import {
  evaluationPipeline,
  type Pipeline,
  trainingPipeline,
  viewPipeline,
} from "../../data/pixels/pipeline.js";
import { evaluationOptions } from "../../evaluate/model/preprocess.js";
import { completeClipConfig } from "../../models/config/config.js";
import type { Recipe } from "../recipe/recipe.js";
import { kindOf } from "../strategies/index.js";
import type { RunModel } from "./model.js";

export interface Pipelines {
  readonly train: Pipeline;
  /** Further views of each image, as the strategy wants them. */
  readonly views: readonly Pipeline[];
  readonly evaluation: Pipeline;
  readonly normalization: Normalization;
}

/** What images go through, in training and in evaluation. */
export function pipelinesOf(
  recipe: Recipe,
  { config, preprocess }: Pick<RunModel, "config" | "preprocess">,
): Pipelines {
  const size = completeClipConfig(config).vision_cfg.image_size;
  const { keepSize, colorJitter, inkJitter, cropScale, cropRatio, affine } = recipe;
  const base = evaluationOptions(preprocess);
  const train = trainingPipeline(size, {
    ...base,
    ...(keepSize === undefined ? {} : { keepSize }),
    crop: recipe.crop,
    policy: recipe.augment,
    ...(cropScale === undefined ? {} : { scale: [cropScale[0]!, cropScale[1]!] as const }),
    ...(cropRatio === undefined ? {} : { ratio: [cropRatio[0]!, cropRatio[1]!] as const }),
    affine: { degrees: affine[0]!, zoom: affine[1]!, stretch: affine[2]!, shift: affine[3]! },
    ...(recipe.flip === undefined ? {} : { flip: recipe.flip }),
    ...(inkJitter === undefined
      ? {}
      : {
          ink: {
            gain: inkJitter[0]!,
            saturation: inkJitter[1]!,
            channel: inkJitter[2]!,
            probability: recipe.colorJitterProb,
          },
        }),
    ...(recipe.grayScaleProb === undefined ? {} : { grayscale: recipe.grayScaleProb }),
    ...(colorJitter === undefined
      ? {}
      : {
          jitter: {
            brightness: colorJitter[0]!,
            contrast: colorJitter[1]!,
            saturation: colorJitter[2]!,
            hue: colorJitter[3]!,
            probability: recipe.colorJitterProb,
          },
        }),
  });
  return {
    train,
    views: kindOf(recipe.strategy).views.map((policy) => viewPipeline(train, policy)),
    evaluation: evaluationPipeline(size, base),
    normalization: { mean: preprocess.mean, std: preprocess.std },
  };
}
