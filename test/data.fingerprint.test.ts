import assert from "node:assert/strict";
import { cpSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { changeOfData, fingerprintOf, openDataset, subset } from "../src/data/index.js";
import { pngOf, put, scratchFolder, tarOf } from "./data.helpers.js";
import { fixture } from "./support/fixture.js";

const folder = scratchFolder();
const cacheDir = join(folder, "cache");
const of = async (name: string) => fingerprintOf(await openDataset(join(folder, name), { cacheDir }));
const images = await Promise.all([0, 1, 2, 3].map((i) => pngOf(i)));

function write(name: string, captions: readonly string[]): void {
  for (const [i, caption] of captions.entries()) {
    put(folder, `${name}/${i}.png`, images[i]!);
    put(folder, `${name}/${i}.txt`, caption);
  }
}
const words = ["one", "two", "three", "four"];

describe("fingerprintOf", () => {
  test("is the same for the same data, moved or copied; only the times tell", async () => {
    write("a", words);
    cpSync(join(folder, "a"), join(folder, "b"), { recursive: true });
    for (const i of words.keys()) utimesSync(join(folder, `b/${i}.png`), 1000, 1000 + i);
    const [before, now] = [await of("a"), await of("b")];
    assert.deepEqual(await of("a"), before);
    assert.deepEqual(JSON.parse(JSON.stringify(before)), before);
    assert.deepEqual(changeOfData(before, before), { changed: [], touched: false });
    assert.deepEqual(changeOfData(before, now), { changed: [], touched: true });
  });

  test("tells other captions, labels, images and counts", async () => {
    write("c", words);
    const before = await of("c");
    put(folder, "c/2.txt", "THREE");
    assert.deepEqual(changeOfData(before, await of("c")).changed, ["other captions or labels"]);
    write("c", words);
    put(folder, "c/3.png", images[0]!);
    assert.match(changeOfData(before, await of("c")).changed.join(), /other sizes|other images/);
    const same = Buffer.from(images[3]!);
    same[same.length - 20]! ^= 1;
    put(folder, "c/3.png", same);
    assert.deepEqual(changeOfData(before, await of("c")).changed, ["other images"]);
    const dataset = await openDataset(join(folder, "c"));
    const part = fingerprintOf(subset(dataset, [0, 2]));
    assert.deepEqual(changeOfData(before, part).changed, ["2 samples, was 4"]);
  });

  test("tells a tar replaced by one of the same captions", async () => {
    const tar = (order: readonly number[]) =>
      tarOf(
        words.flatMap((text, i) => [[`${i}.png`, images[order[i]!]!] as const, [`${i}.txt`, text] as const]),
      );
    put(folder, "t.tar", tar([0, 1, 2, 3]));
    const before = await of("t.tar");
    put(folder, "t.tar", tar([0, 1, 3, 2]));
    const { changed } = changeOfData(before, await of("t.tar"));
    assert.match(changed.join(), /other sizes|other images/);
  });

  test("of Parquet does not hang on when the cache was made", async () => {
    const path = fixture("data/struct.parquet");
    const one = fingerprintOf(await openDataset(path, { cacheDir: join(folder, "cache1") }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(fingerprintOf(await openDataset(path, { cacheDir: join(folder, "cache2") })), one);
  });
});
