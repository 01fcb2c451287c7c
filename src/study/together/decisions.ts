/**
 * Which level of a factor to take, at which budget, as far as a study tells them apart: of the factor that it asks about by its own paired
 * verdicts; of passes, and of what else it varied at equal cost, by intervals that are not paired.
 */

import type { Interval } from "../../evaluate/statistics/bootstrap.js";
import { normalQuantile, normalTails } from "../../evaluate/statistics/distributions.js";
import { holm } from "../../evaluate/statistics/many.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import type { Metric } from "../../evaluate/tasks/task.js";
import type { Findings, FoundCell, FoundPanel, Levels } from "../answer/findings.js";
import { type Gap, gapOf, LIKE_COST, levelWords, scoreIn, turned } from "./shared.js";

/** The factor that the study asks about; another one at a like cost; passes; the factor and passes together at a like cost. */
export type ChoiceKind = "asked" | "other" | "passes" | "budget";

/** Levels compared, everything else alike. */
export interface Choice {
  readonly kind: ChoiceKind;
  /** What is chosen: a factor, `passes`, or both. */
  readonly of: string;
  /** Those that ask for these runs; none where the regime is among what is chosen. */
  readonly regimes: readonly string[];
  /** Levels of the other factors. */
  readonly others: Levels;
  /** Of the least and of the most that one of the levels took: samples, and multiply-adds (10⁹). */
  readonly samples: readonly [number, number];
  readonly gmacs: readonly [number, number];
  /** The best mean; or the cheapest of those `alike`, where that takes less. */
  readonly take: string;
  /** The others that cannot be told from the best mean, nor to be worse than another such; the best first. */
  readonly alike: readonly string[];
  /** How many levels there are. */
  readonly levels: number;
  /** The best mean against the best of those that are worse by more than chance; undefined where none is. */
  readonly lead: Lead | undefined;
}

export interface Lead {
  readonly level: string;
  readonly over: string;
  /** By how much the first is better. */
  readonly gap: Gap;
  /** The study's own sentence; undefined where the difference is not paired. */
  readonly words: string | undefined;
}

/** Rows that differ in what is chosen, before they are compared. */
interface Group extends Pick<Choice, "kind" | "of" | "regimes" | "others"> {
  readonly rows: readonly Row[];
  /** The study's paired comparisons, where it has some. */
  readonly pairs: FoundPanel["pairs"];
}

interface Row {
  readonly level: string;
  readonly cell: FoundCell;
  readonly score: Interval;
}

interface Verdict {
  readonly gap: Gap;
  readonly isTold: boolean;
  readonly words: string | undefined;
}

const PASSES = "passes";

/** The choices that a study's findings bear, by what is chosen, by regime, then by ascending multiply-adds. */
export function choicesOf(findings: Findings): readonly Choice[] {
  const metric = findMetric(findings.score.metric);
  if (metric === undefined) return [];
  const rows = findings.cells.flatMap((cell) => {
    const score = scoreIn(cell, findings.score.set, metric.name);
    return score === undefined ? [] : [{ cell, score }];
  });
  const groups = distinct([
    ...askedGroups(findings, rows),
    ...otherGroups(findings, rows),
    ...passesGroups(findings, rows),
    ...budgetGroups(findings, rows),
  ]).filter((group) => group.rows.length > 1);
  const told = unpairedVerdicts(metric, groups);
  const choices = groups.map((group) => choiceOf(metric, group, told));
  const kinds = [...new Set(choices.map(({ of }) => of))];
  const regimes = findings.regimes.map(({ name }) => name);
  const place = ({ regimes: [first = ""] }: Choice): number => regimes.indexOf(first);
  return choices.sort(
    (a, b) => kinds.indexOf(a.of) - kinds.indexOf(b.of) || place(a) - place(b) || a.gmacs[1] - b.gmacs[1],
  );
}

/** Regimes that ask for the same runs are one group. */
function distinct(groups: readonly Group[]): readonly Group[] {
  const found: Group[] = [];
  for (const group of groups) {
    const at = found.findIndex(
      ({ of, rows }) =>
        of === group.of &&
        rows.length === group.rows.length &&
        rows.every(({ cell }, i) => cell === group.rows[i]!.cell),
    );
    if (at < 0) found.push(group);
    else found[at] = { ...found[at]!, regimes: [...found[at]!.regimes, ...group.regimes] };
  }
  return found;
}

type Scored = Omit<Row, "level">;

/** The study's own panels. */
function askedGroups(
  { question: { factor }, panels }: Findings,
  scored: readonly Scored[],
): readonly Group[] {
  return panels.map(({ regime, others, rows, pairs }) => ({
    ...{ kind: "asked" as const, of: factor, regimes: [regime], others, pairs },
    rows: rows.flatMap(({ level, score }): Row[] => {
      const found = scored.find(
        ({ cell }) => cell.regimes.includes(regime) && isOf(cell, { ...others, [factor]: level }),
      );
      return found === undefined ? [] : [{ level, cell: found.cell, score }];
    }),
  }));
}

const isOf = ({ levels }: FoundCell, wanted: Levels): boolean =>
  Object.entries(wanted).every(([factor, level]) => levels[factor] === level);

/** Levels of the factors that are not asked about, where all of them cost alike. */
function otherGroups({ question, factors, regimes }: Findings, scored: readonly Scored[]): readonly Group[] {
  return factors
    .filter(({ name }) => name !== question.factor)
    .flatMap(({ name: of }) =>
      regimes.flatMap(({ name: regime }) =>
        groupsBy(
          scored.filter(({ cell }) => cell.regimes.includes(regime)),
          ({ cell }) => without(cell.levels, of),
        )
          .map(({ key: others, members }) => ({
            ...{ kind: "other" as const, of, regimes: [regime], others, pairs: [] },
            rows: members.map((row) => ({ ...row, level: row.cell.levels[of]! })),
          }))
          .filter(({ rows }) => costsAlike(rows)),
      ),
    );
}

/** Regimes that differ in passes, for each combination of levels. */
function passesGroups({ regimes }: Findings, scored: readonly Scored[]): readonly Group[] {
  const passes = regimes.filter(({ length }) => "epochs" in length).map(({ name }) => name);
  if (passes.length < 2) return [];
  return groupsBy(scored, ({ cell }) => cell.levels).map(({ key: others, members }) => ({
    ...{ kind: "passes" as const, of: PASSES, regimes: [], others, pairs: [] },
    rows: passes.flatMap((level) =>
      members.filter(({ cell }) => cell.regimes.includes(level)).map((row) => ({ ...row, level })),
    ),
  }));
}

/** The factor that is asked about and passes together, at a like cost: few pairs often or many seldom. */
function budgetGroups({ question, regimes }: Findings, scored: readonly Scored[]): readonly Group[] {
  const { factor } = question;
  if (regimes.filter(({ length }) => "epochs" in length).length < 2) return [];
  return groupsBy(scored, ({ cell }) => without(cell.levels, factor)).flatMap(({ key: others, members }) => {
    const clusters: Scored[][] = [];
    for (const row of [...members].sort((a, b) => a.cell.gmacs - b.cell.gmacs)) {
      const last = clusters.at(-1);
      if (last !== undefined && row.cell.gmacs <= LIKE_COST * last[0]!.cell.gmacs) last.push(row);
      else clusters.push([row]);
    }
    return clusters.map((rows) => ({
      ...{ kind: "budget" as const, of: `${factor} and ${PASSES}`, regimes: [], others, pairs: [] },
      rows: rows.map((row) => ({
        ...row,
        level: `${levelWords({ [factor]: row.cell.levels[factor]! })}, ${row.cell.regimes.join(" and ")}`,
      })),
    }));
  });
}

function without(levels: Levels, factor: string): Levels {
  const { [factor]: _, ...rest } = levels;
  return rest;
}

function groupsBy<T>(list: readonly T[], keyOf: (one: T) => Levels) {
  const groups = new Map<string, { readonly key: Levels; readonly members: T[] }>();
  for (const one of list) {
    const key = keyOf(one);
    const name = JSON.stringify(key);
    const group = groups.get(name) ?? { key, members: [] };
    group.members.push(one);
    groups.set(name, group);
  }
  return [...groups.values()];
}

function costsAlike(rows: readonly Row[]): boolean {
  const costs = rows.map(({ cell }) => cell.gmacs);
  return Math.max(...costs) <= LIKE_COST * Math.min(...costs);
}

function choiceOf(metric: Metric, { rows, pairs, ...group }: Group, told: Told): Choice {
  const value = ({ score }: Row): number => turned(metric, score).value;
  const [best, ...rest] = [...rows].sort((a, b) => value(b) - value(a)) as [Row, ...Row[]];
  const verdict = (better: Row, other: Row): Verdict =>
    pairedVerdict(metric, pairs, better, other) ?? told(better, other);
  const near = [best, ...rest.filter((row) => !verdict(best, row).isTold)];
  const next = rest.find((row) => verdict(best, row).isTold);
  const good = near.filter((row, at) => !near.slice(0, at).some((one) => verdict(one, row).isTold));
  const cheapest = good.reduce((a, b) => (b.cell.gmacs < a.cell.gmacs ? b : a));
  const take = best.cell.gmacs > LIKE_COST * cheapest.cell.gmacs ? cheapest : best;
  const ends = (of: (cell: FoundCell) => number): readonly [number, number] => {
    const all = rows.map(({ cell }) => of(cell));
    return [Math.min(...all), Math.max(...all)];
  };
  return {
    ...group,
    samples: ends(({ samples }) => samples),
    gmacs: ends(({ gmacs }) => gmacs),
    take: take.level,
    alike: good.filter((row) => row !== take).map(({ level }) => level),
    levels: rows.length,
    lead: next && leadOf(best, next, verdict(best, next)),
  };
}

const leadOf = ({ level }: Row, next: Row, { gap, words }: Verdict): Lead => ({
  ...{ level, over: next.level },
  ...{ gap, words },
});

/** The study's own verdict on two levels, the better mean first; undefined where it has none. */
function pairedVerdict(
  { better }: Metric,
  pairs: Group["pairs"],
  { level }: Row,
  other: Row,
): Verdict | undefined {
  const pair = pairs.find(
    ({ first, second }) =>
      (first === level && second === other.level) || (first === other.level && second === level),
  );
  if (pair === undefined) return undefined;
  const { value, low, high, words } = pair;
  const isAsIs = (pair.first === level) === (better === "higher");
  return {
    gap: isAsIs ? { value, low, high } : { value: -value, low: -high, high: -low },
    isTold: pair.verdict === (pair.first === level ? "first" : "second"),
    words,
  };
}

type Told = (best: Row, other: Row) => Verdict;

/** Standard errors in half of an interval of 95 %. */
const HALF_WIDTH = normalQuantile(0.975);

/**
 * Verdicts where the study has none, out of two intervals: a normal test of their difference, corrected (Holm) over all pairs of all such
 * groups. Both were scored on the same items, which such a test does not use: it tells fewer apart than a paired one.
 */
function unpairedVerdicts(metric: Metric, groups: readonly Group[]): Told {
  const all = groups
    .filter(({ pairs }) => pairs.length === 0)
    .flatMap(({ rows }) => rows.flatMap((a, at) => rows.slice(at + 1).map((b) => [a, b] as const)));
  const adjusted = holm(
    all.map(([a, b]) => {
      const { value, low, high } = gapOf(metric, a.score, b.score);
      const error = (high - low) / 2 / HALF_WIDTH;
      return error > 0 ? normalTails(value / error) : value === 0 ? 1 : 0;
    }),
  );
  const known = new Map<Row, Map<Row, number>>();
  for (const [at, [a, b]] of all.entries())
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const)
      known.set(one, (known.get(one) ?? new Map<Row, number>()).set(other, adjusted[at]!));
  return (best, other) => ({
    gap: gapOf(metric, best.score, other.score),
    isTold: (known.get(best)?.get(other) ?? 1) < 0.05,
    words: undefined,
  });
}
