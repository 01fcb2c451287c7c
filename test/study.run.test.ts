import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Answer, Panel } from "../src/study/answer/answer.js";
import { pickedOf } from "../src/study/halving/simulate.js";
import { probe } from "../src/study/run/costs.js";
import type { Outlook } from "../src/study/run/outlook.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

/** How often a study is killed; `CLIPWRIGHT_KILLS=10 node dist/test/run.js study.run` for more. */
const KILLS = Number(process.env.CLIPWRIGHT_KILLS ?? 2);
const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const folder = scratchFolder();

const model = (width: number) => ({
  embed_dim: 16,
  vision_cfg: { image_size: 16, patch_size: 8, width, head_width: 16, layers: 1 },
  text_cfg: { context_length: 12, width: 32, heads: 2, layers: 1 },
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `clipwright study` in the scratch folder. */
async function study(
  words: readonly string[],
  meanwhile: (child: ChildProcess) => Promise<void> = async () => {},
): Promise<Ended> {
  const child = spawn(process.execPath, [main, "study", ...words, "--engine", "onnxruntime"], {
    cwd: folder,
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (piece) => {
    out += piece;
  });
  child.stderr.on("data", (piece) => {
    err += piece;
  });
  const ended = once(child, "close");
  await meanwhile(child);
  const [code] = (await ended) as [number | null];
  return { code, out, err };
}

/** The table without what the clock decides, in any order of rows. */
const tableOf = (name: string): string[] => {
  const [header, ...lines] = readFileSync(join(folder, "studies", name, "study.csv"), "utf8")
    .trim()
    .split("\r\n");
  const clocks = ["seconds", "whole seconds", "predicted seconds", "load", "memory"];
  const clock = new Set(clocks.map((name) => header!.split(",").indexOf(name)));
  return lines
    .map((line) =>
      line
        .split(",")
        .filter((_, at) => !clock.has(at))
        .join(),
    )
    .sort();
};

const declared = {
  question: { text: "Which width?", factor: "width", over: "samples" },
  recipe: {
    trainData: [join(folder, "train")],
    batchSize: 8,
    vocabSize: 300,
    threads: 1,
    workers: 1,
    engine: "onnxruntime",
    saveFrequency: "3 steps",
  },
  factors: { width: { narrow: { model: model(16) }, wide: { model: model(32) } }, part: [0.5, 1] },
  regime: { samples: 80 },
  seeds: 1,
  suite: { sets: { test: { data: join(folder, "test"), tasks: ["zeroshot_classification"] } } },
  score: "test/acc1",
};

suite("clipwright study", () => {
  before(async () => {
    for (const [part, count] of Object.entries({ train: 8, test: 4 }))
      for (const [at, label] of ["red fox", "blue boat", "old mill"].entries())
        for (let i = 0; i < count; i++)
          put(
            folder,
            `${part}/${label}/${i}.png`,
            await pngOf(100 * at + i + (part === "test" ? 50 : 0), 16, 16),
          );
    for (const name of ["whole", "killed"]) put(folder, `${name}.json`, JSON.stringify(declared));
    put(
      folder,
      "broken.json",
      JSON.stringify({ ...declared, factors: { lr: [1e-3, 1e-2] }, question: { text: "?", factor: "lr" } }),
    );
  });

  test("runs every combination once, and tells the answer", async () => {
    const { code, out, err } = await study(["whole.json"]);
    assert.equal(code, 0, err);
    assert.match(err, /4 of 4 runs to do/);
    assert.match(out, /equal samples, part 50 %\n {2}narrow {2}\d/);
    assert.equal(tableOf("whole").length, 4);
    const page = join("studies", "whole", "index.html");
    assert.match(err, new RegExp(`The page: ${page}\\n`));
    assert.match(readFileSync(join(folder, page), "utf8"), /<h1>Which width\?<\/h1>/);
    assert.match(err, /Predicted [\dms ]+, took [\dms ]+: 4 runs in one sitting each, at a load of [\d.]+\./);
    assert.deepEqual(readdirSync(join(folder, "studies", "whole", "vocabularies")).length, 1);
    const again = await study(["whole.json"]);
    assert.match(again.err, /0 of 4 runs to do/);
    assert.equal(again.out, out);
  });

  test("times steps at a rate at which no run diverges", async () => {
    const rates: number[] = [];
    const recipe = { trainData: "shapes/", model: "clipwright-nano-32", lr: 1e30, samples: 64 };
    const stop = new Error("seen");
    await assert.rejects(
      probe(recipe, folder, {
        async train({ lr }) {
          rates.push(lr!);
          throw stop;
        },
        score: async () => [],
      }),
      stop,
    );
    assert.deepEqual(rates, [1e-6]);
  });

  test("refuses before anything is trained a score that its set has not, and scores that are not there", async () => {
    put(folder, "score.json", JSON.stringify({ ...declared, score: "test/image_retrieval_recall@1" }));
    const score = await study(["score.json"]);
    assert.equal(score.code, 2);
    assert.match(score.err, /no task of the set test gives image_retrieval_recall@1; it has acc1, /);
    const part = { top: 0.5, scores: "nowhere.parquet", by: "words" };
    const factors = { width: declared.factors.width, part: { best: { part }, all: {} } };
    put(folder, "part.json", JSON.stringify({ ...declared, factors }));
    assert.match((await study(["part.json", "--dry-run"])).err, /nowhere\.parquet/);
    for (const name of ["score", "part"])
      assert.ok(!existsSync(join(folder, "studies", name, "probes.json")), name);
  });

  test(`killed ${KILLS} times, ends with the same table`, async () => {
    let kills = 0;
    while (kills < KILLS) {
      const { code } = await study(["killed.json"], async (child) => {
        // Once it trains; each kill a little later than the one before.
        const runs = join(folder, "studies", "killed", "runs");
        while (child.exitCode === null && !(existsSync(runs) && readdirSync(runs).length > 0))
          await delay(50);
        await delay(300 + 250 * kills);
        child.kill("SIGKILL");
      });
      if (code === 0) break;
      kills++;
    }
    const { code, err } = await study(["killed.json"]);
    assert.equal(code, 0, err);
    assert.deepEqual(tableOf("killed"), tableOf("whole"));
  });

  test("two processes divide the runs", async () => {
    put(folder, "shared.json", JSON.stringify(declared));
    const both = await Promise.all([study(["shared.json"]), study(["shared.json"])]);
    assert.deepEqual(
      both.map(({ code }) => code),
      [0, 0],
      both.map(({ err }) => err).join("\n"),
    );
    assert.deepEqual(tableOf("shared"), tableOf("whole"));
  });

  suite("that asks which is best", () => {
    const best = {
      ...declared,
      question: { text: "Which rate?", factor: "lr", kind: "best" },
      recipe: { ...declared.recipe, model: model(16) },
      factors: { lr: [1e-4, 1e-3, 3e-3, 1e-2] },
      regime: { samples: 96 },
    };
    /** The one score of a run on the way. */
    const rungOf = (name: string, run: string): number => {
      const file = join(folder, "studies", name, "rungs", `${run}.json`);
      const records = JSON.parse(readFileSync(file, "utf8")) as Record<string, number>;
      assert.deepEqual(Object.keys(records), ["test/acc1@4"]);
      return records["test/acc1@4"]!;
    };

    test("stops what falls behind, and picks by the simulation's rule", async () => {
      put(folder, "best.json", JSON.stringify(best));
      const question = { ...best.question, kind: "compare" };
      put(folder, "all.json", JSON.stringify({ ...best, question }));
      const { code, out, err } = await study(["best.json"]);
      assert.equal(code, 0, err);
      assert.match(err, /to step 4, to be compared/);
      assert.match(out, /arms compared at 33 % of the run, 33 % of the training saved/);
      assert.equal(out.match(/stopped at 33 %/g)?.length, 2, out);
      const answerTo = async (file: string) =>
        JSON.parse((await study([file, "--json"])).out) as Pick<Answer, "panels" | "halvings">;
      const [finalists, all] = [await answerTo("best.json"), await answerTo("all.json")].map(
        ({ panels }) => panels[0]!.rows,
      ) as [Panel["rows"], Panel["rows"]];
      assert.equal(finalists.length, 2);
      // Trained in two sittings, or in one: the same scores.
      for (const { level, score } of finalists)
        assert.deepEqual(score, all.find((row) => row.level === level)!.score);
      const scores = all.map(({ cell, score }) => [rungOf("best", `${cell.id}-0`), score.value]);
      const picked = all[pickedOf(scores, 3)]!;
      const highest = Math.max(...finalists.map(({ score }) => score.value));
      assert.equal(finalists.find(({ level }) => level === picked.level)?.score.value, highest);
      const again = await study(["best.json"]);
      assert.match(again.err, /0 of 4 runs to do/);
      assert.equal(again.out, out);
    });

    test("killed and shared, ends with the same table", async () => {
      put(folder, "best-killed.json", JSON.stringify(best));
      await study(["best-killed.json"], async (child) => {
        const runs = join(folder, "studies", "best-killed", "runs");
        while (child.exitCode === null && !(existsSync(runs) && readdirSync(runs).length > 1))
          await delay(50);
        child.kill("SIGKILL");
      });
      const both = await Promise.all([study(["best-killed.json"]), study(["best-killed.json"])]);
      assert.deepEqual(
        both.map(({ code }) => code),
        [0, 0],
        both.map(({ err }) => err).join("\n"),
      );
      assert.deepEqual(tableOf("best-killed"), tableOf("best"));
    });

    test("has no shards, whose workers would not know of each other", async () => {
      const { code, err } = await study(["best.json", "--shard", "1/2"]);
      assert.equal(code, 2);
      assert.match(err, /shard: arms are compared on the way, so the workers .* share its folder/);
    });
  });

  test("tells what it would run, and runs nothing", async () => {
    const { code, err } = await study(["whole.json", "--seeds", "2", "--dry-run"]);
    assert.equal(code, 0);
    assert.match(err, /4 of 8 runs to do/);
  });

  test("tells it as data", async () => {
    const { code, out } = await study(["whole.json", "--seeds", "2", "--dry-run", "--json"]);
    assert.equal(code, 0);
    const { cells, left, warnings, stale, power } = JSON.parse(out) as Outlook;
    assert.deepEqual([cells.length, left.runs, warnings, stale], [4, 4, [], []]);
    for (const { memoryBytes, diskBytes, seeds } of cells) {
      assert(memoryBytes! > 50e6 && diskBytes! > 10e3, `${memoryBytes} ${diskBytes}`);
      assert.deepEqual(seeds, { 0: "done", 1: "open" });
    }
    assert.deepEqual([power.comparisons, power.items, power.itemsFrom], [2, 12, "differences"]);
  });

  test("scores again what was scored on another suite, and leaves out what was trained on other data", async () => {
    const runs = join(folder, "studies", "changes", "runs");
    const only = { ...declared, factors: { width: declared.factors.width } };
    put(folder, "changes.json", JSON.stringify(only));
    assert.equal((await study(["changes.json"])).code, 0);
    const checkpointsOf = () =>
      readdirSync(runs).map((run) => statSync(join(runs, run, "plan.json")).mtimeMs);
    const trained = checkpointsOf();
    const more = { ...only.suite.sets, second: only.suite.sets.test };
    put(folder, "changes.json", JSON.stringify({ ...only, suite: { sets: more } }));
    const scored = await study(["changes.json"]);
    assert.equal(scored.code, 0, scored.err);
    assert.match(scored.err, /2 of 2 runs to do/);
    assert.deepEqual(checkpointsOf(), trained);
    assert.match(tableOf("changes")[0]!, /\d/);
    assert.match(readFileSync(join(folder, "studies", "changes", "study.csv"), "utf8"), /second\/acc1/);
    put(folder, "train/red fox/new.png", await pngOf(999, 16, 16));
    const stale = await study(["changes.json"]);
    assert.equal(stale.code, 1);
    assert.match(
      stale.err,
      /! 2 done runs are left out, made from what has changed since \(trainData: 25 samples, was 24\)\./,
    );
    assert.match(stale.err, /No run is done yet\./);
    const again = await study(["changes.json", "--again"]);
    assert.equal(again.code, 0, again.err);
    assert.match(again.out, /^2 runs/);
    assert.notDeepEqual(checkpointsOf(), trained);
  });

  test("refuses what is no recipe before anything is run", async () => {
    const { code, err } = await study(["broken.json"]);
    assert.equal(code, 2);
    assert.match(err, /model/);
  });
});
