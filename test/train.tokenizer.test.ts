import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Dataset, openDataset } from "../src/data/index.js";
import { openEngine } from "../src/engines/registry.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import { fitTokenizer } from "../src/train/open/tokenizer.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const NAMES = ["cat", "dog", "horse", "snail"];
const text = { context_length: 77, no_causal_mask: false, pool_type: "argmax" } as const;
const recipeOf = (more: RecipeInput = {}) =>
  checkRecipe({
    model: {
      embed_dim: 8,
      vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
      text_cfg: { width: 16, heads: 2, layers: 1 },
    },
    ...{ trainData: `${folder}/pairs`, logs: `${folder}/runs`, name: "short", steps: 2, batchSize: 4 },
    ...{ workers: 1, vocabSize: 290, ...more },
  });

async function pairs(captionOf: (i: number) => string, name = "pairs"): Promise<Dataset> {
  for (let i = 0; i < 8; i++) {
    put(folder, `${name}/${i}.png`, await pngOf(i, 16, 16));
    put(folder, `${name}/${i}.txt`, captionOf(i));
  }
  return openDataset([`${folder}/${name}`]);
}

suite("fitTokenizer", () => {
  const shorts = (i: number) => NAMES[i % 4]!;

  test("short captions leave the model room for prompts, at no cost to the step", async () => {
    const dataset = await pairs(shorts);
    const context = { train: dataset, text, classNames: NAMES, stored: undefined };
    const { tokenizer, textLength, cut } = await fitTokenizer(recipeOf(), context);
    assert.equal(textLength, 8);
    assert.equal(cut.captions, 0);
    for (const name of NAMES) {
      const prompt = `a photo of a hard to see ${name}.`;
      assert(tokenizer.encode(prompt).length <= tokenizer.contextLength, `${prompt} fits`);
    }
    const [dog, cat] = ["dog", "cat"].map((name) => [...tokenizer.encodeBatch([`a photo of a ${name}`])]);
    assert.notDeepEqual(dog, cat);
  });

  test("prompts fit the 16 tokens of the smallest presets, since their words are learned too", async () => {
    const dataset = await pairs(shorts);
    const small = { ...text, context_length: 16 };
    const context = { train: dataset, text: small, classNames: NAMES, stored: undefined };
    const { tokenizer } = await fitTokenizer(recipeOf(), context);
    assert.equal(tokenizer.contextLength, 16);
    for (const name of NAMES) {
      // Start, a, photo, of, a, the name, the full stop, end.
      assert.equal(tokenizer.encode(`a photo of a ${name}.`).length, 8);
    }
  });

  test("where every token of a row is read, or a length is asked for, rows of training are as long as the context", async () => {
    const dataset = await pairs(shorts);
    const context = { train: dataset, classNames: NAMES, stored: undefined };
    const pooled = await fitTokenizer(recipeOf(), { ...context, text: { ...text, pool_type: "avg" } });
    assert.equal(pooled.textLength, pooled.tokenizer.contextLength);
    const forced = await fitTokenizer(recipeOf({ forceContextLength: 12 }), { ...context, text });
    assert.deepEqual([forced.textLength, forced.tokenizer.contextLength], [12, 12]);
  });

  test("captions that are cut are counted, with one of them", async () => {
    const dataset = await pairs(
      (i) => (i === 3 ? "a cat and a dog and a horse and a snail" : "a cat"),
      "long",
    );
    const context = { train: dataset, text, classNames: [], stored: undefined };
    const { cut } = await fitTokenizer(recipeOf({ forceContextLength: 6 }), context);
    assert.deepEqual(cut, { captions: 1, of: 8, example: "a cat and a dog and a horse and a snail" });
  });

  test("a trained model tells the prompts of two classes apart", async () => {
    await pairs(shorts);
    const { folder: run } = await train(recipeOf());
    await using engine = await openEngine("onnxruntime");
    const { encoder } = await loadModel(engine, { path: run, workers: 1 });
    using used = encoder;
    const rows = await used.embedTexts(["a photo of a dog.", "a photo of a cat."]);
    assert.notDeepEqual(rows.slice(0, 8), rows.slice(8));
    assert.deepEqual(used.cutTexts(["a photo of a hard to see horse."]), []);
  });
});
