/**
 * What the studies of "Scaling (Down) CLIP" (arXiv 2404.08197) have in common, in three sizes:
 *
 *     clipwright study recipes/studies/quantity.ts --size small
 *
 * | size | data | machine | a run |
 * | --- | --- | --- | --- |
 * | `small` | drawings of `npx clipwright-icons` | 2 CPU cores with OpenVINO | seconds to minutes |
 * | `medium` | shards as CC3M's in `data/cc3m`; ImageNet, its variants and COCO's test pairs in `data/` | one GPU, a day a study | minutes to an hour |
 * | `paper` | shards in `data/pairs`; the same tests | as the paper's | days |
 *
 * Sizes keep the paper's ratios: parts of the data from 1/340 (paper) or 1/32 to all of it, passes or as many samples for each,
 * warm-up a share of the run, a cosine over each run's own length.
 */

import { resolve } from "node:path";
import type { ImageNetName } from "../../../src/evaluate/suites/imagenet.js";
import type { SuiteInput } from "../../../src/evaluate/suites/suite.js";
import type { PartInput, RegimeInput, StudyInput } from "../../../src/study/design/study.js";
import type { RecipeInput } from "../../../src/train/recipe/recipe.js";

export type Size = "small" | "medium" | "paper";

/** A tower and its learning rate. */
type Encoder = Pick<RecipeInput, "model" | "lr">;

/** How a picture is changed each time that it is seen. */
type Augmentation = Pick<RecipeInput, "crop" | "affine" | "augment" | "inkJitter">;

export interface Scale {
  /** Data, the ViT that studies share, batch and optimizer. */
  readonly recipe: RecipeInput;
  /** Pairs of the ladder's last part. */
  readonly pairs: number;
  /** Passes in the place of the paper's one: of few pairs one teaches little. */
  readonly passes: number;
  /** Parts of the data, ascending. */
  readonly ladder: readonly number[];
  /** The lower end of the ladder, for studies of many passes. */
  readonly few: readonly number[];
  /** What is scored of every run. */
  readonly suite: SuiteInput;
  /** The suite with few-shot, a linear probe and all shifts. */
  readonly wideSuite: SuiteInput;
  /** The score that decides. */
  readonly score: string;
  /** ViTs by name, the smallest first. */
  readonly vits: Readonly<Record<string, Encoder>>;
  /** Encoders of about the same multiply-adds. */
  readonly encoders: Readonly<Record<string, Encoder>>;
  /** Learning rates that are tried for each of them. */
  readonly rates: readonly number[];
  /** What is tried where augmentations are compared. */
  readonly augmentations: Readonly<Record<string, Augmentation>>;
  /** The one of them that strategies are compared with. */
  readonly augmentation: string;
  /** Multiply-adds of a run of equal compute, 10⁹: about those of the shared ViT in one run of equal samples. */
  readonly gmacs: number;
  /** SLIP's head where the paper's is larger than the model. */
  readonly sslHead?: RecipeInput["sslHead"];
  readonly seeds: number;
}

/** A study in each size, which tells how its data are got where they are missing. */
export const eachSize = (
  study: (scale: Scale, size: Size) => StudyInput,
): Readonly<Record<Size, StudyInput>> => ({
  small: { dataFrom: drawings, ...study(small, "small") },
  medium: { dataFrom: own("data/cc3m"), ...study(medium, "medium") },
  paper: { dataFrom: own("data/pairs"), ...study(paper, "paper") },
});

const drawings =
  "npx clipwright-icons makes the drawings in some five minutes (100 MB from npm, 490 MB of data): call both in one folder.";

const own = (shards: string): string =>
  `Shards of one's own go into ${shards}, ImageNet, its variants and COCO's test pairs into data/ of the folder that this is called in: docs/studies.md, "The studies that come along".`;

/** The paper's two: each part once, and as many samples for every part as the whole has. */
export const twoRegimes = ({ pairs, passes }: Scale): Readonly<Record<string, RegimeInput>> => ({
  [passes === 1 ? "one pass" : `${passes} passes`]: { epochs: passes },
  "equal samples": { samples: passes * pairs },
});

/** Levels of a factor `part`, named by their share. */
export const parts = (shares: readonly number[]): Readonly<Record<string, { readonly part: PartInput }>> =>
  Object.fromEntries(shares.map((random) => [percent(random), { part: { random } }]));

export const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;

/** The paper's; policies crop by themselves. */
const photographs: Readonly<Record<string, Augmentation>> = {
  none: { crop: "whole", augment: "none" },
  "crop and flip": { crop: "resized", augment: "crop-flip" },
  RandAugment: { crop: "resized", augment: "randaugment" },
  "stacked RandAugment": { crop: "resized", augment: "stacked-randaugment" },
};

// Small: 32 pixels and a bag of words, 0.3 to 1 M parameters.
const words = {
  context_length: 12,
  vocab_size: 2048,
  width: 96,
  heads: 4,
  layers: 0,
  pool_type: "mean",
} as const;
const icons = resolve("examples/icons/data");

const withWords = (vision_cfg: object): object => ({
  embed_dim: 96,
  vision_cfg: { image_size: 32, ...vision_cfg },
  text_cfg: words,
});

/** A ViT whose patches are laid side by side: where things are in a centred drawing tells much. */
const smallVit = (width: number, layers: number, patch_size: number): object =>
  withWords({
    ...{ patch_size, width, layers, head_width: 32 },
    ...{ pool_type: "flat", class_token: false, no_ln_pre: true },
  });

const smallTrunk = (timm_model_name: string, timm_model_args: object): object =>
  withWords({ timm_model_name, timm_model_args });

const small: Scale = {
  recipe: {
    ...{ trainData: "examples/icons/data/train/*.tar", model: smallVit(64, 3, 8), vocabSize: 2048 },
    ...{ keepSize: 32, imageResizeMode: "squash", crop: "whole", normalize: "inception" },
    ...{ batchSize: 128, lr: 2.5e-3, wd: 0.1, warmup: 0.1 },
    ...{ engine: "openvino", precision: "bf16-results", imageMemory: 1024, imageDisk: 1024 },
    ...{ saveFrequency: "2m", keepLast: 1, zeroshotFrequency: 0 },
  },
  pairs: 32_835,
  passes: 1,
  ladder: [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4],
  few: [1 / 128, 1 / 64, 1 / 32, 1 / 16],
  suite: {
    sets: {
      concepts: { data: `${icons}/concepts`, role: "reference", tasks: ["zeroshot_classification"] },
      validation: { data: `${icons}/validation.tar`, tasks: ["zeroshot_retrieval"] },
    },
  },
  wideSuite: {
    tasks: ["zeroshot_classification"],
    sets: {
      concepts: {
        ...{ data: `${icons}/concepts`, role: "reference" },
        tasks: ["zeroshot_classification", "few_shot", "linear_probe"],
      },
      validation: { data: `${icons}/validation.tar`, tasks: ["zeroshot_retrieval"] },
      ...Object.fromEntries(
        ["silhouettes", "pixel-art", "pencil", "two-tone", "flat-colour", "emoji-lines"].map((style) => [
          style,
          { data: `${icons}/${style}`, role: "shift" as const },
        ]),
      ),
    },
  },
  score: "concepts/acc1",
  vits: {
    "32 wide": { model: smallVit(32, 2, 8), lr: 2.5e-3 },
    "64 wide": { model: smallVit(64, 3, 8), lr: 2.5e-3 },
    "128 wide": { model: smallVit(128, 4, 8), lr: 1.5e-3 },
  },
  // Rates by encoder-rates.ts; the ViT and the Swin do as well at this one as at their neighbours.
  encoders: {
    ViT: { model: smallVit(64, 3, 8), lr: 2.5e-3 },
    ResNet: {
      model: smallTrunk("resnet18", {
        ...{ layers: [1, 1, 1, 1], channels: [20, 40, 80, 160] },
        ...{ stem_type: "deep", stem_width: 10 },
      }),
      lr: 1.6e-3,
    },
    ConvNeXt: {
      model: smallTrunk("convnext_atto", { patch_size: 4, dims: [28, 56, 112, 224], depths: [1, 1, 2, 1] }),
      lr: 1.6e-3,
    },
    Swin: {
      model: smallTrunk("swin_tiny_patch4_window7_224", {
        ...{ patch_size: 4, window_size: 4 },
        ...{ embed_dim: 28, depths: [2, 2], num_heads: [1, 2] },
      }),
      lr: 2.5e-3,
    },
    Mixer: {
      model: smallTrunk("mixer_s32_224", { patch_size: 8, embed_dim: 66, num_blocks: 4 }),
      lr: 1.6e-3,
    },
  },
  rates: [6.3e-4, 1e-3, 1.6e-3, 2.5e-3, 4e-3, 6.3e-3],
  augmentations: {
    ...photographs,
    "slight crops": { crop: "resized", augment: "none" },
    "turned, shifted, other ink": {
      ...{ crop: "affine", affine: [12, 0.2, 0.07, 0.05], augment: "none", inkJitter: [0.35, 0.7, 0.21] },
    },
  },
  augmentation: "turned, shifted, other ink",
  gmacs: 90,
  sslHead: [128, 64],
  seeds: 3,
};

// Medium and paper: ImageNet and its variants as their archives unpack, COCO's pairs; under data/, or links there.
const set = (name: ImageNetName, more: object = {}) => ({
  data: resolve(`data/${name}`),
  imagenet: name,
  wnids: resolve("data/imagenet"),
  ...more,
});

const variants: readonly ImageNetName[] = [
  ...(["imagenet-a", "imagenet-r", "imagenet-sketch", "imagenet-v2", "imagenet-real"] as const),
  "objectnet",
];

const imagenet = (tasks: readonly string[], shifts: readonly ImageNetName[]): SuiteInput => ({
  tasks: ["zeroshot_classification"],
  sets: {
    imagenet: set("imagenet", {
      ...{ role: "reference", tasks: ["zeroshot_classification", ...tasks] },
      ...(tasks.length > 0 && { train: resolve("data/imagenet-train") }),
    }),
    coco: { data: resolve("data/coco-test.tar"), tasks: ["zeroshot_retrieval"] },
    ...Object.fromEntries(shifts.map((name) => [name, set(name, { role: "shift" })])),
  },
});

const suites = {
  suite: imagenet(["few_shot"], variants),
  wideSuite: imagenet(["few_shot", "linear_probe"], variants),
  score: "imagenet/acc1",
};

const preset = (name: string, lr: number): Encoder => ({ model: name, lr });

/** CC3M and a GPU: models that a day trains twenty times, eight passes for the paper's one. */
const medium: Scale = {
  recipe: {
    ...{ trainData: "data/cc3m/*.tar", model: "clipwright-vit-200m", lr: 1e-3, vocabSize: 8192 },
    ...{ batchSize: 1024, wd: 0.1, warmup: 0.05, normalize: "inception", imageResizeMode: "squash" },
    ...{ precision: "auto", keepSize: 64, imageDisk: 60_000, zeroshotFrequency: 0 },
  },
  pairs: 2_900_000,
  passes: 8,
  ladder: [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1],
  few: [1 / 32, 1 / 16, 1 / 8, 1 / 4],
  ...suites,
  vits: {
    "50 M": preset("clipwright-vit-50m", 1.5e-3),
    "200 M": preset("clipwright-vit-200m", 1e-3),
    "800 M": preset("clipwright-vit-800m", 7e-4),
  },
  encoders: Object.fromEntries(
    ["ViT", "ResNet", "ConvNeXt", "Swin", "Mixer"].map((family) => [
      family,
      preset(`clipwright-${family.toLowerCase()}-200m`, 1e-3),
    ]),
  ),
  rates: [2.5e-4, 4e-4, 6.3e-4, 1e-3, 1.6e-3, 2.5e-3],
  augmentations: photographs,
  augmentation: "stacked RandAugment",
  gmacs: 6_000_000,
  seeds: 3,
};

/** 3.4 · 10⁹ pairs; sections 3 to 7. Warm-up, clipping and pooling are not in the paper. */
const paper: Scale = {
  recipe: {
    ...{ trainData: "data/pairs/*.tar", model: "paper-B-32", vocabSize: 32_000 },
    ...{ imageResizeMode: "squash", normalize: "inception", crop: "whole", keepSize: 224 },
    // Decay is added after the rate in the authors' code: 10⁻⁴ there is AdamW's 0.1 at 10⁻³.
    ...{ optimizer: "adafactor", batchSize: 16_384, lr: 1e-3, wd: 0.1, beta2: 0.999, warmup: 0.05 },
    ...{ precision: "auto", zeroshotFrequency: 0, imageMemory: 0 },
  },
  pairs: 3_400_000_000,
  passes: 1,
  ladder: [10, 25, 50, 100, 200, 400, 800, 1000, 1700, 2600, 3400].map((millions) => millions / 3400),
  few: [10, 25, 50, 100].map((millions) => millions / 3400),
  ...suites,
  vits: Object.fromEntries(
    ["Ti-16", "S-16", "B-32", "B-16", "L-16"].map((size) => [size, preset(`paper-${size}`, 1e-3)]),
  ),
  encoders: Object.fromEntries(
    ["B-32", "RN50", "ConvNeXt-T", "Swin-T", "Mixer-B-32"].map((name) => [
      name,
      preset(`paper-${name}`, 1e-3),
    ]),
  ),
  rates: [2.5e-4, 5e-4, 1e-3, 2e-3],
  augmentations: photographs,
  augmentation: "stacked RandAugment",
  gmacs: 2e10,
  seeds: 1,
};
