/** A model for data and a machine, where the caller names none and sets no budget: a plan that nothing is timed for. */

import { cpus } from "node:os";
import { datasetOptions } from "../../data/fields.js";
import { openDataset } from "../../data/index.js";
import { takeSelected } from "../../data/selections/select.js";
import type { FetchOptions } from "../../evaluate/pretrained/hub.js";
import { withPretrained } from "../../train/recipe/pretrained.js";
import { checkRecipe, lengthKeys, type Recipe, type RecipeInput } from "../../train/recipe/recipe.js";
import { makePredictor } from "../predict/predict.js";
import { type Candidate, candidatesOf } from "./candidates.js";

/** Models for whoever has no more than a folder and a processor. */
const MODELS = [
  "clipwright-tiny-64",
  "clipwright-mini-64",
  "clipwright-small-64",
  "clipwright-base-64",
] as const;
/** Samples that a run sees where no length is given: few pairs are seen often, many at least five times. */
const SAMPLES = 200_000;
const EPOCHS = { least: 5, most: 100 };
/** Multiply-adds in a second that a core is taken to do, on average. */
const MACS_PER_CORE = 1e10;
/** A run that nobody has asked to be longer takes about so long at most. */
const SECONDS = 3600;
/** Multiply-adds of both passes, in those of the forward pass. */
const BOTH_PASSES = 3;

/** What was chosen, and why, a line each. */
export interface Choice {
  readonly recipe: RecipeInput;
  readonly reasons: readonly string[];
}

/** The checked recipe of a caller who may have named no model: what `chooseModel` makes of it, and its reasons. */
export async function completeRecipe(
  input: RecipeInput,
  fetching?: FetchOptions,
): Promise<{ readonly recipe: Recipe; readonly reasons: Choice["reasons"] }> {
  const { recipe, reasons } = await chooseModel(input, undefined, fetching);
  return { recipe: checkRecipe(recipe), reasons };
}

/**
 * The recipe with a model, and a length and a batch where it has none, for its training data and the cores of this machine.
 * One that names a model, or weights that bring theirs, stays as it is.
 * @param cores of the machine. Default: those that there are.
 */
export async function chooseModel(
  input: RecipeInput,
  cores = cpus().length,
  fetching?: FetchOptions,
): Promise<Choice> {
  const recipe = await withPretrained(input, fetching);
  if (recipe.model !== undefined || recipe.trainData === undefined) return { recipe, reasons: [] };
  const { trainData, batchSize, ...rest } = checkRecipe({
    ...recipe,
    model: "unknown",
    ...(lengthKeys.some((key) => recipe[key] !== undefined) ? {} : { epochs: 1 }),
  });
  const whole = await openDataset(trainData, datasetOptions({ ...rest }));
  const { length: pairs } = await takeSelected(whole, recipe.select, { weight: recipe.sampleWeight });
  const hasLength = lengthKeys.some((key) => recipe[key] !== undefined);
  const epochs = Math.min(EPOCHS.most, Math.max(EPOCHS.least, Math.round(SAMPLES / pairs)));
  const samples = epochs * pairs;
  const chance = 1 / Math.max(2, pairs);
  const predictor = makePredictor({ dataset: "", metric: "", n: pairs, chance }, []);
  const byScore = candidatesOf(MODELS, ["clip"])
    .map((candidate) => ({
      ...candidate,
      predicted: predictor.predict({ ...candidate, unique: pairs, samples }),
    }))
    .sort((a, b) => b.predicted.value - a.predicted.value);
  const secondsOf = ({ gmacsPerPair }: Candidate): number =>
    (BOTH_PASSES * gmacsPerPair * 1e9 * samples) / (MACS_PER_CORE * cores);
  const [best] = byScore;
  const cheapest = byScore.reduce((a, b) => (b.gmacsPerPair < a.gmacsPerPair ? b : a));
  const chosen = byScore.find((candidate) => secondsOf(candidate) <= SECONDS) ?? cheapest;
  const smaller = chosen !== best ? `, as ${best!.model} would take more than an hour on ${cores} cores` : "";
  const fits = 2 ** Math.floor(Math.log2(Math.max(2, pairs / 2)));
  const lower = input.batchSize === undefined && fits < batchSize;
  return {
    recipe: {
      ...recipe,
      model: chosen.model,
      ...(hasLength ? {} : { epochs }),
      ...(lower ? { batchSize: fits } : {}),
    },
    reasons: [
      `Model ${chosen.model}: enough for ${pairs} pairs${smaller}. --model takes another (clipwright models), and clipwright plan chooses for a budget.`,
      ...(hasLength
        ? []
        : [`Length ${epochs} epochs, ${samples} samples in all. --epochs, --steps or --time take another.`]),
      ...(lower ? [`Batch ${fits}, as there are only ${pairs} pairs.`] : []),
    ],
  };
}
