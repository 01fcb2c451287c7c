/** Batch norms over several replicas of a step, and what they refuse. Their numbers are in models.encoders.test.ts. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TypedArray } from "../src/core/dtype.js";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed } from "../src/core/random.js";
import { sizeOfShape } from "../src/core/shape.js";
import { interpret, interpretReplicas } from "../src/graph/interpret.js";
import { makeClip } from "../src/models/clip.js";
import { drawNoise } from "../src/nn/noise.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { batchTypes, type StepOptions } from "../src/train/step/options.js";
import { initialState } from "../src/train/step/state.js";
import { trainStep } from "../src/train/step/step.js";
import { assertClose } from "./support/close.js";
import { waves } from "./support/waves.js";

const clip = makeClip({
  embed_dim: 4,
  vision_cfg: {
    image_size: 16,
    timm_model_name: "resnet18d",
    timm_model_args: { layers: [1, 1, 1, 1], channels: [2, 2, 3, 4], stem_width: 2, zero_init_last: false },
    timm_drop_path: 0.3,
  },
  text_cfg: { context_length: 4, vocab_size: 10, width: 4, heads: 2, layers: 1 },
});
const BATCH = 8;
const base: StepOptions = {
  clip,
  optimizer: makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 }),
  batchSize: BATCH,
  contextLength: 4,
  normalization: undefined,
  clipNorm: 1,
  ema: true,
};

const whole: Record<string, TypedArray> = (() => {
  const types = batchTypes(base);
  return {
    images: waves(sizeOfShape(types.images.shape), 1),
    tokens: Int32Array.from({ length: BATCH * 4 }, (_, i) => (i * 7) % 10),
    imageIds: Int32Array.from({ length: BATCH }, (_, i) => i),
    textIds: Int32Array.of(0, 1, 2, 2, 4, 5, 6, 7),
    ...Object.fromEntries(
      Object.entries(drawNoise(clip.noise, keyFromSeed(3), BATCH)).map(([n, v]) => [`noise.${n}`, v]),
    ),
  };
})();

/** Inputs of the step for replica `r` of `replicas`. */
function inputsOf(replicas: number, r: number): Record<string, ArrayLike<number>> {
  const state = initialState({ clip }, keyFromSeed(1));
  const averages = Object.entries(state).map(([name, data]) => [name.replace("params.", "ema."), data]);
  const slots = trainStep(base).inputs.filter(({ name }) => name.startsWith("slots."));
  const scalars = { ...base.optimizer.scalars(1, 1e-2), emaDecay: 0.9 };
  const cut = (data: TypedArray) =>
    data.subarray((r * data.length) / replicas, ((r + 1) * data.length) / replicas);
  return {
    ...Object.fromEntries(averages),
    ...state,
    ...Object.fromEntries(slots.map((s) => [s.name, new Float64Array(sizeOfShape(s.tensor.shape))])),
    ...Object.fromEntries(Object.entries(scalars).map(([name, value]) => [`scalars.${name}`, [value]])),
    ...Object.fromEntries(Object.entries(whole).map(([name, data]) => [`batch.${name}`, cut(data)])),
  } as Record<string, ArrayLike<number>>;
}

describe("batchNorm", () => {
  const expected = interpret(trainStep(base), inputsOf(1, 0));

  for (const replicas of [2, 4]) {
    it(`takes the statistics of the whole batch: a step on ${replicas} replicas is the step on one`, () => {
      const graph = trainStep({ ...base, replicas });
      const all = interpretReplicas(
        graph,
        Array.from({ length: replicas }, (_, r) => inputsOf(replicas, r)),
      );
      for (const own of all)
        for (const [name, { data }] of Object.entries(expected))
          assertClose(own[name]!.data, data, 1e-9, name);
    });
  }

  it("moves every running statistic in a step, and only then", () => {
    const before = initialState({ clip }, keyFromSeed(1));
    for (const name of Object.keys(clip.statistics)) {
      const now = expected[`next.statistics.${name}`]!.data;
      assert.ok(
        now.every((v, i) => Math.abs(v - Number(before[`statistics.${name}`]![i])) > 1e-9),
        name,
      );
    }
  });

  it("refuses a training batch with one value in a channel", () => {
    assert.throws(
      () => trainStep({ ...base, batchSize: 1 }),
      (error: Error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, /several values in a channel; got f32\[1,3,1,1\] in all/);
        return true;
      },
    );
  });
});
