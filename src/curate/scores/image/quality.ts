/** Faulty pictures, by CleanVision's scores and thresholds, each of one picture by itself. */

import type { ImageMeasures } from "../../../data/pixels/measure.js";
import type { PictureFamily, ScoreColumn } from "../score.js";

/** A fault: its score, 0 … 1 with low the worse, and below which score it is one. */
interface Fault {
  readonly name: string;
  /** Completes “The picture is …”. */
  readonly words: string;
  readonly formula: string;
  readonly threshold: number;
  readonly score: (measures: ImageMeasures, width: number, height: number) => number;
}

/** 1 - exp(-x/100): 0 for 0, near 1 for some hundreds. */
const saturated = (x: number): number => 1 - Math.exp(-0.01 * x);
/** Below it the histogram's spread tells nothing of blur. */
const LEAST_SPREAD = 0.18;

function sharpness({ edges, histogramSpread }: ImageMeasures): number {
  const spread = saturated(histogramSpread);
  return Math.min(1, saturated(edges) + (spread > LEAST_SPREAD ? spread : 0));
}

const faults: readonly Fault[] = [
  {
    name: "dark",
    words: "dark",
    formula: "99th percentile of the brightness",
    threshold: 0.32,
    score: ({ brightness }) => brightness.p99,
  },
  {
    name: "light",
    words: "overexposed",
    formula: "1 - 5th percentile of the brightness",
    threshold: 0.05,
    score: ({ brightness }) => 1 - brightness.p5,
  },
  {
    name: "odd_aspect_ratio",
    words: "very wide or very high",
    formula: "shorter side / longer side",
    threshold: 0.35,
    score: (_, width, height) => Math.min(width / height, height / width),
  },
  {
    name: "low_information",
    words: "nearly empty",
    formula: "entropy / 10 bits, at most 1",
    threshold: 0.3,
    score: ({ entropy }) => Math.min(1, 0.1 * entropy),
  },
  {
    name: "blurry",
    words: "blurred",
    formula:
      "(1 - exp(-σ(edges)/100)) + (1 - exp(-σ(grey histogram)/100), 0 up to 0.18), at most 1, at 64 pixels",
    threshold: 0.29,
    score: sharpness,
  },
];

const columnsOf = ({ name, words, formula, threshold }: Fault): ScoreColumn[] => [
  {
    name: `${name}_score`,
    kind: "number",
    better: "higher",
    about: `Low where the picture is ${words}: ${formula}; 0 … 1.`,
  },
  {
    name: `is_${name}_issue`,
    kind: "flag",
    better: "lower",
    about: `The picture is ${words}: its score is below ${threshold}.`,
  },
];

/** Brightness between the 1st and 99th percentile of a picture on which nothing is to be seen. */
const BLANK = 0.02;

export const qualityFamily: PictureFamily = {
  name: "quality",
  about: "Pictures that are dark, overexposed, blurred, blank, nearly empty, grey or oddly shaped.",
  how:
    "Of the whole picture on white, of more than 2²⁰ pixels those of a grid; blur at 64 pixels. Brightness is √(0.241 R² + 0.691 G² + 0.068 B²) / 255. " +
    "A grey picture is one whose channels are equal; CleanVision goes by the file's mode instead.",
  source: "CleanVision 0.3.7, its names and thresholds; Hasler and Süsstrunk 2003 for colorfulness",
  over: "picture",
  byDefault: true,
  columns: [
    ...faults.flatMap(columnsOf),
    { name: "is_grayscale_issue", kind: "flag", about: "All pixels are grey." },
    {
      name: "is_blank",
      kind: "flag",
      better: "lower",
      about: `One plane of colour: brightness differs by less than ${BLANK} between the 1st and 99th percentile.`,
      source: "Clipwright",
    },
    {
      name: "colorfulness",
      kind: "number",
      about: "Of the colours' spread and mean: 0 grey, 15 slightly, 45 quite, 109 extremely colourful.",
      source: "Hasler and Süsstrunk, Measuring colourfulness in natural images (2003)",
    },
  ],
  score({ picture }) {
    if (picture?.measured === undefined) return {};
    const { width, height, measured } = picture;
    const scores = faults.map((fault) => [fault, fault.score(measured, width, height)] as const);
    return {
      ...Object.fromEntries(
        scores.flatMap(([{ name, threshold }, score]) => [
          [`${name}_score`, score],
          [`is_${name}_issue`, score < threshold],
        ]),
      ),
      is_grayscale_issue: measured.grey,
      is_blank: measured.brightness.p99 - measured.brightness.p1 < BLANK,
      colorfulness: measured.colorfulness,
    };
  },
};
