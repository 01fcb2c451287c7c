/** The answer in lines for a terminal. */

import { comparedNumber, verdictWords } from "../../evaluate/compare.js";
import type { Interval } from "../../evaluate/statistics/bootstrap.js";
import type { HalvingReport } from "../halving/brackets.js";
import type { Answer, Curve } from "./answer.js";

/** The answer, a line a statement; those that belong under another begin with two spaces. */
export function answerLines({
  metric,
  over,
  panels,
  curves,
  crossings,
  repetitions,
  halvings,
  frontier: best,
}: Answer): readonly string[] {
  const number = (x: number): string => comparedNumber(metric, x);
  const words = ({ value, low, high }: Interval): string =>
    `${number(value)} (${number(low)} to ${number(high)})`;
  const lines: string[] = [];
  for (const { regime, others, rows, pairs } of panels) {
    const fixed = Object.entries(others).map(([factor, level]) => `${factor} ${level}`);
    lines.push([regime, ...fixed].join(", "));
    for (const { level, score, seeds } of rows)
      lines.push(`  ${level}  ${words(score)}, ${seeds.length === 1 ? "1 seed" : `${seeds.length} seeds`}`);
    for (const pair of pairs) lines.push(`  ${verdictWords(pair, metric)}`);
  }
  for (const halving of halvings) lines.push(...halvingLines(halving, number));
  for (const { regime, level, fit } of curves)
    if (!("refused" in fit)) lines.push(`${level}, ${regime}: ${lawWords(fit)}`);
  lines.push(...refusedLines(curves));
  for (const { level, fit } of repetitions)
    lines.push(`${level}, samples seen again and again: ${lawWords(fit)}`);
  for (const { regime, first, second, found } of crossings)
    lines.push(
      "unknown" in found
        ? `${first} and ${second}, ${regime}: ${found.unknown}`
        : `${found.overtakes === "second" ? second : first} overtakes ${found.overtakes === "second" ? first : second} at ${amount(found.x, over)} (${amount(found.low, over)} to ${amount(found.high, over)}), ${regime}`,
    );
  if (best.length > 0) {
    lines.push("Worth their compute (no run is as good for as few multiply-adds):");
    for (const { cell, score, gmacs } of best)
      lines.push(
        `  ${Object.values(cell.levels).join(", ")}; ${cell.regimes.join(" and ")}: ${words(score)} for ${amount(gmacs, "gmacs")}`,
      );
  }
  return lines;
}

/** Curves that cannot be drawn, those for the same reason in one line. */
function refusedLines(curves: readonly Curve[]): readonly string[] {
  const byReason = new Map<string, Curve[]>();
  for (const curve of curves)
    if ("refused" in curve.fit)
      byReason.set(curve.fit.refused, [...(byReason.get(curve.fit.refused) ?? []), curve]);
  const distinct = (names: readonly string[]): string => [...new Set(names)].join(", ");
  return [...byReason].map(
    ([reason, of]) =>
      `No curve of ${distinct(of.map(({ level }) => level))} (${distinct(of.map(({ regime }) => regime))}): ${reason}`,
  );
}

/** A law with its numbers, and what is to be known of it; or why there is none. */
function lawWords(fit: Curve["fit"]): string {
  if ("refused" in fit) return fit.refused;
  const three = (x: number): string => String(Number(x.toPrecision(3)));
  const numbers = fit.parameters.map(
    ({ name, value, low, high, unknown }) =>
      `${name} ${unknown === undefined ? `${three(value)} (${three(low)} to ${three(high)})` : `is not known: ${unknown}`}`,
  );
  return [fit.law.formula, ...numbers, ...fit.warnings.map((warning) => `beware: ${warning}`)].join("; ");
}

/** What was spent, with its unit: `8,200 samples`, `46.5 · 10⁶ multiply-adds`, `90 s`. */
function amount(x: number, over: Answer["over"]): string {
  const three = (value: number): string => value.toLocaleString("en-US", { maximumSignificantDigits: 3 });
  if (over === "samples") return `${three(x)} samples`;
  if (over === "seconds") return `${three(x)} s`;
  const { gmacs, power } = computeUnit(x);
  return `${three(x / gmacs)} · ${power} multiply-adds`;
}

/** The power of ten in which `x`, 10⁹ multiply-adds, is told, and how many 10⁹ it is. */
export function computeUnit(x: number): { readonly gmacs: number; readonly power: string } {
  const units = [
    { gmacs: 1e6, power: "10¹⁵" },
    { gmacs: 1e3, power: "10¹²" },
    { gmacs: 1, power: "10⁹" },
  ];
  return units.find(({ gmacs }) => x >= gmacs) ?? { gmacs: 1e-3, power: "10⁶" };
}

/** Where each arm was stopped, the best first: scores at the rungs are over seeds. */
function halvingLines(
  { regime, others, arms, shares, saved }: HalvingReport,
  number: (x: number) => string,
): readonly string[] {
  if (shares.length === 0) return [];
  const percent = (share: number): string => `${Math.round(100 * share)} %`;
  const fixed = Object.entries(others).map(([factor, level]) => `${factor} ${level}`);
  const words = { "goes on": "goes on to", waits: "waits at", stopped: "stopped at" } as const;
  return [
    `${[regime, ...fixed].join(", ")}: arms compared at ${shares.map(percent).join(" and ")} of the run, ${percent(saved)} of the training saved`,
    ...arms.map(({ level, scores, standing: { state, rung } }) => {
      const there = scores.flatMap((score) => (score === undefined ? [] : [number(score)]));
      const where = rung === shares.length ? "the end" : percent(shares[rung]!);
      return `  ${[level, ...there].join("  ")}, ${words[state]} ${where}`;
    }),
  ];
}
