/** What a run needs before its first step: data, tokenizer, model and what its images go through. */

import { existsSync } from "node:fs";
import { UsageError } from "../../core/errors.js";
import { readJson, writeJsonAtomic } from "../../core/files.js";
import { classesOf, datasetLabels } from "../../data/class-names.js";
import { datasetOptions } from "../../data/fields.js";
import { type Dataset, openDataset } from "../../data/index.js";
import { type Normalization, normalizations } from "../../data/normalizations.js";
import {
  evaluationPipeline,
  type Pipeline,
  trainingPipeline,
  viewPipeline,
} from "../../data/pixels/pipeline.js";
import { splitAt, splitByImage } from "../../data/split.js";
import { loadTokenizer } from "../../data/tokenizer/load.js";
import type { Tokenizer } from "../../data/tokenizer/tokenizer.js";
import { trainBpe } from "../../data/tokenizer/train-bpe.js";
import type { Processes } from "../../engines/group.js";
import { evaluationOptions } from "../../evaluate/model/preprocess.js";
import { loadTemplates } from "../../evaluate/prompts/templates.js";
import { type ClipConfig, completeClipConfig, parseClipConfig } from "../../models/config/config.js";
import { openaiPreprocess, type PreprocessConfig, parsePreprocess } from "../../models/config/preprocess.js";
import { encoderOf } from "../../models/image/encoders.js";
import { findPreset } from "../../models/presets/presets.js";
import type { Recipe } from "../recipe/recipe.js";
import { kindOf } from "../strategies/index.js";

export interface RunData {
  readonly train: Dataset;
  /** Held-out pairs, if any. */
  readonly val: Dataset | undefined;
  /** Labelled images, if any. */
  readonly zeroshot: Dataset | undefined;
}

/**
 * Opens what the recipe names; holds out `valSplit` of the training images, duplicates on one side. Process 0 looks at
 * the images for that, and it alone opens what is evaluated.
 */
export async function openRunData(
  recipe: Recipe,
  onProgress: (line: string) => void,
  processes: Pick<Processes, "index" | "share">,
): Promise<RunData> {
  const evaluates = processes.index === 0;
  const options = { onProgress, ...datasetOptions(recipe) };
  const weights = recipe.trainDataUpsamplingFactors;
  const all = await openDataset(recipe.trainData, {
    ...options,
    ...(weights === undefined ? {} : { weights }),
  });
  requireCaptions(all, "trainData");
  const zeroshot =
    recipe.zeroshotData === undefined || !evaluates
      ? undefined
      : await openDataset(recipe.zeroshotData, { onProgress });
  if (zeroshot !== undefined) {
    // What is wrong with them is told now, not after the first epoch.
    classesOf(datasetLabels(zeroshot), zeroshot.name, recipe.zeroshotClassnames ?? recipe.classnames);
    if (recipe.zeroshotTemplates !== undefined) await loadTemplates(recipe.zeroshotTemplates);
  }
  if (recipe.valSplit > 0) {
    const indices = await processes.share("held out", async () => {
      onProgress(
        `Looking for duplicates in ${all.length} images before ${100 * recipe.valSplit} % are held out …`,
      );
      const { heldOutIndices } = await splitByImage(all, {
        fraction: recipe.valSplit,
        ...(recipe.workers === undefined ? {} : { workers: recipe.workers }),
      });
      return heldOutIndices;
    });
    const { train, heldOut } = splitAt(all, indices);
    return { train, val: heldOut, zeroshot };
  }
  const val =
    recipe.valData === undefined || !evaluates ? undefined : await openDataset(recipe.valData, options);
  if (val !== undefined) requireCaptions(val, "valData");
  return { train: all, val, zeroshot };
}

function requireCaptions(dataset: Dataset, key: string): void {
  for (let i = 0; i < dataset.length; i++) if (dataset.sample(i).captions.length > 0) return;
  throw new UsageError(
    `${key}: pairs need captions; got ${dataset.length} images of "${dataset.name}", none with one. Look at them with clipwright inspect.`,
  );
}

export interface RunModel {
  readonly config: ClipConfig;
  readonly preprocess: PreprocessConfig;
  readonly tokenizer: Tokenizer;
  /** One line on the tokenizer, for people. */
  readonly tokenizerNote: string;
}

/** What transparent pictures are laid on, by the recipe's words. */
const transparencies = {
  white: [255, 255, 255],
  black: [0, 0, 0],
  pillow: "pillow",
} as const satisfies Record<string, PreprocessConfig["transparency"]>;

/** Most captions that a vocabulary is learned on. */
const VOCABULARY_CAPTIONS = 1_000_000;

/**
 * The model that the recipe names, fitted to its tokenizer: vocabulary, context length, and where the text is
 * pooled. The tokenizer is the stored one (`storedTokenizer`, of a run that goes on), a file, or is learned.
 */
export function prepareModel(recipe: Recipe, train: Dataset, storedTokenizer: string | undefined): RunModel {
  const { config, preprocess } = readModel(recipe.model);
  const complete = completeClipConfig(config);
  checkImageSize(recipe.forceImageSize, encoderOf(config.vision_cfg).sizeStep(complete.vision_cfg));
  const wanted = recipe.forceContextLength;
  const modelLength = complete.text_cfg.context_length;
  let tokenizer: Tokenizer;
  let tokenizerNote = "";
  if (storedTokenizer !== undefined) {
    tokenizer = loadTokenizer(storedTokenizer);
    tokenizer = tokenizer.withContextLength(wanted ?? Math.min(modelLength, tokenizer.contextLength));
  } else if (recipe.tokenizer === "bpe") {
    const { tokenizer: learned, report } = trainBpe(
      captionsOf(train),
      recipe.vocabSize === undefined ? {} : { vocabSize: recipe.vocabSize },
    );
    tokenizer = learned.withContextLength(wanted ?? Math.min(modelLength, learned.contextLength));
    tokenizerNote = `${report.vocabSize} tokens learned on ${report.captions} captions, ${report.meanLength.toFixed(1)} a caption`;
  } else {
    tokenizer = loadTokenizer(recipe.tokenizer, { contextLength: wanted ?? modelLength });
  }
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
    tokenizer,
    tokenizerNote: tokenizerNote || `${tokenizer.vocabSize} tokens`,
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
      vision_cfg: {
        ...config.vision_cfg,
        ...(recipe.forceImageSize === undefined ? {} : { image_size: recipe.forceImageSize }),
      },
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

function checkImageSize(size: number | undefined, step: number): void {
  if (size === undefined || size % step === 0) return;
  const below = Math.max(1, Math.floor(size / step)) * step;
  throw new UsageError(
    `forceImageSize: must be a multiple of ${step}, the model's patches; got forceImageSize=${size}. Write --force-image-size ${below} or ${below + step}.`,
  );
}

/** A preset's name, a file, or the configuration itself. */
export function readModel(model: Recipe["model"]): { config: ClipConfig; preprocess: PreprocessConfig } {
  if (typeof model !== "string") {
    return { config: parseClipConfig(model, "model"), preprocess: openaiPreprocess };
  }
  if (!model.endsWith(".json")) return findPreset(model);
  const json = readJson(model);
  return { config: parseClipConfig(json, model), preprocess: parsePreprocess(json, model) };
}

function* captionsOf(dataset: Dataset): Generator<string> {
  let count = 0;
  for (let i = 0; i < dataset.length && count < VOCABULARY_CAPTIONS; i++) {
    for (const caption of dataset.sample(i).captions) {
      yield caption;
      count++;
    }
  }
}

export interface Pipelines {
  readonly train: Pipeline;
  /** Further views of each image, as the strategy wants them. */
  readonly views: readonly Pipeline[];
  readonly evaluation: Pipeline;
  readonly normalization: Normalization;
}

/** What images go through, in training and in evaluation. */
export function pipelinesOf(recipe: Recipe, { config, preprocess }: RunModel): Pipelines {
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

const MODEL_FILE = "open_clip_config.json";

/** Writes `open_clip_config.json`, from which the run's weights can be used, here and in open_clip. */
export function saveModelConfig(path: (name: string) => string, model: RunModel): void {
  const { config, preprocess, tokenizer } = model;
  const file = path(MODEL_FILE);
  if (existsSync(file)) return;
  // Texts reach a Hugging Face tokenizer as they are, which open_clip's schema has no word for.
  const cleaning = tokenizer.kind === "huggingface" ? { tokenizer_cfg: { clean: "none" } } : {};
  writeJsonAtomic(file, { model_cfg: config, preprocess_cfg: preprocess, ...cleaning });
}
