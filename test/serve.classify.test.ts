import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { Dataset } from "../src/data/dataset.js";
import { unitFeatures } from "../src/evaluate/features/features.js";
import { type FeatureSource, rowsInMemory } from "../src/evaluate/features/source.js";
import { calibratedScale } from "../src/serve/classify/calibrate.js";
import { embedClasses, guessesOf } from "../src/serve/classify/classify.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

/** How sure the planted model may be, and how sure it has learned to be. */
const TRUE_SCALE = 6;
const LEARNED_SCALE = 50;

/** Texts "a" … lie on the axes of a plane; pictures between them, by the angle that their key tells in degrees. */
function plantedFeatures(): FeatureSource {
  const direction = (degrees: number) => [
    Math.cos((degrees * Math.PI) / 180),
    Math.sin((degrees * Math.PI) / 180),
  ];
  return {
    engine: undefined as unknown as FeatureSource["engine"],
    scale: async () => LEARNED_SCALE,
    async images(dataset: Dataset) {
      const angles = Array.from({ length: dataset.length }, (_, i) =>
        Number(/(\d+)-\d+$/.exec(dataset.sample(i).key)![1]),
      );
      const data = Float32Array.from(angles.flatMap(direction));
      return {
        features: rowsInMemory(unitFeatures(data, 2, "pictures")),
        indices: Uint32Array.from({ length: dataset.length }, (_, i) => i),
        skipped: [],
      };
    },
    async texts(texts) {
      const data = Float32Array.from(texts.flatMap((text) => direction(/\b(east|0)\b/.test(text) ? 0 : 90)));
      return { features: unitFeatures(data, 2, "texts"), cut: [] };
    },
  };
}

suite("calibratedScale", () => {
  const folder = scratchFolder();

  /** Pictures whose class, or caption, is drawn by the probabilities of `TRUE_SCALE`. */
  async function run(name: string, kind: "labels" | "captions"): Promise<string> {
    const random = new Random(keyFromSeed(3));
    for (let i = 0; i < 400; i++) {
      const angle = random.integer(91);
      const radians = (angle * Math.PI) / 180;
      const margin = TRUE_SCALE * (Math.cos(radians) - Math.sin(radians));
      const word = random.uniform() < 1 / (1 + Math.exp(-margin)) ? "east" : "north";
      const path = kind === "labels" ? `${name}/val/${word}/${angle}-${i}` : `${name}/val/${angle}-${i}`;
      put(folder, `${path}.png`, await pngOf(i, 6, 6));
      if (kind === "captions") put(folder, `${path}.txt`, word);
    }
    put(folder, `${name}/train/1.png`, await pngOf(9999, 30, 20));
    put(folder, `${name}/train/1.txt`, "something");
    const recipe = {
      trainData: join(folder, name, "train"),
      valData: join(folder, name, "val"),
      epochs: 1,
      model: "ViT-S-32",
    };
    put(folder, `${name}/run/config.json`, JSON.stringify(recipe));
    return join(folder, name, "run");
  }

  test("is what the held-out labels say, however sure the model has learned to be", async () => {
    const { value, pictures, about } = await calibratedScale(
      plantedFeatures(),
      await run("labelled", "labels"),
      2,
    );
    assert.equal(pictures, 400);
    assert.match(about, /^calibrated on the labels of 400 held-out pictures of val$/);
    // The likelihood's curvature gives a standard error of 0.5.
    assert.ok(Math.abs(value - TRUE_SCALE) < 1.5, `${value}`);
  });

  test("of captions alone it is what telling a picture's own from another says", async () => {
    const { value, pictures, about } = await calibratedScale(
      plantedFeatures(),
      await run("captioned", "captions"),
      2,
    );
    assert.equal(pictures, 400);
    assert.match(about, /^calibrated on 400 held-out pictures of val, each with its caption among 2$/);
    // Half the pairs of captions are the same words, and say nothing.
    assert.ok(Math.abs(value - TRUE_SCALE) < 2, `${value}`);
  });

  test("without held-out data it stays as learned, and says why", async () => {
    const none = await calibratedScale(plantedFeatures(), undefined, 2);
    assert.deepEqual(none, {
      value: LEARNED_SCALE,
      about: "not calibrated: the model is no run's, and has held nothing out",
    });
    const recipe = { trainData: join(folder, "gone"), epochs: 1, model: "ViT-S-32" };
    put(folder, "bare/config.json", JSON.stringify(recipe));
    const bare = await calibratedScale(plantedFeatures(), join(folder, "bare"), 2);
    assert.equal(bare.value, LEARNED_SCALE);
    assert.match(bare.about, /^not calibrated: .*holds nothing out/);
  });
});

suite("classes", () => {
  const embedder = {
    embedTexts: async (texts: readonly string[]) =>
      Float32Array.from(texts.flatMap((text) => (text.includes("cat") ? [1, 0] : [0, 1]))),
  };

  test("guesses come likeliest first and are 1 together", async () => {
    const classes = await embedClasses(embedder, ["dog", " cat "]);
    const guesses = guessesOf(classes, Float32Array.of(0.8, 0.6), 10);
    assert.deepEqual(
      guesses.map(({ name }) => name),
      ["cat", "dog"],
    );
    assert.ok(Math.abs(guesses[0]!.probability - 1 / (1 + Math.exp(-2))) < 1e-6);
    assert.ok(Math.abs(guesses[0]!.probability + guesses[1]!.probability - 1) < 1e-12);
  });

  test("one class, an empty one and the same twice are refused", async () => {
    for (const [names, got] of [
      [["cat"], "got 1"],
      [["cat", " "], "got an empty one"],
      [["cat", "dog", "cat"], 'got "cat" twice'],
    ] as const) {
      await assert.rejects(
        embedClasses(embedder, names),
        (error) => error instanceof UsageError && error.message.includes(got) && error.key === "classes",
      );
    }
  });
});
