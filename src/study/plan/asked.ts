/** Which score a plan is about: one of a suite, or retrieval among pairs that are held out. */

import { UsageError } from "../../core/errors.js";
import { type Dataset, openDataset } from "../../data/index.js";
import { heldOutName } from "../../data/split.js";
import { openSuite } from "../../evaluate/suites/open.js";
import { chooseTasks } from "../../evaluate/suites/score.js";
import type { Suite } from "../../evaluate/suites/suite.js";
import { zeroshotTask } from "../../evaluate/tasks/zeroshot.js";
import type { Recipe } from "../../train/recipe/recipe.js";
import type { Asked } from "../predict/predict.js";

/** The metric that a text's picture is found first. */
const RETRIEVED = "image_retrieval_recall@1";
const NAMED = "acc1";

/** Metrics that are shares of right answers among the first k, whose guess follows from how many answers there are. */
const RULE = "acc1, acc5, image_retrieval_recall@K, text_retrieval_recall@K";
const first = /^(?:acc|(?:image|text)_retrieval_recall@)(\d+)$/;

/**
 * The score of a suite.
 * @param score `SET` or `SET/METRIC`. Default: the first set; its first guess at a class, or retrieval where it has no classes.
 */
export async function askedOfSuite(suite: Suite, score?: string): Promise<Asked> {
  const [name, ...rest] = (score ?? "").split("/");
  const scored = suite.sets.filter(({ role }) => role !== "train");
  const set = score === undefined ? scored[0] : scored.find((one) => one.name === name);
  if (set === undefined)
    throw new UsageError(
      `score: must name a set of the suite: ${scored.map((one) => one.name).join(", ")}; got ${score}.`,
      { code: "ERR_SETTING", key: "score" },
    );
  const [open] = await openSuite({ ...suite, sets: [set] });
  const named = chooseTasks(open!.tasks ?? ["auto"], open!).includes(zeroshotTask);
  const metric = checkMetric(rest.length > 0 ? rest.join("/") : named ? NAMED : RETRIEVED);
  const { dataset } = open!;
  return askedOn(dataset, set.name, metric);
}

/** Retrieval on the pairs that a recipe holds out, or on its `valData`. */
export async function askedOfRecipe(recipe: Recipe, dataset: Dataset, score?: string): Promise<Asked> {
  const metric = checkMetric(score?.split("/").at(-1) ?? RETRIEVED);
  if (recipe.valData !== undefined) {
    const held = await openDataset(recipe.valData);
    return askedOn(held, held.name, metric);
  }
  const images = Math.max(2, Math.round(dataset.length * recipe.valSplit));
  return { dataset: heldOutName(dataset.name), metric, n: images, chance: guess(metric, images) };
}

function askedOn(dataset: Dataset, name: string, metric: string): Asked {
  const n = Math.max(1, dataset.length);
  if (!metric.startsWith("acc")) return { dataset: name, metric, n, chance: guess(metric, n) };
  const labels = new Set<string | undefined>();
  for (let i = 0; i < dataset.length; i++) labels.add(dataset.sample(i).label);
  return { dataset: name, metric, n, chance: guess(metric, labels.size) };
}

/** How often the right answer is among the first k of `answers` by guessing; below 1, as nothing can be told at 1. */
const guess = (metric: string, answers: number): number =>
  Math.min(0.99, Number(first.exec(metric)![1]) / Math.max(2, answers));

function checkMetric(metric: string): string {
  if (Number(first.exec(metric)?.[1]) > 0) return metric;
  throw new UsageError(`score: a plan predicts one of ${RULE}; got ${metric}. Name one, as SET/METRIC.`, {
    code: "ERR_SETTING",
    key: "score",
  });
}
