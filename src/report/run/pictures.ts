/** What a model makes of pictures, gathered for a page: names, captions, and what it finds for a text. */

import { keyFromSeed, Random } from "../../core/random.js";
import { runTask } from "../../evaluate/evaluate.js";
import { nearestRows } from "../../evaluate/features/features.js";
import { allRows, type FeatureSource } from "../../evaluate/features/source.js";
import type { EvaluationRecord } from "../../evaluate/records.js";
import { type RetrievalDetails, retrievalTask } from "../../evaluate/tasks/retrieval.js";
import type { EvaluationSet } from "../../evaluate/tasks/task.js";
import { namedGuesses, type ZeroshotDetails, zeroshotTask } from "../../evaluate/tasks/zeroshot.js";
import type { NamedPicture, PictureGrid, TextQuery, TextSearch } from "../page/sections.js";
import { captionCards, picture, selectRows, shorten } from "./cards.js";
import { type Mistakes, namingMistakes, retrievalMistakes } from "./mistakes.js";

/** Data whose pictures are shown. */
export interface ShownSet extends EvaluationSet {
  /** Part of the run's data: `val`. */
  readonly split?: string | undefined;
  /** Pictures of it that were trained on; undefined where that is not known. */
  readonly seen?: number | undefined;
}

export interface ShowOptions {
  readonly features: FeatureSource;
  /** Texts to find pictures for. */
  readonly queries: readonly string[];
  /** Pictures in a grid. */
  readonly pictures: number;
  readonly step?: number | undefined;
}

/** What the page shows of one data set. */
export interface Shown {
  readonly grids: readonly PictureGrid[];
  readonly searches: readonly TextSearch[];
  readonly mistakes: readonly Mistakes[];
  readonly records: readonly EvaluationRecord[];
  readonly notes: readonly string[];
}

/** Pictures found for a text, and captions shown with the pictures that they find. */
const FOUND = 8;
const CAPTIONS = 8;
/** Pictures are drawn at random by a fixed key: nobody chose them. */
const drawn = (n: number): Uint32Array => Uint32Array.from(new Random(keyFromSeed(0)).permutation(n));

/** Names for labelled pictures, captions for captioned ones, and the pictures that the queries find among all. */
export async function showSet(
  set: ShownSet,
  tasks: { zeroshot: boolean; retrieval: boolean },
  options: ShowOptions,
): Promise<Shown> {
  const { features } = options;
  const { dataset, split, seen } = set;
  const where = {
    ...(options.step !== undefined && { step: options.step }),
    ...(split !== undefined && { split }),
    ...(seen !== undefined && { seen }),
  };
  const grids: PictureGrid[] = [];
  const searches: TextSearch[] = [];
  const mistakes: Mistakes[] = [];
  const records: EvaluationRecord[] = [];
  const notes: string[] = [];
  const context = { features, data: set };
  let nameOf = (sample: number): string | undefined => {
    const [caption] = dataset.sample(sample).captions;
    return caption === undefined ? undefined : shorten(caption);
  };
  if (tasks.zeroshot) {
    const scored = await runTask(zeroshotTask, context, where);
    const { classes } = scored.details;
    nameOf = (sample) => classes.names[classes.indexOf.get(dataset.sample(sample).label ?? "") ?? -1];
    grids.push(await namedPictures(set, scored.details, options));
    mistakes.push(await namingMistakes(dataset, scored.details));
    records.push(...scored.records);
    notes.push(...scored.notes);
  }
  if (tasks.retrieval) {
    const scored = await runTask(retrievalTask, context, where);
    grids.push(await captionedPictures(set, scored.details, options));
    searches.push(await captionQueries(set, scored.details));
    mistakes.push(await retrievalMistakes(dataset, scored.details, features));
    records.push(...scored.records);
    notes.push(...scored.notes);
  }
  if (options.queries.length > 0) {
    const { features: vectors } = await features.texts(options.queries, "queries");
    const { features: rows, indices } = await features.images(dataset);
    const found = nearestRows(vectors, allRows(rows), FOUND);
    searches.unshift({
      title: "Text finds picture",
      sentence: `For each text, the ${found.k} of ${rows.rows} pictures of ${dataset.name} that lie nearest, best first. Numbers are cosines.`,
      queries: await Promise.all(
        options.queries.map(async (text, q): Promise<TextQuery> => {
          const places = Array.from({ length: found.k }, (_, rank) => q * found.k + rank);
          const results = places.map(async (at) => {
            const sample = indices[found.indices[at]!]!;
            const name = nameOf(sample);
            return {
              image: await picture(dataset, sample),
              score: found.scores[at]!,
              ...(name !== undefined && { name, ...(tasks.zeroshot && { right: name === text }) }),
            };
          });
          return { text, results: await Promise.all(results) };
        }),
      ),
    });
  }
  return { grids, searches, mistakes, records, notes };
}

/** Whether the pictures are new to the model, as far as that is known. */
function newness({ seen }: ShownSet, count: number): string {
  if (seen === undefined) return "Whether the model was trained on them is not known.";
  if (seen === 0) return "The model was trained on none of them.";
  return `The model was trained on ${seen} of these ${count}.`;
}

async function namedPictures(
  set: ShownSet,
  { result, classes, indices, labels }: ZeroshotDetails,
  { pictures }: ShowOptions,
): Promise<PictureGrid> {
  const { names } = classes;
  const rows = [...drawn(indices.length).subarray(0, pictures)];
  const items = rows.map(
    async (row): Promise<NamedPicture> => ({
      image: await picture(set.dataset, indices[row]!),
      truth: names[labels[row]!]!,
      predictions: namedGuesses(result.predictions, names, row),
    }),
  );
  return {
    title: set.seen === 0 ? "Names for pictures never seen" : "Names for pictures",
    sentence: `${rows.length} of ${indices.length} pictures of ${set.dataset.name}, drawn at random; each could have had any of ${names.length} names. ${newness(set, indices.length)}`,
    items: await Promise.all(items),
    chance: result.chance.top1,
  };
}

/** Each picture with the captions that lie nearest to it. */
async function captionedPictures(
  set: ShownSet,
  details: RetrievalDetails,
  { pictures, features }: ShowOptions,
): Promise<PictureGrid> {
  const { dataset } = set;
  const { images, indices, texts, result } = details;
  const captioned = [...drawn(images.rows)].filter(
    (row) => dataset.sample(indices[row]!).captions.length > 0,
  );
  const rows = captioned.slice(0, pictures);
  return {
    title: "Picture finds caption",
    sentence: `${rows.length} of ${captioned.length} pictures of ${dataset.name}, drawn at random, each with a caption of its own in bold and the nearest of ${texts.length} captions below. ${newness(set, captioned.length)}`,
    items: await captionCards(dataset, details, rows, features),
    chance: result.imageToText.recall[0]!.chance,
  };
}

/** Captions drawn at random, with the pictures that they find. */
async function captionQueries(
  { dataset }: ShownSet,
  { images, indices, texts, imagesOf, textFeatures }: RetrievalDetails,
): Promise<TextSearch> {
  const rows = [...drawn(texts.length).subarray(0, CAPTIONS)];
  const { indices: found, scores, k } = nearestRows(selectRows(textFeatures, rows), images, FOUND);
  const queries = rows.map(async (text, q): Promise<TextQuery> => {
    const results = Array.from({ length: k }, async (_, rank) => {
      const row = found[q * k + rank]!;
      const right = imagesOf[text]!.includes(row);
      return { image: await picture(dataset, indices[row]!), score: scores[q * k + rank]!, right };
    });
    return { text: shorten(texts[text]!), results: await Promise.all(results) };
  });
  return {
    title: "Caption finds picture",
    sentence: `${rows.length} of ${texts.length} captions of ${dataset.name}, drawn at random, each with the nearest of ${images.rows} pictures, best first. Numbers are cosines.`,
    queries: await Promise.all(queries),
  };
}
