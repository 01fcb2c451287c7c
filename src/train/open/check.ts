/** What can be said of a recipe's model before its data are there. */

import type { Recipe } from "../recipe/recipe.js";
import { phasesOf } from "../schedule/phases.js";
import { readSizedModel } from "./model.js";
import { clipOf, stepSettings } from "./step.js";

/** Throws `UsageError` where the model cannot be made, or cannot be trained as the recipe says. */
export function checkModel(recipe: Recipe): void {
  const clip = clipOf(recipe, readSizedModel(recipe).config);
  phasesOf(recipe, clip);
  stepSettings(recipe, clip, new Set());
}
