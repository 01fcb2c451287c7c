import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createLoader, openDataset, trainingPipeline } from "../src/data/index.js";
import { hostBatch } from "../src/train/batches/host-batch.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
for (let i = 0; i < 13; i++) {
  put(folder, `pairs/${i}.png`, i === 5 ? "no picture" : await pngOf(i));
  put(folder, `pairs/${i}.txt`, `kind ${i % 4}`);
}
const dataset = await openDataset(join(folder, "pairs"));
const tokenizer = {
  encodeBatch: (texts: readonly string[]) => Int32Array.from(texts, (text) => Number(text.at(-1))),
};

/** What the process of these rows gives, over some steps. */
async function made(rows: { start: number; end: number }) {
  const pipeline = trainingPipeline(8, {});
  await using loader = createLoader({ dataset, batchSize: 6, seed: 1, pipeline, workers: 1, rows });
  const found = [];
  for (const step of [0, 1, 2, 3, 4]) {
    const batch = await loader.batch(step);
    found.push({ captions: batch.captions, ...hostBatch(batch, tokenizer) });
  }
  return found;
}

describe("hostBatch", () => {
  test("equal captions have equal ids and others others, whichever process a row belongs to", async () => {
    const whole = await made({ start: 0, end: 6 });
    const [first, second] = [await made({ start: 0, end: 2 }), await made({ start: 2, end: 6 })];
    for (const [i, { captions, host }] of whole.entries()) {
      const parts = [first[i]!, second[i]!];
      for (const ids of [[...host.textIds], parts.flatMap((part) => [...part.host.textIds])]) {
        for (const [a, own] of captions.entries())
          for (const [b, other] of captions.entries())
            assert.equal(ids[a] === ids[b], own === other, `step ${i}: ${captions} got ${ids}`);
      }
      assert.deepEqual(
        parts.flatMap((part) => [...part.host.imageIds]),
        [...host.imageIds],
      );
      assert.deepEqual(
        parts.flatMap((part) => [...part.host.tokens]),
        [...host.tokens],
      );
    }
  });

  test("the share of captions that repeat is the whole batch's", async () => {
    const whole = await made({ start: 0, end: 6 });
    for (const { captions, duplicateCaptionShare } of whole) {
      const repeated = captions.filter((caption) => captions.filter((c) => c === caption).length > 1);
      assert.equal(duplicateCaptionShare, repeated.length / 6);
    }
  });
});
