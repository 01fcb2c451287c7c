import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import type { StepReport, TrainHooks } from "../src/train/hooks.js";
import { resolveRecipe } from "../src/train/recipe/file.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { Run } from "../src/train/run/folder.js";
import { learningRate } from "../src/train/schedule/learning-rate.js";
import { extendPlan, makePlan, type Plan, planSchema, scheduleOf } from "../src/train/schedule/plan.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const folder = scratchFolder();
const runOf = (name: string) => join(folder, "runs", name);
const base: RecipeInput = {
  model: {
    embed_dim: 8,
    vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
    text_cfg: { context_length: 24, width: 16, heads: 2, layers: 1 },
  },
  ...{ trainData: join(folder, "pairs"), logs: join(folder, "runs"), vocabSize: 290, workers: 1 },
  ...{ batchSize: 4, logEveryNSteps: 1, lr: 1e-3, warmup: "2 steps" },
};

/** The rate of each step that was taken, and whether it was finished. */
async function steps(run: string | undefined, more: RecipeInput, hooks: TrainHooks = {}) {
  const reports: StepReport[] = [];
  const recipe = await resolveRecipe(run, more);
  const result = await train(recipe, { ...hooks, onStep: (report) => reports.push(report) });
  return { result, taken: reports.map(({ step, lr }) => ({ step, lr })) };
}

const json = (name: string, file: string) =>
  JSON.parse(readFileSync(join(runOf(name), file), "utf8")) as Record<string, unknown>;

const planOf = (name: string): Plan => planSchema.parse(json(name, "plan.json"));

/** Stops a run that saves every step after the step `at`: it ends the one that is under way. */
function stopping(at: number): TrainHooks {
  const stop = new AbortController();
  return {
    signal: stop.signal,
    onCheckpoint(step) {
      if (step >= at - 1) stop.abort();
    },
  };
}

before(async () => {
  for (let i = 0; i < 12; i++) {
    put(folder, `pairs/${i}.png`, await pngOf(i, 16, 16));
    put(folder, `pairs/${i}.txt`, `picture number ${i}`);
  }
});

suite("a run that stops after a step", { timeout: 60_000 }, () => {
  test("stops there exactly, and goes on as if it had not", async () => {
    const whole = await steps(undefined, { ...base, steps: 6, name: "straight" });
    const parts: RecipeInput = { ...base, steps: 6, name: "in-parts" };
    const first = await steps(undefined, parts, { stopAfter: 4 });
    assert.deepEqual([first.result.step, first.result.finished], [4, false]);
    assert.deepEqual((await steps(undefined, parts, { stopAfter: 4 })).taken, [], "it is there");
    const second = await steps(undefined, parts, { stopAfter: 100 });
    assert.deepEqual([second.result.step, second.result.finished], [6, true]);
    assert.deepEqual([...first.taken, ...second.taken], whole.taken);
    const weights = (name: string) =>
      readFileSync(join(runOf(name), "checkpoints/step-00000006/params.safetensors"));
    assert.ok(weights("in-parts").equals(weights("straight")));
  });
});

suite("a run that is done", { timeout: 60_000 }, () => {
  before(async () => {
    for (const name of ["whole", "stopped"]) await train(checkRecipe({ ...base, steps: 6, name }));
  });

  test("is extended by its folder and another length, with a rise and a decay of its own", async () => {
    const { result, taken } = await steps(runOf("whole"), { steps: 12 });
    assert.deepEqual([result.step, result.finished], [12, true]);
    assert.deepEqual(
      taken.map(({ step }) => step),
      [7, 8, 9, 10, 11, 12],
    );
    const rates = taken.map(({ lr }) => lr);
    assert.equal(rates[0], 5e-4);
    assert.equal(rates[1], 1e-3);
    assert(rates.at(-1)! < 3e-4);
    assert.deepEqual((await steps(runOf("whole"), {})).taken, [], "done is done");
    assert.deepEqual(
      (await steps(runOf("whole"), { steps: 12 })).taken,
      [],
      "the same command finds it done",
    );
    await assert.rejects(
      steps(runOf("whole"), { steps: 9 }),
      /extended to more steps.*got 9, and 12 are done/,
    );
    assert.equal(json("whole", "config.json").steps, 12, "what was refused is not on the disk");
  });

  test("ends extended to the bit as if it had not been stopped on the way", async () => {
    const stop = new AbortController();
    const half = await steps(
      runOf("stopped"),
      { steps: 12 },
      {
        signal: stop.signal,
        onMessage: () => {},
        onCheckpoint: () => {},
        onStart: () => setTimeout(() => stop.abort(), 0),
      },
    );
    assert.equal(half.result.finished, false);
    await steps(runOf("stopped"), { steps: 12 });
    const weights = (name: string) => {
      const checkpoints = join(runOf(name), "checkpoints");
      const last = readdirSync(checkpoints).sort().at(-1)!;
      assert.equal(last, "step-00000012");
      return readFileSync(join(checkpoints, last, "params.safetensors"));
    };
    assert.deepEqual(weights("stopped"), weights("whole"));
  });

  test("gives its model and its tokenizer to a run that starts from it", async () => {
    const { model: _, vocabSize: __, ...rest } = base;
    const recipe = await resolveRecipe(undefined, { ...rest, pretrained: runOf("whole"), steps: 3 });
    assert.equal(recipe.name, "whole-tuned");
    assert.equal(recipe.tokenizer, join(runOf("whole"), "tokenizer.json"));
    const { step } = await train(recipe);
    assert.equal(step, 3);
    const own = await resolveRecipe(undefined, {
      ...rest,
      pretrained: runOf("whole"),
      model: "ViT-S-32",
      steps: 3,
    });
    assert.equal(own.model, "ViT-S-32", "what is named stays");
  });
});

suite("a run that is not done", { timeout: 60_000 }, () => {
  test("goes on to another length from where it is, and its files say so", async () => {
    const name = "unfinished";
    const more = { ...base, saveFrequency: "1 steps", keepLast: 9, name };
    await train(checkRecipe({ ...more, steps: 8 }), stopping(4));
    const before = json(name, "config.json");
    await assert.rejects(steps(runOf(name), { steps: 3 }), /got 3, and 4 are done/);
    assert.deepEqual(json(name, "config.json"), before);
    const notes: string[] = [];
    const half = await steps(
      runOf(name),
      { steps: 14 },
      { ...stopping(8), onMessage: (text) => notes.push(text) },
    );
    assert.match(notes.join("\n"), /not done: from step 4 on it goes to 14 steps/);
    assert.deepEqual([half.taken[0], half.result.finished], [{ step: 5, lr: 5e-4 }, false]);
    const { totalSteps, extended } = planOf(name);
    assert.deepEqual([json(name, "config.json").steps, totalSteps, extended?.step], [14, 14, 4]);
    // The same command goes on with it as it was planned, and another plans anew.
    const { result, taken } = await steps(runOf(name), { steps: 14 });
    assert.deepEqual([result.step, result.finished, taken[0]!.step], [14, true, 9]);
    const whole = scheduleOf(checkRecipe({ ...more, steps: 14 }), planOf(name));
    for (const { step, lr } of [...half.taken, ...taken]) assert.equal(lr, learningRate(whole, step - 1));
  });

  test("is extended once more, and from an earlier checkpoint where the last is damaged", async () => {
    const name = "thrice";
    const more = { ...base, saveFrequency: "1 steps", keepLast: 9, name };
    await train(checkRecipe({ ...more, steps: 8 }), stopping(4));
    await steps(runOf(name), { steps: 12 }, stopping(6));
    assert.equal((await steps(runOf(name), { steps: 10 }, stopping(8))).taken[0]!.lr, 5e-4);
    assert.deepEqual([planOf(name).totalSteps, planOf(name).extended!.step], [10, 6]);
    for (const step of [6, 7, 8])
      writeFileSync(join(runOf(name), "checkpoints", `step-0000000${step}`, "params.safetensors"), "no");
    const { result, taken } = await steps(runOf(name), {});
    assert.deepEqual([taken[0], result.step, result.finished], [{ step: 6, lr: 5e-4 }, 10, true]);
    assert(taken.every(({ lr }) => lr >= 0));
  });

  test("begins anew with another length while it has no checkpoint", async () => {
    const recipe = checkRecipe({ ...base, steps: 8, name: "early" });
    const run = Run.open(recipe);
    run.savePlan(makePlan(recipe, 12));
    run.appendMetrics({ step: 1 });
    run[Symbol.dispose]();
    assert.equal((await steps(runOf("early"), { steps: 4 })).result.step, 4);
    assert.deepEqual([json("early", "config.json").steps, planOf("early").totalSteps], [4, 4]);
  });
});

test("a run goes on for a time, again and again", { timeout: 60_000 }, async () => {
  await train(checkRecipe({ ...base, steps: 6, name: "timed" }));
  let done = 6;
  for (const time of ["2s", "2s", "1s"]) {
    const began = performance.now();
    const { result, taken } = await steps(runOf("timed"), { time });
    const took = (performance.now() - began) / 1000;
    assert(result.finished && result.step > done, `${result.step} after ${done}`);
    assert.equal(planOf("timed").totalSteps, result.step);
    assert.equal(planOf("timed").extended?.step, done);
    assert.deepEqual(
      taken.map(({ step }) => step),
      Array.from({ length: result.step - done }, (_, i) => done + 1 + i),
    );
    // On a busy machine a run of a time may be over it, but not by an earlier sitting's.
    assert(took < 30, String(took));
    done = result.step;
  }
  assert.equal((await steps(runOf("timed"), { steps: done + 3 })).result.step, done + 3);
});

test("a run that was done and goes on for a time measures its steps anew", () => {
  const recipe = checkRecipe({ ...base, time: "100s", warmup: 0.1 });
  const plan = extendPlan(recipe, makePlan(recipe, 1000), 500, 77);
  assert.deepEqual([plan.totalSteps, plan.extended], [undefined, { step: 500, seconds: 77 }]);
  const measured = { ...plan, totalSteps: 700, measuredSteps: 510, rise: [{ after: 0, steps: 20 }] };
  const schedule = scheduleOf(recipe, measured);
  assert.equal(learningRate(schedule, 500), recipe.lr / 20);
  assert.equal(learningRate(schedule, 519), recipe.lr);
  assert.equal(learningRate(schedule, 700), 0);
});
