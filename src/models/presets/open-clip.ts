/** open_clip's configurations (`src/open_clip/model_configs`, version 3.3.0) that are built here. Data only. */

import type { TextConfig, VisionConfig } from "../config/config.js";
import { openaiPreprocess } from "../config/preprocess.js";
import type { Preset } from "./preset.js";

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

type Four = readonly [number, number, number, number];
const resnet = (layers: Four, width: number, image_size = 224): VisionConfig => ({
  image_size,
  layers,
  width,
});

const timm = (timm_model_name: string, timm_pool: "" | "avg", timm_drop_path?: number): VisionConfig => ({
  timm_model_name,
  timm_pool,
  timm_proj: "linear",
  ...(timm_drop_path === undefined ? {} : { timm_drop_path }),
  image_size: 224,
});

const rn50 = openClip("RN50", 1024, resnet([3, 4, 6, 3], 64), base, "OpenAI's ResNet: attention pooling");
const vitB32 = openClip("ViT-B-32", 512, image(224, 32, 768), base, "the usual baseline: 49 patches");
const vitB16 = openClip("ViT-B-16", 512, image(224, 16, 768), base, "196 patches");
const vitL14 = openClip("ViT-L-14", 768, image(224, 14, 1024, 24), large, "OpenAI's largest at 224 pixels");
const vitL14At336 = openClip("ViT-L-14-336", 768, image(336, 14, 1024, 24), large, "ViT-L-14 at 336 pixels");

export const openClipPresets: readonly Preset[] = [
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
  rn50,
  quickGelu(rn50),
  openClip("RN101", 512, resnet([3, 4, 23, 3], 64), base, "OpenAI's deeper ResNet"),
  openClip("RN50x4", 640, resnet([4, 6, 10, 6], 80, 288), plus, "four times RN50's compute, 288 pixels"),
  openClip("convnext_tiny", 1024, timm("convnext_tiny", "", 0.1), base, "ConvNeXt-T"),
  openClip("convnext_base", 512, timm("convnext_base", "", 0.1), base, "ConvNeXt-B"),
  openClip("swin_base_patch4_window7_224", 640, timm("swin_base_patch4_window7_224", ""), plus, "Swin-B"),
];
