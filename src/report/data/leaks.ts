/** The page about test pictures that stand in the training data: each beside the one that it is a copy of. */

import type { Dataset } from "../../data/index.js";
import { thumbnail } from "../../data/pixels/show/thumbnail.js";
import { type Html, html, imageUri } from "../page/html.js";
import { writePage } from "../page/page.js";

export interface LeakPair {
  readonly index: number;
  readonly other: number;
  /** How they were found, in words. */
  readonly words: string;
}

export interface LeakPage {
  readonly test: Dataset;
  readonly training: Dataset;
  /** All that were found, the surest first; the page shows the first 200. */
  readonly pairs: readonly LeakPair[];
  readonly sentences: readonly string[];
}

const SHOWN = 200;
/** Longest side of a picture on the page, in pixels. */
const SIDE = 200;

/** One HTML file with the pairs of pictures in it. */
export async function leakPage({ test, training, pairs, sentences }: LeakPage): Promise<string> {
  const shown = pairs.slice(0, SHOWN);
  const blocks: Html[] = [];
  for (const { index, other, words } of shown) {
    const figures = await Promise.all([figure(test, index), figure(training, other)]);
    blocks.push(html`<div class="query"><h3>${words}</h3><div class="found">${figures}</div></div>`);
  }
  const rest = pairs.length - shown.length;
  return writePage(
    `Test pictures of ${test.name} in the training data`,
    html`<header><h1>Test pictures of ${test.name} in the training data</h1>
${sentences.map((sentence) => html`<p class="summary">${sentence}</p>`)}</header>
<section id="pairs"><h2>Pairs</h2><p class="lead">On the left the test picture, on the right the one of ${training.name}. Look at those that were found by embedding: a model may take different pictures of one kind for copies.${rest > 0 && ` ${rest} more are in pairs.jsonl.`}</p>
${blocks}</section>`,
  );
}

async function figure(dataset: Dataset, sample: number): Promise<Html> {
  const { key } = dataset.sample(sample);
  try {
    const image = imageUri(await thumbnail(await dataset.readBytes(sample), SIDE), key);
    return html`<figure><img src="${image}" alt="${key}"><figcaption>${key}</figcaption></figure>`;
  } catch {
    return html`<figure><figcaption>${key} (cannot be shown)</figcaption></figure>`;
  }
}
