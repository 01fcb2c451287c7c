/** Whole runs by every strategy, at once and in parts: stopped and continued, they end as if they had not been. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { SafetensorsFile } from "../src/core/safetensors.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { type StrategyName, strategyNames } from "../src/train/strategies/index.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";

const folder = scratchFolder();
const STEPS = 4;

const recipeFor = (name: string, strategy: StrategyName, more: RecipeInput = {}) =>
  checkRecipe({
    model: {
      embed_dim: 8,
      vision_cfg: { image_size: 16, patch_size: 4, width: 16, head_width: 8, layers: 2 },
      text_cfg: { context_length: 8, width: 16, heads: 2, layers: 1 },
    },
    ...{ trainData: join(folder, "pairs"), logs: join(folder, "runs"), name, vocabSize: 280, workers: 1 },
    ...{ steps: STEPS, batchSize: 8, saveFrequency: 0, logEveryNSteps: 1, threads: 1, seed: 5 },
    // A bias before a batch norm has no gradient but rounding, which AdamW would make steps of.
    ...{ emaDecay: 0.9, dropPath: 0.3, eps: 1e-3, strategy },
    ...(strategy === "flip" ? { maskRatio: "0.5:0.75" } : {}),
    ...(strategy === "slip" ? { sslHead: [12, 6] } : {}),
    ...more,
  });

const checkpoint = (name: string): string => {
  const path = join(folder, "runs", name, "checkpoints");
  return join(path, readdirSync(path).sort().at(-1)!);
};

/** The last checkpoint's files byte for byte. */
const filesOf = (name: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(checkpoint(name))
      .filter((file) => file.endsWith(".safetensors"))
      .map((file) => [file, readFileSync(join(checkpoint(name), file)).toString("base64")]),
  );

const numbersOf = (name: string, file: string): Map<string, Float32Array> => {
  using stored = new SafetensorsFile(join(checkpoint(name), file));
  return new Map(
    stored.names.map((tensor) => [tensor, Float32Array.from(stored.read(tensor) as Float32Array)]),
  );
};

/** Trains until `stopAfter` steps are done, and then once more to the end. */
async function inTwoSittings(recipe: ReturnType<typeof checkRecipe>, stopAfter: number) {
  const stop = new AbortController();
  const first = await train(recipe, {
    onStep: ({ step }) => step === stopAfter && stop.abort(),
    signal: stop.signal,
  });
  assert.equal(first.finished, false);
  await train(recipe);
}

suite("train with a strategy", () => {
  before(async () => {
    for (let i = 0; i < 24; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 20, 18));
      put(folder, `pairs/${i}.txt`, `picture number ${i}\nkind ${i % 3}`);
    }
  });

  for (const strategy of strategyNames) {
    // In parts those that bring views, masks and a second phase; steps of each are in train.two-pass.test.ts.
    const inParts = strategy === "slip" || strategy === "flip";
    for (const parts of [{}, ...(inParts ? [{ microBatch: 4, textMicroBatch: 2 }] : [])]) {
      const name = `${strategy}${"microBatch" in parts ? "-parts" : ""}`;
      test(`${name}: a run that is continued ends as one that was not stopped, to the bit`, async () => {
        await train(recipeFor(name, strategy, parts));
        await inTwoSittings(recipeFor(`${name}-again`, strategy, parts), 2);
        assert.deepEqual(filesOf(`${name}-again`), filesOf(name));
        const own = strategy === "slip" ? ["strategy.safetensors"] : [];
        assert.deepEqual(
          Object.keys(filesOf(name)).sort(),
          ["ema.safetensors", "optimizer.safetensors", "params.safetensors", ...own].sort(),
        );
      });
    }
  }

  // SLIP's head has batch norms, which see parts.
  test("flip: in parts the run is that of whole batches", () => {
    const whole = numbersOf("flip", "params.safetensors");
    for (const [name, data] of numbersOf("flip-parts", "params.safetensors"))
      assertClose(data, whole.get(name)!, 2e-5, name);
  });

  test("slip keeps its head out of the model's file, and siglip its bias in it", () => {
    assert.ok(numbersOf("slip", "strategy.safetensors").has("image_mlp.layer1.weight"));
    assert.ok(
      [...numbersOf("slip", "params.safetensors").keys()].every((name) => !name.startsWith("image_mlp")),
    );
    assert.ok(numbersOf("siglip", "params.safetensors").has("logit_bias"));
    const { model_cfg } = JSON.parse(readFileSync(join(folder, "runs", "siglip", "model.json"), "utf8"));
    assert.equal(model_cfg.init_logit_bias, -10);
    assert.ok(Math.abs(model_cfg.init_logit_scale - Math.log(10)) < 1e-12);
  });

  test("says what it sees and costs", async () => {
    const said: string[] = [];
    const recipe = recipeFor("told", "flip", { steps: 1, warmup: 0, maskRatio: 0.5 });
    await train(recipe, { onStart: ({ description }) => said.push(description) });
    assert.match(said[0]!, /; flip, 8 of 16 patches: 0\.\d\d × the multiply-adds of clip$/);
  });

  test("refuses settings of other strategies", () => {
    const refused = (strategy: StrategyName, more: RecipeInput, pattern: RegExp) =>
      assert.throws(
        () => recipeFor("refused", strategy, more),
        (error) => error instanceof UsageError && pattern.test(error.message),
      );
    refused("clip", { maskRatio: 0.5 }, /^maskRatio: clip takes no such setting; .* --strategy flip\.$/);
    refused(
      "siglip",
      { labelSmoothing: 0.1 },
      /^labelSmoothing: .* --strategy clip or slip or flip or clip-aug\.$/,
    );
    refused("clip", { logitBiasInit: -5 }, /^logitBiasInit: only siglip learns a bias/);
    refused("clip", { microBatch: 3 }, /^microBatch: must divide the batch; got microBatch=3, batchSize=8\./);
    refused("clip", { textMicroBatch: 4 }, /^textMicroBatch: .*--micro-batch/);
    refused("clip-aug", { augment: "none" }, /^augment: clip-aug is training on changed images/);
    const turned = { augment: "none", crop: "affine", keepSize: 32 } as const;
    assert.equal(recipeFor("turned", "clip-aug", turned).crop, "affine");
    assert.equal(recipeFor("augmented", "clip-aug").augment, "stacked-randaugment");
    assert.equal(recipeFor("augmented", "clip-aug", { augment: "crop-flip" }).augment, "crop-flip");
    assert.equal(recipeFor("plain", "clip").augment, "none");
    const recipe = recipeFor("complete", "slip");
    assert.deepEqual([recipe.sslScale, recipe.sslTemperature, recipe.labelSmoothing], [1, 0.1, 0]);
    assert.equal(recipe.maskRatio, undefined);
    assert.deepEqual([recipe.logitScaleInit, recipe.logitBiasInit], [1 / 0.07, undefined]);
  });
});
