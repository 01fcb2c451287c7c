import assert from "node:assert/strict";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { scorePairs } from "../src/curate/scores/run/score-pairs.js";
import { openDataset } from "../src/data/index.js";
import { selectFrom } from "../src/data/selections/select.js";
import { selectionFor } from "../src/study/run/parts.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const PICTURES = 20;

/** Captions of 1 to 20 words; a table of their scores beside them. */
async function folderOf(): Promise<{ folder: string; photos: string; scores: string }> {
  const folder = scratchFolder();
  const photos = join(folder, "photos");
  for (let i = 0; i < PICTURES; i++) {
    put(photos, `k${String(i).padStart(2, "0")}.png`, await pngOf(i));
    put(photos, `k${String(i).padStart(2, "0")}.txt`, "word ".repeat(i + 1).trim());
  }
  const scores = join(folder, "scores.parquet");
  await scorePairs(await openDataset(photos), { out: scores, scores: ["words"] });
  return { folder, photos, scores };
}

suite("parts of the data in a study", () => {
  test("are the best by a table of scores, and random ones of the same size; the smaller lie in the larger", async () => {
    const { folder, photos, scores } = await folderOf();
    const dataset = await openDataset(photos);
    const keysOf = async (part: Parameters<typeof selectionFor>[2]): Promise<string[]> => {
      const selection = await selectionFor(join(folder, "study"), dataset, part);
      const { dataset: kept } = await selectFrom(dataset, selection);
      return Array.from({ length: kept.length }, (_, i) => kept.sample(i).key);
    };
    const top = (share: number) => keysOf({ top: share, scores, by: "words" });
    const ladder = [await top(0.2), await top(0.4), await top(1)];
    // The pair at position n · share stays, as DataComp counts.
    assert.deepEqual(ladder[0], ["k15", "k16", "k17", "k18", "k19"]);
    assert.deepEqual(
      ladder.map((keys) => keys.length),
      [5, 9, PICTURES],
    );
    const random = [await keysOf({ random: 0.2 }), await keysOf({ random: 0.4 })];
    assert(random[0]!.every((key) => random[1]!.includes(key)));
    assert(ladder[0]!.every((key) => ladder[1]!.includes(key)));
    assert.notDeepEqual(random[1], ladder[1]);
    assert.deepEqual(await top(0.2), ladder[0], "made once");
  });

  test("drawn at random are pictures with all their captions, as many as are counted", async () => {
    const photos = join(scratchFolder(), "photos");
    for (let i = 0; i < PICTURES; i++) {
      put(photos, `k${i}.png`, await pngOf(i));
      put(photos, `k${i}.txt`, Array.from({ length: 5 }, (_, j) => `caption ${j} of ${i}`).join("\n"));
    }
    const dataset = await openDataset(photos);
    for (const random of [0.1, 0.25, 1]) {
      const selection = await selectionFor(join(photos, "..", "study"), dataset, { random });
      const { images, pairs } = await selectFrom(dataset, selection);
      assert.deepEqual([images.kept, pairs.kept], [random * PICTURES, 5 * random * PICTURES]);
    }
  });

  test("follow what the table of scores holds, wherever it lies", async () => {
    const { folder, photos, scores } = await folderOf();
    const dataset = await openDataset(photos);
    const partBy = (table: string) =>
      selectionFor(join(folder, "study"), dataset, { top: 0.2, scores: table, by: "words" });
    const firstKeptBy = async (table: string): Promise<string> =>
      (await selectFrom(dataset, await partBy(table))).dataset.sample(0).key;
    assert.equal(await firstKeptBy(scores), "k15");
    const copy = join(folder, "copy.parquet");
    copyFileSync(scores, copy);
    assert.equal(await partBy(copy), await partBy(scores));

    // Scored again under the same name, what was best is worst.
    for (let i = 0; i < PICTURES; i++)
      put(photos, `k${String(i).padStart(2, "0")}.txt`, "word ".repeat(PICTURES - i).trim());
    rmSync(scores);
    await scorePairs(await openDataset(photos), { out: scores, scores: ["words"] });
    assert.equal(await firstKeptBy(scores), "k00");
    assert.equal(await firstKeptBy(copy), "k15", "the part of before stays");
  });

  test("a table without the score is refused by name", async () => {
    const { folder, photos, scores } = await folderOf();
    await assert.rejects(
      selectionFor(join(folder, "study"), await openDataset(photos), { top: 0.5, scores, by: "wrods" }),
      /the table has no column wrods; .*Did you mean "words"/,
    );
  });
});
