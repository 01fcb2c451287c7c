/**
 * Names of Hugging Face's `CLIPModel` (transformers, `modeling_clip.py`) and of open_clip's CLIP with a plain ViT, in both
 * directions. A linear map of theirs is [out,in]; the two projections are [in,out] with open_clip. The three parts of
 * its `in_proj` lie by themselves there.
 */

import { type Renamed, renamed, type WeightsFile } from "./file.js";

type Pair = readonly [ours: string, theirs: string];

/** Whole names, or, ending in a dot, what stands before "weight" and "bias". */
const OUTSIDE: readonly Pair[] = [
  ["logit_scale", "logit_scale"],
  ["token_embedding.weight", "text_model.embeddings.token_embedding.weight"],
  ["positional_embedding", "text_model.embeddings.position_embedding.weight"],
  ["ln_final.", "text_model.final_layer_norm."],
  ["text_projection", "text_projection.weight"],
  ["visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"],
  ["visual.class_embedding", "vision_model.embeddings.class_embedding"],
  ["visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"],
  ["visual.ln_pre.", "vision_model.pre_layrnorm."],
  ["visual.ln_post.", "vision_model.post_layernorm."],
  ["visual.proj", "visual_projection.weight"],
];

/** What stands before the number of a block. */
const BLOCKS: readonly Pair[] = [
  ["visual.transformer.resblocks.", "vision_model.encoder.layers."],
  ["transformer.resblocks.", "text_model.encoder.layers."],
];

/** What stands behind it. */
const INSIDE: readonly Pair[] = [
  ["ln_1.", "layer_norm1."],
  ["ln_2.", "layer_norm2."],
  ...(["weight", "bias"] as const).flatMap((kind) =>
    ["q", "k", "v"].map((part): Pair => [`attn.in_proj_${kind}`, `self_attn.${part}_proj.${kind}`]),
  ),
  ["attn.out_proj.", "self_attn.out_proj."],
  ["mlp.c_fc.", "mlp.fc1."],
  ["mlp.c_proj.", "mlp.fc2."],
];

const TRANSPOSED = new Set(["text_projection", "visual.proj"]);

const OURS = 0;
const THEIRS = 1;

/** All that a name is called on the other side. */
function across(name: string, from: 0 | 1): string[] {
  const swap = (rest: string, pairs: readonly Pair[]): string[] =>
    pairs.flatMap((pair) => {
      const [own, other] = [pair[from], pair[1 - from]!];
      if (rest === own) return [other];
      return own.endsWith(".") && rest.startsWith(own) ? [other + rest.slice(own.length)] : [];
    });
  const outside = swap(name, OUTSIDE);
  if (outside.length > 0) return outside;
  for (const pair of BLOCKS) {
    const rest = name.startsWith(pair[from]) ? name.slice(pair[from].length) : undefined;
    const [, number, inside] = /^(\d+)\.(.+)$/.exec(rest ?? "") ?? [];
    if (inside !== undefined)
      return swap(inside, INSIDE).map((other) => `${pair[1 - from]}${number}.${other}`);
  }
  return [];
}

/** What transformers calls a parameter of open_clip's: one name, three for a part of attention, none for what it has not. */
export const theirNames = (ours: string): string[] => across(ours, OURS);

/** Whether a parameter of open_clip's is transposed there. */
export const isTransposed = (ours: string): boolean => TRANSPOSED.has(ours);

/** Whether names are those of a CLIPModel. */
export const areTheirs = (names: readonly string[]): boolean =>
  names.some((name) => /^(?:text_model|vision_model)\./.test(name));

/** `file`, whose names are transformers', under open_clip's. What has no name there keeps its own. Owns the file. */
export function underOurNames(file: WeightsFile): WeightsFile {
  const there = new Set(file.names);
  const tensors = new Map<string, Renamed>();
  for (const theirs of file.names) {
    const [ours] = across(theirs, THEIRS);
    if (ours === undefined) tensors.set(theirs, { from: [theirs] });
    else {
      const from = theirNames(ours).filter((each) => there.has(each));
      tensors.set(ours, { from, transposed: isTransposed(ours) });
    }
  }
  return renamed(file, tensors);
}
