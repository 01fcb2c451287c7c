import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { compareRuns, type ScoredRun, verdictWords } from "../src/evaluate/compare.js";
import { findMetric } from "../src/evaluate/tasks/index.js";
import type { TaskScore } from "../src/evaluate/tasks/task.js";

/** A run's right and wrong answers: the share `p` of the items that its draw has right, more or less hard ones. */
function runOf(run: string, recipe: string, p: number, seed: number, n = 400): ScoredRun {
  const hard = new Random(keyFromSeed(7));
  const own = new Random(keyFromSeed(100 + seed));
  const values = Float64Array.from({ length: n }, () =>
    0.7 * hard.uniform() + 0.3 * own.uniform() < p ? 1 : 0,
  );
  return { run, recipe, dataset: "set", task: "zeroshot_classification", scores: [scoreOf("acc1", values)] };
}

function scoreOf(metric: string, values: Float64Array, samples?: Uint32Array): TaskScore {
  const value = values.reduce((x, y) => x + y, 0) / values.length;
  const at = samples ?? Uint32Array.from(values, (_, i) => i);
  return {
    metric,
    score: { value, low: value, high: value, n: values.length },
    items: { values, samples: at },
  };
}

describe("compareRuns", () => {
  test("finds a planted difference between recipes of three seeds, and says by how much", () => {
    const runs = [1, 2, 3].flatMap((seed) => [
      runOf(`a-${seed}`, "a", 0.6, seed),
      runOf(`b-${seed}`, "b", 0.5, 10 + seed),
    ]);
    const [acc1] = compareRuns(runs, findMetric);
    const [pair] = acc1!.pairs;
    assert.deepEqual([pair!.first, pair!.second, pair!.verdict], ["a", "b", "first"]);
    assert.deepEqual(pair!.runs, [3, 3]);
    const [a, b] = acc1!.recipes;
    assert.ok(Math.abs(pair!.value - (a!.score.value - b!.score.value)) < 1e-12);
    assert.equal(pair!.mcNemar, undefined);
    assert.match(
      verdictWords(pair!, acc1!.metric),
      /^a is better than b by \d+\.\d points \(\d+\.\d to \d+\.\d\)$/,
    );
  });

  test("a pair of single runs speaks of these runs alone, and has McNemar's test", () => {
    const [acc1] = compareRuns([runOf("a", "a", 0.6, 1), runOf("b", "b", 0.45, 2)], findMetric);
    const [pair] = acc1!.pairs;
    assert.ok(pair!.mcNemar!.p < 0.01);
    assert.match(
      verdictWords(pair!, acc1!.metric),
      /one seed each: this speaks of these two runs, not of their recipes/,
    );
  });

  test("alike runs cannot be told apart, and it says what it would take", () => {
    const [acc1] = compareRuns([runOf("a", "a", 0.5, 1), runOf("b", "b", 0.5, 2)], findMetric);
    const [pair] = acc1!.pairs;
    assert.equal(pair!.verdict, "cannot be told apart");
    assert.match(
      verdictWords(pair!, acc1!.metric),
      /cannot be told apart: .* points would be found four times in five/,
    );
  });

  test("the same answers are told as such", () => {
    const [acc1] = compareRuns([runOf("a", "a", 0.5, 1), runOf("b", "b", 0.5, 1)], findMetric);
    assert.equal(verdictWords(acc1!.pairs[0]!, acc1!.metric), "a and b have the same score on every item");
  });

  test("p-values are corrected over all pairs and metrics", () => {
    const runs = ["a", "b", "c"].map((name, i) => runOf(name, name, 0.5 + i / 20, i));
    const [acc1] = compareRuns(runs, findMetric);
    assert.equal(acc1!.pairs.length, 3);
    const raw = acc1!.pairs.map(({ p }) => p).sort((x, y) => x - y);
    const corrected = acc1!.pairs.map(({ adjusted }) => adjusted).sort((x, y) => x - y);
    assert.ok(Math.abs(corrected[0]! - Math.min(1, 3 * raw[0]!)) < 1e-12);
  });

  test("items that a run lacks are left out for all, and several queries of a sample belong together", () => {
    const with3 = scoreOf("acc1", Float64Array.of(1, 0, 1), Uint32Array.of(0, 1, 1));
    const with2 = scoreOf("acc1", Float64Array.of(1, 1), Uint32Array.of(1, 1));
    const base = { dataset: "set", task: "zeroshot_classification" };
    const [acc1] = compareRuns(
      [
        { ...base, run: "a", recipe: "a", scores: [with3] },
        { ...base, run: "b", recipe: "b", scores: [with2] },
      ],
      findMetric,
    );
    assert.equal(acc1!.n, 2);
    assert.equal(acc1!.pairs[0]!.n, 1);
    assert.equal(acc1!.pairs[0]!.value, -0.5);
  });

  test("refuses one recipe, and runs that share nothing", () => {
    assert.throws(
      () => compareRuns([runOf("a", "a", 0.5, 1), runOf("b", "a", 0.5, 2)], findMetric),
      UsageError,
    );
    const other = { ...runOf("b", "b", 0.5, 2), dataset: "other" };
    assert.throws(() => compareRuns([runOf("a", "a", 0.5, 1), other], findMetric), /share no metric/);
  });
});
