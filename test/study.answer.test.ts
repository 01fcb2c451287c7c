import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { parquetReadObjects } from "hyparquet";
import { keyFromSeed, Random } from "../src/core/random.js";
import { recordOf } from "../src/evaluate/records.js";
import { findMetric } from "../src/evaluate/tasks/index.js";
import type { TaskScore } from "../src/evaluate/tasks/task.js";
import { answerOf, type Curve, type DoneRun, meanScore } from "../src/study/answer/answer.js";
import { answerLines } from "../src/study/answer/lines.js";
import { cellsOf } from "../src/study/design/cells.js";
import { checkStudy, type Study, type StudyInput } from "../src/study/design/study.js";
import { fitLaw } from "../src/study/laws/fit.js";
import { powerLaw, worthOfRepeated } from "../src/study/laws/law.js";
import { type RunResult, readResult, writeResult } from "../src/study/run/results.js";
import { tableOf, writeTable } from "../src/study/run/table.js";

const N = 400;

const input: StudyInput = {
  question: { text: "Which encoder?", factor: "encoder", over: "samples" },
  recipe: { trainData: ["shapes/"], batchSize: 16 },
  factors: {
    encoder: { small: { model: "clipwright-nano-32" }, large: { model: "clipwright-micro-32" } },
    part: [0.01, 0.03, 0.1, 0.3, 1],
  },
  regime: { epochs: 1 },
  seeds: 2,
  suite: { sets: { test: { data: "test/" } } },
  score: "test/acc1",
};

/** A run whose share of right answers is `share`, on items of which some are harder. */
function resultOf(share: number, seed: number, samples: number, gmacs: number): RunResult {
  const random = new Random(keyFromSeed(1000 + seed));
  const values = Float64Array.from({ length: N }, (_, i) =>
    random.uniform() < share + 0.1 * Math.sin(i) ? 1 : 0,
  );
  const value = values.reduce((a, b) => a + b, 0) / N;
  const score = { value, low: value - 0.04, high: value + 0.04, n: N };
  return {
    samples,
    gmacs,
    seconds: 10,
    records: [recordOf({ dataset: "test", task: "zeroshot_classification", metric: "acc1", ...score })],
    scored: [
      {
        dataset: "test",
        task: "zeroshot_classification",
        scores: [
          { metric: "acc1", score, items: { values, samples: Uint32Array.from({ length: N }, (_, i) => i) } },
        ],
      },
    ],
  };
}

/** The large one starts lower and ends higher. */
const errorOf = (encoder: string, samples: number): number =>
  encoder === "small" ? 0.45 + 8 * samples ** -0.4 : 0.15 + 8 * samples ** -0.29;

async function example(): Promise<{ study: Study; runs: DoneRun[] }> {
  const study = await checkStudy(input);
  const cells = cellsOf(study, {
    pairsOf: () => 100_000,
    gmacsOf: ({ model }) => (model === "clipwright-nano-32" ? 0.02 : 0.13),
  });
  const runs = study.seeds.flatMap((seed) =>
    cells.map((cell, at): DoneRun => {
      const share = 1 - errorOf(cell.levels.encoder!, cell.samples!);
      return { cell, seed, result: resultOf(share, 100 * seed + at, cell.samples!, cell.gmacs!) };
    }),
  );
  return { study, runs };
}

describe("the answer of a study", () => {
  it("compares the levels with everything else alike, and says what cannot be told", async () => {
    const { study, runs } = await example();
    const { panels } = answerOf(study, runs);
    assert.equal(panels.length, 5);
    const last = panels.find(({ others }) => others.part === "100 %")!;
    assert.deepEqual(
      last.rows.map(({ level, seeds }) => [level, seeds]),
      [
        ["small", [0, 1]],
        ["large", [0, 1]],
      ],
    );
    assert.equal(last.pairs[0]!.verdict, "second");
    // The curves cross near here.
    const middle = panels.find(({ others }) => others.part === "10 %")!;
    assert.ok(middle.pairs[0]!.adjusted >= middle.pairs[0]!.p);
    const all = panels.flatMap(({ pairs }) => pairs);
    assert.equal(all.length, 5);
  });

  it("fits laws to runs that are better than guessing, and says how many are not", async () => {
    const { study, runs } = await example();
    const chance = 0.3;
    const guessed = runs.map((run): DoneRun => {
      const [set] = run.result.scored;
      const [score] = set!.scores;
      const isSmallest = run.cell.levels.encoder === "small" && run.cell.pairs < 2000;
      const value = isSmallest ? chance : score!.score.value;
      const scored = { value, low: value - 0.02, high: value + 0.02, n: N };
      const scores = [{ ...score!, score: scored, ...(isSmallest && { chance }) }];
      return { ...run, result: { ...run.result, scored: [{ ...set!, scores }] } };
    });
    const [small, large] = answerOf(study, guessed).curves as [Curve, Curve];
    assert.equal(small.points.filter(({ guessing }) => guessing).length, 2);
    assert.equal(large.points.filter(({ guessing }) => guessing).length, 0);
    assert.ok(!("refused" in small.fit) && !("refused" in large.fit));
    assert.equal(small.fit.points.length, 8);
    assert.ok(small.fit.warnings.includes("2 of 10 runs are no better than guessing and left out"));
    const all = guessed.map((run): DoneRun => {
      const [set] = run.result.scored;
      const scores = set!.scores.map((score) => ({ ...score, chance: 1 }));
      return { ...run, result: { ...run.result, scored: [{ ...set!, scores }] } };
    });
    const [none] = answerOf(study, all).curves as [Curve, ...Curve[]];
    assert.ok("refused" in none.fit);
    assert.match(none.fit.refused, /got 0 runs .* 10 of 10 runs are no better than guessing and left out\.$/);
  });

  it("tells what samples are worth that are seen again, where passes vary", async () => {
    const study = await checkStudy({
      ...input,
      regime: { once: { epochs: 1 }, "four times": { epochs: 4 }, "twenty times": { epochs: 20 } },
      seeds: 1,
    });
    const cells = cellsOf(study, { pairsOf: () => 100_000, gmacsOf: () => 0.02 });
    const runs = cells.map((cell): DoneRun => {
      const worth = worthOfRepeated(cell.samples!, cell.pairs, 5);
      const result = resultOf(0.5, 0, cell.samples!, cell.gmacs!);
      const score = { value: 0.9 - 8 * worth ** -0.35, low: 0, high: 1, n: N };
      const scored = [{ ...result.scored[0]!, scores: [{ metric: "acc1", score }] }];
      return { cell, seed: 0, result: { ...result, scored } };
    });
    const answer = answerOf(study, runs);
    assert.deepEqual(
      answer.repetitions.map(({ level }) => level),
      ["small", "large"],
    );
    const { fit } = answer.repetitions[0]!;
    assert.ok(!("refused" in fit));
    const found = Object.fromEntries(fit.parameters.map(({ name, value }) => [name, value]));
    assert.ok(Math.abs(found.R! - 5) < 0.1 && Math.abs(found.E! - 0.1) < 0.01, JSON.stringify(found));
    assert.ok(
      answerLines(answer).some((line) => /^small, samples seen again and again: E \+ B·D/.test(line)),
    );
    // Each run four times: nothing tells the worth of a pass from that of more data. Each once: nothing is seen again.
    const only = (regime: string) =>
      answerOf(
        study,
        runs.filter(({ cell }) => cell.regimes.includes(regime)),
      ).repetitions;
    assert.match((only("four times")[0]!.fit as { refused: string }).refused, /sees its data 4\.00 times/);
    assert.deepEqual(only("once"), []);
  });

  it("fits one law of repetition to all random parts of one set, where these are what is asked about", async () => {
    const study = await checkStudy({
      ...input,
      question: { text: "More pairs, or more passes?", factor: "part", over: "samples" },
      recipe: { ...input.recipe, model: "clipwright-nano-32" },
      factors: { part: [0.1, 0.3, 1] },
      regime: { once: { epochs: 1 }, "four times": { epochs: 4 }, "twenty times": { epochs: 20 } },
      seeds: 1,
    });
    const cells = cellsOf(study, { pairsOf: () => 100_000, gmacsOf: () => 0.02 });
    const runs = cells.map((cell): DoneRun => {
      const worth = worthOfRepeated(cell.samples!, cell.pairs, 5);
      const result = resultOf(0.5, 0, cell.samples!, cell.gmacs!);
      const score = { value: 0.9 - 8 * worth ** -0.35, low: 0, high: 1, n: N };
      return {
        cell,
        seed: 0,
        result: { ...result, scored: [{ ...result.scored[0]!, scores: [{ metric: "acc1", score }] }] },
      };
    });
    const { repetitions } = answerOf(study, runs);
    assert.deepEqual(
      repetitions.map(({ level }) => level),
      ["every part"],
    );
    const { fit } = repetitions[0]!;
    assert.ok(!("refused" in fit));
    const found = Object.fromEntries(fit.parameters.map(({ name, value }) => [name, value]));
    assert.ok(Math.abs(found.R! - 5) < 0.1 && Math.abs(found.E! - 0.1) < 0.01, JSON.stringify(found));
  });

  it("draws curves over samples, finds where they cross, and the runs worth their cost", async () => {
    const { study, runs } = await example();
    const { curves, crossings, frontier } = answerOf(study, runs);
    assert.deepEqual(
      curves.map(({ level, points }) => [level, points.length]),
      [
        ["small", 10],
        ["large", 10],
      ],
    );
    assert.equal(crossings.length, 1);
    assert.ok(frontier.length >= 3);
    const costs = frontier.map(({ gmacs }) => gmacs);
    assert.deepEqual(
      costs,
      [...costs].sort((a, b) => a - b),
    );
    const scores = frontier.map(({ score }) => score.value);
    assert.deepEqual(
      scores,
      [...scores].sort((a, b) => a - b),
    );
  });

  it("is told in lines", async () => {
    const { study, runs } = await example();
    const text = answerLines(answerOf(study, runs)).join("\n");
    assert.match(text, /one pass, part 100 %\n {2}small {2}\d+\.\d \(.*2 seeds\n {2}large/);
    assert.match(text, /small, one pass: E \+ B·x\^-β; β/);
    assert.match(text, /Worth their compute/);
    // Levels alone would not say which of two runs of a combination it is.
    assert.match(
      text,
      /\n {2}small, [\d.]+ %; (one pass|equal samples).*: \d.* for [\d.]+ · 10⁹ multiply-adds/,
    );
    assert.match(text, /overtakes .* at [\d,]+ samples \([\d,]+ samples to [\d,]+ samples\), one pass/);
    assert.doesNotMatch(text, /\de\+/);
  });

  it("gives no number for a parameter that is not known, and says what to beware of", async () => {
    const { study, runs } = await example();
    const { curves, ...answer } = answerOf(study, runs);
    const fit = fitLaw(
      powerLaw,
      [1, 2, 3, 4, 5, 6].map((x) => ({ x: 1000 * x, y: 0.9 })),
    );
    const lines = answerLines({ ...answer, curves: [{ ...curves[0]!, fit }] });
    const told = lines.find((line) => line.startsWith("small, one pass: E + B"))!;
    assert.match(told, /; β is not known: any value/);
    assert.match(told, /; beware: x spans 0\.8 powers of ten/);
  });

  it("goes by the runs that there are", async () => {
    const { study, runs } = await example();
    const { panels, curves } = answerOf(study, runs.slice(0, 3));
    assert.equal(panels.length, 0);
    assert.ok("refused" in curves[0]!.fit && /needs at least 5 runs/.test(curves[0]!.fit.refused));
    assert.throws(() => answerOf(study, []), /no run is done/);
  });

  it("names the scores that there are where the study's is not among them", async () => {
    const { study, runs } = await example();
    const other = { ...study, score: { set: "test", metric: "acc5" } };
    assert.throws(() => answerOf(other, runs), /have no test\/acc5; got test\/acc1/);
    assert.throws(
      () => answerOf({ ...study, score: { set: "test", metric: "accuracy1" } }, runs),
      /no task gives accuracy1/,
    );
  });
});

describe("results of runs", () => {
  const folder = mkdtempSync(join(tmpdir(), "clipwright-results-"));
  after(() => rmSync(folder, { recursive: true }));

  it("are read as they were written", () => {
    const result = resultOf(0.5, 3, 1000, 2.5);
    assert.equal(readResult(folder), undefined);
    writeResult(folder, result);
    assert.deepEqual(readResult(folder), result);
  });

  it("keep what each item counts, so that means and differences are weighted", async () => {
    const { study, runs } = await example();
    const items = {
      values: Float64Array.of(1, 0, 0, 1),
      samples: Uint32Array.of(0, 1, 2, 3),
      weights: Float64Array.of(0.4, 0.4, 0.1, 0.1),
    };
    const score = { value: 0.5, low: 0.1, high: 0.9, n: 4 };
    const [first, second] = runs.filter(({ seed, cell }) => seed === 0 && cell.levels.part === "100 %");
    const weighted = [first!, second!].map((run, at): DoneRun => {
      const values = at === 0 ? items.values : Float64Array.of(1, 0, 1, 1);
      const scores = [{ metric: "acc1", score, items: { ...items, values } }];
      writeResult(folder, { ...run.result, scored: [{ ...run.result.scored[0]!, scores }] });
      return { ...run, result: readResult(folder)! };
    });
    const { panels } = answerOf(study, weighted);
    assert.deepEqual(
      panels[0]!.rows.map((row) => row.score.value),
      [0.5, 0.6],
    );
    assert.ok(Math.abs(panels[0]!.pairs[0]!.value + 0.1) < 1e-12);
  });

  it("have a median rank that is a median, whose mean over seeds is told, not the mean of all ranks", () => {
    const ranks = (...values: number[]): TaskScore => ({
      metric: "image_retrieval_median_rank",
      score: { value: values.sort((a, b) => a - b)[1]!, low: values[0]!, high: values[2]!, n: 3 },
      items: { values: Float64Array.from(values), samples: Uint32Array.of(0, 1, 2) },
    });
    const found = meanScore(findMetric("image_retrieval_median_rank")!, [ranks(1, 2, 99), ranks(3, 4, 50)]);
    assert.deepEqual(found, { value: 3, low: 1, high: 99, n: 3 });
  });

  it("are refused when damaged, with the remedy", () => {
    writeFileSync(join(folder, "result.json"), '{"format": 1');
    assert.throws(() => readResult(folder), /result\.json: must hold a run's result.*Remove it/);
  });

  it("are no table where a factor is called as one of its columns", async () => {
    const { study } = await example();
    const samples = { ...study.factors[0]!, name: "samples" };
    assert.throws(() => tableOf({ ...study, factors: [samples] }, []), {
      name: "UsageError",
      key: "factors.samples",
    });
  });

  it("are one table, in CSV and Parquet", async () => {
    const { study, runs } = await example();
    const { columns, rows } = tableOf(study, runs);
    assert.equal(rows.length, 20);
    assert.ok(columns.some(({ name }) => name === "test/acc1/low"));
    writeTable(folder, study, runs);
    const lines = readFileSync(join(folder, "study.csv"), "utf8").trim().split("\r\n");
    assert.equal(lines.length, 21);
    assert.match(lines[0]!, /^run,encoder,part,regime,seed,pairs,samples,gmacs,seconds,/);
    // A list in a recipe has quotes, which CSV doubles.
    assert.match(lines[1]!, /"\[""shapes\/""\]"/);
    const bytes = readFileSync(join(folder, "study.parquet"));
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const read = await parquetReadObjects({ file });
    assert.equal(read.length, 20);
    assert.equal(read[0]!.encoder, rows[0]!.encoder);
    // What is a number throughout is one in both; JSON of other settings is text.
    assert.equal(typeof read[0]!["recipe.batchSize"], "number");
    assert.equal(read[0]!["recipe.trainData"], '["shapes/"]');
    const affine = [12, 0.2, 0.07, 0.05];
    const listed = runs.map((run) => ({
      ...run,
      cell: { ...run.cell, recipe: { ...run.cell.recipe, affine } },
    }));
    assert.equal(tableOf(study, listed).rows[0]!["recipe.affine"], "[12,0.2,0.07,0.05]");
    const lr = {
      name: "lr",
      levels: [0.001, 1e-5].map((x) => ({ name: `${x}`, recipe: {}, part: undefined })),
    };
    const rated = runs.map((run) => ({ ...run, cell: { ...run.cell, levels: { lr: "0.00001" } } }));
    const typed = tableOf({ ...study, factors: [lr] }, rated);
    assert.equal(typed.columns[1]!.kind, "number");
    assert.equal(typed.rows[0]!.lr, 1e-5);
    assert.equal(read[7]!["test/acc1"], rows[7]!["test/acc1"]);
  });
});
