/** Folders of ONNX programs as transformers.js and ONNX Runtime open them: the towers, and both with their logits. */

import { join } from "node:path";
import { makeFolder } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { writeFileAtomic, writeJsonAtomic } from "../../core/files.js";
import { writeOnnx } from "../../graph/emit/onnx-program.js";
import type { Exported, ExportForm, Variant, WriteOptions } from "../form.js";
import { preprocessorOf } from "../hugging-face.js";
import { writeTokenizer } from "../tokenizer-files.js";
import { type NumberFormName, numberForms, quantized } from "./numbers/number-forms.js";
import { joined, logitsOf, sizeBytes, type Towers, towersOf } from "./towers.js";
import { type Tried, tryVariant } from "./variants.js";

/** A message of protobuf, which a file of ONNX is, ends at 2 GiB; some room is left for names. */
const LARGEST_BYTES = 2 ** 31 - 2 ** 22;

/** What was found of the forms of the numbers, beside the programs. */
export const VARIANTS_FILE = join("onnx", "variants.json");

const shared = {
  remedy: "Use it here",
  // Programs say whatever the model computes, and prepared pictures come as in training.
  refusals: () => [],
  caution({ located: { preprocess, clean }, tokenizer }: Exported) {
    const { transparency = "pillow", exif_orientation: turned } = preprocess;
    const notes = [
      "shrinks pictures without smoothing in Node, and as the browser's canvas does there, so that vectors of pictures that it resizes itself differ: hand it pictures by `preparePicture`",
      ...(preprocess.resize_mode === "longest"
        ? ["would stretch pictures that were padded in training: hand it pictures by `preparePicture`"]
        : []),
      ...(transparency === "pillow" ? [] : ["drops the alpha of transparent pictures"]),
      ...(turned ? ["does not turn pictures as their EXIF says in Node"] : []),
      ...(tokenizer.kind === "huggingface" && clean !== "none"
        ? [`does not clean texts before they become tokens (${clean})`]
        : []),
    ];
    return `transformers.js ${notes.join("; it ")}.`;
  },
  write: writePrograms,
} as const;

export const onnxForm: ExportForm = {
  ...shared,
  name: "onnx",
  about:
    "programs for ONNX Runtime: onnx/vision_model.onnx, onnx/text_model.onnx, both with logits in onnx/model.onnx",
  library: "onnx",
  dtypes: ["fp32"],
  language: "python",
  usage: `import onnxruntime

vision = onnxruntime.InferenceSession("DIR/onnx/vision_model.onnx")
text = onnxruntime.InferenceSession("DIR/onnx/text_model.onnx")
# pixel_values f32[n,3,S,S], normalized as preprocessor_config.json says; ids and mask i64[n,length] of tokenizer.json
[image_embeds] = vision.run(None, {"pixel_values": pixels})
[text_embeds] = text.run(None, {"input_ids": ids, "attention_mask": mask})`,
};

export const transformersJsForm: ExportForm = {
  ...shared,
  name: "transformers.js",
  about:
    "transformers.js's folder: the programs of onnx, also quantised, with configuration, preprocessor and tokenizer",
  library: "transformers.js",
  dtypes: ["fp32", "q8"],
  language: "js",
  usage: `import { pipeline, RawImage } from "@huggingface/transformers";
import { preparePicture } from "clipwright";

const classify = await pipeline("zero-shot-image-classification", "DIR");
const { data, width, height, channels } = await preparePicture("cat.jpg", "DIR");
await classify(new RawImage(data, width, height, channels), ["a cat", "a dog"]);`,
};

async function writePrograms(model: Exported, folder: string, options: WriteOptions): Promise<Variant[]> {
  const { config, located, tokenizer } = model;
  const programs = join(folder, "onnx");
  makeFolder(programs);
  const variants = await writeVariants(model, programs, options);
  const written = variants.filter((variant) => variant.written).map(({ dtype }) => dtype);
  if (written.length === 0) {
    throw new UsageError(
      `export: no form of the numbers may be written; ${variants.map(({ dtype, lostPoints }) => `${dtype} loses ${lostPoints?.toFixed(1)} points`).join(", ")}. Add fp32 to --dtype, or raise --max-loss.`,
      { key: "dtype" },
    );
  }
  writeJsonAtomic(join(folder, VARIANTS_FILE), variants);
  writeJsonAtomic(join(folder, "config.json"), {
    architectures: ["CLIPModel"],
    model_type: "clip",
    projection_dim: config.embed_dim,
    logit_scale_init_value: config.init_logit_scale,
    text_config: {
      model_type: "clip_text_model",
      vocab_size: config.text_cfg.vocab_size,
      max_position_embeddings: tokenizer.contextLength,
      projection_dim: config.embed_dim,
      bos_token_id: tokenizer.startTokenId ?? null,
      eos_token_id: tokenizer.endTokenId,
      pad_token_id: tokenizer.padTokenId,
    },
    vision_config: {
      model_type: "clip_vision_model",
      image_size: config.vision_cfg.image_size,
      projection_dim: config.embed_dim,
    },
    "transformers.js_config": { dtype: defaultOf(written) },
  });
  writeJsonAtomic(join(folder, "preprocessor_config.json"), {
    ...preprocessorOf(model),
    // For preparePicture: all that training did.
    preprocess_cfg: located.preprocess,
  });
  writeTokenizer(tokenizer, folder);
  return variants;
}

/** What transformers.js takes where its caller names none: undefined leaves it to each device, wasm's being q8. */
function defaultOf(written: readonly NumberFormName[]): NumberFormName | undefined {
  if (written.includes("fp32") && written.includes("q8")) return undefined;
  return (["fp32", "q8", "int8", "fp16", "q4"] as const).find((dtype) => written.includes(dtype));
}

/** Tries every form that is asked for, and writes what loses no more than it may. */
async function writeVariants(
  model: Exported,
  folder: string,
  { dtypes, trial, maxLossPoints, say }: WriteOptions,
): Promise<Variant[]> {
  const plain = towersOf(model);
  const { scale, bias } = logitsOf(model);
  const of = (dtype: NumberFormName): Towers => ({
    vision: quantized(plain.vision, dtype),
    text: quantized(plain.text, dtype),
  });
  if (dtypes.includes("fp32")) checkSize("fp32", plain);
  const variants: Variant[] = [];
  const fp32 = await tryVariant("fp32", plain, model, trial);
  const known = new Map<unknown, Tried>([[numberForms.fp32.of, fp32]]);
  for (const dtype of dtypes) {
    const form = numberForms[dtype];
    const towers = of(dtype);
    checkSize(dtype, towers);
    const tried = known.get(form.of) ?? (await tryVariant(dtype, towers, model, trial, fp32));
    known.set(form.of, tried);
    const { lostPoints } = tried.variant;
    const written = lostPoints === undefined || lostPoints <= maxLossPoints;
    variants.push({ ...tried.variant, dtype, written });
    if (!written) {
      say(
        `${dtype} is not written: it loses ${lostPoints.toFixed(1)} points, more than ${maxLossPoints} (--max-loss).`,
      );
      continue;
    }
    const both = joined(towers, scale, bias);
    for (const [name, program] of Object.entries({
      vision_model: towers.vision,
      text_model: towers.text,
      model: both,
    }))
      writeFileAtomic(join(folder, `${name}${form.suffix}.onnx`), writeOnnx(program));
  }
  return variants;
}

function checkSize(dtype: NumberFormName, { vision, text }: Towers): void {
  const bytes = sizeBytes(vision) + sizeBytes(text);
  if (bytes <= LARGEST_BYTES) return;
  throw new UsageError(
    `export: a file of ONNX holds 2 GiB; both towers in ${dtype} take ${(bytes / 2 ** 30).toFixed(1)}. Give a smaller --dtype (fp16, int8, q4), or --to open_clip.`,
    { key: "dtype" },
  );
}
