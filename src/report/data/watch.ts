/** The page about a source that is watched: what the last check found, and the quality of the data over all checks. */

import { lineChart } from "../charts/chart.js";
import { type Html, html } from "../page/html.js";
import { headlineList, writePage } from "../page/page.js";
import { wide } from "../page/sections.js";

export interface WatchedScore {
  readonly name: string;
  readonly about?: string | undefined;
  readonly better?: "higher" | "lower" | undefined;
  /** Of classes: the one whose share is told. */
  readonly class?: string | undefined;
  readonly was: number;
  readonly is: number;
  readonly psi: number;
  readonly ks?: number | undefined;
  readonly adjusted: number;
  readonly drifted: boolean;
}

export interface WatchedSpace {
  readonly name: string;
  readonly auc: number;
  readonly mmd2: number;
  readonly aucAdjusted: number;
  readonly mmdAdjusted: number;
  readonly drifted: boolean;
}

export interface WatchedCheck {
  readonly time: string;
  readonly sources: readonly string[];
  readonly pictures: number;
  readonly tooFew: boolean;
  readonly drifted: boolean;
  /** What the profile's rules keep of the new pairs. */
  readonly selected?: { readonly pairs: number; readonly kept: number } | undefined;
  readonly columns: readonly WatchedScore[];
  readonly spaces: readonly WatchedSpace[];
}

export interface WatchPage {
  readonly profile: { readonly made: string; readonly sources: readonly string[]; readonly pictures: number };
  /** Oldest first, at least one. */
  readonly checks: readonly WatchedCheck[];
  readonly thresholds: { readonly psi: number; readonly auc: number; readonly mmd: number };
}

/** Scores whose course is drawn: those that drifted, then the most unlike. */
const DRAWN = 12;

const number = (value: number): string => String(Number(value.toPrecision(3)));
const SPACES: Readonly<Record<string, string>> = {
  captions: "Captions by their words",
  texts: "Captions by the model",
  images: "Pictures by the model",
};
const percent = ({ pairs, kept }: { readonly pairs: number; readonly kept: number }): string =>
  `${((100 * kept) / Math.max(1, pairs)).toFixed(0)} %`;
const spaceName = (name: string): string => SPACES[name] ?? name;

/** One HTML file. */
export function watchPage({ profile, checks, thresholds }: WatchPage): string {
  const last = checks.at(-1)!;
  const drifted = [...last.columns, ...last.spaces].filter((each) => each.drifted);
  const verdict = last.tooFew
    ? "Too few new pictures to tell."
    : drifted.length === 0
      ? "Nothing has drifted."
      : `${drifted.length} of ${last.columns.length + last.spaces.length} have drifted: ${drifted.map(({ name }) => name).join(", ")}.`;
  return writePage(
    `Watch of ${profile.sources.join(", ")}`,
    html`<header><h1>Watch of ${profile.sources.join(", ")}</h1>
<p class="summary">${verdict} The last check, ${last.time.slice(0, 16).replace("T", " ")} UTC, compared ${last.pictures.toLocaleString("en-US")} new pictures of ${last.sources.join(", ")} with ${profile.pictures.toLocaleString("en-US")} of the profile, made ${profile.made.slice(0, 10)}.</p></header>
${headlineList([
  ...(last.selected === undefined
    ? []
    : [
        {
          ...{ value: percent(last.selected), label: "Selected of the new pairs" },
          detail: `${last.selected.kept} of ${last.selected.pairs}, by the profile's rules`,
        },
      ]),
  ...last.spaces.map(({ name, auc, mmd2 }) => ({
    ...{ value: auc.toFixed(2), label: spaceName(name) },
    detail: `AUC of telling new from old; MMD² ${number(mmd2)}`,
  })),
])}
${last.columns.length > 0 && scoresTable(last, thresholds)}
${courses(checks, thresholds)}`,
  );
}

function scoresTable({ columns }: WatchedCheck, { psi }: WatchPage["thresholds"]): Html {
  const ordered = [...columns].sort((a, b) => Number(b.drifted) - Number(a.drifted) || b.psi - a.psi);
  return html`<section id="scores"><h2>Scores</h2>
<p class="lead">How the new pairs' scores differ from the profile's. PSI counts from ${psi} on, where chance would not do it: p is corrected for the number of scores.</p>
${wide(
  "Scores",
  html`<table><thead><tr><th>score</th><th>was</th><th>is</th><th>PSI</th><th>KS</th><th>p</th><th></th></tr></thead><tbody>
${ordered.map(
  (each) =>
    html`<tr><td title="${each.about ?? ""}">${each.name}${each.class !== undefined && ` = ${each.class}`}</td><td>${number(each.was)}</td><td>${number(each.is)}</td><td>${each.psi.toFixed(3)}</td><td>${each.ks === undefined ? "" : each.ks.toFixed(3)}</td><td>${each.adjusted < 0.001 ? "< 0.001" : each.adjusted.toFixed(3)}</td><td>${each.drifted ? "drifted" : ""}</td></tr>`,
)}
</tbody></table>`,
)}</section>`;
}

/** Curves over the checks; the profile is their beginning. */
function courses(checks: readonly WatchedCheck[], { auc }: WatchPage["thresholds"]): Html | undefined {
  const told = checks.filter(({ tooFew }) => !tooFew);
  const last = told.at(-1);
  if (last === undefined) return undefined;
  const xLabel = "check";
  const spaces = lineChart({
    ...{ title: "Telling new from old", xLabel },
    sentence: `AUC of a classifier between new and old vectors: 0.5 where they are alike; told from ${auc} on.`,
    lines: last.spaces.map(({ name }) => ({
      ...{ name: spaceName(name), dots: true },
      points: told.flatMap((check, i) => {
        const found = check.spaces.find((space) => space.name === name);
        return found === undefined ? [] : [[i + 1, found.auc] as const];
      }),
    })),
    references: [{ value: 0.5, label: "alike", always: true }],
  });
  const most = [...last.columns]
    .sort((a, b) => Number(b.drifted) - Number(a.drifted) || b.psi - a.psi)
    .slice(0, DRAWN);
  const charts = most.map(({ name, about, was, better, class: one }) =>
    lineChart({
      ...{ title: one === undefined ? name : `${name} = ${one}`, xLabel },
      sentence: `${about ?? ""}${better === undefined ? "" : ` ${better === "higher" ? "Higher" : "Lower"} is better.`}`,
      lines: [
        {
          ...{ name: "new pairs", dots: true },
          points: told.flatMap((check, i) => {
            const found = check.columns.find((column) => column.name === name && column.class === one);
            return found === undefined ? [] : [[i + 1, found.is] as const];
          }),
        },
      ],
      references: [{ value: was, label: "profile", always: true }],
    }),
  );
  const kept = lineChart({
    ...{ title: "Selected of the new pairs", xLabel, unit: " %", fromZero: true },
    sentence: "The share that the profile's rules keep.",
    lines: [
      {
        ...{ name: "selected", dots: true },
        points: told.flatMap(({ selected }, i) =>
          selected === undefined
            ? []
            : [[i + 1, (100 * selected.kept) / Math.max(1, selected.pairs)] as const],
        ),
      },
    ],
  });
  return html`<section id="course"><h2>Quality over time</h2><div class="charts">${last.selected !== undefined && kept}${last.spaces.length > 0 && spaces}${charts}</div></section>`;
}
