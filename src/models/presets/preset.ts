/** What a preset is, and what images go through in the families of presets. */

import type { ClipConfig } from "../config/config.js";

/** How pixels reach the image tower, in open_clip's `preprocess_cfg` schema. */
export interface PreprocessConfig {
  /** Subtracted from, and `std` divided into, RGB in [0, 1]. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  readonly interpolation: "bicubic" | "bilinear";
  /**
   * `"shortest"`: the shorter side to the image size, then a centre crop. `"squash"`: both sides, no crop.
   * `"longest"`: the longer side to the image size, then padding.
   */
  readonly resize_mode: "shortest" | "squash" | "longest";
}

export interface Preset {
  readonly name: string;
  readonly family: "open_clip" | "paper" | "clipwright";
  /** One line: what it is for, or what sets it apart. */
  readonly about: string;
  readonly config: ClipConfig;
  readonly preprocess: PreprocessConfig;
}

/** OpenAI's training set (`OPENAI_DATASET_MEAN` and `_STD` in open_clip's `constants.py`). */
export const openaiPreprocess: PreprocessConfig = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
  interpolation: "bicubic",
  resize_mode: "shortest",
};

/** Whole image, pixels in [-1, 1]: the paper's §3 (interpolation not stated there; bilinear is big_vision's). */
export const paperPreprocess: PreprocessConfig = {
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
  interpolation: "bilinear",
  resize_mode: "squash",
};
