/** Runs that end before their planned length: when, how they cool down, and that they are runs planned so. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { UsageError } from "../src/core/errors.js";
import { makeClip } from "../src/models/clip.js";
import { secondsTo } from "../src/settings/deadline.js";
import { checkRecipe, type RecipeInput, recipeToJson } from "../src/train/recipe/recipe.js";
import { Closing, type Outlook, verdictOf } from "../src/train/schedule/deadline.js";
import { learningRate } from "../src/train/schedule/learning-rate.js";
import { phasesOf } from "../src/train/schedule/phases.js";
import { cutPlan, makePlan, type Plan, plannedStep, scheduleOf } from "../src/train/schedule/plan.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const model = {
  embed_dim: 8,
  vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
  text_cfg: { context_length: 8, width: 16, heads: 2, layers: 1 },
};

const recipeWith = (more: RecipeInput) =>
  checkRecipe({ model, trainData: "d", steps: 1000, batchSize: 10, schedule: "const-cooldown", ...more });
const refuses = (more: RecipeInput, pattern: RegExp) =>
  assert.throws(
    () => recipeWith(more),
    (error) => error instanceof UsageError && pattern.test(error.message),
  );

describe("verdictOf", () => {
  // 500 of 1000 steps are done, steps take a second, and 125 more would be a fifth of the run.
  const outlook: Outlook = {
    step: 500,
    totalSteps: 1000,
    cooldownSteps: 200,
    cooldown: 0.2,
    secondsLeft: 300,
    secondsPerStep: 1,
    endSeconds: 0,
  };
  const verdict = (more: Partial<Outlook>) => verdictOf({ ...outlook, ...more });

  it("goes on while there is time for the planned end, or for a cooldown later", () => {
    assert.equal(verdict({ secondsLeft: 520 }), "go on");
    assert.equal(verdict({}), "go on");
    assert.equal(verdict({ secondsLeft: Number.POSITIVE_INFINITY }), "go on");
  });

  it("cools down for as large a part of the run as planned, once there is no more time than that", () => {
    // 3 % of the time is kept back, and two steps may be under way.
    assert.deepEqual(verdict({ secondsLeft: 131 }), { coolFor: 125 });
    assert.deepEqual(verdict({ secondsLeft: 131 + 60, endSeconds: 60 }), { coolFor: 125 });
    assert.deepEqual(verdict({ secondsLeft: 131 / 2, secondsPerStep: 0.5 }), { coolFor: 125 });
  });

  it("takes a shorter cooldown where it comes too late, and stops where none is left", () => {
    assert.deepEqual(verdict({ secondsLeft: 22 }), { coolFor: 19 });
    assert.deepEqual(verdict({ secondsLeft: 5 }), { coolFor: 2 });
    assert.equal(verdict({ secondsLeft: 3 }), "stop");
    assert.equal(verdict({ secondsLeft: 100, endSeconds: 200 }), "stop");
  });

  it("never makes the run longer than planned", () => {
    assert.deepEqual(verdict({ step: 800, cooldownSteps: 199, secondsLeft: 203 }), { coolFor: 194 });
    assert.equal(verdict({ step: 990, secondsLeft: 30 }), "go on");
  });

  it("leaves a cooldown that has begun its length, and stops in it when time is up", () => {
    assert.equal(verdict({ step: 800, secondsLeft: 100 }), "go on");
    assert.equal(verdict({ step: 900, secondsLeft: 20, endSeconds: 20 }), "stop");
  });
});

describe("a recipe's deadline", () => {
  it("is a time from the start, or of day", () => {
    const start = new Date(2026, 4, 3, 22, 30);
    const seconds = (text: string) => secondsTo(recipeWith({ deadline: text }).deadline!, start);
    assert.equal(seconds("2h30m"), 9000);
    assert.equal(seconds("23:00"), 1800);
    assert.equal(seconds("06:30"), 8 * 3600);
    assert.equal(seconds("22:30"), 24 * 3600);
    for (const text of ["2h30m", "06:30"]) {
      const json = recipeToJson(recipeWith({ deadline: text }));
      assert.equal(json.deadline, text);
    }
  });

  it("is refused where it cannot be kept, with what to write", () => {
    refuses(
      { deadline: "tomorrow" },
      /^deadline: must be a time from now or of day; got "tomorrow"\. Write 2h30m/,
    );
    refuses({ deadline: "24:10" }, /^deadline: must be a time/);
    refuses(
      { deadline: "1h", schedule: "cosine" },
      /^deadline: only const-cooldown .*--schedule const-cooldown/,
    );
    refuses({ grace: "10 steps" }, /^grace: must be a time; got grace=10 steps\. Write 25s/);
  });
});

describe("the plan of a run that is cut short", () => {
  const recipe = recipeWith({ steps: 1000, cooldown: 0.2, warmup: 0.1, lrEnd: 1e-5 });
  const plan = makePlan(recipe, 10_000);
  const rates = (of: Plan, chosen = recipe) => {
    const schedule = scheduleOf(chosen, of);
    return Array.from({ length: of.totalSteps! }, (_, step) => learningRate(schedule, step));
  };

  it("has the learning rates of one that was planned to that length", () => {
    const planned = recipeWith({ steps: 720, cooldown: 120 / 720, warmup: 100, lrEnd: 1e-5 });
    assert.deepEqual(rates(cutPlan(plan, 600, 120)), rates(makePlan(planned, 10_000), planned));
    assert.deepEqual(rates(cutPlan(plan, 600, 120)).slice(0, 600), rates(plan).slice(0, 600));
  });

  it("cools down from where the warm-up has come to", () => {
    const found = rates(cutPlan(plan, 50, 10));
    assert.deepEqual(found.slice(0, 50), rates(plan).slice(0, 50));
    assert.equal(found[50], rates(plan)[50]);
    for (let i = 51; i < 60; i++) assert.ok(found[i]! < found[i - 1]! && found[i]! > 0);
  });
});

describe("Closing", () => {
  const clip = makeClip({ ...model, text_cfg: { ...model.text_cfg, vocab_size: 20 } });
  /** A closing whose clock is `clock.ms`, and which has seen ten steps of a second. */
  function closingOf(more: RecipeInput, clock: { ms: number }, steps = 10) {
    const recipe = recipeWith(more);
    const plan = makePlan(recipe, 10_000);
    const context = { recipe, phases: phasesOf(recipe, clip), compileSeconds: 0, timings: {} };
    const closing = new Closing({ ...context, started: 0, now: () => clock.ms });
    for (let step = 1; step <= steps; step++) closing.took(step, plan, 1);
    return { closing, plan };
  }

  it("ends by the deadline or the grace after being asked, whichever is earlier", () => {
    const clock = { ms: 0 };
    const { closing } = closingOf({ deadline: "100s", grace: "30s" }, clock);
    assert.equal(closing.secondsLeft, 100);
    clock.ms = 20_000;
    closing.ask();
    assert.equal(closing.secondsLeft, 30);
    clock.ms = 25_000;
    closing.ask();
    assert.equal(closing.secondsLeft, 25);
  });

  it("stops where somebody asks and there is nothing to be cooled", () => {
    for (const more of [{ schedule: "cosine" }, { grace: 0 }] as const) {
      const { closing, plan } = closingOf(more, { ms: 0 });
      assert.equal(closing.verdict(100, plan), "go on");
      closing.ask();
      assert.equal(closing.stops, true);
      assert.equal(closing.verdict(100, plan), "stop");
    }
    for (const measured of [0, 10]) {
      const { closing, plan } = closingOf({}, { ms: 0 }, measured);
      closing.ask();
      const unknown = { ...plan, totalSteps: measured === 0 ? plan.totalSteps : undefined };
      assert.equal(closing.verdict(100, unknown), "stop");
    }
  });

  it("keeps the time of the last evaluation and of two checkpoints", () => {
    const { closing, plan } = closingOf({ deadline: "100s" }, { ms: 0 });
    assert.deepEqual(closing.verdict(500, plan), { coolFor: 95 });
    assert.equal(closing.wantsEvaluation, true);
    closing.timings = { evaluation: 20, save: 5 };
    assert.equal(closing.wantsEvaluation, false);
    assert.deepEqual(closing.verdict(500, plan), { coolFor: Math.floor(70 * 0.97) - 2 });
    closing.begin();
    assert.equal(closing.verdict(501, plan), "go on");
  });

  it("counts what the steps of later phases cost", () => {
    const plain = closingOf({ deadline: "100s" }, { ms: 0 });
    const phased = closingOf({ deadline: "100s", imageSizes: "8:0.8" }, { ms: 0 });
    const steps = (of: typeof plain) => (of.closing.verdict(500, of.plan) as { coolFor: number }).coolFor;
    assert.ok(steps(phased) < steps(plain), `${steps(phased)} of small images, ${steps(plain)} without`);
    // The first step on large images has begun: what is known is of small ones.
    phased.closing.took(801, phased.plan, 9);
    plain.closing.took(801, plain.plan, 1);
    const late = (of: typeof plain) =>
      (of.closing.verdict(799, { ...of.plan }) as { coolFor: number }).coolFor;
    assert.ok(late(phased) < late(plain));
  });
});

const folder = scratchFolder();
const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const pathOf = (name: string, ...more: string[]) => join(folder, "runs", name, ...more);
const planOf = (name: string): Plan => JSON.parse(readFileSync(pathOf(name, "plan.json"), "utf8"));
const checkpoints = (name: string): string[] =>
  existsSync(pathOf(name, "checkpoints"))
    ? readdirSync(pathOf(name, "checkpoints"))
        .filter((file) => file.startsWith("step-"))
        .sort()
    : [];

const settings = {
  ...{
    model: join(folder, "tiny.json"),
    trainData: join(folder, "pairs"),
    logs: join(folder, "runs"),
    vocabSize: 280,
    workers: 1,
  },
  ...{ batchSize: 4, logEveryNSteps: 1, threads: 1, seed: 5, emaDecay: 0.9, valSplit: 0.2, dropPath: 0.2 },
  ...{ schedule: "const-cooldown", cooldown: 0.25, warmup: "4 steps", valFrequency: "50 epochs" },
} as const satisfies RecipeInput;
const recipeFor = (name: string, more: RecipeInput = {}) =>
  checkRecipe({ ...settings, name, lr: 5e-4, steps: 50_000, ...more });

/** The run that was planned to the length that `name` came to, from its first step. */
const plannedAs = (name: string, more: RecipeInput = {}) => {
  const { totalSteps, cut } = planOf(name);
  const cooldown = (totalSteps! - cut!.step) / totalSteps!;
  return recipeFor(`${name}-planned`, { ...more, steps: totalSteps!, cooldown });
};

/** Weights, optimizer and averages byte for byte, and what was logged of steps. */
function outcome(name: string) {
  const last = checkpoints(name).at(-1)!;
  const files = ["params", "optimizer", "ema"].map((file) =>
    readFileSync(pathOf(name, "checkpoints", last, `${file}.safetensors`)).toString("base64"),
  );
  const lines = readFileSync(pathOf(name, "metrics.jsonl"), "utf8").trim().split("\n");
  const logged = lines.map((line) => {
    const { step, loss, gradientNorm, learningRate, logitScale } = JSON.parse(line);
    return { step, loss, gradientNorm, learningRate, logitScale };
  });
  return { last, files, logged };
}

const words = (name: string, more: Readonly<Record<string, string>> = {}): string[] =>
  Object.entries({
    ...{ model: join(folder, "tiny.json"), "train-data": settings.trainData, logs: settings.logs, name },
    ...{
      "vocab-size": "280",
      workers: "1",
      "batch-size": "4",
      "log-every-n-steps": "1",
      threads: "1",
      seed: "5",
      lr: "5e-4",
    },
    ...{ "ema-decay": "0.9", "val-split": "0.2", "drop-path": "0.2", schedule: "const-cooldown" },
    ...{ cooldown: "0.25", warmup: "4 steps", "val-frequency": "50 epochs", steps: "50000", ...more },
  }).flatMap(([key, value]) => [`--${key}`, value]);

/** Runs `clipwright train`; `interrupt` may send signals. */
async function clipwright(given: readonly string[], interrupt?: (child: ChildProcess) => Promise<void>) {
  const child = spawn(process.execPath, [main, "train", ...given], { stdio: ["ignore", "pipe", "pipe"] });
  const text = { out: "", err: "" };
  child.stdout.on("data", (piece) => (text.out += piece));
  child.stderr.on("data", (piece) => (text.err += piece));
  let over = false;
  const ended = once(child, "close").finally(() => {
    over = true;
  });
  const until = async (there: () => boolean) => {
    while (!over && !there()) await delay(2);
  };
  await interrupt?.(Object.assign(child, { until }));
  const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null];
  return { code, signal, ...text };
}
const when = (child: ChildProcess, there: () => boolean): Promise<void> =>
  (child as ChildProcess & { until(there: () => boolean): Promise<void> }).until(there);

suite("train to a deadline", { timeout: 120_000 }, () => {
  before(async () => {
    put(folder, "tiny.json", JSON.stringify(model));
    for (let i = 0; i < 20; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 20, 18));
      put(folder, `pairs/${i}.txt`, `picture number ${i}\nkind ${i % 3}`);
    }
  });

  test("the deadline is kept, and the run is evaluated and done", async () => {
    const said: string[] = [];
    const started = performance.now();
    const hooks = { onMessage: (text: string) => said.push(text) };
    const result = await train(recipeFor("kept", { deadline: "8s" }), hooks);
    const seconds = (performance.now() - started) / 1000;
    assert.equal(result.finished, true);
    // What is late is the machine's doing; without a cooldown 50,000 steps take minutes.
    assert.ok(seconds < 30, `${seconds} s`);
    const { totalSteps, cut } = planOf("kept");
    assert.equal(result.step, totalSteps);
    assert.equal(cut!.plannedSteps, 50_000);
    const told = new RegExp(`^Cools down from step ${cut!.step} of 50000 on, for \\d+ steps`, "m");
    assert.match(said.join("\n"), told);
    // A quarter of the run, as its recipe says; or as much as there was time for.
    assert.ok(totalSteps! - cut!.step <= Math.round(totalSteps! / 4));
    assert.ok(result.evaluation.length > 0 && result.evaluation.every(({ step }) => step === totalSteps));
  });

  test("a run that is cut short is to the bit the one that was planned to that length", async () => {
    const finish = new AbortController();
    const more = { grace: "6s", imageSizes: "8:0.8" };
    const result = await train(recipeFor("cut", more), {
      onStep: ({ step }) => step === 12 && finish.abort(),
      finish: finish.signal,
    });
    assert.equal(result.finished, true);
    const plan = planOf("cut");
    const { totalSteps } = plan;
    // Whole images come in the cooldown, after the same share of what was left.
    let whole = plan.cut!.step;
    while (plannedStep(plan, whole) < 40_000) whole++;
    assert.ok(whole > 12 && whole < totalSteps!);
    await train(plannedAs("cut", { imageSizes: `8:${whole / totalSteps!}` }));
    assert.deepEqual(outcome("cut"), outcome("cut-planned"));
  });

  test("killed in the middle of the cooldown, it goes on as if it had not been; and again from the plateau", async () => {
    const saving = { "save-frequency": "7 steps", "keep-last": "3" };
    const isCooling = () => {
      if (!existsSync(pathOf("killed", "plan.json"))) return false;
      const { cut } = planOf("killed");
      return cut !== undefined && checkpoints("killed").at(-1)! > `step-${String(cut.step).padStart(8, "0")}`;
    };
    const { signal, err } = await clipwright(
      words("killed", { ...saving, deadline: "8s" }),
      async (child) => {
        await when(child, isCooling);
        child.kill("SIGKILL");
      },
    );
    assert.equal(signal, "SIGKILL", err);
    const { cut, totalSteps } = planOf("killed");
    const place = `step-${String(cut!.step).padStart(8, "0")}`;
    assert.ok(checkpoints("killed").at(-1)! > place && checkpoints("killed").includes(place));
    const rest = await clipwright(words("killed", { ...saving, deadline: "1h", grace: "6s" }));
    assert.equal(rest.code, 0, rest.err);
    assert.match(rest.out, new RegExp(`^Done: ${totalSteps} steps`));
    assert.ok(checkpoints("killed").includes(place), "where the cooldown began is kept");
    await train(plannedAs("killed"));
    assert.deepEqual(outcome("killed"), outcome("killed-planned"));

    const stop = new AbortController();
    const longer = await train(
      recipeFor("killed", { saveFrequency: "7 steps", keepLast: 3, resume: "plateau" }),
      {
        onStart: ({ step, totalSteps: total }) => assert.deepEqual([step, total], [cut!.step, 50_000]),
        onStep: ({ step, lr }) => {
          assert.equal(lr, 5e-4);
          if (step === totalSteps! + 3) stop.abort();
        },
        signal: stop.signal,
      },
    );
    assert.equal(longer.finished, false);
    assert.equal(planOf("killed").cut, undefined);
  });

  test("SIGTERM ends a run of const-cooldown as done", async () => {
    const given = words("terminated", { grace: "6s", "save-frequency": "9 steps" });
    const { code, out, err } = await clipwright(given, async (child) => {
      await when(child, () => checkpoints("terminated").length > 0);
      child.kill("SIGTERM");
    });
    assert.equal(code, 0, err);
    assert.match(err, /Cools down from step \d+ of 50000 on/);
    assert.match(out, /^Done: /);
  });
});
