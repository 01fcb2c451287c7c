/**
 * CLIP_benchmark's data sets as they lie: `train/` and `test/`, each with `nshards.txt` and `0.tar` …, and beside them
 * `classnames.txt`, `zeroshot_classification_templates.txt` and `dataset_type.txt`; a folder, or an address.
 * Source: clip_benchmark/datasets/builder.py, build_wds_dataset.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { readText } from "../../core/files.js";
import { type Dataset, type DatasetOptions, openDataset } from "../../data/index.js";
import { download } from "../../data/sources/download.js";

/** A data set in CLIP_benchmark's form. */
export interface BenchmarkFolder {
  /** Opens a part; undefined where there is none. */
  part(name: "train" | "test"): Promise<Dataset | undefined>;
  /** Local copies; undefined where there is none. */
  readonly classnames: string | undefined;
  readonly templates: string | undefined;
  /** The first word of dataset_type.txt. */
  readonly type: "classification" | "retrieval";
}

/**
 * The folder or address as CLIP_benchmark's; undefined where it is none: no `test/nshards.txt`, or an address of one file.
 * Throws `UsageError` for a multi-label set, and for a number of shards that is none.
 */
export async function benchmarkFolder(
  root: string,
  options: DatasetOptions,
): Promise<BenchmarkFolder | undefined> {
  const isWeb = /^https?:\/\//.test(root);
  // The last part of an address that ends in a file's name is that file.
  if (isWeb && /\.[a-z0-9]+(?:[?#].*)?$/i.test(root.replace(/^https?:\/\/[^/]+/, ""))) return undefined;
  const at = isWeb ? root.replace(/\/+$/, "") : root;
  const place = (name: string): string => (isWeb ? `${at}/${name}` : join(at, name));
  const local = async (name: string): Promise<string | undefined> => {
    if (!isWeb) return existsSync(place(name)) ? place(name) : undefined;
    try {
      return await download(place(name), options);
    } catch (error) {
      if (error instanceof UsageError && /\b404\b/.test(error.message)) return undefined;
      throw error;
    }
  };
  const shards = async (part: string): Promise<number | undefined> => {
    const file = await local(`${part}/nshards.txt`);
    if (file === undefined) return undefined;
    const text = readText(file).trim();
    if (/^[1-9]\d*$/.test(text)) return Number(text);
    throw new UsageError(
      `${place(`${part}/nshards.txt`)}: must hold the number of tars; got "${text.slice(0, 20)}". Write it.`,
    );
  };
  if ((await shards("test")) === undefined) {
    if (isWeb) {
      throw new UsageError(
        `data ${root}: must be a file, or a folder with test/nshards.txt; got neither (404). Check the address.`,
      );
    }
    return undefined;
  }
  const typeFile = await local("dataset_type.txt");
  const type = typeFile === undefined ? "classification" : readText(typeFile).trim();
  if (type !== "classification" && type !== "retrieval") {
    throw new UsageError(
      `${place("dataset_type.txt")}: must be classification or retrieval; got "${type.slice(0, 40)}", which is not scored. Leave the set out.`,
    );
  }
  return {
    type,
    classnames: await local("classnames.txt"),
    templates: await local("zeroshot_classification_templates.txt"),
    async part(name) {
      const count = await shards(name);
      if (count === undefined) return undefined;
      const tars = Array.from({ length: count }, (_, i) => place(`${name}/${i}.tar`));
      return openDataset(tars, options);
    },
  };
}
