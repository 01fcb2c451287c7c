/** What a study's runs say to its question: levels against each other, curves over what was spent, and the runs worth their cost. */

import { UsageError } from "../../core/errors.js";
import { compareRuns, type PairComparison, type ScoredRun } from "../../evaluate/compare.js";
import type { Interval } from "../../evaluate/statistics/bootstrap.js";
import { groupMean } from "../../evaluate/statistics/groups.js";
import { holm } from "../../evaluate/statistics/many.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import type { Metric, TaskScore } from "../../evaluate/tasks/task.js";
import type { Cell } from "../design/cells.js";
import type { QuestionInput, Study } from "../design/study.js";
import type { HalvingReport } from "../halving/brackets.js";
import { type Crossing, crossingOf, frontier } from "../laws/crossing.js";
import { powerLaw } from "../laws/law.js";
import type { RunResult } from "../run/results.js";
import { type Repetition, repetitionsOf } from "./repetition.js";
import { type CurvePoint, fitTelling, type TellingFit } from "./telling.js";

/** A run that is done. */
export interface DoneRun {
  readonly cell: Cell;
  readonly seed: number;
  readonly result: RunResult;
}

/** A cell's runs together. */
export interface CellScore {
  readonly cell: Cell;
  readonly level: string;
  readonly seeds: readonly number[];
  /** Mean over seeds; its interval is over seeds and test items where there are two seeds, else over items alone. */
  readonly score: Interval;
  readonly samples: number;
  readonly gmacs: number;
  readonly seconds: number;
}

/** The levels of the factor that is asked about, everything else alike. */
export interface Panel {
  readonly regime: string;
  /** Levels of the other factors. */
  readonly others: Readonly<Record<string, string>>;
  readonly rows: readonly CellScore[];
  /** Corrected (Holm) over all panels together. */
  readonly pairs: readonly PairComparison[];
}

/** One level's errors over what was spent. */
export interface Curve {
  readonly regime: string;
  readonly level: string;
  readonly points: readonly CurvePoint[];
  readonly fit: TellingFit;
}

export interface CurveCrossing {
  readonly regime: string;
  readonly first: string;
  readonly second: string;
  readonly found: Crossing | { readonly unknown: string };
}

export interface Answer {
  readonly metric: Metric;
  /** What curves are drawn over; undefined where the question draws none. */
  readonly over: QuestionInput["over"];
  readonly panels: readonly Panel[];
  readonly curves: readonly Curve[];
  readonly crossings: readonly CurveCrossing[];
  /** Over samples: what those are worth that are seen again. */
  readonly repetitions: readonly Repetition[];
  /** Cells that no other beats for the same compute, by ascending compute. */
  readonly frontier: readonly CellScore[];
  /** What arms came to that were compared on the way; none where the question is no search for the best. */
  readonly halvings: readonly HalvingReport[];
}

/** The metric that decides. Throws `UsageError` where there is no such. */
export function metricOf({ score: { metric } }: Pick<Study, "score">): Metric {
  const found = findMetric(metric);
  if (found !== undefined) return found;
  throw new UsageError(`score: no task gives ${metric}. clipwright evaluate --list tells what there is.`, {
    key: "score",
  });
}

/** Reads the answer out of the runs that are done. Throws `UsageError` where no run is, or none has the study's score. */
export function answerOf(
  study: Study,
  runs: readonly DoneRun[],
  halvings: readonly HalvingReport[] = [],
): Answer {
  const { set } = study.score;
  const metric = metricOf(study);
  if (runs.length === 0) throw new UsageError("study: no run is done yet. Run the study first.");
  const byCell = new Map<Cell, DoneRun[]>();
  for (const run of runs) byCell.set(run.cell, [...(byCell.get(run.cell) ?? []), run]);
  const scores = new Map([...byCell].map(([cell, own]) => [cell, cellScore(study, metric, cell, own)]));
  const panels = panelsOf(study, [...scores.values()]).map((panel) => ({
    ...panel,
    pairs: pairsOf(study, panel.rows, byCell, set),
  }));
  const curves = study.question.over === undefined ? [] : curvesOf(study, metric, runs);
  return {
    metric,
    over: study.question.over,
    panels: corrected(panels, metric),
    curves,
    crossings: crossingsOf(curves),
    repetitions: study.question.over === "samples" ? repetitionsOf(pointsByLevel(study, metric, runs)) : [],
    halvings,
    frontier: frontier(
      [...scores.values()].map((one) => ({
        one,
        cost: one.gmacs,
        score: metric.better === "higher" ? one.score.value : -one.score.value,
      })),
    ).map(({ one }) => one),
  };
}

/** The score that the study asks for, of one run. Throws `UsageError` naming what there is. */
const scoreOf = (study: Study, { result }: DoneRun): TaskScore => scoreIn(study, result.scored);

/** The score that the study asks for, among those of a run; undefined where it is not there. */
export const findScore = (
  { score: { set, metric } }: Pick<Study, "score">,
  scored: readonly Pick<ScoredRun, "dataset" | "scores">[],
): TaskScore | undefined =>
  scored
    .filter(({ dataset }) => dataset === set)
    .flatMap(({ scores }) => scores)
    .find((score) => score.metric === metric);

/** As `findScore`. Throws `UsageError` naming what there is. */
export function scoreIn(study: Pick<Study, "score">, scored: Parameters<typeof findScore>[1]): TaskScore {
  const found = findScore(study, scored);
  if (found !== undefined) return found;
  const there = new Set(
    scored.flatMap(({ dataset, scores }) => scores.map(({ metric }) => `${dataset}/${metric}`)),
  );
  const { set, metric } = study.score;
  throw new UsageError(
    `score: the runs have no ${set}/${metric}; got ${[...there].join(", ")}. Name one of these.`,
    { key: "score" },
  );
}

function cellScore(study: Study, metric: Metric, cell: Cell, own: readonly DoneRun[]): CellScore {
  const mean = (value: (result: RunResult) => number): number =>
    own.reduce((sum, { result }) => sum + value(result), 0) / own.length;
  return {
    cell,
    level: cell.levels[study.question.factor]!,
    seeds: own.map(({ seed }) => seed),
    score: meanScore(
      metric,
      own.map((run) => scoreOf(study, run)),
    ),
    samples: mean((r) => r.samples),
    gmacs: mean((r) => r.gmacs),
    seconds: mean((r) => r.seconds),
  };
}

/**
 * Scores of runs that differ in their seed as one: of means over items their mean with an interval over seeds and items; of others the mean,
 * between the least low and the highest high.
 */
export function meanScore({ kind }: Metric, scores: readonly TaskScore[]): Interval {
  const items = scores.map((score) => score.items);
  const first = items[0];
  // A rank's score is a median over its items, no mean.
  const alike =
    kind !== "rank" &&
    first !== undefined &&
    items.every((one) => one !== undefined && one.values.length === first.values.length);
  if (!alike) {
    const intervals = scores.map(({ score }) => score);
    return {
      value: intervals.reduce((sum, { value }) => sum + value, 0) / intervals.length,
      low: Math.min(...intervals.map(({ low }) => low)),
      high: Math.max(...intervals.map(({ high }) => high)),
      n: intervals[0]!.n,
    };
  }
  const { samples: clusters, weights } = first;
  const mean = groupMean(
    items.map((one) => one!.values),
    { clusters, ...(weights && { weights }) },
  );
  return kind === "share" ? { ...mean, low: Math.max(0, mean.low), high: Math.min(1, mean.high) } : mean;
}

/** One panel a regime and combination of the other factors, with at least two levels. */
function panelsOf(study: Study, scores: readonly CellScore[]): readonly Omit<Panel, "pairs">[] {
  const { factor } = study.question;
  const order = levelsOf(study);
  const panels = new Map<string, { regime: string; others: Record<string, string>; rows: CellScore[] }>();
  for (const { name: regime } of study.regimes) {
    for (const row of scores) {
      if (!row.cell.regimes.includes(regime)) continue;
      const { [factor]: _, ...others } = row.cell.levels;
      const key = JSON.stringify([regime, others]);
      const panel = panels.get(key) ?? { regime, others, rows: [] };
      panel.rows.push(row);
      panels.set(key, panel);
    }
  }
  return [...panels.values()]
    .filter(({ rows }) => rows.length > 1)
    .map(({ rows, ...rest }) => ({
      ...rest,
      rows: rows.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level)),
    }));
}

function pairsOf(
  study: Study,
  rows: readonly CellScore[],
  byCell: ReadonlyMap<Cell, readonly DoneRun[]>,
  set: string,
): readonly PairComparison[] {
  const runs = rows.flatMap(({ cell, level }) =>
    byCell.get(cell)!.flatMap(({ seed, result }) =>
      result.scored
        .filter(({ dataset }) => dataset === set)
        .map((one) => ({
          ...one,
          run: `${cell.id}-${seed}`,
          recipe: level,
          scores: one.scores.filter(({ metric }) => metric === study.score.metric),
        }))
        .filter(({ scores }) => scores.length > 0),
    ),
  );
  try {
    return compareRuns(runs, findMetric).flatMap(({ pairs }) => pairs);
  } catch (error) {
    // A metric that is no mean over items has no paired differences.
    if (error instanceof UsageError) return [];
    throw error;
  }
}

/** The verdicts once all pairs of all panels are corrected together. */
function corrected(panels: readonly Panel[], metric: Metric): readonly Panel[] {
  const adjusted = holm(panels.flatMap(({ pairs }) => pairs.map(({ p }) => p)));
  let at = 0;
  return panels.map((panel) => ({
    ...panel,
    pairs: panel.pairs.map((pair) => {
      const p = adjusted[at++]!;
      const better = pair.value > 0 === (metric.better === "higher") ? "first" : "second";
      return { ...pair, adjusted: p, verdict: p < 0.05 ? better : "cannot be told apart" };
    }),
  }));
}

/** A run as a point of a curve: its error over what it spent. */
function pointOf(study: Study, metric: Metric, run: DoneRun): CurvePoint {
  const { score, chance } = scoreOf(study, run);
  const { low, high, value } = score;
  const isHigher = metric.better === "higher";
  const guessing = chance !== undefined && (isHigher ? low <= chance : high >= chance);
  return {
    x: run.result[study.question.over!],
    y: metric.kind === "share" && isHigher ? 1 - value : value,
    unique: run.cell.pairs,
    ...(guessing && { guessing }),
  };
}

const levelsOf = ({ factors, question }: Study): readonly string[] =>
  factors.find(({ name }) => name === question.factor)!.levels.map(({ name }) => name);

/** Errors of each level over what was spent, a point a run, with the law through them. */
function curvesOf(study: Study, metric: Metric, runs: readonly DoneRun[]): readonly Curve[] {
  const { factor } = study.question;
  const curves: Curve[] = [];
  for (const { name: regime } of study.regimes) {
    for (const level of levelsOf(study)) {
      const own = runs.filter(({ cell }) => cell.levels[factor] === level && cell.regimes.includes(regime));
      const points = own.map((run) => pointOf(study, metric, run));
      if (points.length === 0) continue;
      curves.push({ regime, level, points, fit: fitTelling(powerLaw, points) });
    }
  }
  return curves;
}

/** The points of each level, of all regimes together; of all levels where these are random parts of one set, for which one law holds. */
function pointsByLevel(study: Study, metric: Metric, runs: readonly DoneRun[]) {
  const { factors, question } = study;
  const { levels } = factors.find(({ name }) => name === question.factor)!;
  const areParts = levels.every(
    ({ part, recipe }) => (part === undefined || "random" in part) && Object.keys(recipe).length === 0,
  );
  const groups = areParts
    ? [{ level: `every ${question.factor}`, own: runs }]
    : levelsOf(study).map((level) => ({
        level,
        own: runs.filter(({ cell }) => cell.levels[question.factor] === level),
      }));
  return groups.map(({ level, own }) => ({ level, points: own.map((run) => pointOf(study, metric, run)) }));
}

function crossingsOf(curves: readonly Curve[]): readonly CurveCrossing[] {
  return curves.flatMap((first, at) =>
    curves.slice(at + 1).flatMap((second): CurveCrossing[] => {
      if (first.regime !== second.regime || "refused" in first.fit || "refused" in second.fit) return [];
      const found = crossingOf(first.fit, second.fit);
      return [{ regime: first.regime, first: first.level, second: second.level, found }];
    }),
  );
}
