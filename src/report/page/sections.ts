/** The parts of a report that are not charts: scores with intervals, tables, pictures with their guesses, queries. */

import {
  type EvaluationRecord,
  isShare,
  metricWords,
  scoreWords,
  seenRemarks,
  verdictOn,
} from "../../evaluate/records.js";
import { groupBy } from "../charts/series.js";
import { type Html, html, imageUri, type ReportImage } from "./html.js";
import { type IntervalRow, intervalChart, shareAxis } from "./intervals.js";

/** A line of `evaluation.jsonl`. */
export type ReportScore = EvaluationRecord;

/**
 * The last score of each data set, split and metric as a dot on its interval: shares on an axis of 0 to 100 %, ranks as
 * numbers only.
 */
export function scoreSection(scores: readonly ReportScore[]): Html | undefined {
  if (scores.length === 0) return undefined;
  const latest = groupBy(scores, ({ dataset, split, metric }) =>
    JSON.stringify([dataset, split, metric]),
  ).map((group) =>
    group.reduce((a, b) =>
      (b.step ?? Number.POSITIVE_INFINITY) >= (a.step ?? Number.POSITIVE_INFINITY) ? b : a,
    ),
  );
  const groups = groupBy(latest, ({ dataset, split }) => JSON.stringify([dataset, split]));
  const chance = latest.some((score) => score.chance !== undefined);
  return html`<section id="scores"><h2>Scores</h2>
<p class="lead">Dots are the scores, bars their 95 % intervals from a bootstrap over the test items${
    chance && html`, the thin mark is <span class="chance-key">chance</span>`
  }. A bar that reaches over chance says no more than guessing; two scores whose bars overlap may well be equal.</p>
${seenRemarks(latest).map((line) => html`<p class="caution">${line}</p>`)}
${groups.map(
  (group) => html`<div class="scores"><h3>${datasetName(group[0]!)}</h3>
${intervalChart(group.map(scoreRow), shareAxis)}</div>`,
)}</section>`;
}

/** What stands beside a score that is no better than guessing. */
const VERDICTS = {
  better: undefined,
  guessing: html` <em>not distinguishable from guessing</em>`,
  worse: html` <em>worse than guessing</em>`,
} as const;

const datasetName = ({ dataset, split }: EvaluationRecord): string =>
  split === undefined ? dataset : `${dataset} (${split})`;

function scoreRow(score: ReportScore): IntervalRow {
  const { value, interval, chance } = scoreWords(score);
  return {
    name: metricWords(score.metric),
    ...(isShare(score.metric) && { interval: score }),
    ...(chance !== undefined && { mark: { at: score.chance!, title: `chance: ${chance}` } }),
    value,
    detail: html`${interval} · n ${score.n.toLocaleString("en-US")}${
      chance !== undefined && html` · chance ${chance}`
    }${VERDICTS[verdictOn(score) ?? "better"]}`,
  };
}

export interface ReportTable {
  readonly title: string;
  /** One sentence: what the table says. */
  readonly sentence?: string;
  readonly columns: readonly string[];
  /** Numbers stand to the right. */
  readonly rows: readonly (readonly (string | number)[])[];
}

export function tableSection({ title, sentence, columns, rows }: ReportTable): Html {
  const numeric = columns.map((_, c) => rows.every((row) => typeof row[c] === "number"));
  const cell = (value: string | number | undefined): string =>
    typeof value === "number"
      ? value.toLocaleString("en-US", { maximumSignificantDigits: 6 })
      : (value ?? "");
  return html`<section><h2>${title}</h2>${sentence !== undefined && html`<p class="lead">${sentence}</p>`}
${wide(
  title,
  html`<table><thead><tr>${columns.map(
    (name, c) => html`<th scope="col"${numeric[c] === true && html` class="number"`}>${name}</th>`,
  )}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr>${columns.map((_, c) => html`<td${numeric[c] === true && html` class="number"`}>${cell(row[c])}</td>`)}</tr>`,
  )}</tbody></table>`,
)}</section>`;
}

/** What may be wider than the screen, as a part of its own that scrolls, by the keyboard too. */
export const wide = (label: string, content: Html): Html =>
  html`<div class="wide" tabindex="0" role="region" aria-label="${label}">${content}</div>`;

/** A picture, its true name or a caption of its own, and the model's guesses, best first. */
export interface NamedPicture {
  readonly image: ReportImage;
  readonly truth: string;
  /** Three are shown. Scores are cosines. `right` where another name than `truth` is right too; default: it is `truth`. */
  readonly predictions: readonly {
    readonly name: string;
    readonly score: number;
    readonly right?: boolean;
  }[];
}

export interface PictureGrid {
  readonly title: string;
  /** One sentence: which pictures these are and how they were chosen. */
  readonly sentence: string;
  readonly items: readonly NamedPicture[];
  /** Share of first guesses that guessing gets right. */
  readonly chance?: number;
  /** Count the right ones. Default true; false where pictures were chosen because they are wrong. */
  readonly tally?: boolean;
}

const SHOWN_GUESSES = 3;

/** The pictures as cards. A card is right when the first guess is the true name, near when the second or third is. */
export function gridSection({ title, sentence, items, chance, tally = true }: PictureGrid): Html {
  const places = items.map(({ truth, predictions }) =>
    predictions.slice(0, SHOWN_GUESSES).findIndex((guess) => isRight(guess, truth)),
  );
  const right = places.filter((place) => place === 0).length;
  const within = places.filter((place) => place >= 0).length;
  return html`<section><h2>${title}</h2>
<p class="lead">${sentence}${
    tally &&
    html` <b>${right} of ${items.length}</b> first guesses are right; for ${within} the true one is among the first three.`
  }${
    chance !== undefined &&
    html` Guessing would get ${(chance * items.length).toLocaleString("en-US", { maximumSignificantDigits: 2 })} right.`
  } Numbers are cosines between picture and text, not probabilities.</p>
<ul class="legend marks"><li class="right">right</li><li class="near">second or third guess</li><li class="wrong">not among three</li></ul>
<div class="pictures">${items.map((item, i) => pictureCard(item, places[i]!, title))}</div></section>`;
}

const isRight = ({ name, right }: NamedPicture["predictions"][number], truth: string): boolean =>
  right ?? name === truth;

function pictureCard({ image, truth, predictions }: NamedPicture, place: number, grid: string): Html {
  const mark = place === 0 ? "right" : place > 0 ? "near" : "wrong";
  const shown = predictions.slice(0, SHOWN_GUESSES);
  const top = Math.max(...shown.map(({ score }) => score), 1e-9);
  return html`<div class="picture ${mark}">
<img src="${imageUri(image, `${grid}, "${truth}"`)}" alt="" loading="lazy">
<h4 title="${truth}">${truth}</h4>
<ol>${shown.map(
    (guess) =>
      html`<li${isRight(guess, truth) && html` class="true"`} title="${guess.name}: cosine ${guess.score.toFixed(3)}"><span>${guess.name}</span><b>${guess.score.toFixed(2)}</b><i style="width:${Math.round(100 * Math.max(0, guess.score / top))}%"></i></li>`,
  )}</ol></div>`;
}

/** A text and the pictures that the model finds for it, best first. */
export interface TextQuery {
  readonly text: string;
  readonly results: readonly {
    readonly image: ReportImage;
    readonly name?: string;
    readonly score?: number;
    /** Whether this is what was meant, where that is known. */
    readonly right?: boolean;
  }[];
}

/** Texts and what they find. */
export interface TextSearch {
  readonly title: string;
  /** One sentence: which texts these are, and among what they look. */
  readonly sentence: string;
  readonly queries: readonly TextQuery[];
}

export function searchSection({ title, sentence, queries }: TextSearch): Html | undefined {
  if (queries.length === 0) return undefined;
  const marked = queries.some(({ results }) => results.some(({ right }) => right === true));
  return html`<section class="searches"><h2>${title}</h2>
<p class="lead">${sentence}${marked && " A ring marks a right one."}</p>
${queries.map(
  ({ text, results }) =>
    html`<div class="query"><h3>“${text}”</h3><div class="found">${results.map(
      ({ image, name, score, right }) =>
        html`<figure${right === true && html` class="right"`}><img src="${imageUri(image, `query "${text}"`)}" alt="${name ?? ""}" loading="lazy"><figcaption title="${name ?? ""}">${name ?? ""}${
          score !== undefined && html` <b>${score.toFixed(2)}</b>`
        }</figcaption></figure>`,
    )}</div></div>`,
)}</section>`;
}
