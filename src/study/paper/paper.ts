/**
 * What "Scaling (Down) CLIP" (Li, Xie, Cubuk 2024, arXiv 2404.08197) found, to be held against one's own runs: its curves, read off its
 * figures, and what it says of them.
 */

import { InternalError } from "../../core/errors.js";

/** The paper's experiments, as far as their figures could be read. */
export type PaperExperiment =
  | "data quantity"
  | "data quality"
  | "ViT sizes"
  | "encoders"
  | "augmentation"
  | "strategies";

/** All are errors in percent: 100 less accuracy, or less R@1. Shifts: the mean of six variants of ImageNet. */
export type PaperMetric =
  | "zero-shot"
  | "shifts"
  | "5-shot"
  | "10-shot"
  | "linear probe"
  | "linear probe on shifts"
  | "image → text"
  | "text → image";

/** `equal samples`: 3.4 · 10⁹ for every set; `passes`: as many as x or the figure says. */
export type PaperRegime = "one pass" | "equal samples" | "passes";

export interface PaperPoint {
  readonly x: number;
  /** Error, %. */
  readonly y: number;
  /** How far off the reading may be, in points of percent: 0.3, or 0.7 where the marker is partly hidden. */
  readonly readOff: number;
}

/** One line of a figure. */
export interface PaperCurve {
  readonly experiment: PaperExperiment;
  /** The paper's number. */
  readonly figure: string;
  readonly regime: PaperRegime;
  readonly metric: PaperMetric;
  /** What `x` counts: different pairs of the set, passes over it, or the share of best pairs that is kept. */
  readonly over: "pairs" | "epochs" | "share";
  /** What the line is of: an encoder, a strategy, a size of the set … */
  readonly level: string;
  /** Multiply-adds of a sample's forward pass, both towers, 10⁹; where the level says it. */
  readonly gmacs?: number;
  readonly points: readonly PaperPoint[];
}

/** A statement about an experiment. */
export interface PaperFact {
  readonly experiment: PaperExperiment;
  readonly text: string;
  /** `text`: the paper says so; `figure`: read off its figures, which say it where the text does not or says otherwise. */
  readonly by: "text" | "figure";
}

/** Where the numbers of the paper are from. */
export const paperSource = {
  title: "Scaling (Down) CLIP: A Comprehensive Analysis of Data, Architecture, and Training Strategies",
  authors: "Zichao Li, Cihang Xie, Ekin Dogus Cubuk",
  year: 2024,
  address: "https://arxiv.org/abs/2404.08197",
  /** Pairs of the whole set, English WebLI, and the most samples that a run sees. */
  pairs: 3.4e9,
} as const;

/** What every line of a figure has in common. */
export type CurveHead = Omit<PaperCurve, "level" | "points" | "gmacs" | "metric">;

/**
 * The lines of a figure out of rows of errors as they were read off, one a place on the x axis; `~` stands before a marker that is
 * partly hidden.
 */
export function curvesOf(
  head: CurveHead,
  places: readonly number[],
  metrics: Readonly<Partial<Record<PaperMetric, Readonly<Record<string, string>>>>>,
  gmacs: Readonly<Record<string, number>> = {},
): readonly PaperCurve[] {
  return Object.entries(metrics).flatMap(([metric, rows]) =>
    Object.entries(rows).map(([level, row]): PaperCurve => {
      const read = row.trim().split(/\s+/);
      if (read.length !== places.length)
        throw new InternalError(`${head.figure}, ${level}: ${places.length} values; got ${read.length}`);
      const points = read.map((text, at) => {
        const hidden = text.startsWith("~");
        return { x: places[at]!, y: Number(hidden ? text.slice(1) : text), readOff: hidden ? 0.7 : 0.3 };
      });
      const cost = gmacs[level];
      return {
        ...head,
        metric: metric as PaperMetric,
        level,
        points,
        ...(cost !== undefined && { gmacs: cost }),
      };
    }),
  );
}
