/** Trains the runs of one study: its data are opened once, and their texts are cut by one vocabulary, learned once on all pairs. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { makeFolder } from "../../core/disk.js";
import { withFileErrors } from "../../core/files.js";
import { datasetOptions } from "../../data/fields.js";
import { saveTokenizer } from "../../data/tokenizer/save.js";
import type { TrainFunction } from "../../train/hooks.js";
import { prepareModel, readSizedModel } from "../../train/open/model.js";
import type { Recipe } from "../../train/recipe/recipe.js";
import { train } from "../../train/train.js";
import type { StudyFacts } from "./facts.js";
import { once } from "./parts.js";

export interface Trainer {
  /** Learns the vocabulary that runs of this recipe share. */
  readonly prepare: (recipe: Recipe) => Promise<unknown>;
  readonly train: TrainFunction;
}

/** What trains the runs of the study in `folder`. */
export function trainerOf(folder: string, { dataset, opened }: StudyFacts): Trainer {
  // The data were opened without weights of their sources, and another way to read them needs another opening.
  const isAlike = (recipe: Recipe) =>
    recipe.trainDataUpsamplingFactors === undefined &&
    isDeepStrictEqual(datasetOptions(recipe), datasetOptions(opened));
  const vocabularyOf = (recipe: Recipe) => vocabularyFor(folder, dataset, recipe);
  return {
    prepare: async (recipe) => isAlike(recipe) && vocabularyOf(recipe),
    train: async (recipe, hooks) =>
      isAlike(recipe)
        ? train(recipe, hooks, { trainSet: dataset, vocabulary: await vocabularyOf(recipe) })
        : train(recipe, hooks),
  };
}

/** The vocabulary that `recipe` would learn on all pairs, in `vocabularies/` of the study; undefined where it names its own. */
async function vocabularyFor(
  folder: string,
  train: StudyFacts["dataset"],
  recipe: Recipe,
): Promise<string | undefined> {
  const { tokenizer, vocabSize, zeroshotTemplates } = recipe;
  if (tokenizer !== "bpe") return undefined;
  const { context_length } = readSizedModel(recipe).config.text_cfg;
  const decides = [vocabSize, zeroshotTemplates, context_length];
  const name = createHash("sha256").update(JSON.stringify(decides)).digest("hex").slice(0, 10);
  const vocabularies = join(folder, "vocabularies");
  withFileErrors("write", vocabularies, () => makeFolder(vocabularies));
  return once(join(vocabularies, `${name}.json`), async (to) => {
    const learned = await prepareModel(recipe, { train, classNames: [], stored: undefined });
    saveTokenizer(learned.tokenizer, to);
  });
}
