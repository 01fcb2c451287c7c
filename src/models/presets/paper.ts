/** The encoders of "Scaling (Down) CLIP" under its one text tower. Data only. */

import type { VisionConfig } from "../config/config.js";
import { paperPreprocess } from "../config/preprocess.js";
import type { Preset } from "./preset.js";

// big_vision's blocks: tanh GELU and eps 1e-6 (flax's defaults).
const bigVision = { act_kwargs: { approximate: "tanh" }, norm_kwargs: { eps: 1e-6 } } as const;

/**
 * "Scaling (Down) CLIP" (arXiv 2404.08197) §3: one fixed ViT-B text tower, 32,000 SentencePiece tokens, 16 to a row.
 * The rest is not in the paper. From big_vision, whose code the authors build on: no causal mask, last token, the factor
 * on the cosines starting at 10. A class token with a position of its own as in timm, which the published trunk sizes
 * count. A joint space of 768, the text tower's width.
 */
const paper = (name: string, encoder: string, vision_cfg: VisionConfig): Preset => ({
  name: `paper-${name}`,
  family: "paper",
  about: `${encoder} of "Scaling (Down) CLIP" with its fixed ViT-B text tower`,
  config: {
    embed_dim: 768,
    init_logit_scale: Math.log(10),
    vision_cfg,
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

const vit = (size: string, patch_size: number, width: number, layers: number): Preset =>
  paper(`${size}-${patch_size}`, `ViT-${size}/${patch_size}`, {
    image_size: 224,
    layers,
    width,
    patch_size,
    no_ln_pre: true,
    conv_bias: true,
    ...bigVision,
  });

const timm = (name: string, encoder: string, timm_model_name: string): Preset =>
  paper(name, encoder, { timm_model_name, image_size: 224 });

/** Which ResNet-50 the paper had, it does not say: this is the plain one. */
export const paperPresets: readonly Preset[] = [
  vit("Ti", 16, 192, 12),
  vit("S", 16, 384, 12),
  vit("B", 32, 768, 12),
  vit("B", 16, 768, 12),
  vit("L", 16, 1024, 24),
  timm("RN50", "ResNet-50", "resnet50"),
  timm("ConvNeXt-T", "ConvNeXt-T", "convnext_tiny"),
  timm("Swin-T", "Swin-T", "swin_tiny_patch4_window7_224"),
  timm("Mixer-B-32", "Mixer-B/32", "mixer_b32_224"),
];
