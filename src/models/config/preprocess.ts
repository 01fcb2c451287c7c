/** How pixels reach the image tower: `preprocess_cfg` in open_clip's JSON, with what our runs add to it. */

import { z } from "zod";
import { didYouMean, UsageError } from "../../core/errors.js";
import { isObject } from "./fields.js";

type Rgb = readonly [red: number, green: number, blue: number];

export interface PreprocessConfig {
  /** Subtracted from, and `std` divided into, RGB in [0, 1]. */
  readonly mean: Rgb;
  /** Above 0. */
  readonly std: Rgb;
  readonly interpolation: "bicubic" | "bilinear";
  /**
   * `"shortest"`: the shorter side to the image size, then a centre crop. `"squash"`: both sides, no crop.
   * `"longest"`: the longer side to the image size, then padding.
   */
  readonly resize_mode: "shortest" | "squash" | "longest";
  /** Colour of the padding, 0 … 255: one number for all channels, or three. Default 0, black. */
  readonly fill_color?: number | Rgb;
  /**
   * What transparency becomes: `"pillow"` as open_clip has it (alpha is dropped after the resize), or the colour that
   * lies below. Not in open_clip's schema, which leaves such keys alone. Default: white in training, Pillow's for a
   * file that does not say.
   */
  readonly transparency?: "pillow" | Rgb;
  /**
   * Where the middle lies when an odd number of pixels is cut off: rounded to even (torchvision, open_clip), the default, or
   * down (transformers). Not in open_clip's schema.
   */
  readonly crop_rounding?: "even" | "down";
  /** Whether pictures are turned as their EXIF says. Not in open_clip's schema either. Default false, as there. */
  readonly exif_orientation?: boolean;
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

const byte = z.int().min(0).max(255);
const color = z.tuple([byte, byte, byte]);

/** Each key with its rule, in words for messages. */
const rules = {
  mean: [z.tuple([z.number(), z.number(), z.number()]), "three numbers"],
  std: [
    z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]),
    "three numbers above 0",
  ],
  interpolation: [z.enum(["bicubic", "bilinear"]), "bicubic or bilinear"],
  resize_mode: [z.enum(["shortest", "longest", "squash"]), "shortest, longest or squash"],
  fill_color: [z.union([byte, color]), "0 to 255, or three such numbers"],
  transparency: [z.union([z.literal("pillow"), color]), '"pillow" or a colour of three numbers 0 to 255'],
  crop_rounding: [z.enum(["even", "down"]), "even or down"],
  exif_orientation: [z.boolean(), "true or false"],
} as const satisfies Record<keyof PreprocessConfig, readonly [z.ZodType, string]>;

/**
 * The `preprocess_cfg` of a model's file, over OpenAI's values. `size` is left to the model, as in open_clip; null
 * stands for the default.
 *
 * @param json the parsed file; without `preprocess_cfg` all is default
 * @param where the file that it came from, for messages
 * @throws UsageError naming the key, for an unknown key or a value that cannot be
 */
export function parsePreprocess(json: unknown, where: string): PreprocessConfig {
  const given = isObject(json) ? (json.preprocess_cfg ?? {}) : {};
  if (!isObject(given)) {
    throw new UsageError(`${where}: preprocess_cfg must be an object; got ${JSON.stringify(given)}.`);
  }
  const { size: _, mode = "RGB", ...known } = given;
  if (mode !== "RGB") throw wrong(where, "mode", '"RGB"', mode);
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(known)) {
    const rule = Object.hasOwn(rules, key) ? rules[key as keyof PreprocessConfig] : undefined;
    if (rule === undefined) {
      const names = Object.keys(rules);
      throw new UsageError(
        `${where}: unknown key; got preprocess_cfg.${key}.${didYouMean(key, names) || ` Known here: ${names.join(", ")}.`}`,
      );
    }
    if (value === null) continue;
    if (!rule[0].safeParse(value).success) throw wrong(where, key, rule[1], value);
    kept[key] = value;
  }
  return { ...openaiPreprocess, ...kept };
}

const wrong = (where: string, key: string, rule: string, value: unknown): UsageError =>
  new UsageError(
    `${where}: preprocess_cfg.${key} must be ${rule}; got ${JSON.stringify(value)}. Correct it as the model was trained.`,
  );
