/** A model by a preset's name, from a file, or as its configuration. */

import { type ClipConfig, parseClipConfig } from "../config/config.js";
import { readModelFile } from "../config/model-file.js";
import { openaiPreprocess, type PreprocessConfig } from "../config/preprocess.js";
import { findPreset } from "./presets.js";

/** What a recipe's `model` names: a preset, a `.json` file, or the configuration itself. Throws `UsageError`. */
export function readModel(model: string | object): { config: ClipConfig; preprocess: PreprocessConfig } {
  if (typeof model !== "string")
    return { config: parseClipConfig(model, "model"), preprocess: openaiPreprocess };
  return model.endsWith(".json") ? readModelFile(model) : findPreset(model);
}
