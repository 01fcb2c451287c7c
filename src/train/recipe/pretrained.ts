/** What weights bring along: the model that they are of, and the tokenizer that they were trained with. */

import { existsSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { filesBeside, weightsFile } from "../../evaluate/model/locate.js";
import type { FetchOptions } from "../../evaluate/pretrained/hub.js";
import { hubModelOf, localPath } from "../../evaluate/pretrained/local.js";
import type { RecipeInput } from "./recipe.js";

/**
 * The recipe with the model and the tokenizer that lie beside `pretrained`, where it names none itself. Weights by name are
 * fetched. Throws `UsageError` where the weights are not there.
 */
export async function withPretrained(recipe: RecipeInput, options: FetchOptions = {}): Promise<RecipeInput> {
  const { pretrained, model, tokenizer } = recipe;
  if (typeof pretrained !== "string" || (model !== undefined && tokenizer !== undefined)) return recipe;
  const path = await localPath(pretrained, options);
  if (!existsSync(path)) await weightsFile(path); // Says why there are none.
  const own = filesBeside(path);
  const of =
    hubModelOf(pretrained)?.repository ?? resolve(statSync(path).isDirectory() ? path : dirname(path));
  return {
    ...(model === undefined && own.config !== undefined
      ? { model: own.config, name: `${basename(of)}-tuned` }
      : {}),
    ...(tokenizer === undefined && own.tokenizer !== undefined ? { tokenizer: own.tokenizer } : {}),
    ...recipe,
  };
}
