import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { compare, defineSuite, evaluate, openModel, type ScoredRun, UsageError } from "clipwright";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { fixture } from "./support/fixture.js";

suite("evaluate and compare as functions", () => {
  const folder = scratchFolder();

  test("a suite's scores come set by set, and runs that score the same cannot be told apart", async () => {
    for (const [c, label] of ["cat", "dog"].entries())
      for (let i = 0; i < 3; i++) put(folder, `set/${label}/${i}.png`, await pngOf(9 * c + i));
    const data = join(folder, "set");
    const asked = defineSuite({
      sets: {
        plain: { data, role: "reference" },
        named: { data, classnames: { cat: ["cat", "kitten"], dog: "dog" } },
      },
    });
    const model = await openModel(fixture("embed"), { engine: "onnxruntime", threads: 1, workers: 1 });
    try {
      const scores = await evaluate(model, asked);
      assert.deepEqual(
        scores.map(({ dataset, role, task }) => [dataset, role, task]),
        [
          ["plain", "reference", "zeroshot_classification"],
          ["named", "test", "zeroshot_classification"],
        ],
      );
      assert.equal(scores[0]!.records[0]!.n, 6);
      const runs = ["a", "b"].flatMap((run): ScoredRun[] =>
        scores.map((one) => ({ ...one, run, recipe: run })),
      );
      const [first] = compare(runs);
      assert.equal(first!.pairs[0]!.value, 0);
      assert.equal(first!.pairs[0]!.verdict, "cannot be told apart");
      const wrong = { set: {} } as unknown as typeof asked;
      await assert.rejects(evaluate(model, wrong), UsageError);
    } finally {
      await model.close();
    }
  });
});
