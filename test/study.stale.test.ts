import assert from "node:assert/strict";
import { mkdirSync, utimesSync } from "node:fs";
import { basename, join } from "node:path";
import { suite, test } from "node:test";
import { openDataset } from "../src/data/index.js";
import { openSuite } from "../src/evaluate/suites/open.js";
import { checkSuite, type SuiteInput } from "../src/evaluate/suites/suite.js";
import { cellsOf } from "../src/study/design/cells.js";
import { checkStudy, type StudyInput } from "../src/study/design/study.js";
import { changesSince, type MadeFrom, madeFromNow } from "../src/study/run/made-from.js";
import { selectionFor } from "../src/study/run/parts.js";
import { type RunResult, readResult, writeResult } from "../src/study/run/results.js";
import { stateOf } from "../src/study/run/runner.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

async function pictures(folder: string, count: number): Promise<string> {
  for (let i = 0; i < count; i++) {
    put(folder, `${i}.png`, await pngOf(i));
    put(folder, `${i}.txt`, `picture ${i}`);
  }
  return folder;
}

const result: RunResult = { samples: 1, gmacs: 1, seconds: 1, records: [], scored: [] };

suite("what a result was made from", async () => {
  const folder = scratchFolder();
  const train = await pictures(join(folder, "train"), 6);
  const held = await pictures(join(folder, "test"), 3);
  put(folder, "scores.parquet", "of these");
  put(folder, "chosen.parquet", "these");
  const input: StudyInput = {
    question: { text: "?", factor: "part" },
    recipe: { trainData: [train], model: "clipwright-nano-32" },
    factors: {
      part: {
        best: { part: { top: 0.5, scores: join(folder, "scores.parquet"), by: "s" } },
        any: { part: { random: 0.5 } },
        chosen: { select: join(folder, "chosen.parquet") },
      },
    },
    regime: { epochs: 1 },
    suite: { sets: { test: { data: held } } },
    score: "test/acc1",
  };
  /** What runs of the best half, of any, and of those chosen are made from by now. */
  async function now(own: Partial<SuiteInput> = {}): Promise<[MadeFrom, MadeFrom, MadeFrom]> {
    const suiteNow = checkSuite({ sets: { test: { data: held } }, ...own });
    const of = madeFromNow(await openDataset(train), await openSuite(suiteNow));
    const [best, any, chosen] = cellsOf(await checkStudy(input), { pairsOf: () => 6, gmacsOf: () => 1 });
    return [of(best!), of(any!), of(chosen!)];
  }
  const nothing = { weights: [], scores: [] };

  test("is the same as long as nothing changes, also for copies of the data, and of results that do not tell", async () => {
    const [before] = await now();
    assert.deepEqual(changesSince(before, (await now())[0]), nothing);
    assert.deepEqual(changesSince(undefined, before), nothing);
    const run = join(folder, "run");
    mkdirSync(run);
    writeResult(run, { ...result, madeFrom: before });
    assert.deepEqual(readResult(run)!.madeFrom, before);
    // As of files that were copied.
    for (const name of ["0.png", "1.png"]) utimesSync(join(train, name), 1, 1);
    const [copied] = await now();
    assert.notEqual(copied.data.times, before.data.times);
    assert.deepEqual(
      stateOf(run, () => copied),
      { kind: "done" },
    );
  });

  test("tells another suite, which asks for new scores alone", async () => {
    const [before] = await now();
    const another = (
      await now({ sets: { test: { data: held, templates: ["a {}"] }, more: { data: held } } })
    )[0];
    assert.deepEqual(changesSince(before, another), {
      weights: [],
      scores: ["another set test", "a new set more"],
    });
    const run = join(folder, "scored");
    mkdirSync(run);
    writeResult(run, { ...result, madeFrom: before });
    assert.deepEqual(
      stateOf(run, () => another),
      {
        kind: "unscored",
        why: "another set test, a new set more",
      },
    );
    put(held, "0.txt", "another picture");
    assert.deepEqual(changesSince(before, (await now())[0]).scores, ["another set test"]);
  });

  test("tells other files and other training data, which ask for training", async () => {
    const [best, any, chosen] = await now();
    put(folder, "scores.parquet", "of others");
    assert.deepEqual(changesSince(best, (await now())[0]).weights, ["another table of scores"]);
    assert.deepEqual(changesSince(any, (await now())[1]), nothing);
    put(folder, "chosen.parquet", "others");
    assert.deepEqual(changesSince(chosen, (await now())[2]).weights, ["select: a file of other content"]);
    assert.deepEqual(changesSince(any, (await now())[1]), nothing);
    const half = await selectionFor(join(folder, "study"), await openDataset(train), { random: 0.5 });
    put(train, "0.txt", "other words");
    const { weights } = changesSince(chosen, (await now())[2]);
    assert.deepEqual(weights, ["trainData: other captions or labels", "select: a file of other content"]);
    const run = join(folder, "stale");
    mkdirSync(run);
    writeResult(run, { ...result, madeFrom: chosen });
    const after = (await now())[2];
    assert.deepEqual(
      stateOf(run, () => after),
      { kind: "stale", why: weights.join(", ") },
    );
    assert.deepEqual(stateOf(run), { kind: "done" });
    // Parts are drawn anew from what there is.
    const part = async () =>
      basename(await selectionFor(join(folder, "study"), await openDataset(train), { random: 0.5 }));
    assert.notEqual(await part(), basename(half));
    assert.equal(await part(), await part());
    put(train, "0.txt", "picture 0");
    assert.equal(await part(), basename(half));
  });
});
