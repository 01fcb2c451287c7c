import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { before, suite, test } from "node:test";
import { askFor } from "../src/cli/ask.js";
import { initCommand } from "../src/cli/commands/init.js";
import { planCommand } from "../src/cli/commands/plan.js";
import { trainCommand } from "../src/cli/commands/train.js";
import { UsageError } from "../src/core/errors.js";
import { collectRuns } from "../src/study/past/collect.js";
import { readRuns, writeRuns } from "../src/study/past/files.js";
import type { PastRun } from "../src/study/past/past-run.js";
import { type Advice, adviceOn } from "../src/study/plan/advice.js";
import { budgetOf } from "../src/study/plan/budget.js";
import { type Candidate, candidatesOf } from "../src/study/plan/candidates.js";
import { batchFor, changesOf, mostPasses, rank, type Situation } from "../src/study/plan/choose.js";
import { coverageOf, readExpected, writeExpected } from "../src/study/plan/expected.js";
import { type DeviceProfile, readProfile, secondsOf, writeProfile } from "../src/study/plan/profile.js";
import { plannedRecipe } from "../src/study/plan/recipe.js";
import { makePredictor } from "../src/study/predict/predict.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";

const folder = scratchFolder();
const refused = (text: RegExp) => (error: unknown) => error instanceof UsageError && text.test(error.message);

suite("a plan's budget", () => {
  test("is time, money at a price, or multiply-adds", () => {
    assert.equal(budgetOf({ seconds: 7200 }).seconds, 7200);
    assert.equal(budgetOf({ money: 5, price: "2.5/h" }).seconds, 7200);
    assert.equal(budgetOf({ money: 5, price: 2.5 }).words, "5 at 2.5 an hour");
    assert.equal(budgetOf({ gmacs: 1e6 }).gmacs, 1e6);
  });

  test("takes a price from a file with its date and source, of the machine that is named", () => {
    const file = join(folder, "prices.json");
    const price = { provider: "Example", currency: "EUR", date: "2026-11-01", source: "example.org/prices" };
    const machines = ["small", "large"].map((machine, at) => ({ ...price, machine, perHour: 1 + at }));
    writeFileSync(file, JSON.stringify(machines));
    const { seconds, words } = budgetOf({ money: 3, price: file, machine: "large" });
    assert.equal(seconds, 5400);
    assert.match(words, /2 EUR an hour \(Example large, 2026-11-01, example\.org\/prices\)/);
    assert.throws(() => budgetOf({ money: 3, price: file }), refused(/machine: must name one.*small, large/));
    writeFileSync(file, JSON.stringify([{ ...price, machine: "x", perHour: 1, date: "November" }]));
    assert.throws(() => budgetOf({ money: 3, price: file }), refused(/0\.date must be/));
  });

  test("is one of them, above 0; money without a price is refused, as none is built in", () => {
    assert.throws(() => budgetOf({}), refused(/one of time, money and gmacs; got none/));
    assert.throws(() => budgetOf({ seconds: 1, gmacs: 1 }), refused(/got time and gmacs/));
    assert.throws(() => budgetOf({ gmacs: 0 }), refused(/gmacs: must be above 0/));
    assert.throws(() => budgetOf({ money: 5 }), refused(/none is built in/));
    assert.throws(() => budgetOf({ money: 5, price: "cheap" }), refused(/got price=cheap/));
    assert.throws(() => budgetOf({ seconds: 5, price: 1 }), refused(/price: goes with money/));
  });
});

const step = (model: string, gmacsPerPair: number, secondsPerPair: number) => ({
  ...{ model, gmacsPerPair, secondsPerPair, batchSize: 64, memoryBytes: 1e9 },
});
const candidate = (model: string, gmacsPerPair: number, more: Partial<Candidate> = {}): Candidate => ({
  ...{ model, family: "vit", imageSize: 64, strategy: "clip", gmacsPerPair, gmacsPerSample: gmacsPerPair },
  ...more,
});
const asked = { dataset: "photos", metric: "acc1", n: 1000, chance: 0.01 };
const situation: Situation = {
  budget: { seconds: 100, gmacs: undefined },
  unique: 100_000,
  steps: [step("small", 0.2, 1e-3), step("large", 2, 1e-2)],
  predictor: makePredictor(asked, []),
};
const both = [candidate("small", 0.2), candidate("large", 2)];

suite("a plan's choice", () => {
  test("gives each candidate what the budget lets it see", () => {
    const seen = rank(both, situation).map(({ model, samples, seconds }) => [model, samples, seconds]);
    assert.deepEqual(seen.sort(), [
      ["large", 10_000, 100],
      ["small", 100_000, 100],
    ]);
    const [slip] = rank([candidate("small", 0.2, { strategy: "slip", gmacsPerSample: 0.5 })], {
      ...situation,
      unique: 1000,
      budget: { seconds: undefined, gmacs: 5000 },
    });
    assert.equal(slip!.samples, 10_000);
  });

  test("is the small model where little can be seen, and the large one where much can", () => {
    assert.equal(rank(both, situation)[0]!.model, "small");
    const much = { ...situation, unique: 1e8, budget: { seconds: 1e6, gmacs: undefined } };
    assert.equal(rank(both, much)[0]!.model, "large");
    const changes = changesOf(both, { ...much, budget: { seconds: 20_000, gmacs: undefined } });
    assert(changes.some(({ when, option }) => when.includes("times") && option.model === "large"));
  });

  test("stops where more passes bring nothing, and changes pictures only from two passes on", () => {
    const few = { ...situation, unique: 1000, budget: { seconds: 1000, gmacs: undefined } };
    const [option] = rank([candidate("small", 0.2)], few);
    assert.equal(option!.samples, Math.round(1000 * mostPasses(few.predictor.evidence.halfLife)));
    assert.deepEqual(rank([candidate("small", 0.2, { strategy: "clip-aug" })], situation), []);
    assert.equal(rank([candidate("small", 0.2, { strategy: "clip-aug" })], few).length, 1);
  });

  test("counts the wait for pictures once, leaves out what has no memory, and says what it did not time", () => {
    const loader = { first: 0.02, again: 0.001 };
    const [option] = rank([both[0]!], { ...situation, unique: 1000, loader });
    // (100 s − 1,000 · 21 ms) / 2 ms, after the first pass.
    assert.equal(option!.samples, 1000 + 79 / 0.002);
    assert.deepEqual(rank(both, { ...situation, memoryBytes: 1e8 }), []);
    const [other] = rank([candidate("other", 0.4)], situation);
    assert.deepEqual([other!.estimated, other!.samples], [true, 50_000]);
    assert.deepEqual(secondsOf(situation.steps, { model: "large", gmacsPerPair: 2 }), {
      seconds: 1e-2,
      estimated: false,
    });
  });

  test("has batches of 64 to 256 by the pairs and the samples, and at most half of the pairs", () => {
    assert.deepEqual(
      [10, 100, 5000, 10_000, 1e6].map((pairs) => batchFor(pairs)),
      [4, 32, 64, 128, 256],
    );
    assert.deepEqual(
      [1000, 40_000, 1e5].map((samples) => batchFor(1e6, samples)),
      [64, 128, 256],
    );
  });

  test("is among models that exist, with what strategies cost", () => {
    const found = candidatesOf(["clipwright-tiny-64", "clipwright-resnet-200m"], ["clip", "slip", "flip"]);
    const names = found.map(({ model, strategy }) => `${model} ${strategy}`);
    assert(!names.includes("clipwright-resnet-200m flip"), "masks need patches");
    const [clip, slip] = found;
    assert(slip!.gmacsPerSample > 2 * clip!.gmacsPerSample && slip!.gmacsPerPair === clip!.gmacsPerPair);
    assert.throws(() => candidatesOf(["clipwright-tny-64"]), refused(/clipwright-tiny-64/));
  });
});

const facts = {
  ...{ name: "photos", pairs: 1000, captionsPerImage: 1, looked: 1000, captionWords: 8 },
  ...{ faulty: 0, alike: 0, side: 500 },
  faults: { "unreadable image": 0, "empty caption": 0, "too small": 0, duplicate: 0 },
};

suite("what a plan says", () => {
  const [option] = rank([both[0]!], { ...situation, unique: 1000 });
  const once = { ...option!, samples: 900 };

  test("takes faulty pairs out first, and the best ones where not all can be seen", () => {
    assert.deepEqual(adviceOn(facts, option!, { asked }), []);
    const faulty = (faults: Partial<typeof facts.faults>) => {
      const own = { ...facts, faulty: 0.05, faults: { ...facts.faults, ...faults } };
      const [{ what, commands }] = adviceOn(own, option!, { asked }) as [Advice];
      return `${what} ${commands[1]}`;
    };
    assert.match(
      faulty({ duplicate: 0.05 }),
      /5\.0 % of 1000 pictures.*\(5\.0 % are exact copies\).*parquet --unique duplicate_group --out/,
    );
    assert.match(
      faulty({ "unreadable image": 0.03, "empty caption": 0.02 }),
      /3\.0 % cannot be read; 2\.0 % have no caption.*parquet --where "broken IS NULL AND caption IS NOT NULL" --out/,
    );
    const [best] = adviceOn(facts, once, { asked });
    assert.match(best!.why, /equal samples.*34\.4 % with the best 40 % against 39\.6 %/);
    const [whole] = adviceOn(
      facts,
      { ...once, samples: 1200 },
      { asked: { ...asked, metric: "text_retrieval_recall@1" } },
    );
    assert.match(whole!.why, /one pass.*with the best 80 %/);
  });

  test("keeps large pictures small where they are seen again, and what the caller set", () => {
    const budget = budgetOf({ seconds: 100 });
    const recipe = plannedRecipe({ trainData: "photos", lr: 2e-3 }, option!, { facts, asked, budget });
    assert.deepEqual([recipe.model, recipe.keepSize, recipe.lr, recipe.batchSize], ["small", 80, 2e-3, 64]);
    assert.match(String(recipe.expected), /^photos\/acc1 0\.\d+ \(0\.\d+ to 0\.\d+\)$/);
    assert.equal(plannedRecipe({ trainData: "photos" }, once, { facts }).keepSize, undefined);
    const full = { ...option!, seconds: 100 };
    assert.equal(plannedRecipe({ trainData: "photos" }, full, { facts, budget }).time, "1m40s");
  });

  test("is read back from a recipe, and checked against what came", () => {
    const expected = { score: "photos held out/acc1", value: 0.3, low: 0.2, high: 0.4 };
    assert.equal(writeExpected(expected), "photos held out/acc1 0.3 (0.2 to 0.4)");
    assert.deepEqual(readExpected(writeExpected(expected)), expected);
    assert.throws(() => readExpected("about a third"), refused(/expected: must be SET\/METRIC/));
    const score = { dataset: "photos held out", metric: "acc1", low: 0, high: 1, n: 10, chance: 0.1 };
    const runs = [0.25, 0.5, 0.35].map((value) => run({ expected, value, score }));
    const { scored, inside, interval } = coverageOf([...runs, run({ value: 0.1, score })]);
    assert.deepEqual([scored, inside], [3, 2]);
    assert(interval!.low < 2 / 3 && interval!.high > 2 / 3);
    assert.equal(coverageOf([run({ expected, value: 1, score: { ...score, metric: "acc5" } })]).scored, 0);
  });

  function run({
    expected,
    value,
    score,
  }: {
    expected?: Parameters<typeof writeExpected>[0];
    value: number;
    score: Omit<PastRun["scores"][number], "value">;
  }): PastRun {
    return {
      ...{ run: `runs/${value}`, unique: 1, samples: 1, gmacs: 1, seconds: 1, model: "m", family: "vit" },
      ...{ gmacsPerPair: 1, strategy: "clip", batchSize: 1, lr: 1, seed: 0 },
      ...(expected && { expected: writeExpected(expected) }),
      scores: [{ ...score, value }],
    };
  }

  test("runs are kept as JSON lines and as Parquet alike", async () => {
    const score = { dataset: "photos", metric: "acc1", low: 0.1, high: 0.3, n: 10 };
    const runs = [run({ value: 0.2, score }), { ...run({ value: 0.3, score }), scores: [] }];
    for (const ending of ["jsonl", "parquet"]) {
      const file = join(folder, `results.${ending}`);
      writeRuns(file, runs);
      assert.deepEqual(await readRuns(file), runs);
    }
    assert.throws(() => writeRuns(join(folder, "results.csv"), runs), refused(/\.jsonl or \.parquet/));
    const bad = join(folder, "bad.jsonl");
    writeFileSync(bad, `${JSON.stringify(runs[0])}\n{"run":"x"}\n`);
    await assert.rejects(readRuns(bad), refused(/bad\.jsonl:2: .*another unique/));
    await assert.rejects(collectRuns([join(folder, "nowhere")]), refused(/nowhere/));
  });

  test("a device's profile is read back, and a damaged one named", () => {
    const file = join(folder, "gpu.json");
    const profile: DeviceProfile = {
      ...{ device: "a GPU", engine: "xla", precision: "bf16", measured: "2026-11-28" },
      steps: situation.steps,
    };
    writeProfile(file, profile);
    assert.deepEqual(readProfile(file), profile);
    writeFileSync(file, readFileSync(file, "utf8").replace('"secondsPerPair": 0.001', '"secondsPerPair": 0'));
    assert.throws(() => readProfile(file), refused(/steps\.0\.secondsPerPair must be/));
  });
});

suite("clipwright plan", { timeout: 480_000 }, () => {
  const photos = join(folder, "photos");
  const words = ["--train-data", photos, "--engine", "onnxruntime", "--no-try-loader"];
  before(async () => {
    for (let i = 0; i < 40; i++) {
      put(folder, `photos/${i}.png`, await pngOf(i, 16, 16));
      put(folder, `photos/${i}.txt`, `picture number ${i}`);
    }
  });

  test("writes a recipe that train takes, whose outcome --check compares", async () => {
    const out = join(folder, "planned.ts");
    const own = ["--models", "clipwright-nano-32", "--no-pretrained", "--gmacs", "3", "--val-split", "0.5"];
    const logs = join(folder, "runs");
    const planned = await runWords(
      [planCommand],
      ["plan", ...words, ...own, "--precision", "f32", "--out", out],
    );
    assert.equal(planned.code, 0, planned.err);
    assert(planned.out.split("\n").every((line) => line.length <= 80 || line.startsWith(" ")));
    const said = planned.out.replace(/\s+/g, " ");
    assert.match(said, /^Data: photos, 40 pairs/);
    assert.match(said, /Train clipwright-nano-32, (clip|flip), batch 8/);
    assert.match(
      said,
      /Expect photos held out\/image_retrieval_recall@1 of .* with a chance of 80 %; guessing gives 5\.0 %/,
    );
    assert.match(said, /No run of yours has such a score/);
    assert.match(
      readFileSync(out, "utf8"),
      /^\/\*\*\n \* Planned by clipwright on \d{4}-\d\d-\d\d\. For: npx clipwright train/,
    );
    const trained = await runWords([trainCommand], ["train", out, "--logs", logs]);
    assert.equal(trained.code, 0, trained.err);
    const table = join(folder, "table.parquet");
    const check = await runWords(
      [planCommand],
      ["plan", "--check", "--json", "--results", logs, "--save-results", table],
    );
    const { scored, runs } = JSON.parse(check.out);
    assert.deepEqual([scored, runs.length, typeof runs[0].inside], [1, 1, "boolean"]);
    const [kept] = await readRuns(table);
    assert.deepEqual([kept!.unique, kept!.family, kept!.batchSize], [20, "vit", 8]);
    assert(kept!.gmacs > 2 && kept!.gmacs < 4, "the multiply-adds are those of the budget");
    const again = await runWords([planCommand], ["plan", ...words, ...own, "--results", table, "--json"]);
    assert.equal(JSON.parse(again.out).evidence.here + JSON.parse(again.out).evidence.guessing, 1);
  });

  test("fine-tunes a pretrained model where pairs are few", async () => {
    const device = join(folder, "device.json");
    writeProfile(device, {
      ...{ device: "a machine", engine: "onnxruntime", precision: "f32", measured: "2026-11-28" },
      steps: [step("clipwright-tiny-64", 0.228, 1e-3)],
    });
    const { out, code } = await runWords(
      [planCommand],
      ["plan", ...words, "--time", "10m", "--device", device, "--json"],
    );
    assert.equal(code, 0);
    const { recipe, pretrained, options } = JSON.parse(out);
    assert.equal(recipe.pretrained, pretrained.name);
    assert.equal(recipe.time, "10m");
    assert(options[0].predicted.low <= options[0].predicted.value);
  });

  test("times models without data, for plans elsewhere", async () => {
    const file = join(folder, "here.json");
    const only = ["--models", "clipwright-nano-32,clipwright-micro-32", "--engine", "onnxruntime"];
    const { code, err } = await runWords([planCommand], ["plan", "--save-profile", file, ...only]);
    assert.equal(code, 0, err);
    const { steps, engine } = readProfile(file);
    assert.equal(engine, "onnxruntime");
    assert.deepEqual(
      steps.map(({ model }) => model),
      ["clipwright-nano-32", "clipwright-micro-32"],
    );
  });

  test("refuses what cannot be, in one line", async () => {
    const err = async (...more: string[]) => (await runWords([planCommand], ["plan", ...more])).err;
    assert.match(await err("--time", "2h"), /--train-data: a plan is made for data; got none/);
    assert.match(await err(...words), /one of time, money and gmacs; got none/);
    assert.match(await err(...words, "--time", "5 steps"), /--time: must be a time/);
    assert.match(await err(...words, "--time", "1h", "--score", "photos/val_loss"), /predicts one of acc1/);
  });

  test("init plans without questions where nobody answers, and overwrites nothing", async () => {
    const out = join(folder, "first.json");
    const line = ["init", photos, "--time", "1m", "--out", out, "--engine", "onnxruntime", "--no-try-loader"];
    const { code, out: said, err } = await runWords([initCommand], [...line, "--strategy", "clip"]);
    assert.equal(code, 0, err);
    assert.match(said, /Wrote .*first\.json\. Next:\n {2}clipwright train /);
    assert.equal(JSON.parse(readFileSync(out, "utf8")).time, "1m");
    const second = await runWords([initCommand], line);
    assert.match(second.err, /first\.json: is there already/);
  });

  test("init's questions are answered at a terminal, or left", async () => {
    const said = { seconds: 1, suite: undefined, out: "photos.ts" };
    const asks = async (...keys: string[]) => {
      const [input, output] = [new PassThrough(), new PassThrough()];
      output.resume();
      const answers = askFor(said, { time: true, out: true }, { input, output });
      for (const key of keys) {
        await new Promise((done) => setTimeout(done, 100));
        input.write(key);
      }
      return answers;
    };
    const enter = "\r";
    assert.deepEqual(await asks("\x1b[B", enter, enter, enter), { ...said, seconds: 3600 });
    assert.equal(await asks("\x03"), undefined);
  });
});
