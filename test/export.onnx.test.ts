/** Programs that an export holds, by ONNX Runtime, against the model that they were made of. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { exportModel, preparePicture } from "../src/api/checked.js";
import { exportCommand } from "../src/cli/commands/export.js";
import { UsageError } from "../src/core/errors.js";
import { type NamedArray, openOnnxFile } from "../src/engines/onnx-file.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import type { ScoredTask } from "../src/evaluate/suites/score.js";
import type { Variant } from "../src/export/form.js";
import { inBlocks } from "../src/export/onnx/numbers/blocks.js";
import { toInt8 } from "../src/export/onnx/numbers/matrices.js";
import { numberForms } from "../src/export/onnx/numbers/number-forms.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { exportFamilies, familyRun, leastCosine, tokenizer } from "./support/export-run.js";

const scratch = scratchFolder();
const engine = new OnnxRuntime();
const TEXTS = ["two cats", "a dog on the mat", "", "quite another text that is too long for eight tokens"];

after(() => engine[Symbol.asyncDispose]());

/** Tokens as a client gives them that cuts long texts without an end token, padded with a token of its own to its longest. */
function carelessTokens(texts: readonly string[]): Record<string, NamedArray> {
  const rows = texts.map((text) => tokenizer.encode(text).slice(0, tokenizer.contextLength));
  const length = Math.max(...rows.map((row) => row.length));
  const shape = [texts.length, length];
  const flat = (pad: number, of: (id: number) => number) =>
    BigInt64Array.from(
      rows.flatMap((row) => [...row.map(of), ...new Array<number>(length - row.length).fill(pad)]),
      BigInt,
    );
  return {
    input_ids: { shape, data: flat(99, (id) => id) },
    attention_mask: { shape, data: flat(0, () => 1) },
  };
}

/** `pixel_values` of pictures, as the folder's processor makes them of prepared ones. */
async function pixelsOf(pictures: readonly Uint8Array[], folder: string): Promise<Float32Array> {
  const { image_mean: mean, image_std: std } = JSON.parse(
    readFileSync(join(folder, "preprocessor_config.json"), "utf8"),
  );
  const planes = await Promise.all(
    pictures.map(async (picture) => {
      const { data, width, height, channels } = await preparePicture(picture, folder);
      const plane = width * height;
      return Array.from({ length: channels * plane }, (_, i) => {
        const channel = Math.floor(i / plane);
        return (data[(i % plane) * channels + channel]! / 255 - mean[channel]) / std[channel];
      });
    }),
  );
  return Float32Array.from(planes.flat());
}

/** A classification of a hundred pictures, `wrong` of them wrong. */
function topOne(wrong: number): ScoredTask {
  const values = Float64Array.from({ length: 100 }, (_, i) => (i < wrong ? 0 : 1));
  const items = { values, samples: Uint32Array.from(values.keys()) };
  const score = { value: 1 - wrong / 100, low: 0.9, high: 1, n: 100 };
  const scores = [{ metric: "acc1", score, items }];
  const rest = { records: [], notes: [], details: undefined };
  return { dataset: "d", task: "zeroshot_classification", scores, ...rest };
}

describe("exportModel to onnx", () => {
  for (const [family, config] of Object.entries(exportFamilies)) {
    test(`${family}: pictures and texts in any number have the model's vectors`, async () => {
      const run = familyRun(join(scratch, family), config);
      const out = join(scratch, `${family}-onnx`);
      const dtypes = ["fp32", "fp16", "int8", "q4"] as const;
      const { files, variants } = await exportModel({ path: run }, { to: "onnx", out, dtypes });
      assert.deepEqual(files, readdirSync(out).sort());
      assert(variants.every(({ written }) => written));
      const sizes = variants.map(({ sizeBytes }) => sizeBytes);
      assert(
        sizes.slice(1).every((size) => size < 0.8 * sizes[0]!),
        String(sizes),
      );
      using model = await loadModel(engine, { path: run });
      const pictures = await Promise.all([1, 2, 3].map((seed) => pngOf(seed, 61, 47)));
      const expected = await model.encoder.embedImages(pictures);
      const texts = await model.encoder.embedTexts(TEXTS);
      const E = model.clip.config.embed_dim;
      const S = model.clip.config.vision_cfg.image_size;
      for (const rows of [expected, texts])
        assert(leastCosine(rows.subarray(0, E), rows.subarray(E, 2 * E), E) < 0.9999, "vectors differ");
      for (const [dtype, least] of [
        ["fp32", 0.9999999],
        ["fp16", 0.99999],
        ["int8", 0.99],
        ["q4", 0.9],
      ] as const) {
        const name = `model${numberForms[dtype].suffix}.onnx`;
        using file = await openOnnxFile(readFileSync(join(out, "onnx", name)), name);
        const pixel_values = { shape: [3, 3, S, S], data: await pixelsOf(pictures, out) };
        const found = await file.run({ pixel_values, ...carelessTokens(TEXTS) });
        assert.deepEqual(found.logits_per_image!.shape, [3, TEXTS.length]);
        const image = leastCosine(found.image_embeds!.data as Float32Array, expected, E);
        const text = leastCosine(found.text_embeds!.data as Float32Array, texts, E);
        assert(image > least, `${name}, pictures: ${image}`);
        assert(text > least, `${name}, texts: ${text}`);
      }
    });
  }

  test("a form that loses more than it may is not written, and told; scores stand in the card and as JSON", async () => {
    const run = familyRun(join(scratch, "judged"), exportFamilies.ViT!);
    const words = ["cat", "dog", "mat", "hat", "bat", "rat"];
    const lines = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        put(scratch, `pairs/${i}.png`, await pngOf(i, 31 + i, 40));
        return `${i}.png\ttwo ${words[i % 6]}s on a ${words[(i >> 2) % 6]} ${i}\n`;
      }),
    );
    const testData = put(scratch, "pairs/pairs.tsv", `filepath\ttitle\n${lines.join("")}`);
    const out = join(scratch, "judged-out");
    const base = ["export", run, "--to", "transformers.js", "--test-data", testData, "--out"];
    const asked = [...base, out, "--dtype", "fp32,q8,q4", "--max-loss", "100", "--json"];
    const all = await runWords([exportCommand], asked);
    assert.equal(all.code, 0, all.err);
    const { variants } = JSON.parse(all.out) as { variants: Variant[] };
    assert.deepEqual(variants, JSON.parse(readFileSync(join(out, "onnx", "variants.json"), "utf8")));
    const [fp32, , q4] = variants;
    assert.equal(fp32!.scores.find(({ metric }) => metric === "image_retrieval_recall@5")!.n, 24);
    const differences = q4!.scores.map(({ difference }) => difference!);
    assert(differences.every(({ value, low, high }) => low <= value && value <= high));
    const deciding = q4!.scores.filter(({ metric }) => metric.endsWith("@5"));
    assert.equal(q4!.lostPoints, Math.max(...deciding.map(({ difference }) => -100 * difference!.value)));
    const card = readFileSync(join(out, "README.md"), "utf8");
    assert.match(
      card,
      /\| q4 \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ %, [−+][\d.]+ \([−+][\d.]+ … [−+][\d.]+\) \|/,
    );

    let tried = 0;
    const strict = join(scratch, "strict-out");
    const judged = await exportModel(
      { path: run },
      {
        to: "transformers.js",
        out: strict,
        dtypes: ["fp32", "q4"],
        trial: { engine, score: async () => [topOne(tried++ === 0 ? 0 : 4)] },
      },
    );
    assert.deepEqual(
      judged.variants.map(({ written }) => written),
      [true, false],
    );
    assert.deepEqual(readdirSync(join(strict, "onnx")), [
      "model.onnx",
      "text_model.onnx",
      "variants.json",
      "vision_model.onnx",
    ]);
    const { "transformers.js_config": defaults } = JSON.parse(
      readFileSync(join(strict, "config.json"), "utf8"),
    );
    assert.deepEqual(defaults, { dtype: "fp32" }, "wasm would ask for a q8 that is not there");

    tried = 0;
    const trial = { engine, score: async () => [topOne(tried++ === 0 ? 0 : 4)] };
    await assert.rejects(
      exportModel({ path: run }, { to: "onnx", out: join(scratch, "none-out"), dtypes: ["q4"], trial }),
      (error) =>
        error instanceof UsageError && /q4 loses 4\.0 points\. Add fp32 to --dtype/.test(error.message),
    );
  });

  test("refuses forms of the numbers where a layout has one", async () => {
    const run = familyRun(join(scratch, "refused"), exportFamilies.ViT!);
    await assert.rejects(
      exportModel({ path: run }, { to: "hf", out: join(scratch, "no"), dtypes: ["q4"] }),
      (error) => error instanceof UsageError && /hf has its numbers in f32 alone/.test(error.message),
    );
  });
});

describe("weights in fewer bits", () => {
  const matrix = { N: 2, K: 40, data: Float32Array.from({ length: 80 }, (_, i) => Math.sin(i * i)) };

  test("8 bits: each row's largest is 127, and none is off by more than half a step", () => {
    const { data, factors } = toInt8(matrix);
    for (const [i, value] of matrix.data.entries())
      assert(
        Math.abs(data[i]! * factors[Math.floor(i / 40)]! - value) <= factors[Math.floor(i / 40)]! / 2 + 1e-7,
      );
    assert.equal(Math.max(...data.map(Math.abs)), 127);
  });

  test("4 bits: blocks of 32, low half first, filled up with zeros; the largest becomes −8", () => {
    const { packed, factors } = inBlocks(matrix);
    assert.deepEqual([packed.length, factors.length], [2 * 2 * 16, 4]);
    for (const [i, value] of matrix.data.entries()) {
      const [row, k] = [Math.floor(i / 40), i % 40];
      const place = row * 64 + k;
      const q = (packed[place >> 1]! >> (place % 2 === 0 ? 0 : 4)) & 15;
      const factor = factors[row * 2 + (k >> 5)]!;
      const error = Math.abs((q - 8) * factor - value);
      assert(error <= Math.abs(factor) * (q === 15 ? 1 : 0.5) + 1e-6, `${i}: ${error}`);
    }
    assert.equal(packed[63], 0x88, "zero");
  });
});
