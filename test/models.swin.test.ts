/** What Swin's golden models do not show: stochastic depth, recomputing, other sizes, refusals. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed } from "../src/core/random.js";
import { sizeOfShape, type TensorType } from "../src/core/shape.js";
import { costOf } from "../src/graph/cost.js";
import { gradients } from "../src/graph/grad.js";
import { interpret } from "../src/graph/interpret.js";
import { sum } from "../src/graph/ops/index.js";
import { trace } from "../src/graph/trace.js";
import { type Clip, makeClip } from "../src/models/clip.js";
import { parseClipConfig } from "../src/models/config/config.js";
import { noiseTypes } from "../src/nn/noise.js";
import { initialize, parameterTypes } from "../src/nn/parameters.js";
import { assertClose } from "./support/close.js";

const B = 2;

const parse = (args: object, vision: object = {}) =>
  parseClipConfig(
    {
      embed_dim: 4,
      vision_cfg: {
        timm_model_name: "swin_tiny_patch4_window7_224",
        timm_model_args: { embed_dim: 4, depths: [2], num_heads: [2], window_size: 2, mlp_ratio: 1, ...args },
        image_size: 16,
        ...vision,
      },
      text_cfg: { context_length: 4, vocab_size: 8, width: 4, heads: 1, layers: 1 },
    },
    "model.json",
  );

/** Values for every parameter, none of them at rest. */
function parametersOf(clip: Clip): Record<string, Float32Array> {
  const specs = Object.entries(clip.parameters).filter(([name]) => name.startsWith("visual."));
  const moved = specs.map(([name, { shape }]) => {
    const std = name.includes("norm") ? 1 : 0.3;
    return [name, { shape, init: { kind: "normal", std } }] as const;
  });
  return initialize(Object.fromEntries(moved), keyFromSeed(1));
}

const imageType = (size: number): TensorType => ({ dtype: "f32", shape: [B, 3, size, size] });

const pixels = (size: number): Float64Array =>
  Float64Array.from({ length: B * 3 * size * size }, (_, i) => Math.sin(i * 1.7));

/** Features by the reference; with `noise`, of a training pass. */
function featuresOf(clip: Clip, values: Record<string, ArrayLike<number>>, size: number, noise?: number[]) {
  const types = Object.fromEntries(
    Object.entries(parameterTypes(clip.parameters)).filter(([name]) => name.startsWith("visual.")),
  );
  const graph = trace({ v: types, images: imageType(size), noise: noiseTypes(clip.noise, B) }, (x) => ({
    features: clip.imageFeatures(x.v, x.images, noise && { noise: x.noise, replicas: 1, statistics: {} }),
  }));
  const given = Object.entries(values).map(([name, data]) => [`v.${name}`, data]);
  const drawn = Object.entries(noiseTypes(clip.noise, B)).map(([name, { shape }]) => [
    `noise.${name}`,
    noise ?? new Float64Array(sizeOfShape(shape)),
  ]);
  return interpret(graph, {
    ...Object.fromEntries(given),
    ...Object.fromEntries(drawn),
    images: pixels(size),
  }).features!;
}

describe("Swin's stochastic depth", () => {
  const block = "visual.trunk.layers.0.blocks.1";
  const clip = makeClip(parse({}, { timm_drop_path: 0.5 }));
  const values = parametersOf(clip);

  /** The model in evaluation, the last block's branches times `attention` and `mlp`. */
  function scaled(attention: number, mlp: number): Float64Array {
    const times = (name: string, factor: number) =>
      ["weight", "bias"].map((part) => [
        `${block}.${name}.${part}`,
        values[`${block}.${name}.${part}`]!.map((v) => v * factor),
      ]);
    const changed = Object.fromEntries([...times("attn.proj", attention), ...times("mlp.fc2", mlp)]);
    return featuresOf(clip, { ...values, ...changed }, 16).data;
  }

  it("draws apart for attention and MLP, and for each sample", () => {
    // By sample: two branches of the first block, which is never left out, then two of the second.
    const { data } = featuresOf(clip, values, 16, [0, 0, 0, 0.9, 0, 0, 0.9, 0]);
    const [first, second] = [scaled(0, 2), scaled(2, 0)];
    assertClose(data, [...first.slice(0, 4), ...second.slice(4)], 1e-9, "features");
  });

  it("is timm's default where the configuration says nothing, and none where it says 0", () => {
    assert.deepEqual(Object.keys(makeClip(parse({})).noise), ["visual.trunk.drop_path"]);
    assert.deepEqual(makeClip(parse({}, { timm_drop_path: 0 })).noise, {});
  });
});

describe("Swin", () => {
  it("recomputes blocks for less memory and the same gradients", () => {
    const config = parse({ depths: [2, 2], num_heads: [2, 2] }, { timm_drop_path: 0 });
    const values = parametersOf(makeClip(config));
    const [kept, made] = [false, true].map((rematerialize) => {
      const clip = makeClip(config, { rematerialize });
      const types = Object.fromEntries(
        Object.entries(parameterTypes(clip.parameters)).filter(([name]) => name in values),
      );
      return trace({ v: types, images: imageType(16) }, ({ v, images }) => {
        const names = Object.keys(v);
        const features = clip.imageFeatures(v, images, { noise: {}, replicas: 1, statistics: {} });
        const found = gradients(
          sum(features),
          names.map((name) => v[name]!),
        );
        return Object.fromEntries(names.map((name, i) => [name, found[i]!]));
      });
    });
    assert.ok(costOf(made!).macs > costOf(kept!).macs);
    assert.ok(costOf(made!).peakBytes < costOf(kept!).peakBytes);
    const inputs = Object.fromEntries(Object.entries(values).map(([name, data]) => [`v.${name}`, data]));
    const [expected, got] = [kept!, made!].map((graph) =>
      interpret(graph, { ...inputs, images: pixels(16) }),
    );
    for (const name of Object.keys(expected!)) {
      assert.deepEqual(got![name]!.data, expected![name]!.data, name);
    }
  });

  for (const size of [32, 48, 64]) {
    it(`takes images of ${size} pixels with the windows of 224`, () => {
      const config = parse(
        { depths: [2, 2, 2, 2], num_heads: [1, 2, 2, 4], window_size: 7 },
        { image_size: size },
      );
      const clip = makeClip(config);
      const { shape, data } = featuresOf(clip, parametersOf(clip), size);
      assert.deepEqual(shape, [B, 32]);
      // Both images differ in every feature, and no feature is out of bounds.
      for (let i = 0; i < 32; i++)
        assert.ok(Math.abs(data[i]! - data[32 + i]!) > 1e-9 && Math.abs(data[i]!) < 10);
    });
  }

  it("takes smaller windows where the grid is smaller", () => {
    const { parameters } = makeClip(parse({ depths: [1, 1, 1], num_heads: [1, 1, 1], window_size: 3 }));
    const tables = Object.entries(parameters).filter(([name]) => name.endsWith("bias_table"));
    // 4 × 4 tokens, 2 × 2, one.
    assert.deepEqual(
      tables.map(([, { shape }]) => shape[0]),
      [5 ** 2, 3 ** 2, 1],
    );
  });

  for (const [why, args, message] of [
    ["heads that do not divide the channels", { num_heads: [3] }, /stage 0 has 4 channels.*num_heads=\[3\]/],
    ["too few heads", { depths: [1, 1, 1] }, /one number for each of depths; got .*num_heads=\[2\]/],
    ["too few windows", { window_size: [2, 2, 2] }, /one for each of depths; got .*window_size=\[2,2,2\]/],
    [
      "two windows, which timm takes for height and width",
      { depths: [1, 1], num_heads: [1, 1], window_size: [2, 4] },
      /two stages need one number for both; got .*window_size=\[2,4\]/,
    ],
    ["arguments that timm lacks", { heads: [2] }, /got vision_cfg\.timm_model_args\.heads=\[2\].*num_heads/],
  ] as const) {
    it(`refuses ${why}`, () => {
      assert.throws(
        () => parse(args),
        (error: Error) => error instanceof UsageError && message.test(error.message),
      );
    });
  }
});
