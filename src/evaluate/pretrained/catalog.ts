/**
 * Pretrained CLIPs that are small and much used, under open_clip's names (MODEL/TAG). Data only, each fact with its source;
 * any other model of the hub is named hf-hub:OWNER/NAME.
 *
 * Parameters and scores: open_clip, docs/openclip_results.csv (zero-shot top-1 on ImageNet, its own evaluation); TinyCLIP's
 * README (github.com/microsoft/Cream), with parameters counted here. Licences: the model cards on huggingface.co.
 */

export interface PretrainedModel {
  readonly name: string;
  /** OWNER/NAME on the Hugging Face hub. */
  readonly repository: string;
  /** Of both towers, in millions. */
  readonly parametersM: number;
  /** Pixels of a side. */
  readonly imageSize: number;
  /** What it was trained on. */
  readonly data: string;
  /** Zero-shot top-1 on ImageNet, per cent, as published. */
  readonly imagenet: number;
  /** Who published the score. */
  readonly source: string;
  /** As the model's card names it. */
  readonly license: string;
}

const OPEN_CLIP = "github.com/mlfoundations/open_clip docs/openclip_results.csv";
const TINY_CLIP = "github.com/microsoft/Cream TinyCLIP/README.md";

const laion = (
  name: string,
  repository: string,
  rest: Pick<PretrainedModel, "parametersM" | "data" | "imagenet">,
): PretrainedModel => ({
  name,
  repository: `laion/${repository}`,
  imageSize: 224,
  source: OPEN_CLIP,
  license: "mit",
  ...rest,
});

const tinyClip = (
  name: string,
  rest: Pick<PretrainedModel, "parametersM" | "data" | "imagenet">,
): PretrainedModel => ({
  name: name.replace(/-([A-Z0-9]+)$/, (_, tag: string) => `/${tag.toLowerCase()}`),
  repository: `wkcn/${name}`,
  imageSize: 224,
  source: TINY_CLIP,
  license: "mit",
  ...rest,
});

/** From the smallest on. */
export const pretrainedModels: readonly PretrainedModel[] = Object.freeze([
  tinyClip("TinyCLIP-ViT-8M-16-Text-3M-YFCC15M", { parametersM: 23.4, data: "YFCC-15M", imagenet: 41.1 }),
  tinyClip("TinyCLIP-ViT-39M-16-Text-19M-YFCC15M", { parametersM: 83.1, data: "YFCC-15M", imagenet: 63.5 }),
  tinyClip("TinyCLIP-ViT-40M-32-Text-19M-LAION400M", {
    parametersM: 84.2,
    data: "LAION-400M",
    imagenet: 59.8,
  }),
  {
    name: "ViT-B-32/openai",
    repository: "timm/vit_base_patch32_clip_224.openai",
    parametersM: 151.3,
    imageSize: 224,
    data: "WIT-400M",
    imagenet: 63.3,
    source: OPEN_CLIP,
    license: "apache-2.0",
  },
  laion("ViT-B-32/laion2b_s34b_b79k", "CLIP-ViT-B-32-laion2B-s34B-b79K", {
    parametersM: 151.3,
    data: "LAION-2B",
    imagenet: 66.6,
  }),
  laion("ViT-B-32/datacomp_xl_s13b_b90k", "CLIP-ViT-B-32-DataComp.XL-s13B-b90K", {
    parametersM: 151.3,
    data: "DataComp-1B",
    imagenet: 69.2,
  }),
  laion("ViT-B-16/laion2b_s34b_b88k", "CLIP-ViT-B-16-laion2B-s34B-b88K", {
    parametersM: 149.6,
    data: "LAION-2B",
    imagenet: 70.2,
  }),
  laion("ViT-B-16/datacomp_xl_s13b_b90k", "CLIP-ViT-B-16-DataComp.XL-s13B-b90K", {
    parametersM: 149.6,
    data: "DataComp-1B",
    imagenet: 73.5,
  }),
]);
