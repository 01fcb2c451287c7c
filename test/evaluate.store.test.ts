import assert from "node:assert/strict";
import { readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { openDataset } from "../src/data/index.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { allRows, blocksOf, freshFeatures, type Progress } from "../src/evaluate/features/source.js";
import { FeatureStore } from "../src/evaluate/features/store.js";
import type { Encoder } from "../src/evaluate/model/encoder.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { fixture } from "./support/fixture.js";

suite("FeatureStore", () => {
  const folder = scratchFolder();
  const model = fixture("embed");
  const texts = Array.from({ length: 2500 }, (_, i) => `thing number ${i}`);

  /** A store in the folder `name`, and what it was told to be doing. */
  async function inStore<T>(
    name: string,
    body: (store: FeatureStore, told: Progress[], encoder: Encoder) => Promise<T>,
    onProgress: (progress: Progress) => void = () => {},
    limitBytes?: number,
  ): Promise<T> {
    await using engine = new OnnxRuntime({ threads: 1 });
    const { encoder, key } = await loadModel(engine, { path: model, workers: 1 });
    using _ = encoder;
    const told: Progress[] = [];
    using store = new FeatureStore(encoder, {
      folder: join(folder, name),
      model: key(),
      limitBytes,
      onProgress: (progress) => {
        told.push(progress);
        onProgress(progress);
      },
    });
    return await body(store, told, encoder);
  }

  async function pictures(name: string) {
    for (let i = 0; i < 40; i++) put(folder, `${name}/${i % 2 ? "a" : "b"}/${i}.png`, await pngOf(i));
    put(folder, `${name}/a/7.png`, "no picture");
    return openDataset(join(folder, name));
  }

  test("embeds once, and gives the same as the model itself, unreadable images told each time", async () => {
    const dataset = await pictures("set");
    await inStore("once", async (store, told, encoder) => {
      const stored = await store.images(dataset);
      assert.ok(told.length > 0 && told.at(-1)!.done === 40 && told.at(-1)!.total === 40);
      const fresh = await freshFeatures(encoder).images(dataset);
      assert.deepEqual(allRows(stored.features), allRows(fresh.features));
      assert.deepEqual([stored.indices, stored.skipped], [fresh.indices, fresh.skipped]);
      assert.equal(stored.skipped.length, 1);
    });
    await inStore("once", async (store, told) => {
      const again = await store.images(await openDataset(join(folder, "set")));
      assert.equal(told.length, 0, "nothing is embedded a second time");
      assert.deepEqual([again.features.rows, again.skipped.length], [39, 1]);
      const parts = [...blocksOf(again.features)].map(({ block }) => block.rows);
      assert.deepEqual(parts, [39]);
    });
  });

  test("changed data, another model and other texts are embedded anew", async () => {
    const dataset = await pictures("changing");
    const entries = () => readdirSync(join(folder, "anew")).length;
    await inStore("anew", async (store) => {
      await store.images(dataset);
      await store.texts(["a", "b"], "words");
      await store.texts(["a", "c"], "words");
    });
    assert.equal(entries(), 3);
    put(folder, "changing/b/0.png", await pngOf(99));
    utimesSync(join(folder, "changing/b/0.png"), new Date(), new Date(2e12));
    await inStore(
      "anew",
      async (store) => void (await store.images(await openDataset(join(folder, "changing")))),
    );
    assert.equal(entries(), 4);
  });

  test("what was cut short goes on where it was", async () => {
    const stopAt = (at: number) => (progress: Progress) => {
      if (progress.done >= at) throw new Error("stop");
    };
    await assert.rejects(
      inStore("cut", (store) => store.texts(texts, "things"), stopAt(2000)),
      /stop/,
    );
    await inStore("cut", async (store, told, encoder) => {
      const { features } = await store.texts(texts, "things");
      assert.deepEqual(
        told.map(({ done }) => done),
        [2500],
        "the first 2,048 were there",
      );
      assert.deepEqual(features, (await freshFeatures(encoder).texts(texts, "things")).features);
    });
  });

  test("texts that are longer than the model reads are named", async () => {
    await inStore("long", async (store, _, encoder) => {
      const long = Array.from({ length: encoder.options.tokenizer.contextLength }, () => "word").join(" ");
      assert.deepEqual((await store.texts(["short", long], "texts")).cut, [1]);
    });
  });

  test("the longest unused entries go beyond the limit; those that are in use stay, and what is gone is made again", async () => {
    const words = (of: string) => Array.from({ length: 50 }, (_, i) => `${of} ${i}`);
    const entries = () => new Set(readdirSync(join(folder, "small")));
    const fill = (of: string, limitBytes?: number) =>
      inStore("small", (store) => store.texts(words(of), of), undefined, limitBytes);
    await fill("first");
    const [first] = entries();
    const past = new Date(Date.now() - 60_000);
    for (const file of readdirSync(join(folder, "small", first!)))
      utimesSync(join(folder, "small", first!, file), past, past);
    await fill("second");
    assert.equal(entries().size, 2);
    await fill("first"); // used again: the second is now the older one
    const size = readdirSync(join(folder, "small", first!)).reduce(
      (sum, file) => sum + statSync(join(folder, "small", first!, file)).size,
      0,
    );
    await fill("third", 2.5 * size);
    assert.equal(entries().size, 2);
    assert.ok(entries().has(first!));
    await fill("fourth", 0);
    assert.equal(entries().size, 1, "what was just made stays");
    await fill("first");
    assert.ok(entries().has(first!));
  });
});
