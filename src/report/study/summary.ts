/** What a study's runs say to its question, in sentences. */

import type { Metric } from "../../evaluate/tasks/task.js";
import type { Findings, FoundPanel } from "../../study/answer/findings.js";
import { shortNumber } from "../charts/scale.js";

/** A panel by the regimes that ask for its runs. */
export interface Panel extends FoundPanel {
  readonly name: string;
}

/** The panels, those of the most pairs and samples first; regimes that ask for the same runs together. */
export function panelsBySize({ panels, cells }: Findings): readonly Panel[] {
  const size = ({ regime, others }: FoundPanel): number =>
    Math.max(
      0,
      ...cells
        .filter(
          (cell) =>
            cell.regimes.includes(regime) &&
            Object.entries(others).every(([factor, level]) => cell.levels[factor] === level),
        )
        .map((cell) => cell.pairs * 1e12 + cell.samples),
    );
  const alike = new Map<string, FoundPanel[]>();
  for (const panel of [...panels].sort((a, b) => size(b) - size(a))) {
    const key = JSON.stringify([panel.others, panel.rows]);
    alike.set(key, [...(alike.get(key) ?? []), panel]);
  }
  return [...alike.values()].map((same) => {
    const regimes = same.map(({ regime }) => regime).join(" and ");
    const others = Object.entries(same[0]!.others).map(([factor, level]) => `${factor} ${level}`);
    return { ...same[0]!, name: [regimes, ...others].join(", ") };
  });
}

function bestOf({ rows }: FoundPanel, { better }: Metric) {
  return rows.reduce((a, b) =>
    (better === "higher" ? b.score.value > a.score.value : b.score.value < a.score.value) ? b : a,
  );
}

/** The answer in sentences; where the findings have none of a kind, there is none. */
export interface Answered {
  /** The best where most was seen, and whether it is told from the others. */
  readonly best: readonly string[];
  /** Where curves cross. */
  readonly crossings: readonly string[];
  /** How many differences are more than chance. */
  readonly told: readonly string[];
}

export function answered(findings: Findings, metric: Metric): Answered {
  const [largest] = panelsBySize(findings);
  const pairs = findings.panels.flatMap((panel) => panel.pairs);
  const told = pairs.filter(({ verdict }) => verdict !== "cannot be told apart").length;
  return {
    best: largest === undefined ? [] : [bestWords(largest, metric)],
    crossings: crossed(findings),
    told:
      pairs.length === 0
        ? []
        : [
            `${told} of ${pairs.length} ${pairs.length === 1 ? "difference is" : "differences are"} more than chance.`,
          ],
  };
}

/** Crossings that are told one by one. */
const FEW_CROSSINGS = 3;

function crossed(findings: Findings): readonly string[] {
  const known = findings.crossings.flatMap(({ found, ...one }) => ("x" in found ? [{ ...one, found }] : []));
  if (known.length <= FEW_CROSSINGS)
    return known.map(({ first, second, regime, found }) =>
      crossingWords(findings, first, second, regime, found),
    );
  const places = known.map(({ found }) => found.x);
  const [least, most] = [Math.min(...places), Math.max(...places)].map((x) => shortNumber(x));
  return [
    `${known.length} pairs of curves cross, between ${least} and ${most} ${UNITS[findings.question.over ?? "samples"]}.`,
  ];
}

function bestWords(panel: Panel, metric: Metric): string {
  const best = bestOf(panel, metric);
  const against = panel.pairs.filter(({ first, second }) => first === best.level || second === best.level);
  const open = against.filter(({ verdict }) => verdict === "cannot be told apart");
  const others = open.map(({ first, second }) => (first === best.level ? second : first));
  const verdict =
    against.length === 0
      ? ""
      : open.length === 0
        ? ", and is better than all others by more than chance"
        : `; it cannot be told apart from ${others.join(", ")}`;
  return `With ${panel.name}, ${best.level} has the best score${verdict}.`;
}

/** What curves are over, in words. */
export const UNITS = { samples: "samples", gmacs: "GMACs", seconds: "seconds" } as const;

/** Where one curve overtakes another. */
export function crossingWords(
  { question }: Findings,
  first: string,
  second: string,
  regime: string,
  found: { readonly x: number; readonly low: number; readonly high: number; readonly overtakes: string },
): string {
  const [winner, other] = found.overtakes === "second" ? [second, first] : [first, second];
  return `${winner} overtakes ${other} at ${shortNumber(found.x)} ${UNITS[question.over ?? "samples"]} (${shortNumber(found.low)} to ${shortNumber(found.high)}), ${regime}.`;
}
