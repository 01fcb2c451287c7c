import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { evaluationPipeline, preprocessImage } from "../src/data/index.js";
import { decodeBmp } from "../src/data/pixels/read/bmp.js";
import { decodeImage } from "../src/data/pixels/read/decode.js";
import type { Reading } from "../src/data/pixels/read/reading.js";

interface Pixels {
  width: number;
  height: number;
  rgb: string;
}

interface Picture extends Partial<Pixels> {
  bytes: string;
  mode?: string;
  white?: string;
  turned?: Pixels;
  square?: string;
  error?: string;
}

// Made by test/fixtures/data/pictures.py with Pillow.
const pictures: Record<string, Picture> = JSON.parse(
  readFileSync(new URL("../../test/fixtures/data/pictures.json", import.meta.url), "utf8"),
);
const decoded = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

/** Read by Pillow and not here, or otherwise, on purpose; docs/data.md has the list. */
const unread: Record<string, RegExp> = {
  "lab.tif": /bad labq format/,
  "picture.ico": /its format, icon \(ICO\), is not read\. Convert it/,
  "picture.jp2": /its format, JPEG 2000, is not read\. Convert it/,
};
/** Pillow cuts sixteen bits of grey off at 255; here the upper eight are taken, as Pillow does in colour. */
const otherwise = ["grey-16.png"];

const like = (
  transparency: Reading["transparency"],
  orientation: Reading["orientation"] = "stored",
): Reading => ({
  transparency,
  orientation,
});

/** Red, green and blue of pixels that may have alpha. */
const colorsOf = ({ data, channels }: { data: Uint8Array; channels: number }): Uint8Array =>
  channels === 3 ? data : data.filter((_, i) => i % 4 !== 3);

describe("decodeImage", () => {
  for (const [name, picture] of Object.entries(pictures)) {
    const bytes = decoded(picture.bytes);
    if (picture.error !== undefined || name in unread) {
      test(`refuses ${name} in one line`, async () => {
        await assert.rejects(decodeImage(bytes, like("pillow")), (error: Error) => {
          assert.ok(error instanceof UsageError);
          assert.match(
            error.message,
            unread[name] ?? /^image: (cannot be decoded \(.+\)|its format, .+, is not read\. .+)\.$/,
          );
          assert.doesNotMatch(error.message, /\n/);
          return true;
        });
      });
      continue;
    }
    if (otherwise.includes(name)) continue;
    test(`reads ${name}, ${picture.mode}, as Pillow`, async () => {
      const plain = await decodeImage(bytes, like("pillow"));
      assert.deepEqual([plain.width, plain.height], [picture.width, picture.height]);
      assert.deepEqual(colorsOf(plain), decoded(picture.rgb!));
      const white = await decodeImage(bytes, like([255, 255, 255]));
      assert.deepEqual(white.data, decoded(picture.white ?? picture.rgb!));
      if (picture.turned !== undefined) {
        const turned = await decodeImage(bytes, like("pillow", "exif"));
        assert.deepEqual([turned.width, turned.height], [picture.turned.width, picture.turned.height]);
        assert.deepEqual(turned.data, decoded(picture.turned.rgb));
      }
      // CMYK is turned to RGB before the resize, Pillow does it after: one rounding apart.
      if (picture.square === undefined || picture.mode === "CMYK") return;
      const square = await preprocessImage(bytes, evaluationPipeline(8, { transparency: "pillow" }));
      assert.deepEqual(square, decoded(picture.square));
    });
  }

  test("takes the upper eight of sixteen bits of grey", async () => {
    const { data } = await decodeImage(decoded(pictures["grey-16.png"]!.bytes), like("pillow"));
    assert.deepEqual([...data.subarray(0, 9)], [0, 0, 0, 19, 19, 19, 39, 39, 39]);
  });

  test("names formats that are not read", async () => {
    const heads: Record<string, string> = {
      HEIC: "\0\0\0\x18ftypheic\0\0\0\0mif1heic",
      "JPEG XL": "\xff\x0a\0\0",
      "raw photograph \\(CR2\\)": "II*\0\x10\0\0\0CR\x02\0",
      "web page": "<html><body>",
    };
    for (const [name, head] of Object.entries(heads)) {
      await assert.rejects(
        decodeImage(Buffer.from(head, "latin1"), like("pillow")),
        new RegExp(`image: its format, ${name}, is not read. Convert it to JPEG or PNG.`),
      );
    }
  });
});

describe("decodeBmp", () => {
  const rgb = decoded(pictures["rgb.bmp"]!.bytes);
  const with32 = (at: number, value: number): Uint8Array => {
    const bytes = rgb.slice();
    new DataView(bytes.buffer).setInt32(at, value, true);
    return bytes;
  };

  test("refuses sizes and kinds that cannot be before it takes memory", () => {
    assert.throws(() => decodeBmp(with32(18, 2 ** 30), 1e8), /exceeds pixel limit/);
    assert.throws(() => decodeBmp(with32(18, -3), 1e8), /-3 × 9 pixels/);
    assert.throws(() => decodeBmp(with32(30, 4), 1e8), /24 bits with compression 4 is not read/);
    assert.throws(() => decodeBmp(with32(14, 41), 1e8), /header of 41 bytes/);
  });

  test("moves within runs: what is passed over is place 0", () => {
    const runs = decoded(pictures["rle-8.bmp"]!.bytes);
    const start = new DataView(runs.buffer).getUint32(10, true);
    const moved = Uint8Array.from([...runs.subarray(0, start), 0, 2, 2, 8, 3, 7, 0, 1]);
    const { data, width } = decodeBmp(moved, 1e8);
    const at = (x: number): number[] => [...data.subarray(x * 3, x * 3 + 3)];
    const of = (place: number): number[] => [...runs.subarray(54 + place * 4, 57 + place * 4)].reverse();
    assert.deepEqual([at(1), at(2), at(4), at(5)], [of(0), of(7), of(7), of(0)]);
    assert.equal(data.length, width * 9 * 3);
  });
});
