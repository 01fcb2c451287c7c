import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseClipConfig } from "../src/models/config/config.js";
import { ratesInWords, sizeOf, tunedRates } from "../src/train/recipe/rates.js";
import { checkRecipe, type RecipeInput, recipeToJson } from "../src/train/recipe/recipe.js";

const base = { model: "clipwright-nano-32", trainData: ["photos/"], epochs: 1 } satisfies RecipeInput;

describe("the rule for rates", () => {
  it("lets the learning rate fall with the root of the size, between the smallest swept model's and open_clip's", () => {
    const rateOf = (millions: number) => tunedRates({ parameters: millions * 1e6 }).lr;
    assert.deepEqual([0.001, 0.25, 1, 4, 150].map(rateOf), [0.0025, 0.0022, 0.0011, 0.00055, 0.0005]);
  });

  it("lets the weights decay by as much each step as open_clip's", () => {
    for (const millions of [0.1, 1, 3, 100]) {
      const { lr, wd } = tunedRates({ parameters: millions * 1e6 });
      assert.ok(Math.abs((lr * wd) / 1e-4 - 1) < 0.05, `${lr} · ${wd}`);
    }
  });

  it("takes batches that are a small part of the data and of the run", () => {
    const batchOf = (pairs?: number, samples?: number) =>
      tunedRates({ parameters: 1e6, pairs, samples }).batchSize;
    assert.deepEqual(
      [100, 5000, 7000, 1e6, undefined].map((pairs) => batchOf(pairs)),
      [64, 64, 128, 256, 256],
    );
    assert.deepEqual(
      [1000, 16_384, 40_000, 1e6].map((samples) => batchOf(1e6, samples)),
      [64, 64, 128, 256],
    );
  });

  it("counts a model without its token embedding", () => {
    const config = (vocab_size: number) =>
      parseClipConfig(
        {
          embed_dim: 16,
          vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 16, layers: 1 },
          text_cfg: { context_length: 8, vocab_size, width: 32, heads: 2, layers: 1 },
        },
        "model",
      );
    assert.equal(sizeOf(config(300)), sizeOf(config(5000)));
    // Image: patches 16·192, class token 16, positions 5·16, a block 12·16² + 13·16, three norms 6·16 less its own two, projection 16².
    // Text: positions 8·32, a block 12·32² + 13·32, a norm 64, projection 32·16; the logit scale.
    const image = 16 * 192 + 16 + 5 * 16 + (12 * 16 ** 2 + 13 * 16) + 2 * 32 + 16 * 16;
    const text = 8 * 32 + (12 * 32 ** 2 + 13 * 32) + 64 + 32 * 16;
    assert.equal(sizeOf(config(300)), image + text + 1);
  });
});

describe("a recipe that says nothing of its rates", () => {
  it("has those of its model's size, and says so", () => {
    const recipe = checkRecipe(base);
    const { lr, wd } = tunedRates({ parameters: 1_053_825 });
    assert.deepEqual([recipe.lr, recipe.wd], [lr, wd]);
    assert.equal(ratesInWords(recipe), `learning rate ${lr}, weight decay ${wd} by rule`);
    // What is kept of the run says them, so that a later rule changes nothing in it.
    assert.equal(recipeToJson(recipe).lr, lr);
    assert.deepEqual(checkRecipe(recipeToJson(recipe) as RecipeInput), recipe);
  });

  it("has open_clip's for large models, weights that are not random, and another optimizer", () => {
    for (const change of [
      { model: "ViT-B-32" },
      { pretrained: "runs/first", tokenizer: "runs/first/tokenizer.json" },
      { optimizer: "adafactor" },
    ] as const) {
      const { lr, wd } = checkRecipe({ ...base, ...change });
      assert.deepEqual([lr, wd], [5e-4, 0.2]);
    }
  });

  it("keeps what it is told", () => {
    const told = checkRecipe({ ...base, lr: 3e-3, wd: 0.3 });
    assert.deepEqual([told.lr, told.wd], [3e-3, 0.3]);
    assert.equal(ratesInWords(told), "learning rate 0.003, weight decay 0.3");
    // A learning rate that was told goes with open_clip's decay; a decay that was told changes no learning rate.
    assert.equal(checkRecipe({ ...base, lr: 3e-3 }).wd, 0.2);
    assert.equal(checkRecipe({ ...base, wd: 0.3 }).lr, checkRecipe(base).lr);
  });

  it("leaves a model that is not there to whoever opens it", () => {
    assert.equal(checkRecipe({ ...base, model: "no-such-model" }).lr, 5e-4);
  });
});
