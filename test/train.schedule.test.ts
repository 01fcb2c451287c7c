import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { learningRate, type Schedule } from "../src/train/schedule/learning-rate.js";
import { Measurement, measuredEnough, stepsWithin } from "../src/train/schedule/measurement.js";
import { makePlan, scheduleOf } from "../src/train/schedule/plan.js";
import { endOfRise, riseFor } from "../src/train/schedule/rise.js";

const base: Schedule = {
  shape: "cosine",
  peak: 1,
  end: 0,
  totalSteps: 100,
  warmupSteps: 10,
  cooldownSteps: 0,
  cooldownShape: "linear",
  measuredSteps: 0,
};
const at = (schedule: Partial<Schedule>, step: number) => learningRate({ ...base, ...schedule }, step);
const near = (actual: number, expected: number) =>
  assert(Math.abs(actual - expected) < 1e-12, `${actual} ≠ ${expected}`);

suite("learningRate", () => {
  test("rises in a line to the peak, as open_clip's", () => {
    near(at({}, 0), 0.1);
    near(at({}, 4), 0.5);
    near(at({}, 9), 1);
    near(at({}, 10), 1);
  });

  test("cosine: half-way at half time, the end value at the end", () => {
    near(at({}, 55), 0.5);
    near(at({ end: 0.2 }, 55), 0.6);
    near(at({ end: 0.2 }, 100), 0.2);
    near(at({ end: 0.2 }, 1000), 0.2);
  });

  test("constant stays", () => near(at({ shape: "constant" }, 99), 1));

  test("cooldown begins late and ends at the end value, in a line or by 1 − √t", () => {
    const linear = { shape: "const-cooldown", cooldownSteps: 40, end: 0.1 } as const;
    near(at(linear, 59), 1);
    near(at(linear, 60), 1);
    near(at(linear, 70), 0.1 + 0.9 * 0.75);
    near(at(linear, 100), 0.1);
    near(at({ ...linear, cooldownShape: "1-sqrt" }, 70), 0.1 + 0.9 * 0.5);
  });

  test("no warm-up starts at the peak", () => near(at({ warmupSteps: 0 }, 0), 1));

  test("the rise of a time-limited run is one line in parts, as its length becomes known", () => {
    const rise = [
      { after: 0, steps: 1000 },
      { after: 3, steps: 40 },
      { after: 20, steps: 50 },
    ];
    const measuring = Array.from({ length: 20 }, (_, step) => at({ totalSteps: undefined, rise }, step));
    const fixed = { totalSteps: 400, rise, warmupSteps: endOfRise(rise), measuredSteps: 20 };
    const whole = Array.from({ length: 401 }, (_, step) => at(fixed, step));
    assert.deepEqual(measuring, whole.slice(0, 20), "fixing the length changes no step already taken");
    near(whole[2]!, 0.003);
    near(whole[3]!, 0.003 + 1 / 40);
    near(whole[20]!, 0.003 + 17 / 40 + 1 / 50);
    assert.equal(fixed.warmupSteps, 49);
    near(whole[48]!, 1);
    for (let step = 1; step <= 49; step++) {
      const up = whole[step]! - whole[step - 1]!;
      assert(up >= 0 && up <= 1 / 40 + 1e-12, `no jump at ${step}: ${up}`);
    }
    near(whole[400]!, 0);
    assert.equal(endOfRise([{ after: 0, steps: 0 }]), 0);
  });
});

suite("stepsWithin", () => {
  test("leaves out the first steps and the odd pause", () => {
    const seconds = [30, 2, ...Array(19).fill(0.1), 9];
    const { totalSteps, secondsPerStep } = stepsWithin(seconds, 200, 50);
    near(secondsPerStep, 0.1);
    assert.equal(totalSteps, 22 + Math.floor((150 * 0.97) / secondsPerStep));
  });

  test("keeps time for evaluation, and never goes back", () => {
    const seconds = Array(12).fill(1);
    assert.equal(stepsWithin(seconds, 112, 12, () => ({ inAll: 47, perStep: 0 })).totalSteps, 12 + 50);
    assert.equal(stepsWithin(seconds, 112, 12, (s) => ({ inAll: 47, perStep: s / 4 })).totalSteps, 12 + 40);
    assert.equal(stepsWithin(seconds, 10, 12).totalSteps, 12);
  });

  test("enough is ten steps and 3 % of the budget, or a quarter of a tiny budget", () => {
    assert.equal(measuredEnough(Array(9).fill(1), 100), false);
    assert.equal(measuredEnough(Array(10).fill(1), 100), true);
    assert.equal(measuredEnough(Array(10).fill(0.1), 100), false);
    assert.equal(measuredEnough(Array(202).fill(0.001), 1000), true);
    assert.equal(measuredEnough([5, 5, 5], 20), true);
  });
});

suite("makePlan", () => {
  const recipe = (more: RecipeInput) => checkRecipe({ model: "m", trainData: "d", batchSize: 10, ...more });
  test("counts the same run alike in steps, samples and epochs", () => {
    for (const length of [{ steps: 50 }, { samples: 500 }, { samples: "0.5k samples" }, { epochs: 5 }]) {
      assert.equal(makePlan(recipe(length), 100).totalSteps, 50);
    }
  });

  test("gives warm-up and cooldown in steps", () => {
    const chosen = recipe({ steps: 200, schedule: "const-cooldown", cooldown: 0.25, warmup: "100 samples" });
    const { warmupSteps, cooldownSteps } = scheduleOf(chosen, makePlan(chosen, 100));
    assert.deepEqual([warmupSteps, cooldownSteps], [10, 50]);
  });

  test("refuses what the size of the data shows to be wrong", () => {
    assert.throws(
      () => makePlan(recipe({ epochs: 1, warmup: 10 }), 100),
      /warmup: must be shorter.*got warmup=10 steps of 10/,
    );
    assert.throws(
      () => makePlan(recipe({ epochs: 1 })),
      /epochs: the length of an epoch is unknown.*Use steps, samples or a time/,
    );
    assert.throws(() => makePlan(recipe({ epochs: 1 }), 9), /batchSize: must not exceed.*--batch-size/);
    assert.throws(
      () =>
        makePlan(recipe({ epochs: 1, warmup: "9 steps", schedule: "const-cooldown", cooldown: 0.5 }), 100),
      /cooldown: warm-up and cooldown must fit/,
    );
  });

  test("steps that fill the image memory are counted and not timed", () => {
    const measurement = new Measurement(100);
    for (let i = 0; i < 5; i++) assert.equal(measurement.add(2, true), false);
    let steps = 5;
    while (!measurement.add(0.1)) steps++;
    const plan = { totalSteps: undefined, samplesPerEpoch: 100, batchSize: 10, measuredSteps: 0 };
    const fixed = measurement.fix(plan, 10 + 0.1 * (steps - 4));
    assert.equal(fixed.measuredSteps, steps + 1);
    assert.ok(Math.abs(fixed.secondsPerStep! - 0.1) < 1e-9);
    // 90 s are left for steps of 0.1 s, less what is kept back.
    assert.ok(fixed.totalSteps! > 800 && fixed.totalSteps! < 920, String(fixed.totalSteps));
  });

  test("a run limited by time gets its length from its first steps", () => {
    const limited = recipe({ time: "100s", warmup: 0.1 });
    let plan = makePlan(limited, 1000);
    assert.equal(plan.totalSteps, undefined);
    const measurement = new Measurement(100);
    let step = 1;
    while (!measurement.add(0.5)) step++;
    plan = measurement.fix(plan, step / 2);
    assert.equal(plan.measuredSteps, 10);
    assert.equal(plan.totalSteps, 10 + Math.floor((95 * 0.97) / 0.5));
    // An evaluation of 2 s every epoch of 100 steps, another of 1 s every 50 s, a third of 3 s at each tenth.
    const recurring = [
      { every: { unit: "epochs", value: 1 }, seconds: 2 },
      { every: { unit: "seconds", value: 50 }, seconds: 1 },
      { every: { unit: "percent", value: 10 }, seconds: 3 },
      { every: { unit: "steps", value: 0 }, seconds: 100 },
    ] as const;
    const perStep = 0.5 + 2 / 100 + 0.5 / 50;
    const left = 95 * 0.97 - 2 - 1 - 33;
    assert.equal(measurement.fix(plan, 5, recurring).totalSteps, 10 + Math.floor(left / perStep));
  });

  test("the measured steps of a run limited by time are a part of its rise", () => {
    const limited = recipe({ time: "100s", warmup: 0.1 });
    let plan = makePlan(limited, 1000);
    const measurement = new Measurement(100);
    for (let step = 1; ; step++) {
      const enough = measurement.add(0.5);
      const expected = enough ? undefined : measurement.expectedSteps(step / 2);
      if (expected !== undefined) plan = riseFor(limited, plan, expected, step);
      if (!enough) continue;
      const fixed = measurement.fix(plan, step / 2);
      plan = riseFor(limited, fixed, fixed.totalSteps!, step);
      break;
    }
    // About 190 steps fit: after three steps the slope is that of a warm-up of a tenth of them, and stays.
    assert.deepEqual(plan.rise, [
      { after: 0, steps: 1000 },
      { after: 3, steps: 20 },
    ]);
    const schedule = scheduleOf(limited, plan);
    assert.equal(schedule.warmupSteps, 23);
    assert(learningRate(schedule, 9) > 0.3 * limited.lr, "the rate has risen when the length is fixed");
    const counted = makePlan(recipe({ time: "100s", warmup: 30 }), 1000);
    assert.deepEqual(counted.rise, [{ after: 0, steps: 30 }], "a warm-up in steps needs no length");
  });
});
