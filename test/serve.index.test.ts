import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import sharp from "sharp";
import { UsageError } from "../src/core/errors.js";
import { type Dataset, openDataset } from "../src/data/index.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { type LoadedModel, loadModel } from "../src/evaluate/model/load-model.js";
import { blockFolder } from "../src/serve/index/blocks.js";
import { type MakeIndexOptions, makeIndex } from "../src/serve/index/make.js";
import { modelOfIndex } from "../src/serve/index/model.js";
import { PictureIndex } from "../src/serve/index/open.js";
import { searchIndex } from "../src/serve/index/search.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { fixture } from "./support/fixture.js";

suite("makeIndex", () => {
  const folder = scratchFolder();
  const path = fixture("embed");

  async function withModel<T>(body: (model: LoadedModel) => Promise<T>, source = path): Promise<T> {
    await using engine = new OnnxRuntime({ threads: 1 });
    using model = await loadModel(engine, { path: source, workers: 1 });
    return await body(model);
  }

  const at = (name: string): string => join(folder, name);
  const openPictures = (name: string): Promise<Dataset> =>
    openDataset(at(name), { captionsOptional: true, onProgress: () => {} });

  async function pictures(name: string, numbers: Iterable<number>): Promise<void> {
    for (const i of numbers) put(folder, `${name}/${i % 2 ? "odd" : "even"}/${i}.png`, await pngOf(i));
  }
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
  const make = (model: LoadedModel, dataset: Dataset, out: string, more: Partial<MakeIndexOptions> = {}) =>
    makeIndex(model, dataset, { out: at(out), modelPath: path, ...more });

  test("holds every readable picture's vector, name, label and thumbnail, and finds each by itself", async () => {
    await pictures("whole", upTo(30));
    put(folder, "whole/odd/broken.png", "no picture");
    await withModel(async (model) => {
      const dataset = await openPictures("whole");
      const { info, embedded } = await make(model, dataset, "whole-index", {
        type: "f32",
        thumbnailSide: 24,
      });
      assert.deepEqual([info!.rows, info!.data.skipped, embedded], [30, 1, 30]);
      assert.deepEqual([...info!.data.labels].sort(), ["even", "odd"]);
      assert.deepEqual(readdirSync(at("whole-index")).sort(), ["files-1", "index.json"]);
      using index = PictureIndex.open(at("whole-index"));
      const readable = upTo(dataset.length).filter((i) => !dataset.sample(i).key.includes("broken"));
      assert.deepEqual(
        [...index.names()].map(({ key }) => key),
        readable.map((i) => dataset.sample(i).key),
      );
      for (const [row, sample] of readable.entries()) {
        const bytes = await dataset.readBytes(sample);
        const vector = await model.encoder.embedImages([bytes]);
        const [hit] = await searchIndex(index, model, { picture: bytes }, { k: 1 });
        assert.equal(hit!.row, row);
        assert.ok(Math.abs(hit!.score - 1) < 1e-5);
        for (const [i, x] of index.vectorOf(row).entries()) assert.ok(Math.abs(x - vector[i]!) < 1e-5);
        const { width, height, format } = await sharp(index.thumbnail(row)).metadata();
        assert.deepEqual([format, width, height], ["webp", 24, 18]);
        assert.equal(index.name(row).label, dataset.sample(sample).label);
      }
      const [words] = await searchIndex(index, model, "a thing", { k: 1, accepts: (row) => row === 7 });
      assert.equal(words!.key, index.name(7).key);
    });
  });

  test("only pictures of new bytes are embedded again; what is gone goes, what was renamed stays", async () => {
    await pictures("growing", upTo(12));
    await withModel(async (model) => {
      const first = await make(model, await openPictures("growing"), "growing-index");
      assert.deepEqual([first.embedded, first.changed], [12, true]);
      const again = await make(model, await openPictures("growing"), "growing-index");
      assert.deepEqual([again.embedded, again.changed, again.info!.files], [0, false, "files-1"]);
      using before = PictureIndex.open(at("growing-index"));
      const vectorOf10 = before.vectorOf([...before.names()].findIndex(({ key }) => key.endsWith("even/10")));
      rmSync(at("growing/odd/3.png"));
      const { renameSync } = await import("node:fs");
      renameSync(at("growing/even/10.png"), at("growing/odd/renamed.png"));
      await pictures("growing", [20, 21]);
      const third = await make(model, await openPictures("growing"), "growing-index");
      assert.deepEqual([third.embedded, third.info!.rows, third.info!.files], [2, 13, "files-2"]);
      assert.deepEqual(readdirSync(at("growing-index")).sort(), ["files-2", "index.json"]);
      using index = PictureIndex.open(at("growing-index"));
      const keys = [...index.names()].map(({ key }) => key);
      assert.ok(!keys.some((key) => key.endsWith("odd/3")));
      const renamed = keys.findIndex((key) => key.endsWith("odd/renamed"));
      assert.deepEqual(index.vectorOf(renamed), vectorOf10);
      assert.equal(index.name(renamed).label, "odd");
    });
  });

  test("blocks that a killed process has made are not made again; the index appears whole", async () => {
    for (let i = 0; i < 1030; i++) put(folder, `many/${i}.png`, await pngOf(i, 8, 8));
    await withModel(async (model) => {
      const dataset = await openPictures("many");
      // A process of two has made its block and is gone before the index was put together.
      const plain = await make(model, dataset, "plain-index");
      assert.equal(plain.info!.rows, 1030);
      const stop = new Error("killed");
      const dying = make(model, dataset, "killed-index", {
        onProgress: () => {
          if (existsSync(blockFolder(at("killed-index/.making"), 0))) throw stop;
        },
      });
      await assert.rejects(dying, stop);
      assert.ok(!existsSync(at("killed-index/index.json")));
      const rest = await make(model, dataset, "killed-index");
      assert.deepEqual([rest.embedded, rest.info!.rows], [6, 1030]);
      const shared = await Promise.all(
        [1, 0].map((index) => make(model, dataset, "shared-index", { processes: { index, count: 2 } })),
      );
      assert.deepEqual(
        shared.map(({ embedded, info }) => [embedded, info?.rows]),
        [
          [6, undefined],
          [1024, 1030],
        ],
      );
      for (const name of readdirSync(at("plain-index/files-1"))) {
        const of = (index: string) => readFileSync(join(at(index), "files-1", name));
        assert.deepEqual(of("killed-index"), of("plain-index"), name);
        assert.deepEqual(of("shared-index"), of("plain-index"), name);
      }
    });
  });

  test("is searched by its own model only, which it finds from its folder", async () => {
    await pictures("few", upTo(3));
    await withModel(async (model) => {
      await make(model, await openPictures("few"), "few-index");
      using index = PictureIndex.open(at("few-index"));
      assert.equal(modelOfIndex(index).path, path);
      const other = { encoder: model.encoder, identity: () => "another" };
      await assert.rejects(
        searchIndex(index, other, "a"),
        (error) =>
          error instanceof UsageError && /must be searched with the model that made it/.test(error.message),
      );
    });
  });

  test("what is in the way, of another version or empty is refused in one line", async () => {
    put(folder, "taken/letter.txt", "dear");
    await pictures("some", upTo(2));
    put(folder, "broken/a.png", "no picture");
    await withModel(async (model) => {
      const refuses = (promise: Promise<unknown>, line: RegExp) =>
        assert.rejects(promise, (error) => error instanceof UsageError && line.test(error.message));
      const some = await openPictures("some");
      await refuses(make(model, some, "taken"), /must be an index, or empty; it holds letter\.txt/);
      await refuses(
        make(model, await openPictures("broken"), "broken-index"),
        /must have a picture that can be read/,
      );
      assert.deepEqual(readdirSync(at("taken")), ["letter.txt"]);
      await make(model, some, "old");
      const file = at("old/index.json");
      writeFileSync(file, readFileSync(file, "utf8").replace('"version": 1', '"version": 99'));
      assert.throws(() => PictureIndex.open(at("old")), /version must be 1; got 99/);
      assert.throws(() => PictureIndex.open(at("some")), /is no index of pictures; it has no index\.json/);
    });
  });
});
