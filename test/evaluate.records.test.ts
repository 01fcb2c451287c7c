import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { normalise } from "../src/evaluate/features/features.js";
import {
  appendEvaluation,
  evaluationLine,
  evaluationTable,
  parseEvaluation,
  retrievalRecords,
  zeroshotRecords,
} from "../src/evaluate/records.js";
import { evaluateRetrieval } from "../src/evaluate/tasks/retrieval.js";
import { evaluateZeroshot } from "../src/evaluate/tasks/zeroshot.js";

const axes = normalise(new Float32Array([1, 0, 0, 1]), 2, "axes");
const zeroshot = evaluateZeroshot(axes, new Uint32Array([0, 1]), axes, ["left", "right"]);
const retrieval = evaluateRetrieval(axes, axes, new Uint32Array([0, 1]));

suite("evaluationLine", () => {
  test("writes the seven fields in their order, then step, samplesSeen and split where given", () => {
    const [first] = zeroshotRecords("demo", zeroshot);
    assert.match(
      evaluationLine(first!),
      /^\{"dataset":"demo","task":"zeroshot_classification","metric":"acc1","value":1,"low":0\.15\d+,"high":1,"n":2\}\n$/,
    );
    const [second] = zeroshotRecords("demo", zeroshot, { split: "val", samplesSeen: 640, step: 10 });
    assert.match(evaluationLine(second!), /"n":2,"step":10,"samplesSeen":640,"split":"val"\}\n$/);
    assert.throws(() => evaluationLine({ ...first!, value: Number.NaN }), /demo acc1 is not finite/);
  });
});

suite("appendEvaluation and parseEvaluation", () => {
  test("give back what was written, in one write, and drop a line that a crash cut off", async () => {
    const records = [
      ...zeroshotRecords("demo", zeroshot),
      ...retrievalRecords("demo", retrieval, { step: 3 }),
    ];
    assert.equal(records.length, 3 + 8);
    const written: string[] = [];
    await appendEvaluation(records, (text) => void written.push(text));
    assert.equal(written.length, 1);
    assert.deepEqual(parseEvaluation(`${written[0]}{"dataset":"de`), records);
  });

  test("name a bad line", () => {
    assert.throws(
      () => parseEvaluation("\n{}\n", "run/evaluation.jsonl"),
      /run\/evaluation\.jsonl:2: a line must/,
    );
  });
});

suite("evaluationTable", () => {
  test("shows percent, interval and n, with a data set's name once", () => {
    const record = { dataset: "emoji-flat", task: "zeroshot_classification", n: 1560 };
    const table = evaluationTable([
      { ...record, metric: "acc1", value: 0.2534, low: 0.231, high: 0.274 },
      { ...record, metric: "acc5", value: 0.5012, low: 0.476, high: 0.526 },
      {
        ...record,
        dataset: "flickr",
        metric: "image_retrieval_recall@10",
        value: 1,
        low: 0.98,
        high: 1,
        n: 5,
      },
      {
        ...record,
        dataset: "flickr",
        metric: "text_retrieval_median_rank",
        value: 3,
        low: 2.5,
        high: 4,
        n: 1,
      },
    ]);
    assert.equal(
      table,
      `
data set    metric                      score  95 % interval      n
──────────  ────────────────────────  ───────  ─────────────  ─────
emoji-flat  top-1                      25.3 %    23.1 – 27.4  1,560
            top-5                      50.1 %    47.6 – 52.6  1,560
flickr      text → image R@10         100.0 %   98.0 – 100.0      5
            image → text median rank        3        2.5 – 4      1
`.trimStart(),
    );
  });
});
