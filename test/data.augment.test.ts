import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { trainingPipeline } from "../src/data/index.js";
import { luma } from "../src/data/pixels/augment/operations/operation.js";
import { drawEncoded, drawImage, keepImage } from "../src/data/pixels/pipeline.js";
import type { RawImage } from "../src/data/pixels/read/image.js";
import { jpegHeader } from "../src/data/pixels/read/jpeg.js";
import { resizedCropBox } from "../src/data/pixels/resize/crop.js";
import { resample } from "../src/data/pixels/resize/resample.js";
import { fixture } from "./support/fixture.js";

const random = new Random(keyFromSeed(8));
const image: RawImage = {
  width: 12,
  height: 10,
  channels: 3,
  data: Uint8Array.from({ length: 360 }, () => random.integer(256)),
};

const draw = (options: Parameters<typeof trainingPipeline>[1], seed: number): Uint8Array => {
  const out = new Uint8Array(8 * 8 * 3);
  drawImage(image, trainingPipeline(8, { keepSize: 10, crop: "shift", ...options }), keyFromSeed(seed), out);
  return out;
};

/** Where `window` lies in the image, or undefined. */
function find(window: Uint8Array): string | undefined {
  for (let y = 0; y <= 2; y++) {
    for (let x = 0; x <= 4; x++) {
      const equal = window.every((v, i) => {
        const [row, rest] = [Math.floor(i / 24), i % 24];
        return v === image.data[(y + row) * 36 + x * 3 + rest];
      });
      if (equal) return `${x},${y}`;
    }
  }
  return undefined;
}

describe("drawImage", () => {
  test("cuts windows from every place, unchanged", () => {
    const places = new Set<string | undefined>();
    for (let seed = 0; seed < 200; seed++) places.add(find(draw({}, seed)));
    assert.equal(places.size, 15);
    assert.ok(!places.has(undefined));
  });

  test("mirrors the very window that it would cut without flip", () => {
    for (let seed = 0; seed < 20; seed++) {
      const plain = draw({}, seed);
      const flipped = draw({ flip: 1 }, seed);
      for (let i = 0; i < 192; i++) {
        const [y, x, c] = [Math.floor(i / 24), Math.floor((i % 24) / 3), i % 3];
        assert.equal(flipped[i], plain[y * 24 + (7 - x) * 3 + c]);
      }
    }
  });

  test("turns grey by luma", () => {
    const plain = draw({}, 3);
    const grey = draw({ grayscale: 1 }, 3);
    for (let i = 0; i < 192; i += 3) {
      const expected = luma(plain[i]!, plain[i + 1]!, plain[i + 2]!);
      assert.deepEqual([...grey.subarray(i, i + 3)], [expected, expected, expected]);
    }
  });

  test("keeps the brightest channel's value and grey pixels when hue alone is turned", () => {
    const none = { brightness: 0, contrast: 0, saturation: 0, probability: 1 };
    const plain = draw({}, 5);
    const turned = draw({ jitter: { ...none, hue: 0.5 } }, 5);
    assert.notDeepEqual(turned, plain);
    for (let i = 0; i < 192; i += 3) {
      const [before, after] = [plain.subarray(i, i + 3), turned.subarray(i, i + 3)];
      assert.equal(Math.max(...after), Math.max(...before));
      assert.ok(Math.abs(Math.min(...after) - Math.min(...before)) <= 1); // rounding to 8 bits
    }
    assert.deepEqual(draw({ jitter: { ...none, hue: 0 } }, 5), plain);
  });
});

test("drawEncoded decodes only the part that is cut out, to the same pixels", async () => {
  for (const name of ["photo_75x58.jpg", "turned_48x34.jpg", "grey_29x40.png", "rgba_41x50.png"]) {
    const encoded = readFileSync(fixture(`preprocess/${name}`));
    for (const policy of ["randaugment", "none"]) {
      const pipeline = trainingPipeline(24, { policy });
      const kept = await keepImage(encoded, pipeline);
      for (let seed = 0; seed < 12; seed++) {
        const [whole, part] = [new Uint8Array(24 * 24 * 3), new Uint8Array(24 * 24 * 3)];
        drawImage(kept, pipeline, keyFromSeed(seed), whole);
        await drawEncoded(encoded, pipeline, keyFromSeed(seed), part);
        assert.deepEqual(part, whole, `${name} ${policy} ${seed}`);
      }
    }
  }
  const broken = readFileSync(fixture("preprocess/photo_75x58.jpg")).subarray(0, 1500);
  const pipeline = trainingPipeline(24, { policy: "crop-flip" });
  for (let seed = 0; seed < 12; seed++) {
    const drawn = drawEncoded(broken, pipeline, keyFromSeed(seed), new Uint8Array(24 * 24 * 3));
    await assert.rejects(drawn, /image: cannot be decoded/);
  }
});

test("jpegHeader reads sizes and components, and nothing that is no JPEG", () => {
  const of = (name: string): unknown => jpegHeader(readFileSync(fixture(`preprocess/${name}`)));
  assert.deepEqual(of("photo_75x58.jpg"), { width: 75, height: 58, components: 3, coding: 0, exif: false });
  assert.deepEqual(of("turned_48x34.jpg"), { width: 48, height: 34, components: 3, coding: 0, exif: true });
  assert.equal(of("portrait_37x53.png"), undefined);
  assert.equal(jpegHeader(Uint8Array.of(0xff, 0xd8, 0xff, 0xda, 0, 0, 0, 0, 0, 0, 0, 0)), undefined);
  assert.equal(jpegHeader(new Uint8Array(0)), undefined);
});

test("a whole crop is the image, both sides resized", () => {
  const pipeline = trainingPipeline(8, { crop: "whole" });
  const out = new Uint8Array(8 * 8 * 3);
  drawImage(image, pipeline, keyFromSeed(1), out);
  assert.deepEqual(out, resample(image, 8, 8, "bicubic").data);
});

test("resizedCropBox stays in the image, within the ranges of area and shape, and uses them up", () => {
  const big = { width: 300, height: 200, channels: 3, data: new Uint8Array(0) };
  const rng = new Random(keyFromSeed(2));
  let [low, high] = [1, 0];
  for (let i = 0; i < 500; i++) {
    const box = resizedCropBox(big, { kind: "resized", scale: [0.25, 0.75], ratio: [0.75, 4 / 3] }, rng);
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= 300 && box.y + box.height <= 200);
    const share = (box.width * box.height) / 60_000;
    const ratio = box.width / box.height;
    assert.ok(share > 0.24 && share < 0.76, `area ${share}`); // half a pixel of rounding at each side
    assert.ok(ratio > 0.74 && ratio < 1.35, `ratio ${ratio}`);
    low = Math.min(low, share);
    high = Math.max(high, share);
  }
  assert.ok(low < 0.3 && high > 0.65);
});
