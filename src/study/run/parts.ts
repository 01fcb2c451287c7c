/** The parts of the data that a study's runs see, as selections in `parts/` of its folder: made once, the same for all runs and processes. */

import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { makeFolder } from "../../core/disk.js";
import { digestOfFile, withFileErrors } from "../../core/files.js";
import { scorePairs } from "../../curate/scores/run/score-pairs.js";
import type { Rule } from "../../curate/select/rules.js";
import { makeSelection } from "../../curate/select/select.js";
import type { Dataset } from "../../data/dataset.js";
import { changeOfData, fingerprintOf } from "../../data/look/fingerprint.js";
import { tableInfo } from "../../data/selections/form.js";
import { openParquet } from "../../data/sources/tables/parquet-file.js";
import type { PartInput } from "../design/study.js";

/** Decides which pairs a random part holds; one for all studies, so that their parts are the same. */
const SEED = 0;

/**
 * The selection of `part`, made where it is not there yet, or where the table of scores holds others than it did. Random parts of
 * one data set are nested, as are those by one score.
 * Throws `UsageError` where the table of scores is missing or lacks the column.
 */
export async function selectionFor(folder: string, dataset: Dataset, part: PartInput): Promise<string> {
  const parts = join(folder, "parts");
  withFileErrors("write", parts, () => makeFolder(parts));
  if ("top" in part) {
    // By what the table of scores holds: pairs that were scored again make other parts.
    const path = join(parts, `${nameOf({ ...part, scores: digestOfFile(part.scores) })}.parquet`);
    const rule: Rule = { kind: "top", score: part.by, share: part.top };
    return once(path, (to) => makeSelection(part.scores, to, { rules: [rule] }));
  }
  const { pairs, other } = await pairsOf(parts, dataset);
  // As many pictures as the cells count, each with all its captions; 1 would be a share.
  const rule: Rule =
    part.random < 1
      ? {
          ...{ kind: "random", seed: SEED, over: "pictures" },
          share: Math.max(2, Math.round(part.random * dataset.length)),
        }
      : { kind: "random", seed: SEED, share: 1 };
  return once(join(parts, `${nameOf(other === undefined ? part : { ...part, other })}.parquet`), (to) =>
    makeSelection(pairs, to, { rules: [rule] }),
  );
}

const nameOf = (decides: unknown): string =>
  createHash("sha256").update(JSON.stringify(decides)).digest("hex").slice(0, 10);

/** The table of all pairs that random parts are drawn from. `other`: what tells data that have changed since the first was made. */
async function pairsOf(
  parts: string,
  dataset: Dataset,
): Promise<{ readonly pairs: string; readonly other?: string }> {
  const make = (to: string) => scorePairs(dataset, { out: to, scores: ["words"] });
  const first = await once(join(parts, "pairs.parquet"), make);
  const { data } = tableInfo(first, (await openParquet(first)).metadata) ?? {};
  const now = fingerprintOf(dataset);
  if (data === undefined || changeOfData(data, now).changed.length === 0) return { pairs: first };
  const other = nameOf({ ...now, times: "" });
  return { pairs: await once(join(parts, `pairs-${other}.parquet`), make), other };
}

/** Makes a file that is not there. Of several processes that make it at once the first one's stays: runs know it by its bytes. */
export async function once(path: string, make: (to: string) => Promise<unknown>): Promise<string> {
  if (existsSync(path)) return path;
  const folder = mkdtempSync(`${path}.`);
  try {
    const made = join(folder, basename(path));
    await make(made);
    try {
      linkSync(made, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return path;
}
