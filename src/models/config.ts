/**
 * What a CLIP is: open_clip's JSON schema (`src/open_clip/model_configs/*.json`, `CLIPVisionCfg` and `CLIPTextCfg` in
 * its `model.py`), limited to its own ViT and text transformer, with four extensions that it lacks, each marked.
 */

import { z } from "zod";
import { didYouMean, UsageError } from "../core/errors.js";

/** Passed to the GELU. */
export interface ActivationOptions {
  /** `"none"`: x·Φ(x) by the error function, the default. `"tanh"`: the approximation that big_vision uses. */
  readonly approximate?: "none" | "tanh";
}

/** Passed to every layer norm of a tower. */
export interface NormOptions {
  /** Added to the variance. Default 1e-5 (PyTorch); big_vision has 1e-6. */
  readonly eps?: number;
}

interface TransformerConfig {
  /** Channels C. Default 768 for images, 512 for texts. */
  readonly width?: number;
  /** Blocks. Default 12. */
  readonly layers?: number;
  /** Hidden units of a block's MLP are `trunc(width · mlp_ratio)`. Default 4. */
  readonly mlp_ratio?: number;
  /** Layer scale: each residual branch is multiplied by a learned f32[C] that starts at this. Default: no scale. */
  readonly ls_init_value?: number | null;
  readonly act_kwargs?: ActivationOptions | null;
  readonly norm_kwargs?: NormOptions | null;
}

/** The image tower. */
export interface VisionConfig extends TransformerConfig {
  /** Side of the square input, pixels, a multiple of `patch_size`. Default 224. */
  readonly image_size?: number;
  /** Side of a patch, pixels. Default 16. */
  readonly patch_size?: number;
  /** Channels of one attention head; heads are `width / head_width`. Default 64. */
  readonly head_width?: number;
  /**
   * `"tok"`, the default: the class token. `"avg"`: the mean over the patches, without the class token. Extension:
   * `"flat"`, all patches side by side, so that the projection is f32[P·C,E]: for few patches of centred subjects,
   * whose layout matters; needs `class_token: false`.
   */
  readonly pool_type?: "tok" | "avg" | "flat";
  /** True leaves out the layer norm between the embeddings and the first block. Default false. */
  readonly no_ln_pre?: boolean;
  /** True pools first and norms the pooled vector; false, the default, norms all tokens and then pools. */
  readonly final_ln_after_pool?: boolean;
  /**
   * Extension. False: no class token and no position for it, as in big_vision; needs another `pool_type` than `"tok"`. Default true:
   * open_clip keeps the token in the sequence even when it pools the patches.
   */
  readonly class_token?: boolean;
  /** Extension. True: the patch convolution has a bias, as in big_vision and timm. Default false. */
  readonly conv_bias?: boolean;
  /** Extension. True: the projection has a bias (`visual.proj.weight` f32[E,C], `visual.proj.bias`). Default false. */
  readonly proj_bias?: boolean;
}

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
}

type Complete<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

/** A configuration with no option left open. */
export interface CompleteClipConfig {
  readonly embed_dim: number;
  readonly vision_cfg: Complete<Omit<VisionConfig, "act_kwargs" | "norm_kwargs">> & CompleteKwargs;
  readonly text_cfg: Complete<Omit<TextConfig, "act_kwargs" | "norm_kwargs" | "hf_tokenizer_name">> &
    CompleteKwargs;
  readonly quick_gelu: boolean;
  readonly init_logit_scale: number;
}

interface CompleteKwargs {
  readonly act_kwargs: Complete<ActivationOptions>;
  readonly norm_kwargs: Complete<NormOptions>;
}

const activation = { approximate: "none" } as const;
const norm = { eps: 1e-5 } as const;

/** What open_clip takes where a configuration is silent; the extensions are off. */
export const clipDefaults: Omit<CompleteClipConfig, "embed_dim"> = {
  vision_cfg: {
    image_size: 224,
    patch_size: 16,
    width: 768,
    layers: 12,
    head_width: 64,
    mlp_ratio: 4,
    ls_init_value: null,
    pool_type: "tok",
    no_ln_pre: false,
    final_ln_after_pool: false,
    act_kwargs: activation,
    norm_kwargs: norm,
    class_token: true,
    conv_bias: false,
    proj_bias: false,
  },
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
    act_kwargs: activation,
    norm_kwargs: norm,
  },
  quick_gelu: false,
  init_logit_scale: Math.log(1 / 0.07),
};

/** `config` with open_clip's defaults filled in. */
export function completeClipConfig(config: ClipConfig): CompleteClipConfig {
  const { vision_cfg: vision, text_cfg: text } = config;
  const { hf_tokenizer_name: _, ...textOptions } = text;
  const kwargs = (tower: TransformerConfig): CompleteKwargs => ({
    act_kwargs: { ...activation, ...tower.act_kwargs },
    norm_kwargs: { ...norm, ...tower.norm_kwargs },
  });
  return {
    ...clipDefaults,
    ...config,
    vision_cfg: { ...clipDefaults.vision_cfg, ...vision, ...kwargs(vision) },
    text_cfg: { ...clipDefaults.text_cfg, ...textOptions, ...kwargs(text) },
  };
}

/** The extensions that `config` uses, e.g. `["vision_cfg.conv_bias"]`; with none, open_clip can read it. */
export function extensionsIn(config: ClipConfig): string[] {
  const { vision_cfg: vision, text_cfg: text } = completeClipConfig(config);
  const found: string[] = [];
  if (vision.pool_type === "flat") found.push("vision_cfg.pool_type");
  if (!vision.class_token) found.push("vision_cfg.class_token");
  if (vision.conv_bias) found.push("vision_cfg.conv_bias");
  if (vision.proj_bias) found.push("vision_cfg.proj_bias");
  if (text.pool_type === "avg" || text.pool_type === "mean") found.push("text_cfg.pool_type");
  return found;
}

const count = z.int().positive();
const transformer = {
  width: count.exactOptional(),
  layers: count.exactOptional(),
  mlp_ratio: z.number().positive().exactOptional(),
  ls_init_value: z.number().nullable().exactOptional(),
  act_kwargs: z
    .strictObject({ approximate: z.enum(["none", "tanh"]).exactOptional() })
    .nullable()
    .exactOptional(),
  norm_kwargs: z.strictObject({ eps: z.number().positive().exactOptional() }).nullable().exactOptional(),
};
const flag = z.boolean().exactOptional();

const visionSchema = z.strictObject({
  ...transformer,
  image_size: count.exactOptional(),
  patch_size: count.exactOptional(),
  head_width: count.exactOptional(),
  pool_type: z.enum(["tok", "avg", "flat"]).exactOptional(),
  no_ln_pre: flag,
  final_ln_after_pool: flag,
  class_token: flag,
  conv_bias: flag,
  proj_bias: flag,
});

const textSchema = z.strictObject({
  ...transformer,
  /** None: the sum of token and position embeddings is pooled, a bag of words. */
  layers: z.int().nonnegative().exactOptional(),
  context_length: count.exactOptional(),
  vocab_size: count.exactOptional(),
  heads: count.exactOptional(),
  no_causal_mask: flag,
  pool_type: z.enum(["argmax", "eos", "last", "first", "avg", "mean"]).exactOptional(),
  pad_id: z.int().nonnegative().exactOptional(),
  eos_id: z.int().nonnegative().exactOptional(),
  proj_bias: flag,
  hf_tokenizer_name: z.string().exactOptional(),
});

const clipSchema: z.ZodType<ClipConfig> = z.strictObject({
  embed_dim: count,
  vision_cfg: visionSchema,
  text_cfg: textSchema,
  quick_gelu: flag,
  init_logit_scale: z.number().exactOptional(),
});

/** An option of open_clip that is not built here: harmless at `neutral`, refused at any other value. */
interface Refused {
  readonly neutral: unknown;
  readonly why: string;
}

const refuse = (why: string, neutral: Record<string, unknown>): Record<string, Refused> =>
  Object.fromEntries(Object.entries(neutral).map(([key, value]) => [key, { neutral: value, why }]));

const ownTowers = "Choose a configuration with open_clip's own ViT and text transformer, e.g. ViT-B-32.";
const plainBlocks = "Only the default attention block is built; remove the key.";
const customBlock = refuse(plainBlocks, {
  block_type: "default",
  qk_norm: false,
  scaled_cosine_attn: false,
  scale_heads: false,
  scale_attn_inner: false,
  scale_attn: false,
  scale_fc: false,
});

const refusedTop = {
  ...refuse(`CoCa's multimodal decoder is not built. ${ownTowers}`, { multimodal_cfg: null }),
  ...refuse("Towers named text.* (CustomTextCLIP) are not built; remove the key to train one from scratch.", {
    custom_text: false,
  }),
  ...refuse("The sigmoid loss's bias is not built; remove the key.", { init_logit_bias: null }),
  ...refuse("The logit scale is a scalar; remove the key.", { nonscalar_logit_scale: false }),
};

const refusedVision = {
  ...refuse(`timm towers are not built. ${ownTowers}`, {
    timm_model_name: null,
    timm_model_pretrained: false,
    timm_pool: "avg",
    timm_proj: "linear",
    timm_proj_bias: false,
    timm_drop: 0,
    timm_drop_path: null,
  }),
  ...refuse("Attention pooling is not built; use pool_type tok or avg.", {
    attentional_pool: false,
    attn_pooler_queries: 256,
    attn_pooler_heads: 8,
  }),
  ...refuse("Dropping patches is part of training, not of the model; set it in the recipe.", {
    patch_dropout: 0,
  }),
  ...refuse("Only learned positions are built; remove the key.", { pos_embed_type: "learnable" }),
  ...refuse("Only the pooled vector is given out; remove the key.", { output_tokens: false }),
  ...customBlock,
};

const refusedText = {
  ...refuse(`Hugging Face text towers are not built. ${ownTowers}`, {
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
  ...customBlock,
};

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `object` without options at their neutral value; a `UsageError` for any other option that the schema lacks. */
function keepSupported(
  object: Json,
  known: readonly string[],
  refused: Record<string, Refused>,
  where: string,
  section: string,
): Json {
  const kept: Json = {};
  // The key that explains the others comes first: a timm tower also brings timm_pool, timm_proj, …
  const keys = Object.keys(object).sort((a, b) => Number(b.endsWith("_name")) - Number(a.endsWith("_name")));
  for (const key of keys) {
    const value = object[key];
    const rule = Object.hasOwn(refused, key) ? refused[key] : undefined;
    if (known.includes(key)) {
      kept[key] = value;
    } else if (rule === undefined) {
      const hint = didYouMean(key, known) || ` Known here: ${known.join(", ")}.`;
      throw new UsageError(`${where}: unknown key; got ${section}${key}.${hint}`);
    } else if (value !== rule.neutral && value != null) {
      throw new UsageError(
        `${where}: unsupported option of open_clip; got ${section}${key}=${JSON.stringify(value)}. ${rule.why}`,
      );
    }
  }
  return kept;
}

/** Rules that tie options together. */
function checkTogether(config: ClipConfig, where: string): void {
  const { vision_cfg: vision, text_cfg: text, quick_gelu: quickGelu } = completeClipConfig(config);
  const divides = (section: string, whole: string, part: string, a: number, b: number) => {
    if (a % b === 0) return;
    throw new UsageError(
      `${where}: ${section}.${whole} must be a multiple of ${section}.${part}; got ${whole}=${a}, ${part}=${b}. ` +
        `Nearest: ${whole}=${Math.max(1, Math.round(a / b)) * b}.`,
    );
  };
  divides("vision_cfg", "image_size", "patch_size", vision.image_size, vision.patch_size);
  divides("vision_cfg", "width", "head_width", vision.width, vision.head_width);
  divides("text_cfg", "width", "heads", text.width, text.heads);
  if (vision.class_token && vision.pool_type === "flat") {
    throw new UsageError(
      `${where}: vision_cfg.pool_type="flat" takes the patches alone; got class_token=true. Set class_token to false.`,
    );
  }
  if (!vision.class_token && vision.pool_type === "tok") {
    throw new UsageError(
      `${where}: vision_cfg.class_token=false leaves nothing for pool_type to take; got ` +
        `pool_type="${vision.pool_type}". Set vision_cfg.pool_type to "avg".`,
    );
  }
  if (text.pool_type === "eos" && text.eos_id >= text.vocab_size) {
    throw new UsageError(
      `${where}: text_cfg.eos_id must be below text_cfg.vocab_size; got eos_id=${text.eos_id}, ` +
        `vocab_size=${text.vocab_size}. Give the id of the tokenizer's end token.`,
    );
  }
  for (const [section, tower] of [
    ["vision_cfg", config.vision_cfg],
    ["text_cfg", config.text_cfg],
  ] as const) {
    if (quickGelu && tower.act_kwargs?.approximate !== undefined) {
      throw new UsageError(
        `${where}: quick_gelu has no approximation; got ${section}.act_kwargs.approximate=` +
          `"${tower.act_kwargs.approximate}". Remove one of the two.`,
      );
    }
  }
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
  if (Array.isArray(vision.layers)) {
    throw new UsageError(
      `${where}: ResNet towers are not built; got vision_cfg.layers=${JSON.stringify(vision.layers)}. ${ownTowers}`,
    );
  }
  keepSupported({ multimodal_cfg: rest.multimodal_cfg }, [], refusedTop, where, "");
  // Towers first: a tower that is not built explains the options beside it better than they do themselves.
  const keptVision = keepSupported(
    vision,
    Object.keys(visionSchema.shape),
    refusedVision,
    where,
    "vision_cfg.",
  );
  const keptText = keepSupported(text, Object.keys(textSchema.shape), refusedText, where, "text_cfg.");
  const keptTop = keepSupported(rest, ["embed_dim", "quick_gelu", "init_logit_scale"], refusedTop, where, "");
  const candidate = { ...keptTop, vision_cfg: keptVision, text_cfg: keptText };
  const parsed = clipSchema.safeParse(candidate);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]!] : issue.path;
    throw new UsageError(
      `${where}: ${issue.message.toLowerCase()}; got ${path.join(".")}=${JSON.stringify(lookUp(candidate, path))}.`,
    );
  }
  checkTogether(parsed.data, where);
  return parsed.data;
}
