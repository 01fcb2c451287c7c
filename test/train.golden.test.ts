/** Four tiny CLIPs against PyTorch: features, logits, every gradient, and ten optimizer steps. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { TypedArray } from "../src/core/dtype.js";
import { SafetensorsFile } from "../src/core/safetensors.js";
import { formatType, type TensorType } from "../src/core/shape.js";
import type { DeviceBuffer, Engine } from "../src/engines/engine.js";
import { gradients } from "../src/graph/grad.js";
import { matmul, mul } from "../src/graph/ops/index.js";
import { trace } from "../src/graph/trace.js";
import { makeClip } from "../src/models/clip.js";
import { type ClipConfig, parseClipConfig } from "../src/models/config/config.js";
import { parameterTypes } from "../src/nn/parameters.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { batchTypes, stateTypes } from "../src/train/step/options.js";
import { trainStep } from "../src/train/step/step.js";
import { acrossReplicas, shareOfMean, softmaxPairs } from "../src/train/strategies/loss.js";
import { assertClose } from "./support/close.js";
import { enginesForSteps } from "./support/engines.js";
import { fixture } from "./support/fixture.js";

interface Golden {
  readonly optimizer: {
    readonly lr: number;
    readonly beta1: number;
    readonly beta2: number;
    readonly eps: number;
    readonly weight_decay: number;
    readonly grad_clip_norm: number;
  };
  readonly variants: readonly {
    readonly name: string;
    readonly file: string;
    readonly config: unknown;
    readonly loss: number;
    readonly losses: readonly number[];
    readonly gradient_norms: readonly number[];
  }[];
}

const golden = JSON.parse(readFileSync(fixture("golden_clip.json"), "utf8")) as Golden;

// The oracle itself is float32: it differs from a float64 run of the same step by up to 3e-5 in logits at a scale
// of 100, and by 1.6e-5 in the weights after ten steps (see golden_clip.json, "float64").
const FEATURES = 1e-6;
const LOGITS = 5e-5;
const GRADIENTS = 1e-5;
const LOSSES = 3e-5;
const WEIGHTS = 1e-4;

for (const [variant, { title, open }] of golden.variants.flatMap((v) =>
  enginesForSteps.map((e) => [v, e] as const),
)) {
  describe(`a CLIP of the kind "${variant.name}" on ${title}`, () => {
    const config = parseClipConfig(variant.config, variant.name) as ClipConfig;
    using file = new SafetensorsFile(fixture(variant.file));
    const read = (name: string) => file.read(name);
    const clip = makeClip(config);
    const initial = Object.fromEntries(Object.keys(clip.parameters).map((n) => [n, read(`initial.${n}`)]));
    const images = read("input.image");
    const tokens = Int32Array.from(read("input.text") as BigInt64Array, Number);
    const B = file.info("input.image").shape[0]!;
    const T = config.text_cfg.context_length!;
    const stored = new Map(file.names.map((name) => [name, { type: file.info(name), data: read(name) }]));

    test("declares PyTorch's parameters, by name and shape", () => {
      const theirs = [...stored]
        .filter(([n]) => n.startsWith("initial."))
        .map(([n, { type }]) => `${n.slice(8)} ${formatType(type)}`);
      const ours = Object.entries(parameterTypes(clip.parameters)).map(([n, t]) => `${n} ${formatType(t)}`);
      assert.deepEqual(ours.sort(), theirs.sort());
    });

    test("gives PyTorch's features, logits, loss and gradients", async () => {
      const types = {
        params: parameterTypes(clip.parameters),
        images: {
          dtype: "f32",
          shape: [B, 3, config.vision_cfg.image_size!, config.vision_cfg.image_size!],
        } as TensorType,
        tokens: { dtype: "i32", shape: [B, T] } as TensorType,
        ids: { dtype: "i32", shape: [B] } as TensorType,
      };
      const graph = trace(types, (x) => {
        const features = {
          images: clip.encodeImage(x.params, x.images),
          texts: clip.encodeText(x.params, x.tokens),
        };
        const scale = clip.logitScale(x.params);
        const { own, all } = acrossReplicas({ features, imageIds: x.ids, textIds: x.ids }, 1);
        const loss = shareOfMean(softmaxPairs(own, all, { scale }), own, all);
        const found = gradients(loss, Object.values(x.params));
        return {
          image_features: features.images,
          text_features: features.texts,
          logits_per_image: mul(matmul(features.images, features.texts, { transB: true }), scale),
          loss,
          gradient: Object.fromEntries(Object.keys(x.params).map((n, i) => [n, found[i]!])),
        };
      });
      await using engine = await open();
      using executable = await engine.compile(graph);
      const outputs = await executable.run({
        ...uploadAll(engine, types.params, initial, "params."),
        images: engine.upload(types.images, images),
        tokens: engine.upload(types.tokens, tokens),
        ids: engine.upload(
          types.ids,
          Int32Array.from({ length: B }, (_, i) => i),
        ),
      });
      const got = async (name: string) => (await engine.download(outputs[name]!)) as Float32Array;
      const want = (name: string) => stored.get(name)!.data as Float32Array;
      assertClose(await got("image_features"), want("output.image_features"), FEATURES, "image features");
      assertClose(await got("text_features"), want("output.text_features"), FEATURES, "text features");
      assertClose(await got("logits_per_image"), want("output.logits_per_image"), LOGITS, "logits");
      assertClose(await got("loss"), [variant.loss], LOSSES, "loss");
      for (const name of Object.keys(clip.parameters)) {
        const expected = want(`gradient.${name}`);
        const largest = expected.reduce((m, v) => Math.max(m, Math.abs(v)), 0.1);
        assertClose(
          await got(`gradient.${name}`),
          expected,
          GRADIENTS * Math.max(1, largest),
          `gradient of ${name}`,
        );
      }
    });

    test("follows PyTorch's losses and weights over ten steps of AdamW", async () => {
      const { lr, beta1, beta2, eps, weight_decay, grad_clip_norm } = golden.optimizer;
      const optimizer = makeOptimizer("adamw", { beta1, beta2, epsilon: eps, weightDecay: weight_decay });
      const options = {
        clip,
        optimizer,
        batchSize: B,
        contextLength: T,
        normalization: undefined,
        clipNorm: grad_clip_norm,
      };
      const types = stateTypes(options);
      await using engine = await open();
      using step = await engine.compile(trainStep(options));
      const ids = Int32Array.from({ length: B }, (_, i) => i);
      const batch = batchTypes(options);
      const fixed = {
        "batch.images": engine.upload(batch.images, images),
        "batch.tokens": engine.upload(batch.tokens, tokens),
        "batch.imageIds": engine.upload(batch.imageIds, ids),
        "batch.textIds": engine.upload(batch.textIds, ids),
      };
      let state: Record<string, DeviceBuffer> = uploadAll(engine, types.params, initial, "params.");
      for (const [name, slots] of Object.entries(types.slots)) {
        for (const [slot, type] of Object.entries(slots)) {
          const zeros = new Float32Array(type.shape.reduce((n, d) => n * d, 1));
          state[`slots.${name}.${slot}`] = engine.upload(type, zeros);
        }
      }
      let live = 0;
      for (let i = 0; i < 10; i++) {
        const scalars = Object.fromEntries(
          Object.entries(optimizer.scalars(i + 1, lr)).map(([name, value]) => [
            `scalars.${name}`,
            engine.upload({ dtype: "f32", shape: [] }, Float32Array.of(value)),
          ]),
        );
        const outputs = await step.run({ ...state, ...fixed, ...scalars });
        const metric = async (name: string) => (await engine.download(outputs[name]!))[0] as number;
        assertClose([await metric("metrics.loss")], [variant.losses[i]!], LOSSES, `loss of step ${i + 1}`);
        assertClose(
          [await metric("metrics.gradientNorm")],
          [variant.gradient_norms[i]!],
          1e-4,
          `norm of step ${i + 1}`,
        );
        state = {};
        for (const [name, buffer] of Object.entries(outputs)) {
          if (name.startsWith("next.")) state[name.slice(5)] = buffer;
          else buffer[Symbol.dispose]();
        }
        for (const buffer of Object.values(scalars)) buffer[Symbol.dispose]();
        if (i > 0) assert.equal(engine.stats().buffers, live, "a step leaves no buffer behind");
        live = engine.stats().buffers;
      }
      for (const name of Object.keys(clip.parameters)) {
        const got = await engine.download(state[`params.${name}`]!);
        assertClose(
          got as Float32Array,
          stored.get(`final.${name}`)!.data as Float32Array,
          WEIGHTS,
          `final ${name}`,
        );
      }
    });
  });
}

function uploadAll(
  engine: Engine,
  types: Readonly<Record<string, TensorType>>,
  values: Readonly<Record<string, TypedArray>>,
  prefix: string,
): Record<string, DeviceBuffer> {
  return Object.fromEntries(
    Object.entries(types).map(([name, type]) => [`${prefix}${name}`, engine.upload(type, values[name]!)]),
  );
}
