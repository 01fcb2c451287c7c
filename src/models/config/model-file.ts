/** The file that says what a model is: open_clip's, or Hugging Face's config.json with the processor beside it. */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { readJson } from "../../core/files.js";
import { type ClipConfig, completeClipConfig, parseClipConfig } from "./config.js";
import { isObject } from "./fields.js";
import { modelTypeOf, parseHuggingFaceClip, parseHuggingFacePreprocess } from "./hugging-face.js";
import { type PreprocessConfig, parsePreprocess } from "./preprocess.js";

export interface ModelFile {
  readonly config: ClipConfig;
  readonly preprocess: PreprocessConfig;
  /** How texts are cleaned before a Hugging Face tokenizer, as the file says or its family has it; unchecked. */
  readonly clean: unknown;
}

/** A run's own. Under open_clip's name it would take the run's folder for a model, and start that from nothing. */
export const RUN_MODEL_FILE = "model.json";

/** Names of such files in a model's folder, the wanted first: of others, and of a run (by open_clip's name before). */
export const MODEL_FILES = ["open_clip_config.json", "config.json"] as const;

/** Names of the files that say what is done with pictures. */
const PROCESSOR_FILES = ["preprocessor_config.json", "processor_config.json"];

/** Whether the JSON file at `path` says what a model of transformers is. */
export const isModelFile = (path: string): boolean => modelTypeOf(readJson(path)) !== undefined;

/** Reads the file at `path`. Throws `UsageError` naming it and the key at fault. */
export function readModelFile(path: string): ModelFile {
  const json = readJson(path);
  if (modelTypeOf(json) !== undefined) {
    const config = parseHuggingFaceClip(json, path);
    const { image_size: size } = completeClipConfig(config).vision_cfg;
    const beside = PROCESSOR_FILES.map((name) => join(dirname(path), name)).find((file) => existsSync(file));
    const processor = beside === undefined ? undefined : readJson(beside);
    return { config, preprocess: parseHuggingFacePreprocess(processor, size, beside ?? path), clean: "none" };
  }
  const config = parseClipConfig(json, path);
  const stated = isObject(json) && isObject(json.tokenizer_cfg) ? json.tokenizer_cfg.clean : undefined;
  return { config, preprocess: parsePreprocess(json, path), clean: stated ?? undefined };
}
