/** The public functions of planning, with their arguments checked. */

import { collectRuns as collectUnchecked } from "../study/past/collect.js";
import { coverageOf } from "../study/plan/expected.js";
import { type PlanOptions, planTraining, type TrainingPlan } from "../study/plan/plan.js";
import { writePlannedRecipe as writeUnchecked } from "../study/plan/recipe-file.js";
import { planLines } from "../study/plan/words.js";
import {
  callback,
  checked,
  checkedAsync,
  either,
  flag,
  listOf,
  object,
  options,
  text,
  thing,
} from "./arguments.js";

const plan = thing("a plan, as makePlan gives", "recipe", "options");
const runs = listOf(thing("a run, as collectRuns gives", "run", "scores"));

/**
 * Makes a plan of what to train on data with a budget (docs/planning.md): the recipe, with what is likely to come of it and on which
 * evidence. Models are timed on `engine`, or `device` says how fast they are. Throws `UsageError` for data, settings and budgets that
 * cannot be.
 */
export const makePlan = checkedAsync("makePlan", planTraining, 1, [
  "options",
  options<PlanOptions>(
    {
      recipe: object,
      budget: object,
      engine: thing("an engine, as openEngine gives", "compile", "upload"),
      device: thing("a profile of a device", "device", "steps"),
      suite: either(text, thing("a suite", "sets")),
      score: text,
      past: runs,
      models: listOf(text),
      pretrained: flag,
      tryLoader: flag,
      today: text,
      onNote: callback,
      onProgress: callback,
    },
    ["recipe", "budget"],
  ),
]);

/** A plan in words, lines joined. */
export const formatPlan = checked("formatPlan", (of: TrainingPlan): string => planLines(of).join("\n"), 1, [
  "plan",
  plan,
]);

/** Writes a plan's recipe: `.json`, or a program in `.ts` or `.js` with the plan above it. Throws `UsageError` for another ending. */
export const writePlan = checked("writePlan", writeUnchecked, 2, ["path", text], ["plan", plan]);

/**
 * The runs in folders of runs and studies, and in files that hold such: what plans learn from. Throws `UsageError` for a path that is not
 * there.
 */
export const collectRuns = checkedAsync("collectRuns", collectUnchecked, 1, ["paths", listOf(text)]);

/** Of runs that were trained from a plan, how often they came out inside its interval of 80 %. */
export const planCoverage = checked("planCoverage", coverageOf, 1, ["runs", runs]);
