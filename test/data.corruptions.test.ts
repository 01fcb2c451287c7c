import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SafetensorsFile } from "../src/core/safetensors.js";
import { corrupted, subset } from "../src/data/dataset.js";
import { openDataset } from "../src/data/index.js";
import { evaluationBatches } from "../src/data/loading/evaluation.js";
import {
  argumentOf,
  type Corruption,
  type CorruptionName,
  corruptionNames,
} from "../src/data/pixels/corrupt/corruption.js";
import { evaluationPipeline, preprocessImage } from "../src/data/pixels/pipeline.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { fixture } from "./support/fixture.js";

// Made by test/fixtures/data/corruptions.py with NumPy, SciPy and Pillow.
using file = new SafetensorsFile(fixture("data/corruptions.safetensors"));
const stored = new Map(file.names.map((name) => [name, file.read(name) as Uint8Array]));
const seed = Number(file.metadata.seed);
const fill = file.metadata.fill!.split(",").map(Number) as unknown as readonly [number, number, number];

/** Levels that a value may be off: rounding of sums in another order; bilinear weights of 8 bits for the turn. */
const TOLERANCE: Partial<Record<CorruptionName, number>> = {
  rotation: 3,
  contrast: 1,
  brightness: 1,
  "gaussian-noise": 1,
};

const prepared = (encoded: Uint8Array, size: number, corruption: Corruption) =>
  preprocessImage(encoded, { ...evaluationPipeline(size, { fill }), corruption });

describe("corruptions", () => {
  const cases = file.names.filter((name) => name.includes("|"));

  for (const name of cases) {
    test(`${name} equals NumPy's, SciPy's or Pillow's`, async () => {
      const [side, kind, strength] = name.split("|") as [string, CorruptionName, string];
      const size = Number(side);
      const whole = await prepared(stored.get(side)!, size, { kind, strength: Number(strength), seed });
      const wanted = stored.get(name)!;
      const step = Math.sqrt(whole.length / wanted.length);
      const kept = whole.filter((_, i) => {
        const pixel = Math.floor(i / 3);
        return (pixel % size) % step === 0 && Math.floor(pixel / size) % step === 0;
      });
      const most = kept.reduce((far, x, i) => Math.max(far, Math.abs(x - wanted[i]!)), 0);
      assert.equal(kept.length, wanted.length);
      assert.ok(most <= (TOLERANCE[kind] ?? 0), `off by ${most}`);
    });
  }

  test("all have a case", () => {
    const tried = new Set(cases.map((name) => name.split("|")[1]));
    assert.deepEqual(
      corruptionNames.filter((name) => !tried.has(name)),
      [],
    );
  });

  test("lengths go with the square's side; small squares have arguments of their own", () => {
    const blur = (side: number) => argumentOf({ kind: "gaussian-blur", strength: 3 }, side);
    assert.deepEqual([224, 448, 64, 32].map(blur), [3, 6, 1, 0.5]);
    const jpeg = (side: number) => argumentOf({ kind: "jpeg", strength: 5 }, side);
    assert.deepEqual([336, 128, 127, 32].map(jpeg), [7, 7, 25, 25]);
  });

  test("a picture has its own noise, on any number of threads and in any part of the set", async () => {
    const folder = scratchFolder();
    for (let i = 0; i < 12; i++) put(folder, `set/${i}.png`, await pngOf(i % 6)); // pairs of equal files
    const dataset = await openDataset(folder, { captionsOptional: true });
    const noise = { kind: "gaussian-noise", strength: 4, seed: 1 } as const;
    const pixels = async (data: typeof dataset, workers: number) => {
      const all: Uint8Array[] = [];
      const options = { batchSize: 5, pipeline: evaluationPipeline(8), workers };
      for await (const { images, indices } of evaluationBatches(data, options))
        for (const i of indices.keys()) all.push(images.slice(i * 192, (i + 1) * 192));
      return all;
    };
    const whole = await pixels(corrupted(dataset, noise), 1);
    const part = subset(corrupted(dataset, noise), [7, 2]);
    assert.deepEqual(await pixels(corrupted(dataset, noise), 2), whole);
    assert.deepEqual(await pixels(part, 1), [whole[7], whole[2]]);
    assert.notDeepEqual(await pixels(dataset, 1), whole);
    assert.notDeepEqual(await pixels(corrupted(dataset, { ...noise, seed: 2 }), 1), whole);
    assert.equal(new Set(whole.map((image) => image.join())).size, 6);
    assert.throws(
      () => corrupted(dataset, { ...noise, strength: 6 }),
      /gaussian-noise: strength is 1, 2, 3, 4 or 5; got strength=6/,
    );
  });
});
