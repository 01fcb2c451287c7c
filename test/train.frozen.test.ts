/** Locked towers and layer-wise learning rates: what moves, what it costs, and runs that are continued. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { SafetensorsFile, writeSafetensors } from "../src/core/safetensors.js";
import type { TensorType } from "../src/core/shape.js";
import type { Engine } from "../src/engines/engine.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { costOf } from "../src/graph/cost.js";
import { trace } from "../src/graph/trace.js";
import { type Clip, makeClip, towerOf } from "../src/models/clip.js";
import { type ClipConfig, parseClipConfig } from "../src/models/config/config.js";
import { drawNoise } from "../src/nn/noise.js";
import { parameterTypes } from "../src/nn/parameters.js";
import { checkRecipe, type RecipeInput } from "../src/train/recipe/recipe.js";
import { type Frozen, freeze, frozenOf, ratesOf } from "../src/train/step/frozen.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import type { StepOptions } from "../src/train/step/options.js";
import { type HostBatch, StepRunner } from "../src/train/step/runner.js";
import { initialState } from "../src/train/step/state.js";
import { trainStep } from "../src/train/step/step.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { assertClose } from "./support/close.js";
import { enginesForSteps } from "./support/engines.js";
import { fixture } from "./support/fixture.js";

const B = 6;
const config: ClipConfig = {
  embed_dim: 8,
  vision_cfg: { image_size: 16, patch_size: 4, width: 16, layers: 3, head_width: 8 },
  text_cfg: { context_length: 6, vocab_size: 20, width: 16, heads: 2, layers: 2 },
};
const vit = makeClip(config);
const resnet = makeClip({
  ...config,
  vision_cfg: {
    image_size: 16,
    timm_model_name: "resnet18d",
    timm_model_args: { layers: [1, 1, 1, 1], channels: [4, 4, 8, 8], stem_width: 4 },
  },
});

const none = { pretrained: undefined, pretrainedImage: "x", layerDecay: undefined } as const;
const start = {
  ...none,
  ...{ lockImage: undefined, lockImageUnlockedGroups: undefined },
  ...{ lockText: undefined, lockTextUnlockedLayers: undefined, lrImage: undefined, lrText: undefined },
};
const imageLock = (clip: Clip, groups?: number): Frozen =>
  frozenOf({ ...start, lockImage: true, lockImageUnlockedGroups: groups }, clip, new Set())!;

const optionsOf = (clip: Clip, more: Partial<StepOptions> = {}): StepOptions => ({
  clip,
  optimizer: makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-3, weightDecay: 0.2 }),
  batchSize: B,
  contextLength: 6,
  normalization: undefined,
  ema: true,
  ...more,
});

function batchFor({ clip }: StepOptions): HostBatch {
  const random = new Random(keyFromSeed(4));
  const S = clip.config.vision_cfg.image_size;
  return {
    images: Float32Array.from({ length: B * 3 * S * S }, () => random.normal()),
    tokens: Int32Array.from({ length: B * 6 }, () => random.integer(20)),
    imageIds: Int32Array.from({ length: B }, (_, i) => i),
    textIds: Int32Array.from({ length: B }, (_, i) => i),
    noise: drawNoise(clip.noise, keyFromSeed(5), B),
  };
}

type State = Map<string, Float32Array>;

/** The state before and after two steps, and the first step's loss. */
async function twoSteps(
  options: StepOptions,
  lr = 1e-2,
  open: () => Promise<Engine> = async () => new OnnxRuntime({ threads: 1 }),
) {
  await using engine = await open();
  using runner = await StepRunner.create(engine, options, initialState(options, keyFromSeed(1)));
  const snapshot = async (): Promise<State> =>
    new Map(
      [...(await runner.state.snapshot())].map(([name, { data }]) => [
        name,
        Float32Array.from(data as Float32Array),
      ]),
    );
  const first = await snapshot();
  const losses: number[] = [];
  for (const step of [1, 2])
    losses.push(
      (
        await runner.step(batchFor(options), {
          ...options.optimizer.scalars(step, lr),
          emaDecay: 0.9,
        })
      ).loss,
    );
  return { first, last: await snapshot(), loss: losses[0]! };
}

const isTower = (tower: string) => (name: string) => towerOf(name) === tower;

describe("the groups of a tower", () => {
  const encoders = readdirSync(fixture("encoders"))
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.replace(".json", ""));
  const models: readonly (readonly [string, Clip])[] = [
    ["vit", vit],
    ...encoders.map(
      (name) =>
        [
          name,
          makeClip(parseClipConfig(JSON.parse(readFileSync(fixture(`encoders/${name}.json`), "utf8")), name)),
        ] as const,
    ),
  ];
  for (const [name, clip] of models) {
    it(`${name}: a stem, every block, and the end with the projection, none of them empty`, () => {
      const { image } = clip.depths;
      const places = new Map<number, string[]>();
      for (const parameter of Object.keys(clip.variables).filter(isTower("image"))) {
        const own = parameter.slice("visual.".length);
        places.set(image.of(own), [...(places.get(image.of(own)) ?? []), own]);
      }
      assert.deepEqual(
        [...places.keys()].sort((a, b) => a - b),
        Array.from({ length: image.count }, (_, i) => i),
      );
      assert.ok(
        places.get(0)!.every((own) => !/blocks|layers?\d*\.\d|^(trunk\.)?norm\.|head|ln_post/.test(own)),
      );
      for (const own of clip.stored.projection)
        if (clip.parameters[`visual.${own}`]) assert.ok(places.get(image.count - 1)!.includes(own), own);
      for (let block = 1; block < image.count - 1; block++) {
        // What is under the block's own name, or halves the image before it.
        const names = new Set(places.get(block)!.map((own) => /^.*?\d+(\.blocks\.\d+|\.\d+)?/.exec(own)![0]));
        assert.ok(names.size <= 2, `${block}: ${[...names]}`);
      }
    });
  }

  it("texts: embeddings, every block, the final norm and projection", () => {
    const { text } = vit.depths;
    assert.equal(text.count, 4);
    assert.equal(text.of("token_embedding.weight"), 0);
    assert.equal(text.of("positional_embedding"), 0);
    assert.equal(text.of("transformer.resblocks.1.ln_1.weight"), 2);
    assert.equal(text.of("ln_final.bias"), 3);
    assert.equal(text.of("text_projection"), 3);
  });
});

describe("frozenOf", () => {
  it("unlocks groups from the end; what starts anew is never locked", () => {
    const whole = imageLock(vit);
    assert.deepEqual([...whole.names].sort(), Object.keys(vit.parameters).filter(isTower("image")).sort());
    assert.ok(whole.covers("visual."));
    const { names } = imageLock(vit, 2);
    assert.deepEqual(
      Object.keys(vit.parameters).filter((name) => isTower("image")(name) && !names.has(name)),
      Object.keys(vit.parameters).filter((name) =>
        /^visual\.(ln_post|proj|transformer\.resblocks\.2)/.test(name),
      ),
    );
    const fresh = frozenOf({ ...start, lockImage: true }, vit, new Set(["visual.proj"]))!;
    assert.ok(!fresh.names.has("visual.proj") && fresh.names.has("visual.ln_post.weight"));
    assert.ok(!fresh.covers("visual.") && fresh.covers("visual.transformer."));
    assert.equal(frozenOf(start, vit, new Set()), undefined);
  });

  it("refuses more groups than a lock can leave", () => {
    assert.throws(
      () => imageLock(vit, 5),
      (error) =>
        error instanceof UsageError &&
        /^lockImageUnlockedGroups: must leave one of the tower's 5 groups locked; got lockImageUnlockedGroups=5\./.test(
          error.message,
        ),
    );
  });
});

describe("trainStep with a lock", () => {
  let unlocked: Awaited<ReturnType<typeof twoSteps>> | undefined;
  for (const [what, isLocked] of [
    ["the image tower", isTower("image")],
    ["the text tower", isTower("text")],
    ["the first halves", (name: string) => /conv1|embedding|ln_pre|resblocks\.0/.test(name)],
  ] as const) {
    it(`${what}: stays, has no slots and no average, and the rest takes its own gradient's first step`, async () => {
      const names = new Set(Object.keys(vit.parameters).filter(isLocked));
      const locked = await twoSteps(optionsOf(vit, { frozen: freeze(vit, names) }));
      unlocked ??= await twoSteps(optionsOf(vit));
      const free = unlocked;
      assertClose([locked.loss], [free.loss], 1e-6, "loss");
      for (const name of Object.keys(vit.parameters)) {
        const [was, is] = [locked.first.get(`params.${name}`)!, locked.last.get(`params.${name}`)!];
        const stays = names.has(name);
        assert.equal(
          was.every((v, i) => v === is[i]),
          stays,
          name,
        );
        assert.equal(locked.last.has(`slots.${name}.m`), !stays, name);
        assert.equal(locked.last.has(`ema.${name}`), !stays, name);
      }
    });
  }

  it("gives what is trained the gradients that it has without a lock", async () => {
    // One step from equal weights: a learning rate of 0 keeps them, and the moments hold the gradients.
    const names = new Set(Object.keys(vit.parameters).filter((name) => /visual|resblocks\.0/.test(name)));
    const locked = await twoSteps(optionsOf(vit, { frozen: freeze(vit, names) }), 0);
    const free = await twoSteps(optionsOf(vit), 0);
    for (const [name, m] of locked.last)
      if (name.endsWith(".m")) assertClose(m, free.last.get(name)!, 1e-6, name);
  });

  it("batch norms that are locked compute as in evaluation, and their statistics stay", async () => {
    const whole = await twoSteps(optionsOf(resnet, { frozen: imageLock(resnet) }));
    const part = await twoSteps(optionsOf(resnet, { frozen: imageLock(resnet, 2) }));
    for (const name of Object.keys(resnet.statistics)) {
      const key = `statistics.${name}`;
      assert.deepEqual(whole.last.get(key), whole.first.get(key), name);
      const stays = !/layer4/.test(name);
      assert.equal(
        part.last.get(key)!.every((v, i) => v === part.first.get(key)![i]),
        stays,
        name,
      );
    }
    // The whole tower in evaluation mode, and no gradient to it.
    const evaluated: Clip = { ...resnet, encodeImage: (v, images) => resnet.encodeImage(v, images) };
    const expected = await twoSteps(
      optionsOf(evaluated, { frozen: freeze(resnet, imageLock(resnet).names) }),
    );
    assert.equal(whole.loss, expected.loss);
  });

  it("blocks that are locked are never left out", async () => {
    const dropped = makeClip(config, { dropPath: 0.9 });
    const without = await twoSteps(optionsOf(vit, { frozen: imageLock(vit, 1) }));
    const locked = await twoSteps(optionsOf(dropped, { frozen: imageLock(dropped, 1) }));
    assert.equal(locked.loss, without.loss);
    const open = await twoSteps(optionsOf(dropped, { frozen: imageLock(dropped, 2) }));
    assert.notEqual(open.loss, without.loss);
  });

  for (const { title, open } of enginesForSteps.filter(({ title }) => title !== "ONNX Runtime")) {
    it(`${title}: takes the steps of ONNX Runtime`, async () => {
      const dropped = makeClip(config, { dropPath: 0.9 });
      for (const options of [
        optionsOf(resnet, { frozen: imageLock(resnet, 2), rate: () => 0.5 }),
        // Its noise is read by nothing.
        optionsOf(dropped, { frozen: imageLock(dropped, 1) }),
      ]) {
        const expected = await twoSteps(options);
        const found = await twoSteps(options, 1e-2, open);
        for (const [path, data] of expected.last) assertClose(found.last.get(path)!, data, 1e-4, path);
      }
    });
  }

  it("costs no backward pass of what is locked", () => {
    const forward = (tower: "image" | "text") => {
      const images: TensorType = { dtype: "f32", shape: [B, 3, 16, 16] };
      const tokens: TensorType = { dtype: "i32", shape: [B, 6] };
      const graph = trace({ v: parameterTypes(vit.variables), images, tokens }, (x) => ({
        y: tower === "image" ? vit.encodeImage(x.v, x.images) : vit.encodeText(x.v, x.tokens),
      }));
      return costOf(graph).macs;
    };
    const macs = (lock?: Frozen) => costOf(trainStep(optionsOf(vit, { frozen: lock, ema: false }))).macs;
    const whole = macs();
    const noImages = macs(imageLock(vit));
    // A backward pass takes two products for one, but for the patches, whose own gradient nobody wants.
    assert.ok(whole - noImages > 1.8 * forward("image"), `${whole} ${noImages} ${forward("image")}`);
    const both = macs(
      freeze(vit, new Set(Object.keys(vit.parameters).filter((n) => !n.startsWith("logit")))),
    );
    assert.ok(both < 1.1 * (forward("image") + forward("text")), `${both}`);
    const parts = [1, 2, 3, 4].map((groups) => macs(imageLock(vit, groups)));
    [noImages, ...parts, whole].reduce((less, more) => {
      assert.ok(less < more, `${less} < ${more}`);
      return more;
    });
  });
});

describe("ratesOf", () => {
  const lr = 1e-3;
  it("decays from a tower's end to its beginning, where it starts from weights", () => {
    const rate = ratesOf({ ...start, lr, layerDecay: 0.5 }, vit)!;
    assert.equal(rate("visual.proj"), 1);
    assert.equal(rate("visual.ln_post.weight"), 1);
    assert.equal(rate("visual.transformer.resblocks.2.ln_1.weight"), 0.5);
    assert.equal(rate("visual.conv1.weight"), 0.5 ** 4);
    assert.equal(rate("token_embedding.weight"), 1, "a text tower that starts anew");
    assert.equal(rate("logit_scale"), 1);
    assert.equal(rate("image_mlp.layer1.weight"), 1, "a strategy's own");
    const both = ratesOf({ ...start, lr, layerDecay: 0.5, pretrained: "y" }, vit)!;
    assert.equal(both("token_embedding.weight"), 0.5 ** 3);
  });

  it("gives each tower its own rate", () => {
    const rate = ratesOf({ ...start, lr, lrImage: 2e-4, lrText: 3e-3 }, vit)!;
    assert.ok(Math.abs(rate("visual.conv1.weight") - 0.2) < 1e-15);
    assert.ok(Math.abs(rate("ln_final.bias") - 3) < 1e-15);
    assert.equal(rate("logit_scale"), 1);
    assert.equal(ratesOf({ ...start, lr }, vit), undefined);
  });

  for (const name of ["adamw", "adafactor"] as const) {
    it(`${name}: a share of the rate is a run at that rate, decay included`, async () => {
      const optimizer = makeOptimizer(name, { beta1: 0.9, beta2: 0.98, epsilon: 1e-3, weightDecay: 0.2 });
      const options = optionsOf(vit, { optimizer });
      const shared = await twoSteps({ ...options, rate: () => 0.25 }, 1e-2);
      const slower = await twoSteps(options, 0.25e-2);
      for (const [path, data] of slower.last) assertClose(shared.last.get(path)!, data, 1e-6, path);
    });
  }
});

describe("train from weights", () => {
  const folder = scratchFolder();
  const vision = {
    image_size: 16,
    timm_model_name: "resnet18d",
    timm_model_args: { layers: [1, 1, 1, 1], channels: [4, 4, 8, 8], stem_width: 4 },
    timm_drop_path: 0.2,
  };
  const recipeFor = (name: string, more: RecipeInput = {}) =>
    checkRecipe({
      model: {
        embed_dim: 8,
        vision_cfg: vision,
        text_cfg: { context_length: 8, width: 16, heads: 2, layers: 1 },
      },
      ...{ trainData: join(folder, "pairs"), logs: join(folder, "runs"), name, workers: 1, steps: 4 },
      ...{ batchSize: 8, saveFrequency: 0, logEveryNSteps: 1, threads: 1, seed: 5, emaDecay: 0.9, eps: 1e-3 },
      ...more,
    });
  const checkpoint = (name: string): string => {
    const path = join(folder, "runs", name, "checkpoints");
    return join(path, readdirSync(path).sort().at(-1)!);
  };
  const bytesOf = (name: string) =>
    Object.fromEntries(
      ["params", "ema", "optimizer"].map((file) => [
        file,
        readFileSync(join(checkpoint(name), `${file}.safetensors`)).toString("base64"),
      ]),
    );
  const tensorsOf = (name: string, file: string) => {
    using stored = new SafetensorsFile(join(checkpoint(name), file));
    return new Map(stored.names.map((each) => [each, stored.read(each) as Float32Array]));
  };

  before(async () => {
    for (let i = 0; i < 24; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i, 20, 18));
      put(folder, `pairs/${i}.txt`, `picture number ${i}\nkind ${i % 3}`);
    }
    await train(recipeFor("teacher", { vocabSize: 280 }));
  });

  it("keeps what is locked, and continued ends as if not stopped, to the bit", async () => {
    const settings: RecipeInput = {
      pretrained: join(folder, "runs", "teacher"),
      tokenizer: join(folder, "runs", "teacher", "tokenizer.json"),
      ...{ lockImage: true, lockImageUnlockedGroups: 2, layerDecay: 0.75, lrText: 1e-3 },
    };
    await train(recipeFor("groups", settings));
    const stop = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 2 && stop.abort();
    const first = await train(recipeFor("groups-again", settings), { onStep, signal: stop.signal });
    assert.equal(first.finished, false);
    await train(recipeFor("groups-again", settings));
    assert.deepEqual(bytesOf("groups-again"), bytesOf("groups"));

    const began = tensorsOf("teacher", "ema.safetensors");
    const optimizer = tensorsOf("groups", "optimizer.safetensors");
    for (const file of ["params.safetensors", "ema.safetensors"]) {
      const ended = tensorsOf("groups", file);
      assert.deepEqual([...ended.keys()].sort(), [...began.keys()].sort(), `${file} is a whole model`);
      assert.deepEqual(ended.get("visual.trunk.conv1.0.weight"), began.get("visual.trunk.conv1.0.weight"));
      assert.deepEqual(ended.get("visual.trunk.bn1.running_var"), began.get("visual.trunk.bn1.running_var"));
      assert.notDeepEqual(ended.get("text_projection"), began.get("text_projection"));
    }
    assert.ok(!optimizer.has("visual.trunk.conv1.0.weight.m") && optimizer.has("text_projection.m"));
    assert.ok(optimizer.has("visual.head.proj.weight.m"));
  });

  it("a projection that starts anew is trained beside a locked trunk, after a stop, too", async () => {
    const trunk = join(folder, "trunk.safetensors");
    const stored = tensorsOf("teacher", "ema.safetensors");
    using shapes = new SafetensorsFile(join(checkpoint("teacher"), "ema.safetensors"));
    writeSafetensors(
      trunk,
      [...stored]
        .filter(([name]) => name.startsWith("visual.trunk."))
        .map(([name, data]) => ({
          name: name.slice("visual.trunk.".length),
          dtype: "f32" as const,
          shape: shapes.info(name).shape,
          data,
        })),
    );
    const settings: RecipeInput = { pretrainedImage: trunk, lockImage: true, vocabSize: 280 };
    const lines: string[] = [];
    const onStart = ({ description }: { description: string }) => void lines.push(description);
    await train(recipeFor("fresh", settings), { onStart });
    assert.match(lines[0]!, /image tower of .*trunk\.safetensors, visual\.head\.proj\.weight anew/);
    const stop = new AbortController();
    await train(recipeFor("fresh-again", settings), {
      onStep: ({ step }) => step === 2 && stop.abort(),
      signal: stop.signal,
    });
    await train(recipeFor("fresh-again", settings));
    assert.deepEqual(bytesOf("fresh-again"), bytesOf("fresh"));
    assert.ok(tensorsOf("fresh", "optimizer.safetensors").has("visual.head.proj.weight.m"));
    const ended = tensorsOf("fresh", "params.safetensors");
    assert.deepEqual(ended.get("visual.trunk.bn1.weight"), stored.get("visual.trunk.bn1.weight"));
  });
});
