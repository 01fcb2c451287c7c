/** Every score family, in the order of the table's columns. */

import { didYouMean, UsageError } from "../../core/errors.js";
import { labelsFamily, neighboursFamily } from "../fit/accuracy/families.js";
import { siblingsFamily } from "../fit/accuracy/siblings.js";
import { crossfitFamily } from "../fit/crossfit/family.js";
import { clustersFamily, targetsFamily } from "../fit/diversity/families.js";
import { clipFamily } from "../fit/relevance/family.js";
import { givenFamily } from "./given.js";
import { duplicatesFamily } from "./image/duplicates.js";
import { oddSizeFamily } from "./image/odd-size.js";
import { pictureFamily } from "./image/picture.js";
import { qualityFamily } from "./image/quality.js";
import type { ScoreColumn, ScoreFamily } from "./score.js";
import { frequencyFamily } from "./text/frequency.js";
import { languageFamily } from "./text/language.js";
import { tokensFamily } from "./text/tokens.js";
import { wordingFamily } from "./text/wording.js";
import { wordsFamily } from "./text/words.js";

/** All families of scores, in the order of the documentation. */
export const scoreFamilies: readonly ScoreFamily[] = Object.freeze([
  wordsFamily,
  languageFamily,
  wordingFamily,
  tokensFamily,
  givenFamily,
  frequencyFamily,
  pictureFamily,
  qualityFamily,
  oddSizeFamily,
  duplicatesFamily,
  siblingsFamily,
  crossfitFamily,
  clipFamily,
  neighboursFamily,
  labelsFamily,
  clustersFamily,
  targetsFamily,
]);

/** A column of one of the families, by its name. */
export const findColumn = (name: string): ScoreColumn | undefined =>
  scoreFamilies.flatMap(({ columns }) => columns).find((column) => column.name === name);

/**
 * The families that `names` (of families or of columns) ask for, with those whose columns they read, in the table's order;
 * those that need neither a model nor a word without `names`. Throws `UsageError` for a name that is none.
 */
export function chooseFamilies(names?: readonly string[]): readonly ScoreFamily[] {
  const chosen = new Set<ScoreFamily>();
  const add = (family: ScoreFamily): void => {
    chosen.add(family);
    if (family.over === "table") for (const column of family.reads) add(familyOf(column));
  };
  if (names === undefined) for (const family of scoreFamilies) if (family.byDefault) add(family);
  for (const name of names ?? []) add(familyOf(name));
  return scoreFamilies.filter((family) => chosen.has(family));
}

function familyOf(name: string): ScoreFamily {
  const found =
    scoreFamilies.find((family) => family.name === name) ??
    scoreFamilies.find(({ columns }) => columns.some((column) => column.name === name));
  if (found !== undefined) return found;
  const words = scoreFamilies.flatMap((family) => [family.name, ...family.columns.map((c) => c.name)]);
  throw new UsageError(
    `scores: must name families or columns; got "${name}".${didYouMean(name, words)} clipwright curate score --list tells all.`,
  );
}
