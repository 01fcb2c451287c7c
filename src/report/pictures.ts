/** What a model makes of pictures, gathered for a page: names, captions, and what it finds for a text. */

import { keyFromSeed, Random } from "../core/random.js";
import type { Dataset } from "../data/index.js";
import { thumbnail } from "../data/pixels/show/thumbnail.js";
import { runTask } from "../evaluate/evaluate.js";
import { type Features, nearestRows, nearestSearch } from "../evaluate/features/features.js";
import { eachTileOn } from "../evaluate/features/products.js";
import { allRows, type FeatureSource } from "../evaluate/features/source.js";
import type { EvaluationRecord } from "../evaluate/records.js";
import { type RetrievalDetails, retrievalTask } from "../evaluate/tasks/retrieval.js";
import type { EvaluationSet } from "../evaluate/tasks/task.js";
import { namedGuesses, type ZeroshotDetails, zeroshotTask } from "../evaluate/tasks/zeroshot.js";
import type { NamedPicture, PictureGrid, TextQuery, TextSearch } from "./sections.js";

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
  readonly records: readonly EvaluationRecord[];
  readonly notes: readonly string[];
}

/** Pictures found for a text, and captions shown with the pictures that they find. */
const FOUND = 8;
const CAPTIONS = 8;
/** Guesses of a picture's caption that are shown. */
const GUESSED = 3;
/** Longest side of a picture on the page, in pixels: twice what a phone shows. */
const SIDE = 240;
/** Longer captions are cut on the page. */
const CAPTION_LETTERS = 90;

/** Pictures are drawn at random by a fixed key: nobody chose them. */
const drawn = (n: number): Uint32Array => Uint32Array.from(new Random(keyFromSeed(0)).permutation(n));

const shorten = (text: string): string =>
  text.length <= CAPTION_LETTERS ? text : `${text.slice(0, CAPTION_LETTERS - 1)}…`;

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
    records.push(...scored.records);
    notes.push(...scored.notes);
  }
  if (tasks.retrieval) {
    const scored = await runTask(retrievalTask, context, where);
    grids.push(await captionedPictures(set, scored.details, options));
    searches.push(await captionQueries(set, scored.details));
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
  return { grids, searches, records, notes };
}

const picture = async (dataset: Dataset, sample: number): Promise<Uint8Array> =>
  thumbnail(await dataset.readBytes(sample), SIDE);

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
  { images, indices, texts, imagesOf, textFeatures, result }: RetrievalDetails,
  { pictures, features }: ShowOptions,
): Promise<PictureGrid> {
  const { dataset } = set;
  const captioned = [...drawn(images.rows)].filter(
    (row) => dataset.sample(indices[row]!).captions.length > 0,
  );
  const rows = captioned.slice(0, pictures);
  const some = selectRows(images, rows);
  const search = nearestSearch(some.rows, textFeatures, GUESSED);
  await eachTileOn(features.engine, some, textFeatures, search.visit);
  const guesses = search.result();
  const items = rows.map(
    async (row, at): Promise<NamedPicture> => ({
      image: await picture(dataset, indices[row]!),
      truth: shorten(dataset.sample(indices[row]!).captions[0]!),
      predictions: Array.from({ length: guesses.k }, (_, rank) => {
        const text = guesses.indices[at * guesses.k + rank]!;
        const right = imagesOf[text]!.includes(row);
        return { name: shorten(texts[text]!), score: guesses.scores[at * guesses.k + rank]!, right };
      }),
    }),
  );
  return {
    title: "Picture finds caption",
    sentence: `${rows.length} of ${captioned.length} pictures of ${dataset.name}, drawn at random, each with a caption of its own in bold and the nearest of ${texts.length} captions below. ${newness(set, captioned.length)}`,
    items: await Promise.all(items),
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

function selectRows({ data, width }: Features, rows: readonly number[]): Features {
  const out = new Float32Array(rows.length * width);
  for (const [at, row] of rows.entries()) out.set(data.subarray(row * width, (row + 1) * width), at * width);
  return { data: out, rows: rows.length, width };
}
