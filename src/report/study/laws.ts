/** The laws of a study on its page: curves over what was spent, and what samples are worth that are seen again. */

import type { Findings, FoundLaw, FoundRepetition } from "../../study/answer/findings.js";
import { shortNumber } from "../charts/scale.js";
import { type Html, html } from "../page/html.js";
import type { Drawing, DrawnLine } from "./draw.js";
import { pointOf, scaledCurve, slug, tableOf } from "./figures.js";
import type { Measure } from "./measures.js";
import { beside, section } from "./rows.js";
import { crossingWords, UNITS } from "./summary.js";
import { epochs, levelsOf } from "./views.js";

/** Curves over what was spent, and where they cross. */
export function curvesSection(findings: Findings): Html | undefined {
  const { curves, crossings, question } = findings;
  if (curves.length === 0) return undefined;
  const laws = curves.map((curve) => ({ ...curve, name: `${curve.level}, ${curve.regime}` }));
  return html`<section id="curves"><h2>Curves</h2>
<p class="lead">Error over ${UNITS[question.over ?? "samples"]} x, as a share in 0 … 1, fitted to every run. Where the runs do not tell a number, it is called not known.</p>
${lawsTable("Curves", laws)}
<ul class="plain">${crossings.map(
    ({ first, second, regime, found }) =>
      html`<li>${"x" in found ? crossingWords(findings, first, second, regime, found) : `${first} and ${second}, ${regime}: ${found.unknown}.`}</li>`,
  )}</ul></section>`;
}

/** What samples are worth that are seen again: a chart a law, of the study's own score. */
export function repetitionSection(findings: Findings, measure: Measure): Html | undefined {
  const { repetitions } = findings;
  if (repetitions.length === 0) return undefined;
  const charts = repetitions.flatMap((found) => beside(repetitionOf(findings, found, measure)));
  return section(
    "Samples seen again",
    "A set of U pairs that is seen more than once teaches as much as D new samples would. R says how soon that ends: after R repetitions a sample is worth 37 % of a new one. β, E and B are those of a curve over new samples, as shares in 0 … 1; x are all samples seen.",
    charts,
    lawsTable(
      "Samples seen again",
      repetitions.map((law) => ({ ...law, name: law.level })),
    ),
  );
}

/** Error over passes with a line for each set, and the law at each. */
function repetitionOf(
  findings: Findings,
  { level, drawn = [] }: FoundRepetition,
  measure: Measure,
): Drawing | undefined {
  const { factor } = findings.question;
  const along = epochs(findings);
  const own = levelsOf(findings, factor).includes(level)
    ? findings.cells.filter(({ levels }) => levels[factor] === level)
    : findings.cells;
  const sets = drawn.map(({ unique, curve }) => {
    const cells = own.filter(({ pairs }) => pairs === unique).sort((a, b) => a.samples - b.samples);
    return { name: `${shortNumber(unique)} pairs`, cells, unique, curve };
  });
  const lines = sets.map(
    ({ name, cells, unique, curve }, style): DrawnLine => ({
      name,
      style,
      points: cells.flatMap((cell) => pointOf(cell, measure, along, name)),
      curve: scaledCurve(measure, curve).map((one) => ({ ...one, x: one.x / unique })),
    }),
  );
  if (lines.length === 0) return undefined;
  return {
    id: slug(`again ${level}`),
    title: `${level}, seen again and again`,
    sentence:
      "Lines are one law fitted to all of these runs, for each size of the set, with its 95 % band; whiskers are 95 % intervals.",
    x: { label: along.label, scale: along.scale, ticks: along.ticks },
    y: { label: measure.label, scale: "linear", bounds: measure.bounds },
    lines,
    table: tableOf(measure, along, sets),
  };
}

/** Three digits. */
const three = (x: number): string => shortNumber(Number(x.toPrecision(3)));

/** A law by what the page calls it. */
type NamedLaw = FoundLaw & { readonly name: string };

/** The numbers of laws with their intervals, how well they foretold the largest runs, and what the runs do not tell. */
function lawsTable(title: string, laws: readonly NamedLaw[]): Html {
  const fitted = laws.filter(({ formula }) => formula !== undefined);
  const names = fitted[0]?.parameters?.map(({ name }) => name) ?? [];
  const held = fitted.filter(({ heldOut }) => heldOut !== undefined);
  const heads = ["", ...names, "R²", ...(held.length > 0 ? ["largest run foretold", "it came to"] : [])];
  return html`${
    fitted.length > 0 &&
    html`<p class="formula">${fitted[0]!.formula}</p><div class="wide" role="region" tabindex="0" aria-label="${`Numbers of the laws: ${title}`}"><table class="laws"><thead><tr>${heads.map(
      (head) => html`<th scope="col">${head}</th>`,
    )}</tr></thead><tbody>${fitted.map((law) => lawRow(law, held.length > 0))}</tbody></table></div>`
  }
<ul class="plain">${fitted.map(
    ({ name, heldOut }) =>
      heldOut !== undefined &&
      (heldOut.y < heldOut.low || heldOut.y > heldOut.high) &&
      html`<li><b>${name}</b>: the largest run lies outside of what the others foretell.</li>`,
  )}${byReason(fitted, ({ parameters = [] }) =>
    parameters.flatMap(({ name, unknown }) => (unknown === undefined ? [] : [[unknown, name]])),
  ).map(([reason, which]) => html`<li><b>Not known</b>: ${which}: ${reason}.</li>`)}${byReason(
    fitted,
    ({ warnings = [] }) => warnings.map((one) => [one, ""]),
  ).map(([reason, which]) => html`<li><b>Beware</b>, ${which}: ${reason}.</li>`)}${byReason(
    laws,
    ({ refused }) => (refused === undefined ? [] : [[refused, ""]]),
  ).map(([reason, which]) => html`<li><b>No curve</b> for ${which}: ${reason}</li>`)}</ul>`;
}

function lawRow({ name, parameters = [], r2, heldOut }: NamedLaw, withHeld: boolean): Html {
  const interval = (low: number, high: number) =>
    html` <span class="quiet">${three(low)} to ${three(high)}</span>`;
  return html`<tr><th scope="row">${name}</th>${parameters.map(
    ({ value, low, high, unknown }) =>
      html`<td>${unknown === undefined ? html`${three(value)}${interval(low, high)}` : html`<span class="quiet">not known</span>`}</td>`,
  )}<td>${(r2 ?? 0).toFixed(2)}</td>${
    withHeld &&
    (heldOut === undefined
      ? html`<td>–</td><td>–</td>`
      : html`<td>${three(heldOut.predicted)}${interval(heldOut.low, heldOut.high)} <span class="quiet">at ${shortNumber(heldOut.x)}</span></td><td>${three(heldOut.y)}</td>`)
  }</tr>`;
}

/** Laws that are named one by one. */
const FEW_LAWS = 6;

/** What is so for one reason of several laws, in words: `E, B of ViT, one pass`. */
function byReason(
  laws: readonly NamedLaw[],
  reasonsOf: (law: NamedLaw) => readonly (readonly [reason: string, thing: string])[],
): readonly (readonly [reason: string, which: string])[] {
  const found = new Map<string, Map<string, string[]>>();
  for (const law of laws)
    for (const [reason, thing] of reasonsOf(law)) {
      const own = found.get(reason) ?? new Map<string, string[]>();
      found.set(reason, own.set(law.name, [...(own.get(law.name) ?? []), thing]));
    }
  return [...found].map(([reason, own]) => {
    const alike = new Map<string, string[]>();
    for (const [law, things] of own) {
      const key = things.join(", ");
      alike.set(key, [...(alike.get(key) ?? []), law]);
    }
    const words = [...alike].map(([things, names]) => {
      const which =
        names.length > 1 && names.length === laws.length
          ? "all"
          : names.length > FEW_LAWS
            ? `${names.length} of ${laws.length}`
            : names.join("; ");
      return things === "" ? which : `${things} of ${which}`;
    });
    return [reason, words.join("; ")];
  });
}
