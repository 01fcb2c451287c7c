import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { type Features, normalise, similarity } from "../src/evaluate/features/features.js";
import { classEmbeddings, evaluateZeroshot, namedGuesses } from "../src/evaluate/tasks/zeroshot.js";

function randomFeatures(seed: number, rows: number, width: number): Features {
  const random = new Random(keyFromSeed(seed));
  return normalise(
    Float32Array.from({ length: rows * width }, () => random.normal()),
    width,
    "random",
  );
}

suite("classEmbeddings", () => {
  // A text's embedding, far from unit length, that depends on every character.
  const embed = (text: string): number[] =>
    [1, 2, 3].map((k) => [...text].reduce((sum, c, i) => sum + Math.sin(k * c.codePointAt(0)! + i), 0));
  const unit = (row: number[]): number[] => row.map((x) => x / Math.hypot(...row));

  for (const batchSize of [1, 4, 256]) {
    test(`is the unit mean of unit embeddings over templates, in batches of ${batchSize}`, async () => {
      const names = ["cat", "dog", "red heart"];
      const templates = ["{c}", "a photo of a {}.", "two {c}s"];
      const progress: number[] = [];
      const classes = await classEmbeddings(
        names,
        templates,
        async (texts) => {
          assert.ok(texts.length <= batchSize);
          return Float32Array.from(texts.flatMap(embed));
        },
        { batchSize, onProgress: (done) => progress.push(done) },
      );
      assert.equal(progress.at(-1), 9);
      for (const [c, name] of names.entries()) {
        const prompts = [name, `a photo of a ${name}.`, `two ${name}s`].map((text) => unit(embed(text)));
        const mean = unit([0, 1, 2].map((k) => prompts.reduce((sum, prompt) => sum + prompt[k]! / 3, 0)));
        for (let k = 0; k < 3; k++) assert.ok(Math.abs(classes.data[c * 3 + k]! - mean[k]!) < 1e-6);
      }
    });
  }

  test("refuses nothing to embed, a wrong number of embeddings and prompts that cancel out", async () => {
    await assert.rejects(
      classEmbeddings([], ["{}"], async () => new Float32Array(1)),
      /got 0 names and 1 templates/,
    );
    await assert.rejects(
      classEmbeddings(["a", "b"], ["{}"], async () => new Float32Array(3)),
      /embedTexts: \[2, 1\.5\] expected/,
    );
    await assert.rejects(
      classEmbeddings(["a"], ["{}", "not {}"], async () => new Float32Array([1, 0, -1, 0])),
      /class embeddings: a row of zeros.*row=0/,
    );
  });
});

suite("evaluateZeroshot", () => {
  const names = Array.from({ length: 12 }, (_, c) => `class ${c}`);
  const images = randomFeatures(1, 700, 6);
  const classes = randomFeatures(2, 12, 6);
  const labels = Uint32Array.from({ length: 700 }, (_, i) => (i * i) % 11);
  const result = evaluateZeroshot(images, labels, classes, names);

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
    const few = evaluateZeroshot(
      images,
      new Uint32Array(700).fill(2),
      randomFeatures(3, 3, 6),
      names.slice(0, 3),
    );
    assert.equal(few.top5.value, 1);
    assert.equal(few.predictions.k, 3);
    const guesses = namedGuesses(few.predictions, names, 699);
    assert.deepEqual(guesses.map(({ name }) => name).sort(), names.slice(0, 3));
    assert.ok(guesses[0]!.score >= guesses[1]!.score && guesses[1]!.score >= guesses[2]!.score);
  });

  test("refuses labels beyond the names and a missing label", () => {
    assert.throws(
      () => evaluateZeroshot(images, new Uint32Array(700).fill(12), classes, names),
      /labels\[0\]=12 with 12 classes/,
    );
    assert.throws(
      () => evaluateZeroshot(images, labels.slice(1), classes, names),
      /699 labels for 700 images/,
    );
  });
});
