import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { cellsOf, runsOf, shardOf } from "../src/study/design/cells.js";
import { checkStudy, defineStudy, loadStudy, type StudyInput } from "../src/study/design/study.js";

const input: StudyInput = {
  question: { text: "Which encoder, for how much data?", factor: "model", over: "samples" },
  recipe: { trainData: ["shapes/"], batchSize: 16 },
  factors: { model: ["clipwright-nano-32", "clipwright-micro-32"], part: [0.25, 0.5, 1] },
  regime: { "one pass": { epochs: 1 }, "equal samples": { samples: 1000 } },
  seeds: 2,
  suite: { sets: { test: { data: "test/" } } },
  score: "test/acc1",
};

/** Multiply-adds: what is asked here is only that they are passed on. */
const gmacsOf = ({ model }: { model: string | object }) => (model === "clipwright-nano-32" ? 0.01 : 0.04);
const facts = { pairsOf: () => 1000, gmacsOf };

describe("a study", () => {
  const folder = mkdtempSync(join(tmpdir(), "clipwright-study-"));
  after(() => rmSync(folder, { recursive: true }));

  it("is every combination in every regime, once", async () => {
    const study = await checkStudy(defineStudy(input));
    const cells = cellsOf(study, facts);
    // Samples are those of whole batches. 2 models × 3 parts × 2 regimes, of which all data in one pass is equal samples as well.
    assert.equal(cells.length, 10);
    const whole = cells.filter(({ regimes }) => regimes.length === 2);
    assert.deepEqual(
      whole.map(({ levels, samples }) => [levels.model, levels.part, samples]),
      [
        ["clipwright-nano-32", "100 %", 1008],
        ["clipwright-micro-32", "100 %", 1008],
      ],
    );
    const quarter = cells.find(({ levels, regimes }) => levels.part === "25 %" && regimes[0] === "one pass")!;
    assert.deepEqual([quarter.pairs, quarter.samples, quarter.gmacs], [250, 256, 2.56]);
    assert.equal(new Set(cells.map(({ id }) => id)).size, cells.length);
  });

  it("runs all cells with one seed, cheapest first, before the second", async () => {
    const study = await checkStudy(input);
    const cells = cellsOf(study, facts);
    const runs = runsOf(study, cells);
    assert.equal(runs.length, 20);
    assert.deepEqual(
      runs.map(({ seed }) => seed),
      [...Array(10).fill(0), ...Array(10).fill(1)],
    );
    const costs = runs.slice(0, 10).map(({ cell }) => cell.gmacs!);
    assert.deepEqual(
      costs,
      [...costs].sort((a, b) => a - b),
    );
    assert.equal(runs[0]!.name, `${runs[0]!.cell.id}-0`);
  });

  it("gives each shard its part, and all together all", async () => {
    const study = await checkStudy(input);
    const runs = runsOf(study, cellsOf(study, facts));
    const shards = [1, 2, 3].map((shard) => shardOf(runs, shard, 3));
    assert.equal(shards.flat().length, 20);
    assert.equal(new Set(shards.flat()).size, 20);
    assert.throws(() => shardOf(runs, 4, 3), /i\/n with 1 ≤ i ≤ n; got 4\/3/);
  });

  it("counts samples by multiply-adds where compute is equal", async () => {
    const study = await checkStudy({
      ...input,
      regime: { gmacs: 20 },
      factors: { model: input.factors.model! },
    });
    assert.deepEqual(
      cellsOf(study, facts).map(({ samples, gmacs }) => [samples, gmacs]),
      [
        [2000, 20],
        [512, 20.48],
      ],
    );
  });

  it("leaves the length to the clock where time is equal", async () => {
    const study = await checkStudy({ ...input, regime: { time: "2m" } });
    const [cell] = cellsOf(study, facts);
    assert.deepEqual([cell!.samples, cell!.gmacs, cell!.recipe.time], [undefined, undefined, "2m"]);
  });

  it("takes levels by name, with a part of the data by quality", async () => {
    const study = await checkStudy({
      ...input,
      question: { text: "Quality?", factor: "quality" },
      recipe: { ...input.recipe, model: "clipwright-nano-32" },
      factors: {
        quality: {
          "top 40 %": { part: { top: 0.4, scores: "s.parquet", by: "crossfit_score" } },
          all: {},
          "random 40 %, dropped words": { captionDropout: 0.2, part: { random: 0.4 } },
        },
      },
      regime: { epochs: 2 },
    });
    assert.deepEqual(
      cellsOf(study, facts).map(({ part, samples, recipe }) => [part, samples, recipe.captionDropout]),
      [
        [{ top: 0.4, scores: "s.parquet", by: "crossfit_score" }, 800, undefined],
        [undefined, 2000, undefined],
        [{ random: 0.4 }, 800, 0.2],
      ],
    );
  });

  it("identifies a run by what decides its weights", async () => {
    const idsOf = async (change: Partial<StudyInput>) =>
      cellsOf(await checkStudy({ ...input, ...change }), facts).map(({ id }) => id);
    const ids = await idsOf({});
    assert.deepEqual(await idsOf({ recipe: { ...input.recipe, threads: 2, logEveryNSteps: 3 } }), ids);
    assert.notDeepEqual(await idsOf({ recipe: { ...input.recipe, batchSize: 32 } }), ids);
  });

  it("is read from a file, its name the file's; all of its paths start where the command runs", async () => {
    const path = join(folder, "quantity.json");
    writeFileSync(path, JSON.stringify(input));
    const study = await loadStudy(path);
    assert.equal(study.name, "quantity");
    assert.deepEqual(study.recipe.trainData, ["shapes/"]);
    assert.deepEqual(study.suite.sets[0]!.data, ["test/"]);
    const suite = join(folder, "suite.json");
    writeFileSync(suite, JSON.stringify(input.suite));
    const { suite: own } = await checkStudy({ ...input, suite });
    assert.deepEqual(own.sets[0]!.data, [join(folder, "test/")], "those of a suite's file in its folder");
    await assert.rejects(loadStudy(join(folder, "x.yaml")), {
      code: "ERR_SETTING",
      message: /a study is a \.json/,
    });
  });

  it("is refused where its file exports none as its default, or is not there", async () => {
    for (const [name, text, words] of [
      [
        "named.ts",
        "export const study = { question: 1 };",
        /must export a study as its default; got only study\. Write export/,
      ],
      ["named.mjs", "export const study = 1;", /got only study\. Write export default before it\./],
      ["nothing.ts", "const x = 1;", /got no export/],
    ] as const) {
      writeFileSync(join(folder, name), text);
      await assert.rejects(loadStudy(join(folder, name)), { code: "ERR_SETTING", message: words });
    }
    await assert.rejects(loadStudy(join(folder, "gone.ts")), { code: "ENOENT", message: /no such file/ });
  });

  const refusals: readonly [string, unknown, RegExp][] = [
    ["an unknown key", { ...input, seed: 1 }, /seed: no such key.*seeds/],
    ["no score", { ...input, score: undefined }, /score: must be said/],
    ["a score without metric", { ...input, score: "acc1" }, /score: must be "set\/metric"/],
    ["a score of no set", { ...input, score: "other/acc1" }, /score: must name a set of the suite: test/],
    [
      "a length in the recipe",
      { ...input, recipe: { ...input.recipe, epochs: 3 } },
      /recipe\.epochs: the regime says/,
    ],
    [
      "a seed in the recipe",
      { ...input, recipe: { ...input.recipe, seed: 3 } },
      /recipe\.seed: the study gives/,
    ],
    [
      "one level",
      { ...input, factors: { model: ["clipwright-nano-32"] } },
      /factors\.model: must have at least two levels/,
    ],
    ["a factor of no setting", { ...input, factors: { modle: ["a", "b"] } }, /factors\.modle: .*model/],
    [
      "a question about nothing",
      { ...input, question: { ...input.question, factor: "lr" } },
      /question\.factor: must be one of the factors model, part/,
    ],
    [
      "a share above 1",
      { ...input, factors: { ...input.factors, part: [0.5, 2] } },
      /factors\.part: must be \{"random": share\}/,
    ],
    [
      "a level's setting that there is not",
      { ...input, factors: { model: { a: { modle: "x" }, b: {} } } },
      /factors\.model\.a\.modle: no such key.*model/,
    ],
    [
      "two lengths",
      { ...input, regime: { epochs: 1, samples: 2 } },
      /regime: must be one of .*got \{"epochs":1,"samples":2\}/,
    ],
    ["a length that there is not", { ...input, regime: { epoch: 1 } }, /regime: .* Did you mean "epochs"\?$/],
    ["a part of a sample", { ...input, regime: { a: { samples: 3.5 } } }, /regime\.a: must be one of/],
    ["a time that is none", { ...input, regime: { time: "500 steps" } }, /regime: must be one of .*30m/],
    ["seeds in words", { ...input, seeds: "3" }, /seeds: must be how many.*got "3"/],
    ["factors that are none", { ...input, factors: null }, /factors: must be an object; got null/],
    ["a recipe that is none", { ...input, recipe: "shapes/" }, /recipe: must be an object/],
    [
      "a setting that there is not",
      { ...input, recipe: { bathSize: 3 } },
      /recipe\.bathSize: no such key; got 3\. Did you mean "batchSize"\?$/,
    ],
    [
      "a length that is varied",
      { ...input, factors: { ...input.factors, epochs: [1, 2] } },
      /factors\.epochs: the regime says how long runs are/,
    ],
    [
      "a seed that is varied",
      { ...input, factors: { model: { a: { seed: 1 }, b: { seed: 2 } } } },
      /factors\.model\.a\.seed: the study gives each run its own/,
    ],
    ["a folder elsewhere", { ...input, name: "../other" }, /name: must be the name of one folder/],
    [
      "a score that no task gives",
      { ...input, score: "test/ac1" },
      /score: no task gives it; got "test\/ac1"\. Did you mean "acc1"\?/,
    ],
    ["the same seed twice", { ...input, seeds: [1, 1] }, /seeds: must be how many/],
  ];
  for (const [what, value, message] of refusals)
    it(`refuses ${what}`, async () => {
      await assert.rejects(checkStudy(value), (error: Error) => {
        assert.equal(error.name, "UsageError");
        assert.match(error.message, message);
        return true;
      });
    });

  it("refuses what is no recipe, naming the combination, and a setting of two factors", async () => {
    const wrong = await checkStudy({
      ...input,
      recipe: { ...input.recipe, model: "clipwright-nano-32" },
      factors: { batch: { none: { batchSize: 0 }, same: {} } },
      question: { text: "?", factor: "batch" },
    });
    assert.throws(() => cellsOf(wrong, facts), /batch=none: batchSize/);
    const twice = await checkStudy({
      ...input,
      factors: { model: input.factors.model!, encoder: { a: { model: "clipwright-nano-32" }, b: {} } },
    });
    assert.throws(() => cellsOf(twice, facts), /model is set by another factor too/);
    const empty = await checkStudy({ ...input, factors: { ...input.factors, part: [0.001, 1] } });
    assert.throws(() => cellsOf(empty, facts), /two pairs at least; got 1 of 1000/);
  });

  it("refuses levels that are one run, which would be compared with itself", async () => {
    const model = { a: { model: "clipwright-nano-32" }, b: { model: "clipwright-nano-32" } };
    const alike = await checkStudy({ ...input, factors: { model } });
    assert.throws(() => cellsOf(alike, facts), {
      name: "UsageError",
      message: /the same run for model=b and model=a/,
    });
  });

  it("counts what a recipe selects, and refuses a part of that", async () => {
    const factors = { model: input.factors.model!, select: ["all.parquet", "few.parquet"] };
    const study = await checkStudy({ ...input, factors, regime: { epochs: 1 } });
    const own = { ...facts, pairsOf: (select?: string) => (select === "few.parquet" ? 300 : 1000) };
    assert.deepEqual(
      cellsOf(study, own).map(({ pairs, samples }) => [pairs, samples]),
      [
        [1000, 1008],
        [300, 304],
        [1000, 1008],
        [300, 304],
      ],
    );
    const both = await checkStudy({ ...input, factors: { ...factors, part: [0.5, 1] } });
    assert.throws(() => cellsOf(both, own), { name: "UsageError", key: "select" });
  });

  it("comes in sizes, of which one is asked for", async () => {
    const file = join(folder, "sized.json");
    writeFileSync(file, JSON.stringify({ small: input, large: { ...input, seeds: 5 } }));
    const large = await loadStudy(file, { size: "large" });
    assert.deepEqual([large.name, large.seeds.length], ["sized-large", 5]);
    const refused = (size: string | undefined, words: RegExp, path = file) =>
      assert.rejects(loadStudy(path, { size }), { name: "UsageError", key: "size", message: words });
    await refused(undefined, /sizes small, large; got no size\. Say --size\.$/);
    await refused("lage", /sizes small, large; got lage.*large/);
    const single = join(folder, "single.json");
    writeFileSync(single, JSON.stringify(input));
    assert.equal((await loadStudy(single)).name, "single");
    await refused("small", /has no sizes; got small\. Leave --size out\.$/, single);
  });
});
