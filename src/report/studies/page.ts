/** The page of several studies: everything they ran over each other, what to take for how much, and what each came to. */

import { existsSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { writeFileAtomic } from "../../core/files.js";
import { comparedNumber } from "../../evaluate/compare.js";
import { findMetric } from "../../evaluate/tasks/index.js";
import { type Findings, readStudies } from "../../study/answer/findings.js";
import { paperFacts } from "../../study/paper/facts.js";
import { type Choice, type ChoiceKind, choicesOf } from "../../study/together/decisions.js";
import { frontierPoints, luckOf } from "../../study/together/frontier.js";
import { type SharedScore, sharedScores } from "../../study/together/shared.js";
import { shortNumber } from "../charts/scale.js";
import { groupBy } from "../charts/series.js";
import { type Html, html } from "../page/html.js";
import { factsSection, headlineList, notesSection, writePage } from "../page/page.js";
import { type Drawing, draw } from "../study/draw.js";
import { clock } from "../study/figures.js";
import { type Measure, measuresOf } from "../study/measures.js";
import { studyStyle } from "../study/style.js";
import { answered } from "../study/summary.js";
import { experimentOf } from "../study/views.js";
import { type ComputeUnit, overlayOf, paperOverlay, unitFor, what } from "./overlay.js";
import { choicesTable, frontierTable, luckWords, stepsList } from "./tables.js";

export interface StudiesPageOptions {
  /** The command line that makes the page. */
  readonly command?: string | undefined;
  /** Addresses of the studies' own pages, by their names. */
  readonly links?: Readonly<Record<string, string>> | undefined;
}

/** Writes the page of the studies in `folder`, and gives the file's path. It links those that have a page there. Throws `UsageError`. */
export function writeStudiesPage(folder: string, file = join(folder, "index.html")): string {
  const studies = readStudies(folder);
  const links = studies.flatMap(({ name }) => {
    const page = join(folder, name, "index.html");
    const parts = relative(dirname(file), page).split(sep);
    return existsSync(page) ? [[name, parts.map(encodeURIComponent).join("/")] as const] : [];
  });
  const options = { command: `clipwright report ${folder}`, links: Object.fromEntries(links) };
  writeFileAtomic(file, studiesPage(studies, options));
  return file;
}

/** The page as one HTML document that loads nothing. Throws `UsageError` for no study, and for two of one name. */
export function studiesPage(
  studies: readonly Findings[],
  { command, links = {} }: StudiesPageOptions = {},
): string {
  const shared = sharedScores(studies);
  const measures = shared.map(measureOf);
  // The paper's stands once, beside the first that it is like.
  const beside = measures.findIndex(({ paper }) => paper === "zero-shot");
  const unit = unitFor(studies.flatMap(({ cells }) => cells.map(({ gmacs }) => gmacs)));
  const title = studies.length === 1 ? "What one study came to" : `What ${studies.length} studies came to`;
  return writePage(
    title,
    html`<header><h1>${title}</h1><p class="summary">${shared.map(summaryOf).join(" ")}</p>
${headlineList(headlines(studies))}</header>
${shared.map((score, at) => scoreSection(score, measures[at]!, at === beside ? paperOverlay() : undefined, unit))}
${decisionsSection(studies, unit)}
${studiesSection(studies, links)}
${factsSection("This page", command === undefined ? [] : [{ name: "command", value: command }])}
${notesSection(notes)}`,
    `${studyStyle}${style}`,
  );
}

const style = `
.told td,.told th[scope=row]{vertical-align:top}.told th[scope=row]{color:var(--ink);font-size:inherit;white-space:nowrap}
.told td{min-width:90px}.told td:last-child{min-width:260px}
.wide+.caution{margin-top:20px}
.steps{margin-top:26px;font-size:17px}
.study{border-top:1px solid var(--line);padding:16px 0 10px}.study h3{font-size:17px;margin-bottom:4px}.study .quiet{font-size:14px}
.choice{margin-top:30px}
`;

const notes = [
  "Scores are compared across studies where they are of a set of the same name, by the same metric, over as many items. That these are the same pictures the studies' files must see to: sets that differ need different names.",
  "Multiply-adds are those of the forward passes of one run's training, both towers, as the paper counts compute; what a combination takes to be found, by its own study or another, is not in them. Costs within 5 % of each other count as alike.",
  "Intervals hold the true mean 95 times in a hundred, over other seeds and other test items of the same kind; where a combination has one seed, over other items alone: another seed may move it further.",
  "The frontier asks that intervals do not overlap, which is stricter than a test of the difference. Differences called “not paired” are computed from two intervals as if they were of different items (square and add); both were scored on the same ones, so they are wider than they need be. Verdicts on them are corrected (Holm) over all such comparisons of a study, verdicts of a study itself over all of its own.",
  "Combinations of two studies with the same cost and the same score to the last bit are the same runs, and count once.",
];

const ownSentence = ({ set, metric, combinations }: SharedScore): string =>
  `${combinations.length} combinations have ${metric.words} on ${set}`;

/** How much there is of a score, and the best of it. */
function summaryOf(shared: SharedScore): string {
  const { metric } = shared;
  const { best } = luckOf(shared);
  const steps = frontierPoints(shared).filter(({ isStep }) => isStep).length;
  const number = (x: number): string => comparedNumber(metric, x);
  const { value, low, high } = best.score;
  return `${ownSentence(shared)}; ${steps === 1 ? "one is a step" : `${steps} are steps`} up that more compute buys beyond noise. The best is ${what(best)} (${best.study}) with ${number(value)}${metric.kind === "share" ? " %" : ""} (${number(low)} to ${number(high)}).`;
}

function headlines(studies: readonly Findings[]) {
  const cells = studies.flatMap((study) => study.cells);
  const total = (of: (cell: Findings["cells"][number]) => number): number =>
    cells.reduce((sum, cell) => sum + cell.seeds.length * of(cell), 0);
  const left = studies.reduce((sum, study) => sum + study.left.length, 0);
  return [
    { value: `${studies.length}`, label: studies.length === 1 ? "Study" : "Studies" },
    {
      value: `${total(() => 1)}`,
      label: "Runs",
      detail: `${cells.length} combinations${left === 0 ? ", none missing" : `; ${left} runs missing`}`,
    },
    {
      value: clock(total(({ seconds }) => seconds)),
      label: "Training",
      detail: "all runs together, without scoring",
    },
    {
      value: shortNumber(total(({ gmacs }) => gmacs)),
      label: "GMACs",
      detail: "10⁹ multiply-adds of the forward passes",
    },
  ];
}

/** The score as a chart's axis, as a study has it that is decided by it. */
const measureOf = ({ set, metric, studies }: SharedScore): Measure =>
  measuresOf(studies.find(({ score }) => score.set === set && score.metric === metric.name)!)[0]!;

function scoreSection(
  shared: SharedScore,
  measure: Measure,
  paper: Drawing | undefined,
  unit: ComputeUnit,
): Html {
  const { set, metric, items, studies } = shared;
  const points = frontierPoints(shared);
  const overlay = overlayOf(shared, points, measure, unit);
  const charts = paper === undefined ? [overlay] : [overlay, paper];
  return html`<section><h2>What to take for how much: ${metric.words} on ${set}</h2>
<p class="lead">${metric.doc} ${metric.better === "higher" ? "Higher" : "Lower"} is better. ${items.toLocaleString("en-US")} items; of ${studies.map(({ name }) => name).join(", ")}.</p>
${cautions(studies).map((text) => html`<p class="caution">${text}</p>`)}
<div class="beside">${charts.map(draw)}</div>
${stepsList(shared, points, unit)}
${frontierTable(shared, points, unit)}
<p class="caution">${luckWords(shared, luckOf(shared))}</p></section>`;
}

/** What may set studies apart besides what they vary: the data that they were trained on. */
function cautions(studies: readonly Findings[]): readonly string[] {
  if (studies.length < 2) return [];
  const known = studies.filter(({ trainData }) => trainData !== undefined);
  const unknown = studies.filter(({ trainData }) => trainData === undefined);
  const sources = groupBy(known, ({ trainData }) => trainData!.join(", "));
  const namesOf = (all: readonly Findings[]): string => all.map(({ name }) => name).join(", ");
  return [
    ...(sources.length > 1
      ? [
          `These studies were trained on different data: ${sources.map((own) => `${own[0]!.trainData!.join(", ")} (${namesOf(own)})`).join("; ")}. Of two studies that are far apart, one may be ahead by its data.`,
        ]
      : []),
    ...(unknown.length > 0
      ? [
          `What they were trained on is not told by ${namesOf(unknown)}: where it is not the same, one may be ahead by its data. Their files, given to clipwright study again, write it down.`,
        ]
      : []),
  ];
}

interface StudyChoice {
  readonly study: Findings;
  readonly choice: Choice;
}

function decisionsSection(studies: readonly Findings[], unit: ComputeUnit): Html | undefined {
  const all = studies.flatMap((study) => choicesOf(study).map((choice): StudyChoice => ({ study, choice })));
  if (all.length === 0) return undefined;
  return html`<section id="decisions"><h2>Which level to take</h2>
<p class="lead">Of each factor the level with the best mean, everything else alike; or, where others cannot be told from it, the one of these that takes the fewest multiply-adds.</p>
${KINDS.flatMap((kind) =>
  groupBy(
    all.filter(({ choice }) => choice.kind === kind),
    ({ choice }) => choice.of,
  ).map((group) => choiceBlock(group, unit)),
)}</section>`;
}

/** In the order of the page. */
const KINDS: readonly ChoiceKind[] = ["asked", "passes", "budget", "other"];
/** What is chosen, where it is not what a study asks. */
const CHOSEN: Readonly<Record<ChoiceKind, string | undefined>> = {
  asked: undefined,
  passes: "How often to see the same pairs; twice as often costs twice as much.",
  budget: "Few pairs often, or many seldom: for the same multiply-adds.",
  other: "Varied beside what was asked; compared where all levels cost alike.",
};

function choiceBlock(group: readonly StudyChoice[], unit: ComputeUnit): Html {
  const { of, kind } = group[0]!.choice;
  const members = [...new Set(group.map(({ study }) => study))];
  const experiments = kind === "asked" ? members.map(experimentOf) : [];
  const facts = paperFacts.filter(({ experiment }) => experiments.includes(experiment));
  const scores = [...new Set(members.map(({ score }) => `${score.set}/${score.metric}`))];
  const lead = CHOSEN[kind] ?? members.map(({ question }) => question.text).join(" ");
  const rows = group.map(({ study, choice }) => ({
    ...{ study: study.name, choice },
    metric: findMetric(study.score.metric)!,
  }));
  const title = kind === "other" ? `${of}, at a like cost` : of;
  return html`<div class="choice"><h3>${title}</h3>
<p class="quiet">${lead} By ${scores.join(", ")}.</p>
${choicesTable(`Which to take: ${title}`, rows, unit)}
${
  facts.length > 0 &&
  html`<details><summary>What the paper found</summary><ul class="plain">${facts.map(
    ({ text, by }) =>
      html`<li>${text}${by === "figure" && html` <span class="quiet">(read off its figures)</span>`}</li>`,
  )}</ul></details>`
}</div>`;
}

/** Crossings that are told of a study; of more its own page tells. */
const MOST_CROSSINGS = 2;

function studiesSection(studies: readonly Findings[], links: Readonly<Record<string, string>>): Html {
  return html`<section id="studies"><h2>The studies</h2>${studies.map((study) => studyBlock(study, links[study.name]))}</section>`;
}

function studyBlock(study: Findings, link: string | undefined): Html {
  const { name, question, cells, seeds, score, left, factors, regimes } = study;
  const metric = findMetric(score.metric);
  const { best, crossings, told } =
    metric === undefined ? { best: [], crossings: [], told: [] } : answered(study, metric);
  const crossed =
    crossings.length > MOST_CROSSINGS
      ? [`Curves of its levels cross in ${crossings.length} places.`]
      : crossings;
  const runs = cells.reduce((sum, cell) => sum + cell.seeds.length, 0);
  const seconds = cells.reduce((sum, cell) => sum + cell.seeds.length * cell.seconds, 0);
  const facts = [
    name,
    `${runs} ${runs === 1 ? "run" : "runs"} of ${cells.length} combinations (${factors.map((factor) => `${factor.levels.length} levels of ${factor.name}`).join(", ")}; ${regimes.map((regime) => regime.name).join(", ")})`,
    seeds.length === 1 ? "1 seed: it speaks of these runs alone" : `${seeds.length} seeds`,
    left.length === 0 ? undefined : `${left.length} runs missing`,
    `${clock(seconds)} of training`,
    `by ${score.set}/${score.metric}`,
    study.trainData && `trained on ${study.trainData.join(", ")}`,
  ].filter((text) => text !== undefined);
  return html`<div class="study"><h3>${link === undefined ? question.text : html`<a href="${link}">${question.text}</a>`}</h3>
<p>${[...best, ...crossed, ...told].join(" ")}</p>
<p class="quiet">${facts.join("; ")}.</p></div>`;
}
