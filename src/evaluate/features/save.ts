/** Features of a data set as files that NumPy reads. */

import { join } from "node:path";
import { makeFolder } from "../../core/disk.js";
import { withFileErrors, writeFileAtomic } from "../../core/files.js";
import { NpyWriter } from "../../core/npy.js";
import type { Dataset } from "../../data/dataset.js";
import type { Features } from "./features.js";
import { blocksOf, type FeatureSource } from "./source.js";

/**
 * Writes the unit vectors of a set's pictures: `images.npy` f32[N,E], and `samples.jsonl` with `{"key", "label"}` of each row;
 * `classes.npy` f32[C,E] and `classes.txt`, a name a line, where classes are given.
 */
export async function saveFeatures(
  folder: string,
  source: FeatureSource,
  dataset: Dataset,
  classes?: { readonly names: readonly string[]; readonly features: Features },
): Promise<void> {
  withFileErrors("write", folder, () => makeFolder(folder));
  const { features, indices } = await source.images(dataset);
  using rows = new NpyWriter(join(folder, "images.npy"), { dtype: "f32", rowShape: [features.width] });
  for (const { block } of blocksOf(features)) rows.append(block.data);
  rows.close();
  const samples = Array.from(indices, (i) => {
    const { key, label } = dataset.sample(i);
    return `${JSON.stringify({ key, ...(label !== undefined && { label }) })}\n`;
  });
  writeFileAtomic(join(folder, "samples.jsonl"), samples.join(""));
  if (classes === undefined) return;
  const { data, width } = classes.features;
  using prompts = new NpyWriter(join(folder, "classes.npy"), { dtype: "f32", rowShape: [width] });
  prompts.append(data);
  prompts.close();
  writeFileAtomic(join(folder, "classes.txt"), classes.names.map((name) => `${name}\n`).join(""));
}
