import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { keyFromSeed, Random } from "../src/core/random.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

/** How often a run is killed; `CLIPWRIGHT_KILLS=10 node dist/test/run.js train.resume` for more. */
const KILLS = Number(process.env.CLIPWRIGHT_KILLS ?? 3);
const SEED = Number(process.env.CLIPWRIGHT_KILL_SEED ?? 1);

const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const folder = scratchFolder();

const model = {
  embed_dim: 16,
  vision_cfg: { image_size: 16, patch_size: 8, width: 32, head_width: 16, layers: 2 },
  text_cfg: { context_length: 12, width: 32, heads: 2, layers: 2 },
};

/** Everything that could make a resumed run differ: several captions, augmentation, moving average, held-out pairs. */
const settings = (name: string): string[] => [
  ...[
    "--model",
    join(folder, "tiny.json"),
    "--train-data",
    join(folder, "pairs"),
    "--logs",
    join(folder, "runs"),
  ],
  ...["--name", name, "--batch-size", "8", "--vocab-size", "300", "--ema-decay", "0.9", "--threads", "1"],
  ...["--val-split", "0.2", "--val-frequency", "7 steps", "--save-frequency", "5 steps", "--workers", "1"],
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

/** The last checkpoint's tensors, byte for byte, by file name. */
function weightsOf(name: string): Record<string, string> {
  const checkpoints = join(runFolder(name), "checkpoints");
  const last = readdirSync(checkpoints).sort().at(-1)!;
  const path = join(checkpoints, last);
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
  for (const file of ["tokenizer.json", "open_clip_config.json", "plan.json"]) {
    assert.equal(
      readFileSync(join(runFolder(name), file), "utf8"),
      readFileSync(join(runFolder(reference), file), "utf8"),
    );
  }
  const checkpoints = (run: string) => readdirSync(join(runFolder(run), "checkpoints")).sort();
  assert.deepEqual(checkpoints(name), checkpoints(reference), "the checkpoints that are kept");
  const strays = readdirSync(runFolder(name)).filter((file) => /tmp|lock/.test(file));
  assert.deepEqual(strays, []);
}

const isThere = (path: string) => async (ended: Promise<unknown>) => {
  let over = false;
  ended.then(() => {
    over = true;
  });
  while (!over && !existsSync(path)) await delay(2);
};

suite("clipwright train, ended and run again", () => {
  const STEPS = ["--steps", "24"];
  let secondsForAll = 0;

  before(async () => {
    put(folder, "tiny.json", JSON.stringify(model));
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

  test("kill -9 at random moments: everything ends as in an uninterrupted run", async () => {
    const random = new Random(keyFromSeed(SEED));
    let kills = 0;
    for (let sitting = 0; ; sitting++) {
      assert(sitting < 4 * KILLS, `only ${kills} of ${sitting} sittings were killed before their end`);
      const wait = kills < KILLS ? (0.05 + 0.95 * random.uniform()) * secondsForAll * 1000 : undefined;
      const { code, signal, err } = await clipwright(
        [...settings("killed"), ...STEPS],
        async (child, ended) => {
          if (wait === undefined) return;
          await Promise.race([delay(wait, undefined, { ref: false }), ended]);
          child.kill("SIGKILL");
        },
      );
      if (signal === "SIGKILL") kills++;
      else {
        assert.equal(code, 0, err);
        break;
      }
    }
    assertSameRun("killed", "whole");
  });

  test("kill -9 before the first checkpoint, while one is written, and right after it", async () => {
    const moments = [
      join(runFolder("moments"), "tokenizer.json"),
      join(runFolder("moments"), "checkpoints", ".writing-step-00000005"),
      join(runFolder("moments"), "checkpoints", "step-00000010"),
    ];
    for (const path of moments) {
      const { signal, err } = await clipwright([...settings("moments"), ...STEPS], async (child, ended) => {
        await isThere(path)(ended);
        child.kill("SIGKILL");
      });
      assert.equal(signal, "SIGKILL", err);
    }
    const { code, err } = await clipwright([...settings("moments"), ...STEPS]);
    assert.equal(code, 0, err);
    assert.match(err, /Continues .* from step 10 of 24/);
    assertSameRun("moments", "whole");
  });

  test("Ctrl-C and SIGTERM save and stop with 130; the run goes on from that very step", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const { code, out, err } = await clipwright(
        [...settings("stopped"), ...STEPS],
        async (child, ended) => {
          const path = join(
            runFolder("stopped"),
            "checkpoints",
            signal === "SIGINT" ? "step-00000005" : "step-00000010",
          );
          await isThere(path)(ended);
          child.kill(signal);
        },
      );
      assert.equal(code, 130, err);
      assert.match(out, /^Stopped, saved; the same command continues/);
    }
    const { code, err } = await clipwright([...settings("stopped"), ...STEPS]);
    assert.equal(code, 0, err);
    assertSameRun("stopped", "whole");
  });

  test("a run that is done says what it said at its end, and changes nothing", async () => {
    const before = weightsOf("whole");
    const first = linesOf("whole", "evaluation.jsonl");
    const { code, out } = await clipwright([...settings("whole"), ...STEPS]);
    assert.equal(code, 0);
    assert.match(out, /^Done: 24 steps, 192 samples in .*, loss [1-9]/);
    assert.match(out, /text → image R@5/);
    assert.deepEqual(weightsOf("whole"), before);
    assert.deepEqual(linesOf("whole", "evaluation.jsonl"), first);
  });
});
