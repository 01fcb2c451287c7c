import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { tasks } from "../src/evaluate/tasks/index.js";
import { bestCheckpoint, listCheckpoints } from "../src/storage/checkpoint.js";
import type { ScoreLine } from "../src/train/hooks.js";
import { taskNames } from "../src/train/recipe/evaluation-fields.js";
import { checkRecipe, defineRecipe } from "../src/train/recipe/recipe.js";
import { heldOutSets } from "../src/train/run/data.js";
import { readLines } from "../src/train/run/folder.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const model = {
  embed_dim: 8,
  vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
  text_cfg: { context_length: 40, width: 16, heads: 2, layers: 1 },
};

test("class folders are classified on their held-out part, at each evaluation", {
  timeout: 60_000,
}, async () => {
  for (const [at, name] of ["tabby_cat", "dog", "horse"].entries())
    for (let i = 0; i < 8; i++) put(folder, `animals/${name}/${i}.png`, await pngOf(10 * at + i, 16, 16));
  const scores: ScoreLine[] = [];
  const input = defineRecipe({
    model,
    ...{ trainData: join(folder, "animals"), logs: join(folder, "runs"), name: "animals", vocabSize: 290 },
    ...{ workers: 1, steps: 4, batchSize: 4, valSplit: 0.4, valFrequency: "2 steps" },
  });
  const result = await train(checkRecipe(input), { onEvaluation: (lines) => scores.push(...lines) });
  const top = scores.filter(({ metric, split }) => metric === "acc1" && split === "val");
  assert.deepEqual(
    top.map(({ step }) => step),
    [2, 4],
  );
  assert(top.every(({ value, n }) => value >= 0 && value <= 1 && n > 4));
  assert(result.evaluation.some(({ metric }) => metric === "acc1"));

  // What was held out is kept with the run, and is not looked for again, here or where the run goes on.
  const lines: string[] = [];
  const say = (line: string) => lines.push(line);
  const [kept] = await heldOutSets(result.folder, say);
  assert.equal(kept!.dataset.length, top[0]!.n);
  await train(checkRecipe({ ...input, steps: 6, resume: "extend" }), { onMessage: say });
  assert.doesNotMatch(lines.join("\n"), /Finding|Looking for duplicates/);
  // Other data than then: it is found anew.
  put(folder, "animals/dog/more.png", await pngOf(99, 16, 16));
  await heldOutSets(result.folder, say);
  assert.match(lines.join("\n"), /Finding the 40 % of 25 images/);
});

test("tasks of a list score labelled images on their schedule, and the best by one of them is kept", {
  timeout: 60_000,
}, async () => {
  for (const [at, name] of ["cat", "dog", "horse"].entries())
    for (let i = 0; i < 8; i++)
      for (const part of ["learn", "test"])
        put(folder, `${part}/${name}/${i}.png`, await pngOf(100 * part.length + 10 * at + i, 16, 16));
  const scores: ScoreLine[] = [];
  const notes: string[] = [];
  const recipe = checkRecipe({
    model,
    ...{ trainData: join(folder, "learn"), logs: join(folder, "runs"), name: "tasks", vocabSize: 290 },
    ...{ zeroshotData: join(folder, "test"), probeData: join(folder, "learn"), zeroshotFrequency: "2 steps" },
    ...{
      evalTasks: ["nearest_neighbours", "zeroshot_classification"],
      keepBest: "nearest_neighbours/knn_acc1@10",
    },
    ...{ workers: 1, steps: 4, batchSize: 4 },
  });
  const { folder: run } = await train(recipe, {
    onEvaluation: (lines) => scores.push(...lines),
    onMessage: (line) => notes.push(line),
  });
  const lines = readLines(join(run, "evaluation.jsonl"));
  assert.equal(lines.length, scores.length);
  const neighbours = lines.filter(({ metric }) => metric === "knn_acc1@10");
  assert.deepEqual(
    neighbours.map(({ step, samplesSeen, n }) => [step, samplesSeen, n]),
    [
      [2, 8, 24],
      [4, 16, 24],
    ],
  );
  assert.ok(lines.some(({ task }) => task === "zeroshot_classification"));
  const [two, four] = neighbours.map(({ macs }) => Number(macs));
  assert.ok(two! > 0 && Math.abs(four! / two! - 2) < 1e-12);
  const values = neighbours.map(({ value }) => Number(value));
  const best = bestCheckpoint(listCheckpoints(join(run, "checkpoints")), recipe.keepBest!);
  assert.deepEqual(best?.score, { metric: recipe.keepBest, value: Math.max(...values) });
  assert.equal(new Set(notes).size, notes.length);
});

test("a recipe can name every task", () => {
  assert.deepEqual(
    taskNames,
    tasks.map(({ name }) => name),
  );
});

test("tasks that learn need data to learn from, and a task needs images", () => {
  const recipe = { model: "ViT-B-32", trainData: "pairs", steps: 1, evalTasks: "few_shot" } as const;
  assert.throws(
    () => checkRecipe(recipe),
    /^UsageError: zeroshotData: tasks score images; got evalTasks=few_shot/,
  );
  assert.throws(
    () => checkRecipe({ ...recipe, zeroshotData: "set" }),
    /^UsageError: probeData: few_shot learns from/,
  );
});
