/** What a study must know of its data and models before its runs can be counted. */

import { UsageError } from "../../core/errors.js";
import { datasetOptions } from "../../data/fields.js";
import { type Dataset, openDataset } from "../../data/index.js";
import { takeSelected } from "../../data/selections/select.js";
import { completeClipConfig } from "../../models/config/config.js";
import { readSizedModel } from "../../train/open/model.js";
import { clipOf } from "../../train/open/step.js";
import { checkRecipe, type Recipe, recipeToJson } from "../../train/recipe/recipe.js";
import { phasesOf } from "../../train/schedule/phases.js";
import type { CellFacts } from "../design/cells.js";
import type { Study } from "../design/study.js";

/** Steps over which the cost of a run whose images, texts or masks change on the way is averaged. */
const STEPS = 1000;

/** Multiply-adds of a training pair's forward pass, 10⁹: all views and heads, and what judges pairs. */
export function gmacsOf(recipe: Recipe): number {
  const { config } = readSizedModel(recipe);
  const clip = clipOf(recipe, config);
  const length = completeClipConfig(config).text_cfg.context_length;
  return phasesOf(recipe, clip, length).forwardMacs(STEPS, { totalSteps: STEPS }) / STEPS / 1e9;
}

/** What a study knows of its data and models. */
export interface StudyFacts extends CellFacts {
  readonly dataset: Dataset;
  /** The recipe that the data were opened for. */
  readonly opened: Recipe;
}

/** Opens the training data of the study, which all of its runs share. Throws `UsageError`. */
export async function factsOf(study: Study): Promise<StudyFacts> {
  const first = study.factors.map(({ levels }) => levels[0]!.recipe);
  for (const { name, levels } of study.factors)
    for (const level of levels)
      if (level.recipe.trainData !== undefined)
        throw new UsageError(
          `factors.${name}.${level.name}: runs of a study share their data; got trainData. Use part, or a study for each data set.`,
          { key: "trainData" },
        );
  const recipe = checkRecipe(Object.assign({ steps: 1 }, study.recipe, ...first), "study");
  const dataset = await openDataset(recipe.trainData, datasetOptions(recipe));
  const selected = new Map<string | undefined, number>([[undefined, dataset.length]]);
  for (const { recipe: one } of [study, ...study.factors.flatMap(({ levels }) => levels)])
    if (!selected.has(one.select)) selected.set(one.select, (await takeSelected(dataset, one.select)).length);
  const known = new Map<string, number>();
  return {
    dataset,
    opened: recipe,
    pairsOf: (select) => selected.get(select)!,
    gmacsOf(one) {
      const { seed: _1, steps: _2, samples: _3, epochs: _4, time: _5, ...rest } = recipeToJson(one);
      const key = JSON.stringify(rest);
      const gmacs = known.get(key) ?? gmacsOf(one);
      known.set(key, gmacs);
      return gmacs;
    },
  };
}
