/** What weights bring along: the model that they are of, and the tokenizer that they were trained with. */

import { existsSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { filesBeside, weightsFile } from "../../evaluate/model/locate.js";
import type { RecipeInput } from "./recipe.js";

/**
 * The recipe with the model and the tokenizer that lie beside `pretrained`, where it names none itself. Throws `UsageError`
 * where the weights are not there.
 */
export function withPretrained(recipe: RecipeInput): RecipeInput {
  const { pretrained, model, tokenizer } = recipe;
  if (typeof pretrained !== "string") return recipe;
  if (!existsSync(pretrained)) weightsFile(pretrained); // Says why there are none.
  const own = filesBeside(pretrained);
  const of = basename(resolve(statSync(pretrained).isDirectory() ? pretrained : dirname(pretrained)));
  return {
    ...(model === undefined && own.config !== undefined ? { model: own.config, name: `${of}-tuned` } : {}),
    ...(tokenizer === undefined && own.tokenizer !== undefined ? { tokenizer: own.tokenizer } : {}),
    ...recipe,
  };
}
