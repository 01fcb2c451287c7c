/** What to take for how much, as lists and tables: the frontier's points, and the choices of single factors. */

import { comparedNumber } from "../../evaluate/compare.js";
import type { Metric } from "../../evaluate/tasks/task.js";
import type { Choice, Lead } from "../../study/together/decisions.js";
import type { FrontierPoint, Luck } from "../../study/together/frontier.js";
import { type Combination, type Gap, levelWords, type SharedScore } from "../../study/together/shared.js";
import { type Html, type HtmlChild, html } from "../page/html.js";
import { wide } from "../page/sections.js";
import { clock } from "../study/figures.js";
import { type ComputeUnit, inUnit, what } from "./overlay.js";

/** Rivals that are named; of more only the number is told. */
const NAMED = 2;

const pointsOf = ({ kind }: Metric): string => (kind === "share" ? " points" : "");
const scoreWords = (metric: Metric, { value, low, high }: Gap): string => {
  const number = (x: number): string => comparedNumber(metric, x);
  return `${number(value)}${metric.kind === "share" ? " %" : ""} (${number(low)} to ${number(high)})`;
};
/** `1.2 points (0.5 to 1.9)`. */
const gapWords = (metric: Metric, { value, low, high }: Gap): string => {
  const number = (x: number): string => comparedNumber(metric, x).replace("-", "−");
  return `${number(value)}${pointsOf(metric)} (${number(low)} to ${number(high)})`;
};

/** The steps beyond noise as sentences: with so many multiply-adds take this. */
export function stepsList(
  { metric, set }: SharedScore,
  points: readonly FrontierPoint[],
  unit: ComputeUnit,
): Html {
  const steps = points.filter(({ isStep }) => isStep);
  if (steps.length === 0)
    return html`<p>No combination is better than guessing by more than its interval.</p>`;
  return html`<ol class="plain steps">${steps.map(
    ({ combination }) =>
      html`<li>With <b>${inUnit(combination.cell.gmacs, unit)} · ${unit.name}</b> multiply-adds take <b>${what(combination)}</b> <span class="quiet">(${combination.study})</span>: ${metric.words} on ${set} ${scoreWords(metric, combination.score)}.</li>`,
  )}</ol>`;
}

/** Every point of the frontier, and what is sure of it. */
export function frontierTable(
  { metric, set }: SharedScore,
  points: readonly FrontierPoint[],
  unit: ComputeUnit,
): Html {
  const columns = [
    `multiply-adds, ${unit.name}`,
    "training",
    `${metric.words} on ${set}`,
    "what",
    "study, seeds",
    "beyond noise?",
  ];
  return table(
    `Frontier of ${metric.words} on ${set}`,
    columns,
    points.map((point) => {
      const { cell, score, study, also } = point.combination;
      return [
        inUnit(cell.gmacs, unit),
        clock(cell.seconds),
        scoreWords(metric, score),
        what(point.combination),
        `${[study, ...also].join(" and ")}, ${cell.seeds.length}`,
        sureness(metric, point, unit),
      ];
    }),
  );
}

function sureness(
  metric: Metric,
  { isStep, before, guessing, rivals }: FrontierPoint,
  unit: ComputeUnit,
): Html {
  if (guessing) return html`<b>No</b>: made wider for so many looks, its interval reaches down to guessing.`;
  const others =
    rivals.length === 0
      ? "no other as cheap has an interval that overlaps with its own"
      : `as good for as little may be ${namesOf(rivals)}`;
  if (before === undefined) return html`<b>Yes</b>: better than guessing; ${others}.`;
  const at = `that for ${inUnit(before.combination.cell.gmacs, unit)}`;
  return isStep
    ? html`<b>Yes</b>: better than ${at} by ${gapWords(metric, before.gap)}; ${others}.`
    : html`<b>No</b>: its interval overlaps with ${at}, which may be as good: ${gapWords(metric, before.gap)}.`;
}

function namesOf(all: readonly Combination[]): string {
  const named = all.slice(0, NAMED).map((one) => `${what(one)} (${one.study})`);
  return all.length > NAMED ? `${named.join(", ")} and ${all.length - NAMED} more` : named.join(" and ");
}

/** That the best of many looks better than it is, and by how much at most likely. */
export function luckWords({ metric, combinations }: SharedScore, { best, rivals, excess }: Luck): string {
  const many = `The frontier is the best of ${combinations.length} looks at one test set, and winners of many looks are partly lucky: expect a little less of them with another seed and other pictures.`;
  if (rivals.length === 0)
    return `${many} The interval of the best, ${what(best)}, overlaps with no other's.`;
  return `${many} ${rivals.length === 1 ? "One other interval overlaps" : `${rivals.length} other intervals overlap`} with that of the best, ${what(best)}; were all of these equally good, the luckiest of them would look better than it is by ${comparedNumber(metric, excess)}${pointsOf(metric)}.`;
}

/** Choices of one kind, rows that say the same together. */
export function choicesTable(
  label: string,
  choices: readonly { readonly study: string; readonly metric: Metric; readonly choice: Choice }[],
  unit: ComputeUnit,
): Html {
  const rows: { study: string; metric: Metric; members: Choice[] }[] = [];
  for (const { study, metric, choice } of choices) {
    const last = rows.at(-1);
    if (last !== undefined && last.study === study && saysTheSame(last.members.at(-1)!, choice))
      last.members.push(choice);
    else rows.push({ study, metric, members: [choice] });
  }
  return table(
    label,
    ["study", "where", `multiply-adds, ${unit.name}`, "take", "as good", "how sure"],
    rows.map(({ study, metric, members }) => {
      const largest = members.at(-1)!;
      const isOpen = largest.alike.length + 1 === largest.levels;
      return [
        study,
        whereOf(members),
        rangeOf(
          members.flatMap(({ gmacs }) => gmacs),
          unit,
        ),
        isOpen ? html`cannot be told` : html`<b>${largest.take}</b>`,
        isOpen ? `all ${largest.levels}` : largest.alike.join(", ") || "–",
        surenessOf(metric, members),
      ];
    }),
  );
}

/** Whether two choices are one row: the same regimes, verdicts and best. */
const saysTheSame = (a: Choice, b: Choice): boolean => {
  const isOpen = ({ alike, levels }: Choice): boolean => alike.length + 1 === levels;
  const key = ({ regimes, take, alike, lead }: Choice): string =>
    JSON.stringify([regimes, take, [...alike].sort(), lead?.level, lead?.over]);
  return isOpen(a) && isOpen(b)
    ? JSON.stringify(a.regimes) === JSON.stringify(b.regimes) && a.levels === b.levels
    : key(a) === key(b);
};

/** Regimes and the other factors' levels, from the first to the last. */
function whereOf(members: readonly Choice[]): string {
  const [first, last] = [members[0]!, members.at(-1)!];
  const others = Object.keys(first.others).map((factor) => {
    const [from, to] = [first, last].map(({ others: all }) => all[factor]!) as [string, string];
    const words = levelWords({ [factor]: from });
    return from === to ? words : `${words} to ${to}`;
  });
  return [first.regimes.join(" and "), ...others].filter((text) => text !== "").join("; ") || "–";
}

function rangeOf(gmacs: readonly number[], unit: ComputeUnit): string {
  const [least, most] = [Math.min(...gmacs), Math.max(...gmacs)].map((x) => inUnit(x, unit));
  return least === most ? least! : `${least} – ${most}`;
}

function surenessOf(metric: Metric, members: readonly Choice[]): HtmlChild {
  const { lead, take } = members.at(-1)!;
  if (lead === undefined) return "None can be told from the best mean.";
  const heads = [
    ...(members.length === 1 ? [] : ["at the most multiply-adds"]),
    ...(lead.level === take ? [] : ["the best mean"]),
  ].join(", ");
  const head = heads === "" ? "" : `${heads[0]!.toUpperCase()}${heads.slice(1)}: `;
  const words = `${head}${leadWords(metric, lead)}`;
  return `${words}.`;
}

/** The study's own sentence, where the difference is paired. */
const leadWords = (metric: Metric, { level, over, gap, words }: Lead): string =>
  words ?? `${level} is better than ${over} by ${gapWords(metric, gap)}, not paired`;

/** A table that scrolls by itself where the screen is narrow; the first column is the rows' heads. */
function table(label: string, columns: readonly string[], rows: readonly (readonly HtmlChild[])[]): Html {
  return wide(
    label,
    html`<table class="told"><thead><tr>${columns.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map(
      ([head, ...cells]) =>
        html`<tr><th scope="row">${head}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`,
    )}</tbody></table>`,
  );
}
