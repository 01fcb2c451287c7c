/** Augmentation policies by name, as data: what is cut, how often it is mirrored, and the steps after it. */
import { didYouMean, UsageError } from "../../../core/errors.js";
import type { Rgb } from "../read/image.js";
import type { OperationName } from "./operations/index.js";
import type { Step } from "./steps.js";

/** A policy with its parameters filled in: plain data. */
export interface Policy {
  /** As `findPolicy` reads it back, e.g. `randaugment:2,9`. */
  readonly name: string;
  /** Range of the share of the area that a resized crop takes. */
  readonly scale: readonly [number, number];
  /** Range of its width / height. */
  readonly ratio: readonly [number, number];
  /** Share of the images mirrored. */
  readonly flip: number;
  readonly steps: readonly Step[];
}

/** A parameter after the colon. */
interface Parameter {
  readonly name: string;
  readonly fallback: number;
  readonly whole?: boolean;
  readonly min: number;
  readonly max: number;
}

interface PolicyRecord {
  readonly doc: string;
  readonly source: string;
  readonly parameters: readonly Parameter[];
  make(parameters: readonly number[]): Omit<Policy, "name">;
}

const SHAPES = { ratio: [3 / 4, 4 / 3] } as const;
/** torchvision's RandomResizedCrop and flip, which the papers of the policies below start from. */
const CROP_FLIP = { ...SHAPES, scale: [0.08, 1], flip: 0.5 } as const;

const GREY: Rgb = [128, 128, 128];
const BLACK: Rgb = [0, 0, 0];

/** The paper's K = 14 (arXiv 1909.13719). */
const FOURTEEN = [
  "identity",
  "autocontrast",
  "equalize",
  "rotate",
  "solarize",
  "color",
  "posterize",
  "contrast",
  "brightness",
  "sharpness",
  "shear-x",
  "shear-y",
  "translate-x",
  "translate-y",
] as const satisfies readonly OperationName[];

/** The code's: no identity, and three more. */
const SIXTEEN = [
  "autocontrast",
  "equalize",
  "invert",
  "rotate",
  "posterize",
  "solarize",
  "color",
  "contrast",
  "brightness",
  "sharpness",
  "shear-x",
  "shear-y",
  "translate-x",
  "translate-y",
  "cutout",
  "solarize-add",
] as const satisfies readonly OperationName[];

const MAX_LEVEL = 30;
const layers = (fallback: number): Parameter => ({ name: "N", fallback, whole: true, min: 0, max: 16 });
const level = (fallback: number): Parameter => ({ name: "M", fallback, min: 0, max: MAX_LEVEL });

const sixteen = (count: number, at: number): Step => ({
  kind: "choose",
  operations: SIXTEEN,
  count,
  level: at,
  scale: "code",
  fill: GREY,
});

/** SimCLR's colours at strength s, as SupCon's code: 0.8 s, 0.8 s, 0.8 s, 0.2 s. */
const supconJitter = (strength: number): Step => ({
  kind: "jitter",
  brightness: 0.8 * strength,
  contrast: 0.8 * strength,
  saturation: 0.8 * strength,
  hue: 0.2 * strength,
  probability: 0.8,
});

const supconEnd: readonly Step[] = [
  { kind: "grayscale", probability: 0.2 },
  { kind: "warp", reach: 23, probability: 0.5 },
  { kind: "blur", sigma: [0.1, 2], probability: 0.5 },
];

const strength: Parameter = { name: "S", fallback: 0.5, min: 0, max: 2.5 };

/** AutoAugment's policy found on ImageNet (table 9 of arXiv 1805.09501); two operations each: name, probability, level. */
const IMAGENET: readonly (readonly (readonly [OperationName, number, number])[])[] = [
  [
    ["posterize", 0.4, 8],
    ["rotate", 0.6, 9],
  ],
  [
    ["solarize", 0.6, 5],
    ["autocontrast", 0.6, 5],
  ],
  [
    ["equalize", 0.8, 8],
    ["equalize", 0.6, 3],
  ],
  [
    ["posterize", 0.6, 7],
    ["posterize", 0.6, 6],
  ],
  [
    ["equalize", 0.4, 7],
    ["solarize", 0.2, 4],
  ],
  [
    ["equalize", 0.4, 4],
    ["rotate", 0.8, 8],
  ],
  [
    ["solarize", 0.6, 3],
    ["equalize", 0.6, 7],
  ],
  [
    ["posterize", 0.8, 5],
    ["equalize", 1, 2],
  ],
  [
    ["rotate", 0.2, 3],
    ["solarize", 0.6, 8],
  ],
  [
    ["equalize", 0.6, 8],
    ["posterize", 0.4, 6],
  ],
  [
    ["rotate", 0.8, 8],
    ["color", 0.4, 0],
  ],
  [
    ["rotate", 0.4, 9],
    ["equalize", 0.6, 2],
  ],
  [
    ["equalize", 0, 7],
    ["equalize", 0.8, 8],
  ],
  [
    ["invert", 0.6, 4],
    ["equalize", 1, 8],
  ],
  [
    ["color", 0.6, 4],
    ["contrast", 1, 8],
  ],
  [
    ["rotate", 0.8, 8],
    ["color", 1, 2],
  ],
  [
    ["color", 0.8, 8],
    ["solarize", 0.8, 7],
  ],
  [
    ["sharpness", 0.4, 7],
    ["invert", 0.6, 8],
  ],
  [
    ["shear-x", 0.6, 5],
    ["equalize", 1, 9],
  ],
  [
    ["color", 0.4, 0],
    ["equalize", 0.6, 3],
  ],
  [
    ["equalize", 0.4, 7],
    ["solarize", 0.2, 4],
  ],
  [
    ["solarize", 0.6, 5],
    ["autocontrast", 0.6, 5],
  ],
  [
    ["invert", 0.6, 4],
    ["equalize", 1, 8],
  ],
  [
    ["color", 0.6, 4],
    ["contrast", 1, 8],
  ],
  [
    ["equalize", 0.8, 8],
    ["equalize", 0.6, 3],
  ],
];

const records = {
  none: {
    doc: "Nearly the whole image, cut at random: what open_clip trains with.",
    source: "open_clip transform.py",
    parameters: [],
    make: () => ({ ...SHAPES, scale: [0.9, 1], flip: 0, steps: [] }),
  },
  "crop-flip": {
    doc: "Any part of the image from 8 % of its area on, half of them mirrored.",
    source: "torchvision RandomResizedCrop and RandomHorizontalFlip",
    parameters: [],
    make: () => ({ ...CROP_FLIP, steps: [] }),
  },
  randaugment: {
    doc: "crop-flip, then N of the paper's 14 operations at level M of AutoAugment's scale.",
    source: "RandAugment, arXiv 1909.13719; scale of arXiv 1805.09501, table 6",
    parameters: [layers(2), level(9)],
    make: ([count, at]) => ({
      ...CROP_FLIP,
      steps: [
        { kind: "choose", operations: FOURTEEN, count: count!, level: at!, scale: "autoaugment", fill: GREY },
      ],
    }),
  },
  "randaugment-16": {
    doc: "crop-flip, then N of the code's 16 operations at level M: with invert, cutout, solarize-add; no identity.",
    source: "big_vision pp/autoaugment.py distort_image_with_randaugment",
    parameters: [layers(2), level(10)],
    make: ([count, at]) => ({ ...CROP_FLIP, steps: [sixteen(count!, at!)] }),
  },
  simaugment: {
    doc: "crop-flip, colour jitter of strength S, grayscale, warp, blur.",
    source: "SupCon preprocessing.py _simclr_augment (arXiv 2004.11362)",
    parameters: [strength],
    make: ([s]) => ({ ...CROP_FLIP, steps: [supconJitter(s!), ...supconEnd] }),
  },
  "stacked-randaugment": {
    doc: "simaugment with randaugment-16 after its colour jitter: the code's order, the paper's prose has them turned round.",
    source: "SupCon preprocessing.py _stacked_simclr_randaugment (arXiv 2004.11362)",
    parameters: [layers(2), level(10), strength],
    make: ([count, at, s]) => ({
      ...CROP_FLIP,
      steps: [supconJitter(s!), sixteen(count!, at!), ...supconEnd],
    }),
  },
  simclr: {
    doc: "A view for self-supervision as SLIP draws two: crop-flip, colour jitter, grayscale, blur.",
    source: "SLIP main.py (arXiv 2112.12750)",
    parameters: [],
    make: () => ({
      ...CROP_FLIP,
      steps: [
        { kind: "jitter", brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, probability: 0.8 },
        { kind: "grayscale", probability: 0.2 },
        { kind: "blur", sigma: [0.1, 2], probability: 0.5 },
      ],
    }),
  },
  autoaugment: {
    doc: "crop-flip, then one of the 25 pairs of operations found for ImageNet.",
    source: "AutoAugment, arXiv 1805.09501, table 9",
    parameters: [],
    make: () => ({
      ...CROP_FLIP,
      steps: [{ kind: "sub-policy", lists: IMAGENET, scale: "autoaugment", fill: GREY }],
    }),
  },
  trivialaugment: {
    doc: "crop-flip, then one of 14 operations at any level of a wide scale.",
    source: "TrivialAugment, arXiv 2103.10158; torchvision TrivialAugmentWide",
    parameters: [],
    make: () => ({
      ...CROP_FLIP,
      steps: [{ kind: "choose", operations: FOURTEEN, count: 1, level: "any", scale: "wide", fill: BLACK }],
    }),
  },
} as const satisfies Readonly<Record<string, PolicyRecord>>;

/** What there is, for help and docs: name with its parameters, one line, source. */
export const policyList: readonly { readonly name: string; readonly doc: string; readonly source: string }[] =
  Object.entries<PolicyRecord>(records).map(([name, { doc, source, parameters }]) => ({
    name: parameters.length === 0 ? name : `${name}:${parameters.map((p) => p.fallback).join(",")}`,
    doc,
    source,
  }));

/** The names without parameters. */
export const policyNames: readonly string[] = Object.keys(records);

/**
 * The policy called `text`: a name of `policyNames`, perhaps with parameters, `randaugment:2,9` or `randaugment:3`.
 * Throws `UsageError` for an unknown name, with the nearest, and for parameters out of range.
 */
export function findPolicy(text: string): Policy {
  const [name = "", ...tail] = text.split(":");
  const record: PolicyRecord | undefined = Object.hasOwn(records, name)
    ? records[name as keyof typeof records]
    : undefined;
  if (record === undefined) {
    throw new UsageError(
      `augment: there is no such policy; got "${text}".${didYouMean(name, policyNames)} There are ${policyNames.join(", ")}.`,
    );
  }
  const { parameters } = record;
  const given = tail.length === 0 ? [] : tail.join(":").split(",");
  const form = parameters.length === 0 ? name : `${name}:${parameters.map((p) => p.name).join(",")}`;
  if (given.length > parameters.length) {
    throw new UsageError(
      `augment: ${name} takes ${parameters.length === 0 ? "no parameters" : `at most ${parameters.length}`}; got "${text}". Write ${form === name ? name : `${form} such as ${example(name, parameters)}`}.`,
    );
  }
  const values = parameters.map(({ name: letter, fallback, whole, min, max }, i) => {
    const word = given[i];
    if (word === undefined) return fallback;
    const value = word.trim() === "" ? Number.NaN : Number(word);
    if (!(value >= min && value <= max) || (whole === true && !Number.isInteger(value))) {
      throw new UsageError(
        `augment: ${letter} of ${form} is a ${whole === true ? "whole number" : "number"} ${min} … ${max}; got "${text}". Write ${example(name, parameters)}.`,
      );
    }
    return value;
  });
  return { name: values.length === 0 ? name : `${name}:${values.join(",")}`, ...record.make(values) };
}

const example = (name: string, parameters: readonly Parameter[]): string =>
  `${name}:${parameters.map(({ fallback }) => fallback).join(",")}`;
