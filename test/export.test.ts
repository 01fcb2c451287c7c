/** Exports are read back here with the same features; the libraries that they are for are asked in bench/export.py. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { exportModel } from "../src/api/checked.js";
import { exportCommand } from "../src/cli/commands/export.js";
import { UsageError } from "../src/core/errors.js";
import { SafetensorsFile } from "../src/core/safetensors.js";
import type { TensorType } from "../src/core/shape.js";
import { loadTokenizer } from "../src/data/tokenizer/load.js";
import { interpret } from "../src/graph/interpret.js";
import { trace } from "../src/graph/trace.js";
import { makeClip } from "../src/models/clip.js";
import { type ClipConfig, parseClipConfig } from "../src/models/config/config.js";
import { readModelFile } from "../src/models/config/model-file.js";
import { readWeights } from "../src/models/weights/weights.js";
import { parameterTypes } from "../src/nn/parameters.js";
import { scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";
import { runWords } from "./support/command-line.js";
import { tokenizer, writeRun } from "./support/export-run.js";
import { fixture } from "./support/fixture.js";

const scratch = scratchFolder();
const run = join(scratch, "run");
const TEXTS = ["two cats", "a dog on the mat", "", "quite another text that is too long for eight tokens"];
const vision = { image_size: 16, patch_size: 8, width: 16, layers: 2, head_width: 8 } as const;
const text = {
  context_length: 8,
  vocab_size: tokenizer.vocabSize,
  width: 16,
  heads: 2,
  layers: 1,
  pool_type: "eos",
  eos_id: 2,
} as const;
const config: ClipConfig = { embed_dim: 8, vision_cfg: { ...vision, mlp_ratio: 2.7 }, text_cfg: text };

const weightsOf = (folder: string) => ({
  path: join(folder, "checkpoints", "step-00000004", "params.safetensors"),
});
const exportTo = (to: "open_clip" | "hf", out: string, from = run, rest: object = {}) =>
  exportModel(weightsOf(from), { to, out: join(scratch, out), ...rest });

/** What the towers of a folder's model give for made-up pixels, and for `TEXTS`. */
async function featuresOf(folder: string, weights: string) {
  const names = ["model.json", "open_clip_config.json", "config.json"].filter((name) =>
    readdirSync(folder).includes(name),
  );
  const { config } = readModelFile(join(folder, names[0]!));
  const clip = makeClip(config);
  const values = await readWeights(weights, clip.variables);
  const own = loadTokenizer(folder, { contextLength: 8 });
  const tokens = own.encodeBatch(TEXTS);
  const feeds = {
    ...Object.fromEntries(Object.entries(values).map(([name, data]) => [`v.${name}`, data])),
    images: Float32Array.from({ length: 2 * 3 * 16 * 16 }, (_, i) => Math.sin(i * 0.7)),
    tokens,
  };
  const pixels: TensorType = { dtype: "f32", shape: [2, 3, 16, 16] };
  const rows: TensorType = { dtype: "i32", shape: [TEXTS.length, 8] };
  const graph = trace({ v: parameterTypes(clip.variables), images: pixels, tokens: rows }, (x) => ({
    image: clip.encodeImage(x.v, x.images),
    text: clip.encodeText(x.v, x.tokens),
  }));
  const { image, text } = interpret(graph, feeds);
  return { image: image!.data, text: text!.data, clip, tokens };
}

const refused = (body: Promise<unknown>, message: RegExp) =>
  assert.rejects(body, (error) => {
    assert(error instanceof UsageError, String((error as Error).stack));
    assert.match(error.message, message);
    return true;
  });

describe("an export", () => {
  before(() => {
    writeRun(run, config, { interpolation: "bilinear", resize_mode: "squash", mean: [0.5, 0.4, 0.3] });
    writeFileSync(
      join(run, "config.json"),
      JSON.stringify({
        trainData: ["/home/me/photos", "/home/me/more.tar"],
        batchSize: 64,
        strategy: "clip",
      }),
    );
    const score = {
      dataset: "va|l",
      task: "zeroshot_classification",
      metric: "acc1",
      value: 0.5,
      low: 0.4,
      high: 0.6,
      n: 100,
      chance: 0.1,
    };
    writeFileSync(
      join(run, "evaluation.jsonl"),
      [
        { ...score, step: 2, value: 0.1 },
        { ...score, step: 4, value: 0.2 },
        { ...score, step: 4 },
      ]
        .map((s) => `${JSON.stringify(s)}\n`)
        .join(""),
    );
  });

  for (const [to, weights] of [
    ["open_clip", "open_clip_model.safetensors"],
    ["hf", "model.safetensors"],
  ] as const) {
    test(`${to}: has the same features, read back by what it says itself`, async () => {
      const { files } = await exportTo(to, to);
      const folder = join(scratch, to);
      assert.deepEqual(files, readdirSync(folder).sort());
      const expected = await featuresOf(run, weightsOf(run).path);
      const found = await featuresOf(folder, join(folder, weights));
      assertClose(found.image, expected.image, 1e-12, "image");
      assertClose(found.text, expected.text, 1e-12, "text");
      const { preprocess } = readModelFile(
        join(folder, to === "hf" ? "config.json" : "open_clip_config.json"),
      );
      assert.deepEqual(
        [preprocess.interpolation, preprocess.resize_mode, preprocess.mean],
        ["bilinear", "squash", [0.5, 0.4, 0.3]],
      );
      using file = new SafetensorsFile(join(folder, weights));
      assert.equal(file.metadata.format, "pt", "the loader of PyTorch asks for it");
    });
  }

  test("hf: an end token of id 2, which means another thing there, goes to the vocabulary's end", async () => {
    const { text_config } = JSON.parse(readFileSync(join(scratch, "hf", "config.json"), "utf8"));
    assert.equal(text_config.eos_token_id, tokenizer.vocabSize - 1);
    const there = loadTokenizer(join(scratch, "hf"), { contextLength: 8 });
    const [a, b] = [tokenizer.encode("two cats"), there.encode("two cats")];
    assert.deepEqual(
      b.map((id) => (id === tokenizer.vocabSize - 1 ? 2 : id === 2 ? tokenizer.vocabSize - 1 : id)),
      a,
    );
    assert.equal(text_config.intermediate_size, Math.trunc(16 * 4));
    const { vision_config } = JSON.parse(readFileSync(join(scratch, "hf", "config.json"), "utf8"));
    assert.equal(vision_config.intermediate_size, Math.trunc(16 * 2.7));
  });

  test("the card tells size, recipe, the scores of these weights, use and licence, and no path", async () => {
    await exportTo("hf", "card", run, { license: "mit", name: "me/cats" });
    const card = readFileSync(join(scratch, "card", "README.md"), "utf8");
    assert.match(
      card,
      /^---\nlicense: mit\nlibrary_name: transformers\npipeline_tag: zero-shot-image-classification\n/,
    );
    assert.match(card, /# me\/cats\n/);
    assert.match(card, /\| trainData \| photos, more\.tar \|/);
    assert.ok(!card.includes("/home/me"));
    assert.match(card, /A CLIP trained with Clipwright, 4 steps: images of 16 × 16 pixels/);
    assert.match(
      card,
      /\| va l \| zeroshot_classification \| acc1 \| 0\.500 \| 0\.400 … 0\.600 \| 0\.100 \| 100 \|/,
    );
    assert.ok(!card.includes("0.100 | 0.400"), "scores of other steps");
    assert.match(card, /CLIPModel\.from_pretrained\("DIR"\)/);
    const none = readFileSync(join(scratch, "open_clip", "README.md"), "utf8");
    assert.match(none, /Its maker has not stated a licence/);
  });

  const other = async (
    change: { vision?: object; text?: object; top?: object; preprocess?: object },
    to: "open_clip" | "hf",
  ) => {
    const folder = join(scratch, `other-${readdirSync(scratch).length}`);
    const changed = parseClipConfig(
      {
        ...config,
        ...change.top,
        vision_cfg: { ...vision, ...change.vision },
        text_cfg: { ...text, ...change.text },
      },
      "x",
    );
    writeRun(folder, changed, change.preprocess);
    const { files } = await exportTo(to, `${folder}-out`.slice(scratch.length + 1), folder);
    return { files, folder: `${folder}-out` };
  };
  for (const [what, change, to, message] of [
    [
      "an average of patches",
      { vision: { pool_type: "avg" } },
      "hf",
      /vision_cfg\.pool_type=avg.*Export it --to open_clip/,
    ],
    [
      "both directions, no norm",
      { text: { no_causal_mask: true }, vision: { no_ln_pre: true } },
      "hf",
      /no_ln_pre\), texts that are read in both directions/,
    ],
    ["a bias of the logits", { top: { init_logit_bias: -10 } }, "hf", /a bias of the logits/],
    ["padded pictures", { preprocess: { resize_mode: "longest" } }, "hf", /resize_mode=longest/],
    [
      "a ResNet",
      {
        vision: {
          layers: [1, 1, 1, 1],
          width: 64,
          image_size: 32,
          patch_size: null,
          head_width: 64,
        },
      },
      "hf",
      /no plain ViT/,
    ],
    [
      "an extension",
      { vision: { class_token: false, pool_type: "avg" } },
      "open_clip",
      /class_token, an extension over open_clip/,
    ],
  ] as const) {
    test(`${to} refuses ${what}, with the reason and the remedy`, async () => {
      const cleaned = JSON.parse(JSON.stringify(change));
      await refused(other(cleaned, to), message);
    });
  }

  test("hf: brings its own processor where transformers' would prepare pictures otherwise", async () => {
    const white = { transparency: [255, 255, 255], resize_mode: "squash" };
    const { files: plain } = await other({ preprocess: white }, "hf");
    assert.ok(!plain.includes("image_processing_clipwright.py"), String(plain));
    const cut = { transparency: [0, 128, 255], exif_orientation: true };
    const { files, folder } = await other({ preprocess: cut }, "hf");
    assert.ok(files.includes("image_processing_clipwright.py"), String(files));
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    const program = read("image_processing_clipwright.py");
    assert.match(
      program,
      /TURNED_BY_EXIF = True\n.*\nCOLOUR = \(0, 128, 255, 255\)\nCROP_ROUNDING = "even"\n/,
    );
    assert.match(read("preprocessor_config.json"), /"image_processing_clipwright\.ClipwrightImageProcessor"/);
    assert.match(read("README.md"), /it does not turn pictures as their EXIF says; it cuts one pixel/);
  });

  test("is refused where its folder holds files, and leaves nothing behind", async () => {
    await refused(exportTo("hf", "hf"), /must be a new folder; it holds files/);
    assert.deepEqual(
      readdirSync(scratch).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });

  test("of CLIP's own form of vocabulary: a tokenizer.json with the same ids", async () => {
    const out = join(scratch, "from-open-clip");
    await exportModel({ path: fixture("embed") }, { to: "hf", out });
    assert.match(
      readFileSync(join(out, "README.md"), "utf8"),
      /another layout; who trained it stands with the original/,
    );
    const [from, to] = [fixture("embed"), out].map((folder) => loadTokenizer(folder, { contextLength: 16 }));
    for (const words of ["a photo of a cat", "the same long word of captions", "x", "12 km"])
      assert.deepEqual(to!.encode(words), from!.encode(words));
  });

  test("the command names the folder and its files, and a run is no export", async () => {
    const out = join(scratch, "by-command");
    const {
      code,
      out: said,
      err,
    } = await runWords([exportCommand], ["export", weightsOf(run).path, "--to", "hf", "--out", out]);
    assert.equal(code, 0, err);
    assert.match(said, /by-command\n {2}README\.md\n {2}config\.json\n/);
    assert.ok(
      !readdirSync(run).includes("open_clip_config.json"),
      "by it open_clip would take a run for a model",
    );
  });
});
