import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Disk, realDisk } from "../src/core/disk.js";
import { UsageError } from "../src/core/errors.js";
import { type Checkpoint, readCheckpoint } from "../src/storage/checkpoint.js";
import { checkRecipe, type RecipeInput, recipeToJson } from "../src/train/recipe/recipe.js";
import { Run } from "../src/train/run/folder.js";

const root = mkdtempSync(join(tmpdir(), "runs-"));
after(() => rmSync(root, { recursive: true }));
let count = 0;

/** A recipe whose run folder nothing else uses. */
const recipeFor = (more: RecipeInput = {}) =>
  checkRecipe({ model: "m", trainData: "d", steps: 100, logs: root, name: `run-${count++}`, ...more });
type Recipe = ReturnType<typeof recipeFor>;

const filesAt = (step: number) => ({
  "params.safetensors": new Uint8Array(100).fill(step),
  "optimizer.safetensors": [new Uint8Array(60).fill(step), new Uint8Array(40).fill(step + 1)],
});

/** Trains up to `to` as a trainer would: a line a step, a score and a checkpoint every two. */
function trainTo(run: Run, to: number): void {
  for (let step = (run.resumed?.step ?? 0) + 1; step <= to; step++) {
    run.appendMetrics({ step, loss: 1 / step });
    if (step % 2 !== 0) continue;
    run.appendEvaluation({ step, value: step });
    run.saveCheckpoint(step, filesAt(step), { samplesSeen: step * 64 });
  }
}

/** The real disk but for waiting on it, which takes most of the time and which no test here can see. */
const quickDisk: Disk = {
  ...realDisk,
  sync() {},
  writeNew: (path, content) => writeFileSync(path, bytesOf(content)),
};

/** Opens, trains and closes, as one process would. */
function sitting(recipe: Recipe, to: number, disk: Disk = quickDisk): void {
  using run = Run.open(recipe, disk);
  trainTo(run, to);
}

class Killed extends Error {}

/** Removes a lock whose holder was killed for a test: its process, this one, lives. */
function unlock({ name }: Recipe): void {
  const folder = join(root, name);
  for (const file of existsSync(folder) ? readdirSync(folder) : [])
    if (/^lock-\d+\.json$/.test(file)) rmSync(join(folder, file));
}

/** The bytes of a file as one. */
const bytesOf = (content: Parameters<Disk["writeNew"]>[1]): Uint8Array =>
  typeof content === "string"
    ? Buffer.from(content)
    : content instanceof Uint8Array
      ? content
      : Buffer.concat([...content]);

/**
 * A disk on which operation number `at` fails half-way with `error`. After a kill nothing more happens on it;
 * a full disk stays full for writing, but removing works.
 */
function failing(at: number, error: () => Error): Disk & { readonly operations: number } {
  let operations = 0;
  const dead = () => operations > at && error() instanceof Killed;
  const failed = () => operations === at;
  const before = () => {
    if (dead()) throw error();
    operations++;
  };
  const writing = () => operations >= at;
  return {
    get operations() {
      return operations;
    },
    makeFolder(path) {
      before();
      if (failed()) throw error();
      quickDisk.makeFolder(path);
    },
    writeNew(path, content) {
      before();
      if (writing()) {
        const bytes = bytesOf(content);
        writeFileSync(path, bytes.subarray(0, bytes.length >> 1));
        throw error();
      }
      quickDisk.writeNew(path, content);
    },
    append(path, text) {
      before();
      if (writing()) {
        quickDisk.append(path, text.slice(0, text.length >> 1));
        throw error();
      }
      quickDisk.append(path, text);
    },
    sync() {
      before();
      if (failed()) throw error();
    },
    rename(from, to) {
      before();
      if (failed()) throw error();
      quickDisk.rename(from, to);
    },
    link(from, to) {
      before();
      if (failed()) throw error();
      quickDisk.link(from, to);
    },
    remove(path) {
      if (dead()) throw error();
      if (!(error() instanceof Killed)) return quickDisk.remove(path);
      before();
      if (failed()) {
        // A kill between the files of a folder: the first is gone, the rest is there.
        const [first] = existsSync(path) ? readdirSync(path) : [];
        if (first !== undefined) rmSync(join(path, first), { recursive: true });
        throw error();
      }
      quickDisk.remove(path);
    },
  };
}

const full = () => Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });

/** What must hold of a run folder at any time, whatever happened. */
function assertSound(recipe: Recipe, atLeast: number): Checkpoint | undefined {
  using run = Run.open(recipe, quickDisk);
  const latest = run.resumed;
  const step = latest?.step ?? 0;
  assert(step >= atLeast, `the latest checkpoint is of step ${step}, earlier work reached ${atLeast}`);
  if (latest) {
    assert.deepEqual(latest.state, { samplesSeen: step * 64 });
    assert.deepEqual([...readFileSync(join(latest.path, "params.safetensors"))], Array(100).fill(step % 256));
  }
  assert.deepEqual(
    run.readMetrics().map((line) => line.step),
    Array.from({ length: step }, (_, i) => i + 1),
    "metrics reach to the checkpoint, none doubled or lost",
  );
  assert.deepEqual(
    readdirSync(join(run.path, "checkpoints")).filter((name) => name.startsWith(".")),
    [],
    "nothing unfinished is left",
  );
  return latest;
}

suite("Run", () => {
  test("a new run holds its recipe and nothing to continue from", () => {
    const recipe = recipeFor();
    using run = Run.open(recipe);
    assert.equal(run.resumed, undefined);
    const config = JSON.parse(readFileSync(run.file("config.json"), "utf8"));
    assert.deepEqual(checkRecipe(config), recipe);
  });

  test("opening it again continues from the latest checkpoint", () => {
    const recipe = recipeFor();
    sitting(recipe, 5);
    using run = Run.open(recipe);
    assert.equal(run.resumed?.step, 4);
    assert.deepEqual(run.resumed?.files, ["params.safetensors", "optimizer.safetensors"]);
    trainTo(run, 8);
    assert.deepEqual(
      run.readMetrics().map(({ step }) => step),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.deepEqual(
      run.readEvaluation().map(({ step }) => step),
      [2, 4, 6, 8],
    );
  });

  test("opening it takes away what a killed writer was replacing, and nothing that others write", () => {
    const recipe = recipeFor();
    sitting(recipe, 2);
    const folder = join(recipe.logs, recipe.name);
    for (const name of ["config.json.tmp", "result.json.tmp"]) writeFileSync(join(folder, name), "{");
    sitting(recipe, 3);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith(".tmp")),
      ["result.json.tmp"],
    );
  });

  test("before the first checkpoint it begins anew, with the lines of the first try gone", () => {
    const recipe = recipeFor();
    {
      using run = Run.open(recipe);
      run.appendEvaluation({ step: 0, value: 0 });
      run.appendEvaluation({ task: "later", value: 1 });
      run.appendMetrics({ step: 1 });
    }
    using run = Run.open(recipe);
    assert.deepEqual(run.readMetrics(), []);
    assert.deepEqual(run.readEvaluation(), [{ task: "later", value: 1 }]);
  });

  test("keeps the last few, and the best by score", () => {
    const recipe = recipeFor({ keepLast: 2, keepBest: "val/val_loss", valSplit: 0.1 });
    using run = Run.open(recipe);
    const losses = [3, 1, 2, 1, Number.NaN];
    losses.forEach((value, i) => {
      run.saveCheckpoint(i + 1, filesAt(i), {}, { metric: "val/val_loss", value });
    });
    assert.deepEqual(
      run.listCheckpoints().map(({ step }) => step),
      [2, 4, 5],
    );
  });

  test("a checkpoint that is there already stays", () => {
    using run = Run.open(recipeFor());
    const first = run.saveCheckpoint(2, filesAt(2), { tries: 1 });
    assert.deepEqual(run.saveCheckpoint(2, filesAt(9), { tries: 2 }), first);
  });

  test("a checkpoint with a file cut short or missing is passed over", () => {
    const recipe = recipeFor({ keepLast: 5 });
    sitting(recipe, 6);
    const folder = join(root, recipe.name, "checkpoints");
    writeFileSync(join(folder, "step-00000006", "params.safetensors"), "short");
    rmSync(join(folder, "step-00000004", "optimizer.safetensors"));
    mkdirSync(join(folder, "step-00000009"));
    writeFileSync(join(folder, "step-00000002", "unrelated"), "");
    assert.equal(readCheckpoint(join(folder, "step-00000006")), undefined);
    assert.equal(assertSound(recipe, 2)?.step, 2);
    sitting(recipe, 6);
    assert.equal(assertSound(recipe, 6)?.step, 6);
  });

  test("one with a bit turned is passed over in one line, and written anew", () => {
    const recipe = recipeFor({ keepLast: 5 });
    sitting(recipe, 8);
    const folder = join(root, recipe.name, "checkpoints");
    const turn = (file: string, at: number) => {
      const bytes = readFileSync(join(folder, file));
      bytes[at]! ^= 1;
      writeFileSync(join(folder, file), bytes);
    };
    turn("step-00000008/params.safetensors", 50);
    writeFileSync(join(folder, "step-00000006", "state.json"), "null");
    const state = join(folder, "step-00000004", "state.json");
    writeFileSync(state, readFileSync(state, "utf8").replace(`"samplesSeen": 256`, `"samplesSeen": 255`));
    {
      using run = Run.open(recipe, quickDisk);
      assert.equal(run.resumed?.step, 2);
      assert.deepEqual(
        run.notes.map((line) => line.replace(folder, "")),
        [
          "Passed over /step-00000008: params.safetensors does not fit its checksum.",
          "Passed over /step-00000006: its state.json is of format undefined, not 2.",
          "Passed over /step-00000004: its state.json does not fit its checksum.",
        ],
      );
      trainTo(run, 8);
    }
    using run = Run.open(recipe, quickDisk);
    assert.deepEqual([run.resumed?.step, run.notes], [8, []]);
    const params = readFileSync(join(folder, "step-00000008/params.safetensors"));
    assert(params.every((byte) => byte === 8));
  });

  test("refuses another recipe, naming what differs and what to do", () => {
    const recipe = recipeFor();
    sitting(recipe, 2);
    const other = recipeFor({ name: recipe.name, lr: 1e-3, seed: 7 });
    assert.throws(
      () => Run.open(other),
      (error) =>
        error instanceof UsageError &&
        /lr 0\.001 \(was 0\.0005\), seed 7 \(was 0\)\..*--name run-\d+-2/.test(error.message),
    );
    assertSound(recipe, 2);
  });

  test("before the first checkpoint other settings begin anew, and nothing of the first try is left", () => {
    const recipe = recipeFor();
    const plan = { totalSteps: 9, samplesPerEpoch: 100, batchSize: 64, measuredSteps: 0 };
    {
      using run = Run.open(recipe);
      run.savePlan(plan);
      run.writeFile("tokenizer.json", "{}");
      run.appendMetrics({ step: 1 });
    }
    {
      using again = Run.open(recipe);
      assert.equal(again.savePlan({ ...plan, samplesPerEpoch: 90 }).samplesPerEpoch, 90, "and other data");
    }
    using run = Run.open({ ...recipe, lr: 1e-3 });
    const left = readdirSync(run.path).filter((name) => !name.includes("lock"));
    assert.deepEqual(left.sort(), ["checkpoints", "config.json"]);
    assert.equal(JSON.parse(readFileSync(run.file("config.json"), "utf8")).lr, 1e-3);
  });

  test("settings that do not touch the weights may change, and are recorded", () => {
    const recipe = recipeFor();
    sitting(recipe, 2);
    using run = Run.open(recipeFor({ name: recipe.name, workers: 3, saveFrequency: "1m", keepLast: 4 }));
    assert.equal(run.resumed?.step, 2);
    assert.equal(JSON.parse(readFileSync(run.file("config.json"), "utf8")).workers, 3);
  });

  test("--resume none leaves an earlier run alone", () => {
    const recipe = recipeFor();
    sitting(recipe, 2);
    assert.throws(() => Run.open({ ...recipe, resume: "none" }), /exists already.*--name/);
  });

  test("one that ends before its first step leaves nothing, and takes no folder of others along", () => {
    const logs = join(root, "logs", "deep");
    const recipe = recipeFor({ logs });
    {
      using run = Run.open(recipe, quickDisk);
      run.writeFile("tokenizer.json", "{}");
    }
    assert.equal(existsSync(join(root, "logs")), false);
    const own = recipeFor();
    mkdirSync(join(root, own.name));
    {
      using _ = Run.open(own, quickDisk);
    }
    assert.deepEqual(readdirSync(join(root, own.name)), []);
    const kept = recipeFor();
    {
      using run = Run.open(kept, quickDisk);
      run.appendMetrics({ step: 1 });
    }
    assert(existsSync(join(root, kept.name, "metrics.jsonl")));
  });

  for (const [file, text, tells] of [
    ["config.json", "null", /config\.json: it must be what Clipwright wrote/],
    ["config.json", "", /config\.json:1:1: must be JSON/],
    ["config.json", "[]", /config\.json: it must be what/],
    ["plan.json", "null", /plan\.json: it must be what/],
    ["plan.json", '{"totalSteps":9', /plan\.json:1:16: must be JSON/],
    [
      "plan.json",
      '{"totalSteps":"9"}',
      /plan\.json: totalSteps must be what .*Restore it, or start another run/,
    ],
    ["start.json", '{"fresh":3}', /start\.json: fresh must be what/],
  ] as const) {
    test(`${file} with ${text === "" ? "nothing" : text} is one line`, () => {
      const recipe = recipeFor();
      sitting(recipe, 2);
      writeFileSync(join(root, recipe.name, file), text);
      assert.throws(
        () => {
          using run = Run.open(recipe, quickDisk);
          run.savePlan({ totalSteps: 9, samplesPerEpoch: 100, batchSize: 64, measuredSteps: 0 });
          run.saveStart({ fresh: [] });
        },
        (error) => error instanceof UsageError && tells.test(error.message) && !error.message.includes("\n"),
      );
    });
  }

  test("lines of metrics.jsonl that are none are dropped when it goes on", () => {
    const recipe = recipeFor();
    sitting(recipe, 2);
    const path = join(root, recipe.name, "metrics.jsonl");
    writeFileSync(path, `null\n[1]\n{"step":"1"}\n${readFileSync(path, "utf8")}{"ste`);
    assertSound(recipe, 2);
  });

  test("refuses a folder that is something else, or not readable as a run", () => {
    const recipe = recipeFor();
    mkdirSync(join(root, recipe.name));
    writeFileSync(join(root, recipe.name, "thesis.tex"), "");
    assert.throws(() => Run.open(recipe), /holds something else; got thesis\.tex/);
    const broken = recipeFor();
    mkdirSync(join(root, broken.name));
    writeFileSync(join(root, broken.name, "config.json"), "{");
    assert.throws(() => Run.open(broken), /config\.json:1:2: must be JSON/);
  });

  test("a plan is fixed once, and data of another size are refused", () => {
    const recipe = recipeFor();
    sitting(recipe, 2);
    using run = Run.open(recipe);
    const plan = { totalSteps: undefined, samplesPerEpoch: 100, batchSize: 64, measuredSteps: 0 };
    assert.equal(run.savePlan(plan).totalSteps, undefined);
    assert.equal(run.savePlan({ ...plan, totalSteps: 50, measuredSteps: 10 }).totalSteps, 50);
    assert.equal(run.savePlan({ ...plan, totalSteps: 70 }).totalSteps, 50);
    assert.equal(run.plan?.measuredSteps, 10);
    assert.throws(() => run.savePlan({ ...plan, samplesPerEpoch: 90 }), /got 90 samples, was 100/);
    const data = { samples: 100, captions: "a", sizes: "b", content: "c", times: "d" };
    run.writeFile("plan.json", JSON.stringify({ ...plan, totalSteps: 50, data }));
    assert.equal(run.savePlan({ ...plan, data: { ...data, times: "later" } }).totalSteps, 50);
    assert.throws(
      () => run.savePlan({ ...plan, data: { ...data, captions: "other" } }),
      /trainData: must be what the run began with; got other captions or labels\./,
    );
    assert.throws(
      () =>
        run.savePlan({ ...plan, samplesPerEpoch: 40, data: { ...data, samples: 40, selection: "5e1ec7" } }),
      /trainData: must be what the run began with; got a selection, was none, 40 samples, was 100\./,
    );
  });
});

suite("Run under failure", () => {
  /** Operations that a sitting from step 2 to 4, and from 4 to 6 takes. */
  const operations = () => {
    const recipe = recipeFor({ keepLast: 1 });
    sitting(recipe, 2);
    const disk = failing(Number.POSITIVE_INFINITY, full);
    const counting = failing(Number.POSITIVE_INFINITY, () => new Killed());
    sitting(recipe, 4, disk);
    sitting(recipe, 6, counting);
    return Math.max(disk.operations, counting.operations) + 1;
  };

  test("a kill at any operation leaves the old or the new checkpoint, and the run goes on", () => {
    const total = operations();
    assert(total > 20, `${total} operations are few`);
    for (let at = 1; at <= total; at++) {
      const recipe = recipeFor({ keepLast: 1 });
      sitting(recipe, 2);
      try {
        sitting(
          recipe,
          6,
          failing(at, () => new Killed()),
        );
      } catch (error) {
        assert(error instanceof Killed, `operation ${at}: ${error}`);
      }
      // A killed process leaves its lock behind; this process is alive, so the test removes it.
      unlock(recipe);
      assertSound(recipe, 2);
      sitting(recipe, 4);
      assertSound(recipe, 4);
    }
  });

  test("a process killed with SIGKILL at random moments loses nothing that was saved", async () => {
    const recipe = recipeFor({ keepLast: 2 });
    const source = (file: string) => JSON.stringify(new URL(`../src/train/${file}`, import.meta.url).href);
    const program = `
      import { Run } from ${source("run/folder.js")};
      import { checkRecipe } from ${source("recipe/recipe.js")};
      const run = Run.open(checkRecipe(${JSON.stringify(recipeToJson(recipe))}));
      process.stdout.write("open");
      for (let step = (run.resumed?.step ?? 0) + 1; ; step++) {
        run.appendMetrics({ step });
        const files = { "params.safetensors": new Uint8Array(100).fill(step) };
        run.saveCheckpoint(step, files, { samplesSeen: step * 64 });
      }`;
    let reached = 0;
    for (let kill = 0; kill < 6; kill++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      let complaint = "";
      child.stderr.on("data", (piece) => {
        complaint += piece;
      });
      const ended = once(child, "exit");
      await Promise.race([once(child.stdout, "data"), ended]);
      await delay(20 + 17 * kill);
      child.kill("SIGKILL");
      await ended;
      assert.equal(complaint, "");
      reached = assertSound(recipe, reached)?.step ?? 0;
    }
    assert(reached > 0);
  });

  test("a kill in a run's first moments leaves a folder that can be begun again", () => {
    for (let at = 1; at <= 20; at++) {
      const recipe = recipeFor();
      assert.throws(
        () =>
          sitting(
            recipe,
            4,
            failing(at, () => new Killed()),
          ),
        Killed,
      );
      unlock(recipe);
      assertSound(recipe, 0);
      sitting(recipe, 4);
      assertSound(recipe, 4);
    }
  });

  test("a disk that fills up at any write is one clear line, and the run goes on when there is room", () => {
    const total = operations();
    for (let at = 1; at <= total; at++) {
      const recipe = recipeFor({ keepLast: 1 });
      sitting(recipe, 2);
      let message: string | undefined;
      try {
        sitting(recipe, 4, failing(at, full));
      } catch (error) {
        assert(error instanceof UsageError, `operation ${at}: ${(error as Error).stack}`);
        message = error.message;
      }
      if (message !== undefined)
        assert.match(
          message,
          /the disk is full, \d+ MB free \(ENOSPC\)\. Free some space and run the same command again/,
        );
      assertSound(recipe, 2);
      sitting(recipe, 4);
      assertSound(recipe, 4);
    }
  });

  test("a full disk names the step from which the run continues", () => {
    const recipe = recipeFor();
    sitting(recipe, 4);
    using run = Run.open(recipe);
    assert.throws(() => {
      // Only the checkpoint's own writes fail.
      const inner = run as unknown as { disk: Disk };
      inner.disk = {
        ...realDisk,
        writeNew: () => {
          throw full();
        },
      };
      run.saveCheckpoint(5, filesAt(5), {});
    }, /^UsageError: cannot save the checkpoint .*step-00000005: the disk is full, .*It continues from step 4\.$/);
  });

  test("a file where the folder should be, or no permission, is one clear line", () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    assert.throws(
      () => Run.open(recipeFor({ logs: file })),
      (error) => {
        assert(error instanceof UsageError);
        assert.match(
          error.message,
          /cannot open the run .*: a part of the path is a file.*\(ENOTDIR\).*--logs/,
        );
        return true;
      },
    );
    const denied = Object.assign(new Error("EACCES"), { code: "EACCES" });
    const disk = {
      ...realDisk,
      makeFolder: () => {
        throw denied;
      },
    };
    assert.throws(
      () => Run.open(recipeFor(), disk),
      /cannot open the run .*: permission was denied \(EACCES\).*--logs/,
    );
  });
});
