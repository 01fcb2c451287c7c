import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { trainCommand } from "../src/cli/commands/train.js";
import { chooseModel } from "../src/study/plan/complete.js";
import { forecast } from "../src/train/forecast/forecast.js";
import { checkRecipe } from "../src/train/recipe/recipe.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";

const folder = scratchFolder();
const trainData = join(folder, "pairs");

suite("a run before it starts", { timeout: 240_000 }, () => {
  before(async () => {
    for (let i = 0; i < 20; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 16, 16));
      put(folder, `pairs/${i}.txt`, `picture number ${i}`);
    }
  });

  test("chooses a model, a length and a batch for the data and the machine, with reasons", async () => {
    const { recipe, reasons } = await chooseModel({ trainData }, 2);
    assert.deepEqual([recipe.model, recipe.epochs, recipe.batchSize], ["clipwright-tiny-64", 100, 8]);
    assert.match(
      reasons.join("\n"),
      /tiny-64: enough for 20 pairs.*\nLength 100 epochs, 2000 samples.*\nBatch 8/,
    );
    const asked = await chooseModel({ trainData, steps: 5, batchSize: 4 }, 2);
    assert.deepEqual([asked.recipe.epochs, asked.recipe.batchSize, asked.reasons.length], [undefined, 4, 1]);
    assert.deepEqual((await chooseModel({ trainData, model: "RN50" })).reasons, []);
  });

  test("forecasts steps, time and memory, and starts nothing", async () => {
    const recipe = checkRecipe({
      model: "clipwright-nano-32",
      trainData,
      batchSize: 4,
      epochs: 3,
      valSplit: 0.2,
    });
    const { images, steps, secondsPerStep, seconds, memoryBytes } = await forecast(recipe);
    assert.deepEqual([images, steps], [16, 12]);
    assert(secondsPerStep > 0 && Math.abs(seconds - 12 * secondsPerStep) < 1e-9);
    assert(memoryBytes > 1e6 && memoryBytes < 1e9, String(memoryBytes));
    const words = [
      "--model",
      "clipwright-nano-32",
      "--train-data",
      trainData,
      "--epochs",
      "3",
      "--batch-size",
      "4",
    ];
    const logs = join(folder, "runs");
    const { code, out } = await runWords([trainCommand], ["train", ...words, "--logs", logs, "--dry-run"]);
    assert.equal(code, 0);
    assert.match(out, /^20 images; about 15 steps of \d+ ms.*\nMemory of a step about \d+ MB/);
    assert(!existsSync(logs), "nothing is written");
  });
});
