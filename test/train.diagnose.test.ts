import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import {
  type Diagnosis,
  Doctor,
  type RunSignals,
  rules,
  type StepSignals,
} from "../src/train/watch/diagnose.js";

const run: RunSignals = {
  batchSize: 64,
  totalSteps: 1000,
  warmupSteps: 50,
  logitScaleMax: 100,
  gradClipNorm: 1,
};

/** A healthy step: the loss falls from ln(64) with noise, the scale rises, images are ready. */
function healthy(random: Random) {
  return (step: number): StepSignals => ({
    step,
    loss: 0.8 + (Math.log(64) - 0.8) * Math.exp(-step / 250) + 0.15 * random.normal(),
    logitScale: 14.3 + 30 * (1 - Math.exp(-step / 600)),
    gradNorm: 1.5 * Math.exp(0.4 * random.normal()),
    stepSeconds: 0.2 + 0.02 * random.uniform(),
    dataSeconds: step < 5 ? 0.15 : 0.01 * random.uniform(),
    duplicateCaptionShare: 0.03 * random.uniform(),
  });
}

/** What is said over a run in which `change` bends healthy signals. */
function saidOver(
  change: (signals: StepSignals, random: Random) => Partial<StepSignals> = () => ({}),
  settings: Partial<RunSignals> = {},
  seed = 1,
): Diagnosis[] {
  const random = new Random(keyFromSeed(seed));
  const doctor = new Doctor({ ...run, ...settings });
  const make = healthy(random);
  const said: Diagnosis[] = [];
  for (let step = 1; step <= (settings.totalSteps ?? 1000); step++) {
    const signals = make(step);
    said.push(...doctor.step({ ...signals, ...change(signals, random) }));
    if (said.some(({ rule }) => rule === "non-finite-loss")) break;
  }
  return said;
}

const names = (said: readonly Diagnosis[]) => said.map(({ rule }) => rule);

suite("Doctor", () => {
  test("is silent on healthy runs", () => {
    for (let seed = 1; seed <= 25; seed++)
      assert.deepEqual(saidOver(undefined, {}, seed), [], `seed ${seed}`);
  });

  test("is silent on a slow but falling loss, a long climb to the clamp, and one bad batch", () => {
    const slow = saidOver(({ step }, random) => ({ loss: 4.16 - 0.0012 * step + 0.02 * random.normal() }));
    assert.deepEqual(slow, []);
    assert.deepEqual(
      saidOver(({ step }) => ({ logitScale: Math.min(100, 14 + step / 7) })),
      [],
    );
    assert.deepEqual(
      saidOver(({ step, gradNorm }) => ({ gradNorm: step === 500 ? 400 : gradNorm })),
      [],
    );
  });

  test("shuffled captions: the loss stays at ln(batch)", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const [first, ...more] = saidOver(
        (_, random) => ({ loss: Math.log(64) + 0.05 * random.normal() }),
        {},
        seed,
      );
      assert.equal(first?.rule, "loss-at-chance", `seed ${seed}`);
      assert.match(first.message, /ln\(batch\) = 4\.16.*clipwright inspect/);
      assert.deepEqual(more, [], "said once");
    }
  });

  test("a rate far too high: the loss is above chance, the norm explodes, the scale collapses", () => {
    const said = saidOver(({ step, loss, gradNorm, logitScale }) =>
      step < 300 ? { loss, gradNorm, logitScale } : { loss: 6, gradNorm: 80, logitScale: 0.9 },
    );
    assert.deepEqual(names(said).sort(), ["gradient-explosion", "logit-scale-collapsed", "loss-at-chance"]);
    assert.match(said.find(({ rule }) => rule === "loss-at-chance")!.message, /above ln\(batch\)/);
  });

  test("a loss that is not finite names the step and the samples", () => {
    const keys = Array.from({ length: 64 }, (_, i) => `photo-${i}`);
    const said = saidOver(({ step }) => (step === 412 ? { loss: Number.NaN, sampleKeys: keys } : {}));
    assert.deepEqual(names(said), ["non-finite-loss"]);
    assert.match(said[0]!.message, /loss=NaN.*at step 412\..*photo-0, .*photo-7, and 56 more\./);
  });

  test("so does a gradient that is not finite", () => {
    const said = saidOver(({ step }) => (step === 9 ? { gradNorm: Number.POSITIVE_INFINITY } : {}));
    assert.match(said[0]!.message, /gradient norm=Infinity at step 9/);
  });

  test("a slow loader", () => {
    const said = saidOver(() => ({ stepSeconds: 0.5, dataSeconds: 0.3 }));
    assert.deepEqual(names(said), ["data-starved"]);
    assert.match(said[0]!.message, /60 % of the time.*--workers/);
  });

  test("the scale at its clamp early", () => {
    const said = saidOver(({ step }) => ({ logitScale: Math.min(100, 14 + step) }));
    assert.deepEqual(names(said), ["logit-scale-at-clamp"]);
    assert.match(said[0]!.message, /clamp of 100 by step 8\d of 1000/);
  });

  test("boiler-plate captions", () => {
    const said = saidOver(() => ({ duplicateCaptionShare: 0.5 }));
    assert.deepEqual(names(said), ["duplicate-captions"]);
  });

  test("a warm-up that takes most of the run, said when the length is fixed", () => {
    assert.deepEqual(names(saidOver(undefined, { warmupSteps: 700 })), ["warm-up-too-long"]);
    const doctor = new Doctor({ ...run, totalSteps: undefined });
    const make = healthy(new Random(keyFromSeed(1)));
    assert.deepEqual(doctor.step(make(1)), []);
    doctor.planned({ totalSteps: 80, warmupSteps: 50 });
    assert.deepEqual(names(doctor.step(make(2))), ["warm-up-too-long"]);
  });

  test("a held-out loss that rises while the training loss falls, and not one that wavers", () => {
    const over = (losses: readonly number[]) => {
      const doctor = new Doctor(run);
      const make = healthy(new Random(keyFromSeed(3)));
      return losses.flatMap((loss, i) => {
        for (let step = 100 * i + 1; step <= 100 * i + 100; step++) doctor.step(make(step));
        return doctor.validation(100 * (i + 1), loss);
      });
    };
    assert.deepEqual(names(over([3, 2.5, 2.6, 2.7, 2.9])), ["over-fitting"]);
    assert.deepEqual(over([3, 2.5, 2.52, 2.49, 2.51, 2.5, 2.52]), []);
    assert.deepEqual(over([3, 2.5, 2.2, 2.1, 2.0]), []);
  });

  test("a run that goes on remembers what was said and the held-out losses", () => {
    const losses = [3, 2.5, 2.6, 2.7, 2.9, 3.1];
    let memory = new Doctor(run).memory;
    const told = losses.map((loss, i) => {
      memory = JSON.parse(JSON.stringify(memory));
      const doctor = new Doctor(run, memory);
      const make = healthy(new Random(keyFromSeed(3)));
      for (let step = 1; step <= 100 * (i + 1); step++) doctor.step(make(step));
      const found = names(doctor.validation(100 * (i + 1), loss));
      memory = doctor.memory;
      return found;
    });
    assert.deepEqual(told, [[], [], [], [], ["over-fitting"], []]);
  });

  test("what is found does not hang on when the run was continued", () => {
    const said = (stops: readonly number[]) => {
      const random = new Random(keyFromSeed(5));
      let doctor = new Doctor(run);
      return Array.from({ length: 400 }, (_, i) => {
        if (stops.includes(i)) doctor = new Doctor(run, JSON.parse(JSON.stringify(doctor.memory)));
        const loss = 4.16 + 0.001 * random.normal();
        return names(doctor.step({ ...healthy(random)(i + 1), loss, gradNorm: i < 300 ? 1 : 50 })).join();
      });
    };
    const whole = said([]);
    assert.deepEqual(
      whole.filter((name) => name !== ""),
      ["loss-at-chance", "gradient-explosion"],
    );
    for (const stops of [[140], [302], [20, 149, 301, 303]]) assert.deepEqual(said(stops), whole);
  });

  test("every rule has a name of its own and says what it looks for", () => {
    assert.equal(new Set(rules.map(({ name }) => name)).size, rules.length);
    for (const { doc } of rules) assert.match(doc, /^[A-Z].*\.$/);
  });
});
