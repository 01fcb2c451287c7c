/** Mean and standard deviation per channel, of pixels scaled to [0, 1]; the graph applies them on the device. */
export interface Normalization {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

export type NormalizationName = "openai" | "imagenet" | "inception" | "none";

/** By family, as in open_clip's constants. */
export const normalizations: Readonly<Record<NormalizationName, Normalization>> = {
  /** OpenAI's CLIP and most of open_clip. */
  openai: { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] },
  /** timm's ImageNet models. */
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  /** [-1, 1]: SigLIP and big_vision. */
  inception: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  /** [0, 1]. */
  none: { mean: [0, 0, 0], std: [1, 1, 1] },
};
