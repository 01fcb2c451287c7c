/** What a profile keeps of pictures, and the vectors of those that were drawn: of their captions by the words, of captions and images by a model. */

import { type Key, keyFromSeed, Random } from "../../core/random.js";
import { type Dataset, subset } from "../../data/dataset.js";
import type { Rows } from "../../evaluate/linear/cholesky.js";
import type { Encoder } from "../../evaluate/model/encoder.js";
import type { ColumnProfile, DataProfile, SpaceProfile } from "./profile.js";
import { along, mainDirections } from "./vectors.js";
import type { DrawnPicture, Window, WindowColumn } from "./window.js";

/** Directions that are kept. */
const DIRECTIONS = 32;
/** Places that words are hashed to. */
const WORD_PLACES = 512;

/** Rows of vectors by what they are of; of pictures that have none, none. */
export type Vectors = Readonly<Partial<Record<SpaceProfile["name"], Rows>>>;

/** Unit vectors of captions: a sign for each of their words at the word's place, summed (feature hashing, Weinberger et al. 2009). */
export function captionVectors(captions: readonly string[]): Rows {
  const data = new Float32Array(captions.length * WORD_PLACES);
  captions.forEach((caption, i) => {
    const own = data.subarray(i * WORD_PLACES, (i + 1) * WORD_PLACES);
    for (const word of caption.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
      const hash = fnv1a(word);
      own[hash % WORD_PLACES]! += hash >>> 31 === 0 ? 1 : -1;
    }
    const length = Math.hypot(...own);
    if (length > 0) for (let e = 0; e < WORD_PLACES; e++) own[e]! /= length;
  });
  return { data, rows: captions.length, width: WORD_PLACES };
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  // The low bits of short words are alike.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0;
  return (hash ^ (hash >>> 13)) >>> 0;
}

/**
 * The vectors of drawn pictures.
 * @param model embeds; default: captions by their words alone.
 */
export async function vectorsOf(
  drawn: readonly DrawnPicture[],
  dataset: Dataset,
  model: Encoder | undefined,
): Promise<Vectors> {
  const captions = drawn.flatMap(({ caption }) => (caption === undefined ? [] : [caption]));
  const words = captions.length === 0 ? {} : { captions: captionVectors(captions) };
  if (model === undefined) return words;
  const width = model.options.clip.config.embed_dim;
  const texts =
    captions.length === 0
      ? {}
      : { texts: { data: await model.embedTexts(captions), rows: captions.length, width } };
  const samples = samplesOfDrawn(drawn, dataset);
  if (samples.length === 0) return { ...words, ...texts };
  const { features } = await model.embedDataset(subset(dataset, samples));
  return { ...words, ...texts, images: shuffled({ data: features.data, rows: features.rows, width }) };
}

/** Rows in random order: those of a data set lie by what they show. */
function shuffled({ data, rows, width }: Rows): Rows {
  const out = new Float32Array(rows * width);
  new Random(keyFromSeed(0)).permutation(rows).forEach((from, to) => {
    out.set(data.subarray(from * width, (from + 1) * width), to * width);
  });
  return { data: out, rows, width };
}

/** The samples of drawn pictures that the data still have, ascending. */
function samplesOfDrawn(drawn: readonly DrawnPicture[], dataset: Dataset): number[] {
  const wanted = new Set(drawn.map(({ source, key }) => JSON.stringify([source, key])));
  const found: number[] = [];
  for (const { name, start, length } of dataset.sources)
    for (let i = start; i < start + length; i++)
      if (wanted.has(JSON.stringify([name, dataset.sample(i).key]))) found.push(i);
  return found;
}

/**
 * Profiles of vectors: one half finds the directions, the other is kept along them, since directions fit the rows that they
 * were found on better than any others.
 */
function profileSpaces(vectors: Vectors, key: Key = keyFromSeed(0)): SpaceProfile[] {
  return Object.entries(vectors).flatMap(([name, { data, rows, width }]) => {
    const half = rows >> 1;
    if (half < 2) return [];
    const basis = mainDirections({ data, rows: half, width }, DIRECTIONS, key);
    const rest = { data: data.subarray(half * width), rows: rows - half, width };
    return [{ name: name as SpaceProfile["name"], basis, sample: along(basis, rest) }];
  });
}

/** What a profile keeps of pictures. */
export const profileOf = (
  window: Window,
  vectors: Vectors,
): Pick<DataProfile, "pictures" | "columns" | "spaces"> => ({
  pictures: window.pictures,
  columns: window.columns.map((column) => profileColumn(column, window.pictures)),
  spaces: profileSpaces(vectors),
});

function profileColumn(
  { kind, mean, sample, counts, name, about, better, known }: WindowColumn,
  pictures: number,
): ColumnProfile {
  const told = { name, about, better, pictures, known };
  return kind === "numbers" && sample.length > 0
    ? { ...told, kind, mean, sample: [...sample].sort((a, b) => a - b) }
    : { ...told, kind: "classes", counts };
}
