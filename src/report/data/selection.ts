/** The page about a selection: what each rule drops, and pairs that show it, as pictures. */

import type { Dataset } from "../../data/index.js";
import { type Html, html, imageUri } from "../page/html.js";
import { headlineList, notesSection, writePage } from "../page/page.js";
import { tableSection } from "../page/sections.js";
import { picture, shorten } from "../run/cards.js";

/** A pair that is shown. */
export interface ShownPair {
  /** The sample's name, and its position in the data set; undefined where the data do not have it any more. */
  readonly key: string;
  readonly sample: number | undefined;
  readonly caption: string;
  /** Higher is better; undefined where there is none. */
  readonly score?: number | undefined;
  readonly keep: boolean;
}

export interface SelectionPage {
  readonly title: string;
  readonly rows: number;
  readonly kept: number;
  readonly rules: readonly {
    readonly name: string;
    readonly dropsAlone: number;
    readonly drops: number;
    readonly left: number;
  }[];
  readonly groups: readonly {
    readonly title: string;
    readonly about: string;
    readonly pairs: readonly ShownPair[];
  }[];
  readonly notes: readonly string[];
  /** Where the pictures are; undefined: captions alone are shown. */
  readonly dataset: Dataset | undefined;
}

const count = (n: number): string => n.toLocaleString("en-US");
const share = (part: number, whole: number): string =>
  whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)} %`;

/** One HTML file with its pictures in it, which loads nothing; captions and names are text, whatever they hold. */
export async function selectionPage(page: SelectionPage): Promise<string> {
  const { title, rows, kept, rules, groups, notes, dataset } = page;
  const sections: Html[] = [];
  for (const [g, { title: name, about, pairs }] of groups.entries()) {
    const cards: Html[] = [];
    for (const pair of pairs) cards.push(await card(pair, dataset));
    sections.push(
      html`<section id="group-${g}"><h2>${name}</h2><p class="lead">${about}</p><div class="pictures">${cards}</div></section>`,
    );
  }
  return writePage(
    title,
    html`<header><h1>${title}</h1></header>
${headlineList([
  { value: count(kept), label: "pairs kept", detail: `${share(kept, rows)} of ${count(rows)}` },
  { value: count(rows - kept), label: "pairs dropped" },
])}
${tableSection({
  title: "Rules",
  sentence:
    "Alone is what a rule would drop by itself; in order is what it drops of those that the rules above it keep.",
  columns: ["Rule", "Drops alone", "Drops in order", "Left", "Share left"],
  rows: rules.map(({ name, dropsAlone, drops, left }) => [name, dropsAlone, drops, left, share(left, rows)]),
})}
${sections}
${notesSection(notes)}`,
  );
}

async function card(
  { key, sample, caption, score, keep }: ShownPair,
  dataset: Dataset | undefined,
): Promise<Html> {
  const verdict = `${keep ? "kept" : "dropped"}${score === undefined ? "" : `, ${Number(score.toPrecision(4))}`}`;
  const words = shorten(caption === "" ? "(no caption)" : caption);
  let image = html`<p class="quiet">no picture</p>`;
  if (dataset !== undefined && sample !== undefined) {
    // That a picture cannot be shown is often why it was dropped.
    const bytes = await picture(dataset, sample).catch(() => undefined);
    image =
      bytes === undefined
        ? html`<p class="quiet">cannot be read</p>`
        : html`<img src="${imageUri(bytes, key)}" alt="${words}" loading="lazy">`;
  }
  return html`<article class="picture${!keep && " wrong"}">${image}<h4>${words}</h4><ol><li><span>${key}</span></li><li><span>${verdict}</span></li></ol></article>`;
}
