/** Recomputing in the backward pass: the same gradients from less memory. */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { keyFromSeed } from "../src/core/random.js";
import { sizeOfShape, type TensorType } from "../src/core/shape.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { costOf } from "../src/graph/cost.js";
import { gradients } from "../src/graph/grad.js";
import type { Graph } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import { add, exp, gelu, linearMap, mul, sum, tanh } from "../src/graph/ops/index.js";
import { optimize } from "../src/graph/passes.js";
import type { Tensor } from "../src/graph/tensor.js";
import { rematerialize, trace } from "../src/graph/trace.js";
import { initialize, type ParameterSpecs, parameterTypes, Scope } from "../src/nn/parameters.js";
import { type TransformerOptions, transformer, transformerSpecs } from "../src/nn/transformer.js";
import { assertClose, tolerance } from "./support/close.js";

const engine = new OnnxRuntime({ threads: 1 });
after(() => engine[Symbol.asyncDispose]());

const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });

/** Outputs of an engine's run, by name. */
async function run(graph: Graph, values: Readonly<Record<string, Float32Array>>) {
  using executable = await engine.compile(graph);
  const inputs = Object.fromEntries(
    graph.inputs.map(({ name, tensor }) => [name, engine.upload(tensor, values[name]!)]),
  );
  const outputs = await executable.run(inputs);
  const out: Record<string, Float32Array> = {};
  for (const [name, buffer] of Object.entries(outputs)) {
    out[name] = ((await engine.download(buffer)) as Float32Array).slice();
    buffer[Symbol.dispose]();
  }
  for (const buffer of Object.values(inputs)) buffer[Symbol.dispose]();
  return out;
}

describe("rematerialize", () => {
  const layers = 6;
  const chain = (kept: boolean) => {
    const layer = (x: Tensor, w: Tensor) => gelu(linearMap(tanh(mul(x, x)), w));
    const step = kept ? layer : rematerialize(layer);
    return trace({ x: f32(16, 8), w: Array.from({ length: layers }, () => f32(8, 8)) }, ({ x, w }) => {
      let y = x;
      for (const weight of w) y = step(y, weight);
      const found = gradients(sum(y), w);
      return { loss: sum(y), d: found };
    });
  };
  const values = (graph: Graph) =>
    Object.fromEntries(
      graph.inputs.map(({ name, tensor }, k) => [
        name,
        Float32Array.from({ length: sizeOfShape(tensor.shape) }, (_, i) => Math.sin(3 * i + k)),
      ]),
    );

  it("gives the same gradients", () => {
    const [kept, made] = [chain(true), chain(false)];
    const expected = interpret(kept, values(kept));
    const got = interpret(made, values(made));
    for (const name of Object.keys(expected)) assert.deepEqual(got[name]!.data, expected[name]!.data, name);
  });

  it("computes more and keeps less alive", () => {
    const [kept, made] = [optimize(chain(true), "onnx"), optimize(chain(false), "onnx")].map(costOf);
    // Each layer's product once more in the backward pass.
    const product = 16 * 8 * 8;
    assert.equal(made!.macs - kept!.macs, layers * product);
    const activations = (cost: typeof kept) => cost!.peakBytes - cost!.inputBytes;
    assert.ok(
      activations(made) < 0.6 * activations(kept),
      `${activations(made)} bytes against ${activations(kept)}`,
    );
  });

  it("survives the passes: nothing is merged with its first copy", () => {
    const count = (graph: Graph) => optimize(graph, "onnx").nodes.filter((n) => n.op.name === "tanh").length;
    assert.equal(count(chain(true)), layers);
    assert.equal(count(chain(false)), 2 * layers);
  });

  it("runs on ONNX Runtime with the interpreter's numbers", async () => {
    const graph = chain(false);
    const expected = interpret(graph, values(graph));
    const got = await run(graph, values(graph));
    for (const [name, { data }] of Object.entries(expected))
      assertClose(got[name]!, data, tolerance("f32"), name);
  });

  it("holds inside other regions and for several results", () => {
    const pair = rematerialize((x: Tensor) => {
      const inner = rematerialize((y: Tensor) => exp(mul(y, 0.5)))(x);
      return { a: tanh(inner), b: mul(inner, inner) };
    });
    const types = { x: f32(4) };
    const graph = trace(types, ({ x }) => {
      const { a, b } = pair(x);
      return { d: gradients(sum(add(a, b)), [x])[0]! };
    });
    const x = [-1, 0, 0.5, 2];
    // d/dx tanh(e^(x/2)) + e^x
    const expected = x.map(
      (v) => (1 - Math.tanh(Math.exp(v / 2)) ** 2) * 0.5 * Math.exp(v / 2) + Math.exp(v),
    );
    assertClose(interpret(graph, { x }).d!.data, expected, 1e-12, "gradient");
  });
});

describe("a rematerialized transformer", () => {
  const options: TransformerOptions = {
    width: 16,
    layers: 3,
    heads: 2,
    hidden: 32,
    gelu: "erf",
    epsilon: 1e-5,
    causal: true,
    layerScale: null,
  };
  const init = { kind: "normal", std: 0.2 } as const;
  const specs: ParameterSpecs = transformerSpecs(options, {
    inProjection: init,
    outProjection: init,
    fc: init,
    fcBias: init,
    projection: init,
    projectionBias: init,
  });
  const graphOf = (rematerialized: boolean, batch = 2) =>
    trace({ params: parameterTypes(specs), x: f32(batch, 5, 16) }, ({ params, x }) => {
      const y = transformer(new Scope(params), x, { ...options, rematerialize: rematerialized });
      const loss = sum(mul(y, y));
      const found = gradients(loss, Object.values(params));
      return { loss, d: Object.fromEntries(Object.keys(params).map((name, i) => [name, found[i]!])) };
    });
  const values = {
    x: Float32Array.from({ length: 160 }, (_, i) => Math.cos(i)),
    ...Object.fromEntries(
      Object.entries(initialize(specs, keyFromSeed(3))).map(([name, data]) => [`params.${name}`, data]),
    ),
  };

  it("has the gradients of a plain one on ONNX Runtime", async () => {
    const [plain, made] = [await run(graphOf(false), values), await run(graphOf(true), values)];
    assert.equal(engine.stats().buffers, 0);
    for (const name of Object.keys(plain)) {
      const largest = plain[name]!.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
      assertClose(made[name]!, plain[name]!, 1e-6 * largest, name);
    }
  });

  it("keeps one block's intermediates alive at a time", () => {
    // At batch 64 the activations outweigh the weights and their gradients.
    const [plain, made] = [false, true].map((r) => costOf(optimize(graphOf(r, 64), "onnx")).peakBytes);
    assert.ok(made! < 0.6 * plain!, `${made} bytes against ${plain}`);
  });
});
