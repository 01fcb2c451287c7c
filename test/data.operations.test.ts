import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { SafetensorsFile } from "../src/core/safetensors.js";
import { Canvas } from "../src/data/pixels/augment/canvas.js";
import { cutSquare } from "../src/data/pixels/augment/operations/geometry.js";
import { type OperationName, operations } from "../src/data/pixels/augment/operations/index.js";
import { splineOf, warp } from "../src/data/pixels/augment/operations/warp.js";
import { fixture } from "./support/fixture.js";

using file = new SafetensorsFile(fixture("data/augment.safetensors"));
const stored = new Map(file.names.map((name) => [name, file.read(name)]));
const bytes = (name: string): Uint8Array => stored.get(name) as Uint8Array;
const floats = (name: string): Float32Array => stored.get(name) as Float32Array;
const [height, width] = file.info("input.wide").shape as [number, number];
const fill = [10, 200, 128] as const;

function canvasOf(name: string): Canvas {
  const canvas = new Canvas(width, height);
  canvas.begin().set(bytes(`input.${name}`));
  return canvas;
}

function contentOf(canvas: Canvas): Uint8Array {
  const out = new Uint8Array(width * height * 3);
  canvas.end(out);
  return out;
}

describe("operations", () => {
  const cases = file.names.filter((name) => name.includes("|"));

  for (const name of cases) {
    test(`${name} equals Pillow's, to the bit`, () => {
      const [picture = "", ...parts] = name.split("|");
      const canvas = canvasOf(picture);
      const random = new Random(keyFromSeed(0));
      for (const part of parts) {
        const [operation = "", argument] = part.split(" ");
        operations[operation as OperationName].apply(canvas, Number(argument), { fill, random });
      }
      assert.deepEqual(contentOf(canvas), bytes(name));
    });
  }

  test("all have a case, cutout apart, which has its own", () => {
    const tried = new Set(
      cases.flatMap((name) => name.split("|").slice(1)).map((part) => part.split(" ")[0]),
    );
    assert.deepEqual(
      Object.keys(operations).filter((name) => !tried.has(name)),
      ["cutout"],
    );
  });

  test("posterize to no bits is black, as big_vision's", () => {
    const canvas = canvasOf("wide");
    operations.posterize.apply(canvas, 0, { fill, random: new Random(keyFromSeed(0)) });
    assert.ok(contentOf(canvas).every((x) => x === 0));
  });

  test("cutSquare fills what big_vision's cutout does", () => {
    for (const name of file.names.filter((each) => each.startsWith("cutout."))) {
      const [, x, y, reach] = name.split(".").map(Number);
      const canvas = canvasOf("wide");
      cutSquare(canvas, x!, y!, reach!, fill);
      assert.deepEqual(contentOf(canvas), bytes(name), name);
    }
  });

  test("cutout's places cover the image, and follow the key alone", () => {
    const centres = new Set<string>();
    const cut = (seed: number): Uint8Array => {
      const canvas = canvasOf("wide");
      operations.cutout.apply(canvas, 3, { fill, random: new Random(keyFromSeed(seed)) });
      return contentOf(canvas);
    };
    for (let seed = 0; seed < 40; seed++) centres.add(Buffer.from(cut(seed)).toString("base64"));
    assert.ok(centres.size > 35);
    assert.deepEqual(cut(5), cut(5));
  });
});

describe("warp", () => {
  const pulls = Float64Array.from(floats("warp.pulls"));

  test("follows SciPy's thin-plate spline", () => {
    const displacement = splineOf(width, height, pulls);
    const places = floats("warp.places");
    const expected = floats("warp.displacements");
    const found = new Float64Array(2);
    for (let i = 0; i < places.length; i += 2) {
      displacement(places[i]!, places[i + 1]!, found);
      assert.ok(Math.abs(found[0]! - expected[i]!) < 1e-5, `${found[0]} ${expected[i]}`); // stored as f32
      assert.ok(Math.abs(found[1]! - expected[i + 1]!) < 1e-5);
    }
  });

  test("draws what sparse_image_warp does, but for its mesh of every fourth pixel", () => {
    const canvas = canvasOf("wide");
    warp(canvas, pulls);
    const [found, expected, before] = [contentOf(canvas), bytes("warp.image"), bytes("input.wide")];
    const distance = (a: Uint8Array, b: Uint8Array): number =>
      a.reduce((sum, x, i) => sum + Math.abs(x - b[i]!), 0) / a.length;
    const own = distance(found, expected);
    assert.ok(own < 0.05 * distance(before, expected), `${own} of ${distance(before, expected)}`);
  });

  test("leaves an image that nothing pulls", () => {
    const canvas = canvasOf("wide");
    warp(canvas, new Float64Array(8));
    assert.deepEqual(contentOf(canvas), bytes("input.wide"));
  });
});
