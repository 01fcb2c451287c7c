/** Models for CPUs and small images. Data only. */

import type { TextConfig, VisionConfig } from "../config/config.js";
import { openaiPreprocess } from "../config/preprocess.js";
import type { Preset } from "./preset.js";

/**
 * For CPUs and small images. But for the two of bags of words, only options that open_clip has too, so weights go both ways: patches
 * are averaged after the final norm, texts are causal and end at the highest id, so that rows can be cut to the longest
 * caption. `vocab_size` is what the sizes in the tests assume; a run sets it to its tokenizer's.
 */
const vit = (image_size: number, patch_size: number, width: number, layers = 12): VisionConfig => ({
  image_size,
  layers,
  width,
  patch_size,
});

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

/**
 * For a run of a minute or two: a text is the mean of its tokens, and the patches are laid side by side, as where things are tells much
 * that so few blocks do not see. open_clip has neither.
 */
const brief = (name: string, about: string, width: number, layers: number): Preset => ({
  name: `clipwright-${name}`,
  family: "clipwright",
  about,
  config: {
    embed_dim: 96,
    vision_cfg: {
      ...{ ...vit(32, 8, width, layers), head_width: 32 },
      ...{ pool_type: "flat", class_token: false, no_ln_pre: true },
    },
    text_cfg: { ...shortText(16, 2048, 96, 4, 0), pool_type: "mean" },
  },
  preprocess: openaiPreprocess,
});

export const smallPresets: readonly Preset[] = [
  brief("pico-32", "runs of a minute: 16 patches of 32-pixel images, texts as bags of words", 64, 3),
  brief("bag-32", "a wider pico-32 with a block more, for runs of some minutes", 128, 4),
  clipwright(
    "nano-32",
    "tests and first tries: 16 patches of 32-pixel images",
    128,
    vit(32, 8, 128, 3),
    32,
    shortText(16, 2048, 128, 4, 2),
  ),
  clipwright(
    "micro-32",
    "CIFAR-sized images: 64 patches of 4 pixels",
    128,
    vit(32, 4, 192, 4),
    32,
    shortText(16, 4096, 128, 4, 2),
  ),
  clipwright(
    "tiny-48",
    "icons and thumbnails: 36 patches of 48-pixel images",
    192,
    vit(48, 8, 192, 6),
    32,
    shortText(24, 4096, 192, 6, 2),
  ),
  clipwright(
    "tiny-64",
    "small pictures: 64 patches of 64-pixel images",
    192,
    vit(64, 8, 192, 6),
    32,
    shortText(32, 4096, 192, 6, 3),
  ),
  clipwright(
    "mini-64",
    "a wider tiny-64 with twice its vocabulary",
    256,
    vit(64, 8, 256, 6),
    64,
    shortText(32, 8192, 256, 4, 3),
  ),
  clipwright(
    "small-64",
    "ViT-S width at 64 pixels, six blocks",
    256,
    vit(64, 8, 384, 6),
    64,
    shortText(32, 8192, 256, 4, 4),
  ),
  clipwright(
    "base-64",
    "ViT-S width at 64 pixels, eight blocks",
    256,
    vit(64, 8, 384, 8),
    64,
    shortText(32, 8192, 256, 4, 4),
  ),
];

/** Multiply-adds of the image tower, in millions, that presets are matched at; by side of the image. */
const lines = { 50: 32, 200: 48, 800: 64 } as const;
type Line = keyof typeof lines;

/** One text tower a line, so that only the images' encoders differ. */
const lineText: Record<Line, TextConfig> = {
  50: shortText(32, 4096, 192, 6, 2),
  200: shortText(32, 8192, 256, 4, 3),
  800: shortText(32, 8192, 384, 6, 4),
};

const matched = (line: Line, family: string, vision: (image_size: number) => VisionConfig): Preset => ({
  name: `clipwright-${family.toLowerCase()}-${line}m`,
  family: "clipwright",
  about: `${family} of about ${line} M multiply-adds on ${lines[line]}-pixel images`,
  config: { embed_dim: 256, vision_cfg: vision(lines[line]), text_cfg: lineText[line] },
  preprocess: openaiPreprocess,
});

const patchVit = (line: Line, patch_size: number, width: number, layers: number): Preset =>
  matched(line, "ViT", (size) => ({
    ...vit(size, patch_size, width, layers),
    head_width: 32,
    pool_type: "avg",
  }));

const timm = (
  line: Line,
  family: string,
  timm_model_name: string,
  timm_model_args: Record<string, unknown>,
) => matched(line, family, (image_size) => ({ timm_model_name, image_size, timm_model_args }));

/** Three 3×3 convolutions and a max pooling, by 4; then BasicBlocks, by 8. */
const resnet = (line: Line, width: number, layers: readonly number[]): Preset =>
  timm(line, "ResNet", "resnet18", {
    layers,
    channels: [1, 2, 4, 8].map((n) => n * width),
    stem_type: "deep",
    stem_width: width / 2,
  });

const convNext = (line: Line, width: number, depths: readonly number[]): Preset =>
  timm(line, "ConvNeXt", "convnext_atto", {
    patch_size: 2,
    dims: [1, 2, 4, 8].map((n) => n * width),
    depths,
  });

const swin = (
  line: Line,
  embed_dim: number,
  depths: readonly number[],
  num_heads: readonly number[],
): Preset =>
  timm(line, "Swin", "swin_tiny_patch4_window7_224", {
    patch_size: 2,
    window_size: 4,
    embed_dim,
    depths,
    num_heads,
  });

const mixer = (line: Line, patch_size: number, embed_dim: number, num_blocks: number): Preset =>
  timm(line, "Mixer", "mixer_s32_224", { patch_size, embed_dim, num_blocks });

/**
 * Every family at about 50 M, 200 M and 800 M multiply-adds (within 8 %), for comparisons. Those of convolutions and
 * windows take patches of 2 pixels, or a stem by 4, where their 224-pixel kin take 4.
 */
export const matchedPresets: readonly Preset[] = [
  patchVit(50, 4, 96, 6),
  resnet(50, 96, [1, 1, 1, 1]),
  convNext(50, 84, [2, 2, 6, 2]),
  swin(50, 48, [2, 2, 2], [2, 4, 8]),
  mixer(50, 4, 128, 5),
  patchVit(200, 6, 192, 7),
  resnet(200, 88, [2, 2, 2, 2]),
  convNext(200, 120, [2, 2, 6, 2]),
  swin(200, 56, [2, 2, 4], [2, 4, 8]),
  mixer(200, 6, 208, 8),
  patchVit(800, 8, 384, 7),
  resnet(800, 104, [3, 4, 6, 3]),
  convNext(800, 140, [3, 3, 9, 3]),
  swin(800, 72, [2, 2, 6, 2], [3, 6, 12, 24]),
  mixer(800, 8, 384, 9),
];
