import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { evaluateCommand } from "../src/cli/commands/evaluate.js";
import { UsageError } from "../src/core/errors.js";
import { readChoices } from "../src/data/choices.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { normalise } from "../src/evaluate/features/features.js";
import { rowsInMemory } from "../src/evaluate/features/source.js";
import { choicesTask, judgeQuestion } from "../src/evaluate/tasks/choices.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";

const engine = new OnnxRuntime();
after(() => engine[Symbol.asyncDispose]());

/** From NumPy, by CLIP_benchmark's formulas: fixtures/evaluate/choices.py. */
const { width, cases } = JSON.parse(readFileSync(fixture("evaluate/choices.json"), "utf8")) as {
  width: number;
  cases: { images: number[][]; texts: number[][]; text: boolean; image: boolean; both: boolean }[];
};

const folder = scratchFolder();
const winoground = async () => {
  for (let i = 0; i < 4; i++) put(folder, `wino/images/ex_${i >> 1}_img_${i % 2}.png`, await pngOf(i));
  const line = (i: number) => ({
    ...{ id: i, image_0: `ex_${i}_img_0`, image_1: `ex_${i}_img_1` },
    ...{ caption_0: `a dog on cat ${i}`, caption_1: `a cat on dog ${i}`, tag: "Object" },
  });
  return put(folder, "wino/examples.jsonl", [0, 1].map((i) => `${JSON.stringify(line(i))}\n`).join(""));
};
const sugarCrepe = async () => {
  for (let i = 0; i < 3; i++) put(folder, `coco/00${i}.png`, await pngOf(40 + i));
  const entry = (i: number) => ({
    filename: `00${i}.png`,
    caption: `two ${i}`,
    negative_caption: `three ${i}`,
  });
  put(folder, "sugar/add_obj.json", JSON.stringify({ 0: entry(0), 7: entry(1) }));
  put(folder, "sugar/swap_att.json", JSON.stringify({ 3: entry(1), 4: entry(2), 5: entry(0) }));
  return join(folder, "sugar");
};

test("choicesTask gives CLIP_benchmark's scores, and what guessing gives", async () => {
  for (const pictures of [2, 1]) {
    const own = cases.filter(({ images }) => images.length === pictures);
    const questions = own.map((_, q) => ({
      file: "made",
      images: Array.from({ length: pictures }, (_, i) => q * pictures + i),
      captions: [`${q}-0`, `${q}-1`],
    }));
    const unit = (rows: number[][]) => normalise(Float32Array.from(rows.flat()), width, "made");
    const images = unit(own.flatMap((one) => one.images));
    const { pictures: dataset } = readChoices(await winoground());
    const outcome = await choicesTask.run({
      data: { dataset, questions },
      features: {
        engine,
        scale: async () => 1,
        images: async () => ({
          features: rowsInMemory(images),
          indices: Uint32Array.from({ length: images.rows }, (_, i) => i),
          skipped: [],
        }),
        texts: async () => ({ features: unit(own.flatMap((one) => one.texts)), cut: [] }),
      },
    });
    const shareOf = (key: "text" | "image" | "both") => own.filter((one) => one[key]).length / own.length;
    const found = outcome.scores.map(({ metric, score, chance }) => [metric, score.value, chance]);
    const wanted = [
      ["text_acc", shareOf("text"), pictures === 2 ? 1 / 4 : 1 / 2],
      ["image_acc", shareOf("image"), 1 / 4],
      ["acc", shareOf("both"), 1 / 6],
    ];
    assert.deepEqual(found, wanted.slice(0, pictures === 2 ? 3 : 1));
  }
});

test("equal cosines are wrong", () => {
  assert.deepEqual(judgeQuestion([[0.5, 0.5]]), { text_acc: false, image_acc: true, acc: false });
  const same = [
    [0.2, 0.1],
    [0.2, 0.3],
  ];
  assert.deepEqual(judgeQuestion(same), { text_acc: true, image_acc: false, acc: false });
});

describe("readChoices", () => {
  test("reads Winoground's file and SugarCrepe's folder as they are", async () => {
    const wino = readChoices(await winoground());
    assert.deepEqual(wino.questions[1], {
      file: "examples",
      images: [2, 3],
      captions: ["a dog on cat 1", "a cat on dog 1"],
    });
    const sugar = readChoices(await sugarCrepe(), { imageRoot: join(folder, "coco") });
    assert.deepEqual(sugar.files, ["add_obj", "swap_att"]);
    assert.equal(sugar.pictures.length, 3);
    assert.deepEqual(sugar.questions[2], { file: "swap_att", images: [1], captions: ["two 1", "three 1"] });
  });

  test("refuses what is no question, and pictures that are not there", async () => {
    const sugar = await sugarCrepe();
    const refused = (path: string, words: RegExp) =>
      assert.throws(
        () => readChoices(path),
        (error) => error instanceof UsageError && words.test(error.message),
      );
    refused(sugar, /add_obj\.json, entry 0: its picture must be in .* got "000\.png".* Give --image-root/);
    refused(
      put(folder, "a.jsonl", '{"image_0": "x"}\n'),
      /a\.jsonl:1: a question must have .* got image_0\./,
    );
    refused(put(folder, "b.json", "[1"), /b\.json: must be a JSON object; got \[1/);
    put(folder, "none/x.txt", "");
    refused(join(folder, "none"), /must hold files of questions/);
  });
});

test("evaluate --choices scores each file, and the mean of several", async () => {
  const words = ["--threads", "1", "--workers", "1", "--no-keep-features", "--json"];
  const path = await sugarCrepe();
  const { code, out, err } = await runWords(
    [evaluateCommand],
    ["evaluate", fixture("embed"), "--choices", path, "--image-root", join(folder, "coco"), ...words],
  );
  assert.equal(code, 0, err);
  const scores = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    scores.map(({ dataset, metric, n, chance }) => [dataset, metric, n, chance]),
    [
      ["add_obj", "text_acc", 2, 0.5],
      ["swap_att", "text_acc", 3, 0.5],
      ["sugar (mean of 2 files)", "text_acc", 5, 0.5],
    ],
  );
  assert.ok(Math.abs(scores[2].value - (scores[0].value + scores[1].value) / 2) < 1e-12);
});
