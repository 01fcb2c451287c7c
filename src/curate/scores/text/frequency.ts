/** Captions that many pairs share, in whole or in part. */

import { HashCounts, hashOf } from "../hash-counts.js";
import type { ScoredTable, TableFamily } from "../score.js";
import { wordsOf } from "./words.js";

/** A caption as it is compared: compatible characters the same (NFKC), lower case, words of letters and digits alone. */
export const normalised = (caption: string): string =>
  wordsOf(
    caption
      .normalize("NFKC")
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\s]+/gu, " "),
  ).join(" ");

/** Words of a phrase, and the share of the captions (and least number) that must have it for it to be boilerplate. */
const PHRASE_WORDS = 4;
const FREQUENT = 0.01;
const LEAST = 20;

/** Phrases whose counts are held; where there are more, those met once since are forgotten, as lossy counting does. */
const MOST_PHRASES = 2 ** 21;

/** Hashes of the phrases of a caption, any number standing for any other; one a position. */
function phrasesOf(text: string): number[] {
  const words = text.replace(/\p{N}+/gu, "0").split(" ");
  const phrases: number[] = [];
  for (let at = 0; at + PHRASE_WORDS <= words.length; at++)
    phrases.push(hashOf(words.slice(at, at + PHRASE_WORDS).join(" ")));
  return phrases;
}

/** Each row's caption, normalised; undefined where it has none. */
async function* captionsOf(table: ScoredTable): AsyncGenerator<[row: number, text: string | undefined]> {
  for await (const { start, columns } of table.scan(["caption"]))
    for (const [at, caption] of columns.caption!.entries())
      yield [start + at, typeof caption === "string" ? normalised(caption) : undefined];
}

export const frequencyFamily: TableFamily = {
  name: "frequency",
  about: "How many captions of the set are the same, and how much of a caption is phrases that many share.",
  how:
    `Captions are compared in lower case, without punctuation. A phrase is ${PHRASE_WORDS} words, any number standing for any other; it is ` +
    `boilerplate where ${100 * FREQUENT} % of the captions, at least ${LEAST}, have it.`,
  source:
    "Web text filters (Gopher, arXiv 2112.11446, A.1.1: repeated n-grams), over the set in place of the document",
  over: "table",
  byDefault: true,
  reads: [],
  columns: [
    {
      name: "caption_count",
      kind: "count",
      better: "lower",
      about:
        "Rows with the same caption: every other picture of them is a false negative where two meet in a batch.",
    },
    {
      name: "boilerplate_share",
      kind: "number",
      unit: "share",
      better: "lower",
      about: "Words of the caption that belong to boilerplate phrases.",
    },
  ],
  async score(host) {
    const captions = new HashCounts();
    const phrases = new HashCounts();
    let seen = 0;
    for await (const [row, text] of captionsOf(host)) {
      if (row % 4096 === 0)
        host.onProgress?.({ what: "Counting captions", done: row, total: 2 * host.length });
      if (text === undefined) continue;
      seen++;
      captions.add(hashOf(text));
      for (const phrase of new Set(phrasesOf(text))) phrases.add(phrase);
      for (let least = 2; phrases.size > MOST_PHRASES; least++) phrases.prune(least);
    }
    const frequent = Math.max(LEAST, FREQUENT * seen);
    const count = new Float64Array(host.length).fill(Number.NaN);
    const share = new Float64Array(host.length).fill(Number.NaN);
    for await (const [row, text] of captionsOf(host)) {
      if (row % 4096 === 0)
        host.onProgress?.({ what: "Counting captions", done: host.length + row, total: 2 * host.length });
      if (text === undefined) continue;
      count[row] = captions.countOf(hashOf(text));
      const words = text === "" ? 0 : text.split(" ").length;
      const covered = new Set<number>();
      for (const [at, phrase] of phrasesOf(text).entries())
        if (phrases.countOf(phrase) >= frequent)
          for (let word = at; word < at + PHRASE_WORDS; word++) covered.add(word);
      share[row] = words === 0 ? 0 : covered.size / words;
    }
    return { caption_count: count, boilerplate_share: share };
  },
};
