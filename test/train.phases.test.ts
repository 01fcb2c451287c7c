/** Settings that change in the course of a run: how they are written, the phases that they make, and whole runs. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it, suite, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { SafetensorsFile } from "../src/core/safetensors.js";
import type { TensorType } from "../src/core/shape.js";
import { pipelineOfSize, trainingPipeline, viewPipeline } from "../src/data/pixels/pipeline.js";
import { interpret } from "../src/graph/interpret.js";
import { trace } from "../src/graph/trace.js";
import { type Clip, makeClip } from "../src/models/clip.js";
import { type ClipConfig, parseClipConfig } from "../src/models/config/config.js";
import { initialize, parameterTypes } from "../src/nn/parameters.js";
import { positionsFor } from "../src/nn/positions.js";
import { checkRecipe, type RecipeInput, recipeToJson } from "../src/train/recipe/recipe.js";
import {
  constantly,
  endsOf,
  formatStages,
  parseStages,
  type Stages,
  valueAt,
} from "../src/train/recipe/stages.js";
import { phasesOf } from "../src/train/schedule/phases.js";
import { cutPlan, plannedStep, uncutPlan } from "../src/train/schedule/plan.js";
import { sampleMacs } from "../src/train/strategies/cost.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";
import { fixture } from "./support/fixture.js";

const config = {
  embed_dim: 8,
  vision_cfg: { image_size: 16, patch_size: 4, width: 16, layers: 2, head_width: 8 },
  text_cfg: { context_length: 8, vocab_size: 20, width: 16, heads: 2, layers: 1 },
} as const satisfies ClipConfig;
const clip = makeClip(config, { dropPath: 0.3 });

const read = (text: string): Stages => {
  const found = parseStages(text);
  if ("broken" in found) throw new Error(found.broken);
  return found;
};

/** A recipe whose weights do not matter. */
const recipeWith = (more: RecipeInput) => checkRecipe({ model: "m", trainData: "d", steps: 10, ...more });
const refuses = (run: () => unknown, pattern: RegExp) =>
  assert.throws(run, (error) => error instanceof UsageError && pattern.test(error.message));

describe("values in stages", () => {
  it("gives each its share of the run, the last what is left unless its share is said", () => {
    assert.deepEqual(read("112:0.6,160:0.3,224"), [
      { value: 112, share: 0.6 },
      { value: 160, share: 0.3 },
      { value: 224, share: 0.1 },
    ]);
    assert.deepEqual(endsOf(read("8:0.7,16:0.2")), [0.7, 0.9]);
    const stages = read("8:0.7,16:0.2");
    assert.deepEqual(
      [0, 0.69, 0.7, 0.89, 0.9].map((done) => valueAt(stages, done)),
      [8, 8, 16, 16, undefined],
    );
    assert.deepEqual(read("0.5"), constantly(0.5));
  });

  it("is read back from how it is written in a run's folder", () => {
    for (const text of ["8:0.7,16:0.2", "0.75:0.5,0.5", "32", "32:0.9"])
      assert.deepEqual(read(formatStages(read(text))), read(text));
    const recipe = recipeWith({
      strategy: "flip",
      maskRatio: "0.75:0.5,0.5:0.4",
      imageSizes: 32,
      contextLengths: "8:0.9",
    });
    const json = recipeToJson(recipe);
    assert.deepEqual(
      [json.maskRatio, json.imageSizes, json.contextLengths],
      ["0.75:0.5,0.5:0.4", 32, "8:0.9"],
    );
    assert.deepEqual(checkRecipe(json as RecipeInput), recipe);
    assert.deepEqual(recipeWith({ strategy: "flip" }).maskRatio, constantly(0.5));
  });

  it("is refused with what to write", () => {
    refuses(
      () => recipeWith({ imageSizes: "112:0.6,160" + ":0.5" }),
      /^imageSizes: the shares .* at most 1 .*; got "112/,
    );
    refuses(
      () => recipeWith({ imageSizes: "112,160" }),
      /^imageSizes: every value but the last needs its share/,
    );
    refuses(() => recipeWith({ imageSizes: "4:0.5" }), /^imageSizes: each must be an integer from 8/);
    refuses(
      () => recipeWith({ contextLengths: "8@0.5" }),
      /^contextLengths: must be values with their shares.*Write/,
    );
    refuses(
      () => recipeWith({ strategy: "flip", maskRatio: "0.5:0.5,1" }),
      /^maskRatio: each must be a number above 0/,
    );
    refuses(
      () => recipeWith({ maskRatio: "0.5:0.5" }),
      /^maskRatio: clip takes no such setting; got maskRatio="0.5:0.5"/,
    );
  });
});

describe("phasesOf", () => {
  const plan = { totalSteps: 100 };

  it("sees the last share of the samples whole where the mask's shares leave it, with the same state", () => {
    const phases = phasesOf({ strategy: "flip", maskRatio: read("0.5:0.9") }, clip);
    assert.equal(phases.at(0, { totalSteps: undefined }), phases.all[0]);
    assert.equal(phases.at(89, plan), phases.all[0]);
    const whole = phases.at(90, plan);
    assert.equal(whole, phases.all[1]);
    assert.deepEqual(Object.keys(whole.strategy.noise), ["visual.drop_path"]);
    assert.deepEqual(whole.strategy.parameters, phases.all[0]!.strategy.parameters);
    assert.ok(phases.meanCost() > 1 && phases.meanCost() < 1.1);
    assert.match(phases.describe(), /^flip, 8 of 16 patches for 90 %, everything for 10 %: 0\.\d\d ×/);
  });

  it("unmasks step by step", () => {
    const phases = phasesOf({ strategy: "flip", maskRatio: read("0.75:0.5,0.5:0.25,0.25") }, clip);
    const seen = [0, 49, 50, 74, 75, 99].map((step) => phases.at(step, plan).strategy.seen);
    assert.deepEqual(
      seen,
      ["4", "4", "8", "8", "12", "12"].map((n) => `${n} of 16 patches`),
    );
    assert.equal(phases.changesAfter(0), 2);
    assert.equal(phases.changesAfter(0.5), 1);
    const [first, second] = phases.all.map(({ strategy }) => sampleMacs(clip, strategy, 8));
    assert.equal(phases.forwardMacs(52, plan), 50 * first! + 2 * second!);
    assert.equal(phases.changesAfter(0.8), 0);
  });

  it("changes image size, text length and mask each at its own time", () => {
    const phases = phasesOf(
      {
        strategy: "flip",
        imageSizes: read("8:0.5,12:0.25"),
        contextLengths: read("4:0.6"),
        maskRatio: read("0.5:0.9"),
      },
      clip,
    );
    const of = (step: number) => {
      const { imageSize, contextLength, strategy, clip: model } = phases.at(step, plan);
      assert.equal(model.config.vision_cfg.image_size, imageSize);
      return [imageSize, contextLength, strategy.seen];
    };
    assert.deepEqual(of(49), [8, 4, "2 of 4 patches"]);
    assert.deepEqual(of(50), [12, 4, "4 of 9 patches"]);
    assert.deepEqual(of(60), [12, 8, "4 of 9 patches"]);
    assert.deepEqual(of(75), [16, 8, "8 of 16 patches"]);
    assert.deepEqual(of(90), [16, 8, undefined]);
    assert.equal(phases.all.length, 5);
    // The mean of the rest, in units of the step there.
    const macs = (i: number) => {
      const { clip: model, strategy, contextLength } = phases.all[i]!;
      return sampleMacs(model, strategy, contextLength, { backward: true });
    };
    const expected = (0.05 * macs(2) + 0.15 * macs(3) + 0.1 * macs(4)) / 0.3 / macs(2);
    assert.ok(Math.abs(phases.meanCost(0.7) - expected) < 1e-9);
    assert.equal(phases.meanCost(1), 1);
  });

  it("goes through all that was to come in the cooldown of a run that is cut short", () => {
    const phases = phasesOf({ strategy: "clip", imageSizes: read("8:0.8") }, clip);
    const cut = cutPlan({ totalSteps: 100, samplesPerEpoch: 50, batchSize: 10, measuredSteps: 0 }, 60, 20);
    assert.equal(cut.totalSteps, 80);
    assert.equal(uncutPlan(cut).totalSteps, 100);
    assert.deepEqual(
      [0, 59, 60, 65, 79].map((step) => plannedStep(cut, step)),
      [0, 59, 60, 70, 98],
    );
    const sizes = [59, 60, 69, 70, 79].map((step) => phases.at(step, cut).imageSize);
    assert.deepEqual(sizes, [8, 8, 8, 16, 16]);
  });

  it("refuses images and texts that are larger than the model's, and towers that are bound to a size", () => {
    const strategy = "clip" as const;
    refuses(
      () => phasesOf({ strategy, imageSizes: read("32:0.5") }, clip),
      /^imageSizes: must not exceed 16.*--force-image-size/,
    );
    refuses(
      () => phasesOf({ strategy, contextLengths: read("9:0.5") }, clip),
      /^contextLengths: must not exceed 8/,
    );
    refuses(() => phasesOf({ strategy, imageSizes: read("10:0.5") }, clip), /^imageSizes: .*image_size=10/);
    const flat = makeClip({
      ...config,
      vision_cfg: { ...config.vision_cfg, pool_type: "flat", class_token: false },
    });
    refuses(
      () => phasesOf({ strategy, imageSizes: read("8:0.5") }, flat),
      /^imageSizes: this image tower has parameters for the size of its images, 16 pixels; got 8\./,
    );
  });
});

describe("a model for its images at another size", () => {
  const folder = fixture("encoders");
  const small = (model: Clip, size: number) => model.forImages(size, "imageSizes");
  for (const [file, side] of [
    ["modified-resnet.json", 32],
    ["resnet-basic.json", 32],
    ["convnext.json", 32],
    ["swin.json", 16],
  ] as const) {
    it(`${file}: the same parameters at ${side} pixels`, () => {
      const model = makeClip(parseClipConfig(JSON.parse(readFileSync(`${folder}/${file}`, "utf8")), file));
      const size = Math.min(side, model.config.vision_cfg.image_size);
      const { strategy, clip: made } = phasesOf({ strategy: "clip", imageSizes: constantly(size) }, model)
        .all[0]!;
      // Each parameter is found, differentiated, and of its own shape, or this throws.
      assert.ok(sampleMacs(made, strategy, 4, { backward: true }) > 0);
      assert.deepEqual(Object.keys(made.variables), Object.keys(model.variables));
    });
  }

  it("a Mixer is refused", () => {
    const model = makeClip(
      parseClipConfig(JSON.parse(readFileSync(`${folder}/mixer.json`, "utf8")), "mixer.json"),
    );
    const half = model.config.vision_cfg.image_size / 2;
    refuses(
      () => small(model, half),
      /^imageSizes: this image tower has parameters for the size of its images/,
    );
  });

  it("a ViT is the model that open_clip makes of the same weights: positions resampled, all else as it is", () => {
    const other = small(clip, 8);
    const plain = makeClip({ ...config, vision_cfg: { ...config.vision_cfg, image_size: 8 } });
    const random = new Random(keyFromSeed(2));
    const name = "visual.positional_embedding";
    const types = {
      params: parameterTypes(clip.parameters),
      images: { dtype: "f32", shape: [2, 3, 8, 8] } as TensorType,
    };
    const graph = trace(types, (x) => {
      const params: Record<string, (typeof x.params)[string]> = x.params;
      const resized = { ...params, [name]: positionsFor(params[name]!, { extra: 1, whole: 2 }) };
      return { found: other.encodeImage(params, x.images), expected: plain.encodeImage(resized, x.images) };
    });
    const feeds = Object.entries(initialize(clip.parameters, keyFromSeed(1))).map(([n, data]) => [
      `params.${n}`,
      data,
    ]);
    const { found, expected } = interpret(graph, {
      ...Object.fromEntries(feeds),
      images: Float64Array.from({ length: 2 * 3 * 64 }, () => random.normal()),
    });
    assertClose(found!.data, expected!.data, 1e-12, "embeddings");
  });
});

describe("pipelineOfSize", () => {
  it("keeps the proportion of what images are brought to first, so that views still start from one image", () => {
    const pipeline = trainingPipeline(64, { keepSize: 72, crop: "shift" });
    const half = pipelineOfSize(pipeline, 32);
    assert.deepEqual([half.size, half.keepSize], [32, 36]);
    assert.deepEqual(pipelineOfSize(viewPipeline(pipeline, "simclr"), 32).keepSize, 36);
    assert.equal(pipelineOfSize(trainingPipeline(64), 32).keepSize, undefined);
  });
});

const folder = scratchFolder();
const STEPS = 6;
const recipeFor = (name: string, more: RecipeInput = {}) =>
  checkRecipe({
    model: config,
    ...{ trainData: join(folder, "pairs"), logs: join(folder, "runs"), name, vocabSize: 280, workers: 1 },
    ...{ steps: STEPS, batchSize: 8, saveFrequency: 0, logEveryNSteps: 1, threads: 1, seed: 5 },
    ...{ emaDecay: 0.9, dropPath: 0.3, eps: 1e-3, flip: 0.5, forceContextLength: 8 },
    ...{ strategy: "flip", imageSizes: "8:0.5", contextLengths: "4:0.66", maskRatio: "0.5:0.84" },
    ...more,
  });

const numbersOf = (name: string): Map<string, Float32Array> => {
  const path = join(folder, "runs", name, "checkpoints");
  using stored = new SafetensorsFile(join(path, readdirSync(path).sort().at(-1)!, "params.safetensors"));
  return new Map(
    stored.names.map((tensor) => [tensor, Float32Array.from(stored.read(tensor) as Float32Array)]),
  );
};

suite("train in stages", () => {
  const said: string[] = [];
  before(async () => {
    for (let i = 0; i < 24; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 20, 18));
      put(folder, `pairs/${i}.txt`, `picture number ${i} of many\nthe kind ${i % 3} of them`);
    }
    put(folder, "pairs/broken.png", "no picture");
    put(folder, "pairs/broken.txt", "a picture that cannot be read");
    await train(recipeFor("whole"), { onMessage: (text) => said.push(text) });
  });

  // A step is under way when the stop is asked for: the third phase has begun.
  test("a run that is stopped and continued ends as one that was not, to the bit", async () => {
    const stop = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 3 && stop.abort();
    const first = await train(recipeFor("again"), { onStep, signal: stop.signal });
    assert.deepEqual([first.finished, first.step], [false, 4]);
    await train(recipeFor("again"));
    assert.deepEqual(numbersOf("again"), numbersOf("whole"));
  });

  test("in parts the run is that of whole batches", async () => {
    await train(recipeFor("parts", { microBatch: 4, textMicroBatch: 2 }));
    const whole = numbersOf("whole");
    for (const [name, data] of numbersOf("parts")) assertClose(data, whole.get(name)!, 2e-5, name);
  });

  test("tells an unreadable image once, whatever the number of loaders", () =>
    assert.equal(said.filter((text) => text.startsWith("Skipped")).length, 1));

  test("other views follow the size", async () => {
    const slip = { strategy: "slip", maskRatio: undefined, sslHead: [12, 6], keepSize: 18 } as const;
    const { finished } = await train(recipeFor("slip", slip));
    assert.equal(finished, true);
  });
});
