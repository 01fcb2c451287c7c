import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { compareRuns, type ScoredRun } from "../src/evaluate/compare.js";
import { findMetric } from "../src/evaluate/tasks/index.js";
import { writeComparison } from "../src/report/comparison.js";

/** A run that has the first `right` of 100 items right. */
function runOf(name: string, right: number): ScoredRun {
  const values = Float64Array.from({ length: 100 }, (_, i) => (i < right ? 1 : 0));
  const value = right / 100;
  return {
    run: `runs/${name}`,
    recipe: name,
    dataset: "photos",
    task: "zeroshot_classification",
    scores: [
      {
        metric: "acc1",
        score: { value, low: value, high: value, n: 100 },
        items: { values, samples: Uint32Array.from(values, (_, i) => i) },
      },
    ],
  };
}

const pageOf = (...runs: ScoredRun[]): string =>
  writeComparison({
    groups: runs.map(({ run, recipe }) => ({ name: recipe, runs: [run] })),
    differences: [["batchSize", ...runs.map((_, i) => `${64 << i}`)]],
    comparisons: compareRuns(runs, findMetric),
    command: "clipwright compare",
  });

suite("writeComparison", () => {
  test("shows each recipe's score, the paired differences on an axis with 0, and verdicts in words", () => {
    const page = pageOf(runOf("a", 60), runOf("b", 40), runOf("c", 41));
    assert.match(page, /<h1>a, b and c compared<\/h1>/);
    assert.match(page, /2 of 3 differences are more than chance\./);
    assert.match(page, /<h2>photos, top-1<\/h2>/);
    assert.equal(page.split('class="score').length - 1, 3 + 3 + 2 + 2); // rows, axes, two lists
    assert.match(page, /a − b<\/span>.*?<b role="cell">\+20\.0<\/b>/s);
    assert.match(page, /b − c<\/span>.*?<b role="cell">−1\.0<\/b>/s);
    assert.equal(page.split('class="score quieter"').length - 1, 1);
    // 0.2 ± 1.984 · √(0.2 · 0.8 / 99)
    assert.match(page, /<li>a is better than b by 20\.0 points \(12\.0 to 28\.0\); one seed each/);
    assert.match(page, /<li>b and c cannot be told apart: /);
    assert.match(page, /<td>batchSize<\/td><td>64<\/td><td>128<\/td><td>256<\/td>/);
    // No difference lies within the axis, where the difference's interval does not.
    const [, mark] = /class="mark" style="left:([\d.]+)%" title="no difference"/.exec(page)!;
    assert.ok(Number(mark) > 0 && Number(mark) < 100);
  });

  test("loads nothing and escapes names", () => {
    const page = pageOf(runOf("<b>evil", 60), runOf("b", 40));
    assert.match(page, /default-src 'none'/);
    assert.doesNotMatch(page, /<b>evil|NaN|undefined|\[object/);
  });
});
