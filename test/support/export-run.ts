/** Folders of runs with made-up weights, to be exported. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keyFromSeed } from "../../src/core/random.js";
import { writeSafetensors } from "../../src/core/safetensors.js";
import { saveTokenizer } from "../../src/data/tokenizer/save.js";
import { trainBpe } from "../../src/data/tokenizer/train-bpe.js";
import { makeClip } from "../../src/models/clip.js";
import type { ClipConfig } from "../../src/models/config/config.js";
import { initialize } from "../../src/nn/parameters.js";

export const { tokenizer } = trainBpe(["two cats on a mat", "a dog and a cat", "the cats"], {
  vocabSize: 280,
  contextLength: 8,
});

/** Writes the folder of a run with these parts. */
export function writeRun(
  folder: string,
  config: ClipConfig,
  preprocess: object = {},
  weight = (x: number, i: number, _name: string): number => x + ((i * 7) % 11) / 23,
): void {
  const own = join(folder, "checkpoints", "step-00000004");
  mkdirSync(own, { recursive: true });
  const { variables } = makeClip(config);
  const tensors = Object.entries(initialize(variables, keyFromSeed(5))).map(([name, data]) => ({
    ...{ name, dtype: "f32" as const, shape: variables[name]!.shape },
    data: data.map((x, i) => weight(x, i, name)),
  }));
  writeSafetensors(join(own, "params.safetensors"), tensors);
  const cleaning = { tokenizer_cfg: { clean: "none" } };
  writeFileSync(
    join(folder, "model.json"),
    JSON.stringify({ model_cfg: config, preprocess_cfg: preprocess, ...cleaning }),
  );
  saveTokenizer(tokenizer, join(folder, "tokenizer.json"));
}

/** A tiny model of every family of image towers, each with another way to pool its texts. */
export const exportFamilies: Readonly<Record<string, ClipConfig>> = (() => {
  const text = {
    context_length: 8,
    vocab_size: tokenizer.vocabSize,
    width: 16,
    heads: 2,
    layers: 1,
  } as const;
  const timm = (name: string, size: number, args: object, pool: object): ClipConfig => ({
    embed_dim: 12,
    vision_cfg: {
      timm_model_name: name,
      image_size: size,
      timm_model_args: args,
    } as ClipConfig["vision_cfg"],
    text_cfg: { ...text, ...pool },
  });
  return {
    ViT: {
      embed_dim: 12,
      vision_cfg: { image_size: 24, patch_size: 8, width: 32, layers: 2, head_width: 16 },
      text_cfg: { ...text, pool_type: "eos", eos_id: 2 },
    },
    ResNet: timm(
      "resnet26t",
      40,
      { layers: [2, 1, 1, 1], channels: [4, 8, 8, 12], base_width: 32, cardinality: 2, stem_width: 8 },
      { pool_type: "last", no_causal_mask: true },
    ),
    "ResNet of CLIP": {
      embed_dim: 12,
      vision_cfg: {
        image_size: 64,
        layers: [1, 2, 1, 1],
        width: 4,
        head_width: 16,
        patch_size: null,
      } as never,
      text_cfg: { ...text, pool_type: "mean", no_causal_mask: true, pad_id: 0 },
    },
    ConvNeXt: timm(
      "convnext_tiny",
      36,
      { depths: [1, 2, 1, 1], dims: [8, 12, 16, 24], kernel_sizes: [7, 5, 3, 3], patch_size: 2 },
      { pool_type: "avg", no_causal_mask: true },
    ),
    Swin: timm(
      "swin_tiny_patch4_window7_224",
      20,
      { patch_size: 2, window_size: [5, 4, 4], embed_dim: 16, depths: [2, 2, 1], num_heads: [2, 4, 4] },
      { pool_type: "first", no_causal_mask: true },
    ),
    Mixer: timm(
      "mixer_s16_224",
      32,
      { patch_size: 8, num_blocks: 3, embed_dim: 28, mlp_ratio: [0.75, 4] },
      { pool_type: "argmax" },
    ),
  };
})();

/** Writes a run of `config` whose vectors of different pictures and texts differ; gives its weights. */
export function familyRun(folder: string, config: ClipConfig, preprocess: object = {}): string {
  writeRun(folder, config, preprocess, (x, i, name) =>
    name.endsWith("running_var") ? 0.02 + (i % 5) / 100 : 1.2 * x + (((i * 7) % 11) - 5) / 60,
  );
  return join(folder, "checkpoints", "step-00000004", "params.safetensors");
}

/** The least cosine of the rows of two lists of vectors [n,E]. */
export function leastCosine(a: Float32Array, b: Float32Array, E: number): number {
  const rows = Array.from({ length: a.length / E }, (_, row) => {
    const [x, y] = [a, b].map((list) => list.subarray(row * E, (row + 1) * E)) as [
      Float32Array,
      Float32Array,
    ];
    return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
  });
  return Math.min(...rows);
}

const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
