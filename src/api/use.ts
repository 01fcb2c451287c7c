/** The public functions that use a trained model, with their arguments checked. */

import type { Encoder } from "../evaluate/model/encoder.js";
import { type ClassifyOptions, classifyPictures } from "../serve/classify/pictures.js";
import { type MakeIndexOptions, makeIndex as makeUnchecked } from "../serve/index/make.js";
import { type NearestOptions, PictureIndex } from "../serve/index/open.js";
import { type Picture, searchIndex } from "../serve/index/search.js";
import { vectorTypes } from "../serve/search/vectors.js";
import {
  type Check,
  callback,
  checked,
  checkedAsync,
  count,
  either,
  flag,
  listOf,
  object,
  oneOf,
  options,
  real,
  text,
  thing,
} from "./arguments.js";

const model = thing("a model, as openModel or loadModel gives", "encoder");
const bytes: Check = { rule: "encoded bytes", fits: (x) => x instanceof Uint8Array };
const pictures = listOf(either(text, bytes));

/**
 * Unit vectors [n,E], flat, of pictures given by path or as encoded bytes (JPEG, PNG, …), prepared as the model was trained. Throws
 * a `UsageError` naming the picture that cannot be read.
 */
export const embedImages = checkedAsync(
  "embedImages",
  ({ encoder }: { readonly encoder: Encoder }, of: readonly Picture[]): Promise<Float32Array> =>
    encoder.embedImages(of),
  2,
  ["model", model],
  ["pictures", pictures],
);

/**
 * Embeds the pictures of a data set into an index at `options.out`, or brings the one there up to date: only pictures whose bytes it
 * has not are embedded. It appears whole; a call that was killed goes on when it is made again (docs/using.md). Throws `UsageError`
 * where the folder holds something else, and where no picture can be read.
 */
export const makeIndex = checkedAsync(
  "makeIndex",
  makeUnchecked,
  3,
  ["model", model],
  ["dataset", thing("a data set, as openDataset gives", "sample", "length")],
  [
    "options",
    options<MakeIndexOptions>(
      {
        out: text,
        modelPath: text,
        type: oneOf(vectorTypes),
        thumbnailSide: count(16),
        approximate: oneOf(["auto", "always", "never"]),
        processes: object,
        onProgress: callback,
        onNote: callback,
      },
      ["out", "modelPath"],
    ),
  ],
);

/**
 * Opens an index of pictures: names, thumbnails, vectors, and the nearest of a vector. Close it when done, or hold it with `using`.
 * Throws a `UsageError` for a folder that is no index, or one of another version.
 */
export const openIndex = checked("openIndex", (folder: string) => PictureIndex.open(folder), 1, [
  "folder",
  text,
]);

/**
 * The pictures of an index most like some words, `{ text }` or a text alone, or like a `{ picture }`: best first, with cosines, names
 * and captions. Throws a `UsageError` where `model` is not the one that made the index.
 */
export const search = checkedAsync(
  "search",
  searchIndex,
  3,
  ["index", thing("an index, as openIndex gives", "nearest", "info")],
  ["model", thing("a model, as openModel or loadModel gives", "encoder", "identity")],
  ["query", either(text, object)],
  ["options", options<NearestOptions>({ k: count(1), accepts: callback, exact: flag })],
);

/**
 * How likely each of some classes is for pictures given by path or as bytes, the likeliest first. Probabilities are those of the
 * classes among each other, calibrated where the model's run has held-out data.
 */
export const classify = checkedAsync(
  "classify",
  classifyPictures,
  3,
  ["model", model],
  ["pictures", pictures],
  [
    "options",
    options<ClassifyOptions>(
      {
        classes: listOf(text),
        templates: either(text, listOf(text)),
        scale: either(
          oneOf(["calibrated", "learned"]),
          real("a number above 0", (x) => x > 0),
        ),
        features: thing("a source of features, such as a FeatureStore", "images", "texts"),
        onNote: callback,
      },
      ["classes"],
    ),
  ],
);
