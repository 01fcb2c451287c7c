/** The index of a run's or a source's pictures, in the cache folder, for whoever has made none. */

import { createHash } from "node:crypto";
import { basename, join, resolve } from "node:path";
import { cacheFolder } from "../../core/cache-folder.js";
import { makeFolder } from "../../core/disk.js";
import { withFileErrors } from "../../core/files.js";
import { prune, touch } from "../../core/prune.js";
import { withClassNames } from "../../data/class-names.js";
import { concatDatasets, type Dataset } from "../../data/dataset.js";
import type { LoadedModel } from "../../evaluate/model/load-model.js";
import { heldOutSets, type ScoredSet } from "../../train/run/data.js";
import { type MakeIndexOptions, makeIndex } from "../index/make.js";
import { PictureIndex } from "../index/open.js";

/** What all such indexes may take. */
const LIMIT_BYTES = 8 * 2 ** 30;

type Told = Pick<MakeIndexOptions, "onProgress" | "onNote">;

/**
 * The index of `dataset` by `model`, brought up to date. One model's and data's has a place of its own; that of a run that is
 * `followed` stays in one place, whichever checkpoint makes it.
 */
export async function cachedIndex(
  model: LoadedModel,
  dataset: Dataset,
  modelPath: string,
  told: Told,
  followed?: string,
): Promise<PictureIndex> {
  const sources = dataset.description.map(({ source }) => source);
  const place =
    followed === undefined ? [model.identity(), dataset.name, dataset.length, sources] : [resolve(followed)];
  const key = createHash("sha256").update(JSON.stringify(place));
  const folder = join(cacheFolder(), "indexes");
  const out = join(folder, key.digest("hex").slice(0, 24));
  withFileErrors("write", out, () => makeFolder(out));
  await makeIndex(model, dataset, { out, modelPath, ...told });
  touch(join(out, "index.json"));
  prune(folder, LIMIT_BYTES, { keep: new Set([basename(out)]) });
  return PictureIndex.open(out);
}

/** The pictures that a run holds out, each set once, with names for labels. Throws `UsageError` where it holds out none. */
export async function heldOutPictures(run: string, say: (line: string) => void): Promise<Dataset> {
  const sets = new Map<string, ScoredSet>();
  for (const set of await heldOutSets(run, say)) {
    const sources = JSON.stringify(set.dataset.description.map(({ source }) => source));
    // The same pictures may be held out twice: once of them with names for their classes.
    if (sets.get(sources)?.classnames === undefined) sets.set(sources, set);
  }
  return concatDatasets(
    [...sets.values()].map(({ dataset, classnames }) => withClassNames(dataset, classnames)),
  );
}
