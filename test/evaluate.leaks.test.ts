import assert from "node:assert/strict";
import { after, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { openDataset } from "../src/data/index.js";
import { decodeImage } from "../src/data/pixels/read/decode.js";
import { ON_WHITE } from "../src/data/pixels/read/reading.js";
import { resample } from "../src/data/pixels/resize/resample.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { normalise, similarity } from "../src/evaluate/features/features.js";
import { rowsInMemory } from "../src/evaluate/features/source.js";
import { calibrateThreshold, nearestByBlocks } from "../src/evaluate/leaks/embedding.js";
import { leakScores } from "../src/evaluate/leaks/scores.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const engine = new OnnxRuntime();
after(() => engine[Symbol.asyncDispose]());

test("leakScores gives a score with and without leaked samples, and their paired difference", () => {
  // Pictures 0 … 99, two queries each; leaked ones are right, of the others every second.
  const samples = Uint32Array.from({ length: 200 }, (_, i) => i >> 1);
  const leaked = new Set(Array.from({ length: 20 }, (_, i) => i));
  const values = Float64Array.from(samples, (s) => (leaked.has(s) || s % 2 === 0 ? 1 : 0));
  const interval = { value: 0, low: 0, high: 0, n: 200 };
  const without = { metric: "median_rank", score: interval };
  const scores = leakScores(
    [{ metric: "acc1", score: interval, items: { values, samples } }, without],
    leaked,
  );
  assert.equal(scores.length, 1);
  const [{ all, clean, leaked: old, difference }] = scores as [(typeof scores)[number]];
  assert.deepEqual([all.value, clean.value, old.value], [0.6, 0.5, 1]);
  assert.deepEqual([all.n, clean.n, old.n], [200, 160, 40]);
  assert.ok(Math.abs(difference.value + 0.1) < 1e-12);
  // p·(1 − x̄) with p = 0.2 of the pictures leaked: its standard error, by the delta method, is about 0.025.
  assert.ok(difference.low < -0.1 && difference.high > -0.1);
  assert.ok(difference.high - difference.low > 0.06 && difference.high - difference.low < 0.14);
  assert.deepEqual(
    leakScores([{ metric: "acc1", score: interval, items: { values, samples } }], new Set()),
    [],
  );
});

test("nearestByBlocks finds the nearest candidate of every query", async () => {
  const random = new Random(keyFromSeed(2));
  const drawn = (rows: number) =>
    normalise(
      Float32Array.from({ length: rows * 8 }, () => random.normal()),
      8,
      "drawn",
    );
  const [candidates, queries] = [drawn(700), drawn(30)];
  const { rows, cosines } = await nearestByBlocks(engine, rowsInMemory(candidates), queries);
  for (let q = 0; q < queries.rows; q++) {
    const all = Array.from({ length: candidates.rows }, (_, c) => similarity(candidates, c, queries, q));
    assert.equal(rows[q], all.indexOf(Math.max(...all)));
    assert.ok(Math.abs(cosines[q]! - Math.max(...all)) < 1e-6);
  }
});

test("calibrateThreshold lies below most copies and above most different pictures", async () => {
  const folder = scratchFolder();
  for (let i = 0; i < 24; i++) put(folder, `${i}.png`, await pngOf(i));
  const dataset = await openDataset(folder, { captionsOptional: true });
  /** A model that sees 6 × 6 colours, and mirror images as others. */
  const embed = async (images: readonly Uint8Array[]): Promise<Float32Array> => {
    const out = new Float32Array(images.length * 108);
    for (const [i, bytes] of images.entries()) {
      const small = resample(await decodeImage(bytes, ON_WHITE), 6, 6, "bilinear").data;
      out.set(
        Float32Array.from(small, (x) => x - 127.5),
        i * 108,
      );
    }
    return normalise(out, 108, "pictures").data;
  };
  const bytes = await Promise.all(Array.from({ length: dataset.length }, (_, i) => dataset.readBytes(i)));
  const features = { data: await embed(bytes), rows: dataset.length, width: 108 };
  const indices = Uint32Array.from({ length: dataset.length }, (_, i) => i);
  const images = { features: rowsInMemory(features), indices, skipped: [] };
  const found = await calibrateThreshold(engine, dataset, images, embed, []);
  assert.equal(found.pictures, 24);
  assert.ok(found.confused <= 2 / 24 + 1e-9, `${found.confused}`); // the two nearest have each other
  assert.ok(found.found["re-encoded"] > 0.9 && found.found.resized > 0.9);
  assert.ok(found.found.mirrored < found.found.resized);
  // A picture that stands twice in the set makes no threshold when it is known to.
  const twice = { ...features, data: features.data.slice() };
  twice.data.set(features.data.subarray(0, 108), 108);
  const known = await calibrateThreshold(
    engine,
    dataset,
    { ...images, features: rowsInMemory(twice) },
    embed,
    [0, 1],
  );
  assert.ok(known.cosine < 0.9999 && known.pictures === 22);
});
