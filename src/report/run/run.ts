/** The page about one training run: a single HTML file with its pictures and charts inside, which loads nothing. */

import { type Html, type HtmlChild, html } from "../page/html.js";
import {
  type Fact,
  factsSection,
  type HeadlineNumber,
  headlineList,
  notesSection,
  writePage,
} from "../page/page.js";
import {
  gridSection,
  type PictureGrid,
  type ReportScore,
  type ReportTable,
  scoreSection,
  searchSection,
  type TextSearch,
  tableSection,
} from "../page/sections.js";
import {
  type Curve,
  type CurveContext,
  curveCharts,
  type MetricsPoint,
  scoreCharts,
  trainingCurves,
} from "./curves.js";
import { type Mistakes, mistakesSection } from "./mistakes.js";

/** What a report shows. Only `title` is needed; a part without content leaves no trace. */
export interface RunReport extends CurveContext {
  readonly title: string;
  /** One or two sentences under the title: what was trained on what, and how it went. */
  readonly summary?: string;
  /** The few numbers that matter most, as large print. */
  readonly headline?: readonly HeadlineNumber[];
  /** What the run was: model, parameters, data, samples seen, time, machine, versions, seed. */
  readonly facts?: readonly Fact[];
  /** Lines of `metrics.jsonl`. Which names are drawn: see `trainingCurves`. */
  readonly metrics?: readonly MetricsPoint[];
  /** Curves beyond those of `trainingCurves`. */
  readonly curves?: readonly Curve[];
  /** Lines of `evaluation.jsonl`: the last of each kind as scores, those with steps as curves. */
  readonly scores?: readonly ReportScore[];
  readonly grids?: readonly PictureGrid[];
  readonly searches?: readonly TextSearch[];
  /** What was got wrong, a part for each data set and task. */
  readonly mistakes?: readonly Mistakes[];
  readonly tables?: readonly ReportTable[];
  /** Paragraphs: what to keep in mind, the command that makes this page again. */
  readonly notes?: readonly string[];
  readonly licences?: readonly {
    readonly name: string;
    readonly licence: string;
    readonly source?: string;
  }[];
}

/**
 * The report as one HTML document, for screens from phones up, light and dark. All text is escaped, all images are inside; the
 * page's own policy forbids it to load anything. Throws a `UsageError` for an image that is none.
 */
export function writeRunReport(report: RunReport): string {
  const { metrics = [], scores = [] } = report;
  const charts = [
    ...curveCharts(metrics, [...trainingCurves(report), ...(report.curves ?? [])]),
    ...scoreCharts(scores),
  ];
  return writePage(
    report.title,
    html`<header><h1>${report.title}</h1>${report.summary !== undefined && html`<p class="summary">${report.summary}</p>`}
${headlineList(report.headline ?? [])}</header>
${scoreSection(scores)}
${(report.grids ?? []).map(gridSection)}
${(report.searches ?? []).map(searchSection)}
${(report.mistakes ?? []).map(mistakesSection)}
${
  charts.length > 0 &&
  html`<section id="training"><h2>Training</h2><div class="charts">${charts}</div></section>`
}
${(report.tables ?? []).map(tableSection)}
${factsSection("The run", report.facts ?? [])}
${notesSection(report.notes ?? [])}
${licences(report.licences ?? [])}`,
  );
}

function licences(items: NonNullable<RunReport["licences"]>): Html | undefined {
  if (items.length === 0) return undefined;
  return html`<section id="licences"><h2>Pictures and their licences</h2><ul class="licences">${items.map(
    ({ name, licence, source }) =>
      html`<li><b>${name}</b> ${licence}${source !== undefined && html` · ${link(source)}`}</li>`,
  )}</ul></section>`;
}

/** A link for web addresses; anything else, `javascript:` above all, stays plain text. */
const link = (address: string): HtmlChild =>
  /^https?:\/\//.test(address)
    ? html`<a href="${address}" rel="noopener">${address.replace(/^https?:\/\//, "")}</a>`
    : address;
