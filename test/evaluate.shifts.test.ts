import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { compareRuns } from "../src/evaluate/compare.js";
import { meanInterval } from "../src/evaluate/statistics/bootstrap.js";
import type { ScoredTask, SetRole } from "../src/evaluate/suites/score.js";
import { effectiveRecords, effectiveScores, shiftScores, shiftTasks } from "../src/evaluate/suites/shifts.js";
import { findMetric } from "../src/evaluate/tasks/index.js";
import { robustnessTable, writeComparison } from "../src/report/comparison.js";

const task = "zeroshot_classification";

/** A set of `n` items of which the first `right` are guessed. */
function scoredSet(dataset: string, role: SetRole, n: number, right: number): ScoredTask {
  const values = Float64Array.from({ length: n }, (_, i) => (i < right ? 1 : 0));
  const score = { metric: "acc1", score: meanInterval(values) };
  const items = { values, samples: Uint32Array.from(values.keys()) };
  return { dataset, role, task, scores: [{ ...score, items }], records: [], notes: [], details: undefined };
}

const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-9, `${a} is not ${b}`);

suite("shifted sets beside a reference", () => {
  const scored = [
    scoredSet("photos", "reference", 200, 120),
    scoredSet("sketches", "shift", 100, 30),
    scoredSet("paintings", "shift", 400, 200),
    scoredSet("other", "test", 50, 50),
  ];

  test("every shift weighs the same, and what is lost is the reference less their mean", () => {
    const [only, ...rest] = shiftScores(scored);
    assert.deepEqual(rest, []);
    assert.equal(only!.dataset, "mean of 2 shifts");
    near(only!.mean.score.value, (0.3 + 0.5) / 2);
    assert.equal(only!.mean.score.n, 500);
    near(only!.drop!.value, 0.6 - 0.4);
    const records = shiftTasks([only!]).flatMap((one) => one.records);
    assert.deepEqual(
      records.map(({ dataset, metric }) => [dataset, metric]),
      [
        ["mean of 2 shifts", "acc1"],
        ["mean of 2 shifts", "acc1_drop"],
      ],
    );
  });

  test("the mean's interval and that of what is lost hold the truth 95 % of the time", () => {
    const random = new Random(keyFromSeed(5));
    const drawn = (n: number, p: number) =>
      Array.from({ length: n }, () => random.uniform()).filter((u) => u < p).length;
    let [mean, drop] = [0, 0];
    const runs = 500;
    for (let run = 0; run < runs; run++) {
      const [only] = shiftScores([
        scoredSet("a", "reference", 300, drawn(300, 0.7)),
        scoredSet("b", "shift", 150, drawn(150, 0.2)),
        scoredSet("c", "shift", 300, drawn(300, 0.5)),
      ]);
      const holds = ({ low, high }: { low: number; high: number }, truth: number) =>
        low <= truth && truth <= high ? 1 : 0;
      mean += holds(only!.mean.score, 0.35);
      drop += holds(only!.drop!, 0.35);
    }
    // 500 draws at 0.95: ±0.029 three times out of a thousand; percentiles of few items are a little narrow.
    for (const share of [mean, drop]) assert.ok(share / runs > 0.915 && share / runs < 0.985, `${share}`);
  });

  test("a metric that a shift lacks is left out; without a reference there is a mean and nothing lost", () => {
    const none = { ...scoredSet("blank", "shift", 10, 1), scores: [] };
    assert.deepEqual(shiftScores([...scored, none]), []);
    const [only] = shiftScores(scored.slice(1));
    assert.equal(only!.drop, undefined);
  });

  test("recipes are compared by the mean of their shifts, each shift weighing the same", () => {
    const better = [scoredSet("sketches", "shift", 100, 60), scoredSet("paintings", "shift", 400, 200)];
    const runs = [scored.slice(1, 3), better].flatMap((sets, r) =>
      shiftTasks(shiftScores(sets)).map((one) => ({ ...one, run: `${r}`, recipe: `${r}` })),
    );
    const [only] = compareRuns(runs, findMetric);
    near(only!.pairs[0]!.value, 0.4 - 0.55);
    near(only!.recipes[1]!.score.value, 0.55);
  });
});

suite("effective robustness over runs", () => {
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const n = 100_000;
  const modelOf = (name: string, reference: number, extra = 0) => {
    const shifted = sigmoid(-0.5 + 0.8 * Math.log(reference / (1 - reference))) + extra;
    const sets = [scoredSet("photos", "reference", n, Math.round(n * reference))];
    return {
      name,
      shifts: shiftScores([...sets, scoredSet("sketches", "shift", n, Math.round(n * shifted))]),
    };
  };
  const family = [0.2, 0.3, 0.45, 0.6, 0.7].map((reference, i) => modelOf(`run-${i}`, reference));
  const robust = modelOf("robust", 0.5, 0.08);

  test("a run above the line of the baseline runs is so by as much as was planted", () => {
    const names = family.map(({ name }) => name);
    const { scores, refused } = effectiveScores([...family, robust], names);
    assert.equal(refused, undefined);
    const [only] = scores;
    assert.ok(Math.abs(only!.line.slope - 0.8) < 1e-3);
    const [record] = effectiveRecords(scores, "robust");
    assert.deepEqual([record!.metric, record!.n], ["acc1_above_line", 5]);
    assert.ok(Math.abs(record!.value - 0.08) < 1e-3, `${record!.value}`);
    const { sentence, rows } = robustnessTable(only!);
    assert.match(sentence, /line through 5 runs: logit\(shifts\) = 0\.80 · logit\(reference\) −0\.50/);
    assert.deepEqual(rows.at(-1)!.slice(0, 4), ["robust", "50.0", "45.8", "+8.0"]);
    const page = writeComparison({ groups: [], differences: [], comparisons: [], robustness: scores });
    assert.match(page, /Effective robustness: mean of 1 shift, top-1/);
  });

  test("too few runs, or runs too alike, draw no line, which is said", () => {
    const few = effectiveScores(family.slice(0, 3));
    assert.deepEqual(few.scores, []);
    assert.match(few.refused!, /needs 5 models that span 10 points .* got 3 that span 25\.0/);
    assert.equal(effectiveScores([{ name: "plain", shifts: [] }]).refused, undefined);
  });
});
