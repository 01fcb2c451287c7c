import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import sharp from "sharp";
import { oddSizes } from "../src/curate/scores/image/odd-size.js";
import { coarse, groupPictures, MINIATURE_BYTES } from "../src/data/copies/group.js";
import { type ImageMeasures, measureImage } from "../src/data/pixels/measure.js";
import { isAnimated } from "../src/data/pixels/read/animated.js";
import { decodeImage } from "../src/data/pixels/read/decode.js";
import { ON_WHITE } from "../src/data/pixels/read/reading.js";
import { picture } from "./data.helpers.js";
import { fixture } from "./support/fixture.js";

/** From NumPy, Pillow and CleanVision: fixtures/measure.py. */
const wanted = JSON.parse(readFileSync(fixture("measure.json"), "utf8")) as {
  readonly pictures: readonly (ImageMeasures & { readonly name: string })[];
  readonly oddSizes: Readonly<Record<string, { sizes: number[]; scores: number[]; threshold: number }>>;
};

const near = (found: number, right: number, tolerance: number, what: string): void =>
  assert(Math.abs(found - right) <= tolerance, `${what}: ${found}, not ${right}`);

describe("measureImage equals CleanVision's measures", () => {
  for (const { name, brightness, ...right } of wanted.pictures) {
    test(`of the picture “${name}”`, async () => {
      const image = await decodeImage(readFileSync(fixture(`measure/${name}.png`)), ON_WHITE);
      const found = measureImage(image);
      // Brightness is counted in 16,384 bins.
      for (const p of ["p1", "p5", "p99"] as const) near(found.brightness[p], brightness[p], 1 / 16_384, p);
      for (const key of ["entropy", "edges", "histogramSpread", "colorfulness"] as const)
        near(found[key], right[key], 1e-9, key);
      assert.equal(found.grey, right.grey);
    });
  }
});

describe("oddSizes equals CleanVision's score", () => {
  for (const [name, { sizes, scores, threshold }] of Object.entries(wanted.oddSizes)) {
    test(`of ${name} sizes`, () => {
      const found = oddSizes(Float64Array.from(sizes));
      assert.equal(found.threshold, threshold);
      for (const [i, score] of scores.entries()) near(found.scores[i]!, score, 1e-12, `size ${sizes[i]}`);
    });
  }
});

describe("isAnimated", () => {
  const frames = (count: number) =>
    sharp(Buffer.alloc(count * 8 * 8 * 3, 90).fill(200, 0, 40), {
      raw: { width: 8, height: 8 * count, channels: 3, pageHeight: 8 },
    });
  for (const format of ["gif", "webp"] as const) {
    test(`tells a ${format} of several frames from one of one`, async () => {
      const moving = await frames(3)
        [format]({ loop: 0, delay: [50, 60, 70] })
        .toBuffer();
      assert.equal(isAnimated(moving, format), true);
      const still = await picture(1)[format]().toBuffer();
      assert.equal(isAnimated(still, format), false);
    });
  }

  test("knows an APNG by its chunk, and takes a PNG that is cut short for still", async () => {
    const png = await picture(1).png().toBuffer();
    assert.equal(isAnimated(png, "png"), false);
    const chunk = Buffer.concat([Buffer.from([0, 0, 0, 8]), Buffer.from("acTL"), Buffer.alloc(12)]);
    const header = 8 + 25;
    assert.equal(
      isAnimated(Buffer.concat([png.subarray(0, header), chunk, png.subarray(header)]), "png"),
      true,
    );
    for (let length = 0; length < 60; length++) isAnimated(png.subarray(0, length), "png");
  });
});

describe("groupPictures", () => {
  const flat = (value: number): number[] =>
    Array.from({ length: MINIATURE_BYTES }, (_, i) => (i % 7 < 3 ? value : 255 - value));
  const columns = (
    rows: readonly (readonly [bytes: number, pixels: number, low: number, shade: number])[],
  ) => ({
    bytes: Float64Array.from(rows, ([bytes]) => bytes),
    pixels: Float64Array.from(rows, ([, pixels]) => pixels),
    hashes: Uint32Array.from(rows.flatMap(([, , low]) => [7, low])),
    miniatures: Uint8Array.from(rows.flatMap(([, , , shade]) => flat(shade))),
  });

  test("joins equal files, equal pixels and hashes a few bits apart, and says which", () => {
    const { first, likeness } = groupPictures(
      columns([
        [1, 10, 0xff, 20],
        [2, 20, 0xff00ff, 90],
        [1, 10, 0xff, 20], // the first again
        [3, 20, 0xff00ff, 90], // the second in another file
        [4, 40, 0xfe, 21], // the first saved anew: a bit and a shade apart
        [5, 50, 0xff, 200], // its hash, other colours
        [Number.NaN, Number.NaN, 0, 0],
        [6, Number.NaN, 0, 0], // cannot be decoded
      ]),
      4,
    );
    assert.deepEqual([...first], [0, 1, 0, 1, 0, 5, -1, 7]);
    assert.deepEqual(Object.fromEntries(likeness), {
      0: "bytes",
      1: "pixels",
      2: "bytes",
      3: "pixels",
      4: "near",
    });
  });

  test("holds hashes more bits apart for others", () => {
    const rows = columns([
      [1, 10, 0, 20],
      [2, 20, 0b11111, 20],
    ]);
    assert.deepEqual([...groupPictures(rows, 4).first], [0, 1]);
    assert.deepEqual([...groupPictures(rows, 5).first], [0, 0]);
  });

  test("coarse is the mean of 2 × 2 pixels", () => {
    const miniature = Uint8Array.from({ length: 192 }, (_, at) => (Math.floor(at / 3) % 8) * 10 + (at % 3));
    const small = coarse(miniature);
    assert.equal(small.length, MINIATURE_BYTES);
    assert.deepEqual([...small.subarray(0, 12)], [5, 6, 7, 25, 26, 27, 45, 46, 47, 65, 66, 67]);
  });
});
