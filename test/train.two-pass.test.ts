/** Steps in two passes over parts of a batch against the step on the whole of it. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TypedArray } from "../src/core/dtype.js";
import { UsageError } from "../src/core/errors.js";
import { foldIn, keyFromSeed, Random } from "../src/core/random.js";
import type { Engine } from "../src/engines/engine.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { costOf } from "../src/graph/cost.js";
import { concat, slice } from "../src/graph/ops/index.js";
import type { Tensor } from "../src/graph/tensor.js";
import { makeClip, towerOf } from "../src/models/clip.js";
import type { ClipConfig } from "../src/models/config/config.js";
import { drawNoise } from "../src/nn/noise.js";
import { freeze } from "../src/train/step/frozen.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import type { StepOptions } from "../src/train/step/options.js";
import { type HostBatch, StepRunner } from "../src/train/step/runner.js";
import { initialState } from "../src/train/step/state.js";
import {
  blockRows,
  featureTypes,
  imagesBackward,
  imagesForward,
  lossBlock,
  type TwoPassOptions,
} from "../src/train/step/two-pass.js";
import { type BatchParts, TwoPassRunner } from "../src/train/step/two-pass-runner.js";
import { makeStrategy, type StrategyName, strategyNames } from "../src/train/strategies/index.js";
import type { Strategy } from "../src/train/strategies/strategy.js";
import { assertClose } from "./support/close.js";
import { enginesForSteps, openXla, quickFlags, withXla } from "./support/engines.js";

const config: ClipConfig = {
  embed_dim: 8,
  vision_cfg: { image_size: 16, patch_size: 4, width: 16, layers: 2, head_width: 8 },
  text_cfg: { context_length: 6, vocab_size: 20, width: 16, heads: 2, layers: 1 },
};
/** A large epsilon: a bias before a batch norm has no gradient but rounding, which AdamW would make steps of. */
const ADAMW = { beta1: 0.9, beta2: 0.98, epsilon: 1e-3, weightDecay: 0.2 };
const B = 12;
const M = 4;

function optionsOf(name: StrategyName, batchSize = B): StepOptions & { strategy: Strategy } {
  const logits = name === "siglip" ? { init_logit_scale: Math.log(10), init_logit_bias: -10 } : {};
  const clip = makeClip({ ...config, ...logits }, { dropPath: 0.4 });
  return {
    clip,
    strategy: makeStrategy(name, clip, { sslHead: [10, 6] }),
    optimizer: makeOptimizer("adamw", ADAMW),
    batchSize,
    contextLength: 6,
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
    clipNorm: 1,
    ema: true,
  };
}

/** The strategy with images encoded in parts of `size`, one after the other: what batch norms see in two passes. */
const inParts = (strategy: Strategy, size: number): Strategy => ({
  ...strategy,
  encodeImages(variables, views, training) {
    const current = { ...variables };
    const rows = views[0]!.shape[0]!;
    const parts: Record<string, Tensor>[] = [];
    for (let at = 0; at < rows; at += size) {
      const cut = (x: Tensor) => slice(x, 0, at, at + size);
      const noise = Object.fromEntries(Object.entries(training.noise).map(([name, x]) => [name, cut(x)]));
      parts.push(strategy.encodeImages(current, views.map(cut), { ...training, noise }));
      Object.assign(current, training.statistics);
    }
    return Object.fromEntries(
      Object.keys(parts[0]!).map((name) => [
        name,
        concat(
          parts.map((part) => part[name]!),
          0,
        ),
      ]),
    );
  },
});

const random = (step: number) => new Random(foldIn(keyFromSeed(4), step));

/** Step `step`'s batch; images repeat and captions too. */
function batchOf({ strategy, batchSize }: StepOptions & { strategy: Strategy }, step: number): HostBatch {
  const draw = random(step);
  const pixels = () => Uint8Array.from({ length: batchSize * 16 * 16 * 3 }, () => draw.integer(256));
  return {
    images: pixels(),
    views: Array.from({ length: strategy.views }, pixels),
    tokens: Int32Array.from({ length: batchSize * 6 }, () => draw.integer(20)),
    imageIds: Int32Array.from({ length: batchSize }, (_, i) => i % (batchSize - 2)),
    textIds: Int32Array.from({ length: batchSize }, (_, i) => Math.max(i, 1)),
    noise: drawNoise(strategy.noise, foldIn(keyFromSeed(8), step), batchSize),
  };
}

/** The same batch in parts; `asked` notes which were. Arrays of the part before are overwritten. */
function partsOf(
  options: StepOptions & { strategy: Strategy },
  step: number,
  size: number,
  asked: number[] = [],
): BatchParts {
  const whole = batchOf(options, step);
  let last: readonly TypedArray[] = [];
  return {
    async part(index) {
      asked.push(index);
      for (const array of last) array.fill(0 as never);
      const rows = <T extends TypedArray>(array: T): T => {
        const width = array.length / options.batchSize;
        return array.slice(index * size * width, (index + 1) * size * width) as T;
      };
      // Parts draw their own noise, by their rows' places.
      const noise = drawNoise(options.strategy.noise, foldIn(keyFromSeed(8), step), size, index * size);
      const part = {
        images: rows(whole.images),
        views: whole.views!.map(rows),
        tokens: rows(whole.tokens),
        imageIds: rows(whole.imageIds),
        textIds: rows(whole.textIds),
        noise,
      };
      last = [part.images, ...part.views, ...Object.values(noise)];
      return part;
    },
  };
}

const scalars = (options: StepOptions, step: number) => ({
  ...options.optimizer.scalars(step + 1, 1e-2),
  emaDecay: 0.9,
});

type Outcome = { metrics: Record<string, number>[]; state: Map<string, Float32Array> };

async function outcome(
  runner: StepRunner | TwoPassRunner,
  steps: number,
  take: (step: number) => Promise<{ loss: number; gradientNorm: number; logitScale: number }>,
): Promise<Outcome> {
  const metrics: Record<string, number>[] = [];
  for (let step = 0; step < steps; step++) metrics.push({ ...(await take(step)) });
  const snapshot = await runner.state.snapshot();
  return {
    metrics,
    state: new Map([...snapshot].map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)])),
  };
}

function assertSame(found: Outcome, expected: Outcome, limit: number): void {
  expected.metrics.forEach((metrics, step) => {
    for (const [name, value] of Object.entries(metrics))
      assertClose([found.metrics[step]![name]!], [value], limit, `${name} of step ${step}`);
  });
  assert.deepEqual([...found.state.keys()], [...expected.state.keys()]);
  for (const [name, data] of expected.state) assertClose(found.state.get(name)!, data, limit, name);
}

const onePass = async (engine: Engine, options: StepOptions & { strategy: Strategy }, steps = 2) => {
  using runner = await StepRunner.create(engine, options, initialState(options, keyFromSeed(1)));
  return await outcome(runner, steps, (step) => runner.step(batchOf(options, step), scalars(options, step)));
};

const twoPasses = async (engine: Engine, options: TwoPassOptions & { strategy: Strategy }, steps = 2) => {
  using runner = await TwoPassRunner.create(engine, options, initialState(options, keyFromSeed(1)));
  return await outcome(runner, steps, (step) =>
    runner.step(partsOf(options, step, options.microBatch), scalars(options, step)),
  );
};

/** Sums of f32 in another order, over two steps. */
const LIMIT = 2e-5;

for (const { title, open } of enginesForSteps) {
  describe(`TwoPassRunner on ${title}`, () => {
    // clip-aug differs from clip in its data alone.
    for (const name of strategyNames.filter((each) => each !== "clip-aug")) {
      it(`${name}: takes the steps of the whole batch, with masks, drop path and equal pairs`, async () => {
        await using engine = await open();
        const options = optionsOf(name);
        const found = await twoPasses(engine, {
          ...options,
          microBatch: M,
          textMicroBatch: 6,
          blockLogits: 40,
        });
        // The head's batch norms see parts; without them, parts are nothing but parts.
        const strategy = name === "slip" ? inParts(options.strategy, M) : options.strategy;
        assertSame(found, await onePass(engine, { ...options, strategy }), LIMIT);
        assert.deepEqual(engine.stats(), { buffers: 0, bytes: 0 });
      });
    }
  });
}

describe("TwoPassRunner", () => {
  const options = optionsOf("clip");
  const refused = async (more: Partial<TwoPassOptions>, pattern: RegExp) => {
    await using engine = new OnnxRuntime({ threads: 1 });
    await assert.rejects(
      TwoPassRunner.create(engine, { ...options, microBatch: M, ...more }, {}),
      (error) => error instanceof UsageError && pattern.test(error.message),
    );
  };

  it("refuses parts that do not fit", async () => {
    await refused({ microBatch: 5 }, /^microBatch: must divide the batch; got microBatch=5, batchSize=12\./);
    await refused({ textMicroBatch: 8 }, /^textMicroBatch: must divide the batch/);
    await refused({ replicas: 3 }, /^microBatch: the devices must divide it; got microBatch=4, devices=3\./);
  });

  const locks: readonly [string, (name: string) => boolean][] = [
    ["a locked image tower", (name) => name.startsWith("visual.")],
    ["a locked text tower", (name) => towerOf(name) === "text"],
    ["a part of both towers", (name) => /conv1|embedding|resblocks\.0/.test(name)],
  ];
  for (const [what, isLocked] of locks) {
    it(`with ${what}: takes the steps of the whole batch`, async () => {
      await using engine = new OnnxRuntime({ threads: 1 });
      const names = new Set(Object.keys(options.clip.parameters).filter(isLocked));
      const locked = { ...options, frozen: freeze(options.clip, names), rate: () => 0.5 };
      const found = await twoPasses(engine, { ...locked, microBatch: M, textMicroBatch: 6, blockLogits: 40 });
      assertSame(found, await onePass(engine, locked), LIMIT);
      assert.deepEqual(engine.stats(), { buffers: 0, bytes: 0 });
    });
  }

  it("asks for every part in order, twice, and leaves nothing behind", async () => {
    await using engine = new OnnxRuntime({ threads: 1 });
    using runner = await TwoPassRunner.create(
      engine,
      { ...options, microBatch: M },
      initialState(options, keyFromSeed(1)),
    );
    const before = engine.stats();
    const asked: number[] = [];
    await runner.step(partsOf(options, 0, M, asked), scalars(options, 0));
    assert.deepEqual(asked, [0, 1, 2, 0, 1, 2]);
    assert.deepEqual(engine.stats(), before);
  });

  it("goes on by another strategy with the same state", async () => {
    await using engine = new OnnxRuntime({ threads: 1 });
    const flip = optionsOf("flip");
    using runner = await TwoPassRunner.create(
      engine,
      { ...flip, microBatch: M },
      initialState(flip, keyFromSeed(1)),
    );
    const found = await outcome(runner, 2, async (step) => {
      const now = step === 0 ? flip : { ...flip, strategy: makeStrategy("clip", flip.clip) };
      await runner.follow(now);
      return runner.step(partsOf(now, step, M), scalars(now, step));
    });
    using whole = await StepRunner.create(engine, flip, initialState(flip, keyFromSeed(1)));
    const expected = await outcome(whole, 2, async (step) => {
      const now = step === 0 ? flip : { ...flip, strategy: makeStrategy("clip", flip.clip) };
      await whole.follow(now);
      return whole.step(batchOf(now, step), scalars(now, step));
    });
    assertSame(found, expected, LIMIT);
  });

  it("takes memory that does not grow with the batch but for its rows", () => {
    for (const name of ["clip", "slip"] as const) {
      const of = (batchSize: number) => ({ ...optionsOf(name, batchSize), microBatch: M });
      const features = featureTypes(imagesForward(of(8)));
      const towers = [8, 4096].map((size) => costOf(imagesBackward(of(size), features)).peakBytes);
      assert.equal(towers[0], towers[1]);
      // f32 and their cotangents, given and gathered, ids, and the logits of one block in a dozen copies.
      const rowBytes = name === "clip" ? 2 * 8 * 4 : (2 * 8 + 2 * 6) * 4;
      const all = (size: number) =>
        Object.fromEntries(
          (name === "clip" ? ["images", "texts"] : ["images", "texts", "view1", "view2"]).map((f) => [
            f,
            { dtype: "f32" as const, shape: [size, f.startsWith("view") ? 6 : 8] },
          ]),
        );
      const blockLogits = 4096;
      const peak = (size: number) => costOf(lossBlock({ ...of(size), blockLogits }, all(size))).peakBytes;
      for (const size of [256, 1024, 4096]) {
        assert.equal(blockRows({ batchSize: size, blockLogits }) * size, blockLogits);
        assert.ok(
          peak(size) < 8 * size * (rowBytes + 8) + 24 * 4 * blockLogits,
          `${name} ${size}: ${peak(size)}`,
        );
      }
    }
  });
});

if (process.env.CLIPWRIGHT_REQUIRE_XLA === "1") {
  withXla("parts over two devices", () => {
    it("slip: parts over two devices take the steps of one", async () => {
      await using engine = await openXla({ devices: 2, flags: quickFlags });
      await using alone = new OnnxRuntime({ threads: 1 });
      const options = { ...optionsOf("slip"), microBatch: M };
      const found = await twoPasses(engine, { ...options, replicas: 2 });
      assertSame(found, await twoPasses(alone, options), LIMIT);
    });
  });
}
