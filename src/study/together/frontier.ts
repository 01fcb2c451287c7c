/** What is worth its multiply-adds among all combinations that share a score, as far as it is more than noise. */

import { normalQuantile } from "../../evaluate/statistics/distributions.js";
import type { Metric } from "../../evaluate/tasks/task.js";
import { frontier } from "../laws/crossing.js";
import { type Combination, type Gap, gapOf, LIKE_COST, type SharedScore, turned } from "./shared.js";

/** A combination that no other beats for as few multiply-adds, or at a like cost. */
export interface FrontierPoint {
  readonly combination: Combination;
  /** Better than guessing, and than the last step before it: their intervals do not overlap. */
  readonly isStep: boolean;
  /** The last step before it, and by how much this one is better (not paired). */
  readonly before: { readonly combination: Combination; readonly gap: Gap } | undefined;
  /** Whether its interval, made wider for as many looks as there are combinations (Bonferroni), reaches down to what guessing gives. */
  readonly guessing: boolean;
  /** Others that cost no more, or alike, and whose intervals overlap with its own, the best first. */
  readonly rivals: readonly Combination[];
}

/** The frontier by ascending multiply-adds, through means, and which of its points are steps beyond noise. */
export function frontierPoints({ metric, combinations }: SharedScore): readonly FrontierPoint[] {
  const through = frontier(
    combinations.map((one) => ({ one, cost: one.cell.gmacs, score: turned(metric, one.score).value })),
  ).map(({ one }) => one);
  // Of two at a like cost the better one, counted from the dearest.
  const best: Combination[] = [];
  for (const one of through.toReversed())
    if (best[0] === undefined || !costsNoMore(best[0], one)) best.unshift(one);
  const points: FrontierPoint[] = [];
  let last: Combination | undefined;
  for (const combination of best) {
    const guessing = isGuessing(metric, combination, combinations.length);
    const isStep = !guessing && (last === undefined || !overlap(metric, combination, last));
    points.push({
      combination,
      isStep,
      before: last && { combination: last, gap: gapOf(metric, combination.score, last.score) },
      guessing,
      rivals: rivalsOf(metric, combination, combinations).filter((one) => costsNoMore(one, combination)),
    });
    if (isStep) last = combination;
  }
  return points;
}

/** Whether the one costs less than the other, or alike. */
const costsNoMore = (one: Combination, other: Combination): boolean =>
  one.cell.gmacs <= LIKE_COST * other.cell.gmacs;

/** Standard errors in half of an interval of 95 %. */
const HALF_WIDTH = normalQuantile(0.975);

function isGuessing(metric: Metric, { score }: Combination, looks: number): boolean {
  if (score.chance === undefined) return false;
  const { value, low } = turned(metric, score);
  const wider = normalQuantile(1 - 0.025 / looks) / HALF_WIDTH;
  return value - wider * (value - low) <= (metric.better === "higher" ? 1 : -1) * score.chance;
}

function overlap(metric: Metric, first: Combination, second: Combination): boolean {
  const [a, b] = [turned(metric, first.score), turned(metric, second.score)];
  return a.low <= b.high && b.low <= a.high;
}

/** Others whose intervals overlap with this one's, the best first. */
const rivalsOf = (metric: Metric, own: Combination, all: readonly Combination[]): readonly Combination[] =>
  all
    .filter((one) => one !== own && overlap(metric, own, one))
    .sort((a, b) => turned(metric, b.score).value - turned(metric, a.score).value);

/** What is lucky in being the best of many. */
export interface Luck {
  readonly best: Combination;
  /** Others whose intervals overlap with the best one's. */
  readonly rivals: readonly Combination[];
  /**
   * How far the best of these would lie above its true score by chance alone, were they all equally good: their standard error times
   * the expected largest of as many standard normal numbers (Blom 1958: Φ⁻¹((m − 0.375)/(m + 0.25))). In the score's unit.
   */
  readonly excess: number;
}

/** The best of all combinations, and how much of its lead over those like it may be luck. */
export function luckOf({ metric, combinations }: SharedScore): Luck {
  const value = ({ score }: Combination): number => turned(metric, score).value;
  const best = combinations.reduce((a, b) => (value(b) > value(a) ? b : a));
  const rivals = rivalsOf(metric, best, combinations);
  const alike = [best, ...rivals];
  const error =
    alike.reduce((sum, { score }) => sum + (score.high - score.low) / 2, 0) / alike.length / HALF_WIDTH;
  const largest = normalQuantile((alike.length - 0.375) / (alike.length + 0.25));
  return { best, rivals, excess: alike.length === 1 ? 0 : error * largest };
}
