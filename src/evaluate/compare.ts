/**
 * Runs compared on the same data: a recipe is the group of its runs, which differ in the seed alone. Every pair of recipes is
 * compared by every metric that is a mean over items, and the p-values of all of these together are corrected (Holm).
 */

import { UsageError } from "../core/errors.js";
import type { Interval } from "./statistics/bootstrap.js";
import { compareGroups, type GroupComparison, groupMean, type Needed, needed } from "./statistics/groups.js";
import { holm, type McNemar, mcNemar } from "./statistics/many.js";
import type { Metric, TaskScore } from "./tasks/task.js";

/** One run's scores of one data set by one task. */
export interface ScoredRun {
  readonly run: string;
  /** Runs of one recipe have one. */
  readonly recipe: string;
  readonly dataset: string;
  readonly task: string;
  readonly scores: readonly TaskScore[];
}

/** What a metric says of the recipes on one data set. */
export interface MetricComparison {
  readonly dataset: string;
  readonly task: string;
  readonly metric: Metric;
  /** Items that all runs were scored on. */
  readonly n: number;
  /** One for each recipe, in the order in which recipes were given. */
  readonly recipes: readonly {
    readonly recipe: string;
    readonly runs: readonly string[];
    readonly score: Interval;
  }[];
  readonly pairs: readonly PairComparison[];
}

export interface PairComparison extends GroupComparison {
  readonly first: string;
  readonly second: string;
  /** p with Holm's correction over all pairs and metrics that are compared at once. */
  readonly adjusted: number;
  readonly verdict: "first" | "second" | "cannot be told apart";
  /** What it would take to tell a difference as large as the one seen. */
  readonly needed: Needed;
  /** Where both are one run, scored right or wrong. */
  readonly mcNemar?: McNemar;
}

export interface CompareOptions {
  /** Share of the intervals that should hold the true difference. Default 0.95. */
  readonly level?: number;
}

/**
 * Compares the recipes of `runs`. Metrics that are no mean over items (median ranks, means over classes) are left out; items that
 * not every run was scored on are too. Throws a `UsageError` for fewer than two recipes, and where runs share no metric.
 */
export function compareRuns(
  runs: readonly ScoredRun[],
  metrics: (name: string) => Metric | undefined,
  { level = 0.95 }: CompareOptions = {},
): MetricComparison[] {
  const names = [...new Set(runs.map(({ recipe }) => recipe))];
  if (names.length < 2) {
    throw new UsageError(
      `compare: two recipes are needed; got ${names.length === 0 ? "no run" : "runs that differ in their seed alone"}. Name runs of another recipe too.`,
    );
  }
  const open: Omit<MetricComparison, "pairs">[] = [];
  const found: { at: number; pair: Omit<PairComparison, "adjusted" | "verdict"> }[] = [];
  for (const { dataset, task, metric, members } of commonMetrics(runs, metrics)) {
    const { samples, values, weights } = commonItems(members);
    const groups = names.map((recipe) => {
      const own = members.filter((member) => member.recipe === recipe);
      return { recipe, runs: own.map(({ run }) => run), values: own.map((member) => values.get(member)!) };
    });
    const options = { level, clusters: samples, ...(weights && { weights }) };
    found.push(
      ...pairsOf(groups).map(([a, b]) => {
        const comparison = compareGroups(a.values, b.values, options);
        const single =
          a.values.length === 1 && b.values.length === 1 && isBinary(a.values[0]!) && isBinary(b.values[0]!);
        return {
          at: open.length,
          pair: {
            ...comparison,
            first: a.recipe,
            second: b.recipe,
            needed: needed(comparison, { level }),
            ...(single && { mcNemar: mcNemar(a.values[0]!, b.values[0]!) }),
          },
        };
      }),
    );
    const scores = groups.map(({ recipe, runs: own, values: all }) => ({
      recipe,
      runs: own,
      score: within(metric, groupMean(all, options)),
    }));
    open.push({ dataset, task, metric, n: samples.length, recipes: scores });
  }
  if (open.length === 0) {
    throw new UsageError(
      "compare: the runs share no metric that is a mean over items. Score them by the same tasks on the same data.",
    );
  }
  const adjusted = holm(found.map(({ pair }) => pair.p));
  const pairs = found.map(({ at, pair }, i) => {
    const better = pair.value > 0 === (open[at]!.metric.better === "higher") ? "first" : "second";
    const verdict = adjusted[i]! < 1 - level ? better : "cannot be told apart";
    return { at, pair: { ...pair, adjusted: adjusted[i]!, verdict } as PairComparison };
  });
  return open.map((one, at) => ({
    ...one,
    pairs: pairs.filter((each) => each.at === at).map(({ pair }) => pair),
  }));
}

/**
 * A pair's verdict in words: `a is better than b by 3.2 points (1.0 to 5.4)`, or that they cannot be told apart and what that
 * would take.
 */
export function verdictWords(pair: PairComparison, metric: Metric): string {
  const { kind, better } = metric;
  const unit = kind === "share" ? " points" : "";
  const number = (x: number): string => comparedNumber(metric, x);
  if (pair.verdict !== "cannot be told apart") {
    const [winner, other] = pair.verdict === "first" ? [pair.first, pair.second] : [pair.second, pair.first];
    const ends = [pair.low, pair.high].map(Math.abs).sort((a, b) => a - b);
    const which = better === "higher" ? "" : " lower";
    const only =
      pair.variance.seeds === undefined
        ? "; one seed each: this speaks of these two runs, not of their recipes"
        : "";
    return `${winner} is better than ${other} by ${number(Math.abs(pair.value))}${unit}${which} (${number(ends[0]!)} to ${number(ends[1]!)})${only}`;
  }
  if (pair.error === 0) return `${pair.first} and ${pair.second} have the same score on every item`;
  const more: string[] = [];
  if (pair.needed.runs !== undefined && Number.isFinite(pair.needed.runs))
    more.push(`${pair.needed.runs} seeds of each`);
  if (Number.isFinite(pair.needed.items)) more.push(`${pair.needed.items.toLocaleString("en-US")} samples`);
  const take = more.length === 0 ? "" : `; a difference as small as this one would take ${more.join(" or ")}`;
  const seeds = pair.needed.runs === undefined ? "; to speak of the recipes takes several seeds of each" : "";
  return `${pair.first} and ${pair.second} cannot be told apart: ${number(pair.value)}${unit} (${number(pair.low)} to ${number(pair.high)}); ${number(pair.needed.detectable)}${unit} would be found four times in five${take}${seeds}`;
}

/** A metric's number or a difference of two for people: a share in percent, without the sign. */
export const comparedNumber = ({ kind }: Metric, x: number): string =>
  kind === "share" ? (100 * x).toFixed(1) : x.toPrecision(3);

/** A share's interval ends at 0 and 1. */
const within = ({ kind }: Metric, { value, low, high, n }: Interval): Interval =>
  kind === "share" ? { value, low: Math.max(0, low), high: Math.min(1, high), n } : { value, low, high, n };

interface Member {
  readonly run: string;
  readonly recipe: string;
  readonly items: NonNullable<TaskScore["items"]>;
}

/** Metrics that every run has, with each run's items. */
function commonMetrics(runs: readonly ScoredRun[], metrics: (name: string) => Metric | undefined) {
  const known = new Map<string, { dataset: string; task: string; metric: Metric; members: Member[] }>();
  for (const { run, recipe, dataset, task, scores } of runs) {
    for (const { metric: name, items } of scores) {
      const metric = metrics(name);
      if (items === undefined || metric === undefined || metric.kind === "rank") continue;
      const key = JSON.stringify([dataset, task, name]);
      const entry = known.get(key) ?? { dataset, task, metric, members: [] };
      entry.members.push({ run, recipe, items });
      known.set(key, entry);
    }
  }
  const all = new Set(runs.map(({ run }) => run)).size;
  return [...known.values()].filter(({ members }) => members.length === all);
}

/** The items that all members were scored on, in order: the sample of each, and each member's values. */
function commonItems(members: readonly Member[]): {
  samples: Uint32Array;
  values: Map<Member, Float64Array>;
  weights: Float64Array | undefined;
} {
  // An item is a sample's first, second, … query.
  const keysOf = ({ items }: Member): string[] => {
    const seen = new Map<number, number>();
    return Array.from(items.samples, (sample) => {
      const count = seen.get(sample) ?? 0;
      seen.set(sample, count + 1);
      return `${sample}:${count}`;
    });
  };
  const places = members.map((member) => new Map(keysOf(member).map((key, i) => [key, i] as const)));
  const common = [...places[0]!.keys()].filter((key) => places.every((place) => place.has(key)));
  if (common.length === 0)
    throw new UsageError("compare: no item was scored by every run. Score them on the same data.");
  const values = new Map(
    members.map((member, m) => [
      member,
      Float64Array.from(common, (key) => member.items.values[places[m]!.get(key)!]!),
    ]),
  );
  const { weights } = members[0]!.items;
  return {
    samples: Uint32Array.from(common, (key) => Number(key.split(":")[0])),
    values,
    weights: weights && Float64Array.from(common, (key) => weights[places[0]!.get(key)!]!),
  };
}

const isBinary = (values: Float64Array): boolean => values.every((value) => value === 0 || value === 1);

function pairsOf<T>(list: readonly T[]): [T, T][] {
  return list.flatMap((a, i) => list.slice(i + 1).map((b): [T, T] => [a, b]));
}
