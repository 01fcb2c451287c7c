import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  concatDatasets,
  createLoader,
  type Dataset,
  evaluationPipeline,
  openDataset,
  subset,
  trainingPipeline,
} from "../src/data/index.js";
import { evaluationBatches } from "../src/data/loading/evaluation.js";
import {
  openPackedImages,
  type PackedOptions,
  packedFolder,
  packedInCache,
} from "../src/data/loading/packed/open.js";
import { PackedReader } from "../src/data/loading/packed/reader.js";
import { findRows } from "../src/data/loading/packed/rows.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

/** An image of one value, of odd sizes. */
const plain = (width: number, value: number) => ({
  width,
  height: 3,
  channels: 3,
  data: new Uint8Array(width * 9).fill(value),
});
const MANY = 2 ** 20;
/** What a plain image takes: a block of header, two of pixels, and 28 bytes in the index. */
const TAKES = 3 * 64 + 28;

const pipeline = trainingPipeline(16, { keepSize: 24, policy: "randaugment" });

/** A data set of `count` pictures, those of the seeds from `from` on; `root` is where its images are to be kept. */
async function pictures(count: number, from = 0): Promise<{ data: string; root: string; dataset: Dataset }> {
  const folder = scratchFolder();
  for (let i = 0; i < count; i++) {
    put(folder, `data/${i}.png`, await pngOf(from + i));
    put(folder, `data/${i}.txt`, `picture ${from + i}`);
  }
  const data = join(folder, "data");
  return { data, root: join(folder, "packed"), dataset: await openDataset(data) };
}

/** One worker's view of the kept images of a data set. */
const readerOf = ({ images }: Dataset, root: string, limitBytes = MANY, writer = 0): PackedReader =>
  new PackedReader(openPackedImages(images, pipeline, { root, limitBytes }), images, writer);

/** Keeps the image as a worker does. */
const keep = (reader: PackedReader, index: number, value: number): void =>
  reader.put(index, plain(10 + (index % 4), value), reader.fileStamp(index));

/** Of each image of a data set the value that is kept of it. */
const valuesIn = (dataset: Dataset, root: string): (number | undefined)[] => {
  const reader = readerOf(dataset, root);
  return Array.from({ length: dataset.length }, (_, i) => reader.get(i)?.data[0]);
};

/** The only file below `root` with this ending. */
function onlyFile(root: string, ending: string): string {
  const [name, ...others] = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(ending),
  );
  assert.equal(others.length, 0);
  return join(root, name!);
}

/** Images 0 … 3 written by one worker, of the values 1 … 4. */
async function written(): Promise<{ root: string; dataset: Dataset; data: string }> {
  const made = await pictures(4);
  const reader = readerOf(made.dataset, made.root);
  for (let i = 0; i < 4; i++) keep(reader, i, i + 1);
  return made;
}

describe("PackedReader", () => {
  test("reads what it and others have written, then and later", async () => {
    const { dataset, root } = await pictures(3);
    const images = openPackedImages(dataset.images, pipeline, { root, limitBytes: MANY });
    const [one, two] = [0, 1].map((writer) => new PackedReader(images, dataset.images, writer));
    keep(one!, 0, 1);
    keep(two!, 1, 2);
    keep(two!, 0, 9);
    for (const reader of [one!, two!, readerOf(dataset, root)]) {
      assert.deepEqual(reader.get(0), plain(10, 1));
      assert.deepEqual(reader.get(1), plain(11, 2));
      assert.equal(reader.get(2), undefined);
    }
  });

  test("passes over a record that a killed writer left unfinished, and writes it again", async () => {
    const { dataset, root } = await written();
    for (const ending of [".pixels", ".index"]) {
      const path = onlyFile(root, ending);
      const bytes = readFileSync(path);
      truncateSync(path, bytes.length - 1);
      assert.deepEqual(valuesIn(dataset, root), [1, 2, 3, undefined], ending);
      writeFileSync(path, bytes);
    }
    truncateSync(onlyFile(root, ".pixels"), 1);
    keep(readerOf(dataset, root), 3, 4);
    assert.deepEqual(valuesIn(dataset, root), [undefined, undefined, undefined, 4]);
  });

  test("gives no pixels whose sum does not fit, and trusts no header that is damaged", async () => {
    const { dataset, root } = await written();
    const damaged = (ending: string, position: number): (number | undefined)[] => {
      const path = onlyFile(root, ending);
      const bytes = readFileSync(path);
      const copy = Buffer.from(bytes);
      copy[position]! ^= 1;
      writeFileSync(path, copy);
      const values = valuesIn(dataset, root);
      writeFileSync(path, bytes);
      return values;
    };
    assert.deepEqual(damaged(".pixels", 64 + 5), [undefined, 2, 3, 4]);
    assert.deepEqual(damaged(".pixels", 8), [undefined, 2, 3, 4]);
    assert.deepEqual(damaged(".index", 28 + 8), [1, undefined, undefined, undefined]);
  });

  test("gives none of a file that was written again, or is gone, since it was kept", async () => {
    const { dataset, root, data } = await written();
    const images = openPackedImages(dataset.images, pipeline, { root, limitBytes: MANY });
    utimesSync(join(data, "1.png"), 1, 1);
    rmSync(join(data, "2.png"));
    const reader = new PackedReader(images, dataset.images, 0);
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => reader.get(i)?.data[0]),
      [1, undefined, undefined, 4],
    );
  });

  test("does without parts that are deleted meanwhile", async () => {
    const { dataset, root } = await written();
    const images = openPackedImages(dataset.images, pipeline, { root, limitBytes: MANY });
    rmSync(root, { recursive: true });
    const reader = new PackedReader(images, dataset.images, 0);
    assert.equal(reader.get(0), undefined);
    keep(reader, 0, 1);
    assert.equal(existsSync(root), false);
  });
});

describe("the limit of kept images", () => {
  /** Makes a folder of another set of `bytes`, last used `minutes` ago. */
  function other(root: string, name: string, bytes: number, minutes: number): void {
    mkdirSync(join(root, name), { recursive: true });
    const path = join(root, name, "x.pixels");
    writeFileSync(path, new Uint8Array(bytes));
    const then = Date.now() / 1000 - 60 * minutes;
    utimesSync(path, then, then);
  }
  /** Bytes of what a data set's folder has besides images. */
  const aboutBytes = ({ images }: Dataset, root: string): number =>
    statSync(join(packedFolder(root, images, pipeline), "about.json")).size;

  test("holds for what other runs left, too", async () => {
    const { dataset, root } = await pictures(3);
    readerOf(dataset, root);
    const limit = aboutBytes(dataset, root) + 2 * TAKES - 1;
    keep(readerOf(dataset, root, limit), 0, 1);
    const later = readerOf(dataset, root, limit);
    keep(later, 1, 2);
    assert.deepEqual(valuesIn(dataset, root), [1, undefined, undefined]);
    keep(readerOf(dataset, root, limit + 1), 1, 2);
    assert.deepEqual(valuesIn(dataset, root), [1, 2, undefined]);
  });

  test("makes the longest unused sets go, and none that was used lately", async () => {
    const { dataset, root } = await pictures(3);
    other(root, "oldest", 10_000, 300);
    other(root, "old", 10_000, 200);
    other(root, "lately", 10_000, 5);
    const there = () => ["oldest", "old", "lately"].filter((name) => existsSync(join(root, name)));
    const reader = readerOf(dataset, root, 31_000);
    assert.deepEqual(there(), ["oldest", "old", "lately"]);
    const big = { width: 40, height: 40, channels: 3, data: new Uint8Array(4800).fill(7) };
    reader.put(0, big, reader.fileStamp(0));
    assert.deepEqual(there(), ["old", "lately"]);
    readerOf(dataset, root, 20_000);
    assert.deepEqual(there(), ["lately"]);
    const full = readerOf(dataset, root, 10_000);
    keep(full, 1, 1);
    assert.deepEqual(there(), ["lately"]);
    assert.deepEqual(valuesIn(dataset, root), [7, undefined, undefined]);
  });

  test("is in MiB of the cache folder, and 0 keeps none", () => {
    assert.equal(packedInCache(0), undefined);
    assert.equal(packedInCache(undefined), undefined);
    assert.equal(packedInCache(2)?.limitBytes, 2 ** 21);
  });
});

describe("kept images of parts of the data", () => {
  test("are found by the whole and by every other part, in any order, and however often", async () => {
    const { dataset, root } = await pictures(6);
    const part = readerOf(subset(dataset, [1, 3, 4]), root);
    for (let k = 0; k < 3; k++) keep(part, k, 10 + [1, 3, 4][k]!);
    assert.deepEqual(valuesIn(dataset, root), [undefined, 11, undefined, 13, 14, undefined]);
    const repeated = subset(dataset, [5, 4, 4, 0, 5, 1]);
    assert.deepEqual(valuesIn(repeated, root), [undefined, 14, 14, undefined, undefined, 11]);
    keep(readerOf(repeated, root), 4, 15);
    assert.deepEqual(valuesIn(repeated, root), [15, 14, 14, undefined, 15, 11]);
    assert.deepEqual(valuesIn(subset(subset(dataset, [5, 4, 0]), [1, 0]), root), [14, 15]);
    assert.equal(readdirSync(root).length, 1);
  });

  test("of several sources lie with each of them, whatever they are joined with", async () => {
    const { dataset: first, root } = await pictures(3);
    const { dataset: second } = await pictures(4, 100);
    const both = concatDatasets([subset(second, [3, 1]), first], [1, 2]);
    const reader = readerOf(both, root);
    for (let k = 0; k < 5; k++) keep(reader, k, k + 1);
    assert.deepEqual(valuesIn(first, root), [3, 4, 5]);
    assert.deepEqual(valuesIn(second, root), [undefined, 2, undefined, 1]);
    assert.deepEqual(valuesIn(subset(concatDatasets([first, second]), [1, 2, 4]), root), [4, 5, 2]);
    const parts = concatDatasets([subset(second, [1, 2]), first, subset(second, [3, 3])]);
    assert.deepEqual(valuesIn(parts, root), [2, undefined, 3, 4, 5, 1, 1]);
    assert.equal(readdirSync(root).length, 2);
  });

  test("of a source that is there twice are kept once", async () => {
    const { data, root } = await pictures(3);
    const twice = await openDataset(`${data}::${data}`);
    keep(readerOf(twice, root), 4, 9);
    assert.deepEqual(valuesIn(twice, root), [undefined, 9, undefined, undefined, 9, undefined]);
    assert.equal(readdirSync(root).length, 1);
  });

  test("are found by rows that do not ascend as by those that do", () => {
    const rows = Uint32Array.from({ length: 500 }, (_, i) => (i * 37) % 251);
    const { find, firsts } = findRows(rows.length, rows);
    for (let row = 0; row < 260; row++) {
      const first = rows.indexOf(row);
      assert.equal(find(row), first < 0 ? undefined : first);
    }
    assert.deepEqual(
      [...firsts!],
      [...rows].map((row) => rows.indexOf(row)),
    );
    const ascending = findRows(3, Uint32Array.of(2, 5, 9));
    assert.deepEqual([ascending.firsts, ascending.find(5), ascending.find(6)], [undefined, 1, undefined]);
  });
});

describe("a loader that packs", () => {
  const options = { seed: 3, batchSize: 4, workers: 1, memoryLimitBytes: 0 };

  test("gives the same batches as one that decodes, of the whole and of parts, at first and later", async () => {
    const { dataset, root } = await pictures(6);
    const packed: PackedOptions = { root, limitBytes: MANY };
    const batchesOf = async (of: Dataset, more: object): Promise<Uint8Array[]> => {
      await using loader = createLoader({ dataset: of, pipeline, ...options, ...more });
      const batches: Uint8Array[] = [];
      for (let step = 0; step < 4; step++) batches.push((await loader.batch(step)).images.slice());
      return batches;
    };
    const part = subset(dataset, [0, 2, 5, 5]);
    const [ofPart, ofWhole] = [await batchesOf(part, {}), await batchesOf(dataset, {})];
    assert.deepEqual(await batchesOf(part, { packed }), ofPart);
    assert.deepEqual(await batchesOf(dataset, { packed }), ofWhole);
    assert.deepEqual(await batchesOf(part, { packed }), ofPart);
    const reader = readerOf(dataset, root);
    for (let i = 0; i < 6; i++) assert.deepEqual([reader.get(i)?.height, reader.get(i)?.width], [24, 32]);
    const record = (1 + Math.ceil((24 * 32 * 3) / 64)) * 64;
    const sizes = readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".pixels"))
      .map((name) => statSync(join(root, name)).size);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      6 * record,
      "each picture once",
    );
  });

  test("looks elsewhere once the sources or the preparation are others", async () => {
    const { dataset, data } = await pictures(1);
    const first = packedFolder("root", dataset.images, pipeline);
    const of = (more: object) => packedFolder("root", dataset.images, { ...pipeline, ...more });
    assert.equal(of({ size: 8 }), first);
    assert.notEqual(of({ keepSize: 20 }), first);
    assert.notEqual(of({ resize: "squash" }), first);
    const seen = packedFolder("root", dataset.images, evaluationPipeline(16));
    assert.notEqual(packedFolder("root", dataset.images, evaluationPipeline(24)), seen);
    assert.notEqual(of({ keepSize: 16, augmentation: undefined }), first);
    utimesSync(join(data, "0.png"), 1, 1);
    assert.notEqual(packedFolder("root", dataset.images, pipeline), first);
  });

  test("wants a size to keep images at", async () => {
    const { dataset, root } = await pictures(1);
    const packed = { root, limitBytes: MANY };
    assert.throws(
      () => createLoader({ dataset, ...options, pipeline: trainingPipeline(16), packed }),
      /loader: packed keeps images of one size; got packed without keepSize/,
    );
  });
});

describe("evaluationBatches that packs", () => {
  test("gives the same images, decodes each once, and sees when a file changes", async () => {
    const { dataset, root, data } = await pictures(5);
    const imagesOf = async (of: Dataset, packed?: PackedOptions): Promise<number[]> => {
      const all: number[] = [];
      const batches = evaluationBatches(of, {
        batchSize: 2,
        workers: 2,
        pipeline: evaluationPipeline(16),
        packed,
      });
      for await (const { images } of batches) all.push(...images);
      return all;
    };
    const packed = { root, limitBytes: MANY };
    const decoded = await imagesOf(dataset);
    await imagesOf(subset(dataset, [1, 3]), packed);
    for (let times = 0; times < 2; times++) assert.deepEqual(await imagesOf(dataset, packed), decoded);
    const bytes = 5 * (64 + 16 * 16 * 3);
    const pixels = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".pixels"),
    );
    assert.equal(
      pixels.reduce((sum, name) => sum + statSync(join(root, name)).size, 0),
      bytes,
    );
    writeFileSync(join(data, "2.png"), await pngOf(77));
    const changed = await imagesOf(dataset, packed);
    assert.notDeepEqual(changed, decoded);
    assert.deepEqual(changed, await imagesOf(dataset));
  });
});
