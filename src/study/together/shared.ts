/** Several studies seen together: the scores that they share, and every combination that has them. */

import { UsageError } from "../../core/errors.js";
import type { Interval } from "../../evaluate/statistics/bootstrap.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import type { Metric } from "../../evaluate/tasks/task.js";
import type { Findings, FoundCell, FoundScore, Levels } from "../answer/findings.js";

/** A combination of a study's levels, with one of its scores. */
export interface Combination {
  readonly study: string;
  readonly cell: FoundCell;
  readonly score: FoundScore;
  /** Where other studies have the same runs: their names. Such runs are one combination. */
  readonly also: readonly string[];
}

/** A score that decides at least one study, with everything that has it: the same set, metric and number of items. */
export interface SharedScore {
  readonly set: string;
  readonly metric: Metric;
  readonly items: number;
  /** Those that have it, deciding or not. */
  readonly studies: readonly Findings[];
  readonly combinations: readonly Combination[];
}

/**
 * The scores that the studies are decided by, in their order, each with all combinations of all studies that have it. Scores of sets that
 * are called alike but differ in their number of items are different ones. Throws `UsageError` for no study, and for two of one name.
 */
export function sharedScores(studies: readonly Findings[]): readonly SharedScore[] {
  if (studies.length === 0) throw new UsageError("studies: at least one is needed; got none.");
  for (const [at, { name }] of studies.entries())
    if (studies.findIndex((one) => one.name === name) < at)
      throw new UsageError(`studies: each must have its own name; got "${name}" twice. Rename one of them.`, {
        key: "name",
      });
  const found = new Map<string, SharedScore>();
  for (const { score, cells } of studies) {
    const metric = findMetric(score.metric);
    const items = cells.map((cell) => scoreIn(cell, score.set, score.metric)?.n).find((n) => n !== undefined);
    if (metric === undefined || items === undefined) continue;
    const key = JSON.stringify([score.set, score.metric, items]);
    if (!found.has(key)) found.set(key, sharedScore(studies, score.set, metric, items));
  }
  return [...found.values()];
}

/** A cell's score of a set by a metric; undefined where it has none. */
export const scoreIn = ({ scores }: FoundCell, set: string, metric: string): FoundScore | undefined =>
  scores.find((score) => score.dataset === set && score.metric === metric);

function sharedScore(studies: readonly Findings[], set: string, metric: Metric, items: number): SharedScore {
  const combinations: Combination[] = [];
  const places = new Map<string, number>();
  for (const { name: study, cells } of studies)
    for (const cell of cells) {
      const score = scoreIn(cell, set, metric.name);
      if (score?.n !== items) continue;
      // The same weights have the same score to the last bit, and cost the same.
      const { gmacs, samples, pairs, seeds } = cell;
      const same = JSON.stringify([gmacs, samples, pairs, seeds, score.value, score.low, score.high]);
      const place = places.get(same) ?? combinations.length;
      const twin = combinations[place];
      if (twin === undefined) places.set(same, place);
      if (twin === undefined || twin.study === study) combinations.push({ study, cell, score, also: [] });
      else if (!twin.also.includes(study)) combinations[place] = { ...twin, also: [...twin.also, study] };
    }
  const names = new Set(combinations.flatMap(({ study, also }) => [study, ...also]));
  return { set, metric, items, combinations, studies: studies.filter(({ name }) => names.has(name)) };
}

/** Multiply-adds that differ by no more than this ratio are a like cost: runs end with whole batches, and encoders are never quite alike. */
export const LIKE_COST = 1.05;

/** Levels in words, each with its factor: `encoder ViT, part 25 %`. */
export const levelWords = (levels: Levels): string =>
  Object.entries(levels)
    .map(([factor, level]) => `${factor} ${level}`)
    .join(", ");

/** Ends of a score turned so that higher is better. */
export function turned({ better }: Metric, { value, low, high }: Omit<Interval, "n">) {
  return better === "higher" ? { value, low, high } : { value: -value, low: -high, high: -low };
}

/** A difference with its interval. */
export type Gap = Readonly<Record<"value" | "low" | "high", number>>;

/**
 * By how much the first is better, with an interval out of the two intervals (Zou and Donner 2008, "square and add"), as if they came of
 * different items: where both were scored on the same ones, it is wider than a paired one would be.
 */
export function gapOf(metric: Metric, first: Omit<Interval, "n">, second: Omit<Interval, "n">): Gap {
  const [a, b] = [turned(metric, first), turned(metric, second)];
  const value = a.value - b.value;
  return {
    value,
    low: value - Math.hypot(a.value - a.low, b.high - b.value),
    high: value + Math.hypot(a.high - a.value, b.value - b.low),
  };
}
