/** Runs that keep decoded images on disk: the same weights, and each picture decoded once for all of them. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { openDataset, subset } from "../src/data/index.js";
import { openEngine } from "../src/engines/registry.js";
import { freshFeatures } from "../src/evaluate/features/source.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const [PAIRS, HELD_OUT] = [20, 6];
const SIDE = 16;
const images = join(folder, "cache", "images");

const recipeFor = (name: string, more: RecipeInput = {}) =>
  checkRecipe({
    model: {
      embed_dim: 8,
      vision_cfg: { image_size: SIDE, patch_size: 4, width: 16, head_width: 8, layers: 1 },
      text_cfg: { context_length: 8, width: 16, heads: 2, layers: 1 },
    },
    ...{
      trainData: join(folder, "pairs"),
      valData: join(folder, "held-out"),
      logs: join(folder, "runs"),
      name,
    },
    ...{ steps: 6, batchSize: 8, valFrequency: "3 steps", threads: 1, workers: 1, seed: 5, vocabSize: 280 },
    ...{ keepSize: SIDE, imageResizeMode: "squash", imageMemory: 0, ...more },
  });

/** The weights at the end, byte for byte. */
function weightsOf(name: string): string {
  const checkpoints = join(folder, "runs", name, "checkpoints");
  const last = join(checkpoints, readdirSync(checkpoints).sort().at(-1)!);
  return readFileSync(join(last, "params.safetensors")).toString("base64");
}

/** Images in the folder of each source, ascending. */
const keptImages = (): number[] =>
  readdirSync(images)
    .map((source) => {
      const parts = readdirSync(join(images, source)).filter((file) => file.endsWith(".pixels"));
      const bytes = parts.reduce((sum, part) => sum + statSync(join(images, source, part)).size, 0);
      return bytes / (64 + SIDE * SIDE * 3);
    })
    .sort((a, b) => a - b);

suite("train with imageDisk", () => {
  before(async () => {
    process.env.CLIPWRIGHT_CACHE = join(folder, "cache");
    for (const [name, count, from] of [
      ["pairs", PAIRS, 0],
      ["held-out", HELD_OUT, 100],
    ] as const)
      for (let i = 0; i < count; i++) {
        put(folder, `${name}/${i}.png`, await pngOf(from + i, 24, 20));
        put(folder, `${name}/${i}.txt`, `picture number ${from + i}`);
      }
  });

  test("gives the weights of a run without it, stopped in between or not, on parts and on the whole", async () => {
    const whole = await openDataset(join(folder, "pairs"));
    const half = subset(
      whole,
      Array.from({ length: PAIRS / 2 }, (_, i) => 2 * i),
    );
    for (const [name, trainSet] of Object.entries({ half, whole })) {
      await train(recipeFor(name), {}, { trainSet });
      const recipe = recipeFor(`${name}-kept`, { imageDisk: 10 });
      const stop = new AbortController();
      const onStep = ({ step }: { step: number }) => step === 4 && stop.abort();
      await train(recipe, { onStep, signal: stop.signal }, { trainSet });
      await train(recipe, {}, { trainSet });
      assert.equal(weightsOf(`${name}-kept`), weightsOf(name));
      assert.deepEqual(keptImages(), [HELD_OUT, trainSet.length]);
    }
  });

  test("leaves pictures that models find when they are scored", async () => {
    await using engine = await openEngine("onnxruntime");
    const dataset = await openDataset(join(folder, "held-out"));
    const source = { path: join(folder, "runs", "whole-kept"), workers: 1 };
    const embed = async (imageDisk?: number): Promise<Float32Array> => {
      using model = await loadModel(engine, { ...source, imageDisk });
      const { features } = await freshFeatures(model.encoder).images(dataset);
      return features.read(0, features.rows).data;
    };
    assert.deepEqual(await embed(10), await embed());
    assert.deepEqual(keptImages(), [HELD_OUT, PAIRS]);
  });
});
