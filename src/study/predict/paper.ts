/**
 * Runs of "Scaling (Down) CLIP" (Li, Xie, Cubuk 2024, arXiv 2404.08197), read off its figures: zero-shot errors on ImageNet, per cent,
 * within about 0.3 points (0.7 where markers hide each other). What a plan knows before anybody has run anything.
 */

import type { Terms } from "./terms.js";

export interface PaperRun extends Terms {
  /** Per cent. */
  readonly error: number;
  readonly figure: string;
}

/** Pairs of the subsets, 10⁶; the whole set, and what every run of equal samples saw, is the last. */
const SIZES = [10, 25, 50, 100, 200, 400, 800, 1000, 1700, 2600, 3400] as const;
const ALL = 3.4e9;
/** Classes of ImageNet. */
const CLASSES = 1000;

/** Multiply-adds of a pair, 10⁹, both towers: the places of figure 8b on its axis of compute. */
const vits = {
  "Ti/16": {
    gmacs: 2.64,
    onePass: [99, 96.6, 92.8, 86.7, 76.6, 65.7, 58.8, 57.4, 54.9, 53.1, 52.1],
    equal: [85.9, 69.7, 61.9, 57.3, 53.4, 54.5, 52.6, 52.8, 55.4, 53.7, 52.1],
  },
  "S/16": {
    gmacs: 6.06,
    onePass: [99, 95.9, 89.9, 80, 67.3, 55.3, 49, 48.3, 46.7, 43.7, 41.9],
    equal: [79.5, 62.8, 53.6, 46.4, 43.9, 43, 41.4, 41.7, 41.9, 43, 41.7],
  },
  "B/32": {
    gmacs: 5.76,
    onePass: [99.8, 96.6, 90.6, 82, 68.4, 55.8, 47.7, 46.4, 44.7, 41.8, 39.7],
    equal: [85.5, 67.3, 56.6, 47.4, 42.4, 40.5, 40.3, 40.1, 40.6, 40.1, 39.7],
  },
  "B/16": {
    gmacs: 19.09,
    onePass: [99.8, 96.3, 88.8, 76.6, 61.4, 49.4, 42.5, 40.9, 37.3, 35.3, 34.3],
    equal: [80.1, 59.2, 52.6, 42.2, 36.9, 35.1, 34.3, 34.1, 34.4, 34.5, 34.3],
  },
  "L/16": {
    gmacs: 63.07,
    onePass: [99.8, 98.6, 92.8, 86.4, 66.5, 44.9, 37, 35.3, 32.1, 29.9, 28.6],
    equal: [83.9, 61.5, 47, 40, 32.6, 29.4, 28.6, 28.1, 28.4, 28.8, 28.5],
  },
} as const;

/** Figure 13a, equal samples; multiply-adds computed from shapes. */
const families = [
  ["resnet", 5.45, [83, 67.8, 58.3, 52.1, 47.9, 46.6, 46.2, 45.6, 46, 45.2, 45.4]],
  ["swin", 5.85, [81.5, 64.5, 54.7, 48.5, 49, 42.7, 42.6, 41.9, 43, 44.7, 44.5]],
  ["convnext", 5.82, [87.1, 65.3, 56.2, 48.8, 47.6, 46.7, 42.1, 42.1, 42.2, 41.8, 41.6]],
  ["mixer", 4.6, [90.8, 76, 62.4, 52.1, 46, 44.4, 44.1, 43.8, 43.1, 43.5, 44.2]],
] as const;

/** Figures 16 to 19, ViT-B/32 at equal samples. */
const strategies = [
  ["slip", [74.4, 59.3, 50.6, 44.6, 41.2, 40.3, 39.8, 40, 39.4, 39.4, 39.6]],
  ["clip-aug", [78.9, 60, 47.8, 42.4, 40.4, 40.1, 40.3, 39.7, 40, 39.8, 40]],
  ["flip", [89.5, 68.9, 53.9, 46, 42, 41.2, 40.7, 40.4, 40.6, 40.5, 40.6]],
] as const;

/** Figure 2a: ViT-B/32 by pairs (10⁶) after 2, 4, 8, 16 and 32 passes. */
const passes = [
  [25, [90.8, 81.9, 72.8, 69.9, 69.7]],
  [50, [81.4, 69.4, 60.1, 57.3, 57.4]],
  [100, [67.9, 57.4, 50.2, 48.1, 47.8]],
  [200, [57.4, 48.6, 44.2, 42.3, 41.8]],
  [400, [47.8, 43.6, 40.4, 39.7, 38.7]],
] as const;

/** Figure 1b: accuracies of ViT-B/32 after 30 passes over 10, 25, 50 and 100 million pairs. */
const augmented = [
  ["clip", [14.4, 30.2, 42.4, 52.2]],
  ["clip-aug", [24, 40.8, 51.2, 57.1]],
] as const;

const B32 = { gmacsPerPair: vits["B/32"].gmacs, family: "vit", chance: 1 / CLASSES } as const;

export const paperRuns: readonly PaperRun[] = [
  ...Object.values(vits).flatMap(({ gmacs, onePass, equal }) =>
    SIZES.flatMap((millions, at): PaperRun[] => {
      const of = { ...B32, gmacsPerPair: gmacs, strategy: "clip", unique: millions * 1e6 } as const;
      return [
        { ...of, samples: millions * 1e6, error: onePass[at]!, figure: "8b" },
        { ...of, samples: ALL, error: equal[at]!, figure: "9a" },
      ];
    }),
  ),
  ...families.flatMap(([family, gmacsPerPair, errors]) =>
    errors.map((error, at): PaperRun => {
      const spent = { unique: SIZES[at]! * 1e6, samples: ALL };
      return { ...B32, ...spent, family, gmacsPerPair, strategy: "clip", error, figure: "13a" };
    }),
  ),
  ...strategies.flatMap(([strategy, errors]) =>
    errors.map((error, at): PaperRun => {
      const spent = { unique: SIZES[at]! * 1e6, samples: ALL };
      return { ...B32, ...spent, strategy, error, figure: "17a" };
    }),
  ),
  ...passes.flatMap(([millions, errors]) =>
    errors.map((error, at): PaperRun => {
      const unique = millions * 1e6;
      return { ...B32, strategy: "clip", unique, samples: unique * 2 ** (at + 1), error, figure: "2a" };
    }),
  ),
  ...augmented.flatMap(([strategy, accuracies]) =>
    accuracies.map((accuracy, at): PaperRun => {
      const unique = SIZES[at]! * 1e6;
      const spent = { unique, samples: 30 * unique };
      return { ...B32, ...spent, strategy, error: 100 - accuracy, figure: "1b" };
    }),
  ),
];
