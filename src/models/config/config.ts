/**
 * What a CLIP is: open_clip's JSON schema (`src/open_clip/model_configs/*.json`, `CLIPVisionCfg` and `CLIPTextCfg` in
 * its `model.py`), limited to its own text transformer and the image
 * encoders of `encoders.ts`, with extensions that it lacks, each marked.
 */

import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import { encoderOf } from "../image/encoders.js";
import type { ModifiedResNetConfig } from "../image/modified-resnet.js";
import type { TimmConfig } from "../image/timm.js";
import type { VitConfig } from "../image/vit.js";
import {
  blocks,
  type CompleteTransformer,
  checkActivation,
  checkDivides,
  context,
  count,
  flag,
  isObject,
  type Json,
  keepSupported,
  plainBlocks,
  refuse,
  type TransformerConfig,
  transformerKeys,
  transformerKwargs,
} from "./fields.js";

/** The image tower, by the encoder that reads it. */
export type VisionConfig = VitConfig | ModifiedResNetConfig | TimmConfig;

/** The text tower. */
export interface TextConfig extends TransformerConfig {
  /** Tokens T of a row. Default 77. */
  readonly context_length?: number;
  /** Default 49,408. */
  readonly vocab_size?: number;
  /** Attention heads. Default 8. */
  readonly heads?: number;
  /** True lets every token see every other one, padding too. Default false: a token sees itself and earlier ones. */
  readonly no_causal_mask?: boolean;
  /**
   * Which token stands for the text, after the final norm. `"argmax"`, the default: the first that has the row's highest
   * id (OpenAI's end token). `"eos"`: the first whose id is `eos_id`, else token 0. `"last"`, `"first"`: by position.
   * Extensions: `"avg"`, the mean over all T positions, padding included, as big_vision's `gap`; `"mean"`, the mean
   * over the positions whose id is not `pad_id`.
   */
  readonly pool_type?: "argmax" | "eos" | "last" | "first" | "avg" | "mean";
  /** The padding's id, for `pool_type: "mean"`. Default 0. */
  readonly pad_id?: number;
  /** The end token's id, for `pool_type: "eos"`. Default 2. */
  readonly eos_id?: number;
  /** True: the projection has a bias (`text_projection.weight` f32[E,C], `text_projection.bias`). Default false. */
  readonly proj_bias?: boolean;
  /** Name of the tokenizer that the weights were trained with; for messages only, nothing is fetched. */
  readonly hf_tokenizer_name?: string;
}

export interface ClipConfig {
  /** Channels E of the joint space. */
  readonly embed_dim: number;
  readonly vision_cfg: VisionConfig;
  readonly text_cfg: TextConfig;
  /** True: x·σ(1.702x) in both towers, which OpenAI's own weights need. Default false: GELU. */
  readonly quick_gelu?: boolean;
  /** Logarithm of the initial factor on the cosines. Default ln(1/0.07) = 2.6593. */
  readonly init_logit_scale?: number;
  /** Initial value of a learned number added to the scaled cosines, `logit_bias` (SigLIP). Default: there is none. */
  readonly init_logit_bias?: number | null;
}

/** A configuration with no option left open. */
export interface CompleteClipConfig {
  readonly embed_dim: number;
  /** As its encoder completes it. */
  readonly vision_cfg: { readonly image_size: number };
  readonly text_cfg: CompleteTransformer<Omit<TextConfig, "hf_tokenizer_name">>;
  readonly quick_gelu: boolean;
  readonly init_logit_scale: number;
  readonly init_logit_bias: number | null;
}

/** What open_clip takes where a configuration is silent; the extensions are off. */
export const clipDefaults: Omit<CompleteClipConfig, "embed_dim" | "vision_cfg"> = {
  text_cfg: {
    context_length: 77,
    vocab_size: 49408,
    width: 512,
    heads: 8,
    layers: 12,
    mlp_ratio: 4,
    ls_init_value: null,
    no_causal_mask: false,
    pool_type: "argmax",
    pad_id: 0,
    eos_id: 2,
    proj_bias: false,
    ...transformerKwargs({}),
  },
  quick_gelu: false,
  init_logit_scale: Math.log(1 / 0.07),
  init_logit_bias: null,
};

/** `config` with open_clip's defaults filled in. */
export function completeClipConfig(config: ClipConfig): CompleteClipConfig {
  const { vision_cfg: vision, text_cfg: text } = config;
  const { hf_tokenizer_name: _, ...textOptions } = text;
  return {
    ...clipDefaults,
    ...config,
    vision_cfg: encoderOf(vision).complete(vision),
    text_cfg: { ...clipDefaults.text_cfg, ...textOptions, ...transformerKwargs(text) },
  };
}

/** The extensions that `config` uses, e.g. `["vision_cfg.conv_bias"]`; with none, open_clip can read it. */
export function extensionsIn(config: ClipConfig): string[] {
  const { vision_cfg: vision, text_cfg: text } = completeClipConfig(config);
  const found = encoderOf(config.vision_cfg)
    .extensions(vision)
    .map((key) => `vision_cfg.${key}`);
  if (text.pool_type === "avg" || text.pool_type === "mean") found.push("text_cfg.pool_type");
  return found;
}

const textSchema = z.strictObject({
  ...transformerKeys,
  /** None: the sum of token and position embeddings is pooled, a bag of words. */
  layers: z.union([z.literal(0), blocks]).exactOptional(),
  context_length: context.exactOptional(),
  vocab_size: count.exactOptional(),
  heads: count.exactOptional(),
  no_causal_mask: flag,
  pool_type: z.enum(["argmax", "eos", "last", "first", "avg", "mean"]).exactOptional(),
  pad_id: z.int().nonnegative().exactOptional(),
  eos_id: z.int().nonnegative().exactOptional(),
  proj_bias: flag,
  hf_tokenizer_name: z.string().exactOptional(),
});

const ownText = "Choose a configuration with open_clip's own text transformer, e.g. ViT-B-32.";

const topKeys = ["embed_dim", "quick_gelu", "init_logit_scale", "init_logit_bias"] as const;

const refusedTop = {
  ...refuse(`CoCa's multimodal decoder is not built. ${ownText}`, { multimodal_cfg: null }),
  ...refuse("Towers named text.* (CustomTextCLIP) are not built; remove the key to train one from scratch.", {
    custom_text: false,
  }),
  ...refuse("The logit scale is a scalar; remove the key.", { nonscalar_logit_scale: false }),
};

const refusedText = {
  ...refuse(`Hugging Face text towers are not built. ${ownText}`, {
    hf_model_name: null,
    hf_model_pretrained: true,
    hf_proj_type: "mlp",
    hf_pooler_type: "mean_pooler",
  }),
  ...refuse(
    "Cleaning of captions by the tokenizer is not built; tokens would differ from the ones in training.",
    {
      tokenizer_kwargs: null,
      tokenizer_mode: null,
    },
  ),
  ...refuse("An appended class token (CoCa) is not built; remove the key.", { embed_cls: false }),
  ...refuse("open_clip's text tower takes no notice of it; remove the key.", { final_ln_after_pool: false }),
  ...refuse("Texts are always projected linearly; remove the key.", { proj_type: "linear" }),
  ...refuse("Only the pooled vector is given out; remove the key.", { output_tokens: false }),
  ...plainBlocks,
};

/** Rules that tie options together. */
function checkTogether(config: ClipConfig, where: string): void {
  const { vision_cfg: vision, quick_gelu: quickGelu = false } = config;
  const { text_cfg: text } = completeClipConfig(config);
  encoderOf(vision).check(vision, quickGelu, where);
  checkDivides("text_cfg", ["width", text.width], ["heads", text.heads], where);
  if (text.pool_type === "eos" && text.eos_id >= text.vocab_size) {
    throw new UsageError(
      `${where}: text_cfg.eos_id must be below text_cfg.vocab_size; got eos_id=${text.eos_id}, ` +
        `vocab_size=${text.vocab_size}. Give the id of the tokenizer's end token.`,
    );
  }
  checkActivation("text_cfg", config.text_cfg, quickGelu, where);
}

function lookUp(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (isObject(at) ? at[String(key)] : undefined), value);
}

/**
 * A configuration in open_clip's JSON schema: either a file of `model_configs/`, or an `open_clip_config.json` as on the
 * Hugging Face hub, whose `model_cfg` is taken. Options of open_clip at their default value are dropped.
 *
 * @param json the parsed JSON
 * @param where the file or option that it came from, for messages
 * @throws UsageError naming the key, for an unknown key, an option of open_clip that is not built here, a value of the
 *   wrong kind, or sizes that do not fit each other
 */
export function parseClipConfig(json: unknown, where: string): ClipConfig {
  const top = isObject(json) && isObject(json.model_cfg) ? json.model_cfg : json;
  if (!isObject(top)) {
    throw new UsageError(
      `${where}: a model configuration must be a JSON object; got ${JSON.stringify(json)}.`,
    );
  }
  for (const section of ["vision_cfg", "text_cfg"]) {
    if (isObject(top[section])) continue;
    throw new UsageError(
      `${where}: a model configuration must have ${section}; got ${section}=${JSON.stringify(top[section])}. ` +
        "Give embed_dim, vision_cfg and text_cfg, as open_clip's model_configs do.",
    );
  }
  const { vision_cfg: vision, text_cfg: text, ...rest } = top as Json & { vision_cfg: Json; text_cfg: Json };
  keepSupported({ multimodal_cfg: rest.multimodal_cfg }, [], refusedTop, where, "");
  // Towers first: a tower that is not built explains the options beside it better than they do themselves.
  const { schema, refused, identify } = encoderOf(vision);
  identify?.(vision, where);
  const keptVision = keepSupported(vision, Object.keys(schema.shape), refused, where, "vision_cfg.");
  const keptText = keepSupported(text, Object.keys(textSchema.shape), refusedText, where, "text_cfg.");
  const keptTop = keepSupported(rest, [...topKeys], refusedTop, where, "");
  if (keptTop.init_logit_bias === null) delete keptTop.init_logit_bias;
  const candidate = { ...keptTop, vision_cfg: keptVision, text_cfg: keptText };
  const parsed = z
    .strictObject({
      embed_dim: count,
      vision_cfg: schema,
      text_cfg: textSchema,
      quick_gelu: flag,
      init_logit_scale: z.number().exactOptional(),
      init_logit_bias: z.number().nullable().exactOptional(),
    })
    .safeParse(candidate);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]!] : issue.path;
    throw new UsageError(
      `${where}: ${issue.message.toLowerCase()}; got ${path.join(".")}=${JSON.stringify(lookUp(candidate, path))}.`,
    );
  }
  const config = parsed.data as ClipConfig;
  checkTogether(config, where);
  return config;
}
