import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { type TrainHooks, train } from "clipwright";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const logs = join(folder, "runs");
const trainData = join(folder, "pairs");
const small = { trainData, logs, batchSize: 4, workers: 1 };

suite("train", { timeout: 120_000 }, () => {
  before(async () => {
    for (let i = 0; i < 8; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 16, 16));
      put(folder, `pairs/${i}.txt`, `picture number ${i}`);
    }
  });

  test("takes the model and the tokenizer that lie beside pretrained weights", async () => {
    const model = {
      embed_dim: 8,
      vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
      text_cfg: { context_length: 24, width: 16, heads: 2, layers: 1 },
    };
    await train({ ...small, model, vocabSize: 290, steps: 2, name: "first" });
    const { folder: tuned, step } = await train({ ...small, pretrained: join(logs, "first"), steps: 2 });
    assert.deepEqual([tuned, step], [join(logs, "first-tuned"), 2]);
    const own = (run: string) => readFileSync(join(run, "tokenizer.json"), "utf8");
    assert.equal(own(tuned), own(join(logs, "first")));
  });

  test("chooses a model where none is named, as the command does, and says which and why", async () => {
    const stop = new AbortController();
    const told: string[] = [];
    const hooks: TrainHooks = {
      signal: stop.signal,
      onMessage: (text) => told.push(text),
      onStart: () => stop.abort(),
    };
    await train({ ...small, steps: 2 }, hooks);
    assert.match(told[0]!, /^Model clipwright-tiny-64: enough for 8 pairs/);
    assert(!existsSync(join(logs, "clipwright-tiny-64")), "stopped before its first step it leaves nothing");
    await assert.rejects(train({ trainData: join(folder, "nothing") }), { name: "UsageError" });
  });
});
