import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { keyFromSeed, Random } from "../src/core/random.js";
import { SafetensorsFile } from "../src/core/safetensors.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

/** How often a run is killed; `CLIPWRIGHT_KILLS=10 node dist/test/run.js train.resume` for more. */
const KILLS = Number(process.env.CLIPWRIGHT_KILLS ?? 2);
const SEED = Number(process.env.CLIPWRIGHT_KILL_SEED ?? 1);

const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const folder = scratchFolder();

const model = {
  embed_dim: 16,
  vision_cfg: { image_size: 16, patch_size: 8, width: 32, head_width: 16, layers: 1 },
  text_cfg: { context_length: 12, width: 32, heads: 2, layers: 1 },
};

/** Batch norms, whose running statistics are state, and stochastic depth. */
const resnet = {
  ...model,
  vision_cfg: {
    image_size: 16,
    timm_model_name: "resnet18d",
    timm_model_args: { layers: [1, 1, 1, 1], channels: [4, 4, 8, 8], stem_width: 4 },
    timm_drop_path: 0.2,
  },
};

/** Everything that could make a resumed run differ: several captions, augmentation, moving average, held-out pairs. */
const settings = (name: string, file = "tiny.json"): string[] => [
  ...["--model", join(folder, file), "--train-data", join(folder, "pairs"), "--logs", join(folder, "runs")],
  ...["--name", name, "--batch-size", "8", "--vocab-size", "300", "--ema-decay", "0.9", "--threads", "1"],
  ...["--val-split", "0.2", "--val-frequency", "11 steps", "--save-frequency", "5 steps", "--workers", "1"],
  ...[
    "--log-every-n-steps",
    "3",
    "--crop-scale",
    "0.4,1",
    "--flip",
    "0.5",
    "--color-jitter",
    "0.4,0.4,0.4,0.1",
  ],
  ...["--keep-best", "val/zeroshot_retrieval/image_retrieval_recall@5", "--keep-last", "2", "--seed", "3"],
];

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `clipwright train`; `interrupt` may end it with a signal. */
async function clipwright(
  words: readonly string[],
  interrupt?: (child: ReturnType<typeof spawn>, ended: Promise<unknown>) => Promise<void>,
): Promise<Ended> {
  const child = spawn(process.execPath, [main, "train", ...words], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (piece) => {
    out += piece;
  });
  child.stderr.on("data", (piece) => {
    err += piece;
  });
  const ended = once(child, "close");
  await interrupt?.(child, ended);
  const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null];
  return { code, signal, out, err };
}

const runFolder = (name: string) => join(folder, "runs", name);

const lastCheckpoint = (name: string): string =>
  readdirSync(join(runFolder(name), "checkpoints"))
    .filter((file) => file.startsWith("step-"))
    .sort()
    .at(-1) ?? "none";

/** The last checkpoint's tensors, byte for byte, by file name. */
function weightsOf(name: string): Record<string, string> {
  const last = lastCheckpoint(name);
  const path = join(runFolder(name), "checkpoints", last);
  return Object.fromEntries(
    ["params", "optimizer", "ema"].map((file) => [
      `${last}/${file}`,
      readFileSync(join(path, `${file}.safetensors`)).toString("base64"),
    ]),
  );
}

const linesOf = (name: string, file: string): Record<string, unknown>[] =>
  readFileSync(join(runFolder(name), file), "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));

/** What the clock and the machine's load decide. */
const CLOCK = ["seconds", "samplesPerSecond", "dataWaitShare", "memoryBytes"];
const withoutClock = (lines: readonly Record<string, unknown>[]) =>
  lines.map((line) => Object.fromEntries(Object.entries(line).filter(([key]) => !CLOCK.includes(key))));

/** Asserts that two runs ended alike: weights, optimizer, averages, every logged number but times. */
function assertSameRun(name: string, reference: string): void {
  assert.deepEqual(weightsOf(name), weightsOf(reference), "weights, optimizer and averages to the bit");
  for (const file of ["metrics.jsonl", "evaluation.jsonl"]) {
    assert.deepEqual(withoutClock(linesOf(name, file)), withoutClock(linesOf(reference, file)), file);
  }
  for (const file of ["tokenizer.json", "model.json", "plan.json"]) {
    assert.equal(
      readFileSync(join(runFolder(name), file), "utf8"),
      readFileSync(join(runFolder(reference), file), "utf8"),
    );
  }
  const checkpoints = (run: string) => readdirSync(join(runFolder(run), "checkpoints")).sort();
  assert.deepEqual(checkpoints(name), checkpoints(reference), "the checkpoints that are kept");
  const strays = readdirSync(runFolder(name)).filter((file) => /tmp|^lock|draft/.test(file));
  assert.deepEqual(strays, []);
}

const isThere =
  (...paths: string[]) =>
  async (ended: Promise<unknown>) => {
    let over = false;
    ended.then(() => {
      over = true;
    });
    while (!over && !paths.some((path) => existsSync(path))) await delay(2);
  };

suite("clipwright train, ended and run again", { concurrency: 2 }, () => {
  const STEPS = ["--steps", "40"];
  let secondsForAll = 0;

  before(async () => {
    put(folder, "tiny.json", JSON.stringify(model));
    put(folder, "resnet.json", JSON.stringify(resnet));
    for (let i = 0; i < 40; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 24 + (i % 5), 20 + (i % 7)));
      put(folder, `pairs/${i}.txt`, `picture number ${i}\na drawing, the ${i}th\nsomething of kind ${i % 4}`);
    }
    put(folder, "pairs/broken.png", "no picture");
    put(folder, "pairs/broken.txt", "a picture that cannot be read");
    const start = performance.now();
    const { code, err } = await clipwright([...settings("whole"), ...STEPS]);
    secondsForAll = (performance.now() - start) / 1000;
    assert.equal(code, 0, err);
  });

  test("kill -9 at awkward and at random moments: everything ends as in an uninterrupted run", async () => {
    const run = (interrupt?: Parameters<typeof clipwright>[1]) =>
      clipwright([...settings("killed"), ...STEPS], interrupt);
    const awkward = [
      ["tokenizer.json"], // before the first checkpoint
      ["checkpoints/.writing-step-00000005", "checkpoints/step-00000005"], // while it is written, or just after
      ["checkpoints/step-00000015"], // when older ones are removed
    ];
    for (const files of awkward) {
      const { signal, err } = await run(async (child, ended) => {
        await isThere(...files.map((file) => join(runFolder("killed"), file)))(ended);
        child.kill("SIGKILL");
      });
      assert.equal(signal, "SIGKILL", err);
    }
    const random = new Random(keyFromSeed(SEED));
    const killedAt: string[] = [];
    for (let sitting = 0; sitting < KILLS; sitting++) {
      // Later ones have less to do: with this the last still finds some.
      const wait = (0.1 + 0.6 * random.uniform()) * secondsForAll * 1000;
      const { signal, err } = await run(async (child, ended) => {
        await Promise.race([delay(wait, undefined, { ref: false }), ended]);
        child.kill("SIGKILL");
      });
      killedAt.push(
        signal === "SIGKILL" ? `${Math.round(wait)} ms: ${lastCheckpoint("killed")}` : "was done",
      );
      assert(signal === "SIGKILL" || /This run was done before|step 40\/40/.test(err), err);
    }
    if (process.env.CLIPWRIGHT_KILLS !== undefined) process.stderr.write(`${killedAt.join("\n")}\n`);
    const { code, err } = await run();
    assert.equal(code, 0, err);
    assertSameRun("killed", "whole");
  });

  test("a signal to stop saves that very step, and the same command goes on from it", async () => {
    const run = (interrupt?: Parameters<typeof clipwright>[1]) =>
      clipwright([...settings("stopped"), ...STEPS], interrupt);
    const { code, out, err } = await run(async (child, ended) => {
      await isThere(join(runFolder("stopped"), "checkpoints", "step-00000005"))(ended);
      child.kill("SIGTERM");
    });
    assert.equal(code, 130, err);
    assert.match(out, /^Stopped, saved; the same command continues/);
    const step = Number(/(\d+) steps/.exec(out)?.[1]);
    assert.equal(lastCheckpoint("stopped"), `step-${String(step).padStart(8, "0")}`);
    const rest = await run();
    assert.equal(rest.code, 0, rest.err);
    assert.match(rest.err, new RegExp(`Continues .* from step ${step} of 40`));
    assertSameRun("stopped", "whole");
  });

  test("pairs are picked as if it had never been killed", async () => {
    const picking = ["--pick", "hard", "--pick-filter-ratio", "0.5", "--pick-chunks", "4", "--steps", "12"];
    const run = (name: string) => [...settings(name), ...picking];
    const { code, err } = await clipwright(run("picking"));
    assert.equal(code, 0, err);
    await clipwright(run("picking-killed"), async (child, ended) => {
      await isThere(join(runFolder("picking-killed"), "checkpoints", "step-00000005"))(ended);
      child.kill("SIGKILL");
    });
    const rest = await clipwright(run("picking-killed"));
    assert.equal(rest.code, 0, rest.err);
    assertSameRun("picking-killed", "picking");
  });

  test("running statistics go on from where they were, and lie beside the weights and beside their average", async () => {
    const run = (name: string) => [...settings(name, "resnet.json"), "--steps", "8"];
    const { code, err } = await clipwright(run("statistics"));
    assert.equal(code, 0, err);
    await clipwright(run("statistics-killed"), async (child, ended) => {
      await isThere(join(runFolder("statistics-killed"), "checkpoints", "step-00000005"))(ended);
      child.kill("SIGKILL");
    });
    const rest = await clipwright(run("statistics-killed"));
    assert.equal(rest.code, 0, rest.err);
    assertSameRun("statistics-killed", "statistics");

    const checkpoint = join(runFolder("statistics"), "checkpoints", lastCheckpoint("statistics"));
    using weights = new SafetensorsFile(join(checkpoint, "params.safetensors"));
    using averages = new SafetensorsFile(join(checkpoint, "ema.safetensors"));
    const statistics = weights.names.filter((name) => /\.running_(mean|var)$/.test(name));
    assert.equal(statistics.length, 2 * 15);
    for (const name of statistics) {
      const values = weights.read(name);
      assert.ok(!values.every((v) => v === (name.endsWith("mean") ? 0 : 1)), `${name} moved`);
      assert.deepEqual(averages.read(name), values);
    }
  });

  test("a run that is done says what it said at its end, and changes nothing", async () => {
    const before = weightsOf("whole");
    const first = linesOf("whole", "evaluation.jsonl");
    const { code, out } = await clipwright([...settings("whole"), ...STEPS]);
    assert.equal(code, 0);
    assert.match(out, /^Done: 40 steps, 320 samples in .*, loss [1-9]/);
    assert.match(out, /text → image R@5/);
    assert.deepEqual(weightsOf("whole"), before);
    assert.deepEqual(linesOf("whole", "evaluation.jsonl"), first);
  });
});
