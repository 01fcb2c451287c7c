/** The loop against a device that takes its time, and against one that fails. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { deviceFailed, outOfMemory } from "../src/engines/device-trouble.js";
import type { StepReport, TrainHooks } from "../src/train/hooks.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { type Watch, watchedEngine } from "./support/watched-engine.js";

const folder = scratchFolder();
const STEPS = 8;
const SAVES = 4;

const recipeFor = (name: string, more: RecipeInput = {}) =>
  checkRecipe({
    model: {
      embed_dim: 8,
      vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
      text_cfg: { context_length: 8, width: 16, heads: 2, layers: 1 },
    },
    ...{ trainData: join(folder, "pairs"), logs: join(folder, "runs"), name, vocabSize: 280, workers: 1 },
    ...{ steps: STEPS, batchSize: 4, saveFrequency: `${SAVES} steps`, logEveryNSteps: 1, keepLast: 9 },
    ...{ cropScale: [0.5, 1], emaDecay: 0.9 },
    ...more,
  });

/** Trains on a watched engine. */
const trainOn = (name: string, watch: Watch, more: RecipeInput = {}, hooks: TrainHooks = {}, firstStep = 0) =>
  train(recipeFor(name, more), hooks, { open: async () => watchedEngine(watch, firstStep) });

const pathOf = (name: string, ...more: string[]) => join(folder, "runs", name, ...more);

/** The last checkpoint's tensors byte for byte, and the losses. */
function outcome(name: string) {
  const last = readdirSync(pathOf(name, "checkpoints")).sort().at(-1)!;
  const files = ["params", "optimizer", "ema"].map((file) =>
    readFileSync(pathOf(name, "checkpoints", last, `${file}.safetensors`)).toString("base64"),
  );
  const lines = readFileSync(pathOf(name, "metrics.jsonl"), "utf8").trim().split("\n");
  const logged = lines.map((line) => {
    const { step, loss, gradientNorm, learningRate, logitScale, epoch } = JSON.parse(line);
    return { step, loss, gradientNorm, learningRate, logitScale, epoch };
  });
  return { last, files, logged };
}

suite("train on a device", { timeout: 60_000 }, () => {
  before(async () => {
    for (let i = 0; i < 12; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 20, 18));
      put(folder, `pairs/${i}.txt`, `picture number ${i}`);
    }
    await train(recipeFor("plain"));
  });

  test("a step's batch is made, tokenized and uploaded while the step before computes, and nothing else changes", async () => {
    const trace: string[] = [];
    const waiting = new Map<number, () => void>();
    const watch: Watch = {
      on(event, step) {
        trace.push(`${event} ${step}`);
        if (event !== "start") return;
        // The device ends a step when it has been given the next: to wait for it before would be for ever.
        waiting.get(step - 1)?.();
      },
      // A checkpoint is of the state after its step, and waits for it.
      device: (step) =>
        step % SAVES === 0 ? Promise.resolve() : new Promise((resolve) => waiting.set(step, resolve)),
    };
    const reports: StepReport[] = [];
    await trainOn("overlap", watch, {}, { onStep: (report) => reports.push(report) });
    for (let step = 1; step < STEPS; step++) {
      const early = trace.indexOf(`upload ${step + 1}`) < trace.indexOf(`read ${step}`);
      assert.equal(early, step % SAVES !== 0, `${step}: ${trace.join(", ")}`);
      assert.ok(trace.indexOf(`read ${step}`) < trace.indexOf(`start ${step + 2}`) || step > STEPS - 2);
    }
    assert.deepEqual(
      reports.map(({ step }) => step),
      Array.from({ length: STEPS }, (_, i) => i + 1),
    );
    for (const { stepSeconds, dataSeconds } of reports) assert.ok(stepSeconds >= 0 && dataSeconds >= 0);
    assert.deepEqual(outcome("overlap"), outcome("plain"));
  });

  test("a loss that is not finite stops the run as that step's, though the next is under way", async () => {
    const reports: number[] = [];
    const waiting = new Map<number, () => void>();
    const watch: Watch = {
      on: (event, step) => event === "start" && waiting.get(step - 1)?.(),
      device: (step) =>
        step % SAVES === 0 ? Promise.resolve() : new Promise((resolve) => waiting.set(step, resolve)),
    };
    const run = trainOn(
      "diverges",
      watch,
      { lr: 1e30, warmup: 0, gradClipNorm: 0 },
      {
        onStep: ({ step }) => reports.push(step),
      },
    );
    await assert.rejects(run, (error: Error) => {
      assert.ok(error instanceof UsageError);
      const step = Number(/at step (\d+)/.exec(error.message)?.[1]);
      assert.equal(reports.at(-1), step, "no step after it is reported");
      return /Samples of the batch.*(There is no checkpoint yet|The last checkpoint, of step \d+, was finite)/.test(
        error.message,
      );
    });
  });

  test("memory that does not suffice for the program: what to lower, and no checkpoint", async () => {
    const watch: Watch = {
      compile() {
        throw outOfMemory("xla", "compiling train step", "Allocation of 3 TiB\n exceeds 80 GiB");
      },
      close() {
        throw new Error("and it cannot be closed");
      },
    };
    await assert.rejects(trainOn("large", watch), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(
        error.message,
        'xla: the memory must suffice for compiling the step; got "Allocation of 3 TiB exceeds 80 GiB". ' +
          "Use a smaller --batch-size than 4, --micro-batch or --grad-checkpointing.",
      );
      return true;
    });
    assert.equal(existsSync(pathOf("large")), false, "a run that took no step leaves nothing");
  });

  const failures = [
    [
      "runs out of memory",
      outOfMemory("xla", "the program", "out of HBM"),
      /memory must suffice for step 6; got "out of HBM"\. Continue from the checkpoint of step 4 with --grad-checkpointing or more memory, or start another run/,
    ],
    [
      "fails",
      deviceFailed("xla", "the program", "internal: illegal address"),
      /^xla: step 6 must succeed; got "internal: illegal address"\. The same command continues from the checkpoint of step 4/,
    ],
  ] as const;
  for (const [what, error, message] of failures) {
    test(`a device that ${what} in the middle: one line names the step and the checkpoint, and the run goes on to the bit`, async () => {
      const name = what.replaceAll(" ", "-");
      const watch: Watch = {
        device: (step) => (step === 6 ? Promise.reject(error) : Promise.resolve()),
        close() {
          throw new Error("the plugin is gone");
        },
      };
      await assert.rejects(trainOn(name, watch), (thrown: Error) => {
        assert.ok(thrown instanceof UsageError, thrown.stack);
        assert.match(thrown.message, message);
        assert.equal(thrown.message.includes("\n"), false);
        return true;
      });
      assert.equal(existsSync(pathOf(name, "lock-1.json")), false, "the lock is gone");
      const result = await train(recipeFor(name));
      assert.equal(result.finished, true);
      assert.deepEqual(outcome(name), outcome("plain"));
    });
  }

  test("an error of ours stays one of ours", async () => {
    const watch: Watch = { device: () => Promise.reject(new TypeError("x is not a function")) };
    await assert.rejects(trainOn("ours", watch), TypeError);
  });
});
