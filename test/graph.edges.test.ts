/** Where functions have edges: gradients at legal points, shapes and axes that are none, names that a format might use. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import type { TensorType } from "../src/core/shape.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { emitStableHlo } from "../src/graph/emit/stablehlo.js";
import { gradients } from "../src/graph/grad.js";
import { type Graph, makeGraph, print } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import {
  abs,
  add,
  argmax,
  avgPool,
  broadcastTo,
  concat,
  conv,
  exp,
  inputTensor,
  layerNorm,
  linearMap,
  log,
  max,
  maximum,
  maxPool,
  mean,
  minimum,
  mul,
  neg,
  pow,
  reshape,
  reverse,
  slice,
  split,
  sum,
  transpose,
} from "../src/graph/ops/index.js";
import type { Tensor } from "../src/graph/tensor.js";
import { trace } from "../src/graph/trace.js";
import { unit } from "../src/models/clip.js";

const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });

/** Gradients of Σ f(inputs) · (1, 2, 3, …) at numbers. */
function gradientsAt(inputs: Readonly<Record<string, readonly number[]>>, f: (x: Tensor[]) => Tensor) {
  const types = Object.fromEntries(Object.entries(inputs).map(([name, list]) => [name, f32(1, list.length)]));
  const graph = trace(types, (x) => {
    const given = Object.values(x) as Tensor[];
    const y = f(given);
    const found = gradients(sum(y), given);
    return Object.fromEntries(Object.keys(inputs).map((name, i) => [`d.${name}`, found[i]!]));
  });
  const values = interpret(graph, inputs);
  return Object.fromEntries(Object.keys(inputs).map((name) => [name, [...values[`d.${name}`]!.data]]));
}

describe("gradients at edges, as PyTorch has them", () => {
  test("unit of a row of zeros", () => {
    const { x } = gradientsAt({ x: [0, 0, 0] }, ([x]) => unit(x!));
    assert.deepEqual(
      x!.map((v) => v.toPrecision(6)),
      ["1.00000e+12", "1.00000e+12", "1.00000e+12"],
    );
  });

  test("pow at 0", () => {
    const found = gradientsAt({ a: [0, 0, 0, 2], b: [0, 1, 2, 0] }, ([a, b]) => pow(a!, b!));
    assert.deepEqual(found, { a: [0, 1, 0, 0], b: [0, 0, 0, Math.log(2)] });
  });

  test("ties of maximum and minimum are shared", () => {
    for (const of of [maximum, minimum]) {
      assert.deepEqual(
        gradientsAt({ a: [1, 2], b: [1, 2] }, ([a, b]) => of(a!, b!)),
        { a: [0.5, 0.5], b: [0.5, 0.5] },
      );
    }
  });

  test("log (1 + e^x), written so that it does not overflow, has the slope σ(0) at 0", () => {
    const { x } = gradientsAt({ x: [0, 1000, -1000] }, ([x]) =>
      add(maximum(x!, 0), log(add(exp(neg(abs(x!))), 1))),
    );
    assert.deepEqual(x, [0.5, 1, 0]);
  });
});

describe("shapes, axes and windows that are none are refused", () => {
  const x = inputTensor("x", f32(2, 3));
  const images = inputTensor("images", f32(1, 2, 4, 4));
  const kernel = inputTensor("kernel", f32(2, 2, 3, 3));
  const row = inputTensor("row", f32(3));
  const wide = inputTensor("wide", { dtype: "bf16", shape: [3] });
  const place = { stride: [1, 1], padding: [0, 0, 0, 0], groups: 1 };
  const refusals: Readonly<Record<string, [() => unknown, RegExp]>> = {
    "mean of an axis twice": [() => mean(x, [0, 0]), /sum: axes must differ; got axes=\[0,0\]/],
    "sum of an axis twice, counted from both ends": [() => sum(x, [1, -1]), /axes must differ/],
    "max of nothing": [() => max(inputTensor("e", f32(2, 0)), 1), /at least one element/],
    "argmax of nothing": [() => argmax(inputTensor("e", f32(2, 0)), 1), /at least one element/],
    "transpose by an axis twice, counted from both ends": [() => transpose(x, [0, -2]), /axes must differ/],
    "transpose by too few axes": [() => transpose(x, [0]), /every axis once/],
    "reverse along an axis twice": [() => reverse(x, [1, 1]), /axes must differ/],
    "concat of other ranks": [() => concat([x, inputTensor("y", f32(2))], 1), /one dtype and rank/],
    "split into less than one": [() => split(x, 1, -3), /parts must be a whole number/],
    "split into half a part": [() => split(x, 1, 0.5), /parts must be a whole number/],
    "slice between elements": [() => slice(x, 1, 0.5, 2), /needs whole numbers/],
    "reshape to two negative sizes": [() => reshape(x, [-2, -3]), /whole numbers, 0 or more/],
    "broadcast to a negative size": [() => broadcastTo(inputTensor("o", f32(1)), [-5]), /whole numbers/],
    "an input of a negative size": [() => inputTensor("n", f32(-1)), /whole numbers, 0 or more/],
    "linearMap with a bias of another rank": [
      () => linearMap(x, inputTensor("w", f32(4, 3)), inputTensor("b", f32(4, 1))),
      /\[N\] of one dtype/,
    ],
    "layerNorm with a bias of another dtype": [() => layerNorm(x, row, wide), /must have the dtype/],
    "conv with a stride of 0": [() => conv(images, kernel, { ...place, stride: [0, 1] }), /conv: needs/],
    "conv with half a group": [() => conv(images, kernel, { ...place, groups: 0.5 }), /conv: needs/],
    "conv with negative padding": [
      () => conv(images, kernel, { ...place, padding: [-1, 0, 0, 0] }),
      /conv: needs/,
    ],
    "maxPool of padding alone": [
      () => maxPool(images, { kernel: [2, 2], padding: [2, 2, 0, 0] }),
      /larger than their padding/,
    ],
    "avgPool with windows that do not fit": [() => avgPool(images, { kernel: [5, 5] }), /windows that fit/],
    "an empty name": [
      () => makeGraph([{ name: "", tensor: x }], [{ name: "y", tensor: x }]),
      /needs a name; got an empty one/,
    ],
  };
  for (const [what, [act, reason]] of Object.entries(refusals)) {
    test(what, () => {
      assert.throws(act, (error: Error) => {
        assert.ok(error instanceof UsageError, error.stack);
        assert.match(error.message, reason);
        return true;
      });
    });
  }

  test("transpose and reverse count axes from the back, too", () => {
    const graph = trace({ x: f32(2, 3) }, ({ x }) => ({ t: transpose(x, [-1, 0]), r: reverse(x, [-1]) }));
    const { t, r } = interpret(graph, { x: [1, 2, 3, 4, 5, 6] });
    assert.deepEqual([...t!.data], [1, 4, 2, 5, 3, 6]);
    assert.deepEqual([...r!.data], [3, 2, 1, 6, 5, 4]);
  });
});

describe("inputs and outputs may be called as a format calls its own values", () => {
  /** Uses constants, computed values, an input that is an output, and one value twice. */
  function named(names: readonly [string, string, string, string, string]): Graph {
    const [a, b, ...outputs] = names;
    const inputs = [a, b].map((name) => ({ name, tensor: inputTensor(name, f32(2)) }));
    const [x, y] = inputs.map((i) => i.tensor) as [Tensor, Tensor];
    const total = mul(add(x, y), 3);
    return makeGraph(inputs, [
      { name: outputs[0], tensor: total },
      { name: outputs[1], tensor: x },
      { name: outputs[2], tensor: total },
    ]);
  }
  const sets = [
    ["v", "c", "w", "v.", "c."],
    ["v0", "c0", "v1", "c1", "v2"],
    ["v1", "c1", "c2", "v3", "c0"],
    ["%0", "arg0", "%arg0", "0", "main"],
  ] as const;
  for (const names of sets) {
    test(names.join(", "), async () => {
      const graph = named(names);
      await using engine = new OnnxRuntime({ threads: 1 });
      using executable = await engine.compile(graph);
      const buffers = {
        [names[0]]: engine.upload(f32(2), Float32Array.of(1, 2)),
        [names[1]]: engine.upload(f32(2), Float32Array.of(10, 20)),
      };
      const outputs = await executable.run(buffers);
      const read = async (name: string) => [...(await engine.download(outputs[name]!))];
      assert.deepEqual(await read(names[2]), [33, 66]);
      assert.deepEqual(await read(names[3]), [1, 2]);
      assert.deepEqual(await read(names[4]), [33, 66]);
      // StableHLO's values have no names of ours.
      assert.equal(emitStableHlo(graph), emitStableHlo(named(["p", "q", "r", "s", "t"])));
    });
  }

  test("a printed graph tells inputs called by numbers from its own values", () => {
    assert.match(print(named(["0", "1", "a", "b", "c"])), /%2 = add\(%0, %1\)/);
  });
});
