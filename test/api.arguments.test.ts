/** What callers in plain JavaScript hand in by mistake is told in one line, with the key. */

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as api from "clipwright";
import { UsageError } from "clipwright";

type Loose = (...given: unknown[]) => unknown;
/** The public functions as plain JavaScript sees them. */
const loose = api as unknown as Record<keyof typeof api, Loose> & {
  OnnxRuntime: new (options: unknown) => unknown;
};
const data = { length: 1, sample: () => ({}) };
const engine = { compile: () => 0, upload: () => 0 };

const cases: readonly (readonly [call: string, mistake: () => unknown, line: string, key: string])[] = [
  [
    "makePlan",
    () => loose.makePlan({ recipe: { trainData: "x" } }),
    "makePlan: budget must be an object; got nothing.",
    "budget",
  ],
  [
    "makePlan",
    () => loose.makePlan({ recipe: {}, budget: {}, pasts: [] }),
    'makePlan: has no option pasts; got pasts=[]. Did you mean "past"?',
    "pasts",
  ],
  [
    "writePlan",
    () => loose.writePlan("plan.ts", {}),
    "writePlan: plan must be a plan, as makePlan gives; got plan={}.",
    "plan",
  ],
  [
    "runStudy",
    () => loose.runStudy("encoders.ts", { bugdet: "3h" }),
    'runStudy: has no option bugdet; got bugdet="3h". Did you mean "budget"?',
    "bugdet",
  ],
  [
    "runStudy",
    () => loose.runStudy(),
    "runStudy: study must be a text that is not empty, or an object; got nothing.",
    "study",
  ],
  [
    "openStudy",
    () => loose.openStudy("encoders.ts", { seeds: 0 }),
    "openStudy: seeds must be an integer from 1, or a list, each an integer from 0; got seeds=0.",
    "seeds",
  ],
  [
    "formatAnswer",
    () => loose.formatAnswer({ findings: undefined }),
    "formatAnswer: answer must be an answer, as runStudy gives; got answer={}.",
    "answer",
  ],
  [
    "openDataset",
    () => loose.openDataset(3),
    "openDataset: source must be a text that is not empty, or a source with its weight, or a list, each a text that is not empty, or a source with its weight; got source=3.",
    "source",
  ],
  [
    "openDataset",
    () => loose.openDataset("x", { csvImgKey: 3 }),
    "openDataset: csvImgKey must be a text that is not empty; got csvImgKey=3.",
    "csvImgKey",
  ],
  [
    "openDataset",
    () => loose.openDataset("x", { csvImgkey: "a" }),
    'openDataset: has no option csvImgkey; got csvImgkey="a". Did you mean "csvImgKey"?',
    "csvImgkey",
  ],
  [
    "openDataset",
    () => loose.openDataset("x", { format: "zip" }),
    'openDataset: format must be one of folder, csv, tsv, jsonl, parquet, webdataset; got format="zip".',
    "format",
  ],
  [
    "openDataset",
    () => loose.openDataset("x", "csv"),
    'openDataset: options must be an object; got options="csv".',
    "options",
  ],
  [
    "openReview",
    () => loose.openReview("scores.parquet", data, { overlap: 2 }),
    "openReview: overlap must be a number from 0 to 1; got overlap=2.",
    "overlap",
  ],
  [
    "inspectDataset",
    () => loose.inspectDataset("photos"),
    'inspectDataset: dataset must be a data set, as openDataset gives; got dataset="photos".',
    "dataset",
  ],
  [
    "inspectDataset",
    () => loose.inspectDataset(data, { workers: 0 }),
    "inspectDataset: workers must be an integer from 1; got workers=0.",
    "workers",
  ],
  [
    "loadModel",
    () => loose.loadModel("runs/x"),
    'loadModel: engine must be an engine, as openEngine gives; got engine="runs/x".',
    "engine",
  ],
  [
    "loadModel",
    () => loose.loadModel(engine, {}),
    "loadModel: path must be a text that is not empty; got nothing.",
    "path",
  ],
  [
    "openModel",
    () => loose.openModel(undefined),
    "openModel: path must be a text that is not empty; got nothing.",
    "path",
  ],
  [
    "openEngine",
    () => loose.openEngine("onnxruntime", { threads: "2" }),
    'openEngine: threads must be an integer from 1; got threads="2".',
    "threads",
  ],
  [
    "runTask",
    () => loose.runTask("zeroshot"),
    'runTask: task must be a task, as tasks lists; got task="zeroshot".',
    "task",
  ],
  [
    "train",
    () => loose.train("emoji-demo"),
    'train: recipe must be an object; got recipe="emoji-demo".',
    "recipe",
  ],
  [
    "train",
    () => loose.train({}, { onStep: 1 }),
    "train: onStep must be a function; got onStep=1.",
    "onStep",
  ],
  [
    "findPreset",
    () => loose.findPreset(null),
    "findPreset: name must be a text that is not empty; got name=null.",
    "name",
  ],
  [
    "makeClip",
    () => loose.makeClip("ViT-B-32"),
    `makeClip: config must be a model's configuration; got config="ViT-B-32".`,
    "config",
  ],
  [
    "evaluationTable",
    () => loose.evaluationTable({}),
    "evaluationTable: records must be a list, each a record of an evaluation; got records={}.",
    "records",
  ],
  [
    "loadTokenizer",
    () => loose.loadTokenizer(["a"]),
    'loadTokenizer: path must be a text that is not empty; got path=["a"].',
    "path",
  ],
  [
    "OnnxRuntime",
    () => new loose.OnnxRuntime({ threads: 0.5 }),
    "onnxruntime: threads must be an integer from 1; got threads=0.5.",
    "threads",
  ],
];

suite("the API, called from plain JavaScript", () => {
  for (const [call, mistake, line, key] of cases) {
    test(`${call}: ${line.slice(line.indexOf(" ") + 1)}`, async () => {
      await assert.rejects(
        async () => mistake(),
        (error) => {
          assert(error instanceof UsageError, String(error));
          assert.deepEqual([error.message, error.key], [line, key]);
          return true;
        },
      );
    });
  }
});
