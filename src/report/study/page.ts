/** The page of a study: its answer, its figures beside the paper's, what it took, and what is missing. */

import { join } from "node:path";
import { writeFileAtomic } from "../../core/files.js";
import { comparedNumber } from "../../evaluate/compare.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import type { Metric } from "../../evaluate/tasks/task.js";
import { type Findings, type FoundPanel, readFindings } from "../../study/answer/findings.js";
import { paperFacts } from "../../study/paper/facts.js";
import { type PaperExperiment, paperSource } from "../../study/paper/paper.js";
import type { Spent } from "../../study/run/costs.js";
import { shortNumber } from "../charts/scale.js";
import { type Html, html } from "../page/html.js";
import { axisAround, intervalChart } from "../page/intervals.js";
import { factsSection, headlineList, notesSection, writePage } from "../page/page.js";
import { clock, combination, costsOf, frontierOf, paperFrontier, Styles } from "./figures.js";
import { curvesSection, repetitionSection } from "./laws.js";
import { measuresOf } from "./measures.js";
import { beside, comparisonsOf, coursesOf, section } from "./rows.js";
import { studyStyle } from "./style.js";
import { answered, type Panel, panelsBySize } from "./summary.js";
import { experimentOf, levelsOf } from "./views.js";

/** Panels of levels that are shown; the others are folded. */
const SHOWN_PANELS = 3;

export interface StudyPageOptions {
  /** The command line that makes the page. */
  readonly command?: string | undefined;
}

/** Writes the page of the study in `folder`, of its `findings.json`, and gives the file's path. Throws `UsageError` where it has none. */
export function writeStudyPage(folder: string, file = join(folder, "index.html")): string {
  // The same command, whichever wrote it: pages are compared as diffs.
  const command = `clipwright report ${folder}`;
  writeFileAtomic(file, studyPage(readFindings(folder), { command }));
  return file;
}

/** The page as one HTML document that loads nothing. */
export function studyPage(findings: Findings, { command }: StudyPageOptions = {}): string {
  const metric = findMetric(findings.score.metric)!;
  const measures = measuresOf(findings);
  const styles = new Styles(levelsOf(findings, findings.question.factor));
  const experiment = experimentOf(findings);
  const { best, crossings, told } = answered(findings, metric);
  const summary = [...best, ...crossings, ...told].join(" ");
  return writePage(
    findings.question.text,
    html`<header><h1>${findings.question.text}</h1><p class="summary">${summary}</p>
${headlineList(headlines(findings, metric))}</header>
${panelsSection(findings, metric)}
${measures.map((measure) =>
  section(measure.title, "Errors: the lower, the better.", coursesOf(findings, measure, experiment, styles)),
)}
${curvesSection(findings)}
${repetitionSection(findings, measures[0]!)}
${section(
  "Other scores against this one",
  "Whether what is better by one score is better by the others too.",
  comparisonsOf(findings, measures, experiment, styles),
)}
${section(
  "Score against compute",
  "Which combinations are worth their multiply-adds (forward passes of training, both towers, 10⁹).",
  beside(
    frontierOf(findings, measures[0]!, styles),
    experiment === undefined ? undefined : paperFrontier(experiment, styles),
  ),
)}
${costsSection(findings, styles)}
${leftSection(findings)}
${experiment && paperSection(experiment)}
${factsSection("The study", factsOf(findings, command))}
${notesSection(experiment === undefined ? notes : [...notes, paperNote])}`,
    studyStyle,
  );
}

const notes = [
  "Intervals hold the true mean 95 times in a hundred, over other seeds and other test items of the same kind; where a combination has one seed, over other items alone.",
  "Differences are paired: levels are scored on the same items, and what is averaged is their difference on each. A verdict needs p below 0.05 after Holm's correction over all comparisons of the study. Overlapping whiskers do not mean that two levels are equal: the verdicts decide.",
];

const paperNote =
  "The paper's runs see up to 3.4 · 10⁹ samples of its own data, scored on ImageNet and COCO. Its curves stand here for their shape: at which place levels change order, and where they level off. Its errors and one's own are not of the same test.";

const seedWords = (count: number): string => (count === 1 ? "1 seed" : `${count} seeds`);

function headlines(findings: Findings, metric: Metric) {
  const { cells, left, score } = findings;
  const runs = cells.reduce((sum, { seeds }) => sum + seeds.length, 0);
  const seconds = cells.reduce((sum, cell) => sum + cell.seeds.length * cell.seconds, 0);
  const gmacs = cells.reduce((sum, cell) => sum + cell.seeds.length * cell.gmacs, 0);
  const failed = left.filter((one) => one.failed !== undefined).length;
  const missing = [
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(left.length > failed ? [`${left.length - failed} not done`] : []),
  ];
  const scores = cells.flatMap((cell) =>
    cell.scores
      .filter((one) => one.dataset === score.set && one.metric === score.metric)
      .map((one) => ({ cell, one })),
  );
  const best = scores.reduce((a, b) =>
    (metric.better === "higher" ? b.one.value > a.one.value : b.one.value < a.one.value) ? b : a,
  );
  const number = (x: number): string => comparedNumber(metric, x);
  return [
    {
      value: `${number(best.one.value)}${metric.kind === "share" ? " %" : ""}`,
      label: `Best ${metric.words} on ${score.set}`,
      detail: `${number(best.one.low)} – ${number(best.one.high)}; ${combination(best.cell)}`,
    },
    {
      value: `${runs}`,
      label: "Runs",
      detail: `${cells.length} combinations${missing.length === 0 ? ", none missing" : `; ${missing.join(", ")}`}`,
    },
    { value: clock(seconds), label: "Training", detail: "all runs together, without scoring" },
    { value: shortNumber(gmacs), label: "GMACs", detail: "10⁹ multiply-adds of the forward passes" },
  ];
}

function panelsSection(findings: Findings, metric: Metric): Html | undefined {
  const panels = panelsBySize(findings);
  if (panels.length === 0) return undefined;
  const blocks = panels.map((panel) => panelBlock(panel, metric));
  const folded = blocks.slice(SHOWN_PANELS);
  return html`<section id="levels"><h2>Levels of ${findings.question.factor} compared</h2>
<p class="lead">${metric.words} on ${findings.score.set}; ${metric.better} is better. ${metric.doc} Everything but the ${findings.question.factor} is alike in each list.</p>
${blocks.slice(0, SHOWN_PANELS)}
${folded.length > 0 && html`<details class="rest"><summary>${folded.length} more ${folded.length === 1 ? "comparison" : "comparisons"}</summary>${folded}</details>`}</section>`;
}

function panelBlock(panel: Panel, metric: Metric): Html {
  const number = (x: number): string => comparedNumber(metric, x);
  const rows = panel.rows.map(({ level, seeds, score }) => ({
    name: level,
    interval: score,
    value: `${number(score.value)}${metric.kind === "share" ? " %" : ""}`,
    detail: `${number(score.low)} – ${number(score.high)} · ${seedWords(seeds)}`,
  }));
  return html`<div class="scores"><h3>${panel.name}</h3>${intervalChart(
    rows,
    axisAround(
      panel.rows.map(({ score }) => score),
      metric,
    ),
  )}${verdicts(panel)}</div>`;
}

/** Verdicts that are told in whole sentences; more of them are told shortly, with the sentences folded. */
const FEW_PAIRS = 3;
/** Of more than so many only what cannot be told apart is named. */
const MANY_PAIRS = 15;

function verdicts({ pairs }: FoundPanel): Html | undefined {
  if (pairs.length === 0) return undefined;
  const sentences = html`<ul class="verdicts">${pairs.map(({ words }) => html`<li>${words}.</li>`)}</ul>`;
  if (pairs.length <= FEW_PAIRS) return sentences;
  const told = pairs.filter(({ verdict }) => verdict !== "cannot be told apart");
  const alike = pairs.filter(({ verdict }) => verdict === "cannot be told apart");
  const orders = told.map(({ first, second, verdict }) =>
    verdict === "first" ? `${first} > ${second}` : `${second} > ${first}`,
  );
  const named =
    pairs.length > MANY_PAIRS
      ? `${told.length} of ${pairs.length} pairs, each for the one with the better mean`
      : orders.join("; ");
  const lead = pairs.length > MANY_PAIRS ? ": " : ", the better first: ";
  return html`<ul class="verdicts">${told.length > 0 && html`<li><b>Told apart</b>${lead}${named}.</li>`}${
    alike.length > 0 &&
    html`<li><b>Cannot be told apart</b>: ${alike.map(({ first, second }) => `${first} and ${second}`).join("; ")}.</li>`
  }</ul><details><summary>By how much</summary>${sentences}</details>`;
}

function costsSection(findings: Findings, styles: Styles): Html | undefined {
  const known = findings.cells.flatMap(({ spent }) => spent ?? []);
  const sum = (of: (spent: Spent) => number): number => known.reduce((all, spent) => all + of(spent), 0);
  const [foretold, real] = [sum((spent) => spent.predictedSeconds), sum((spent) => spent.seconds)];
  const runs = sum((spent) => spent.runs);
  return section(
    "What it took",
    `Of ${runs} ${runs === 1 ? "run" : "runs"} in one sitting each, beginning, training and scoring: ${clock(foretold)} were foretold when they began; they took ${clock(real)}, ${Math.abs((100 * (real - foretold)) / foretold).toFixed(0)} % ${real < foretold ? "less" : "more"}.`,
    beside(costsOf(findings, styles)),
  );
}

function leftSection({ left }: Findings): Html | undefined {
  if (left.length === 0) return undefined;
  const failed = left.filter((one) => one.failed !== undefined);
  const open = left.length - failed.length;
  return html`<section id="missing"><h2>What is missing</h2>
<p class="lead">${left.length} ${left.length === 1 ? "run is" : "runs are"} in no figure of this page.${
    open > 0 && ` ${open} ${open === 1 ? "is" : "are"} not done yet: the same command goes on.`
  }</p>
<ul class="plain failed">${failed.map((one) => html`<li><b>${combination(one)}; seed ${one.seed}</b> failed: ${one.failed}</li>`)}</ul>
${
  open > 0 &&
  html`<details><summary>Not done</summary><ul class="plain">${left
    .filter((one) => one.failed === undefined)
    .map((one) => html`<li>${combination(one)}; seed ${one.seed}</li>`)}</ul></details>`
}</section>`;
}

function paperSection(experiment: PaperExperiment): Html {
  const facts = paperFacts.filter((fact) => fact.experiment === experiment);
  return html`<section id="paper"><h2>What the paper found: ${experiment}</h2>
<p class="lead"><a href="${paperSource.address}">${paperSource.title}</a>, ${paperSource.authors}, ${paperSource.year}.</p>
<ul class="plain">${facts.map(
    ({ text, by }) =>
      html`<li>${text}${by === "figure" && html` <span class="quiet">(read off its figures)</span>`}</li>`,
  )}</ul></section>`;
}

function factsOf(findings: Findings, command: string | undefined) {
  const { factors, regimes, seeds, score, sets } = findings;
  return [
    ...factors.map(({ name, levels }) => ({ name, value: levels.map((level) => level.name).join(", ") })),
    { name: "regime", value: regimes.map(({ name }) => name).join(", ") },
    { name: "seeds", value: seeds.join(", ") },
    { name: "score", value: `${score.set}/${score.metric}` },
    {
      name: "sets",
      value: sets.map(({ name, role }) => (role === "test" ? name : `${name} (${role})`)).join(", "),
    },
    ...(command === undefined ? [] : [{ name: "command", value: command }]),
  ];
}
