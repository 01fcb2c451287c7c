/** Pictures of a data set as a page shows them, with the captions that lie nearest. */

import type { Dataset } from "../../data/index.js";
import { thumbnail } from "../../data/pixels/show/thumbnail.js";
import { type Features, nearestSearch } from "../../evaluate/features/features.js";
import { eachTileOn } from "../../evaluate/features/products.js";
import type { FeatureSource } from "../../evaluate/features/source.js";
import type { RetrievalDetails } from "../../evaluate/tasks/retrieval.js";
import type { NamedPicture } from "../page/sections.js";

/** Guesses of a picture's caption that are shown. */
const GUESSED = 3;
/** Longest side of a picture on the page, in pixels: twice what a phone shows. */
const SIDE = 240;
/** Longer captions are cut on the page. */
const CAPTION_LETTERS = 90;

export const shorten = (text: string): string =>
  text.length <= CAPTION_LETTERS ? text : `${text.slice(0, CAPTION_LETTERS - 1)}…`;

export const picture = async (dataset: Dataset, sample: number): Promise<Uint8Array> =>
  thumbnail(await dataset.readBytes(sample), SIDE);

/** Pictures of some rows with a caption of their own and the captions that lie nearest. */
export async function captionCards(
  dataset: Dataset,
  { images, indices, texts, imagesOf, textFeatures }: RetrievalDetails,
  rows: readonly number[],
  { engine }: FeatureSource,
): Promise<NamedPicture[]> {
  const some = selectRows(images, rows);
  const search = nearestSearch(some.rows, textFeatures, GUESSED);
  await eachTileOn(engine, some, textFeatures, search.visit);
  const guesses = search.result();
  const cards = rows.map(
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
  return Promise.all(cards);
}

export function selectRows({ data, width }: Features, rows: readonly number[]): Features {
  const out = new Float32Array(rows.length * width);
  for (const [at, row] of rows.entries()) out.set(data.subarray(row * width, (row + 1) * width), at * width);
  return { data: out, rows: rows.length, width };
}
