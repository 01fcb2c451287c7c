/**
 * The paper's curves as they were read off its figures: ±0.3 points, ±0.7 at `~`. Where only the text was at hand (figures 1a, 12, 13b, 14b,
 * 15, 16, 18a, 18b, 20 to 27) there is no curve.
 */

import { curvesOf, type PaperCurve } from "./paper.js";

const [M, G] = [1e6, 1e9];
/** Pairs of the paper's nested subsets. */
const LADDER = [10 * M, 25 * M, 50 * M, 100 * M, 200 * M, 400 * M, 800 * M, G, 1.7 * G, 2.6 * G, 3.4 * G];
const RETRIEVAL_LADDER = [25 * M, 50 * M, 100 * M, 400 * M, G, 3.4 * G];

/** Multiply-adds of a sample's forward pass with the base text tower, 10⁹: from the places of figure 8b's points, or computed. */
const SIZES = { "ViT-Ti/16": 2.64, "ViT-S/16": 6.06, "ViT-B/32": 5.76, "ViT-B/16": 19.09, "ViT-L/16": 63.07 };
const ENCODERS = {
  "ResNet-50": 5.45,
  "Swin-T": 5.85,
  "ViT-B/32": 5.76,
  "ConvNeXt-T": 5.82,
  "Mixer-B/32": 4.6,
};
/** SLIP: twice CLIP, as the paper counts. FLIP: half of the patches. */
const STRATEGIES = { CLIP: 5.76, SLIP: 11.52, FLIP: 3.61, "CLIP + augmentation": 5.76 };

/** Figure 2: ViT-B/32, size of the set × passes over it. */
const quantity = curvesOf(
  { experiment: "data quantity", figure: "2", regime: "passes", over: "epochs" },
  [2, 4, 8, 16, 32],
  {
    "zero-shot": {
      "25M pairs": "90.8 81.9 72.8 69.9 69.7",
      "50M pairs": "81.4 69.4 60.1 57.3 57.4",
      "100M pairs": "67.9 57.4 50.2 48.1 47.8",
      "200M pairs": "57.4 48.6 44.2 42.3 41.8",
      "400M pairs": "47.8 43.6 40.4 39.7 38.7",
    },
    shifts: {
      "25M pairs": "93.3 86.7 79.7 77.5 76.7",
      "50M pairs": "86.3 76.6 69.8 67.2 67.0",
      "100M pairs": "75.8 67.2 61.4 59.3 58.3",
      "200M pairs": "67.0 59.5 55.6 53.4 52.8",
      "400M pairs": "59.0 54.7 51.4 50.3 49.5",
    },
  },
);

/** Figures 3 and 4. */
const quantityElsewhere = curvesOf(
  { experiment: "data quantity", figure: "3, 4", regime: "passes", over: "epochs" },
  [2, 4, 8, 16, 32],
  {
    "5-shot": {
      "25M pairs": "89.5 83.9 79.5 78.0 77.1",
      "50M pairs": "83.8 77.4 72.6 69.9 69.2",
      "100M pairs": "76.4 70.9 65.7 63.6 61.4",
      "200M pairs": "71.1 65.3 60.9 58.4 57.0",
      "400M pairs": "64.3 60.5 57.0 55.7 54.3",
    },
    "10-shot": {
      "25M pairs": "86.9 80.8 75.6 73.9 73.1",
      "50M pairs": "80.2 73.7 68.2 65.5 64.5",
      "100M pairs": "72.7 66.8 61.3 59.0 57.3",
      "200M pairs": "66.9 60.9 56.3 54.2 52.7",
      "400M pairs": "59.9 55.9 52.6 51.4 50.2",
    },
    "image → text": {
      "25M pairs": "93.6 85.9 81.2 85.0 84.8",
      "50M pairs": "85.0 77.3 71.9 73.0 76.1",
      "100M pairs": "74.9 69.3 65.2 64.5 66.6",
      "200M pairs": "66.8 61.2 58.5 58.5 58.5",
      "400M pairs": "59.6 57.7 54.5 54.4 54.0",
    },
    "text → image": {
      "25M pairs": "96.0 91.6 88.4 89.2 89.9",
      "50M pairs": "91.2 86.5 83.0 82.8 84.2",
      "100M pairs": "85.5 80.9 77.6 76.5 77.3",
      "200M pairs": "80.1 74.9 73.0 71.9 72.3",
      "400M pairs": "74.5 72.0 69.7 69.2 68.6",
    },
  },
);

/** Figures 5, 6 and 7: ViT-B/32 on the best pairs by image–text similarity, one pass. */
const qualityOnePass = curvesOf(
  { experiment: "data quality", figure: "5 to 7", regime: "one pass", over: "share" },
  [0.2, 0.4, 0.6, 0.8, 1],
  {
    "zero-shot": {
      "best by image–text similarity": "43.4 38.3 37.3 38.4 39.7",
    },
    "5-shot": {
      "best by image–text similarity": "59.7 55.4 54.7 55.4 56.6",
    },
    "10-shot": {
      "best by image–text similarity": "55.6 51.1 49.8 51.0 52.0",
    },
    "image → text": {
      "best by image–text similarity": "63.1 55.7 53.6 52.7 54.2",
    },
    "text → image": {
      "best by image–text similarity": "78.1 71.9 69.1 68.2 68.9",
    },
  },
);

/** Figures 5, 6 and 7: ViT-B/32 on the best pairs by image–text similarity, equal samples. */
const qualityEqualSamples = curvesOf(
  { experiment: "data quality", figure: "5 to 7", regime: "equal samples", over: "share" },
  [0.2, 0.4, 0.6, 0.8, 1],
  {
    "zero-shot": {
      "best by image–text similarity": "35.2 34.4 35.4 38.0 39.6",
    },
    "5-shot": {
      "best by image–text similarity": "49.5 50.3 52.3 55.3 56.6",
    },
    "10-shot": {
      "best by image–text similarity": "45.4 45.9 47.5 50.5 52.0",
    },
    "image → text": {
      "best by image–text similarity": "57.1 53.4 52.0 51.9 54.2",
    },
    "text → image": {
      "best by image–text similarity": "71.8 69.8 68.2 67.5 68.9",
    },
  },
);

/** Figure 8b: one pass over each set. */
const sizesOnePass = curvesOf(
  { experiment: "ViT sizes", figure: "8b", regime: "one pass", over: "pairs" },
  LADDER,
  {
    "zero-shot": {
      "ViT-Ti/16": "99.0 96.6 92.8 86.7 76.6 65.7 58.8 57.4 54.9 53.1 52.1",
      "ViT-S/16": "~99.0 95.9 89.9 80.0 67.3 55.3 49.0 48.3 46.7 43.7 41.9",
      "ViT-B/32": "99.8 96.6 90.6 82.0 68.4 55.8 47.7 46.4 44.7 41.8 39.7",
      "ViT-B/16": "99.8 96.3 88.8 76.6 61.4 49.4 42.5 40.9 37.3 35.3 34.3",
      "ViT-L/16": "99.8 98.6 92.8 86.4 66.5 44.9 37.0 35.3 32.1 29.9 28.6",
    },
  },
  SIZES,
);

/** Figure 11a and b: one pass. */
const sizesOnePassRetrieval = curvesOf(
  { experiment: "ViT sizes", figure: "11a, 11b", regime: "one pass", over: "pairs" },
  RETRIEVAL_LADDER,
  {
    "image → text": {
      "ViT-Ti/16": "97.7 94.8 88.9 72.0 66.4 62.3",
      "ViT-S/16": "96.9 92.0 83.1 65.2 60.0 53.6",
      "ViT-B/32": "98.1 93.2 85.2 65.6 58.8 54.2",
      "ViT-B/16": "97.5 91.1 80.0 61.4 54.4 48.7",
      "ViT-L/16": "99.4 94.8 89.1 60.0 52.0 47.2",
    },
    "text → image": {
      "ViT-Ti/16": "98.6 96.8 93.9 84.0 79.8 77.0",
      "ViT-S/16": "98.3 95.6 90.4 78.3 73.9 69.2",
      "ViT-B/32": "98.9 96.0 91.2 79.1 73.6 68.9",
      "ViT-B/16": "98.6 95.0 89.1 74.1 69.2 64.7",
      "ViT-L/16": "99.6 96.8 93.9 72.2 66.2 62.6",
    },
  },
  SIZES,
);

/** Figure 9: equal samples. */
const sizes = curvesOf(
  { experiment: "ViT sizes", figure: "9", regime: "equal samples", over: "pairs" },
  LADDER,
  {
    "zero-shot": {
      "ViT-Ti/16": "85.9 69.7 61.9 57.3 53.4 54.5 52.6 52.8 55.4 53.7 52.1",
      "ViT-S/16": "~79.5 62.8 53.6 46.4 43.9 43.0 41.4 41.7 41.9 43.0 41.7",
      "ViT-B/32": "85.5 67.3 56.6 47.4 42.4 40.5 40.3 40.1 40.6 40.1 39.7",
      "ViT-B/16": "80.1 59.2 52.6 42.2 36.9 35.1 34.3 34.1 34.4 34.5 34.3",
      "ViT-L/16": "83.9 61.5 47.0 40.0 32.6 29.4 28.6 28.1 28.4 28.8 28.5",
    },
    shifts: {
      "ViT-Ti/16": "~89.8 77.8 72.0 68.8 66.2 66.6 65.7 65.5 67.3 66.2 65.0",
      "ViT-S/16": "~84.9 70.8 62.8 57.0 54.9 54.1 52.6 52.8 52.8 53.6 53.0",
      "ViT-B/32": "~89.6 75.1 66.2 58.5 53.2 51.5 51.4 51.0 51.4 50.9 50.7",
      "ViT-B/16": "85.5 67.7 63.9 52.1 45.7 44.1 42.8 42.9 42.9 42.9 42.9",
      "ViT-L/16": "88.3 69.3 55.2 47.5 39.2 35.5 34.2 34.2 34.2 34.2 33.9",
    },
  },
  SIZES,
);

/** Figure 10: equal samples. */
const sizesProbed = curvesOf(
  { experiment: "ViT sizes", figure: "10", regime: "equal samples", over: "pairs" },
  LADDER,
  {
    "linear probe": {
      "ViT-Ti/16": "58.5 ~46.1 44.0 43.3 43.1 42.9 43.1 42.7 43.5 42.9 43.1",
      "ViT-S/16": "49.8 39.5 34.3 31.9 ~30.9 30.8 30.2 30.1 30.1 30.4 30.2",
      "ViT-B/32": "61.4 46.4 40.7 34.0 30.9 29.8 29.4 29.7 29.4 29.6 29.2",
      "ViT-B/16": "52.9 38.0 35.4 28.4 25.4 24.5 23.9 23.8 24.1 24.2 23.9",
      "ViT-L/16": "63.0 41.8 31.9 28.8 23.3 20.9 20.4 20.5 20.5 20.5 20.4",
    },
    "linear probe on shifts": {
      "ViT-Ti/16": "81.9 73.8 71.7 71.0 70.4 70.4 70.4 70.1 70.7 70.5 70.4",
      "ViT-S/16": "77.1 67.9 63.2 60.5 ~59.6 59.3 58.7 58.9 58.7 59.0 58.7",
      "ViT-B/32": "82.4 72.4 66.9 61.9 59.1 57.9 57.9 57.9 57.6 57.9 57.8",
      "ViT-B/16": "78.6 65.8 64.5 57.0 52.9 51.9 51.4 51.0 51.4 51.5 51.3",
      "ViT-L/16": "83.3 67.5 59.5 52.3 47.4 45.4 44.8 44.6 45.0 45.1 44.6",
    },
  },
  SIZES,
);

/** Figure 11c, 11d: equal samples. */
const sizesRetrieval = curvesOf(
  { experiment: "ViT sizes", figure: "11c, 11d", regime: "equal samples", over: "pairs" },
  LADDER,
  {
    "image → text": {
      "ViT-Ti/16": "95.2 86.0 79.4 71.2 64.4 67.6 63.0 62.9 68.2 63.9 62.4",
      "ViT-S/16": "~92.0 80.3 71.7 ~63.8 ~59.0 55.3 52.9 53.3 ~54.6 ~53.9 53.6",
      "ViT-B/32": "94.7 83.0 75.1 66.9 58.3 54.9 54.8 54.2 54.3 53.5 54.2",
      "ViT-B/16": "90.9 77.1 72.8 63.2 54.0 51.2 50.3 50.0 49.3 50.6 48.7",
      "ViT-L/16": "92.5 78.0 64.2 64.8 54.6 50.0 47.5 48.2 47.8 48.0 47.2",
    },
    "text → image": {
      "ViT-Ti/16": "96.5 89.8 85.5 81.1 78.2 79.9 77.1 77.6 79.3 77.9 77.1",
      "ViT-S/16": "~94.2 ~85.4 80.8 75.7 ~71.8 70.5 69.0 ~69.2 69.9 69.8 ~69.3",
      "ViT-B/32": "96.0 89.1 84.1 ~77.0 71.7 69.6 69.3 68.9 69.4 68.9 69.0",
      "ViT-B/16": "93.9 84.9 81.5 73.8 ~67.5 65.7 64.7 64.5 64.7 65.2 64.7",
      "ViT-L/16": "95.2 86.2 76.5 77.2 67.8 64.0 63.0 62.9 61.8 62.5 62.7",
    },
  },
  SIZES,
);

/** Figure 13a: equal samples. */
const encoders = curvesOf(
  { experiment: "encoders", figure: "13a", regime: "equal samples", over: "pairs" },
  LADDER,
  {
    "zero-shot": {
      "ResNet-50": "83.0 67.8 58.3 52.1 ~47.9 ~46.6 46.2 45.6 46.0 45.2 45.4",
      "Swin-T": "81.5 64.5 54.7 ~48.5 49.0 42.7 42.6 41.9 ~43.0 44.7 44.5",
      "ViT-B/32": "85.2 67.8 57.2 47.7 42.5 40.6 40.5 40.3 40.8 40.3 39.7",
      "ConvNeXt-T": "87.1 65.3 56.2 48.8 47.6 46.7 42.1 42.1 42.2 41.8 41.6",
      "Mixer-B/32": "90.8 76.0 62.4 52.1 46.0 44.4 44.1 43.8 43.1 43.5 44.2",
    },
  },
  ENCODERS,
);

/** Figure 14a: its caption says equal samples, but its axis and its values are those of one pass. */
const encodersProbed = curvesOf(
  { experiment: "encoders", figure: "14a", regime: "one pass", over: "pairs" },
  LADDER,
  {
    "linear probe": {
      "ResNet-50": "87.6 63.4 54.4 47.5 ~42.8 39.7 36.3 35.1 ~32.9 ~31.9 31.3",
      "Swin-T": "89.2 ~73.0 60.9 51.7 ~43.4 ~38.2 33.2 32.7 30.7 ~28.9 ~28.1",
      "ViT-B/32": "97.9 77.9 65.2 52.9 43.1 35.4 30.8 30.2 29.3 28.4 27.7",
      "ConvNeXt-T": "91.2 80.7 69.8 ~58.5 46.3 38.2 33.0 31.6 30.0 29.5 28.4",
      "Mixer-B/32": "81.9 73.0 66.1 58.2 49.7 43.2 37.7 36.7 33.3 31.9 32.3",
    },
  },
  ENCODERS,
);

/** Figure 1b: ViT-B/32, 30 passes. */
const augmentation = curvesOf(
  { experiment: "augmentation", figure: "1b", regime: "passes", over: "pairs" },
  LADDER.slice(0, 4),
  {
    "zero-shot": {
      "no augmentation": "85.6 69.8 57.6 47.8",
      "crop and flip": "78.9 65.5 50.5 44.3",
      RandAugment: "76.4 60.3 49.1 43.0",
      "Stacked RandAugment": "76.0 59.2 48.8 42.9",
    },
  },
);

/** Figure 17: ViT-B/32, equal samples. */
const strategies = curvesOf(
  { experiment: "strategies", figure: "17", regime: "equal samples", over: "pairs" },
  LADDER,
  {
    "zero-shot": {
      SLIP: "74.4 ~59.3 50.6 44.6 ~41.2 ~40.3 39.8 ~40.0 39.4 39.4 ~39.6",
      CLIP: "85.3 67.3 56.7 47.5 42.5 ~40.5 ~40.3 40.1 ~40.6 ~40.2 39.6",
      "CLIP + augmentation": "78.9 60.0 47.8 42.4 40.4 40.1 ~40.3 39.7 ~40.0 39.8 40.0",
      FLIP: "89.5 68.9 53.9 46.0 42.0 41.2 40.7 40.4 40.6 40.5 40.6",
    },
    shifts: {
      SLIP: "82.5 71.5 65.5 60.3 57.8 57.2 56.6 56.6 56.4 56.1 56.4",
      CLIP: "90.3 77.6 ~69.5 62.0 56.8 55.4 55.0 54.7 55.0 54.7 54.4",
      "CLIP + augmentation": "83.3 69.9 60.1 55.5 53.9 53.9 53.9 53.5 53.4 53.7 53.6",
      FLIP: "93.1 80.7 69.4 62.5 59.3 58.3 57.8 57.5 57.8 57.8 57.8",
    },
  },
  STRATEGIES,
);

/** Figure 19: ViT-B/32, equal samples. */
const strategiesProbed = curvesOf(
  { experiment: "strategies", figure: "19", regime: "equal samples", over: "pairs" },
  LADDER,
  {
    "linear probe": {
      SLIP: "35.4 31.9 29.3 ~27.3 26.4 26.5 26.3 26.5 26.2 26.3 25.9",
      CLIP: "~61.5 46.4 40.6 34.1 30.8 29.8 ~29.4 29.7 ~29.4 ~29.5 ~29.1",
      "CLIP + augmentation": "37.8 30.1 28.0 27.1 27.2 27.1 27.2 27.1 27.2 27.1 27.0",
      FLIP: "61.6 43.9 35.1 31.4 29.9 29.5 29.3 29.2 29.3 29.5 29.3",
    },
    "linear probe on shifts": {
      SLIP: "68.5 64.5 61.5 59.4 58.5 ~58.4 ~57.9 58.3 58.2 ~58.0 ~58.0",
      CLIP: "82.7 72.3 67.0 61.8 59.1 57.9 57.8 57.9 57.6 57.8 57.7",
      "CLIP + augmentation": "67.2 60.2 57.3 56.0 55.5 55.6 55.6 55.5 55.7 55.4 55.2",
      FLIP: "84.2 73.5 66.5 62.7 61.2 60.7 60.3 60.5 60.4 60.4 60.5",
    },
  },
  STRATEGIES,
);

/** Figure 18c, 18d: ViT-B/32, equal samples. */
const strategiesRetrieval = curvesOf(
  { experiment: "strategies", figure: "18c, 18d", regime: "equal samples", over: "pairs" },
  LADDER,
  {
    "image → text": {
      SLIP: "87.8 77.4 69.6 ~60.0 54.4 52.6 52.4 52.2 51.2 51.7 51.9",
      CLIP: "94.6 83.0 ~75.2 66.7 58.2 ~54.8 ~54.8 ~54.2 ~54.2 53.4 ~54.2",
      "CLIP + augmentation": "93.1 82.2 68.6 59.8 ~57.2 ~55.4 54.8 54.1 53.9 ~54.5 54.1",
      FLIP: "97.0 87.4 75.0 63.7 57.5 55.7 55.1 54.5 55.1 54.3 54.5",
    },
    "text → image": {
      SLIP: "92.2 85.5 80.3 73.3 69.8 68.5 68.6 68.3 68.1 67.7 68.2",
      CLIP: "96.0 89.1 84.1 77.1 ~71.7 69.6 69.3 68.9 69.3 68.9 68.9",
      "CLIP + augmentation": "95.1 87.0 78.2 73.8 71.3 ~70.0 70.4 ~69.8 69.9 69.7 ~69.8",
      FLIP: "97.5 91.4 83.2 75.6 72.0 70.2 70.1 70.0 70.4 70.2 70.0",
    },
  },
  STRATEGIES,
);

/** Every curve that could be read. */
export const paperCurves: readonly PaperCurve[] = [
  ...quantity,
  ...quantityElsewhere,
  ...qualityOnePass,
  ...qualityEqualSamples,
  ...sizesOnePass,
  ...sizesOnePassRetrieval,
  ...sizes,
  ...sizesProbed,
  ...sizesRetrieval,
  ...encoders,
  ...encodersProbed,
  ...augmentation,
  ...strategies,
  ...strategiesProbed,
  ...strategiesRetrieval,
];
