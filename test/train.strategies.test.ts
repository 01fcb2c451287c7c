/** The training strategies: losses against PyTorch and against loops in float64, replicas, masking, costs. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { sizeOfShape, type TensorType } from "../src/core/shape.js";
import { leaves } from "../src/core/tree.js";
import { gradients } from "../src/graph/grad.js";
import { interpret, interpretReplicas } from "../src/graph/interpret.js";
import { allReduceSum } from "../src/graph/ops/index.js";
import type { Tensor } from "../src/graph/tensor.js";
import { isTensorType, trace } from "../src/graph/trace.js";
import { type Clip, makeClip } from "../src/models/clip.js";
import { type ClipConfig, parseClipConfig } from "../src/models/config/config.js";
import { maskImages } from "../src/models/image/masking.js";
import { drawNoise } from "../src/nn/noise.js";
import { initialize, parameterTypes } from "../src/nn/parameters.js";
import { relativeOffsets } from "../src/nn/windows.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { batchTypes, type StepOptions, stateTypes } from "../src/train/step/options.js";
import { trainStep } from "../src/train/step/step.js";
import { plainClip } from "../src/train/strategies/clip.js";
import { relativeCost, sampleMacs } from "../src/train/strategies/cost.js";
import { makeStrategy, type StrategyName, strategies, strategyNames } from "../src/train/strategies/index.js";
import { acrossReplicas } from "../src/train/strategies/loss.js";
import type { Strategy } from "../src/train/strategies/strategy.js";
import { assertClose } from "./support/close.js";
import { fixture } from "./support/fixture.js";

const text = { context_length: 6, vocab_size: 20, width: 16, heads: 2, layers: 1 } as const;
const vision = { image_size: 16, patch_size: 4, width: 16, layers: 3, head_width: 8 } as const;
const config: ClipConfig = { embed_dim: 8, vision_cfg: vision, text_cfg: text };
const clip = makeClip(config, { dropPath: 0.3 });
const biased = makeClip(
  { ...config, init_logit_scale: Math.log(10), init_logit_bias: -10 },
  { dropPath: 0.3 },
);
const head = { sslHead: [12, 6] };
const modelOf = (name: StrategyName): Clip => (name === "siglip" ? biased : clip);
const small = (name: StrategyName): Strategy => makeStrategy(name, modelOf(name), head);

/** A graph of a strategy's loss on `b` rows of each of `replicas` replicas, and its gradients. */
function lossGraph(
  strategy: Strategy,
  widths: Readonly<Record<string, number>>,
  b: number,
  replicas = 1,
  count?: number,
) {
  const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });
  const ids: TensorType = { dtype: "i32", shape: [b] };
  const types = {
    features: Object.fromEntries(Object.entries(widths).map(([name, width]) => [name, f32(b, width)])),
    imageIds: ids,
    textIds: ids,
    scale: f32(),
    bias: f32(),
    ...(count === undefined ? {} : { weights: f32(b) }),
  };
  return trace(types, (x) => {
    const { own, all } = acrossReplicas(
      { ...x, weights: (x as { weights?: Tensor }).weights },
      replicas,
      count,
    );
    const share = strategy.loss(own, all, x);
    const features: Record<string, Tensor> = x.features;
    const wrt = { ...features, scale: x.scale, bias: x.bias };
    const found = gradients(share, Object.values(wrt));
    const total = (name: string, g: Tensor) =>
      name === "scale" || name === "bias" ? allReduceSum(g, replicas) : g;
    return {
      loss: allReduceSum(share, replicas),
      d: Object.fromEntries(Object.keys(wrt).map((name, i) => [name, total(name, found[i]!)])),
    };
  });
}

interface Golden {
  readonly rows: number;
  readonly width: number;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly losses: Readonly<
    Record<string, { readonly loss: number; readonly d: Readonly<Record<string, readonly number[]>> }>
  >;
}
const golden = JSON.parse(readFileSync(fixture("strategies.json"), "utf8")) as Golden;
const numbers = Int32Array.from({ length: golden.rows }, (_, i) => i);

const featureNames = (name: StrategyName) =>
  name === "slip" ? ["images", "texts", "view1", "view2"] : ["images", "texts"];
const widthsOf = (name: StrategyName) => Object.fromEntries(featureNames(name).map((f) => [f, golden.width]));
const goldenFeeds = (name: StrategyName) => ({
  ...Object.fromEntries(featureNames(name).map((f) => [`features.${f}`, golden.inputs[f]!])),
  imageIds: numbers,
  textIds: numbers,
  scale: golden.inputs.scale!,
  bias: golden.inputs.bias!,
});

describe("the losses of strategies", () => {
  const cases: readonly [string, StrategyName, object][] = [
    ["clip", "clip", {}],
    ["smoothed", "clip", { labelSmoothing: 0.1 }],
    ["smoothed", "flip", { labelSmoothing: 0.1 }],
    ["siglip", "siglip", {}],
    ["slip", "slip", head],
  ];
  for (const [oracle, name, options] of cases) {
    it(`${name}: PyTorch's loss and gradients, ${oracle}`, () => {
      const strategy = makeStrategy(name, modelOf(name), options);
      const found = interpret(lossGraph(strategy, widthsOf(name), golden.rows), goldenFeeds(name));
      const expected = golden.losses[oracle]!;
      assertClose(found.loss!.data, [expected.loss], 1e-12, "loss");
      for (const [input, d] of Object.entries(expected.d))
        assertClose(found[`d.${input}`]!.data, d, 1e-10, `d ${input}`);
    });
  }

  /** Loss over any ids, by the definitions, with loops. */
  function byLoops(name: StrategyName, feeds: Feeds, ids: Ids): number {
    const B = ids.images.length;
    const dot = (a: string, i: number, b: string, j: number) => {
      let total = 0;
      for (let e = 0; e < golden.width; e++)
        total += feeds[a]![i * golden.width + e]! * feeds[b]![j * golden.width + e]!;
      return total;
    };
    const rows = Array.from({ length: B }, (_, i) => i);
    const sameImage = (i: number, j: number) => ids.images[i] === ids.images[j];
    const belong = (i: number, j: number) => sameImage(i, j) || ids.texts[i] === ids.texts[j];
    const crossEntropy = (logits: readonly number[], partner: (j: number) => boolean) => {
      const partners = logits.map((_, j) => j).filter(partner);
      const logSum = Math.log(logits.reduce((n, x) => n + Math.exp(x), 0));
      return partners.reduce((n, j) => n + (logSum - logits[j]!) / partners.length, 0);
    };
    const mean = (f: (i: number) => number) => rows.reduce((n, i) => n + f(i), 0) / B;
    const [scale, bias] = [feeds.scale![0]!, feeds.bias![0]!];
    if (name === "siglip") {
      const term = (i: number, j: number) => {
        const logit = scale * dot("images", i, "texts", j) + bias;
        return Math.log1p(Math.exp(belong(i, j) ? -logit : logit));
      };
      return mean((i) => rows.reduce((n, j) => n + term(i, j), 0));
    }
    const pairs = mean((i) => {
      const byImage = rows.map((j) => scale * dot("images", i, "texts", j));
      const byText = rows.map((j) => scale * dot("texts", i, "images", j));
      return (crossEntropy(byImage, (j) => belong(i, j)) + crossEntropy(byText, (j) => belong(i, j))) / 2;
    });
    if (name !== "slip") return pairs;
    const view = (i: number, own: string, other: string) => {
      const others = rows.filter((j) => j !== i);
      const logits = [
        ...rows.map((j) => dot(own, i, other, j) / 0.1),
        ...others.map((j) => dot(own, i, own, j) / 0.1),
      ];
      return crossEntropy(logits, (j) => sameImage(i, j < B ? j : others[j - B]!));
    };
    return pairs + mean((i) => (view(i, "view1", "view2") + view(i, "view2", "view1")) / 2);
  }

  const repeated: Ids = { images: [3, 1, 3, 0, 5, 3], texts: [0, 1, 2, 1, 4, 5] };
  const feedsOf = (name: StrategyName): Feeds =>
    Object.fromEntries([...featureNames(name), "scale", "bias"].map((f) => [f, golden.inputs[f]!]));
  const named = (feeds: Feeds, ids: Ids) => ({
    ...Object.fromEntries(
      Object.entries(feeds).map(([f, x]) => [f === "scale" || f === "bias" ? f : `features.${f}`, x]),
    ),
    imageIds: ids.images,
    textIds: ids.texts,
  });

  for (const name of ["clip", "slip", "siglip"] as const) {
    it(`${name}: equal images and equal captions belong together, in value and slopes`, () => {
      const feeds = feedsOf(name);
      const found = interpret(lossGraph(small(name), widthsOf(name), golden.rows), named(feeds, repeated));
      assertClose(found.loss!.data, [byLoops(name, feeds, repeated)], 1e-12, "loss");
      const h = 1e-6;
      for (const input of Object.keys(feeds)) {
        const slope = (i: number, by: number) =>
          byLoops(name, { ...feeds, [input]: feeds[input]!.map((x, j) => (i === j ? x + by : x)) }, repeated);
        const numeric = feeds[input]!.map((_, i) => (slope(i, h) - slope(i, -h)) / (2 * h));
        assertClose(found[`d.${input}`]!.data, numeric, 1e-7, input);
      }
    });

    it(`${name}: replicas share the loss, and padding counts for nothing`, () => {
      const strategy = makeStrategy(name, modelOf(name), {
        ...head,
        ...(name === "clip" ? { labelSmoothing: 0.2 } : {}),
      });
      for (const [count, replicas] of [
        [6, 3],
        [5, 3],
      ] as const) {
        const b = Math.ceil(count / replicas);
        const cut = (x: readonly number[]) =>
          x.length > 1 ? x.slice(0, (x.length / golden.rows) * count) : x;
        const feeds = Object.fromEntries(Object.entries(feedsOf(name)).map(([f, x]) => [f, cut(x)]));
        const ids: Ids = { images: cut(repeated.images), texts: cut(repeated.texts) };
        const whole = interpret(lossGraph(strategy, widthsOf(name), count), named(feeds, ids));
        // The last replica of five rows has one, and one of padding.
        const part = (x: readonly number[], r: number, fill?: number) => {
          const width = x.length / count;
          const own = x.slice(r * b * width, (r + 1) * b * width);
          return [...own, ...(fill === undefined ? own : Array<number>(width).fill(fill))].slice(
            0,
            b * width,
          );
        };
        const parts = Array.from({ length: replicas }, (_, r) => ({
          ...Object.fromEntries(featureNames(name).map((f) => [`features.${f}`, part(feeds[f]!, r)])),
          imageIds: part(ids.images, r, -1),
          textIds: part(ids.texts, r, -1),
          ...(count % replicas === 0 ? {} : { weights: part(Array<number>(count).fill(1), r, 0) }),
          scale: feeds.scale!,
          bias: feeds.bias!,
        }));
        const padded = count % replicas === 0 ? undefined : count;
        const shared = interpretReplicas(lossGraph(strategy, widthsOf(name), b, replicas, padded), parts);
        assertClose(shared[0]!.loss!.data, whole.loss!.data, 1e-12, "loss");
        assertClose(shared[0]!["d.scale"]!.data, whole["d.scale"]!.data, 1e-12, "d scale");
        for (const f of featureNames(name)) {
          const joint = shared.flatMap((own) => [...own[`d.${f}`]!.data]).slice(0, count * golden.width);
          assertClose(joint, whole[`d.${f}`]!.data, 1e-12, `d ${f}`);
        }
      }
    });
  }
});

type Feeds = Readonly<Record<string, readonly number[]>>;
interface Ids {
  readonly images: readonly number[];
  readonly texts: readonly number[];
}

/** A step's inputs in float64: state as it starts, random images and noise; rows of replica `r` where given. */
function stepFeeds(options: StepOptions, B = options.batchSize): Record<string, ArrayLike<number>> {
  const { clip: model, strategy } = options as StepOptions & { strategy: Strategy };
  const random = new Random(keyFromSeed(3));
  const feeds: Record<string, ArrayLike<number>> = {};
  const initial: Record<string, Float32Array> = {
    ...initialize({ ...model.parameters, ...strategy.parameters }, keyFromSeed(1)),
    ...initialize({ ...model.statistics, ...strategy.statistics }, keyFromSeed(1)),
  };
  for (const { path, value } of leaves(stateTypes(options), isTensorType)) {
    const name = path.slice(path.indexOf(".") + 1);
    feeds[path] = path.startsWith("slots.") ? new Float64Array(sizeOfShape(value.shape)) : initial[name]!;
  }
  const types = batchTypes({ ...options, batchSize: B, replicas: 1 });
  for (const { path, value } of leaves({ images: types.images, views: types.views }, isTensorType))
    feeds[`batch.${path}`] = Uint8Array.from({ length: sizeOfShape(value.shape) }, () => random.integer(256));
  feeds["batch.tokens"] = Int32Array.from({ length: sizeOfShape(types.tokens.shape) }, () =>
    random.integer(20),
  );
  feeds["batch.imageIds"] = Int32Array.from({ length: B }, (_, i) => i % (B - 1));
  feeds["batch.textIds"] = Int32Array.from({ length: B }, (_, i) => Math.max(1, i));
  for (const [name, data] of Object.entries(drawNoise(strategy.noise, keyFromSeed(2), B)))
    feeds[`batch.noise.${name}`] = data as Float32Array | Int32Array;
  for (const [name, value] of Object.entries(options.optimizer.scalars(1, 1e-2)))
    feeds[`scalars.${name}`] = [value];
  return feeds;
}

const stepOptions = (strategy: Strategy, model: Clip, batchSize: number, replicas = 1): StepOptions => ({
  clip: model,
  strategy,
  optimizer: makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 }),
  batchSize,
  contextLength: 6,
  normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
  clipNorm: 1,
  replicas,
});

describe("trainStep with a strategy", () => {
  for (const name of strategyNames) {
    it(`${name}: several replicas take the step of one`, () => {
      const whole = stepOptions(small(name), modelOf(name), 4);
      const feeds = stepFeeds(whole);
      const expected = interpret(trainStep(whole), feeds);
      const replicas = 2;
      const parts = Array.from({ length: replicas }, (_, r) =>
        Object.fromEntries(
          Object.entries(feeds).map(([path, data]) => {
            if (!path.startsWith("batch.")) return [path, data];
            const all = Array.from(data);
            return [path, all.slice((r * all.length) / replicas, ((r + 1) * all.length) / replicas)];
          }),
        ),
      );
      const found = interpretReplicas(trainStep({ ...whole, replicas }), parts);
      for (const [output, { data }] of Object.entries(expected))
        for (const own of found) assertClose(own[output]!.data, data, 1e-6, output);
    });
  }

  it("slip: keeps what is its own out of the model, and moves its running statistics by both views", () => {
    const strategy = small("slip");
    const options = stepOptions(strategy, clip, 4);
    assert.deepEqual(
      Object.keys(strategy.parameters).filter((n) => clip.parameters[n] !== undefined),
      [],
    );
    assert.ok(
      Object.keys(stateTypes({ ...options, ema: true }).ema!).every((n) => clip.parameters[n] !== undefined),
    );
    const found = interpret(trainStep(options), stepFeeds(options));
    const variance = found["next.statistics.image_mlp.bn1.running_var"]!.data;
    // Twice 0.9 of the start at 1, and something of each view's batch.
    assert.ok(variance.every((x) => x >= 0.81) && variance.some((x) => x > 0.81));
    const means = found["next.statistics.image_mlp.bn2.running_mean"]!.data;
    assert.ok(means.some((x) => x !== 0));
  });
});

describe("maskImages", () => {
  const random = new Random(keyFromSeed(9));
  const features = (
    model: Clip,
    f: (p: Record<string, Tensor>, images: Tensor, kept: Tensor) => Tensor,
    pixels: ArrayLike<number>,
    kept: readonly number[][],
  ) => {
    const S = model.config.vision_cfg.image_size;
    const types = {
      params: parameterTypes(model.parameters),
      images: { dtype: "f32", shape: [kept.length, 3, S, S] } as TensorType,
      kept: { dtype: "i32", shape: [kept.length, kept[0]!.length] } as TensorType,
    };
    const graph = trace(types, (x) => ({ y: f(x.params, x.images, x.kept) }));
    const feeds = Object.fromEntries(
      Object.entries(initialize(model.parameters, keyFromSeed(1))).map(([n, data]) => [`params.${n}`, data]),
    );
    return interpret(graph, { ...feeds, images: pixels, kept: kept.flat() }).y!.data;
  };
  const pixels = Float64Array.from({ length: 2 * 3 * 16 * 16 }, () => random.normal());
  const seeing = (model: Clip, kept: readonly number[][], image = pixels) =>
    features(
      model,
      (p, images, k) => model.imageFeatures(p, images, { noise: {}, replicas: 1, statistics: {} }, k),
      image,
      kept,
    );
  const plain = makeClip(config);

  it("sees what is kept and nothing else", () => {
    const kept = [
      [0, 3, 7, 9],
      [1, 2, 8, 15],
    ];
    const before = seeing(plain, kept);
    const covered = (places: readonly number[], image: number) => {
      const out = pixels.slice();
      for (const place of places)
        for (let c = 0; c < 3; c++)
          for (let y = 0; y < 4; y++)
            for (let x = 0; x < 4; x++)
              out[((image * 3 + c) * 16 + (place >> 2) * 4 + y) * 16 + (place & 3) * 4 + x] = 7;
      return out;
    };
    const unseen = Array.from({ length: 16 }, (_, i) => i).filter((i) => !kept[0]!.includes(i));
    assert.deepEqual(seeing(plain, kept, covered(unseen, 0)), before, "patches left out change nothing");
    const touched = seeing(plain, kept, covered([7], 0));
    assert.notDeepEqual(touched.slice(0, 16), before.slice(0, 16), "a kept one does");
    assert.deepEqual(touched.slice(16), before.slice(16), "and only in its own image");
  });

  for (const [pooling, more] of [
    ["the class token", {}],
    ["the mean", { pool_type: "avg" }],
    ["the mean without class token", { pool_type: "avg", class_token: false }],
    ["patches side by side", { pool_type: "flat", class_token: false }],
  ] as const) {
    it(`is the whole encoder when all patches are kept, pooled by ${pooling}`, () => {
      const model = makeClip({ ...config, vision_cfg: { ...vision, ...more } });
      const all = Array.from({ length: 16 }, (_, i) => i);
      const whole = features(model, (p, images) => model.imageFeatures(p, images), pixels, [all, all]);
      assertClose(seeing(model, [all, all]), whole, 1e-12, pooling);
    });
  }

  it("keeps ⌊P (1 − r)⌋ of P patches, others for each sample and step", () => {
    const { noise, about } = maskImages(clip, 0.5);
    assert.equal(about, "8 of 16 patches");
    assert.equal(maskImages(clip, 0.7).about, "4 of 16 patches");
    const draw = (seed: number) => drawNoise(noise, keyFromSeed(seed), 2)["masking.kept"] as Int32Array;
    assert.notDeepEqual(draw(1).slice(0, 8), draw(1).slice(8));
    assert.notDeepEqual(draw(1), draw(2));
    assert.throws(
      () => maskImages(clip, 0.95),
      (e) => e instanceof UsageError && /maskRatio: must leave a patch/.test(e.message),
    );
  });

  it("shows windows of the same share of the area to towers that need all patches", () => {
    // A mean over patches without positions takes any size.
    const free: Clip = { ...clip, imageTokens: undefined, forWindows: (size) => sized(size) };
    const sized = (size: number): Clip => ({
      ...free,
      config: { ...clip.config, vision_cfg: { ...clip.config.vision_cfg, image_size: size } },
      imageFeatures: (_, images) => images,
    });
    const parts = maskImages(free, 0.5);
    assert.equal(parts.about, "windows of 12 of 16 pixels");
    const types = {
      images: { dtype: "f32", shape: [2, 3, 16, 16] },
      draw: { dtype: "f32", shape: [2, 2] },
    } as const;
    const graph = trace(types, ({ images, draw }) => ({
      y: parts.features({}, images, { noise: { "masking.window": draw }, replicas: 1, statistics: {} }),
    }));
    const found = interpret(graph, { images: pixels, draw: [0, 0.999, 0.5, 1] }).y!;
    assert.deepEqual(found.shape, [2, 3, 12, 12]);
    const corners = [
      [0, 4],
      [2, 4],
    ];
    const expected = corners.flatMap(([top, left], b) =>
      Array.from({ length: 3 * 12 * 12 }, (_, i) => {
        const [c, y, x] = [Math.floor(i / 144), Math.floor(i / 12) % 12, i % 12];
        return pixels[((b * 3 + c) * 16 + y + top!) * 16 + x + left!]!;
      }),
    );
    assert.deepEqual([...found.data], expected);
    const bound: Clip = { ...clip, imageTokens: undefined, forWindows: () => undefined };
    assert.throws(
      () => maskImages(bound, 0.5),
      (e) => e instanceof UsageError && /same parameters/.test(e.message),
    );
  });
});

describe("maskImages on every encoder", () => {
  const folder = fixture("encoders");
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
    it(`costs less with the same parameters: ${file}`, () => {
      const model = makeClip(parseClipConfig(JSON.parse(readFileSync(`${folder}/${file}`, "utf8")), file));
      const flip = makeStrategy("flip", model, { maskRatio: 0.75 });
      const T = model.config.text_cfg.context_length;
      // Each parameter is found, differentiated, and of its own shape, or this throws.
      assert.ok(
        sampleMacs(model, flip, T, { backward: true }) <
          sampleMacs(model, plainClip(model), T, { backward: true }),
      );
    });
  }

  it("a Mixer that sees all patches is the whole one", () => {
    const model = makeClip(
      parseClipConfig(JSON.parse(readFileSync(`${folder}/mixer.json`, "utf8")), "mixer.json"),
      { dropPath: 0 },
    );
    const { imageTokens: P } = model;
    const S = model.config.vision_cfg.image_size;
    const random = new Random(keyFromSeed(2));
    const types = {
      params: parameterTypes(model.parameters),
      images: { dtype: "f32", shape: [1, 3, S, S] } as TensorType,
      kept: { dtype: "i32", shape: [1, P!] } as TensorType,
    };
    const training = { noise: {}, replicas: 1, statistics: {} };
    const graph = trace(types, (x) => ({
      whole: model.imageFeatures(x.params, x.images),
      seen: model.imageFeatures(x.params, x.images, training, x.kept),
    }));
    const feeds = Object.fromEntries(
      Object.entries(initialize(model.parameters, keyFromSeed(1))).map(([n, data]) => [`params.${n}`, data]),
    );
    const found = interpret(graph, {
      ...feeds,
      images: Float64Array.from({ length: 3 * S * S }, () => random.normal()),
      kept: Int32Array.from({ length: P! }, (_, i) => i),
    });
    assertClose(found.seen!.data, found.whole!.data, 1e-9, "features");
  });

  it("smaller windows of a Swin use the middle of the offsets that are learned", () => {
    // Of windows of side 3 there are 5 × 5 offsets, none of them at 12.
    assert.deepEqual(relativeOffsets(2, 3), [
      ...[12, 11, 7, 6],
      ...[13, 12, 8, 7],
      ...[17, 16, 12, 11],
      ...[18, 17, 13, 12],
    ]);
  });
});

describe("the cost of strategies", () => {
  // The paper's B/32 beside a text tower of 12 blocks of 768 on 16 tokens: 5.77 GMACs.
  const paper = makeClip({
    embed_dim: 512,
    vision_cfg: { image_size: 224, patch_size: 32, width: 768, layers: 12 },
    text_cfg: { context_length: 16, vocab_size: 32_000, width: 768, heads: 12, layers: 12 },
  });
  const cost = (name: StrategyName, passes = {}) =>
    relativeCost(paper, makeStrategy(name, paper), 16, passes);

  it("counts the paper's multiply-adds, 0.63 for half of the patches, and 2 to 2.6 for three views", () => {
    const gmacs = sampleMacs(paper, makeStrategy("clip", paper), 16) / 1e9;
    assert.ok(Math.abs(gmacs - 5.77) < 0.01, `${gmacs}`);
    // The paper embeds all patches before it drops them; here only the kept ones are.
    const flip = cost("flip");
    assert.ok(flip > 0.61 && flip < 0.63, `${flip}`);
    assert.ok(Math.abs(cost("flip", { backward: true }) - flip) < 0.005);
    const slip = cost("slip");
    assert.ok(slip > 2.5 && slip < 2.6, `${slip}`);
  });

  it("is that of clip for what sees whole images once", () => {
    for (const name of ["clip-aug", "siglip"] as const)
      assert.equal(
        sampleMacs(modelOf(name), small(name), 6, { backward: true }),
        sampleMacs(clip, small("clip"), 6, { backward: true }),
      );
  });
});

describe("strategies", () => {
  it("each says what it is and where it is from", () => {
    for (const [name, kind] of Object.entries(strategies)) {
      assert.match(kind.description, /^\S.*\.$/, name);
      assert.ok(kind.source.length > 10, name);
    }
  });
});
