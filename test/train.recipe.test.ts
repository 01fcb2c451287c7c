import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { checkModel } from "../src/train/open/check.js";
import { loadRecipe, recipeNames, resolveRecipe } from "../src/train/recipe/file.js";
import {
  checkRecipe,
  defineRecipe,
  type RecipeInput,
  recipeFields,
  recipeToJson,
} from "../src/train/recipe/recipe.js";

const least: RecipeInput = { model: "ViT-S-32", trainData: "photos", epochs: 3 };

suite("checkRecipe", () => {
  test("fills in defaults and a name", () => {
    const recipe = checkRecipe(least);
    assert.equal(recipe.lr, 5e-4);
    assert.deepEqual(recipe.warmup, { unit: "percent", value: 5 });
    assert.deepEqual(recipe.trainData, ["photos"]);
    assert.equal(recipe.name, "ViT-S-32");
    assert.equal(checkRecipe(least, "emoji").name, "emoji");
    assert.equal(checkRecipe({ ...least, model: { embed_dim: 64 } }).name, "run");
  });

  test("what config.json holds reads back as the same recipe", () => {
    const inputs: RecipeInput[] = [
      least,
      {
        model: "m",
        trainData: ["a", "b"],
        trainDataUpsamplingFactors: [1, 2],
        time: "2h30m",
        warmup: 0.1,
        lr: 1e-3,
      },
      { model: "m", trainData: "a", samples: "2M samples", warmup: 500, schedule: "const-cooldown" },
      {
        model: { embed_dim: 64 },
        trainData: "a",
        steps: 10,
        warmup: 2,
        saveFrequency: "5 steps",
        flip: 0.5,
      },
    ];
    for (const input of inputs) {
      const recipe = checkRecipe(input);
      assert.deepEqual(checkRecipe(JSON.parse(JSON.stringify(recipeToJson(recipe)))), recipe);
    }
  });

  test("a warm-up below 1 is a share, from 1 on steps", () => {
    const warmup = (value: string | number) => checkRecipe({ ...least, warmup: value }).warmup;
    assert.deepEqual(warmup(0.1), { unit: "percent", value: 10 });
    assert.deepEqual(warmup("0.1"), { unit: "percent", value: 10 });
    assert.deepEqual(warmup(1), { unit: "steps", value: 1 });
    assert.deepEqual(warmup(0), { unit: "steps", value: 0 });
    assert.throws(() => warmup(1.5), /warmup: must be a fraction below 1 or a whole number/);
  });

  test("accepts the peers' words for the same thing", () => {
    assert.equal(checkRecipe({ ...least, schedule: "const" as "constant" }).schedule, "constant");
    assert.equal(checkRecipe({ ...least, precision: "fp32" as "f32" }).precision, "f32");
  });

  const faults: [string, Record<string, unknown>, RegExp][] = [
    [
      "an unknown key",
      { batchsize: 3 },
      /^batchsize: no such setting; got batchsize=3\. Did you mean "batchSize"\?$/,
    ],
    ["a wrong type", { lr: "high" }, /^lr: must be a number above 0; got lr="high"/],
    ["a value out of range", { beta2: 1 }, /^beta2: must be a number at least 0 and below 1; got beta2=1/],
    ["a fraction for a count", { batchSize: 2.5 }, /^batchSize: must be an integer from 2/],
    ["an unknown word", { schedule: "cosin" }, /^schedule: must be one of .* Did you mean "cosine"\?/],
    ["no model", { model: undefined }, /^model: is required/],
    ["no data", { trainData: undefined }, /^trainData: is required/],
    ["no length", { epochs: undefined }, /^length: .*--epochs 10/],
    ["two lengths", { time: "1h" }, /^time: the length must be given once; got epochs=3 and time="1h"/],
    ["a length of zero", { epochs: undefined, samples: 0 }, /^samples: must be above 0/],
    ["samples that are steps", { epochs: undefined, samples: "5 steps" }, /^samples: must count samples/],
    ["a time that is steps", { epochs: undefined, time: "5 steps" }, /^time: must be a time/],
    ["a broken duration", { saveFrequency: "often" }, /^saveFrequency: must be a duration; got "often"/],
    ["two held-out sets", { valData: "v", valSplit: 0.1 }, /^valSplit: .*Remove one/],
    [
      "weights that do not match",
      { trainDataUpsamplingFactors: [1, 2] },
      /^trainDataUpsamplingFactors: .*2 for 1/,
    ],
    ["a size for a tokenizer file", { tokenizer: "t.json", vocabSize: 500 }, /^vocabSize: .*--tokenizer bpe/],
    ["a crop turned round", { cropScale: [1, 0.5] }, /^cropScale: .*Write 0.5,1/],
    ["a crop of one number", { cropScale: 0.5 }, /^cropScale: must be 2 values/],
    ["images on disk of no one size", { imageDisk: 100 }, /^imageDisk: .*--keep-size/],
    ["windows without a size to cut from", { crop: "shift" }, /^keepSize: .*--keep-size/],
    ["a hue beyond a half turn", { colorJitter: [0, 0, 0, 1] }, /^colorJitter: .*0\.5/],
    ["a scale above its clamp", { logitScaleInit: 200 }, /^logitScaleInit: must not exceed/],
    ["an end above the peak", { lrEnd: 1 }, /^lrEnd: must not exceed lr/],
    ["a cooldown without its schedule", { cooldown: 0.2 }, /^cooldown: only const-cooldown/],
    ["a warm-up as long as the run", { epochs: undefined, steps: 9, warmup: 9 }, /^warmup: must be shorter/],
    ["a warm-up by time", { warmup: "5m" }, /^warmup: must be a fraction/],
    [
      "warm-up and cooldown that overlap",
      { warmup: 0.5, schedule: "const-cooldown", cooldown: 0.6 },
      /^cooldown: .*fit/,
    ],
    ["class names without images", { zeroshotClassnames: "c.txt" }, /^zeroshotData: .*--zeroshot-classnames/],
    [
      "a best by a score that is misspelt",
      { keepBest: "val/image_retrieval_recal@5", valSplit: 0.1 },
      /^keepBest: must be a score that the run gets; got keepBest=val\/image_retrieval_recal@5\. Did you mean "image_retrieval_recall@5"\?/,
    ],
    [
      "a best by a task that is not asked for",
      { keepBest: "knn_acc1@10", zeroshotData: "set" },
      /^keepBest: must be a score .*got keepBest=knn_acc1@10\. There are acc1, acc5, mean_per_class_recall\./,
    ],
    ["a best of nothing", { keepBest: "val/loss" }, /^keepBest: needs something that is evaluated/],
    ["a name that is a path", { name: "../x" }, /^name: must be one folder name/],
  ];
  for (const [what, more, pattern] of faults) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => checkRecipe({ ...least, ...more } as RecipeInput),
        (error) =>
          error instanceof UsageError && pattern.test(error.message) && !error.message.includes("\n"),
      );
    });
  }

  test("every setting is documented in a sentence", () => {
    for (const [key, { doc }] of Object.entries(recipeFields)) assert.match(doc, /^[A-Za-z].*\.$/, key);
  });
});

suite("resolveRecipe", () => {
  const folder = mkdtempSync(join(tmpdir(), "recipe-"));
  after(() => rmSync(folder, { recursive: true }));
  const file = (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };

  test("reads modules and JSON, and names the run after the file", async () => {
    const json = await resolveRecipe(file("a.json", JSON.stringify(defineRecipe(least))));
    assert.equal(json.name, "a");
    const module = await resolveRecipe(file("b.mjs", `export default ${JSON.stringify(least)}`));
    assert.equal(module.epochs, 3);
  });

  test("overrides win, and a length replaces that of the recipe", async () => {
    const path = file("c.json", JSON.stringify(least));
    const recipe = await resolveRecipe(path, { steps: 7, lr: 1e-3 });
    assert.equal(recipe.steps, 7);
    assert.equal(recipe.epochs, undefined);
    assert.equal(recipe.lr, 1e-3);
    await assert.rejects(resolveRecipe(path, { steps: 7, time: "1h" }), /given once/);
  });

  test("every recipe that comes with the package is valid", async () => {
    const needed = {
      model: "clipwright-nano-32",
      trainData: "pairs",
      pretrained: "run",
      tokenizer: "t.json",
    };
    for (const name of recipeNames())
      await resolveRecipe(name, (await loadRecipe(name)).trainData === undefined ? needed : {});
  });

  const faults: [string, () => string, RegExp][] = [
    ["a missing file", () => join(folder, "none.json"), /none\.json: no such file/],
    ["an unknown name", () => "flickr-smal", /no such recipe/],
    ["another kind of file", () => file("x.yaml", ""), /ends in .js/],
    ["broken JSON", () => file("x.json", "{"), /x\.json:1:2: must be JSON/],
    ["JSON that is no object", () => file("y.json", "[]"), /y\.json: must hold one object/],
    ["a module without a default", () => file("x.mjs", "export const a = 1"), /must export a recipe/],
    ["a module that fails", () => file("y.mjs", "nonsense("), /cannot be loaded/],
    [
      "a fault in the file, with its name",
      () => file("z.json", '{"model":"m"}'),
      /z\.json: trainData: is required/,
    ],
  ];
  for (const [what, path, pattern] of faults) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(
        resolveRecipe(path()),
        (error) => error instanceof UsageError && pattern.test(error.message),
      );
    });
  }

  test("reads TypeScript on every Node", async () => {
    const path = file(
      "t.ts",
      "const lr: number = 0.5; enum E { A = 3 } interface X { a: 1 } export default { model: 'm', lr, seed: E.A } satisfies object;",
    );
    assert.deepEqual(await loadRecipe(path), { model: "m", lr: 0.5, seed: 3 });
  });

  test("a recipe in JSON names no library unless it is trusted; one of the command line is the caller's own", async () => {
    const path = file(
      "library.json",
      '{"model":"m","trainData":"d","steps":1,"engine":"xla","plugin":"./evil.so"}',
    );
    await assert.rejects(
      resolveRecipe(path),
      /library\.json: a recipe in JSON may only name an installed plugin.*got plugin="\.\/evil\.so".*--trust/,
    );
    assert.equal((await resolveRecipe(path, {}, { trust: true })).plugin, "./evil.so");
    assert.equal((await resolveRecipe(path, { plugin: "./mine.so" })).plugin, "./mine.so");
    const named = file(
      "named.json",
      '{"model":"m","trainData":"d","steps":1,"engine":"xla","plugin":"xla-cpu"}',
    );
    assert.equal((await resolveRecipe(named)).plugin, "xla-cpu");
  });
});

test("checkModel refuses what training would", () => {
  const recipe = (more: RecipeInput) =>
    checkRecipe({ model: "clipwright-nano-32", trainData: "d", steps: 1, ...more });
  checkModel(recipe({}));
  assert.throws(() => checkModel(recipe({ model: "ViT-S-33" })), /ViT-S-33.*Did you mean/);
  assert.throws(() => checkModel(recipe({ forceImageSize: 33 })), /forceImageSize: must be a multiple of 8/);
  assert.throws(
    () => checkModel(recipe({ imageSizes: "64" })),
    /^UsageError: imageSizes: must not exceed 32/,
  );
});
