import assert from "node:assert/strict";
import { readdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createLoader, openDataset, trainingPipeline } from "../src/data/index.js";
import { openPackedImages, PackedReader, packedFolder } from "../src/data/loading/packed.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

/** An image of one value, of odd sizes. */
const plain = (width: number, value: number) => ({
  width,
  height: 3,
  channels: 3,
  data: new Uint8Array(width * 9).fill(value),
});
const MANY = 2 ** 20;

/** Images 0 … 3 written by one writer, of the values 1 … 4. */
function written(folder: string): void {
  const reader = new PackedReader(openPackedImages(folder, 4, MANY, 1), 0);
  for (let i = 0; i < 4; i++) reader.put(i, plain(10 + i, i + 1));
}
const onlyPart = (folder: string): string => join(folder, readdirSync(folder)[0]!);
/** Of each of four images whether it is found. */
const found = (folder: string): boolean[] => {
  const reader = new PackedReader(openPackedImages(folder, 4, MANY, 1), 0);
  return [0, 1, 2, 3].map((i) => reader.get(i) !== undefined);
};

describe("PackedReader", () => {
  test("reads what it and others have written, then and later", () => {
    const folder = scratchFolder();
    const images = openPackedImages(folder, 4, MANY, 2);
    const [one, two] = [new PackedReader(images, 0), new PackedReader(images, 1)];
    one.put(0, plain(10, 1));
    two.put(1, plain(11, 2));
    two.put(0, plain(10, 9));
    for (const reader of [one, two, new PackedReader(openPackedImages(folder, 4, MANY, 1), 0)]) {
      assert.deepEqual(reader.get(0), plain(10, 1));
      assert.deepEqual(reader.get(1), plain(11, 2));
      assert.equal(reader.get(2), undefined);
    }
  });

  test("passes over a record that a killed writer left unfinished, and writes it again", () => {
    const folder = scratchFolder();
    written(folder);
    const size = readFileSync(onlyPart(folder)).length;
    truncateSync(onlyPart(folder), size - 1);
    assert.deepEqual(found(folder), [true, true, true, false]);
    new PackedReader(openPackedImages(folder, 4, MANY, 1), 0).put(3, plain(13, 4));
    assert.deepEqual(found(folder), [true, true, true, true]);
  });

  test("gives no pixels whose sum does not fit, and trusts no header that is damaged", () => {
    const folder = scratchFolder();
    written(folder);
    const bytes = readFileSync(onlyPart(folder));
    const damagedAt = (position: number): boolean[] => {
      const copy = Buffer.from(bytes);
      copy[position]! ^= 1;
      writeFileSync(onlyPart(folder), copy);
      return found(folder);
    };
    assert.deepEqual(damagedAt(64 + 5), [false, true, true, true]);
    assert.deepEqual(damagedAt(8), [false, false, false, false]);
  });

  test("writes no more than the limit, what other runs left counted", () => {
    const folder = scratchFolder();
    const open = () => new PackedReader(openPackedImages(folder, 4, 5 * 64, 1), 0);
    const reader = open();
    reader.put(0, plain(10, 1)); // a block of header, two of pixels
    reader.put(1, plain(10, 2));
    assert.deepEqual([reader.get(0)?.data[0], reader.get(1)], [1, undefined]);
    const later = open();
    later.put(1, plain(10, 2));
    assert.equal(later.get(1), undefined);
  });

  test("does without parts that are deleted meanwhile", () => {
    const folder = scratchFolder();
    written(folder);
    const images = openPackedImages(folder, 4, MANY, 1);
    truncateSync(onlyPart(folder), 0);
    assert.equal(new PackedReader(images, 0).get(0), undefined);
  });
});

describe("a loader that packs", () => {
  const options = { seed: 3, batchSize: 4, workers: 2, memoryLimitBytes: 0 };
  const pipeline = trainingPipeline(16, { keepSize: 24, policy: "randaugment" });

  test("gives the same batches as one that decodes, in the first pass, later ones, and other runs", async () => {
    const folder = scratchFolder();
    for (let i = 0; i < 6; i++) {
      put(folder, `data/${i}.png`, await pngOf(i));
      put(folder, `data/${i}.txt`, `picture ${i}`);
    }
    const dataset = await openDataset(join(folder, "data"));
    const packed = { root: join(folder, "packed"), limitBytes: MANY };
    const batchesOf = async (more: object): Promise<Uint8Array[]> => {
      await using loader = createLoader({ dataset, pipeline, ...options, ...more });
      const batches: Uint8Array[] = [];
      for (let step = 0; step < 4; step++) batches.push((await loader.batch(step)).images.slice());
      return batches;
    };
    const decoded = await batchesOf({});
    assert.deepEqual(await batchesOf({ packed }), decoded);
    const where = packedFolder(packed.root, dataset, pipeline);
    const reader = new PackedReader(openPackedImages(where, 6, MANY, 1), 0);
    for (let i = 0; i < 6; i++) assert.deepEqual([reader.get(i)?.height, reader.get(i)?.width], [24, 32]);
    assert.deepEqual(await batchesOf({ packed }), decoded);
  });

  test("looks elsewhere once the sources or the preparation are others", async () => {
    const folder = scratchFolder();
    const path = put(folder, "0.png", await pngOf(1));
    put(folder, "0.txt", "picture");
    const dataset = await openDataset(folder);
    const first = packedFolder("root", dataset, pipeline);
    assert.equal(packedFolder("root", dataset, { ...pipeline, size: 8 }), first);
    assert.notEqual(packedFolder("root", dataset, { ...pipeline, keepSize: 20 }), first);
    assert.notEqual(packedFolder("root", dataset, { ...pipeline, resize: "squash" }), first);
    utimesSync(path, 1, 1);
    assert.notEqual(packedFolder("root", dataset, pipeline), first);
  });

  test("wants a size to keep images at", async () => {
    const folder = scratchFolder();
    put(folder, "0.png", await pngOf(1));
    put(folder, "0.txt", "picture");
    const dataset = await openDataset(folder);
    const packed = { root: folder, limitBytes: MANY };
    assert.throws(
      () => createLoader({ dataset, ...options, pipeline: trainingPipeline(16), packed }),
      /loader: packed keeps images of one size; got packed without keepSize/,
    );
  });
});
