/** Training over several processes, as a launcher starts them: real processes, store and folder; the engine is a test's. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";

const trainer = fileURLToPath(new URL("./support/trainer.js", import.meta.url));
const folder = scratchFolder();

const model = {
  embed_dim: 4,
  vision_cfg: { image_size: 8, patch_size: 8, width: 8, head_width: 8, layers: 1 },
  text_cfg: { context_length: 8, width: 8, heads: 1, layers: 1 },
};
const STEPS = 5;

/** Five rows a batch, which two devices do not divide; captions that repeat, and a picture that cannot be read. */
const settings = (name: string): string[] =>
  [
    `--model ${join(folder, "tiny.json")} --train-data ${join(folder, "pairs")} --logs ${join(folder, "runs")}`,
    `--name ${name} --steps ${STEPS} --batch-size 5 --vocab-size 280 --workers 1 --seed 3 --log-every-n-steps 1`,
    "--save-frequency 2steps --keep-last 9 --val-split 0.2 --crop-scale 0.5,1 --flip 0.5 --ema-decay 0.9",
  ]
    .join(" ")
    .split(" ");

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(program: string, words: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [program, "train", ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const text = { out: "", err: "" };
  child.stdout.on("data", (piece) => (text.out += piece));
  child.stderr.on("data", (piece) => (text.err += piece));
  const ended = once(child, "close").then(([code]): Ended => ({ code: code as number | null, ...text }));
  return { child, ended };
}

/** Two processes, as torchrun starts them. */
async function pair(
  words: readonly (readonly string[])[],
  {
    env = {},
    interrupt,
  }: { env?: Record<string, string>; interrupt?: (children: ChildProcess[]) => unknown } = {},
): Promise<[Ended, Ended]> {
  const port = await freePort();
  const started = [0, 1].map((rank) =>
    start(trainer, words[rank] ?? words[0]!, {
      RANK: String(rank),
      LOCAL_RANK: String(rank),
      WORLD_SIZE: "2",
      MASTER_ADDR: "127.0.0.1",
      MASTER_PORT: String(port - 1),
      ...env,
    }),
  );
  await interrupt?.(started.map(({ child }) => child));
  const [first, second] = await Promise.all(started.map(({ ended }) => ended));
  return [first!, second!];
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

const runFolder = (name: string) => join(folder, "runs", name);

/** The last checkpoint's tensors, byte for byte. */
function weightsOf(name: string): string[] {
  const last = readdirSync(join(runFolder(name), "checkpoints"))
    .sort()
    .at(-1)!;
  const path = join(runFolder(name), "checkpoints", last);
  return ["params", "optimizer", "ema"].map(
    (file) => `${last}/${file} ${readFileSync(join(path, `${file}.safetensors`)).toString("base64")}`,
  );
}

/** What the clock and the machine's load decide. */
const CLOCK = ["seconds", "samplesPerSecond", "dataWaitShare", "memoryBytes"];
const linesOf = (name: string, file: string): Record<string, unknown>[] =>
  readFileSync(join(runFolder(name), file), "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) =>
      Object.fromEntries(Object.entries(JSON.parse(line)).filter(([key]) => !CLOCK.includes(key))),
    );

function assertSameRun(name: string, reference: string): void {
  assert.deepEqual(weightsOf(name), weightsOf(reference), "weights, optimizer and averages to the bit");
  for (const file of ["metrics.jsonl", "evaluation.jsonl"])
    assert.deepEqual(linesOf(name, file), linesOf(reference, file), file);
  // But for the number of sittings, which the lock keeps.
  const files = (run: string) => readdirSync(runFolder(run)).filter((file) => !file.startsWith(".lock-"));
  assert.deepEqual(files(name).sort(), files(reference).sort());
}

/** Returns once the run has a checkpoint of the step. */
async function checkpoint(name: string, step: number): Promise<void> {
  const path = join(runFolder(name), "checkpoints", `step-${String(step).padStart(8, "0")}`);
  while (!existsSync(path)) await delay(5);
}

const xla = ["--engine", "xla"];

suite("clipwright train in two processes", { timeout: 120_000, concurrency: 2 }, () => {
  before(async () => {
    put(folder, "tiny.json", JSON.stringify(model));
    for (let i = 0; i < 24; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 12, 10));
      put(folder, `pairs/${i}.txt`, `picture number ${i}\nsomething of kind ${i % 3}`);
    }
    put(folder, "pairs/broken.png", "no picture");
    put(folder, "pairs/broken.txt", "a picture that cannot be read");
    const { code, err } = await start(trainer, [...settings("whole"), ...xla, "--devices", "2"]).ended;
    assert.equal(code, 0, err);
  });

  test("they train what two devices of one process do, to the bit; one writes and speaks", async () => {
    const [first, second] = await pair([[...settings("pair"), ...xla]]);
    assert.equal(first.code, 0, first.err);
    assert.equal(second.code, 0, second.err);
    assertSameRun("pair", "whole");
    assert.match(first.err, /over 2 processes/);
    assert.match(first.out, /^Done: 5 steps, 25 samples/);
    assert.equal(second.out, "");
    const strange = second.err
      .split("\n")
      .filter((line) => !/^(?: +! Process 1: Skipped broken.*)?$/.test(line));
    assert.deepEqual(strange, []);
    assert.match(first.err + second.err, /Skipped broken/);
  });

  for (const killed of [0, 1]) {
    const name = `killed-${killed}`;
    test(`process ${killed} is killed while a device waits: the other ends, says so, and leaves a run that goes on`, async () => {
      const words = [...settings(name), ...xla];
      const ended = await pair([words], {
        env: { CLIPWRIGHT_TEST_BLOCKED: "1" },
        async interrupt(children) {
          await checkpoint(name, 2);
          children[killed]!.kill("SIGKILL");
        },
      });
      const left = ended[1 - killed]!;
      assert.equal(left.code, 1, left.err);
      assert.match(
        left.err,
        killed === 0
          ? /clipwright: processes: process 0 has gone away/
          : /clipwright: processes: all must work; process 1 of 2 has failed: it ended without a word/,
      );
      if (killed === 0) return;
      const { code, err } = await start(trainer, [...words, "--devices", "2"]).ended;
      assert.equal(code, 0, err);
      assertSameRun(name, "whole");
    });
  }

  test("a signal to one of them stops and saves the run, and one device goes on with it", async () => {
    const words = [...settings("stopped"), ...xla];
    const [first, second] = await pair([words], {
      async interrupt([, other]) {
        await checkpoint("stopped", 2);
        other!.kill("SIGTERM");
      },
    });
    assert.equal(first.code, 130, first.err);
    assert.equal(second.code, 130, second.err);
    const step = Number(/^Stopped, saved; .*: (\d+) steps/.exec(first.out)?.[1]);
    assert(step >= 2 && step < STEPS, first.out);
    const { code, err } = await start(trainer, words).ended;
    assert.equal(code, 0, err);
    assert.match(err, new RegExp(`Continues .* from step ${step} of`));
    const losses = (name: string) => linesOf(name, "metrics.jsonl").map(({ loss }) => Number(loss));
    assertClose(losses("stopped"), losses("whole"), 1e-5, "losses");
  });

  test("SIGTERM to one of them cools the run down in all, to be finished in the grace", async () => {
    const long = settings("ended").map((word, i, all) => (all[i - 1] === "--steps" ? "100000" : word));
    const words = [...long, ...xla, "--schedule", "const-cooldown", "--cooldown", "0.5", "--grace", "6s"];
    const [first, second] = await pair([words], {
      async interrupt([, other]) {
        await checkpoint("ended", 8);
        other!.kill("SIGTERM");
      },
    });
    assert.equal(first.code, 0, first.err);
    assert.equal(second.code, 0, second.err);
    const { totalSteps, cut } = JSON.parse(readFileSync(join(runFolder("ended"), "plan.json"), "utf8"));
    assert.equal(cut.plannedSteps, 100_000);
    assert.match(first.out, new RegExp(`^Done: ${totalSteps} steps`));
    const rates = linesOf("ended", "metrics.jsonl").map(({ learningRate }) => Number(learningRate));
    assert.equal(rates.length, totalSteps);
    // The warm-up of 5000 steps was under way.
    assert.ok(rates.at(-1)! < rates[cut.step]! && rates[cut.step]! > rates[cut.step - 1]!);
  });

  test("another recipe in one of them is refused by all", async () => {
    const words = [...settings("differ"), ...xla];
    const [first, second] = await pair([words, [...words, "--lr", "0.1"]]);
    assert.equal(second.code, 1);
    assert.match(second.err, /all processes must have one recipe; got lr 0\.1/);
    assert.equal(first.code, 1);
    assert.match(first.err, /process 1 of 2 has failed: run: all processes must have one recipe/);
  });
});
