/** The list of runs, and what changes it. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, suite, test } from "node:test";
import { commands } from "../src/cli/commands.js";
import { realDisk } from "../src/core/disk.js";
import { readJsonObject } from "../src/core/files.js";
import { writeCheckpoint } from "../src/storage/checkpoint.js";
import { takeLock } from "../src/storage/lock.js";
import { checkRecipe } from "../src/train/recipe/recipe.js";
import { listRuns, removeRun, renameRun, runNamed } from "../src/train/run/list.js";
import { train } from "../src/train/train.js";

import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";

const folder = scratchFolder();
const weights = readFileSync(join(fixture("embed"), "open_clip_model.safetensors"));
let round = 0;
let logs = "";

/** A run's folder as the trainer writes it. */
function putRun(
  name: string,
  {
    step = 4,
    total = 8,
    scores = [] as object[],
    model = "ViT-S-32",
    keepBest = undefined as string | undefined,
  } = {},
): string {
  const path = join(logs, name);
  put(path, "config.json", JSON.stringify({ name, model, batchSize: 16, keepBest }));
  put(
    path,
    "plan.json",
    JSON.stringify({ totalSteps: total, samplesPerEpoch: 32, batchSize: 16, measuredSteps: 0 }),
  );
  put(path, "metrics.jsonl", `${JSON.stringify({ step, seconds: 65 })}\n`);
  put(path, "evaluation.jsonl", scores.map((score) => `${JSON.stringify(score)}\n`).join(""));
  writeCheckpoint(realDisk, join(path, "checkpoints"), step, { "params.safetensors": weights }, {});
  return path;
}

const score = (metric: string, value: number) => ({
  ...{ dataset: "val", task: "t", metric, value, low: 0, high: 1, n: 9, step: 4, samplesSeen: 64 },
});

suite("runs", () => {
  beforeEach(() => {
    logs = join(folder, `runs-${round++}`);
  });

  test("tell the score that the run keeps the best of, with its split, data set or task before it", () => {
    const scores = [score("val_loss", 2), score("acc1", 0.5), { ...score("acc1", 0.9), split: "reference" }];
    putRun("whole", { scores, keepBest: "val/t/val_loss" });
    putRun("elsewhere", { scores, keepBest: "other/val_loss" });
    putRun("kept", { scores, keepBest: "reference/acc1" });
    const values = Object.fromEntries(listRuns(logs).map(({ name, score: told }) => [name, told!.value]));
    assert.deepEqual(values, { whole: 2, elsewhere: 0.5, kept: 0.9 });
  });

  test("are listed with state and the score that tells most, the last written to first", () => {
    const done = putRun("done", {
      step: 8,
      scores: [score("val_loss", 2), score("acc1", 0.25), score("acc1", 0.5)],
    });
    const running = putRun("sweep/running", { scores: [score("val_loss", 1.5)] });
    putRun("stopped", { model: "own.json" });
    put(logs, "notes/readme.txt", "no run");
    const past = new Date(Date.now() - 3_600_000);
    for (const name of ["config.json", "metrics.jsonl", "evaluation.jsonl", "checkpoints"])
      utimesSync(join(done, name), past, past);
    using _ = takeLock(realDisk, running);
    const runs = listRuns(logs);
    assert.equal(runs.at(-1)!.name, "done");
    const by = Object.fromEntries(runs.map((run) => [run.name, run]));
    assert.deepEqual(Object.keys(by).sort(), ["done", "stopped", join("sweep", "running")]);
    assert.deepEqual(
      runs.map(({ name, state }) => [name, state]).sort(),
      [
        ["done", "done"],
        ["stopped", "stopped"],
        [join("sweep", "running"), "running"],
      ].sort(),
    );
    assert.equal(by.done!.score!.value, 0.5);
    assert.equal(by[join("sweep", "running")]!.score!.metric, "val_loss");
    assert.equal(by.stopped!.score, undefined);
    assert.equal(by.done!.samplesSeen, 128);
    assert.equal(by.done!.seconds, 65);
  });

  test("that cannot be read are named, and hide no other", () => {
    putRun("good");
    writeFileSync(join(putRun("bad"), "config.json"), "{");
    const [bad, good] = listRuns(logs).sort((a, b) => a.name.localeCompare(b.name));
    assert.match(bad!.problem!, /config\.json/);
    assert.equal(good!.problem, undefined);
  });

  test("are removed whole, but not while a process writes to them", () => {
    const path = putRun("one");
    const lock = takeLock(realDisk, path);
    assert.throws(() => removeRun(path), /another process writes to it/);
    assert(existsSync(join(path, "config.json")));
    lock[Symbol.dispose]();
    removeRun(path);
    assert.deepEqual(readdirSync(logs), []);
  });

  test("are renamed and go on under the new name", async () => {
    for (let i = 0; i < 16; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i));
      put(folder, `pairs/${i}.txt`, `picture ${i}`);
    }
    const recipe = (name: string, steps: number) =>
      checkRecipe({
        model: {
          embed_dim: 8,
          vision_cfg: { image_size: 16, patch_size: 8, width: 8, head_width: 8, layers: 1 },
          text_cfg: { context_length: 8, width: 8, heads: 1, layers: 1 },
        },
        ...{ trainData: join(folder, "pairs"), logs, name, vocabSize: 280, workers: 1, threads: 1 },
        ...{ steps, batchSize: 8, resume: steps === 2 ? "latest" : "extend" },
      });
    const { folder: path } = await train(recipe("old", 2));
    const to = renameRun(path, "new");
    assert.equal(to, join(logs, "new"));
    assert.equal(readJsonObject(join(to, "config.json")).name, "new");
    assert(!existsSync(path));
    assert.equal(listRuns(logs)[0]!.state, "done");
    const { step } = await train(recipe("new", 4));
    assert.equal(step, 4);
    assert.throws(() => renameRun(to, "new"), /the name is taken/);
    assert.throws(() => renameRun(to, "../out"), /must be a name/);
  });

  test("that are not there are refused with those that are", () => {
    putRun("good");
    assert.throws(() => runNamed(logs, "god"), /got "god"\. There is good\./);
  });

  test("clipwright runs prints them, renames and removes", async () => {
    putRun("a", { scores: [score("acc1", 0.25)] });
    putRun("b");
    const line = (...words: string[]) =>
      runWords(commands, ["runs", ...words, "--logs", logs], { columns: 200 });
    assert.match(
      (await line()).out,
      /^name +state +steps.*\n(?:.*\n)*a +stopped +4 of 8 +64 +1m 05s +acc1 25\.0 %/,
    );
    assert.equal(JSON.parse((await line("a", "--json")).out).length, 1);
    assert.equal((await line("a", "--rename", "c")).code, 0);
    assert.equal((await line("b", "c", "--remove")).code, 0);
    assert.deepEqual(listRuns(logs), []);
    assert.equal((await line("--remove")).code, 2);
  });
});
