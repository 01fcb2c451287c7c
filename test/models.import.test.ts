/** Models as others store them: transformers' folders and PyTorch's files, against what made them (fixtures/import.py). */

import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { embedCommand } from "../src/cli/commands/embed.js";
import { decode } from "../src/core/dtype.js";
import { UsageError } from "../src/core/errors.js";
import { SafetensorsFile, type TensorToStore, writeSafetensors } from "../src/core/safetensors.js";
import { sizeOfShape } from "../src/core/shape.js";
import { weightsFile } from "../src/evaluate/model/locate.js";
import { makeClip } from "../src/models/clip.js";
import { type ClipConfig, completeClipConfig, parseClipConfig } from "../src/models/config/config.js";
import { readModelFile } from "../src/models/config/model-file.js";
import type { WeightsFile } from "../src/models/weights/file.js";
import { theirNames } from "../src/models/weights/hugging-face.js";
import { openWeights } from "../src/models/weights/open.js";
import { readWeights } from "../src/models/weights/weights.js";
import { warmStart } from "../src/train/open/warm-start.js";
import { scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";

const scratch = scratchFolder();
let copies = 0;
/** A copy of a fixture's folder, with keys of its JSON files laid over (undefined removes one). */
function copyOf(name: string, files: Readonly<Record<string, object>> = {}): string {
  const folder = join(scratch, `copy-${copies++}`);
  cpSync(fixture(`import/${name}`), folder, { recursive: true });
  for (const [file, keys] of Object.entries(files)) {
    const path = join(folder, file);
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...keys }));
  }
  return folder;
}

const refused = (body: () => unknown, message: RegExp) =>
  assert.rejects(
    async () => body(),
    (error) => {
      assert(error instanceof UsageError, String((error as Error).stack));
      assert.match(error.message, message);
      assert(!error.message.includes("\n"));
      return true;
    },
  );

const texts = fixture("embed/texts.txt");
const embed = (model: string) =>
  runWords(
    [embedCommand],
    ["embed", model, "--images", fixture("preprocess"), "--texts", texts, "--threads", "1", "--workers", "1"],
  );

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum / Math.hypot(...Array.from(a)) / Math.hypot(...Array.from(b));
};

/** Pixels and tokens are equal, so what is left is the order of sums in f32. */
const SAME = 1 - 1e-9;
const MODELS = ["quick", "gelu", "square"];

describe("a CLIPModel of transformers", () => {
  for (const name of MODELS) {
    test(`clip-${name}: images of odd sizes and modes, and texts, come out as there`, async () => {
      const folder = fixture(`import/clip-${name}`);
      const { code, out, err } = await embed(folder);
      assert.equal(code, 0, err);
      const got = out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as { key: string; embedding: number[] });
      using file = new SafetensorsFile(join(folder, "features.safetensors"));
      const expected = ["images", "texts"].flatMap((kind) => {
        const data = file.read(kind) as Float32Array;
        const [rows, width] = file.info(kind).shape as [number, number];
        return Array.from({ length: rows }, (_, i) => data.subarray(i * width, (i + 1) * width));
      });
      assert.equal(got.length, expected.length);
      for (const [i, { key, embedding }] of got.entries()) {
        const found = cosine(embedding, expected[i]!);
        assert.ok(found >= SAME, `${key}: cosine ${found}`);
      }
    });
  }

  test("its configuration in open_clip's words", () => {
    const read = (name: string) =>
      completeClipConfig(readModelFile(fixture(`import/clip-${name}/config.json`)).config);
    const [quick, gelu, square] = MODELS.map(read);
    assert.deepEqual([quick!.quick_gelu, gelu!.quick_gelu, square!.quick_gelu], [true, false, false]);
    assert.deepEqual([quick!.text_cfg.pool_type, quick!.text_cfg.eos_id], ["eos", 813]);
    assert.equal(gelu!.text_cfg.pool_type, "argmax", "an end of 2 stands for the highest id");
    assert.equal(Math.trunc(gelu!.text_cfg.width * gelu!.text_cfg.mlp_ratio), 67);
    assert.equal(square!.text_cfg.act_kwargs.approximate, "tanh");
    assert.equal(square!.text_cfg.norm_kwargs.eps, 1e-6);
    assert.equal(readModelFile(fixture("import/clip-square/config.json")).preprocess.resize_mode, "squash");
  });

  test("a width and a number of hidden units come out, whatever their quotient is rounded to", () => {
    for (let hidden = 1; hidden < 400; hidden += 7) {
      const path = join(copyOf("clip-quick"), "config.json");
      const json = JSON.parse(readFileSync(path, "utf8"));
      for (const width of [24, 36, 42]) {
        Object.assign(json.text_config, { hidden_size: width, intermediate_size: hidden });
        writeFileSync(path, JSON.stringify(json));
        const { text_cfg: text } = completeClipConfig(readModelFile(path).config);
        assert.equal(Math.trunc(text.width * text.mlp_ratio), hidden);
      }
    }
  });

  test("what an old file says in text_config_dict decides", () => {
    const { text_config: text } = JSON.parse(readFileSync(fixture("import/clip-quick/config.json"), "utf8"));
    const folder = copyOf("clip-quick", { "config.json": { text_config_dict: text, text_config: {} } });
    assert.equal(readModelFile(join(folder, "config.json")).config.text_cfg.width, 24);
  });

  const inTower = (tower: string, keys: object, other: string, otherKeys: object = {}) => {
    const json = JSON.parse(readFileSync(fixture("import/clip-quick/config.json"), "utf8"));
    return { [tower]: { ...json[tower], ...keys }, [other]: { ...json[other], ...otherKeys } };
  };
  const T = "text_config";
  const V = "vision_config";
  for (const [what, keys, message] of [
    ["another family", { model_type: "siglip" }, /config\.json: model_type must be "clip", .*; got "siglip"/],
    [
      "two activations",
      inTower(T, {}, V, { hidden_act: "gelu" }),
      /QuickGELU in both towers or in none.*Use this model in transformers/,
    ],
    [
      "an unknown activation",
      inTower(T, { hidden_act: "silu" }, V),
      /text_config\.hidden_act must be one of .*; got "silu"/,
    ],
    ["four channels", inTower(T, {}, V, { num_channels: 4 }), /vision_config\.num_channels: must be 3/],
    ["an oblong", inTower(T, {}, V, { image_size: [32, 16] }), /vision_config\.image_size: /],
    [
      "heads that do not divide",
      inTower(T, {}, V, { num_attention_heads: 3 }),
      /hidden_size=32, num_attention_heads=3/,
    ],
    [
      "an end outside of the vocabulary",
      inTower(T, { eos_token_id: 49407 }, V),
      /eos_id must be below .*vocab_size=814/,
    ],
    ["a width of no kind", inTower(T, { hidden_size: "24" }, V), /text_config\.hidden_size: .*number/],
  ] as const) {
    test(`refuses ${what}`, () =>
      refused(
        () => readModelFile(join(copyOf("clip-quick", { "config.json": keys }), "config.json")),
        message,
      ));
  }

  for (const [what, keys, message] of [
    [
      "another processor",
      { image_processor_type: "ViTImageProcessor" },
      /preprocessor_config\.json: image_processor_type must be CLIPImageProcessor; got "ViTImageProcessor"/,
    ],
    [
      "Lanczos",
      { resample: 1 },
      /resample must be 3 \(bicubic\) or 2 \(bilinear\); got 1\. Write an open_clip_config\.json/,
    ],
    [
      "a crop of less",
      { size: { shortest_edge: 36 } },
      /size and crop_size must be the 32 pixels of the model; got size=\{"shortest_edge":36\}/,
    ],
    ["no crop", { do_center_crop: false }, /do_center_crop must be true/],
    ["no resize", { do_resize: false }, /do_resize: must be true/],
    ["padding", { do_pad: true }, /do_pad: must be false/],
    ["two means", { image_mean: [0.5, 0.5] }, /image_mean/],
  ] as const) {
    test(`refuses ${what} of its pictures`, () =>
      refused(
        () => readModelFile(join(copyOf("clip-quick", { "preprocessor_config.json": keys }), "config.json")),
        message,
      ));
  }

  test("factors other than 1/255, old numbers for sizes, and no file at all", () => {
    const of = (keys: object) =>
      readModelFile(join(copyOf("clip-quick", { "preprocessor_config.json": keys }), "config.json"))
        .preprocess;
    const { mean, std } = of({ rescale_factor: 2 / 255, image_mean: [1, 1, 1], image_std: [0.5, 0.5, 0.5] });
    assert.deepEqual([mean[0], std[0]], [0.5, 0.25]);
    assert.deepEqual(of({ do_normalize: false }).std, [1, 1, 1]);
    assert.equal(of({ size: 32, crop_size: 32 }).resize_mode, "shortest");
    const bare = copyOf("clip-quick");
    rmSync(join(bare, "preprocessor_config.json"));
    const { transparency, crop_rounding, interpolation } = readModelFile(
      join(bare, "config.json"),
    ).preprocess;
    assert.deepEqual([transparency, crop_rounding, interpolation], [[255, 255, 255], "down", "bicubic"]);
  });

  test("shards that are missing, twice the same, or elsewhere", async () => {
    const index = "model.safetensors.index.json";
    const { weight_map: map } = JSON.parse(readFileSync(fixture(`import/clip-quick/${index}`), "utf8"));
    const [first, second] = [...new Set(Object.values(map))] as string[];
    const of = async (weight_map: unknown) =>
      openWeights(await weightsFile(copyOf("clip-quick", { [index]: { weight_map } })));
    await refused(() => of({ x: "../x.safetensors" }), /weight_map must name a file .*; got "\.\.\/x/);
    await refused(() => of({ x: "y.safetensors" }), /cannot read .*y\.safetensors/);
    await refused(() => of({}), /weight_map must name .*; got none/);
    const folder = copyOf("clip-quick", { [index]: { weight_map: { x: first, y: second } } });
    cpSync(join(folder, first!), join(folder, second!));
    await refused(
      () => weightsFile(folder).then(openWeights),
      /must stand in one of its files; it is in two/,
    );
  });

  test("says what is missing, by the model's own name", async () => {
    const folder = copyOf("clip-square");
    const path = join(folder, "model.safetensors");
    const kept: TensorToStore[] = [];
    {
      using file = new SafetensorsFile(path);
      for (const name of file.names.filter((each) => !each.includes("layers.1.self_attn.k_proj.bias")))
        kept.push({ ...file.info(name), name, data: file.read(name) });
    }
    writeSafetensors(path, kept);
    const clip = makeClip(readModelFile(join(folder, "config.json")).config);
    await refused(() => readWeights(path, clip.variables), /in_proj_bias" must be \[\d+\]; got f32\[\d+\]/);
  });

  test("is what a run may start from", async () => {
    const folder = fixture("import/clip-gelu");
    const clip = makeClip(readModelFile(join(folder, "config.json")).config);
    const nothing = { pretrainedImage: undefined, lockImage: undefined, lockText: undefined } as const;
    const start = await warmStart(
      { ...nothing, pretrained: folder } as Parameters<typeof warmStart>[0],
      clip,
    );
    assert.deepEqual(start!.fresh, []);
    assert.match(start!.about, /^weights of .*clip-gelu\/pytorch_model\.bin$/);
  });

  test("every parameter of a plain ViT has a name there", () => {
    const config: ClipConfig = parseClipConfig(
      { embed_dim: 8, vision_cfg: { image_size: 16, patch_size: 8, width: 64 }, text_cfg: { layers: 1 } },
      "x",
    );
    for (const name of Object.keys(makeClip(config).variables)) assert.ok(theirNames(name).length > 0, name);
  });
});

describe("PyTorch's own files", () => {
  const { values, script } = JSON.parse(readFileSync(fixture("import/torch.json"), "utf8")) as Record<
    "values" | "script",
    Record<string, unknown>
  >;
  const numbers = (value: unknown): number[] =>
    Array.isArray(value) ? value.flatMap(numbers) : [Number(value)];
  function holds(file: WeightsFile, expected: Record<string, unknown>): void {
    assert.deepEqual([...file.names].sort(), Object.keys(expected).sort());
    for (const [name, value] of Object.entries(expected)) {
      const { dtype, shape } = file.info(name);
      const got = decode(dtype, file.read(name));
      assert.equal(got.length, sizeOfShape(shape));
      assert.deepEqual(Array.from(got, Math.fround), numbers(value).map(Math.fround), name);
    }
  }

  for (const form of ["plain", "legacy", "protocol-4", "checkpoint"]) {
    test(`${form}: types, strides, parts of a storage, as PyTorch reads them`, async () => {
      using file = await openWeights(fixture(`import/${form}.pt`));
      holds(file, values);
      assert.deepEqual(file.info("transposed").shape, [6, 4]);
    });
  }

  test("TorchScript: parameters and buffers by the modules that hold them", async () => {
    using file = await openWeights(fixture("import/script.pt"));
    holds(file, script);
  });

  test("OpenAI's archives are known by what they hold, and need QuickGELU", async () => {
    const path = join(scratch, "openai.safetensors");
    const data = new Float32Array(1);
    const named = ["input_resolution", "context_length", "vocab_size", "logit_scale"];
    writeSafetensors(
      path,
      named.map((name) => ({ name, dtype: "f32", shape: [], data })),
    );
    const specs = {
      logit_scale: makeClip(readModelFile(fixture("import/clip-quick/config.json")).config).variables
        .logit_scale!,
    };
    await refused(
      () => readWeights(path, specs, { quickGelu: false }),
      /need QuickGELU; .*--model ViT-B-32-quickgelu/,
    );
    assert.deepEqual(await readWeights(path, specs, { quickGelu: true }), { logit_scale: data });
  });

  /** A pickle as a file of PyTorch's old form would begin, with `code` for its value. */
  const pickled = (name: string, code: string): string => {
    const magic = Buffer.from([0x80, 2, 0x8a, 10, ...Buffer.from("6cfc9c46f9206aa85019", "hex"), 0x2e]);
    const path = join(scratch, name);
    const rest = Buffer.from(`\x80\x02M\xe9\x03.\x80\x02}.\x80\x02${code}.\x80\x02].`, "latin1");
    writeFileSync(path, Buffer.concat([magic, rest]));
    return path;
  };
  for (const [what, code, message] of [
    [
      "a function of the system",
      "cos\nsystem\nX\x02\0\0\0ls\x85R",
      /asks for "os\.system", which weights have no need of/,
    ],
    ["a class by name", "X\x08\0\0\0builtinsX\x04\0\0\0eval\x93", /asks for "builtins\.eval"/],
    ["a number alone", "K\x01", /holds no tensors under names\. Give/],
    ["texts alone", "}X\x01\0\0\0aK\x01s", /holds no tensors under names; its keys are a\. Give/],
    ["an operation of text pickles", "I1\n", /an operation that is not read \(73\)/],
    ["what takes more than it gave", "s", /takes more than it gave/],
    ["what ends too soon", "X\xff\0\0\0a", /cut short/],
    ["a tensor of nothing", "ctorch._utils\n_rebuild_tensor_v2\n)R", /a tensor of its pickle is not whole/],
  ] as const) {
    test(`refuses ${what}, and runs nothing`, () =>
      refused(() => openWeights(pickled("bad.pt", code)), message));
  }

  test("refuses a zip of something else, a cut file, and one that is not there", async () => {
    const whole = readFileSync(fixture("import/plain.pt"));
    const path = join(scratch, "cut.pt");
    writeFileSync(path, whole.subarray(0, whole.length / 2));
    await refused(() => openWeights(path), /cut\.pt: must be weights as torch\.save writes them; /);
    await refused(() => openWeights(join(scratch, "none.pt")), /cannot read .*none\.pt/);
  });

  test("a folder that holds nothing else", async () => {
    const files = readdirSync(fixture("import/clip-gelu"));
    assert.ok(!files.includes("model.safetensors"));
    assert.match(await weightsFile(fixture("import/clip-gelu")), /pytorch_model\.bin$/);
  });
});
