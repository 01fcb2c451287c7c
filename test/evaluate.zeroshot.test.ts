import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { type Features, nearestRows, normalise, similarity } from "../src/evaluate/features/features.js";
import {
  classEmbeddings,
  evaluateZeroshot,
  GUESSES,
  namedGuesses,
  promptsOf,
} from "../src/evaluate/tasks/zeroshot.js";

function randomFeatures(seed: number, rows: number, width: number): Features {
  const random = new Random(keyFromSeed(seed));
  return normalise(
    Float32Array.from({ length: rows * width }, () => random.normal()),
    width,
    "random",
  );
}

suite("classEmbeddings", () => {
  test("is the unit mean of each class's prompts", () => {
    const prompts = promptsOf(["cat", "red heart"], ["{c}", "a photo of a {}.", "two {c}s"]);
    assert.deepEqual(prompts.slice(2, 4), ["two cats", "red heart"]);
    const features = randomFeatures(7, 6, 3);
    const classes = classEmbeddings(features, 3);
    for (const c of [0, 1]) {
      const sum = [0, 1, 2].map((k) =>
        [0, 1, 2].reduce((s, t) => s + features.data[(3 * c + t) * 3 + k]!, 0),
      );
      const length = Math.hypot(...sum);
      for (let k = 0; k < 3; k++) assert.ok(Math.abs(classes.data[c * 3 + k]! - sum[k]! / length) < 1e-6);
    }
  });

  test("refuses prompts that cancel out", () => {
    const opposite = { data: new Float32Array([1, 0, -1, 0]), rows: 2, width: 2 };
    assert.throws(() => classEmbeddings(opposite, 2), /class embeddings: a row of zeros.*row=0/);
  });
});

suite("evaluateZeroshot", () => {
  const names = Array.from({ length: 12 }, (_, c) => `class ${c}`);
  const images = randomFeatures(1, 700, 6);
  const classes = randomFeatures(2, 12, 6);
  const labels = Uint32Array.from({ length: 700 }, (_, i) => (i * i) % 11);
  const predictions = nearestRows(images, classes, GUESSES);
  const result = evaluateZeroshot(labels, names, predictions);

  test("counts what a sort of all scores counts", () => {
    const ranked = Array.from({ length: 700 }, (_, i) =>
      names
        .map((_, c) => c)
        .sort((a, b) => similarity(images, i, classes, b) - similarity(images, i, classes, a)),
    );
    const share = (k: number): number =>
      ranked.filter((row, i) => row.slice(0, k).includes(labels[i]!)).length / 700;
    assert.equal(result.top1.value, share(1));
    assert.equal(result.top5.value, share(5));
    assert.equal(result.top1.n, 700);
    for (const { low, value, high } of [result.top1, result.top5, result.meanPerClassRecall]) {
      assert.ok(low < value && value < high && high - low < 0.1);
    }
    for (const { name, n, recall } of result.perClass) {
      const c = names.indexOf(name);
      const own = ranked.filter((_, i) => labels[i] === c);
      assert.equal(n, own.length);
      assert.equal(recall, own.filter((row) => row[0] === c).length / n);
    }
    assert.equal(
      result.perClass.some(({ name }) => name === "class 11"),
      false, // no image has it
    );
    const mean = result.perClass.reduce((sum, { recall }) => sum + recall, 0) / result.perClass.length;
    assert.ok(Math.abs(result.meanPerClassRecall.value - mean) < 1e-12);
  });

  test("lists each kind of mistake with its count, most frequent first", () => {
    const wrong = result.confusions.reduce((sum, { count }) => sum + count, 0);
    assert.equal(wrong, 700 - result.correct.reduce((a, b) => a + b, 0));
    const { truth, predicted, count } = result.confusions[0]!;
    const made = Array.from(labels).filter(
      (label, i) => names[label] === truth && names[result.predictions.indices[i * 5]!] === predicted,
    );
    assert.equal(made.length, count);
    assert.ok(result.confusions.every((pair, i) => i === 0 || pair.count <= result.confusions[i - 1]!.count));
  });

  test("gives top-5 of 1 when there are no more than five classes", () => {
    const guesses3 = nearestRows(images, randomFeatures(3, 3, 6), GUESSES);
    const few = evaluateZeroshot(new Uint32Array(700).fill(2), names.slice(0, 3), guesses3);
    assert.equal(few.top5.value, 1);
    assert.equal(few.predictions.k, 3);
    const guesses = namedGuesses(few.predictions, names, 699);
    assert.deepEqual(guesses.map(({ name }) => name).sort(), names.slice(0, 3));
    assert.ok(guesses[0]!.score >= guesses[1]!.score && guesses[1]!.score >= guesses[2]!.score);
  });

  test("chance is what the model's own guesses give when they are dealt at random", () => {
    const random = new Random(keyFromSeed(8));
    let dealt = 0;
    for (let draw = 0; draw < 200; draw++) {
      const order = random.permutation(700);
      dealt += labels.reduce(
        (sum, label, i) => sum + (predictions.indices[5 * order[i]!] === label ? 1 : 0),
        0,
      );
    }
    assert.ok(Math.abs(dealt / 200 / 700 - result.chance.top1) < 0.003);
    assert.ok(result.chance.top5 > 0.38 && result.chance.top5 < 0.45); // about 5 of 12
    // A model that always says the same class is right as often as that class is there, which is no merit.
    const always = { ...predictions, indices: predictions.indices.map((_, at) => at % 5) };
    const constant = evaluateZeroshot(labels, names, always);
    assert.equal(constant.top1.value, constant.chance.top1);
    assert.ok(Math.abs(constant.chance.meanPerClassRecall - 1 / 6) < 1e-12); // labels are squares mod 11: six classes
  });

  test("refuses labels beyond the names and a missing label", () => {
    assert.throws(
      () => evaluateZeroshot(new Uint32Array(700).fill(12), names, predictions),
      /labels\[0\]=12 with 12 classes/,
    );
    assert.throws(() => evaluateZeroshot(labels.slice(1), names, predictions), /699 labels for 700 images/);
  });
});

suite("several right answers an image", () => {
  const names = ["a", "b", "c", "d"];
  const predictions = {
    indices: Uint32Array.from([0, 1, 2, 3, 1, 0, 1, 2]),
    scores: Float32Array.from([9, 8, 9, 8, 9, 8, 9, 8]),
    k: 2,
  };
  const labels = Uint32Array.from([0, 1, 0, 3]);
  const answers = [[0], [1, 2], [0, 1], [3, 2]];
  const result = evaluateZeroshot(labels, names, predictions, { answers });

  test("any of them counts, the image in its own class", () => {
    assert.deepEqual([...result.correct], [1, 1, 1, 0]);
    assert.deepEqual([...result.correctTop5], [1, 1, 1, 1]);
    assert.equal(result.meanPerClassRecall.value, 2 / 3);
    assert.deepEqual(result.confusions, [{ truth: "d", predicted: "b", count: 1 }]);
  });

  test("chance is the share right over all ways to deal the guesses, each image one", () => {
    // Row g dealt to image i, all 16 of them alike.
    const share = (depth: number): number => {
      let right = 0;
      for (let g = 0; g < 4; g++)
        for (const own of answers)
          if (own.some((c) => predictions.indices.subarray(2 * g, 2 * g + depth).includes(c))) right++;
      return right / 16;
    };
    assert.equal(result.chance.top1, share(1));
    assert.equal(result.chance.top5, share(2));
  });

  test("a class of several names is the mean of all their prompts", () => {
    const prompts = { data: Float32Array.from([1, 0, 0, 1, 0, 1, 1, 0]), rows: 4, width: 2 };
    const classes = classEmbeddings(prompts, [3, 1]);
    const length = Math.hypot(1, 2);
    const expected = [1 / length, 2 / length, 1, 0];
    for (const [i, x] of expected.entries()) assert.ok(Math.abs(classes.data[i]! - x) < 1e-6);
  });
});
