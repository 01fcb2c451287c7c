/** Whether to keep the best of the data only: what one's own runs say, and the paper where they say nothing. */

import { studentQuantile } from "../../evaluate/statistics/distributions.js";
import { paperCurves } from "../paper/curves.js";
import type { PastRun, PastScore } from "../past/past-run.js";
import type { Asked } from "../predict/predict.js";

/** Runs with the best pairs by a score against runs with all of them, everything else alike. */
export interface FilterComparison {
  /** The training data, as the recipes name them. */
  readonly data: string;
  /** Those that the plan is for. */
  readonly own: boolean;
  /** The score that chose. */
  readonly by: string;
  /** Share that was kept. */
  readonly share: number;
  /** `SET/METRIC`. */
  readonly score: string;
  /** As many samples for both, or as many passes over what was kept. */
  readonly regime: "equal samples" | "equal passes";
  /** Samples of the runs with the best pairs. */
  readonly samples: number;
  /** Means. */
  readonly best: number;
  readonly whole: number;
  /** Of the difference, with a chance of 95 % for all shares that were tried together (Bonferroni). */
  readonly low: number;
  readonly high: number;
  readonly seeds: number;
  /** Shares that were tried. */
  readonly tried: number;
}

/** Metrics to compare by where the one that is asked for is missing, the first that is there. */
const METRICS = ["acc1", "image_retrieval_recall@1", "text_retrieval_recall@1"];
const LEVEL = 0.95;
/** Numbers of samples, or of passes, that count as equal: runs end at whole batches. */
const EQUAL = 1.02;

/** What runs share that are compared. */
const ALIKE = ["data", "model", "gmacsPerPair", "strategy", "batchSize"] as const;

const near = (a: number, b: number): boolean => Math.max(a, b) <= EQUAL * Math.min(a, b);
const passesOf = ({ samples, unique }: PastRun): number => samples / unique;

/**
 * The comparison of one's own that says most on the question: on the same data before others, at equal samples (which a budget is) before
 * equal passes, with many seeds before few; of several shares the best. Undefined where there is none.
 * @param data the plan's, as `PastRun.data`.
 */
export function filterEvidence(
  past: readonly PastRun[],
  { data, asked }: { readonly data: string; readonly asked: Pick<Asked, "dataset" | "metric"> },
): FilterComparison | undefined {
  const usable = past.filter(({ pretrained, data: of }) => pretrained === undefined && of !== undefined);
  const chosen = usable.filter(({ keptBy }) => keptBy !== undefined && keptBy !== "random");
  const found = (["equal samples", "equal passes"] as const).flatMap((regime) => {
    const alike = (a: PastRun, b: PastRun): boolean =>
      ALIKE.every((key) => a[key] === b[key]) &&
      (regime === "equal samples" ? near(a.samples, b.samples) : near(passesOf(a), passesOf(b)));
    return partition(chosen, (a, b) => alike(a, b) && a.keptBy === b.keptBy).flatMap((group) => {
      const [{ data: of, keptBy }] = group as [PastRun, ...PastRun[]];
      const whole = usable.filter((run) => run.kept === 1 && alike(run, group[0]!));
      const shares = partition(group, (a, b) => a.kept === b.kept);
      const compared = shares.flatMap((runs): FilterComparison[] => {
        const difference = compare(runs, whole, asked, shares.length);
        const { kept, samples } = runs[0]!;
        const cell = { share: kept!, samples, tried: shares.length, data: of!, own: of === data };
        return difference === undefined ? [] : [{ ...cell, by: keptBy!, regime, ...difference }];
      });
      return compared.length === 0 ? [] : [compared.reduce((a, b) => (b.best > a.best ? b : a))];
    });
  });
  const rank = ({ own, regime }: FilterComparison): number =>
    (own ? 2 : 0) + (regime === "equal samples" ? 1 : 0);
  return found.sort((a, b) => rank(b) - rank(a) || b.seeds - a.seeds || b.samples - a.samples)[0];
}

/** Runs in groups of which each is like its first. */
function partition(
  runs: readonly PastRun[],
  alike: (a: PastRun, b: PastRun) => boolean,
): readonly (readonly PastRun[])[] {
  const cells: PastRun[][] = [];
  for (const run of runs) {
    const cell = cells.find(([first]) => alike(first!, run));
    if (cell === undefined) cells.push([run]);
    else cell.push(run);
  }
  return cells;
}

type Difference = Pick<FilterComparison, "score" | "best" | "whole" | "low" | "high" | "seeds">;

/** The means of two groups by a score that both have, and the interval of their difference. */
function compare(
  first: readonly PastRun[],
  second: readonly PastRun[],
  asked: Pick<Asked, "dataset" | "metric">,
  tried: number,
): Difference | undefined {
  if (second.length === 0) return undefined;
  for (const { dataset, metric } of scoresBy(first[0]!.scores, asked)) {
    const scores = (runs: readonly PastRun[]): PastScore[] =>
      runs.flatMap((run) => run.scores.filter((s) => s.dataset === dataset && s.metric === metric));
    const [a, b] = [scores(first), scores(second)];
    if (a.length < first.length || b.length < second.length) continue;
    const [best, whole] = [a, b].map((group) => mean(group.map(({ value }) => value))) as [number, number];
    const half = halfWidth(a, b, 1 - (1 - LEVEL) / tried);
    const difference = best - whole;
    return {
      score: `${dataset}/${metric}`,
      ...{ best, whole, low: difference - half, high: difference + half },
      seeds: Math.min(a.length, b.length),
    };
  }
  return undefined;
}

/** The score that is asked for first, then the same metric on another set, then the usual ones. */
function scoresBy(
  scores: readonly PastScore[],
  { dataset, metric }: Pick<Asked, "dataset" | "metric">,
): readonly PastScore[] {
  const wanted = [metric, ...METRICS];
  const rank = (score: PastScore): number =>
    2 * wanted.indexOf(score.metric) + (score.dataset === dataset ? 0 : 1);
  return scores.filter((score) => wanted.includes(score.metric)).sort((a, b) => rank(a) - rank(b));
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/**
 * Half the interval of the difference of two means. With two seeds each or more the seeds' spread (Welch), the items' not less; with one the
 * items alone, as if each run had had items of its own: wider than a comparison item by item.
 */
function halfWidth(a: readonly PastScore[], b: readonly PastScore[], level: number): number {
  const items = (group: readonly PastScore[]): number =>
    mean(group.map(({ value, n }) => (value * (1 - value)) / Math.max(1, n)));
  const quantile = (df: number): number => studentQuantile(1 - (1 - level) / 2, df);
  const byItems = items(a) + items(b);
  if (a.length < 2 || b.length < 2) return quantile(Number.POSITIVE_INFINITY) * Math.sqrt(byItems);
  const spread = (group: readonly PastScore[]): number => {
    const center = mean(group.map(({ value }) => value));
    return (
      group.reduce((sum, { value }) => sum + (value - center) ** 2, 0) / (group.length - 1) / group.length
    );
  };
  const [s, t] = [spread(a), spread(b)];
  const df = (s + t) ** 2 / (s ** 2 / (a.length - 1) + t ** 2 / (b.length - 1));
  return Math.max(
    quantile(Number.isFinite(df) ? df : 1) * Math.sqrt(s + t),
    quantile(Number.POSITIVE_INFINITY) * Math.sqrt(byItems),
  );
}

/** The share of best pairs at which the paper's error is least, of the kind of score that is asked for; errors in %. */
export function paperShare(
  metric: string,
  equalSamples: boolean,
): { readonly share: number; readonly better: number; readonly whole: number } {
  const kind = metric.startsWith("image_retrieval")
    ? "text → image"
    : metric.startsWith("text_retrieval")
      ? "image → text"
      : "zero-shot";
  const { points } = paperCurves.find(
    (curve) =>
      curve.experiment === "data quality" &&
      curve.metric === kind &&
      curve.regime === (equalSamples ? "equal samples" : "one pass"),
  )!;
  const least = points.reduce((a, b) => (b.y < a.y ? b : a));
  return { share: least.x, better: least.y, whole: points.at(-1)!.y };
}
