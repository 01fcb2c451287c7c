/** Building, verifying and printing graphs. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InternalError, UsageError } from "../src/core/errors.js";
import type { TensorType } from "../src/core/shape.js";
import { type Graph, makeGraph, print, verify } from "../src/graph/graph.js";
import { add, constant, exp, inputTensor, matmul, mul, sum } from "../src/graph/ops/index.js";
import { outputsOf } from "../src/graph/tensor.js";
import { trace } from "../src/graph/trace.js";

const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });

describe("trace", () => {
  it("names inputs and outputs by their paths and takes memory for next.X from X", () => {
    const graph = trace(
      { params: { w: f32(2, 2), list: [f32(2), f32(2)] }, lr: f32() },
      ({ params, lr }) => ({
        next: { params: { w: mul(params.w, lr) } },
        metrics: [sum(params.list[0]!)],
      }),
    );
    assert.equal(
      print(graph),
      `graph {
  %params.w : f32[2,2]
  %params.list.0 : f32[2]
  %params.list.1 : f32[2]
  %lr : f32[]
  %0 = mul(%params.w, %lr) : f32[2,2]
  %1 = sum(%params.list.0, axes=[0], keep=false) : f32[]
  return next.params.w = %0 (in place of %params.w), metrics.0 = %1
}
`,
    );
  });

  it("leaves out what no output needs, and keeps inputs that nothing reads", () => {
    const graph = trace({ x: f32(2), unused: f32(3) }, ({ x }) => {
      exp(exp(x));
      return { y: add(x, 1) };
    });
    assert.deepEqual(
      graph.nodes.map((n) => n.op.name),
      ["input", "input", "constant", "add"],
    );
  });

  it("refuses an output that cannot take the memory it is meant for", () => {
    const grow = () => trace({ x: f32(2) }, ({ x }) => ({ next: { x: sum(x) } }));
    assert.throws(
      grow,
      /trace: output next\.x \(sum: f32\[\]\) should take the place of input x, which is input: f32\[2\]/,
    );
    const nowhere = () => trace({ x: f32(2) }, ({ x }) => ({ next: { y: exp(x) } }));
    assert.throws(
      nowhere,
      (e: Error) => e instanceof UsageError && /input y, which does not exist/.test(e.message),
    );
  });

  it("refuses an input of another program, and leaves that are no tensors", () => {
    const stranger = inputTensor("stranger", f32(2));
    assert.throws(
      () => trace({ x: f32(2) }, ({ x }) => ({ y: add(x, stranger) })),
      /got an input named stranger that is not\. Pass it to the function/,
    );
    assert.throws(() => trace({ x: f32(2) }, () => ({ y: 3 })), /leaves must be tensors; got 3 at "y"/);
  });

  it("says where a wrong operation was written", () => {
    assert.throws(
      () => trace({ x: f32(2, 3) }, ({ x }) => ({ y: matmul(x, x) })),
      (e: Error) =>
        e instanceof UsageError &&
        /^matmul: needs \[\.\.,M,K\].*got f32\[2,3\] and f32\[2,3\]\. \(written at graph\.graph\.test\.js:\d+\)$/.test(
          e.message,
        ),
    );
  });
});

describe("print", () => {
  it("shows outputs of one node by number, long constants in short, and absent attributes not at all", () => {
    const many = constant([...Array(10).keys()]);
    const graph = makeGraph([], [{ name: "y", tensor: many }]);
    assert.match(
      print(graph),
      /constant\(dtype=f32, shape=\[10\], value=\[0,1,2,3,4,5,6,7,… 10 in all\]\) : f32\[10\]/,
    );
  });

  it("does not depend on what was traced before", () => {
    const text = () => print(trace({ x: f32(2) }, ({ x }) => ({ y: exp(mul(x, 2)) })));
    assert.equal(text(), text());
  });
});

describe("verify", () => {
  const sound = () =>
    trace({ x: f32(2), y: f32(2) }, ({ x, y }) => ({ next: { x: exp(add(x, y)) }, s: sum(x) }));
  const refuses = (graph: Graph, kind: typeof UsageError | typeof InternalError, message: RegExp) =>
    assert.throws(
      () => verify(graph),
      (e: Error) => e instanceof kind && message.test(e.message),
    );

  it("passes what trace makes", () => verify(sound()));

  it("finds a node before what it reads", () => {
    const graph = sound();
    refuses(
      { ...graph, nodes: [...graph.nodes].reverse() },
      InternalError,
      /reads a node that does not come before it/,
    );
  });

  it("finds a node whose type is not what its operation infers", () => {
    const graph = sound();
    const nodes = graph.nodes.map((n) => (n.op.name === "exp" ? { ...n, outputs: [f32(3)] } : n));
    refuses(
      { ...graph, nodes },
      InternalError,
      /^verify: exp \(written at .*\) holds f32\[3\] but infers f32\[2\]$/,
    );
  });

  it("finds a node that has more outputs than its operation gives", () => {
    const graph = sound();
    const nodes = graph.nodes.map((n) => (n.op.name === "exp" ? { ...n, outputs: [f32(2), f32(2)] } : n));
    refuses({ ...graph, nodes }, InternalError, /holds f32\[2\],f32\[2\] but infers f32\[2\]/);
  });

  it("finds an output without a node", () => {
    const graph = sound();
    const nodes = graph.nodes.filter((n) => n.op.name !== "sum");
    refuses({ ...graph, nodes }, InternalError, /^verify: output s has no node$/);
  });

  it("finds names that stand twice", () => {
    const graph = sound();
    const outputs = graph.outputs.map((o) => ({ ...o, name: "x", donates: undefined }));
    refuses({ ...graph, outputs }, UsageError, /names must differ; got "x" twice/);
  });

  it("finds memory given away twice, to another type, or from nowhere", () => {
    const graph = sound();
    const [next, s] = graph.outputs as [Graph["outputs"][0], Graph["outputs"][0]];
    const again = { name: "z", tensor: outputsOf(next.tensor.node)[0]!, donates: "x" };
    refuses(
      { ...graph, outputs: [next, s, again] },
      UsageError,
      /one input of its own type; got output z: f32\[2\] from x/,
    );
    refuses(
      { ...graph, outputs: [{ ...s, donates: "y" }] },
      UsageError,
      /got output s: f32\[\] from y: f32\[2\]/,
    );
    refuses({ ...graph, outputs: [{ ...next, donates: "w" }] }, UsageError, /from w, which is no input/);
  });
});
