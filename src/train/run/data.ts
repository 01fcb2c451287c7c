/** The data of a run, opened again: what it holds out for scoring, and what it has seen. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { readJson } from "../../core/files.js";
import { datasetOptions } from "../../data/fields.js";
import { type Dataset, fingerprintOf, openDataset } from "../../data/index.js";
import { overlapWith } from "../../data/look/overlap.js";
import { takeSelected } from "../../data/selections/select.js";
import { splitAt, splitByImage } from "../../data/split.js";
import type { EvaluationSet } from "../../evaluate/tasks/task.js";
import { checkRecipe, type Recipe, type RecipeInput } from "../recipe/recipe.js";
import { heldOutIn } from "./folder.js";

/** A data set that a run is scored on. */
export interface ScoredSet extends EvaluationSet {
  /** Part of the run's data: `val`. */
  readonly split?: string;
  /** Images of it that were trained on; undefined where that is not known. */
  readonly seen: number | undefined;
  /** In the results; default the data set's. */
  readonly name?: string;
}

/** The recipe of a run's folder. */
export const recipeOf = (run: string): Recipe =>
  checkRecipe(readJson(join(run, "config.json")) as RecipeInput);

/**
 * What the run keeps for scoring: its held-out images, and its labelled ones. Throws `UsageError` where it keeps nothing.
 * @param say told what takes a while.
 */
export async function heldOutSets(run: string, say: (line: string) => void): Promise<ScoredSet[]> {
  const recipe = recipeOf(run);
  const options = { onProgress: say, ...datasetOptions(recipe) };
  const { classnames } = recipe;
  const sets: ScoredSet[] = [];
  if (recipe.valSplit > 0) {
    const { heldOut } = await splitOf(run, recipe, say);
    sets.push({ dataset: heldOut, classnames, split: "val", seen: 0 });
  } else if (recipe.valData !== undefined) {
    const dataset = await openDataset(recipe.valData, options);
    sets.push({ dataset, classnames, split: "val", seen: await seenBy(run, recipe, dataset, say) });
  }
  if (recipe.zeroshotData !== undefined) {
    const dataset = await openDataset(recipe.zeroshotData, { onProgress: say });
    sets.push({
      dataset,
      classnames: recipe.zeroshotClassnames ?? classnames,
      templates: recipe.zeroshotTemplates,
      seen: await seenBy(run, recipe, dataset, say),
    });
  }
  if (sets.length > 0) return sets;
  throw new UsageError(
    `${run}: holds nothing out to be scored on; got no valSplit, valData or zeroshotData in its recipe. Give --data, pictures that it was not trained on.`,
  );
}

/** How many images of `dataset` the run was trained on; undefined, and told, where its data cannot be opened any more. */
export async function seenIn(
  run: string | undefined,
  dataset: Dataset,
  say: (line: string) => void,
): Promise<number | undefined> {
  if (run === undefined || !existsSync(join(run, "config.json"))) return undefined;
  try {
    return await seenBy(run, recipeOf(run), dataset, say);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`Whether ${dataset.name} was trained on is not known: ${error.message}`);
    return undefined;
  }
}

/**
 * What the run was trained on: its data without what it held out, as far as it was selected. Throws
 * `UsageError` where they cannot be opened any more.
 */
export async function trainingDataOf(run: string, say: (line: string) => void): Promise<Dataset> {
  const recipe = recipeOf(run);
  return trainedOf(run, recipe, say, await openTrainData(recipe, say));
}

const openTrainData = (recipe: Recipe, say: (line: string) => void): Promise<Dataset> =>
  openDataset(recipe.trainData, { onProgress: say, ...datasetOptions(recipe) });

/** What was trained on of all that the recipe names. */
async function trainedOf(
  run: string,
  recipe: Recipe,
  say: (line: string) => void,
  all: Dataset,
): Promise<Dataset> {
  const train = recipe.valSplit > 0 ? (await splitOf(run, recipe, say, all)).train : all;
  const heldOut = all.length - train.length;
  return takeSelected(train, recipe.select, { onProgress: say, weight: recipe.sampleWeight, heldOut });
}

async function seenBy(
  run: string,
  recipe: Recipe,
  dataset: Dataset,
  say: (line: string) => void,
): Promise<number> {
  const all = await openTrainData(recipe, say);
  const overlap = await overlapWith(dataset, all);
  const isWhole = recipe.valSplit === 0 && recipe.select === undefined;
  if (overlap.length === 0 || isWhole) return overlap.length;
  return (await overlapWith(dataset, await trainedOf(run, recipe, say, all))).length;
}

/**
 * The two sides of the run's data, as the run keeps them. Of a run that keeps none, or whose data were changed, they are
 * found again: the split depends on the images alone.
 */
async function splitOf(run: string, recipe: Recipe, say: (line: string) => void, opened?: Dataset) {
  const all = opened ?? (await openTrainData(recipe, say));
  const kept = heldOutIn(run, fingerprintOf(all));
  if (kept !== undefined) return splitAt(all, kept);
  say(`Finding the ${100 * recipe.valSplit} % of ${all.length} images that were held out …`);
  const { heldOutIndices } = await splitByImage(all, {
    fraction: recipe.valSplit,
    ...(recipe.workers === undefined ? {} : { workers: recipe.workers }),
  });
  return splitAt(all, heldOutIndices);
}
