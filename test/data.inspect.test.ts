import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import {
  duplicateGroups,
  type Examined,
  examineImages,
  formatInspection,
  inspectDataset,
  openDataset,
  splitByImage,
} from "../src/data/index.js";
import { picture, pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const words = ["a cat", "a very small dog on a mat", "one"];
for (let i = 0; i < 12; i++) {
  put(folder, `mixed/${String(i).padStart(2, "0")}.png`, await pngOf(i, 60, 48));
  put(folder, `mixed/${String(i).padStart(2, "0")}.txt`, words[i % 3]!);
}
put(folder, "mixed/20.png", (await pngOf(1)).subarray(0, 200));
put(folder, "mixed/20.txt", "cut short");
put(folder, "mixed/21.png", await pngOf(21));
put(folder, "mixed/21.txt", "\n");
put(folder, "mixed/22.png", await pngOf(22, 30, 6));
put(folder, "mixed/22.txt", "tiny");
put(folder, "mixed/23.png", await pngOf(4, 60, 48));
put(folder, "mixed/23.txt", "the fourth again");
put(folder, "mixed/24.jpg", await picture(5, 60, 48).jpeg({ quality: 60 }).toBuffer());
put(folder, "mixed/24.txt", "the fifth, encoded anew");
put(folder, "mixed/25.webp", await picture(6, 120, 96).webp().toBuffer());
put(folder, "mixed/25.txt", "the sixth, larger");
const mixed = await openDataset(join(folder, "mixed"));

describe("inspectDataset", async () => {
  const report = await inspectDataset(mixed, { workers: 2 });

  test("counts what it would drop, with keys and reasons", () => {
    assert.deepEqual(report.dropCounts, {
      "unreadable image": 1,
      "empty caption": 1,
      "too small": 1,
      duplicate: 1,
    });
    assert.deepEqual(
      report.drops.map(({ key, reason }) => [key, reason]),
      [
        ["20", "unreadable image"],
        ["21", "empty caption"],
        ["22", "too small"],
        ["23", "duplicate"],
      ],
    );
    assert.equal(report.drops[2]!.detail, "30×6");
    assert.equal(report.drops[3]!.detail, "same bytes as 04");
    assert.equal(report.usable, report.samples - 4);
  });

  test("finds near duplicates over formats and sizes", () => {
    assert.deepEqual(report.nearDuplicates, [
      ["05", "24"],
      ["06", "25"],
    ]);
  });

  test("measures captions and images", () => {
    assert.equal(report.captions, 17);
    assert.equal(report.captionWords.min, 1);
    assert.equal(report.captionWords.max, 7);
    assert.equal(
      report.captionWords.histogram.reduce((n, bin) => n + bin.count, 0),
      17,
    );
    assert.deepEqual(
      report.captionWords.histogram.map(({ from, to }) => [from, to]),
      [
        [0, 4],
        [4, 8],
      ],
    );
    assert.deepEqual(
      [report.width.min, report.width.max, report.height.min, report.height.max],
      [30, 120, 6, 96],
    );
    assert.deepEqual(report.formats, { png: 15, jpeg: 1, webp: 1 });
    assert.equal(report.captionsPerImage.min, 0);
    assert.equal(report.examples.length, 5);
    assert.equal(report.examples[0]!.width, 60);
  });

  test("reads well in a terminal", () => {
    const text = formatInspection(report);
    for (const part of [
      "mixed: 18 images, 17 captions, 14 usable",
      "Understood as image-text folder",
      "Would be dropped: 4",
      "1 × unreadable image",
      "23: same bytes as 04",
      "05 ~ 24",
    ]) {
      assert.ok(text.includes(part), `${part} in:\n${text}`);
    }
    assert.ok(text.split("\n").every((line) => line.length <= 100 + folder.length));
  });
});

describe("splitByImage", () => {
  const key = (i: number, d = mixed): string => d.sample(i).key;
  const keys = (d: typeof mixed): string[] => Array.from({ length: d.length }, (_, i) => key(i, d));

  test("keeps exact and near duplicates on one side, whatever the key", async () => {
    for (const name of ["a", "b", "c", "d"]) {
      const { train, heldOut, duplicates } = await splitByImage(mixed, {
        fraction: 0.4,
        key: name,
        workers: 1,
      });
      assert.equal(train.length + heldOut.length, mixed.length);
      assert.equal(heldOut.length, 7);
      assert.equal(duplicates, 6);
      const held = new Set(keys(heldOut));
      for (const [one, other] of [
        ["04", "23"],
        ["05", "24"],
        ["06", "25"],
      ]) {
        assert.equal(held.has(one!), held.has(other!), `${one} and ${other} with key ${name}`);
      }
      assert.deepEqual(
        await heldOut.readBytes(0),
        await mixed.readBytes(keys(mixed).indexOf(key(0, heldOut))),
      );
    }
  });

  test("depends on key and contents, not on names or order", async () => {
    const rows = Array.from(
      { length: 12 },
      (_, i) => `mixed/${String(11 - i).padStart(2, "0")}.png,text ${11 - i}`,
    );
    const table = await openDataset(put(folder, "reversed.csv", `image,caption\n${rows.join("\n")}\n`));
    const first = await openDataset(
      put(folder, "forward.csv", `image,caption\n${[...rows].reverse().join("\n")}\n`),
    );
    const one = await splitByImage(first, { count: 4, workers: 1 });
    const other = await splitByImage(table, { count: 4, workers: 1 });
    assert.deepEqual(keys(one.heldOut).sort(), keys(other.heldOut).sort());
    const different = await splitByImage(first, { count: 4, key: "another", workers: 1 });
    assert.notDeepEqual(keys(different.heldOut), keys(one.heldOut));
  });

  test("refuses a share that leaves a side empty", async () => {
    await assert.rejects(
      splitByImage(mixed, { fraction: 1 }),
      /holds out 1 … 17 of 18 samples; got fraction=1/,
    );
    await assert.rejects(splitByImage(mixed, {}), /takes either fraction or count/);
  });
});

test("duplicateGroups finds the same groups as comparing all pairs", async () => {
  for (let i = 0; i < 30; i++) {
    put(folder, `pairs/${i}.png`, await pngOf(100 + (i % 20), 50, 50));
    put(folder, `pairs/${i}.txt`, "x");
  }
  const examined = await examineImages(await openDataset(join(folder, "pairs")), { workers: 1 });
  const groups = duplicateGroups(examined);
  assert.equal(groups.length, 10);
  assert.ok(groups.every(({ kind, indices }) => kind === "exact" && indices.length === 2));
});

test("duplicateGroups takes no time in the square of pictures that look the same", () => {
  const random = new Random(keyFromSeed(3));
  const look = (index: number, colour: readonly number[]): Examined => ({
    index,
    sizeBytes: 1,
    sha256: String(index),
    picture: {
      width: 8,
      height: 8,
      format: "png",
      hash: [0, 0],
      miniature: Uint8Array.from({ length: 192 }, (_, i) => colour[i % 3]!),
    },
  });
  const white = Array.from({ length: 50_000 }, (_, i) => look(i, [255, 255, 255]));
  const plain = Array.from({ length: 5_000 }, (_, i) =>
    look(50_000 + i, [random.integer(250), random.integer(250), random.integer(250)]),
  );
  const start = performance.now();
  const groups = duplicateGroups([...white, ...plain]);
  assert.ok(performance.now() - start < 60_000, "all pairs would take many minutes");
  assert.equal(groups[0]!.indices.length, 50_000);
  assert.equal(groups[0]!.kind, "near");
});
