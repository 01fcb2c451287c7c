/**
 * Hugging Face's CLIP folders as open_clip's configuration: `config.json` of a `CLIPModel`, and the
 * `preprocessor_config.json` (or `processor_config.json`) beside it (transformers 5, `configuration_clip.py`,
 * `modeling_clip.py`, `image_processing_backends.py`).
 */

import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import { type ClipConfig, parseClipConfig } from "./config.js";
import { isObject, type Json } from "./fields.js";
import { openaiPreprocess, type PreprocessConfig } from "./preprocess.js";

/** What files of transformers call their kind. */
export const modelTypeOf = (json: unknown): string | undefined =>
  isObject(json) && typeof json.model_type === "string" ? json.model_type : undefined;

const size = z.int().positive();
const square = z.union([size, z.tuple([size, size]).refine(([a, b]) => a === b, "must be a square")]);

const tower = {
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  hidden_act: z.string().default("quick_gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
};

const schema = z.object({
  projection_dim: size.default(512),
  logit_scale_init_value: z.number().default(2.6592),
  text_config: z.object({
    ...tower,
    hidden_size: size.default(512),
    intermediate_size: size.default(2048),
    num_hidden_layers: size.default(12),
    num_attention_heads: size.default(8),
    vocab_size: size.default(49408),
    max_position_embeddings: size.default(77),
    eos_token_id: z.int().nonnegative().default(49407),
  }),
  vision_config: z.object({
    ...tower,
    hidden_size: size.default(768),
    intermediate_size: size.default(3072),
    num_hidden_layers: size.default(12),
    num_attention_heads: size.default(12),
    num_channels: z.literal(3, "must be 3").default(3),
    image_size: square.default(224),
    patch_size: square.default(32),
  }),
});

type Tower = Pick<z.infer<typeof schema>["text_config"], keyof typeof tower>;

/** What `hidden_act` stands for in open_clip's words. */
const activations: Readonly<Record<string, { readonly quick: boolean; readonly approximate?: "tanh" }>> = {
  quick_gelu: { quick: true },
  gelu: { quick: false },
  gelu_new: { quick: false, approximate: "tanh" },
  gelu_pytorch_tanh: { quick: false, approximate: "tanh" },
};

/** Legacy: an id that no vocabulary has as its end, by which the highest id of a row is meant. */
const HIGHEST_ID = 2;

/**
 * The configuration that `config.json` describes.
 * @throws UsageError naming file and key, for another model than CLIP and for what open_clip's schema cannot say
 */
export function parseHuggingFaceClip(json: unknown, where: string): ClipConfig {
  const type = modelTypeOf(json);
  if (!isObject(json) || type !== "clip") {
    throw new UsageError(
      `${where}: model_type must be "clip", transformers' CLIPModel; got ${JSON.stringify(type)}. Of the other families only open_clip's files are read.`,
      { file: where },
    );
  }
  const parsed = schema.safeParse(
    withoutNulls({
      ...json,
      // Where an old file has both, this one decides (`CLIPConfig.__post_init__`).
      text_config: json.text_config_dict ?? json.text_config ?? {},
      vision_config: json.vision_config_dict ?? json.vision_config ?? {},
    }),
  );
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw new UsageError(
      `${where}: ${path.join(".")}: ${message.toLowerCase()}. Correct it as the model was trained.`,
      { file: where },
    );
  }
  const { projection_dim, logit_scale_init_value, text_config: text, vision_config: vision } = parsed.data;
  const act = activationOf(text, "text_config", where);
  if (act.quick !== activationOf(vision, "vision_config", where).quick) {
    throw new UsageError(
      `${where}: hidden_act must be QuickGELU in both towers or in none, as open_clip has it; got text_config.hidden_act="${text.hidden_act}", vision_config.hidden_act="${vision.hidden_act}". Use this model in transformers.`,
      { file: where },
    );
  }
  const sideOf = (value: z.infer<typeof square>): number => (typeof value === "number" ? value : value[0]);
  const heads = vision.num_attention_heads;
  if (vision.hidden_size % heads !== 0) {
    throw new UsageError(
      `${where}: vision_config.hidden_size must be a multiple of num_attention_heads; got hidden_size=${vision.hidden_size}, num_attention_heads=${heads}.`,
      { file: where },
    );
  }
  return parseClipConfig(
    {
      embed_dim: projection_dim,
      quick_gelu: act.quick,
      init_logit_scale: logit_scale_init_value,
      vision_cfg: {
        image_size: sideOf(vision.image_size),
        patch_size: sideOf(vision.patch_size),
        head_width: vision.hidden_size / heads,
        ...blocksOf(vision, "vision_config", where),
      },
      text_cfg: {
        context_length: text.max_position_embeddings,
        vocab_size: text.vocab_size,
        heads: text.num_attention_heads,
        ...(text.eos_token_id === HIGHEST_ID ? {} : { pool_type: "eos", eos_id: text.eos_token_id }),
        ...blocksOf(text, "text_config", where),
      },
    },
    where,
  );
}

function activationOf({ hidden_act: name }: Tower, section: string, where: string) {
  const found = Object.hasOwn(activations, name) ? activations[name] : undefined;
  if (found !== undefined) return found;
  throw new UsageError(
    `${where}: ${section}.hidden_act must be one of ${Object.keys(activations).join(", ")}; got "${name}". Use this model in transformers.`,
    { file: where },
  );
}

function blocksOf(config: Tower, section: string, where: string): Json {
  const {
    hidden_size: width,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    layer_norm_eps: eps,
  } = config;
  const { approximate } = activationOf(config, section, where);
  // open_clip cuts width · ratio to a whole number, where a quotient may fall short of it.
  const ratio = Math.trunc(width * (hidden / width)) === hidden ? hidden / width : (hidden + 0.5) / width;
  return {
    width,
    layers,
    mlp_ratio: ratio,
    ...(eps === 1e-5 ? {} : { norm_kwargs: { eps } }),
    ...(approximate === undefined ? {} : { act_kwargs: { approximate } }),
  };
}

/** Without keys whose value is null: transformers takes the default for them. */
const withoutNulls = (value: unknown): unknown =>
  isObject(value)
    ? Object.fromEntries(
        Object.entries(value)
          .filter(([, each]) => each !== null)
          .map(([key, each]) => [key, withoutNulls(each)]),
      )
    : value;

/** Names of `CLIPImageProcessor` in all versions. */
const PROCESSORS = /^CLIP(?:ImageProcessor(?:Fast|Pil)?|FeatureExtractor)$/;

/** Pillow's numbers of filters. */
const filters: Readonly<Record<number, PreprocessConfig["interpolation"]>> = { 2: "bilinear", 3: "bicubic" };

const rgb = z.tuple([z.number(), z.number(), z.number()]);
const sides = z.union([
  size,
  z.object({ shortest_edge: size }),
  z.object({ height: size, width: size }).refine(({ height, width }) => height === width, "must be a square"),
]);
const processorSchema = z.object({
  image_processor_type: z.string().optional(),
  feature_extractor_type: z.string().optional(),
  do_resize: z.literal(true, "must be true: towers see squares of one size").default(true),
  size: sides.optional(),
  resample: z.int().default(3),
  do_center_crop: z.boolean().default(true),
  crop_size: sides.optional(),
  do_rescale: z.boolean().default(true),
  rescale_factor: z
    .number()
    .positive()
    .default(1 / 255),
  do_normalize: z.boolean().default(true),
  image_mean: rgb.default([...openaiPreprocess.mean]),
  image_std: rgb.default([...openaiPreprocess.std]),
  do_pad: z.literal(false, "must be false").default(false),
});

/**
 * What a CLIPImageProcessor does with pictures, for images of `imageSize` pixels: transparent ones are laid on white, the
 * middle is rounded down. Without a file, json is undefined and all is default.
 * @throws UsageError naming file and key, for what open_clip's schema cannot say
 */
export function parseHuggingFacePreprocess(
  json: unknown,
  imageSize: number,
  where: string,
): PreprocessConfig {
  const given = isObject(json) && isObject(json.image_processor) ? json.image_processor : (json ?? {});
  const parsed = processorSchema.safeParse(withoutNulls(given));
  const no = (key: string, rule: string) =>
    new UsageError(
      `${where}: ${key}${rule}. Write an open_clip_config.json with a preprocess_cfg that comes close, or use this model in transformers.`,
      { file: where },
    );
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw no(path.join("."), `: ${message.toLowerCase()}`);
  }
  const p = parsed.data;
  const type = p.image_processor_type ?? p.feature_extractor_type;
  if (type !== undefined && !PROCESSORS.test(type))
    throw no("image_processor_type", ` must be CLIPImageProcessor; got "${type}"`);
  const interpolation = filters[p.resample];
  if (interpolation === undefined)
    throw no("resample", ` must be 3 (bicubic) or 2 (bilinear); got ${p.resample}`);
  const { size: to = imageSize, crop_size: crop = imageSize } = p;
  const squash = typeof to === "object" && "height" in to;
  const [resized, cut] = [to, crop].map((value) =>
    typeof value === "number" ? value : Object.values(value)[0]!,
  );
  if (resized !== imageSize || (p.do_center_crop && cut !== imageSize)) {
    throw no(
      "size",
      ` and crop_size must be the ${imageSize} pixels of the model; got size=${JSON.stringify(to)}, crop_size=${JSON.stringify(crop)}`,
    );
  }
  if (!squash && !p.do_center_crop)
    throw no("do_center_crop", " must be true where size is the shortest edge; got false");
  // (x·f − mean) / std of bytes x; ours are of x / 255. Files have 1/255 in 20 digits.
  const stated = 255 * (p.do_rescale ? p.rescale_factor : 1);
  const factor = Math.abs(stated - 1) < 1e-6 ? 1 : stated;
  const scaled = (values: readonly number[]) =>
    values.map((value) => value / factor) as unknown as PreprocessConfig["mean"];
  return {
    mean: scaled(p.do_normalize ? p.image_mean : [0, 0, 0]),
    std: scaled(p.do_normalize ? p.image_std : [1, 1, 1]),
    interpolation,
    resize_mode: squash ? "squash" : "shortest",
    transparency: [255, 255, 255],
    crop_rounding: "down",
  };
}
