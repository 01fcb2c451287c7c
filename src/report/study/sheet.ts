/** Figures that stand by themselves: a study's charts in two columns, as one SVG file that loads nothing, light or dark as the reader's system is. */

import { colours, inModes, sansSerif } from "../../core/look.js";
import type { Findings } from "../../study/answer/findings.js";
import type { PaperMetric } from "../../study/paper/paper.js";
import { Html, html } from "../page/html.js";
import { chartOf, type Drawing, HEIGHT, symbol, WIDTH } from "./draw.js";
import { frontierOf, Styles } from "./figures.js";
import { measuresOf } from "./measures.js";
import { type Beside, comparisonsOf, coursesOf, gridsOf } from "./rows.js";
import { inkStyle } from "./style.js";
import { experimentOf, levelsOf } from "./views.js";

export interface Sheet {
  /** What it shows, in a line. */
  readonly title: string;
  /** The file. The same findings give the same bytes. */
  readonly svg: string;
}

/** The scores that are drawn against the study's own, where a study has them. */
const OTHERS: readonly PaperMetric[] = ["shifts", "5-shot"];

/** A study's own score over what it varies; and, where it has them, shifted sets and few-shot against that. */
export function sheetsOf(findings: Findings): readonly Sheet[] {
  const measures = measuresOf(findings);
  const first = measures[0]!;
  const styles = new Styles(levelsOf(findings, findings.question.factor));
  const experiment = experimentOf(findings);
  const others = measures.filter(({ paper }) => paper !== undefined && OTHERS.includes(paper));
  const against = comparisonsOf(findings, [first, ...others], experiment, styles);
  const courses = coursesOf(findings, first, experiment, styles);
  return [
    sheet(first.title, filled(courses, frontierOf(findings, first, styles))),
    ...(against.length === 0 ? [] : [sheet("Other scores against zero-shot", against)]),
  ];
}

/** What would have nothing beside it has what its runs cost. */
function filled(rows: readonly Beside[], compute: Drawing | undefined): readonly Beside[] {
  const alone = rows.filter(([, other]) => other === undefined);
  if (compute === undefined || alone.length % 2 === 0) return rows;
  return rows.map(([own, other]) => [own, other ?? (own === alone.at(-1)![0] ? compute : undefined)]);
}

const PANEL = WIDTH + 36;
const COLUMNS = 2;
const HEAD = 46;
/** Baselines of a legend's rows and of a sentence's lines. */
const LINE = 18;
/** Of a letter on average, in parts of its size: sans-serif fonts differ, so rather too wide. */
const LETTER = 0.54;

const widthOf = (text: string, size: number): number => LETTER * size * text.length;

function sheet(title: string, rows: readonly Beside[]): Sheet {
  let top = HEAD;
  const bands = gridsOf(rows).flatMap((charts) =>
    Array.from({ length: Math.ceil(charts.length / COLUMNS) }, (_, at) =>
      charts.slice(COLUMNS * at, COLUMNS * (at + 1)),
    ),
  );
  const panels = bands.map((charts) => {
    const legends = charts.map(({ lines }) => legend(lines));
    const chartTop = 26 + Math.max(...legends.map(({ height }) => height));
    const sentences = charts.map(({ sentence }) => wrapped(sentence, 11.5));
    const drawn = charts.map((drawing, column) =>
      panel(drawing, legends[column]!.drawn, chartTop, sentences[column]!, column * PANEL, top),
    );
    top += chartTop + HEIGHT + LINE * Math.max(...sentences.map(({ length }) => length)) + 26;
    return drawn;
  });
  const width = PANEL * COLUMNS;
  const style = `${inModes(colours)}${inkStyle}text{font-family:${sansSerif};font-size:12px;fill:var(--quiet)}.title{font-size:14px;font-weight:600;fill:var(--ink)}.head{font-size:18px}.small{font-size:11.5px}`;
  return {
    title,
    svg: html`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" viewBox="0 0 ${width} ${top}" role="img" aria-label="${title}">
<style>${new Html(style)}</style>
<rect width="100%" height="100%" rx="10" fill="var(--card)"/>
<text class="title head" x="18" y="30">${title}</text>
${panels.map((drawn) => drawn.map((one) => html`${one}\n`))}</svg>
`.text,
  };
}

function panel(
  drawing: Drawing,
  keys: Html,
  chartTop: number,
  sentence: readonly string[],
  x: number,
  y: number,
): Html {
  return html`<g transform="translate(${x + 18} ${y})"><text class="title" y="14">${drawing.title}</text>${keys}
<g transform="translate(0 ${chartTop})">${chartOf(drawing)}</g>
${sentence.map((words, at) => html`<text class="small" y="${chartTop + HEIGHT + 12 + LINE * at}">${words}</text>`)}</g>`;
}

/** Marks and names of the lines in as many rows as they take; none of a single line. */
function legend(lines: Drawing["lines"]): { readonly drawn: Html; readonly height: number } {
  if (lines.length < 2) return { drawn: html``, height: 0 };
  let [x, row] = [0, 0];
  const items = lines.map(({ name, style }) => {
    const width = 20 + widthOf(name, 12) + 14;
    if (x > 0 && x + width > WIDTH) [x, row] = [0, row + 1];
    const item = html`<g transform="translate(${Math.round(x)} ${22 + LINE * row})">${symbol(style)}<text x="20" y="13">${name}</text></g>`;
    x += width;
    return item;
  });
  return { drawn: html`${items}`, height: LINE * (row + 1) };
}

/** Lines of a text of that size, as wide as a chart at most. */
function wrapped(text: string, size: number): readonly string[] {
  const lines = [""];
  for (const word of text.split(/ (?!%)/)) {
    const last = lines.at(-1)!;
    const longer = last === "" ? word : `${last} ${word}`;
    if (widthOf(longer, size) > WIDTH && last !== "") lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}
