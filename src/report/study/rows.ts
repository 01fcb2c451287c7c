/** Which charts a study has, each with what stands beside it: for its page and for figures that stand by themselves. */

import type { Findings } from "../../study/answer/findings.js";
import type { PaperExperiment } from "../../study/paper/paper.js";
import { type Html, type HtmlChild, html } from "../page/html.js";
import { type Drawing, draw } from "./draw.js";
import { againstOf, courseOf, paperAgainst, paperCourse, type Styles } from "./figures.js";
import type { Measure } from "./measures.js";
import { viewsOf } from "./views.js";

/** A chart, and the one that stands beside it. */
export type Beside = readonly [own: Drawing, other: Drawing | undefined];

export const beside = (own: Drawing | undefined, other?: Drawing): readonly Beside[] =>
  own === undefined ? [] : [[own, other]];

/** Charts in two columns: those that have one beside them in a grid of their own, the others one after the other. */
export function gridsOf(rows: readonly Beside[]): readonly (readonly Drawing[])[] {
  const grids: { readonly paired: boolean; readonly charts: Drawing[] }[] = [];
  for (const [own, other] of rows) {
    const last = grids.at(-1);
    if (other !== undefined) grids.push({ paired: true, charts: [own, other] });
    else if (last?.paired === false) last.charts.push(own);
    else grids.push({ paired: false, charts: [own] });
  }
  return grids.map(({ charts }) => charts);
}

/** A measure over what is varied; the paper's curves stand once beside what is like them. */
export function coursesOf(
  findings: Findings,
  measure: Measure,
  experiment: PaperExperiment | undefined,
  styles: Styles,
): readonly Beside[] {
  const shown = new Set<string>();
  return viewsOf(findings).flatMap((view) => {
    const own = courseOf(findings, measure, view, styles);
    const { paper: regime } = view;
    if (experiment === undefined || regime === undefined || measure.paper === undefined || shown.has(regime))
      return beside(own);
    shown.add(regime);
    return beside(own, paperCourse(experiment, regime, measure.paper, styles));
  });
}

/** Each of the other measures against the first. */
export function comparisonsOf(
  findings: Findings,
  [first, ...others]: readonly Measure[],
  experiment: PaperExperiment | undefined,
  styles: Styles,
): readonly Beside[] {
  return others.flatMap((other) => {
    const known = experiment !== undefined && other.paper !== undefined && first!.paper === "zero-shot";
    return beside(
      againstOf(findings, first!, other, styles),
      known ? paperAgainst(experiment, other.paper, styles) : undefined,
    );
  });
}

/** Charts under a heading, and what follows them; nothing where there is neither. */
export function section(
  title: string,
  lead: HtmlChild,
  rows: readonly Beside[],
  rest?: Html,
): Html | undefined {
  if (rows.length === 0 && rest === undefined) return undefined;
  return html`<section><h2>${title}</h2><p class="lead">${lead}</p>
${gridsOf(rows).map((charts) => html`<div class="beside">${charts.map(draw)}</div>`)}${rest}</section>`;
}
