import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import type { StepReport, TrainHooks } from "../src/train/hooks.js";
import { resolveRecipe } from "../src/train/recipe/file.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { learningRate } from "../src/train/schedule/learning-rate.js";
import { extendPlan, makePlan, scheduleOf } from "../src/train/schedule/plan.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const runOf = (name: string) => join(folder, "runs", name);
const base: RecipeInput = {
  model: {
    embed_dim: 8,
    vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
    text_cfg: { context_length: 24, width: 16, heads: 2, layers: 1 },
  },
  ...{ trainData: join(folder, "pairs"), logs: join(folder, "runs"), vocabSize: 290, workers: 1 },
  ...{ batchSize: 4, logEveryNSteps: 1, lr: 1e-3, warmup: "2 steps" },
};

/** The rate of each step that was taken, and whether it was finished. */
async function steps(run: string | undefined, more: RecipeInput, hooks: TrainHooks = {}) {
  const reports: StepReport[] = [];
  const recipe = await resolveRecipe(run, more);
  const result = await train(recipe, { ...hooks, onStep: (report) => reports.push(report) });
  return { result, taken: reports.map(({ step, lr }) => ({ step, lr })) };
}

suite("a run that is done", { timeout: 60_000 }, () => {
  before(async () => {
    for (let i = 0; i < 12; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 16, 16));
      put(folder, `pairs/${i}.txt`, `picture number ${i}`);
    }
    for (const name of ["whole", "stopped"]) await train(checkRecipe({ ...base, steps: 6, name }));
  });

  test("is extended by its folder and another length, with a rise and a decay of its own", async () => {
    const { result, taken } = await steps(runOf("whole"), { steps: 12 });
    assert.deepEqual([result.step, result.finished], [12, true]);
    assert.deepEqual(
      taken.map(({ step }) => step),
      [7, 8, 9, 10, 11, 12],
    );
    const rates = taken.map(({ lr }) => lr);
    assert.equal(rates[0], 5e-4);
    assert.equal(rates[1], 1e-3);
    assert(rates.at(-1)! < 3e-4);
    assert.deepEqual((await steps(runOf("whole"), {})).taken, [], "done is done");
    await assert.rejects(
      steps(runOf("whole"), { steps: 9 }),
      /extended to more steps.*got 9, and 12 are done/,
    );
  });

  test("ends extended to the bit as if it had not been stopped on the way", async () => {
    const stop = new AbortController();
    const half = await steps(
      runOf("stopped"),
      { steps: 12 },
      {
        signal: stop.signal,
        onMessage: () => {},
        onCheckpoint: () => {},
        onStart: () => setTimeout(() => stop.abort(), 0),
      },
    );
    assert.equal(half.result.finished, false);
    await steps(runOf("stopped"), { steps: 12 });
    const weights = (name: string) => {
      const checkpoints = join(runOf(name), "checkpoints");
      const last = readdirSync(checkpoints).sort().at(-1)!;
      assert.equal(last, "step-00000012");
      return readFileSync(join(checkpoints, last, "params.safetensors"));
    };
    assert.deepEqual(weights("stopped"), weights("whole"));
  });

  test("gives its model and its tokenizer to a run that starts from it", async () => {
    const { model: _, vocabSize: __, ...rest } = base;
    const recipe = await resolveRecipe(undefined, { ...rest, pretrained: runOf("whole"), steps: 3 });
    assert.equal(recipe.name, "whole-tuned");
    assert.equal(recipe.tokenizer, join(runOf("whole"), "tokenizer.json"));
    const { step } = await train(recipe);
    assert.equal(step, 3);
    const own = await resolveRecipe(undefined, {
      ...rest,
      pretrained: runOf("whole"),
      model: "ViT-S-32",
      steps: 3,
    });
    assert.equal(own.model, "ViT-S-32", "what is named stays");
  });
});

test("a run that was done and goes on for a time measures its steps anew", () => {
  const recipe = checkRecipe({ ...base, time: "100s", warmup: 0.1 });
  const plan = extendPlan(recipe, makePlan(recipe, 1000), 500, 77);
  assert.deepEqual([plan.totalSteps, plan.extended], [undefined, { step: 500, seconds: 77 }]);
  const measured = { ...plan, totalSteps: 700, measuredSteps: 510, rise: [{ after: 0, steps: 20 }] };
  const schedule = scheduleOf(recipe, measured);
  assert.equal(learningRate(schedule, 500), recipe.lr / 20);
  assert.equal(learningRate(schedule, 519), recipe.lr);
  assert.equal(learningRate(schedule, 700), 0);
});
