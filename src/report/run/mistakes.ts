/** What a model gets wrong: names that it confuses, classes that it misses, its surest errors, and what it does not find. */

import type { Dataset } from "../../data/index.js";
import { nearestRows, similarity } from "../../evaluate/features/features.js";
import { blocksOf, type FeatureSource } from "../../evaluate/features/source.js";
import { clopperPearson } from "../../evaluate/statistics/distributions.js";
import type { RetrievalDetails } from "../../evaluate/tasks/retrieval.js";
import {
  type ClassScore,
  type Confusion,
  namedGuesses,
  type ZeroshotDetails,
} from "../../evaluate/tasks/zeroshot.js";
import { type Html, html } from "../page/html.js";
import { intervalChart, shareAxis } from "../page/intervals.js";
import {
  gridSection,
  type NamedPicture,
  type PictureGrid,
  searchSection,
  type TextQuery,
  type TextSearch,
  tableSection,
} from "../page/sections.js";
import { captionCards, picture, selectRows, shorten } from "./cards.js";

/** The mistakes on one data set by one task; what is empty is not shown. */
export interface Mistakes {
  readonly dataset: string;
  /** Most frequent first; `of` is the number of pictures of the true name. */
  readonly confusions: readonly (Confusion & { readonly of: number })[];
  /** Those of the lowest recall, with 95 % intervals. */
  readonly classes: readonly (ClassScore & { readonly low: number; readonly high: number })[];
  readonly grids: readonly PictureGrid[];
  readonly searches: readonly TextSearch[];
}

/** Confusions, classes, pictures and texts that are shown. */
const CONFUSIONS = 15;
const CLASSES = 12;
const PICTURES = 12;
const TEXTS = 6;
/** Pictures found for a text that missed its own. */
const FOUND = 5;

/** By labels: what is confused with what, the classes with the lowest recall, and the errors that the model is surest of. */
export async function namingMistakes(dataset: Dataset, details: ZeroshotDetails): Promise<Mistakes> {
  const { result, classes, indices, labels } = details;
  const of = new Map(result.perClass.map(({ name, n }) => [name, n]));
  const byRecall = result.perClass
    .map((score) => ({ ...score, ...clopperPearson(Math.round(score.recall * score.n), score.n) }))
    .filter(({ recall }) => recall < 1)
    // By the upper end: a class of one picture says little.
    .sort((a, b) => a.high - b.high || a.recall - b.recall);
  const surest = leads(details).slice(0, PICTURES);
  const items = surest.map(
    async ({ at }): Promise<NamedPicture> => ({
      image: await picture(dataset, indices[at]!),
      truth: classes.names[labels[at]!]!,
      predictions: namedGuesses(result.predictions, classes.names, at),
    }),
  );
  return {
    dataset: dataset.name,
    confusions: result.confusions.slice(0, CONFUSIONS).map((each) => ({ ...each, of: of.get(each.truth)! })),
    classes: byRecall.slice(0, CLASSES),
    grids: [
      {
        title: "The surest errors",
        sentence: `Pictures of ${dataset.name} whose wrong name lies furthest ahead of the true one, which stands in bold: the model's worst mistakes, or wrong labels.`,
        items: await Promise.all(items),
        tally: false,
      },
    ],
    searches: [],
  };
}

/** Wrongly named pictures, those first whose first guess leads the true name by the most (a difference of cosines). */
function leads({
  result,
  rows,
  labels,
  images,
  classFeatures,
}: ZeroshotDetails): { at: number; lead: number }[] {
  const { scores, k } = result.predictions;
  const found: { at: number; lead: number }[] = [];
  let at = 0;
  for (const { start, block } of blocksOf(images))
    for (; at < rows.length && rows[at]! < start + block.rows; at++)
      if (result.correct[at] === 0)
        found.push({
          at,
          lead: scores[at * k]! - similarity(block, rows[at]! - start, classFeatures, labels[at]!),
        });
  return found.sort((a, b) => b.lead - a.lead || a.at - b.at);
}

/** Texts that are furthest from finding their picture, and pictures that are furthest from finding a text of theirs. */
export async function retrievalMistakes(
  dataset: Dataset,
  details: RetrievalDetails,
  features: FeatureSource,
): Promise<Mistakes> {
  const { result, images, indices, texts, imagesOf, textFeatures } = details;
  const { ranks } = result.textToImage;
  const lost = worst(ranks).slice(0, TEXTS);
  const found = nearestRows(selectRows(textFeatures, lost), images, FOUND);
  const show = async (row: number) => picture(dataset, indices[row]!);
  const queries = lost.map(async (text, q): Promise<TextQuery> => {
    const own = imagesOf[text]![0]!;
    const nearest = Array.from({ length: found.k }, async (_, rank) => ({
      image: await show(found.indices[q * found.k + rank]!),
      score: found.scores[q * found.k + rank]!,
    }));
    const score = similarity(textFeatures, text, images, own);
    const meant = { image: await show(own), name: `its own, in place ${ranks[text]}`, score, right: true };
    return { text: shorten(texts[text]!), results: [meant, ...(await Promise.all(nearest))] };
  });
  const asking = [...indices.keys()].filter((row) => dataset.sample(indices[row]!).captions.length > 0);
  const pictures = worst(result.imageToText.ranks)
    .slice(0, PICTURES)
    .map((at) => asking[at]!);
  return {
    dataset: dataset.name,
    confusions: [],
    classes: [],
    grids: [
      {
        title: "Pictures that do not find their caption",
        sentence: `Pictures of ${dataset.name} before whose own captions, one of which stands in bold, the most others lie.`,
        items: await captionCards(dataset, details, pictures, features),
        tally: false,
      },
    ],
    searches: [
      {
        title: "Captions that do not find their picture",
        sentence: `Captions of ${dataset.name} whose own picture, the first, comes latest among ${images.rows}; beside it those that come first.`,
        queries: await Promise.all(queries),
      },
    ],
  };
}

/** Queries that were not right at once, the worst rank first. */
const worst = (ranks: Uint32Array): number[] =>
  [...ranks.keys()].filter((at) => ranks[at]! > 1).sort((a, b) => ranks[b]! - ranks[a]! || a - b);

export function mistakesSection({ dataset, confusions, classes, grids, searches }: Mistakes): Html {
  return html`${
    confusions.length > 0 &&
    tableSection({
      title: "What is taken for what",
      sentence: `The most frequent wrong first guesses on ${dataset}.`,
      columns: ["true name", "first guess", "times", "of"],
      rows: confusions.map(({ truth, predicted, count, of }) => [truth, predicted, count, of]),
    })
  }${
    classes.length > 0 &&
    html`<section><h2>Names that are missed</h2>
<p class="lead">Classes of ${dataset} with the lowest recall, the share of their pictures that are named right, with exact 95 % intervals (Clopper and Pearson 1934); in order of their upper ends, so that a class of few pictures does not come first by bad luck.</p>
<div class="scores">${intervalChart(
      classes.map(({ name, n, recall, low, high }) => ({
        name,
        interval: { value: recall, low, high },
        value: `${(100 * recall).toFixed(0)} %`,
        detail: `${(100 * low).toFixed(0)} – ${(100 * high).toFixed(0)} · n ${n}`,
      })),
      shareAxis,
    )}</div></section>`
  }${grids.filter(({ items }) => items.length > 0).map(gridSection)}${searches.map(searchSection)}`;
}
