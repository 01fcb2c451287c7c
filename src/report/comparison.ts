/** The page about recipes compared: scores and paired differences with their intervals, verdicts, and what sets recipes apart. */

import { comparedNumber, type MetricComparison, verdictWords } from "../evaluate/compare.js";
import { metricWords } from "../evaluate/records.js";
import type { EffectiveScores } from "../evaluate/suites/shifts.js";
import { type Html, html } from "./page/html.js";
import { axisAround, intervalChart } from "./page/intervals.js";
import { factsSection, notesSection, writePage } from "./page/page.js";
import { tableSection } from "./page/sections.js";

export interface ComparisonPage {
  /** The recipes, and the folders of their runs. */
  readonly groups: readonly { readonly name: string; readonly runs: readonly string[] }[];
  /** What differs between them: a row each, the setting's name first, then a value for each of `groups`. */
  readonly differences: readonly (readonly string[])[];
  readonly comparisons: readonly MetricComparison[];
  /** Of a suite with shifts, where the runs draw a line. */
  readonly robustness?: readonly EffectiveScores[];
  /** The command line that makes the page. */
  readonly command?: string;
}

/** The comparison as one HTML document that loads nothing. */
export function writeComparison({
  groups,
  differences,
  comparisons,
  robustness = [],
  command,
}: ComparisonPage): string {
  const names = groups.map(({ name }) => name);
  const title = `${names.slice(0, -1).join(", ")} and ${names.at(-1)!} compared`;
  const pairs = comparisons.flatMap((comparison) => comparison.pairs);
  const told = pairs.filter(({ verdict }) => verdict !== "cannot be told apart").length;
  const single = groups.every(({ runs }) => runs.length === 1);
  return writePage(
    title,
    html`<header><h1>${title}</h1><p class="summary">${told} of ${pairs.length} ${
      pairs.length === 1 ? "difference is" : "differences are"
    } more than chance.${
      single && " Each recipe has one run: this speaks of these runs, not of their recipes with another seed."
    }</p></header>
${comparisons.map(metricSection)}
${robustness.map((scores) => tableSection(robustnessTable(scores)))}
${
  differences.length > 0 &&
  tableSection({
    title: "What sets them apart",
    sentence: "Settings in which the recipes differ, and what their first runs came to.",
    columns: ["", ...names],
    rows: differences,
  })
}
${factsSection("The runs", [
  ...groups.map(({ name, runs }) => ({ name, value: runs.join(", ") })),
  ...(command === undefined ? [] : [{ name: "command", value: command }]),
])}
${notesSection([
  "Every difference is paired: both recipes are scored on the same items, and what is averaged is their difference on each. Bars are 95 % intervals over the items and, where a recipe has several runs, over its seeds too.",
  "A verdict needs p below 0.05 after Holm's correction over all pairs and metrics of this page. Without the correction one in twenty equal pairs would look different.",
  "Overlapping bars of two scores do not mean that they are equal: the differences below them decide.",
])}`,
  );
}

function metricSection({ dataset, metric, n, recipes, pairs }: MetricComparison): Html {
  const number = (x: number): string => comparedNumber(metric, x);
  const signed = (x: number): string => `${x > 0 ? "+" : ""}${number(x).replace("-", "−")}`;
  const unit = metric.kind === "share" ? " %" : "";
  const scores = recipes.map(({ recipe, runs, score }) => ({
    name: recipe,
    interval: score,
    value: `${number(score.value)}${unit}`,
    detail: `${number(score.low)} – ${number(score.high)} · ${runs.length === 1 ? "one run" : `${runs.length} runs`}`,
  }));
  const differences = pairs.map((pair) => ({
    name: `${pair.first} − ${pair.second}`,
    interval: pair,
    mark: { at: 0, title: "no difference" },
    quiet: pair.verdict === "cannot be told apart",
    value: signed(pair.value),
    detail: `${signed(pair.low)} to ${signed(pair.high)} · p ${pair.adjusted.toPrecision(2)}${
      pair.mcNemar === undefined ? "" : ` · McNemar ${pair.mcNemar.p.toPrecision(2)}`
    }`,
  }));
  return html`<section><h2>${dataset}, ${metric.words}</h2>
<p class="lead">${metric.doc} ${n.toLocaleString("en-US")} items; ${metric.better} is better.</p>
<div class="scores">${intervalChart(
    scores,
    axisAround(
      recipes.map(({ score }) => score),
      metric,
    ),
  )}</div>
<div class="scores"><h3>Paired differences${metric.kind === "share" && ", in points"}</h3>
${intervalChart(differences, axisAround([...pairs, { low: 0, high: 0 }], metric))}
<ul class="verdicts">${pairs.map((pair) => html`<li>${verdictWords(pair, metric)}.</li>`)}</ul></div></section>`;
}

/** Each run's scores on reference and shifts, and how far it lies above the runs' line. */
export function robustnessTable({ metric, dataset, line, models }: EffectiveScores) {
  const percent = (share: number): string => (100 * share).toFixed(1);
  const [slope, intercept] = [line.slope.toFixed(2), signed(line.intercept, 2)];
  return {
    title: `Effective robustness: ${dataset}, ${metricWords(metric)}`,
    sentence: `The line through ${line.models} runs: logit(shifts) = ${slope} · logit(reference) ${intercept}, which explains ${percent(line.r2)} % of what varies. Intervals are over the runs that draw it.`,
    columns: ["", "reference, %", "shifts, %", "above the line, points", "95 % interval"],
    rows: models.map(({ name, reference, shifted, above }) => [
      name,
      percent(reference),
      percent(shifted),
      signed(100 * above.value, 1),
      `${signed(100 * above.low, 1)} to ${signed(100 * above.high, 1)}`,
    ]),
  };
}

const signed = (x: number, digits: number): string =>
  `${x < 0 ? "\u2212" : "+"}${Math.abs(x).toFixed(digits)}`;
