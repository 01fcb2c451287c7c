import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import sharp from "sharp";
import { keyFromSeed, Random } from "../src/core/random.js";
import {
  evaluationPipeline,
  type Filter,
  normalizations,
  preprocessImage,
  type ResizeMode,
} from "../src/data/index.js";
import { resample } from "../src/data/pixels/resize/resample.js";

interface Fixture {
  resize: {
    from: [number, number, number];
    to: [number, number];
    filter: Filter;
    input: string;
    output: string;
  }[];
  files: Record<string, string>;
  outputs: { file: string; resize: ResizeMode; size: number; filter: Filter; output: string }[];
}

// Made by test/fixtures/data/make.py with Pillow and torchvision.
const fixture: Fixture = JSON.parse(
  readFileSync(new URL("../../test/fixtures/data/pillow.json", import.meta.url), "utf8"),
);
const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

const largestDifference = (a: Uint8Array, b: Uint8Array): number => {
  assert.equal(a.length, b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
};

describe("resample", () => {
  test("equals Pillow to the bit at odd sizes, up and down, in 1, 3 and 4 channels", () => {
    for (const { from, to, filter, input, output } of fixture.resize) {
      const [width, height, channels] = from;
      const { data } = resample({ width, height, channels, data: bytes(input) }, to[0], to[1], filter);
      assert.equal(largestDifference(data, bytes(output)), 0, `${from} → ${to} ${filter}`);
    }
  });

  test("in vectors equals the plain loops, which four channels go through", () => {
    const random = new Random(keyFromSeed(6));
    for (let i = 0; i < 30; i++) {
      const [width, height] = [8 + random.integer(150), 8 + random.integer(150)];
      const four = Uint8Array.from({ length: width * height * 4 }, () => random.integer(256));
      const dropped = (data: Uint8Array): Uint8Array => data.filter((_, at) => at % 4 !== 3);
      const box = { x: random.integer(4), y: random.integer(4), width: width - 4, height: height - 4 };
      const to = [1 + random.integer(90), 1 + random.integer(90)] as const;
      const filter = i % 2 === 0 ? "bicubic" : "bilinear";
      const plain = resample({ width, height, channels: 4, data: four }, ...to, filter, box);
      const vectors = resample({ width, height, channels: 3, data: dropped(four) }, ...to, filter, box);
      assert.deepEqual(vectors.data, dropped(plain.data), `${width} × ${height} → ${to} ${filter}`);
    }
  });

  test("of a box equals resizing the cropped image", () => {
    const { input, from } = fixture.resize.find((c) => c.from[2] === 3)!;
    const [width, height] = from;
    const image = { width, height, channels: 3, data: bytes(input) };
    const box = { x: 2, y: 1, width: 9, height: 5 };
    const cropped = new Uint8Array(9 * 5 * 3);
    for (let y = 0; y < 5; y++) {
      const at = ((y + 1) * width + 2) * 3;
      cropped.set(image.data.subarray(at, at + 27), y * 27);
    }
    assert.deepEqual(
      resample(image, 6, 7, "bicubic", box).data,
      resample({ width: 9, height: 5, channels: 3, data: cropped }, 6, 7, "bicubic").data,
    );
  });
});

describe("preprocessImage", () => {
  for (const file of Object.keys(fixture.files)) {
    // CMYK is turned to RGB before the resize, Pillow does it after: one rounding apart.
    const tolerance = file === "cmyk.jpg" ? 1 : 0;
    test(`equals open_clip's transforms on ${file} ${tolerance === 0 ? "to the bit" : "within 1/255"}`, async () => {
      const cases = fixture.outputs.filter((c) => c.file === file);
      assert.ok(cases.length > 0);
      for (const { resize, size, filter, output } of cases) {
        const pipeline = evaluationPipeline(size, { resize, filter, transparency: "pillow" });
        const got = await preprocessImage(bytes(fixture.files[file]!), pipeline);
        assert.ok(largestDifference(got, bytes(output)) <= tolerance, `${resize} ${size} ${filter}`);
      }
    });
  }

  test("lays transparency on white, or on the colour asked for", async () => {
    const clear = await sharp({
      create: { width: 4, height: 4, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0 } },
    })
      .png()
      .toBuffer();
    const onWhite = await preprocessImage(clear, evaluationPipeline(2));
    assert.deepEqual([...onWhite], new Array(12).fill(255));
    const onBlue = await preprocessImage(clear, evaluationPipeline(1, { transparency: [0, 0, 200] }));
    assert.deepEqual([...onBlue], [0, 0, 200]);
  });

  test("pads the shorter side in `longest`", async () => {
    const wide = await sharp({ create: { width: 8, height: 4, channels: 3, background: "#ffffff" } })
      .png()
      .toBuffer();
    const got = await preprocessImage(wide, evaluationPipeline(4, { resize: "longest", fill: [9, 9, 9] }));
    const rows = [0, 1, 2, 3].map((y) => got[y * 12]);
    assert.deepEqual(rows, [9, 255, 255, 9]);
  });

  test("says that an image cannot be decoded", async () => {
    const pipeline = evaluationPipeline(4);
    const jpeg = bytes(fixture.files["rgb.jpg"]!);
    await assert.rejects(
      preprocessImage(jpeg.subarray(0, jpeg.length / 2), pipeline),
      /image: cannot be decoded/,
    );
    await assert.rejects(preprocessImage(new Uint8Array(0), pipeline), /image: is empty/);
    assert.throws(() => evaluationPipeline(0), /size is a whole number of pixels/);
  });
});

test("normalizations has open_clip's OpenAI constants and keeps [0, 1] for none", () => {
  assert.deepEqual(normalizations.openai.mean, [0.48145466, 0.4578275, 0.40821073]);
  assert.deepEqual(normalizations.openai.std, [0.26862954, 0.26130258, 0.27577711]);
  assert.deepEqual(normalizations.none, { mean: [0, 0, 0], std: [1, 1, 1] });
});
