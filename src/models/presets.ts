/**
 * Models by name: open_clip's plain ViT configurations from ViT-S to ViT-L, the five of "Scaling (Down) CLIP", and a
 * family for CPUs and small images. Data only; test/models.presets.test.ts holds sizes and options against open_clip.
 */

import { didYouMean, UsageError } from "../core/errors.js";
import type { ClipConfig, TextConfig, VisionConfig } from "./config.js";

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

const openaiText = (width: number, heads: number, layers = 12): TextConfig => ({
  context_length: 77,
  vocab_size: 49408,
  width,
  heads,
  layers,
});

const image = (image_size: number, patch_size: number, width: number, layers = 12): VisionConfig => ({
  image_size,
  layers,
  width,
  patch_size,
});

const openClip = (
  name: string,
  embed_dim: number,
  vision_cfg: VisionConfig,
  text_cfg: TextConfig,
  about: string,
): Preset => ({
  name,
  family: "open_clip",
  about,
  config: { embed_dim, vision_cfg, text_cfg },
  preprocess: openaiPreprocess,
});

const quickGelu = (base: Preset): Preset => ({
  ...base,
  name: `${base.name}-quickgelu`,
  about: `${base.name} with x·σ(1.702x), which OpenAI's own weights need`,
  config: { ...base.config, quick_gelu: true },
});

const small = openaiText(384, 6);
const smallAlt = openaiText(256, 4, 10);
const base = openaiText(512, 8);
const plus = openaiText(640, 10);
const large = openaiText(768, 12);

const vitB32 = openClip("ViT-B-32", 512, image(224, 32, 768), base, "the usual baseline: 49 patches");
const vitB16 = openClip("ViT-B-16", 512, image(224, 16, 768), base, "196 patches");
const vitL14 = openClip("ViT-L-14", 768, image(224, 14, 1024, 24), large, "OpenAI's largest at 224 pixels");
const vitL14At336 = openClip("ViT-L-14-336", 768, image(336, 14, 1024, 24), large, "ViT-L-14 at 336 pixels");

// open_clip/src/open_clip/model_configs, version 3.3.0
const openClipPresets: readonly Preset[] = [
  openClip("ViT-S-32", 384, image(224, 32, 384), small, "small width, 49 patches"),
  openClip("ViT-S-32-alt", 256, image(224, 32, 384), smallAlt, "ViT-S-32 with a smaller text tower"),
  openClip("ViT-S-16", 384, image(224, 16, 384), small, "small width, 196 patches"),
  openClip("ViT-S-16-alt", 256, image(224, 16, 384), smallAlt, "ViT-S-16 with a smaller text tower"),
  openClip("ViT-M-32", 512, image(224, 32, 512), base, "medium width, 49 patches"),
  openClip("ViT-M-32-alt", 384, image(224, 32, 512), small, "ViT-M-32 with a smaller text tower"),
  openClip("ViT-M-16", 512, image(224, 16, 512), base, "medium width, 196 patches"),
  openClip(
    "ViT-M-16-alt",
    384,
    { ...image(224, 16, 512), ls_init_value: 1e-4 },
    small,
    "ViT-M-16 with layer scale and a smaller text tower",
  ),
  vitB32,
  quickGelu(vitB32),
  openClip("ViT-B-32-256", 512, image(256, 32, 768), base, "ViT-B-32 at 256 pixels"),
  openClip("ViT-B-32-plus-256", 640, image(256, 32, 896), plus, "wider ViT-B-32 at 256 pixels"),
  vitB16,
  quickGelu(vitB16),
  openClip("ViT-B-16-plus", 640, image(224, 16, 896), plus, "wider ViT-B-16"),
  openClip("ViT-B-16-plus-240", 640, image(240, 16, 896), plus, "wider ViT-B-16 at 240 pixels"),
  openClip("ViT-L-16", 768, image(224, 16, 1024, 24), large, "large, 196 patches"),
  openClip("ViT-L-16-320", 768, image(320, 16, 1024, 24), large, "ViT-L-16 at 320 pixels"),
  vitL14,
  quickGelu(vitL14),
  openClip("ViT-L-14-280", 768, image(280, 14, 1024, 24), large, "ViT-L-14 at 280 pixels"),
  vitL14At336,
  quickGelu(vitL14At336),
];

// big_vision's blocks: tanh GELU and eps 1e-6 (flax's defaults).
const bigVision = { act_kwargs: { approximate: "tanh" }, norm_kwargs: { eps: 1e-6 } } as const;

/**
 * "Scaling (Down) CLIP" (arXiv 2404.08197) §3: one fixed ViT-B text tower, 32,000 SentencePiece tokens, 16 to a row.
 * The rest is not in the paper. From big_vision, whose code the authors build on: no causal mask, last token, the factor
 * on the cosines starting at 10. A class token with a position of its own as in timm, which the published trunk sizes
 * count. A joint space of 768, the text tower's width.
 */
const paper = (size: string, patch_size: number, width: number, layers: number): Preset => ({
  name: `paper-${size}-${patch_size}`,
  family: "paper",
  about: `ViT-${size}/${patch_size} of "Scaling (Down) CLIP" with its fixed ViT-B text tower`,
  config: {
    embed_dim: 768,
    init_logit_scale: Math.log(10),
    vision_cfg: { ...image(224, patch_size, width, layers), no_ln_pre: true, conv_bias: true, ...bigVision },
    text_cfg: {
      context_length: 16,
      vocab_size: 32000,
      width: 768,
      heads: 12,
      layers: 12,
      no_causal_mask: true,
      pool_type: "last",
      ...bigVision,
    },
  },
  preprocess: paperPreprocess,
});

const paperPresets: readonly Preset[] = [
  paper("Ti", 16, 192, 12),
  paper("S", 16, 384, 12),
  paper("B", 32, 768, 12),
  paper("B", 16, 768, 12),
  paper("L", 16, 1024, 24),
];

/**
 * For CPUs and small images. Only options that open_clip has too, so weights go both ways: patches are
 * averaged after the final norm, texts are causal and end at the highest id, so that rows can be cut to the longest
 * caption. `vocab_size` is what the sizes in the tests assume; a run sets it to its tokenizer's.
 */
const clipwright = (
  name: string,
  about: string,
  embed_dim: number,
  vision: VisionConfig,
  head_width: number,
  text: TextConfig,
): Preset => ({
  name: `clipwright-${name}`,
  family: "clipwright",
  about,
  config: { embed_dim, vision_cfg: { ...vision, head_width, pool_type: "avg" }, text_cfg: text },
  preprocess: openaiPreprocess,
});

const shortText = (
  context_length: number,
  vocab_size: number,
  width: number,
  heads: number,
  layers: number,
): TextConfig => ({ context_length, vocab_size, width, heads, layers });

const clipwrightPresets: readonly Preset[] = [
  clipwright(
    "nano-32",
    "tests and first tries: 16 patches of 32-pixel images",
    128,
    image(32, 8, 128, 3),
    32,
    shortText(16, 2048, 128, 4, 2),
  ),
  clipwright(
    "micro-32",
    "CIFAR-sized images: 64 patches of 4 pixels",
    128,
    image(32, 4, 192, 4),
    32,
    shortText(16, 4096, 128, 4, 2),
  ),
  clipwright(
    "tiny-48",
    "icons and thumbnails: 36 patches of 48-pixel images",
    192,
    image(48, 8, 192, 6),
    32,
    shortText(24, 4096, 192, 6, 2),
  ),
  clipwright(
    "tiny-64",
    "small pictures: 64 patches of 64-pixel images",
    192,
    image(64, 8, 192, 6),
    32,
    shortText(32, 4096, 192, 6, 3),
  ),
  clipwright(
    "mini-64",
    "a wider tiny-64 with twice its vocabulary",
    256,
    image(64, 8, 256, 6),
    64,
    shortText(32, 8192, 256, 4, 3),
  ),
  clipwright(
    "small-64",
    "ViT-S width at 64 pixels, six blocks",
    256,
    image(64, 8, 384, 6),
    64,
    shortText(32, 8192, 256, 4, 4),
  ),
  clipwright(
    "base-64",
    "ViT-S width at 64 pixels, eight blocks",
    256,
    image(64, 8, 384, 8),
    64,
    shortText(32, 8192, 256, 4, 4),
  ),
];

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const child of Object.values(value)) freeze(child);
  return Object.freeze(value);
}

/** All presets, in the order of listings: open_clip's, the paper's, the small ones. */
export const presets: readonly Preset[] = freeze([...openClipPresets, ...paperPresets, ...clipwrightPresets]);

const byName = new Map(presets.map((preset) => [preset.name, preset]));

/** The preset called `name`; a `UsageError` with the nearest name where there is none. */
export function findPreset(name: string): Preset {
  const preset = byName.get(name);
  if (preset !== undefined) return preset;
  const hint = didYouMean(name, byName.keys()) || " List them with: clipwright models.";
  throw new UsageError(`model: must be the name of a preset or a .json file; got model=${name}.${hint}`);
}
