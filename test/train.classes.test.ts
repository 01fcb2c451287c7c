import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { ScoreLine } from "../src/train/hooks.js";
import { checkRecipe } from "../src/train/recipe/recipe.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();

test("class folders are classified on their held-out part, at each evaluation", {
  timeout: 60_000,
}, async () => {
  for (const [at, name] of ["tabby_cat", "dog", "horse"].entries())
    for (let i = 0; i < 8; i++) put(folder, `animals/${name}/${i}.png`, await pngOf(10 * at + i, 16, 16));
  const scores: ScoreLine[] = [];
  const recipe = checkRecipe({
    model: {
      embed_dim: 8,
      vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
      text_cfg: { context_length: 40, width: 16, heads: 2, layers: 1 },
    },
    ...{ trainData: join(folder, "animals"), logs: join(folder, "runs"), name: "animals", vocabSize: 290 },
    ...{ workers: 1, steps: 4, batchSize: 4, valSplit: 0.4, valFrequency: "2 steps" },
  });
  const result = await train(recipe, { onEvaluation: (lines) => scores.push(...lines) });
  const top = scores.filter(({ metric, split }) => metric === "acc1" && split === "val");
  assert.deepEqual(
    top.map(({ step }) => step),
    [2, 4],
  );
  assert(top.every(({ value, n }) => value >= 0 && value <= 1 && n > 4));
  assert(result.evaluation.some(({ metric }) => metric === "acc1"));
});
