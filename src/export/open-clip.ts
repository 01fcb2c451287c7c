/** open_clip's folder, as `local-dir:` and `hf-hub:` open it. */

import { join } from "node:path";
import { writeJsonAtomic } from "../core/files.js";
import { writeSafetensors } from "../core/safetensors.js";
import { saveTokenizer } from "../data/tokenizer/save.js";
import { extensionsIn } from "../models/config/config.js";
import { openaiPreprocess } from "../models/config/preprocess.js";
import type { Exported, ExportForm } from "./form.js";
import { writeTokenizer } from "./tokenizer-files.js";

/** The vocabulary that lies in open_clip itself. */
const CLIP_VOCABULARY = 49_408;
const isClips = ({ tokenizer }: Exported): boolean =>
  tokenizer.kind === "clip" && tokenizer.vocabSize === CLIP_VOCABULARY;

export const openClipForm: ExportForm = {
  name: "open_clip",
  about: "open_clip's folder: open_clip_config.json, open_clip_model.safetensors, the tokenizer",
  library: "open_clip",
  remedy: "Use it here, or train a model without extensions over open_clip, e.g. --model ViT-S-32",
  dtypes: undefined,
  language: "python",
  usage: `import open_clip

model, _, preprocess = open_clip.create_model_and_transforms("local-dir:DIR")
tokenizer = open_clip.get_tokenizer("local-dir:DIR")`,
  refusals: (model) => [
    ...extensionsIn(model.located.config).map((key) => `${key}, an extension over open_clip`),
    // Its padding becomes the end token, which texts read in both directions would see.
    ...(model.tokenizer.kind === "clip" && !isClips(model) && model.config.text_cfg.no_causal_mask
      ? ["a vocabulary of CLIP's form but not CLIP's, with texts read in both directions"]
      : []),
  ],
  write(model, folder): undefined {
    const { located, tokenizer, name, values, shapes } = model;
    const {
      transparency: _,
      exif_orientation: __,
      crop_rounding: ___,
      ...preprocess
    } = {
      ...openaiPreprocess,
      ...located.preprocess,
    };
    const { hf_tokenizer_name: ____, ...text } = located.config.text_cfg;
    writeJsonAtomic(join(folder, "open_clip_config.json"), {
      model_cfg: {
        ...located.config,
        // Without the name open_clip takes its own vocabulary; of a folder, any name stands for the folder.
        text_cfg: { ...text, ...(isClips(model) ? {} : { hf_tokenizer_name: name }) },
      },
      preprocess_cfg: { size: model.config.vision_cfg.image_size, mode: "RGB", ...preprocess },
    });
    if (isClips(model)) saveTokenizer(tokenizer, join(folder, tokenizer.fileName));
    else writeTokenizer(tokenizer, folder);
    writeSafetensors(
      join(folder, "open_clip_model.safetensors"),
      Object.entries(values).map(([each, data]) => ({
        name: each,
        dtype: "f32",
        shape: shapes[each]!,
        data,
      })),
      { format: "pt" },
    );
  },
  caution({ located: { preprocess } }) {
    const notes = [
      ...(preprocess.transparency === undefined || preprocess.transparency === "pillow"
        ? []
        : ["drops the alpha of transparent pictures, which were laid on a colour in training"]),
      ...(preprocess.exif_orientation
        ? ["does not turn pictures as their EXIF says, which training did"]
        : []),
      ...(preprocess.crop_rounding === "down"
        ? ["rounds the middle of an odd margin to even, not down"]
        : []),
    ];
    return notes.length === 0 ? undefined : `open_clip ${notes.join("; it ")}.`;
  },
};
