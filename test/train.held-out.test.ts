import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { normalise } from "../src/evaluate/features/features.js";
import { sigmoidPairs, softmaxPairs } from "../src/train/strategies/loss.js";
import { HeldOutLoss, type HeldOutPairs } from "../src/train/watch/held-out.js";

const E = 6;
const random = new Random(keyFromSeed(5));
const unit = (rows: number) =>
  normalise(
    Float32Array.from({ length: rows * E }, () => random.normal()),
    E,
    "test",
  );

/** Ten images with two captions each, except the last, which has none; images 2 and 3 share their first caption. */
const pairs: HeldOutPairs = {
  images: unit(10),
  texts: unit(18),
  captions: Array.from({ length: 18 }, (_, i) => (i === 4 || i === 6 ? "the same words" : `caption ${i}`)),
  captionImage: Uint32Array.from({ length: 18 }, (_, i) => i >> 1),
};

/** The definition: both cross-entropies of every pair of `rows`, in float64. */
function reference(rows: readonly number[], scale: number): number[] {
  const logit = (image: number, text: number) => {
    let dot = 0;
    for (let e = 0; e < E; e++) {
      dot += pairs.images.data[image * E + e]! * pairs.texts.data[2 * text * E + e]!;
    }
    return scale * dot;
  };
  const crossEntropy = (logits: readonly number[], partners: readonly number[]) => {
    const logSum = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
    return partners.reduce((sum, j) => sum + (logSum - logits[j]!) / partners.length, 0);
  };
  return rows.map((row) => {
    const same = (other: number) => pairs.captions[2 * other] === pairs.captions[2 * row];
    const partners = [...rows.keys()].filter((j) => same(rows[j]!));
    const byImage = rows.map((text) => logit(row, text));
    const byText = rows.map((image) => logit(image, row));
    return (crossEntropy(byImage, partners) + crossEntropy(byText, partners)) / 2;
  });
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
/** Sums of a few float32 logits up to 20. */
const TOLERANCE = 1e-5;

suite("HeldOutLoss", () => {
  test("is the training loss over batches of the training's size, of first captions, in a fixed shuffle", async () => {
    await using engine = new OnnxRuntime();
    using loss = new HeldOutLoss(engine, 4);
    const order = new Random(keyFromSeed(0)).permutation(9);
    const batches = [order.subarray(0, 4), order.subarray(4, 8)].map((rows) => [...rows]);
    const expected = mean(batches.flatMap((rows) => reference(rows, 20)));
    const found = await loss.measure(pairs, { scale: 20, bias: 0 });
    assert(Math.abs(found!.value - expected) < TOLERANCE, `${found!.value} is not ${expected}`);
    assert.equal(found!.n, 8, "the ninth pair fills no batch");
    assert(found!.low < found!.value && found!.value < found!.high);
    assert.deepEqual(await loss.measure(pairs, { scale: 20, bias: 0 }), found);
  });

  test("takes one smaller batch where there are fewer pairs, and shares the target among equal captions", async () => {
    await using engine = new OnnxRuntime();
    using loss = new HeldOutLoss(engine, 64);
    const found = await loss.measure(pairs, { scale: 5, bias: 0 });
    const expected = mean(reference([...Array(9).keys()], 5));
    assert(Math.abs(found!.value - expected) < TOLERANCE, `${found!.value} is not ${expected}`);
    assert.equal(found!.n, 9);
    assert.equal(engine.stats().buffers, 0);
  });

  test("is the same in blocks of rows", async () => {
    await using engine = new OnnxRuntime();
    using whole = new HeldOutLoss(engine, 64);
    using blocks = new HeldOutLoss(engine, 64, softmaxPairs, 40);
    const found = await blocks.measure(pairs, { scale: 5, bias: 0 });
    const expected = await whole.measure(pairs, { scale: 5, bias: 0 });
    assert.equal(found!.n, 9);
    for (const key of ["value", "low", "high"] as const)
      assert(Math.abs(found![key] - expected![key]) < TOLERANCE, key);
    assert.equal(engine.stats().buffers, 0);
  });

  test("takes a strategy's own loss: the sigmoid's, with its bias", async () => {
    await using engine = new OnnxRuntime();
    using loss = new HeldOutLoss(engine, 64, sigmoidPairs);
    const found = await loss.measure(pairs, { scale: 5, bias: -2 });
    const rows = [...Array(9).keys()];
    const expected = mean(
      rows.map((image) =>
        rows.reduce((total, text) => {
          let cosine = 0;
          for (let e = 0; e < E; e++)
            cosine += pairs.images.data[image * E + e]! * pairs.texts.data[2 * text * E + e]!;
          const logit = 5 * cosine - 2;
          const together = pairs.captions[2 * image] === pairs.captions[2 * text];
          return total + Math.log1p(Math.exp(together ? -logit : logit));
        }, 0),
      ),
    );
    assert(Math.abs(found!.value - expected) < TOLERANCE, `${found!.value} is not ${expected}`);
  });

  test("says nothing of fewer than two pairs", async () => {
    await using engine = new OnnxRuntime();
    using loss = new HeldOutLoss(engine, 64);
    const one = { ...pairs, captions: ["a"], captionImage: Uint32Array.of(3) };
    assert.equal(await loss.measure(one, { scale: 5, bias: 0 }), undefined);
  });
});
