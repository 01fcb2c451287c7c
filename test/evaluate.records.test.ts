import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  appendEvaluation,
  type EvaluationRecord,
  evaluationLine,
  evaluationTable,
  parseEvaluation,
  recordOf,
} from "../src/evaluate/records.js";

const record: EvaluationRecord = {
  ...{
    dataset: "demo",
    task: "zeroshot_classification",
    metric: "acc1",
    value: 1,
    low: 0.158,
    high: 1,
    n: 2,
  },
};

suite("evaluationLine", () => {
  test("writes the seven fields in their order, then chance and the context where given", () => {
    const line =
      '{"dataset":"demo","task":"zeroshot_classification","metric":"acc1","value":1,"low":0.158,"high":1,"n":2';
    assert.equal(evaluationLine(record), `${line}}\n`);
    const full = { split: "val", samplesSeen: 640, step: 10, seen: 1, chance: 0.5, ...record };
    assert.equal(
      evaluationLine(full),
      `${line},"chance":0.5,"seen":1,"step":10,"samplesSeen":640,"split":"val"}\n`,
    );
    assert.throws(() => evaluationLine({ ...record, value: Number.NaN }), /demo acc1 is not finite/);
  });
});

suite("appendEvaluation and parseEvaluation", () => {
  test("give back what was written, in one write, and drop a line that a crash cut off", async () => {
    const records = [recordOf(record), recordOf({ ...record, metric: "acc5", step: 3 })];
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
  test("shows what guessing gives, and says where a score is no better, or on pictures that were trained on", () => {
    const few = { ...record, n: 48, value: 0.2, low: 0.1, high: 0.31 };
    assert.equal(
      evaluationTable([
        { ...few, dataset: "a", chance: 0.25 },
        { ...few, dataset: "b", chance: 0.0006, seen: 48 },
        { ...few, dataset: "c", chance: 0.5 },
      ]),
      `
          score  95 % interval    chance   n
a
  top-1  20.0 %    10.0 – 31.0  ≈ 25.0 %  48
b
  top-1  20.0 %    10.0 – 31.0    0.06 %  48
c
  top-1  20.0 %    10.0 – 31.0  > 50.0 %  48
≈ not distinguishable from guessing: the interval holds chance.
> worse than guessing.
b: 48 of its pictures were trained on; new ones may score lower.
`.slice(1),
    );
  });

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
                              score  95 % interval      n
emoji-flat
  top-1                      25.3 %    23.1 – 27.4  1,560
  top-5                      50.1 %    47.6 – 52.6  1,560
flickr
  text → image R@10         100.0 %   98.0 – 100.0      5
  image → text median rank        3        2.5 – 4      1
`.slice(1),
    );
  });
});
