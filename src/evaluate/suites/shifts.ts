/**
 * A suite's shifted sets beside its reference: their mean, what is lost, and, over several models, how far each lies above the
 * line that the models draw (`statistics/robustness.ts`).
 */

import { UsageError } from "../../core/errors.js";
import { type EvaluationRecord, recordOf } from "../records.js";
import type { Interval } from "../statistics/bootstrap.js";
import {
  type BaselineLine,
  baselineLine,
  type EffectiveRobustness,
  effectiveRobustness,
  type ShiftPoint,
} from "../statistics/robustness.js";
import { findMetric } from "../tasks/index.js";
import type { TaskScore } from "../tasks/task.js";
import type { ScoredTask } from "./score.js";

/** Told apart from the metric itself by these endings, in records. */
const [DROP, ABOVE] = ["_drop", "_above_line"];

/** One metric of one model over the shifted sets. Shares are in 0…1. */
export interface ShiftScore {
  readonly task: string;
  readonly metric: string;
  /** `mean of 3 shifts` */
  readonly dataset: string;
  readonly mean: TaskScore;
  /** Where the suite has a reference that was scored so. */
  readonly reference?: Interval;
  /** Reference less mean. */
  readonly drop?: Interval;
}

/**
 * The mean over the sets of role `shift` of each metric that is a share and that all of them have. Sets are taken to be drawn
 * independently; their intervals are put together by squares of their halves, each side for itself (Newcombe 1998; Zou and
 * Donner 2008).
 */
export function shiftScores(scored: readonly ScoredTask[]): ShiftScore[] {
  const shifts = scored.filter(({ role }) => role === "shift");
  const names = new Set(shifts.map(({ dataset }) => dataset));
  const of = names.size === 1 ? "1 shift" : `${names.size} shifts`;
  const found: ShiftScore[] = [];
  for (const { task, scores } of shifts.filter(({ dataset }) => dataset === shifts[0]!.dataset)) {
    const all = shifts.filter((one) => one.task === task);
    const reference = scored.find((one) => one.role === "reference" && one.task === task)?.scores;
    for (const { metric } of scores) {
      if (findMetric(metric)?.kind !== "share") continue;
      const own = all.flatMap((one) => one.scores.filter((score) => score.metric === metric));
      if (own.length !== names.size) continue;
      const score = meanOf(own.map((one) => one.score));
      const items = joined(own);
      const mean = { metric, score, ...(items && { items }) };
      const held = reference?.find((one) => one.metric === metric)?.score;
      const against = held && { reference: held, drop: difference(held, score) };
      found.push({ task, metric, dataset: `mean of ${of}`, mean, ...against });
    }
  }
  return found;
}

/** The means as scores of a data set of their own, so that tables and comparisons have them; with what is lost in its records. */
export function shiftTasks(
  shifts: readonly ShiftScore[],
  where: Partial<EvaluationRecord> = {},
): ScoredTask[] {
  return [...new Set(shifts.map(({ task }) => task))].map((task) => {
    const own = shifts.filter((one) => one.task === task);
    const { dataset } = own[0]!;
    const records = own.flatMap(({ metric, mean, drop }) => [
      recordOf({ dataset, task, metric, ...mean.score, ...where }),
      ...(drop === undefined
        ? []
        : [recordOf({ dataset, task, metric: `${metric}${DROP}`, ...drop, ...where })]),
    ]);
    return { dataset, task, scores: own.map(({ mean }) => mean), records, notes: [], details: undefined };
  });
}

/** How far the models lie above a line through some of them, by one metric. */
export interface EffectiveScores {
  readonly task: string;
  readonly metric: string;
  readonly dataset: string;
  /** Without the draws of its band. */
  readonly line: Omit<BaselineLine, "redrawn">;
  readonly models: readonly {
    readonly name: string;
    readonly reference: number;
    readonly shifted: number;
    readonly above: EffectiveRobustness;
  }[];
}

/**
 * Effective robustness of models, for each metric that all have on reference and shifts. `baseline` names those that draw the
 * line; default all. `refused` says why there is none where the models are too few or too alike.
 */
export function effectiveScores(
  models: readonly { readonly name: string; readonly shifts: readonly ShiftScore[] }[],
  baseline: readonly string[] = models.map(({ name }) => name),
): { readonly scores: readonly EffectiveScores[]; readonly refused: string | undefined } {
  const scores: EffectiveScores[] = [];
  let refused: string | undefined;
  for (const { task, metric, dataset, reference } of models[0]?.shifts ?? []) {
    if (reference === undefined) continue;
    const points = models.flatMap(({ name, shifts }) => {
      const own = shifts.find((one) => one.task === task && one.metric === metric);
      return own?.reference === undefined ? [] : [{ name, ...pointOf(own, own.reference) }];
    });
    if (points.length < models.length) continue;
    try {
      const line = baselineLine(points.filter(({ name }) => baseline.includes(name)));
      const { redrawn: _, ...told } = line;
      const above = points.map((point) => ({
        name: point.name,
        reference: point.reference,
        shifted: point.shifted,
        above: effectiveRobustness(point, line),
      }));
      scores.push({ task, metric, dataset, line: told, models: above });
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      refused ??= error.message;
    }
  }
  return { scores, refused };
}

/** Effective robustness of one model as records; `n` counts the models that drew the line. */
export const effectiveRecords = (scores: readonly EffectiveScores[], name: string): EvaluationRecord[] =>
  scores.map(({ task, metric, dataset, line, models }) => {
    const { value, low, high } = models.find((model) => model.name === name)!.above;
    return recordOf({ dataset, task, metric: `${metric}${ABOVE}`, value, low, high, n: line.models });
  });

const pointOf = ({ mean }: ShiftScore, reference: Interval): ShiftPoint => ({
  reference: reference.value,
  n: reference.n,
  shifted: mean.score.value,
  shiftedN: mean.score.n,
});

const root = (squares: readonly number[]): number => Math.sqrt(squares.reduce((a, b) => a + b ** 2, 0));

function meanOf(scores: readonly Interval[]): Interval {
  const count = scores.length;
  const value = scores.reduce((sum, score) => sum + score.value, 0) / count;
  return {
    value,
    low: value - root(scores.map((score) => score.value - score.low)) / count,
    high: value + root(scores.map((score) => score.high - score.value)) / count,
    n: scores.reduce((sum, score) => sum + score.n, 0),
  };
}

function difference(a: Interval, b: Interval): Interval {
  const value = a.value - b.value;
  const low = value - root([a.value - a.low, b.high - b.value]);
  return { value, low, high: value + root([a.high - a.value, b.value - b.low]), n: b.n };
}

/** Samples of a set that are told apart from those of the next. */
const MOST_SAMPLES = 2 ** 24;

/** The items of all sets, each set weighing the same; undefined where a set has none. */
function joined(scores: readonly TaskScore[]): TaskScore["items"] {
  const values: number[] = [];
  const samples: number[] = [];
  const weights: number[] = [];
  for (const [set, { items }] of scores.entries()) {
    if (items === undefined) return undefined;
    const { length } = items.values;
    const own = items.weights?.reduce((a, b) => a + b, 0) ?? length;
    for (let i = 0; i < length; i++) {
      values.push(items.values[i]!);
      samples.push(set * MOST_SAMPLES + items.samples[i]!);
      weights.push((items.weights?.[i] ?? 1) / own);
    }
  }
  return {
    values: Float64Array.from(values),
    samples: Uint32Array.from(samples),
    weights: Float64Array.from(weights),
  };
}
