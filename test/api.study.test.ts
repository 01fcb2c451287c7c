import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import {
  defineStudy,
  formatAnswer,
  openEngine,
  openStudy,
  readFindings,
  runStudy,
  type StudyInput,
  UsageError,
} from "clipwright";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const scratch = scratchFolder();
const folder = join(scratch, "studies");

const study = defineStudy({
  name: "rates",
  question: { text: "Which rate?", factor: "lr" },
  recipe: {
    ...{ trainData: join(scratch, "train"), batchSize: 8, vocabSize: 290 },
    ...{ threads: 1, workers: 1, engine: "onnxruntime" },
    model: {
      embed_dim: 8,
      vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
      text_cfg: { context_length: 12, width: 16, heads: 2, layers: 1 },
    },
  },
  factors: { lr: [1e-3, 3e-3] },
  regime: { samples: 32 },
  seeds: 1,
  suite: { sets: { test: { data: join(scratch, "test"), tasks: ["zeroshot_classification"] } } },
  score: "test/acc1",
});

suite("a study from a program", { timeout: 300_000 }, () => {
  before(async () => {
    for (const [part, count] of Object.entries({ train: 8, test: 4 }))
      for (const [at, label] of ["red fox", "blue boat"].entries())
        for (let i = 0; i < count; i++)
          put(scratch, `${part}/${label}/${i}.png`, await pngOf(100 * at + 9 * i + count, 16, 16));
  });

  test("is told before it is run, by a handle that leaves another's engine open", async () => {
    await using engine = await openEngine("onnxruntime", { threads: 1 });
    const probed: number[] = [];
    const opened = await openStudy(study, {
      ...{ folder, engine, seeds: 2, shard: "1/2" },
      onProbe: (done) => probed.push(done),
    });
    assert.equal(opened.folder, join(folder, "rates"));
    assert.ok(probed.length > 0);
    const { cells, left } = opened.outlook();
    assert.deepEqual([cells.length, left.runs, opened.runs.length], [1, 2, 2]);
    assert.ok(left.seconds > 0);
    const { left: notBegun, findings, answer } = await opened.run({ budget: 0 });
    assert.deepEqual([notBegun.length, findings, answer], [2, undefined, undefined]);
    await assert.rejects(opened.run({ budget: "3 ours" }), {
      name: "UsageError",
      key: "budget",
      message: 'budget: must be a time; got budget="3 ours". Write e.g. "3h".',
    });
    await opened.close();
    await opened.close();
    const { outlook: again, close } = await openStudy(study, { folder, engine });
    assert.equal(again().left.runs, 2);
    await close();
  });

  test("runs to its answer, and goes on where it was stopped", async () => {
    const stop = new AbortController();
    const how = { folder, engine: "onnxruntime", threads: 1 } as const;
    const begun: string[] = [];
    const first = await runStudy(study, {
      ...how,
      signal: stop.signal,
      onRun: ({ cell }) => begun.push(cell.levels.lr!),
      onDone: () => stop.abort(),
    });
    assert.deepEqual([begun, first.done, first.left.length], [["0.001"], 1, 1]);
    const steps: number[] = [];
    const { done, failed, left, stale, findings, answer } = await runStudy(study, {
      ...how,
      train: { onStep: ({ step }) => steps.push(step) },
    });
    assert.deepEqual([done, failed, left, stale, steps], [2, [], [], [], [1, 2, 3, 4]]);
    assert.deepEqual(JSON.parse(JSON.stringify(findings)), readFindings(join(folder, "rates")));
    assert.match(formatAnswer(answer!), /\n {2}0\.001 {2}\d/);
    assert.ok(existsSync(join(folder, "rates", "study.parquet")));
  });

  test("whose run fails before its first checkpoint passes it over, and tries it again once", async () => {
    const failing: StudyInput = { ...study, name: "failing", factors: { lr: [1e-3, 1e30] } };
    const { done, failed } = await runStudy(failing, { folder, engine: "onnxruntime" });
    assert.equal(done, 1);
    assert.deepEqual(
      failed.map(({ run }) => run.cell.levels),
      [{ lr: "1e+30" }],
    );
    assert.match(failed[0]!.message, /^loss: must be finite/);
    const again = await runStudy(failing, { folder, engine: "onnxruntime" });
    assert.deepEqual([again.done, again.failed], [1, failed]);
    const begun: unknown[] = [];
    await runStudy(failing, { folder, engine: "onnxruntime", onRun: (run) => begun.push(run) });
    assert.deepEqual(begun, []);
  });

  test("in sizes is run in one of them, in a folder of its own", async () => {
    const { name: _, ...nameless } = study;
    const opened = await openStudy({ small: nameless, large: nameless }, { folder, size: "large" });
    assert.equal(opened.study.name, "study-large");
    await opened.close();
    await assert.rejects(
      runStudy({ small: study, large: study }, { folder }),
      /sizes small, large; got no size/,
    );
    assert.deepEqual(readdirSync(folder).sort(), ["failing", "rates", "study-large"]);
  });

  test("tells how its data are got where they are missing", async () => {
    const dataFrom = "make-drawings makes them.";
    const nowhere = join(scratch, "nowhere");
    const refused = (changed: Partial<StudyInput>, message: RegExp) =>
      assert.rejects(openStudy({ ...study, ...changed, name: "lacking", dataFrom }, { folder }), (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, message);
        assert.match(error.message, / make-drawings makes them\.$/);
        return true;
      });
    const of = (trainData: string): StudyInput["recipe"] => ({ ...study.recipe, trainData });
    await refused({ recipe: of(nowhere) }, /nowhere/);
    await refused({ recipe: of(`${nowhere}/*.tar`) }, /nowhere\/\*\.tar/);
    await refused({ suite: `${nowhere}/suite.json` }, /nowhere/);
    await refused({ suite: { sets: { test: { data: nowhere } } } }, /nowhere/);
    const part = { top: 0.5, scores: `${nowhere}.parquet`, by: "words" };
    const factors = { kept: { best: { part }, all: {} } };
    await refused({ factors, question: { text: "?", factor: "kept" } }, /nowhere\.parquet/);
    await assert.rejects(openStudy({ ...study, dataFrom: " " }), /dataFrom: must be a sentence/);
  });
});
