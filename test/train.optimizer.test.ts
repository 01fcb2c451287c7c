/** Optimizers against optax in float64 (test/fixtures/optimizers.py, which follows big_vision's Adafactor). */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { SafetensorsFile } from "../src/core/safetensors.js";
import { type Shape, sizeOfShape, type TensorType } from "../src/core/shape.js";
import type { DeviceBuffer } from "../src/engines/engine.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import type { Graph } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import { trace } from "../src/graph/trace.js";
import {
  decaysWeight,
  makeOptimizer,
  type Optimizer,
  type OptimizerName,
} from "../src/train/step/optimizer.js";
import { assertClose, tolerance } from "./support/close.js";
import { fixture } from "./support/fixture.js";

interface About {
  readonly settings: {
    readonly beta1: number;
    readonly weightDecay: number;
    readonly epsilon: number;
    readonly gradientScale: number;
  };
  readonly beta2: Readonly<Record<OptimizerName, number>>;
  readonly steps: readonly number[];
}

const file = new SafetensorsFile(fixture("optimizers.safetensors"));
after(() => file[Symbol.dispose]());
const { settings, beta2, steps } = JSON.parse(file.metadata.about!) as About;
const shapes: Readonly<Record<string, Shape>> = Object.fromEntries(
  file.names
    .filter((name) => name.startsWith("adamw.1."))
    .map((name) => [name.slice("adamw.1.".length), file.info(name).shape]),
);

const learningRate = (step: number) => 0.01 / step;
const start = (shape: Shape) =>
  Float64Array.from({ length: sizeOfShape(shape) }, (_, i) => Math.sin(0.7 * i));
const gradient = (shape: Shape, step: number) =>
  Float64Array.from({ length: sizeOfShape(shape) }, (_, i) => Math.sin(1.3 * i + step) * (1 + 0.1 * step));

const optimizerOf = (name: OptimizerName): Optimizer =>
  makeOptimizer(name, { ...settings, beta2: beta2[name] });

/** One step for every shape: inputs `params`, `slots`, `gradients`, `scalars`. */
function stepOf(optimizer: Optimizer): Graph {
  const scalar: TensorType = { dtype: "f32", shape: [] };
  const each = <T>(f: (shape: Shape) => T) =>
    Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, f(shape)]));
  const f32 = (shape: Shape): TensorType => ({ dtype: "f32", shape });
  const scalars = Object.fromEntries(Object.keys(optimizer.scalars(1, 1)).map((name) => [name, scalar]));
  const types = {
    params: each(f32),
    slots: each((shape) => optimizer.slots(shape)),
    gradients: each(f32),
    gradientScale: scalar,
    scalars,
  };
  return trace(types, (x) => {
    const updated = Object.entries(x.params).map(([name, parameter]) => {
      const { parameter: next, slots } = optimizer.update({
        parameter,
        gradient: x.gradients[name]!,
        gradientScale: x.gradientScale,
        slots: x.slots[name]!,
        scalars: x.scalars,
        decays: parameter.rank >= 2,
      });
      return [name, next, slots] as const;
    });
    return {
      next: {
        params: Object.fromEntries(updated.map(([name, next]) => [name, next])),
        slots: Object.fromEntries(updated.map(([name, , slots]) => [name, slots])),
      },
    };
  });
}

const numbered = (optimizer: Optimizer, step: number): Record<string, Float64Array> => ({
  ...Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [`gradients.${name}`, gradient(shape, step)]),
  ),
  gradientScale: Float64Array.of(settings.gradientScale),
  ...Object.fromEntries(
    Object.entries(optimizer.scalars(step, learningRate(step))).map(([name, value]) => [
      `scalars.${name}`,
      Float64Array.of(value),
    ]),
  ),
});

/** The state before the first step. */
const initial = (graph: Graph): Record<string, Float64Array> =>
  Object.fromEntries(
    graph.inputs.flatMap(({ name, tensor }) => {
      if (name.startsWith("slots.")) return [[name, new Float64Array(sizeOfShape(tensor.shape))]];
      return name.startsWith("params.") ? [[name, start(tensor.shape)]] : [];
    }),
  );

for (const name of ["adafactor", "adamw"] as const) {
  describe(`makeOptimizer("${name}")`, () => {
    const optimizer = optimizerOf(name);
    const graph = stepOf(optimizer);

    it("follows optax, step by step", () => {
      let state = initial(graph);
      for (let step = 1; step <= Math.max(...steps); step++) {
        const out = interpret(graph, { ...state, ...numbered(optimizer, step) });
        state = Object.fromEntries(
          Object.entries(out).map(([key, { data }]) => [key.slice("next.".length), data]),
        );
        if (!steps.includes(step)) continue;
        for (const key of Object.keys(shapes)) {
          const expected = file.read(`${name}.${step}.${key}`) as Float32Array;
          // The fixture is rounded to float32.
          assertClose(state[`params.${key}`]!, expected, 1e-7, `${key} after step ${step}`);
        }
      }
    });

    it("does so in float32 on ONNX Runtime", async () => {
      await using engine = new OnnxRuntime({ threads: 1 });
      using executable = await engine.compile(graph);
      const upload = (values: Readonly<Record<string, Float64Array>>): Record<string, DeviceBuffer> =>
        Object.fromEntries(
          graph.inputs.flatMap((i) =>
            values[i.name] === undefined
              ? []
              : [[i.name, engine.upload(i.tensor, Float32Array.from(values[i.name]!))]],
          ),
        );
      let state = upload(initial(graph));
      for (let step = 1; step <= Math.max(...steps); step++) {
        const batch = upload(numbered(optimizer, step));
        const out = await executable.run({ ...state, ...batch });
        state = Object.fromEntries(Object.entries(out).map(([key, b]) => [key.slice("next.".length), b]));
        for (const buffer of Object.values(batch)) buffer[Symbol.dispose]();
      }
      for (const key of Object.keys(shapes)) {
        const got = (await engine.download(state[`params.${key}`]!)) as Float32Array;
        assertClose(got, file.read(`${name}.${steps.at(-1)}.${key}`) as Float32Array, tolerance("f32"), key);
      }
    });
  });
}

describe("the state of Adafactor", () => {
  const { slots } = optimizerOf("adafactor");
  const shapesOf = (shape: Shape) =>
    Object.fromEntries(Object.entries(slots(shape)).map(([name, type]) => [name, type.shape]));

  it("has rows and columns for what has two axes of 32 and more, whichever they are", () => {
    assert.deepEqual(shapesOf([64, 32]), { m: [64, 32], rows: [1, 32], columns: [64, 1] });
    assert.deepEqual(shapesOf([33, 2, 40]), { m: [33, 2, 40], rows: [33, 2, 1], columns: [1, 2, 40] });
  });

  it("is whole for the rest", () => {
    assert.deepEqual(shapesOf([31, 4096]), { m: [31, 4096], v: [31, 4096] });
    assert.deepEqual(shapesOf([512]), { m: [512], v: [512] });
    assert.deepEqual(shapesOf([]), { m: [], v: [] });
  });

  it("blends in less of each new gradient, down to a share of 1 − beta2", () => {
    const { scalars } = makeOptimizer("adafactor", { ...settings, beta2: 0.999 });
    assert.equal(scalars(1, 0.1).decay, 0, "the first gradient alone counts");
    assert.ok(Math.abs(scalars(32, 0.1).decay! - (1 - 1 / 16)) < 1e-12);
    assert.equal(scalars(1e6, 0.1).decay, 0.999);
  });
});

describe("decaysWeight", () => {
  it("spares vectors, scalars, biases and norms", () => {
    const decays = (name: string, shape: Shape) => decaysWeight(name, shape);
    assert.ok(decays("visual.conv1.weight", [768, 3, 32, 32]));
    assert.ok(decays("token_embedding.weight", [49408, 512]));
    assert.ok(decays("transformer.resblocks.0.mlp.c_fc.weight", [2048, 512]));
    assert.ok(decays("text_projection", [512, 512]));
    assert.ok(!decays("logit_scale", []));
    assert.ok(!decays("visual.class_embedding", [768]));
    assert.ok(!decays("transformer.resblocks.0.attn.in_proj_bias", [1536]));
    assert.ok(!decays("ln_final.weight", [512]));
  });
});
