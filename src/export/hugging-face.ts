/** A `CLIPModel` of transformers, where the towers are what that class can be. */

import { join } from "node:path";
import { writeJsonAtomic } from "../core/files.js";
import { type TensorToStore, writeSafetensors } from "../core/safetensors.js";
import type { CompleteClipConfig } from "../models/config/config.js";
import { encoderOf } from "../models/image/encoders.js";
import type { CompleteVitConfig } from "../models/image/vit.js";
import { isTransposed, theirNames } from "../models/weights/hugging-face.js";
import type { Exported, ExportForm } from "./form.js";
import { processorDifferences, writeProcessor } from "./hugging-face-processor.js";
import { type Swap, writeTokenizer } from "./tokenizer-files.js";

/** An end token of this id stands for "the highest id" there, whatever the vocabulary (`CLIPTextTransformer.forward`). */
const HIGHEST_ID = 2;

const vitOf = (config: CompleteClipConfig): CompleteVitConfig => config.vision_cfg as CompleteVitConfig;

/** The id of the token that texts are pooled at; undefined where it is the highest of the row and not always the same. */
function endOf({ config, tokenizer }: Exported): number | undefined {
  const { pool_type: pool, eos_id: eos } = config.text_cfg;
  if (pool === "eos") return eos;
  return tokenizer.endTokenId === tokenizer.vocabSize - 1 ? tokenizer.endTokenId : undefined;
}

/** Where the end has the id with another meaning: it goes to the vocabulary's last place. */
function swapOf(model: Exported): Swap | undefined {
  const { tokenizer } = model;
  return endOf(model) === HIGHEST_ID ? [HIGHEST_ID, tokenizer.vocabSize - 1] : undefined;
}

export const huggingFaceForm: ExportForm = {
  name: "hf",
  about: "Hugging Face's CLIPModel: config.json, model.safetensors, preprocessor and tokenizer",
  library: "transformers",
  remedy: "Export it --to open_clip",
  dtypes: undefined,
  language: "python",
  usage: `from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

model = CLIPModel.from_pretrained("DIR")
processor = AutoImageProcessor.from_pretrained("DIR", trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained("DIR")`,
  refusals(model) {
    const { located, config, tokenizer } = model;
    const { name } = encoderOf(located.config.vision_cfg);
    if (name !== "ViT") return [`an image tower that is no plain ViT (${name})`];
    const [vision, text] = [vitOf(config), config.text_cfg];
    const found: readonly (readonly [boolean, string])[] = [
      [vision.pool_type !== "tok", `vision_cfg.pool_type=${vision.pool_type}`],
      [!vision.class_token, "no class token"],
      [vision.no_ln_pre, "no norm before the first block (no_ln_pre)"],
      [vision.conv_bias, "a bias on the patches (conv_bias)"],
      [vision.proj_bias || text.proj_bias, "a bias on a projection (proj_bias)"],
      [vision.ls_init_value !== null || text.ls_init_value !== null, "layer scale (ls_init_value)"],
      [text.no_causal_mask, "texts that are read in both directions (no_causal_mask)"],
      [text.pool_type !== "eos" && text.pool_type !== "argmax", `text_cfg.pool_type=${text.pool_type}`],
      [text.layers === 0, "no text blocks"],
      [config.init_logit_bias !== null, "a bias of the logits (the sigmoid loss)"],
      [located.preprocess.resize_mode === "longest", "pictures that are padded (resize_mode=longest)"],
      [
        swapOf(model) !== undefined && tokenizer.kind !== "learned",
        "an end token of id 2, which means another thing there",
      ],
    ];
    return found.filter(([is]) => is).map(([, what]) => what);
  },
  write(model, folder): undefined {
    const { tokenizer } = model;
    const swap = swapOf(model);
    writeJsonAtomic(join(folder, "config.json"), configOf(model, swap));
    writeJsonAtomic(join(folder, "preprocessor_config.json"), {
      ...preprocessorOf(model),
      ...writeProcessor(model.located.preprocess, folder),
    });
    writeTokenizer(tokenizer, folder, swap);
    writeSafetensors(join(folder, "model.safetensors"), tensorsOf(model, swap), { format: "pt" });
  },
  caution({ located: { preprocess } }) {
    const differences = processorDifferences(preprocess);
    if (differences.length === 0) return undefined;
    return `image_processing_clipwright.py, which \`trust_remote_code\` loads, prepares pictures as training did; transformers' own CLIPImageProcessor ${differences.join("; it ")}.`;
  },
};

/** The settings of a `CLIPImageProcessor`. */
export function preprocessorOf({ config, located }: Exported): object {
  const { mean, std, interpolation, resize_mode } = located.preprocess;
  const side = config.vision_cfg.image_size;
  const square = { height: side, width: side };
  return {
    image_processor_type: "CLIPImageProcessor",
    do_convert_rgb: true,
    do_resize: true,
    size: resize_mode === "shortest" ? { shortest_edge: side } : square,
    resample: interpolation === "bicubic" ? 3 : 2,
    do_center_crop: resize_mode === "shortest",
    crop_size: square,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  };
}

function configOf(model: Exported, swap: Swap | undefined): object {
  const { config, tokenizer } = model;
  const [vision, text] = [vitOf(config), config.text_cfg];
  const tower = ({ width, layers, mlp_ratio, norm_kwargs, act_kwargs }: typeof text | CompleteVitConfig) => ({
    hidden_size: width,
    intermediate_size: Math.trunc(width * mlp_ratio),
    num_hidden_layers: layers,
    hidden_act: config.quick_gelu
      ? "quick_gelu"
      : act_kwargs.approximate === "tanh"
        ? "gelu_pytorch_tanh"
        : "gelu",
    layer_norm_eps: norm_kwargs.eps,
    projection_dim: config.embed_dim,
    attention_dropout: 0,
  });
  return {
    architectures: ["CLIPModel"],
    model_type: "clip",
    projection_dim: config.embed_dim,
    logit_scale_init_value: config.init_logit_scale,
    text_config: {
      model_type: "clip_text_model",
      ...tower(text),
      num_attention_heads: text.heads,
      vocab_size: text.vocab_size,
      max_position_embeddings: text.context_length,
      bos_token_id: tokenizer.startTokenId ?? null,
      eos_token_id: swap?.[1] ?? endOf(model) ?? HIGHEST_ID,
      pad_token_id: tokenizer.padTokenId,
    },
    vision_config: {
      model_type: "clip_vision_model",
      ...tower(vision),
      num_attention_heads: vision.width / vision.head_width,
      num_channels: 3,
      image_size: vision.image_size,
      patch_size: vision.patch_size,
    },
  };
}

/** The parameters under their names: `in_proj` in its three parts, projections transposed. */
function tensorsOf({ values, shapes }: Exported, swap: Swap | undefined): TensorToStore[] {
  return Object.entries(values).flatMap(([ours, data]): TensorToStore[] => {
    const [rows = 1, ...rest] = shapes[ours]!;
    const names = theirNames(ours);
    if (ours === "token_embedding.weight" && swap !== undefined)
      return [
        {
          name: names[0]!,
          dtype: "f32",
          shape: [rows, ...rest],
          data: withRowsSwapped(data, rest[0]!, swap),
        },
      ];
    if (names.length === 1) {
      const [name] = names as [string];
      return isTransposed(ours)
        ? [{ name, dtype: "f32", shape: [rest[0]!, rows], data: transposed(data, rows, rest[0]!) }]
        : [{ name, dtype: "f32", shape: shapes[ours]!, data }];
    }
    const part = data.length / names.length;
    return names.map((name, i) => ({
      name,
      dtype: "f32",
      shape: [rows / names.length, ...rest],
      data: data.slice(i * part, (i + 1) * part),
    }));
  });
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j]!;
  return out;
}

function withRowsSwapped(data: Float32Array, columns: number, [a, b]: Swap): Float32Array {
  const out = data.slice();
  out.set(data.subarray(a * columns, (a + 1) * columns), b * columns);
  out.set(data.subarray(b * columns, (b + 1) * columns), a * columns);
  return out;
}
