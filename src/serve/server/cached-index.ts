/** The index of a run's or a source's pictures, in the cache folder, for whoever has made none. */

import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { cacheFolder } from "../../core/cache-folder.js";
import { makeFolder } from "../../core/disk.js";
import { withFileErrors } from "../../core/files.js";
import { prune, touch } from "../../core/prune.js";
import { concatDatasets, type Dataset } from "../../data/dataset.js";
import type { LoadedModel } from "../../evaluate/model/load-model.js";
import { heldOutSets } from "../../train/run/data.js";
import { type MakeIndexOptions, makeIndex } from "../index/make.js";
import { PictureIndex } from "../index/open.js";

/** What all such indexes may take. */
const LIMIT_BYTES = 8 * 2 ** 30;

type Told = Pick<MakeIndexOptions, "onProgress" | "onNote">;

/** The index of `dataset` by `model`, brought up to date. `name` tells it from others of the same data, e.g. a followed run's. */
export async function cachedIndex(
  model: LoadedModel,
  dataset: Dataset,
  modelPath: string,
  told: Told,
  name = "",
): Promise<PictureIndex> {
  const sources = dataset.description.map(({ source }) => source);
  const key = createHash("sha256").update(
    JSON.stringify([model.identity(), dataset.name, dataset.length, sources, name]),
  );
  const folder = join(cacheFolder(), "indexes");
  const out = join(folder, key.digest("hex").slice(0, 24));
  withFileErrors("write", out, () => makeFolder(out));
  await makeIndex(model, dataset, { out, modelPath, ...told });
  touch(join(out, "index.json"));
  prune(folder, LIMIT_BYTES, { keep: new Set([basename(out)]) });
  return PictureIndex.open(out);
}

/** The pictures that a run holds out, each set once. Throws `UsageError` where it holds out none. */
export async function heldOutPictures(run: string, say: (line: string) => void): Promise<Dataset> {
  const sets = await heldOutSets(run, say);
  const sourcesOf = ({ dataset }: { readonly dataset: Dataset }) =>
    JSON.stringify(dataset.description.map(({ source }) => source));
  const once = sets.filter((set, i) => sets.findIndex((other) => sourcesOf(other) === sourcesOf(set)) === i);
  return concatDatasets(once.map(({ dataset }) => dataset));
}
