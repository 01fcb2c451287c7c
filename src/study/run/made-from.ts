/**
 * What a run's result was made from, so that one of other data is not mixed with new ones: names of runs are of the recipe's words, and
 * what lies behind its paths may change. Hashes are the first 16 hex digits of a SHA-256.
 */

import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { z } from "zod";
import { digestOfFile } from "../../core/files.js";
import type { Dataset } from "../../data/dataset.js";
import { changeOfData, type DataFingerprint, fingerprintOf } from "../../data/index.js";
import { dataFingerprintSchema } from "../../data/selections/form.js";
import type { OpenSet } from "../../evaluate/suites/open.js";
import { checkRecipe, recipeFields, recipeToJson } from "../../train/recipe/recipe.js";
import type { Cell } from "../design/cells.js";

export interface MadeFrom {
  /** The training data, whole: without a part or a selection. */
  readonly data: DataFingerprint;
  /** Files that the recipe names, by setting, such as `select`; `part`: the table of scores that its part is by. */
  readonly files: Readonly<Record<string, string>>;
  /** What each set of the suite holds, and how it is scored. */
  readonly suite: Readonly<Record<string, string>>;
}

export const madeFromSchema = z.object({
  data: dataFingerprintSchema,
  files: z.record(z.string(), z.string()),
  suite: z.record(z.string(), z.string()),
}) satisfies z.ZodType<MadeFrom>;

/** What is not as it was, in words; both empty where nothing changed. */
export interface Stale {
  /** What the weights were made from: the run would have to be trained anew. */
  readonly weights: readonly string[];
  /** What they were scored on: scored anew they are as good as new. */
  readonly scores: readonly string[];
}

/** What is not as it was when a result was made. Results that do not tell are taken for what they are. */
export function changesSince(before: MadeFrom | undefined, now: MadeFrom): Stale {
  if (before === undefined) return { weights: [], scores: [] };
  const files = Object.entries(now.files).filter(
    ([key, hash]) => before.files[key] !== undefined && before.files[key] !== hash,
  );
  return {
    weights: [
      ...changeOfData(before.data, now.data).changed.map((what) => `trainData: ${what}`),
      ...files.map(([key]) =>
        key === "part" ? "another table of scores" : `${key}: a file of other content`,
      ),
    ],
    scores: Object.entries(now.suite).flatMap(([set, hash]) =>
      before.suite[set] === hash
        ? []
        : [before.suite[set] === undefined ? `a new set ${set}` : `another set ${set}`],
    ),
  };
}

/** What runs of the cells are made from now: read once, when it is first asked for. */
export function madeFromNow(dataset: Dataset, sets: readonly OpenSet[]): (cell: Cell) => MadeFrom {
  let known: Pick<MadeFrom, "data" | "suite"> | undefined;
  const digests = new Map<string, string>();
  const digest = (path: string): string => {
    const found = digests.get(path) ?? digestOfFile(path).slice(0, 16);
    digests.set(path, found);
    return found;
  };
  return ({ recipe, part }) => {
    known ??= {
      data: fingerprintOf(dataset),
      suite: Object.fromEntries(sets.map((set) => [set.dataset.name, hashOfSet(set, digest)])),
    };
    const files = Object.entries(recipeToJson(checkRecipe(recipe, "study"))).flatMap(([key, value]) =>
      typeof value === "string" && !recipeFields[key as keyof typeof recipeFields].free && isFile(value)
        ? [[key, digest(value)] as const]
        : [],
    );
    return {
      ...known,
      files: Object.fromEntries([
        ...files,
        ...(part && "top" in part ? [["part", digest(part.scores)] as const] : []),
      ]),
    };
  };
}

const isFile = (path: string): boolean => {
  try {
    return statSync(path).isFile();
  } catch {
    // A word that is no path, or too long for one.
    return false;
  }
};

function hashOfSet(set: OpenSet, digest: (path: string) => string): string {
  const { dataset, train, tasks, classnames, templates, classes, questions, corruptions } = set;
  const named = (value: unknown): unknown =>
    typeof value === "string" && isFile(value) ? digest(value) : value;
  // Copied data have other times.
  const contentOf = (data: Dataset | undefined): unknown => data && { ...fingerprintOf(data), times: "" };
  const said = [tasks, named(classnames), named(templates), classes, questions, corruptions];
  return createHash("sha256")
    .update(JSON.stringify([contentOf(dataset), contentOf(train), ...said]))
    .digest("hex")
    .slice(0, 16);
}
