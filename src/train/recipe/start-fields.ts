/** Settings of a recipe on what a run starts from, and what of it is trained. */

import { flag, integer, optional, real, text, type Values } from "../../settings/fields.js";
import { kindOf, type StrategyName } from "../strategies/index.js";

export const startFields = {
  pretrained: optional(
    text("RUN|NAME|FILE"),
    "Start from a whole CLIP: a run, a name (clipwright models --pretrained, hf-hub:OWNER/NAME), a folder of open_clip's or of Hugging Face's CLIPModel, or a file of weights, .safetensors or PyTorch's. Needs its tokenizer; its logit scale is taken, too.",
  ),
  pretrainedImage: optional(
    text("RUN|FILE"),
    "Start from an image tower: a CLIP's, or a trunk of timm's or the tower's own names in .safetensors, whose classifier is left out and whose projection starts anew. Mind --normalize.",
  ),
  lockImage: optional(
    flag(),
    "Leave the image tower as it starts (LiT): no gradient, no optimizer state, batch norms and stochastic depth as in evaluation. A projection that starts anew is trained.",
  ),
  lockImageUnlockedGroups: optional(
    integer(1),
    "Of --lock-image: groups at the tower's end that are trained: the final norm and projection, then blocks from the last.",
  ),
  lockText: optional(flag(), "Leave the text tower as it starts."),
  lockTextUnlockedLayers: optional(
    integer(1),
    "Of --lock-text: groups at the tower's end that are trained: the final norm and projection, then blocks from the last.",
  ),
  layerDecay: optional(
    real({ above: 0, max: 1 }),
    "Of a tower that starts from weights: factor on the learning rate from each group to the one before it, e.g. 0.75; its last group has the whole rate.",
  ),
  lrImage: optional(real({ above: 0 }), "Peak learning rate of the image tower, instead of --lr."),
  lrText: optional(real({ above: 0 }), "Peak learning rate of the text tower, instead of --lr."),
} as const;

export type Start = Values<typeof startFields>;

type Checked = Start & { readonly strategy: StrategyName; readonly tokenizer: string };

/** What must hold between them; each gives the message or undefined. */
export const startRules: readonly ((recipe: Checked) => string | undefined)[] = [
  ({ pretrained, pretrainedImage }) =>
    pretrained !== undefined && pretrainedImage !== undefined
      ? `pretrainedImage: a whole CLIP has an image tower already; got pretrained=${pretrained} and pretrainedImage=${pretrainedImage}. Remove one.`
      : undefined,
  ({ pretrained, tokenizer }) =>
    pretrained !== undefined && tokenizer === "bpe"
      ? `tokenizer: a text tower that starts from weights knows one vocabulary; got tokenizer=bpe, which learns another. Give the file that it was trained with, e.g. --tokenizer RUN/tokenizer.json.`
      : undefined,
  ({ lockImage, pretrained, pretrainedImage }) =>
    lockImage && (pretrained ?? pretrainedImage) === undefined
      ? "lockImage: a locked tower must start from weights; got neither pretrained nor pretrainedImage. Add --pretrained-image FILE, or remove it."
      : undefined,
  ({ lockText, pretrained }) =>
    lockText && pretrained === undefined
      ? "lockText: a locked tower must start from weights; got no pretrained. Add --pretrained FILE, or remove it."
      : undefined,
  ({ lockImage, lockImageUnlockedGroups: groups }) =>
    groups !== undefined && !lockImage
      ? `lockImageUnlockedGroups: what is not locked is trained anyway; got lockImageUnlockedGroups=${groups} without lockImage. Add --lock-image.`
      : undefined,
  ({ lockText, lockTextUnlockedLayers: layers }) =>
    layers !== undefined && !lockText
      ? `lockTextUnlockedLayers: what is not locked is trained anyway; got lockTextUnlockedLayers=${layers} without lockText. Add --lock-text.`
      : undefined,
  ({ lockImage, lockText, lockImageUnlockedGroups, lockTextUnlockedLayers }) =>
    lockImage && lockText && (lockImageUnlockedGroups ?? lockTextUnlockedLayers) === undefined
      ? "lockText: something must be left to train; got lockImage and lockText, both whole. Unlock a part, e.g. --lock-text-unlocked-layers 2."
      : undefined,
  ({ strategy, lockImage, lockImageUnlockedGroups }) => {
    const { learnsFrom } = kindOf(strategy);
    if (!lockImage || learnsFrom === undefined) return undefined;
    if (learnsFrom === "image tower's end" && lockImageUnlockedGroups !== undefined) return undefined;
    return `lockImage: ${strategy} is for an image tower that learns; got lockImage. Use --strategy clip, or unlock ${learnsFrom === "image tower" ? "all of it" : "a part with --lock-image-unlocked-groups"}.`;
  },
  ({ layerDecay, pretrained, pretrainedImage }) =>
    layerDecay !== undefined && (pretrained ?? pretrainedImage) === undefined
      ? `layerDecay: is for towers that start from weights; got layerDecay=${layerDecay} without pretrained or pretrainedImage. Add --pretrained NAME, or remove it.`
      : undefined,
];
