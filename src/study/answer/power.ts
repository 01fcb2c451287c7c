/**
 * What a study will be able to tell apart: the smallest true difference that its runs would find, from the noise of runs that are done, here
 * or in studies before, and from the number of test items alone where none is.
 */

import { compareGroups, detectable, type Noise } from "../../evaluate/statistics/groups.js";
import type { Metric, TaskScore } from "../../evaluate/tasks/task.js";
import type { Cell } from "../design/cells.js";
import type { Study } from "../design/study.js";

/** Where a noise is known from. */
export type NoiseSource =
  /** So many runs of combinations that have two seeds or more. */
  { readonly from: "this study" | "earlier studies"; readonly runs: number } | { readonly from: "unknown" };

/** What can be told apart, in the metric's own unit. */
export interface Power {
  /** Comparisons that are corrected for together (Holm): a difference that is alone among them must pass this strictest step. */
  readonly comparisons: number;
  /** Test items of the deciding score; captions of one picture count as one. */
  readonly items: number | undefined;
  /** How the part of the items is known: paired differences, a score of which both runs would have their own, or at worst. */
  readonly itemsFrom: "differences" | "one run" | "at worst" | "unknown";
  readonly seedNoise: NoiseSource;
  /** Deviation of a run's score over seeds. */
  readonly seedDeviation: number | undefined;
  /** The smallest difference that is found four times in five with so many seeds of each; by items alone where the seeds' noise is not known. */
  readonly smallest: readonly { readonly seeds: number; readonly difference: number }[];
  /** The same if seeds made no noise. */
  readonly byItemsAlone: number | undefined;
}

/** A run's deciding score, and which runs differ in their seed alone. */
export interface SeedScore {
  readonly group: string;
  readonly score: TaskScore;
}

const ALPHA = 0.05;

/** Variance of scores over seeds, pooled over groups of at least two; undefined without such. */
export function seedVariance(
  scores: readonly { readonly group: string; readonly value: number }[],
): { readonly variance: number; readonly runs: number } | undefined {
  const groups = new Map<string, number[]>();
  for (const { group, value } of scores) groups.set(group, [...(groups.get(group) ?? []), value]);
  const repeated = [...groups.values()].filter(({ length }) => length > 1);
  const runs = repeated.reduce((sum, { length }) => sum + length, 0);
  const squares = repeated.reduce((sum, values) => {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return sum + values.reduce((all, value) => all + (value - mean) ** 2, 0);
  }, 0);
  return runs === 0 ? undefined : { variance: squares / (runs - repeated.length), runs };
}

export interface PowerInput {
  readonly metric: Metric;
  /** Pairs of cells of which differences tell, by their ids, and how many will be compared. */
  readonly pairs: readonly (readonly [string, string])[];
  readonly comparisons: number;
  /** Done runs of this study by their cells' ids. */
  readonly done: readonly SeedScore[];
  /** Scores of runs of earlier studies on the same set. Asked where no cell of this one has two seeds. */
  readonly earlier: () => readonly { readonly group: string; readonly value: number }[];
  /** Samples of the deciding set. */
  readonly samples: number;
  /** Seeds that the study has. */
  readonly seeds: number;
}

export function powerOf(input: PowerInput): Power {
  const { metric, pairs, comparisons, done, earlier, samples, seeds } = input;
  const own = seedVariance(done.map(({ group, score }) => ({ group, value: score.score.value })));
  const before = own === undefined && seeds > 1 ? seedVariance(earlier()) : undefined;
  const known = own ?? before;
  const byItems = itemNoise(metric, pairs, done, samples);
  const level = 1 - ALPHA / Math.max(1, comparisons);
  const numbers =
    byItems === undefined
      ? { smallest: [], byItemsAlone: undefined }
      : {
          smallest: [...new Set([seeds, 2 * seeds])].map((count) => ({
            seeds: count,
            difference: detectable({ ...byItems, seeds: known?.variance }, count, { level }),
          })),
          byItemsAlone: detectable({ ...byItems, seeds: undefined }, seeds, { level }),
        };
  return {
    comparisons,
    items: byItems?.n,
    itemsFrom: byItems?.from ?? "unknown",
    seedNoise:
      known === undefined
        ? { from: "unknown" }
        : { from: own === undefined ? "earlier studies" : "this study", runs: known.runs },
    seedDeviation: known && Math.sqrt(known.variance),
    ...numbers,
  };
}

/** What other items would change of a difference; undefined of metrics that are no means over items, and where no run is done of one that is no share. */
function itemNoise(
  metric: Metric,
  pairs: PowerInput["pairs"],
  done: readonly SeedScore[],
  samples: number,
): (Omit<Noise, "seeds"> & { readonly from: Exclude<Power["itemsFrom"], "unknown"> }) | undefined {
  const scored = done.flatMap(({ group, score: { items } }) =>
    items === undefined ? [] : [{ group, items }],
  );
  // Of others no differences are told.
  if (scored.length < done.length || metric.kind === "rank") return undefined;
  const of = (group: string) => scored.filter((run) => run.group === group).map(({ items }) => items);
  const differences = pairs.flatMap(([first, second]) => {
    const [a, b] = [of(first), of(second)];
    const [one] = a;
    const alike = [...a, ...b].every(({ values }) => values.length === one?.values.length);
    if (one === undefined || b.length === 0 || !alike) return [];
    const { samples: clusters, weights } = one;
    const found = compareGroups(
      a.map(({ values }) => values),
      b.map(({ values }) => values),
      { clusters, ...(weights && { weights }) },
    );
    // What is left once the seeds' part is off, which holds what both have in common.
    return [{ items: Math.max(0, found.error ** 2 - (found.variance.seeds ?? 0)), n: found.n }];
  });
  if (differences.length > 0) {
    const items = differences.reduce((sum, each) => sum + each.items, 0) / differences.length;
    return { items, n: differences[0]!.n, from: "differences" };
  }
  const [first] = scored;
  if (first !== undefined) {
    const { values, samples: clusters, weights } = first.items;
    const zeros = new Float64Array(values.length);
    const { variance, n } = compareGroups([values], [zeros], { clusters, ...(weights && { weights }) });
    // Two runs that have nothing in common but the items: pairing makes it less.
    return { items: 2 * variance.items, n, from: "one run" };
  }
  // Half of them right, each run its own half.
  return metric.kind === "share" ? { items: (2 * 0.25) / samples, n: samples, from: "at worst" } : undefined;
}

/**
 * The pairs of cells that an answer can compare, by their ids: levels of the factor that is asked about, everything else alike.
 * @param kept how many levels of so many go to the end of their runs; default all.
 */
export function comparedPairs(
  cells: readonly Cell[],
  { question: { factor }, regimes }: Pick<Study, "question" | "regimes">,
  kept: (levels: number) => number = (levels) => levels,
): Pick<PowerInput, "pairs" | "comparisons"> {
  const panels = new Map<string, string[]>();
  for (const { name } of regimes)
    for (const cell of cells) {
      if (!cell.regimes.includes(name)) continue;
      const { [factor]: _, ...others } = cell.levels;
      const key = JSON.stringify([name, others]);
      panels.set(key, [...(panels.get(key) ?? []), cell.id]);
    }
  const all = [...panels.values()];
  return {
    pairs: all.flatMap((ids) => ids.flatMap((a, at) => ids.slice(at + 1).map((b) => [a, b] as const))),
    comparisons: all.reduce((sum, { length }) => sum + (kept(length) * (kept(length) - 1)) / 2, 0),
  };
}
