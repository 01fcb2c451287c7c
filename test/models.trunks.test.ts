/** What test/models.encoders.test.ts does not show of timm's trunks: stochastic depth, recomputation, sizes, starts. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { sizeOfShape, type TensorType } from "../src/core/shape.js";
import { gradients } from "../src/graph/grad.js";
import { interpret } from "../src/graph/interpret.js";
import { mul, sum } from "../src/graph/ops/index.js";
import { optimize } from "../src/graph/passes.js";
import { trace } from "../src/graph/trace.js";
import { parseClipConfig } from "../src/models/config/config.js";
import { convNext } from "../src/models/image/convnext.js";
import { mixer } from "../src/models/image/mixer.js";
import type { Trunk, TrunkContext } from "../src/models/image/trunk.js";
import { noiseTypes } from "../src/nn/noise.js";
import { initialize, parameterTypes, Scope, truncatedNormalInit } from "../src/nn/parameters.js";
import { assertClose } from "./support/close.js";

const B = 2;
const SIZE = 8;
const images: TensorType = { dtype: "f32", shape: [B, 3, SIZE, SIZE] };

const random = (shape: readonly number[], seed: number): Float32Array => {
  const draw = new Random(keyFromSeed(seed));
  return Float32Array.from({ length: sizeOfShape(shape) }, () => draw.normal());
};

type Make = (context: Partial<TrunkContext>) => Trunk;

const smallConvNext: Make = (context) =>
  convNext.build(
    {
      ...convNext.architectures.convnext_atto!,
      depths: [1, 1, 2, 1],
      dims: [4, 4, 6, 6],
      kernel_sizes: 3,
      patch_size: 1,
      ls_init_value: 0.5,
    },
    { imageSize: SIZE, dropPath: 0, ...context },
  );

const smallMixer: Make = (context) =>
  mixer.build(
    { patch_size: 4, num_blocks: 3, embed_dim: 6, mlp_ratio: 2, stem_norm: false },
    { imageSize: SIZE, dropPath: 0, ...context },
  );

/** Normal weights, so that no branch is small beside its input. */
const weightsOf = (trunk: Trunk): Record<string, Float32Array> =>
  Object.fromEntries(
    Object.entries(trunk.parameters).map(([name, { shape }], i) => {
      const scale = shape.length > 1 ? (sizeOfShape(shape) / shape[0]!) ** -0.5 : 0.5;
      return [name, random(shape, i).map((v) => v * scale + (/norm.*weight/.test(name) ? 1 : 0))];
    }),
  );

/** Noise of one number for each sample. */
const noiseOf = (shape: readonly number[], draws: readonly number[]): number[] =>
  draws.flatMap((draw) => Array.from({ length: sizeOfShape(shape) / B }, () => draw));

/** Features [B,W]; in training where there are draws, one for each sample. */
function featuresOf(trunk: Trunk, weights: Record<string, Float32Array>, draws?: readonly number[]) {
  const noise = noiseTypes(draws === undefined ? {} : (trunk.noise ?? {}), B);
  const graph = trace({ p: parameterTypes(trunk.parameters), x: images, noise }, (t) => {
    const training = draws && { noise: t.noise, replicas: 1, statistics: {} };
    return { features: trunk.features(new Scope(t.p, training), t.x) };
  });
  const inputs = graph.inputs.map(({ name, tensor: { shape } }) => {
    if (name.startsWith("noise.")) return [name, noiseOf(shape, draws!)] as const;
    return [name, name === "x" ? random(shape, 99) : weights[name.slice(2)]!] as const;
  });
  return interpret(graph, Object.fromEntries(inputs)).features!.data;
}

/** `weights` with what ends each branch of block `i` times `factor(i)`. */
const scaled = (weights: Record<string, Float32Array>, ends: RegExp, factor: (block: number) => number) => {
  const blocks = [...new Set(Object.keys(weights).flatMap((name) => /^.*blocks\.\d+/.exec(name) ?? []))];
  return Object.fromEntries(
    Object.entries(weights).map(([name, data]) => {
      const block = blocks.findIndex((prefix) => name.startsWith(`${prefix}.`));
      return [name, ends.test(name) ? data.map((v) => v * factor(block)) : data];
    }),
  );
};

const families = [
  {
    family: "ConvNeXt",
    make: smallConvNext,
    ends: /\.gamma$/,
    // Five blocks: timm's linspace.
    share: (block: number, rate: number) => (rate * block) / 4,
  },
  {
    family: "MLP-Mixer",
    make: smallMixer,
    ends: /fc2\.(weight|bias)$/,
    share: (_: number, rate: number) => rate,
  },
];

for (const { family, make, ends, share } of families) {
  describe(`a trunk: ${family}`, () => {
    it("leaves branches out by sample, scales up what it keeps, and drops nothing in evaluation", () => {
      const rate = 0.4;
      const trunk = make({ dropPath: rate });
      const weights = weightsOf(trunk);
      const W = trunk.width;
      // The scaled weights are rounded to f32.
      const train = featuresOf(trunk, weights, [0.999, 0]);
      const kept = featuresOf(
        trunk,
        scaled(weights, ends, (i) => 1 / (1 - share(i, rate))),
      );
      const dropped = featuresOf(
        trunk,
        scaled(weights, ends, (i) => (share(i, rate) > 0 ? 0 : 1)),
      );
      assertClose(train.subarray(0, W), kept.subarray(0, W), 1e-6, "kept");
      assertClose(train.subarray(W), dropped.subarray(W), 1e-6, "left out");
      assert.notDeepEqual(kept, featuresOf(trunk, weights));
      assertClose(featuresOf(trunk, weights), featuresOf(make({}), weights), 0, "evaluation");
    });

    it("computes blocks again for the same gradients", () => {
      const [found, again] = [false, true].map((rematerialize) => {
        const trunk = make({ rematerialize, dropPath: 0.3 });
        const weights = weightsOf(trunk);
        const names = Object.keys(weights);
        const noise = noiseTypes(trunk.noise ?? {}, B);
        const cotangent: TensorType = { dtype: "f32", shape: [B, trunk.width] };
        const graph = trace({ p: parameterTypes(trunk.parameters), x: images, noise, cotangent }, (t) => {
          const scope = new Scope(t.p, { noise: t.noise, replicas: 1, statistics: {} });
          const found = gradients(
            sum(mul(trunk.features(scope, t.x), t.cotangent)),
            names.map((name) => t.p[name]!),
          );
          return Object.fromEntries(names.map((name, i) => [name, found[i]!]));
        });
        const inputs = Object.fromEntries(
          graph.inputs.map(({ name, tensor: { shape } }) => [
            name,
            name.startsWith("noise.")
              ? noiseOf(shape, [0.9, 0.1])
              : (weights[name.slice(2)] ?? random(shape, 7)),
          ]),
        );
        const optimized = optimize(graph, "onnx");
        return { nodes: optimized.nodes.length, gradient: interpret(optimized, inputs) };
      });
      assert.ok(again!.nodes > found!.nodes);
      for (const [name, { data }] of Object.entries(found!.gradient)) {
        assertClose(again!.gradient[name]!.data, data, 1e-9, name);
        assert.ok(
          data.some((v) => v !== 0),
          `${name} has a gradient`,
        );
      }
    });
  });
}

const model = (timm_model_name: string, image_size: number, timm_model_args: object = {}) => ({
  embed_dim: 8,
  vision_cfg: { timm_model_name, image_size, timm_model_args },
  text_cfg: {},
});

describe("trunk arguments", () => {
  it("are refused with what would do", () => {
    const parse = (json: object) => () => parseClipConfig(json, "m.json");
    assert.throws(parse(model("convnext_atto", 30)), /image_size must be a multiple of 4 .* Nearest: 32\./);
    assert.throws(
      parse(model("convnext_atto", 32, { kernel_sizes: [7, 7, 4, 3] })),
      /side must be odd; got vision_cfg\.timm_model_args\.kernel_sizes/,
    );
    assert.throws(
      parse(model("convnext_tiny_hnf", 32, { head_hidden_size: 8 })),
      /head_norm_first leaves no hidden layer in the head; got .*head_hidden_size=8/,
    );
    assert.throws(parse(model("mixer_s16_224", 40)), /multiple of 16 .* Nearest: 48\./);
    assert.throws(
      () => smallConvNext({ imageSize: 7 }),
      (e) => e instanceof UsageError && /at least 8, .*; got image_size=7\./.test(e.message),
    );
  });
});

describe("truncatedNormalInit", () => {
  it("has the deviation asked for, and nothing beyond two of the normal that it was cut from", () => {
    const { w } = initialize({ w: { shape: [20000], init: truncatedNormalInit(0.1) } }, keyFromSeed(3));
    const deviation = Math.sqrt(w!.reduce((n, v) => n + v * v, 0) / w!.length);
    const largest = w!.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    assert.ok(Math.abs(deviation / 0.1 - 1) < 0.02, `deviation ${deviation}`);
    assert.ok(largest < 0.2274 && largest > 0.22, `largest ${largest}`); // 2 · 0.1 / 0.8796
  });
});
