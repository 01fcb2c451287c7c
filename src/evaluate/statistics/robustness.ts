/**
 * Robustness beyond what accuracy alone would give (Taori et al. 2020; Miller et al. 2021): over a family of models,
 * logit(accuracy on shifted data) is close to a line in logit(accuracy on the reference). A model's effective robustness is
 * how far it lies above the family's line.
 */

import { UsageError } from "../../core/errors.js";
import { foldIn, type Key, keyFromSeed, Random } from "../../core/random.js";

/** Accuracies (0…1) of one model, on `n` and `shiftedN` items. */
export interface ShiftPoint {
  readonly reference: number;
  readonly shifted: number;
  readonly n: number;
  readonly shiftedN: number;
}

export interface BaselineLine {
  /** logit(shifted) = intercept + slope · logit(reference). */
  readonly intercept: number;
  readonly slope: number;
  /** Share of the variance of logit(shifted) that the line explains. */
  readonly r2: number;
  readonly models: number;
  /** Lines through models drawn anew, for the band. */
  readonly redrawn: readonly { readonly intercept: number; readonly slope: number }[];
}

export interface EffectiveRobustness {
  /** Accuracy above the line's, in 0…1, and its 95 % interval over the models that drew the line. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

const FEWEST_MODELS = 5;
const NARROWEST = 0.1;

/**
 * The line through at least five baseline models whose reference accuracies span ten points, by least squares on logits;
 * refused otherwise, since any line would do. Accuracies are kept half an item away from 0 and 1.
 */
export function baselineLine(
  points: readonly ShiftPoint[],
  { resamples = 1000, key = keyFromSeed(0) }: { resamples?: number; key?: Key } = {},
): BaselineLine {
  const references = points.map((p) => p.reference);
  const span = points.length === 0 ? 0 : Math.max(...references) - Math.min(...references);
  if (points.length < FEWEST_MODELS || span < NARROWEST) {
    throw new UsageError(
      `effective robustness: the baseline needs ${FEWEST_MODELS} models that span ${100 * NARROWEST} points of reference accuracy; got ${points.length} that span ${(100 * span).toFixed(1)}. Evaluate more runs, e.g. of several sizes of data.`,
    );
  }
  const xy = points.map((p) => [logit(p.reference, p.n), logit(p.shifted, p.shiftedN)] as const);
  const line = leastSquares(xy)!;
  const mean = xy.reduce((sum, [, y]) => sum + y, 0) / xy.length;
  const total = xy.reduce((sum, [, y]) => sum + (y - mean) ** 2, 0);
  const left = xy.reduce((sum, [x, y]) => sum + (y - line.intercept - line.slope * x) ** 2, 0);
  const random = new Random(foldIn(key, "baseline"));
  const redrawn: { intercept: number; slope: number }[] = [];
  // A draw of one model alone has no line; it is drawn again.
  while (redrawn.length < resamples) {
    const again = leastSquares(xy.map(() => xy[random.integer(xy.length)]!));
    if (again !== undefined) redrawn.push(again);
  }
  return { ...line, r2: total === 0 ? 1 : 1 - left / total, models: points.length, redrawn };
}

/** How far above the baseline's line a model's shifted accuracy lies. */
export function effectiveRobustness(point: ShiftPoint, line: BaselineLine): EffectiveRobustness {
  const x = logit(point.reference, point.n);
  const above = (l: { intercept: number; slope: number }): number =>
    point.shifted - 1 / (1 + Math.exp(-(l.intercept + l.slope * x)));
  const draws = line.redrawn.map(above).sort((a, b) => a - b);
  const at = (q: number): number => draws[Math.round(q * (draws.length - 1))]!;
  return { value: above(line), low: at(0.025), high: at(0.975) };
}

function logit(accuracy: number, n: number): number {
  const p = Math.min(1 - 0.5 / n, Math.max(0.5 / n, accuracy));
  return Math.log(p / (1 - p));
}

function leastSquares(
  xy: readonly (readonly [number, number])[],
): { intercept: number; slope: number } | undefined {
  const mx = xy.reduce((sum, [x]) => sum + x, 0) / xy.length;
  const my = xy.reduce((sum, [, y]) => sum + y, 0) / xy.length;
  const sxx = xy.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  if (sxx < 1e-12) return undefined;
  const slope = xy.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx;
  return { intercept: my - slope * mx, slope };
}
