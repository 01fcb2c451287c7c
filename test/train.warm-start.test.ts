/** Weights that a run starts from: whole CLIPs, image towers, timm's trunks; positions against open_clip's. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed } from "../src/core/random.js";
import { SafetensorsFile, type TensorToStore, writeSafetensors } from "../src/core/safetensors.js";
import { interpret } from "../src/graph/interpret.js";
import { trace } from "../src/graph/trace.js";
import { type Clip, makeClip } from "../src/models/clip.js";
import { type ClipConfig, parseClipConfig } from "../src/models/config/config.js";
import { resamplePositions } from "../src/models/weights/stored.js";
import { initialize, parameterTypes } from "../src/nn/parameters.js";
import { warmStart } from "../src/train/open/warm-start.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";
import { fixture } from "./support/fixture.js";

const folder = scratchFolder();
const golden = fixture("warm-start/golden.safetensors");
const timmVit = fixture("warm-start/timm_vit.safetensors");

const text = { context_length: 6, vocab_size: 20, width: 16, heads: 2, layers: 1 } as const;
const vision = { image_size: 16, patch_size: 8, width: 16, layers: 2, head_width: 8 } as const;
const config: ClipConfig = { embed_dim: 8, vision_cfg: vision, text_cfg: text };
const clip = makeClip(config);

const nothing = {
  pretrained: undefined,
  pretrainedImage: undefined,
  lockImage: undefined,
  lockImageUnlockedGroups: undefined,
  lockText: undefined,
  lockTextUnlockedLayers: undefined,
  layerDecay: undefined,
  lrImage: undefined,
  lrText: undefined,
};
const from = async (pretrained: string, model: Clip) => (await warmStart({ ...nothing, pretrained }, model))!;
const fromImage = async (pretrainedImage: string, model: Clip) =>
  (await warmStart({ ...nothing, pretrainedImage }, model))!;

let files = 0;
function save(tensors: readonly TensorToStore[]): string {
  const path = join(folder, `weights-${files++}.safetensors`);
  writeSafetensors(path, tensors);
  return path;
}

/** Everything of a model as a file would hold it, statistics included. */
const tensorsOf = (model: Clip, seed = 3): TensorToStore[] =>
  Object.entries(initialize(model.variables, keyFromSeed(seed))).map(([name, data]) => ({
    name,
    dtype: "f32",
    shape: model.variables[name]!.shape,
    data: data.map((x, i) => x + (i % 7) / 8),
  }));

const refuses = (body: () => unknown, pattern: RegExp) =>
  assert.rejects(
    async () => body(),
    (error) => error instanceof UsageError && pattern.test(error.message),
  );

const encoders = readdirSync(fixture("encoders"))
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.replace(".json", ""));
const encoder = (name: string): Clip =>
  makeClip(parseClipConfig(JSON.parse(readFileSync(fixture(`encoders/${name}.json`), "utf8")), name));

describe("resamplePositions", () => {
  using file = new SafetensorsFile(golden);
  const read = (name: string) => file.read(name) as Float32Array;
  for (const [old, side] of [
    [4, 6],
    [7, 4],
    [3, 8],
  ] as const) {
    const [before, after] = [read(`positions.${old}`), read(`positions.${old}.${side}`)];
    it(`${old} × ${old} as ${side} × ${side}: open_clip's numbers`, () => {
      assertClose(resamplePositions(before, 5, 1, side), after, 1e-6, "positions");
    });
    it(`${old} × ${old} as ${side} × ${side}, without a class token: the same grid`, () => {
      assertClose(resamplePositions(before.slice(5), 5, 0, side), after.slice(5), 1e-6, "positions");
    });
  }
});

describe("warmStart from an image tower", () => {
  it("a ViT under timm's names gives timm's features", async () => {
    const model = makeClip({
      ...config,
      vision_cfg: {
        ...vision,
        no_ln_pre: true,
        conv_bias: true,
        ls_init_value: 1,
        norm_kwargs: { eps: 1e-6 },
      },
    });
    const { values, fresh } = await fromImage(timmVit, model);
    assert.deepEqual(
      fresh.filter((name) => name.startsWith("visual.")),
      ["visual.proj"],
    );
    using file = new SafetensorsFile(golden);
    const variables = Object.fromEntries(
      Object.entries(model.variables).filter(([name]) => values[name] !== undefined),
    );
    const graph = trace({ v: parameterTypes(variables), image: file.info("image") }, (x) => ({
      features: model.imageFeatures(x.v, x.image),
    }));
    const feeds = Object.fromEntries(Object.entries(values).map(([name, data]) => [`v.${name}`, data]));
    const found = interpret(graph, { ...feeds, image: file.read("image") as Float32Array });
    assertClose(found.features!.data, file.read("features") as Float32Array, 1e-6, "features");
  });

  for (const name of encoders) {
    const model = encoder(name);
    it(`${name}: a trunk by itself, with its classifier, is taken whole, statistics and all`, async () => {
      const own = tensorsOf(model).filter((tensor) => tensor.name.startsWith("visual."));
      const isTimm = own.some((tensor) => tensor.name.startsWith("visual.trunk."));
      const stripped = own
        .map((tensor) => ({ ...tensor, name: tensor.name.replace(/^visual\.(trunk\.)?/, "") }))
        .filter((tensor) => !tensor.name.startsWith("head.proj"));
      const classifier = ["fc.weight", "head.fc.weight", "head.weight"]
        .filter((each) => isTimm && model.stored.fromTrunk(each) === undefined)
        .slice(0, 1)
        .map((each): TensorToStore => ({ name: each, dtype: "f32", shape: [1], data: new Float32Array(1) }));
      assert.equal(classifier.length, isTimm ? 1 : 0);
      const { values, fresh } = await fromImage(save([...stripped, ...classifier]), model);
      for (const tensor of own) {
        if (tensor.name.startsWith("visual.head.proj")) assert.ok(fresh.includes(tensor.name), tensor.name);
        else assert.deepEqual(values[tensor.name], tensor.data, tensor.name);
      }
    });
  }

  it("takes visual.* of a CLIP's file, its projection too, and nothing else", async () => {
    const tensors = tensorsOf(clip);
    const { values, fresh, about } = await fromImage(save(tensors), clip);
    for (const { name, data } of tensors) {
      if (name.startsWith("visual.")) assert.deepEqual(values[name], data, name);
      else assert.ok(fresh.includes(name), name);
    }
    assert.match(about, /^image tower of .*\.safetensors$/);
  });

  it("resamples the positions for another image size, of ViTs and of attention pooling", async () => {
    for (const [model, larger, name] of [
      [
        clip,
        makeClip({ ...config, vision_cfg: { ...vision, image_size: 32 } }),
        "visual.positional_embedding",
      ],
      ...[encoder("modified-resnet")].map((model) => {
        const size = model.config.vision_cfg.image_size + 32;
        return [
          model,
          makeClip({ ...model.config, vision_cfg: { ...model.config.vision_cfg, image_size: size } }),
          "visual.attnpool.positional_embedding",
        ] as const;
      }),
    ] as const) {
      const tensors = tensorsOf(model);
      const { values } = await fromImage(save(tensors), larger);
      const [rows, C] = larger.variables[name]!.shape as [number, number];
      const before = tensors.find((tensor) => tensor.name === name)!.data as Float32Array;
      assert.ok(rows > before.length / C);
      assert.deepEqual(values[name], resamplePositions(before, C, 1, Math.sqrt(rows - 1)));
    }
  });

  it("refuses another image size where weights are bound to it, with the reason", async () => {
    const resized = (name: string, size: number) => {
      const model = encoder(name);
      const other = makeClip({
        ...model.config,
        vision_cfg: { ...model.config.vision_cfg, image_size: size },
      });
      return () => fromImage(save(tensorsOf(other)), model);
    };
    await refuses(
      resized("mixer", 2 * encoder("mixer").config.vision_cfg.image_size),
      /mlp_tokens.* must be .* for images of \d+ pixels; got f32\[.*\. A Mixer's MLPs over patches have weights for each patch/,
    );
    const size = encoder("swin").config.vision_cfg.image_size;
    await refuses(
      resized("swin", size / 4),
      /relative_position_bias_table" must be .* A Swin's windows have/,
    );
  });

  it("says what is missing, unknown, or of another shape", async () => {
    const tensors = tensorsOf(clip);
    await refuses(
      () => fromImage(save(tensors.filter(({ name }) => name !== "visual.conv1.weight")), clip),
      /safetensors: must hold this model's parameters; got missing=visual\.conv1\.weight, unknown=none\. Give the --model of this image tower/,
    );
    await refuses(
      () => fromImage(timmVit, clip),
      /got missing=visual\.ln_pre\.weight, visual\.ln_pre\.bias, unknown=blocks\.0\.ls1\.gamma, .*\(5\)\. Give the --model of this trunk/,
    );
    await refuses(
      () => fromImage(save(tensors), makeClip({ ...config, embed_dim: 12 })),
      /"visual\.proj" must be \[16,12\]; got f32\[16,8\]\. Give the --model .* embed_dim/,
    );
  });
});

describe("warmStart from a whole CLIP", () => {
  it("takes parameters and running statistics, and leaves out what is none", async () => {
    const model = encoder("resnet-basic");
    const tensors = tensorsOf(model);
    const counter: TensorToStore = {
      name: "visual.trunk.bn1.num_batches_tracked",
      dtype: "i64",
      shape: [1],
      data: new BigInt64Array(1),
    };
    const { values, fresh } = await from(save([...tensors, counter]), model);
    assert.deepEqual(fresh, []);
    assert.ok(Object.keys(values).some((name) => name.endsWith("running_var")));
    for (const { name, data } of tensors) assert.deepEqual(values[name], data, name);
  });

  it("a bias of the logits may be missing or superfluous", async () => {
    const biased = makeClip({ ...config, init_logit_bias: -10 });
    assert.deepEqual((await from(save(tensorsOf(clip)), biased)).fresh, ["logit_bias"]);
    assert.deepEqual((await from(save(tensorsOf(biased)), clip)).fresh, []);
  });

  it("shorter texts have the first positions; longer ones are refused", async () => {
    const tensors = tensorsOf(clip);
    const shorter = makeClip({ ...config, text_cfg: { ...text, context_length: 4 } });
    const whole = tensors.find(({ name }) => name === "positional_embedding")!.data as Float32Array;
    assert.deepEqual(
      (await from(save(tensors), shorter)).values.positional_embedding,
      whole.slice(0, 4 * 16),
    );
    const longer = makeClip({ ...config, text_cfg: { ...text, context_length: 9 } });
    await refuses(
      () => from(save(tensors), longer),
      /texts of 6 tokens; got a context length of 9\. Lower --force/,
    );
  });

  it("refuses another vocabulary", async () => {
    const other = makeClip({ ...config, text_cfg: { ...text, vocab_size: 22 } });
    await refuses(
      () => from(save(tensorsOf(clip)), other),
      /the tokenizer must be the one of the weights; got 22 tokens, and 20 in the file\. Give it with --tokenizer/,
    );
  });
});

describe("checkRecipe on what a run starts from", () => {
  const cases: readonly [string, RecipeInput, RegExp][] = [
    [
      "two starts",
      { pretrained: "a", pretrainedImage: "b", tokenizer: "t" },
      /^pretrainedImage: .*Remove one/,
    ],
    ["a vocabulary anew", { pretrained: "a" }, /^tokenizer: .*knows one vocabulary/],
    ["a locked tower from nothing", { lockImage: true }, /^lockImage: .*--pretrained-image/],
    ["locked texts from nothing", { lockText: true, pretrainedImage: "a" }, /^lockText: .*--pretrained FILE/],
    ["groups without a lock", { lockImageUnlockedGroups: 1 }, /^lockImageUnlockedGroups: .*--lock-image/],
    ["layers without a lock", { lockTextUnlockedLayers: 1 }, /^lockTextUnlockedLayers: .*--lock-text/],
    [
      "nothing left to train",
      { pretrained: "a", tokenizer: "t", lockImage: true, lockText: true },
      /^lockText: something must be left to train/,
    ],
    [
      "masks on a locked tower",
      { pretrainedImage: "a", lockImage: true, lockImageUnlockedGroups: 2, strategy: "flip" },
      /^lockImage: flip is for an image tower that learns.*all of it/,
    ],
    [
      "views of a locked tower",
      { pretrainedImage: "a", lockImage: true, strategy: "slip" },
      /^lockImage: slip is .*--lock-image-unlocked-groups/,
    ],
    ["layer decay from nothing", { layerDecay: 0.75 }, /^layerDecay: is for towers that start from weights/],
  ];
  for (const [what, input, pattern] of cases) {
    it(`refuses ${what}`, async () => {
      await refuses(() => checkRecipe({ model: "ViT-B-32", trainData: "x", steps: 1, ...input }), pattern);
    });
  }

  it("takes slip on a tower that is locked in part", async () => {
    const input = { pretrainedImage: "a", lockImage: true, lockImageUnlockedGroups: 2 } as const;
    checkRecipe({ model: "ViT-B-32", trainData: "x", steps: 1, strategy: "slip", ...input });
  });
});
