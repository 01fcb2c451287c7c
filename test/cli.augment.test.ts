import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import sharp from "sharp";
import { commands } from "../src/cli/commands.js";
import { foldIn, keyFromSeed } from "../src/core/random.js";
import { trainingPipeline } from "../src/data/index.js";
import { viewKey } from "../src/data/loading/chance.js";
import { drawImage, keepImage } from "../src/data/pixels/pipeline.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";

const folder = scratchFolder();
for (let i = 0; i < 5; i++) {
  put(folder, `images/${i}.png`, await pngOf(i, 50 + 7 * i, 40));
  put(folder, `images/${i}.txt`, `number <${i}> & "more"`);
}
const source = join(folder, "images");

const run = (...words: string[]) => runWords(commands, ["augment", ...words]);

const pixelsOf = async (path: string): Promise<{ data: Buffer; width: number; height: number }> => {
  const { data, info } = await sharp(readFileSync(path))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
};

describe("clipwright augment", () => {
  test("draws what the first epochs of a training see, beside the original", async () => {
    const path = join(folder, "sheet.png");
    const { code, out, err } = await run(
      source,
      "--policy",
      "randaugment",
      "--count",
      "2",
      "--views",
      "3",
      "--size",
      "32",
      "--seed",
      "9",
      "--out",
      path,
    );
    assert.deepEqual([code, out, err], [0, `${path}\n`, ""]);
    const sheet = await pixelsOf(path);
    assert.equal(sheet.width, 2 * 36 + 4 * 32 + 3 * 14);
    // Each view is found in the sheet, corners apart, in its column.
    const pipeline = trainingPipeline(32, { policy: "randaugment" });
    for (const index of [0, 2]) {
      const kept = await keepImage(readFileSync(join(source, `${index}.png`)), pipeline);
      for (let pass = 0; pass < 3; pass++) {
        const view = new Uint8Array(32 * 32 * 3);
        drawImage(kept, pipeline, viewKey(foldIn(keyFromSeed(9), "augment"), index, pass, 0), view);
        const left = 36 + (pass + 1) * 46;
        const middle = view.subarray((16 * 32 + 4) * 3, (16 * 32 + 28) * 3);
        const rows = Array.from({ length: sheet.height }, (_, y) => {
          const at = (y * sheet.width + left + 4) * 3;
          return sheet.data.subarray(at, at + middle.length);
        });
        assert.ok(
          rows.some((row) => row.equals(middle)),
          `image ${index}, epoch ${pass + 1}`,
        );
      }
    }
  });

  test("shows each operation by itself", async () => {
    const path = join(folder, "operations.png");
    const { code } = await run(
      source,
      "--policy",
      "randaugment-16:2,5",
      "--operations",
      "--size",
      "24",
      "--out",
      path,
    );
    assert.equal(code, 0);
    // The image, eleven operations of one sign and five of two: 22 tiles in rows of six.
    const { width, height } = await pixelsOf(path);
    assert.equal(width, 2 * 36 + 6 * 24 + 5 * 14);
    assert.ok(height > 4 * (24 + 16));
  });

  test("names an image that cannot be read", async () => {
    put(folder, "broken/first.png", "not an image");
    put(folder, "broken/first.txt", "words");
    const { code, err } = await run(join(folder, "broken"), "--out", join(folder, "broken.png"));
    assert.equal(code, 1);
    assert.match(err, /^clipwright: first: image: cannot be decoded/);
  });

  test("tells in one line what is wrong", async () => {
    const path = join(folder, "none.png");
    const cases: [string[], RegExp][] = [
      [
        ["--policy", "randagment"],
        /^clipwright: --policy: there is no such policy; got "randagment"\. Did you mean "randaugment"/,
      ],
      [["--policy", "randaugment:99"], /N of randaugment:N,M is a whole number/],
      [["--policy", "crop-flip", "--operations"], /only crops and mirrors/],
      [["--out", join(folder, "sheet.jpg")], /the sheet is a PNG/],
      [["--out", join(folder, "no/such/folder.png")], /no\/such/],
    ];
    for (const [words, message] of cases) {
      const { code, err } = await run(source, ...(words.includes("--out") ? [] : ["--out", path]), ...words);
      assert.equal(code, words.at(-1)!.includes("no/such") ? 1 : 2);
      assert.match(err, message);
      assert.equal(err.trim().split("\n").length, 1);
    }
    assert.ok(!existsSync(path));
  });
});
