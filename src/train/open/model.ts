/** The model of a run, fitted to its tokenizer, before there are weights. */

import { existsSync } from "node:fs";
import { UsageError } from "../../core/errors.js";
import { writeJsonAtomic } from "../../core/files.js";
import { normalizations } from "../../data/normalizations.js";
import { type ClipConfig, completeClipConfig } from "../../models/config/config.js";
import { RUN_MODEL_FILE } from "../../models/config/model-file.js";
import type { PreprocessConfig } from "../../models/config/preprocess.js";
import { encoderOf } from "../../models/image/encoders.js";
import { readModel } from "../../models/presets/read-model.js";
import type { Recipe } from "../recipe/recipe.js";
import { fitTokenizer, type RunTokenizer, type TokenizerContext } from "./tokenizer.js";

export interface RunModel extends RunTokenizer {
  readonly config: ClipConfig;
  readonly preprocess: PreprocessConfig;
}

/** What transparent pictures are laid on, by the recipe's words. */
const transparencies = {
  white: [255, 255, 255],
  black: [0, 0, 0],
  pillow: "pillow",
} as const satisfies Record<string, PreprocessConfig["transparency"]>;

/**
 * The model that the recipe names, fitted to its tokenizer: vocabulary, context length, and where the text is
 * pooled.
 */
export async function prepareModel(
  recipe: Recipe,
  context: Omit<TokenizerContext, "text">,
): Promise<RunModel> {
  const { config, preprocess } = readSizedModel(recipe);
  const complete = completeClipConfig(config);
  const fitted = await fitTokenizer(recipe, { ...context, text: complete.text_cfg });
  const { tokenizer } = fitted;
  const { text_cfg: text } = config;
  const pooling = complete.text_cfg.pool_type;
  const end = tokenizer.endTokenId;
  // Pooling at the highest id finds the end token only where that has the highest id.
  const byEnd = (pooling === "argmax" && end !== tokenizer.vocabSize - 1) || pooling === "eos";
  if (byEnd && end === undefined) {
    throw new UsageError(
      `tokenizer: the model pools at the end token, and the tokenizer has none; got tokenizer=${recipe.tokenizer}. Use another tokenizer, or a model with pool_type "last" or "avg".`,
    );
  }
  return {
    ...fitted,
    preprocess: {
      ...preprocess,
      ...(recipe.normalize === undefined ? {} : normalizations[recipe.normalize]),
      ...(recipe.imageResizeMode === undefined ? {} : { resize_mode: recipe.imageResizeMode }),
      transparency:
        recipe.imageTransparency === undefined
          ? (preprocess.transparency ?? transparencies.white)
          : transparencies[recipe.imageTransparency],
      ...(recipe.exifOrientation === undefined ? {} : { exif_orientation: recipe.exifOrientation }),
    },
    config: {
      ...config,
      init_logit_scale: Math.log(recipe.logitScaleInit),
      ...(recipe.logitBiasInit === undefined ? {} : { init_logit_bias: recipe.logitBiasInit }),
      text_cfg: {
        ...text,
        vocab_size: tokenizer.vocabSize,
        context_length: tokenizer.contextLength,
        ...(byEnd && end !== undefined ? { pool_type: "eos", eos_id: end } : {}),
        ...(pooling === "mean" ? { pad_id: tokenizer.padTokenId } : {}),
      },
    },
  };
}

/** The model that a recipe names, with the image size and context length that it asks for. */
export function readSizedModel({ model, forceImageSize, forceContextLength }: Recipe) {
  const { config, preprocess } = readModel(model);
  checkImageSize(
    forceImageSize,
    encoderOf(config.vision_cfg).sizeStep(completeClipConfig(config).vision_cfg),
  );
  const sized: ClipConfig = {
    ...config,
    vision_cfg: {
      ...config.vision_cfg,
      ...(forceImageSize === undefined ? {} : { image_size: forceImageSize }),
    },
    text_cfg: {
      ...config.text_cfg,
      ...(forceContextLength === undefined ? {} : { context_length: forceContextLength }),
    },
  };
  return { config: sized, preprocess };
}

function checkImageSize(size: number | undefined, step: number): void {
  if (size === undefined || size % step === 0) return;
  const below = Math.max(1, Math.floor(size / step)) * step;
  throw new UsageError(
    `forceImageSize: must be a multiple of ${step}, the model's patches; got forceImageSize=${size}. Write --force-image-size ${below} or ${below + step}.`,
  );
}

/** Writes `model.json`, which says what the run's weights are, in open_clip's words. */
export function saveModelConfig(path: (name: string) => string, model: RunModel): void {
  const { config, preprocess, tokenizer } = model;
  const file = path(RUN_MODEL_FILE);
  if (existsSync(file)) return;
  // Texts reach a Hugging Face tokenizer as they are, which open_clip's schema has no word for.
  const cleaning = tokenizer.kind === "huggingface" ? { tokenizer_cfg: { clean: "none" } } : {};
  writeJsonAtomic(file, { model_cfg: config, preprocess_cfg: preprocess, ...cleaning });
}
