/** Rewrites of graphs: what each does, what it must leave alone, and that all of them keep the meaning. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TensorType } from "../src/core/shape.js";
import { gradients } from "../src/graph/grad.js";
import type { Graph } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import {
  add,
  barrier,
  cast,
  constant,
  div,
  exp,
  gelu,
  iota,
  layerNorm,
  linearMap,
  matmul,
  maximum,
  mul,
  neg,
  pow,
  reshape,
  softmaxCrossEntropy,
  sub,
  sum,
  transpose,
} from "../src/graph/ops/index.js";
import { decomposeFor, foldConstants, optimize, shareSubexpressions, simplify } from "../src/graph/passes.js";
import { trace } from "../src/graph/trace.js";
import { assertClose } from "./support/close.js";

const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });

/** Names of the operations, inputs left out. */
const ops = (graph: Graph) => graph.nodes.map((n) => n.op.name).filter((name) => name !== "input");

describe("shareSubexpressions", () => {
  it("makes one of nodes that compute the same from the same", () => {
    const graph = trace({ x: f32(3) }, ({ x }) => ({ y: add(exp(neg(x)), exp(neg(x))) }));
    assert.deepEqual(ops(graph), ["neg", "exp", "neg", "exp", "add"]);
    assert.deepEqual(ops(shareSubexpressions(graph)), ["neg", "exp", "add"]);
  });

  it("lets the inputs of commutative operations swap, and no others", () => {
    const graph = trace({ a: f32(3), b: f32(3) }, ({ a, b }) => ({
      y: [mul(a, b), mul(b, a), sub(a, b), sub(b, a)],
    }));
    assert.deepEqual(ops(shareSubexpressions(graph)), ["mul", "sub", "sub"]);
  });

  it("tells attributes apart, zero from minus zero too", () => {
    const graph = trace({ x: f32(2, 2) }, ({ x }) => ({
      y: [sum(x, 0), sum(x, 1), div(x, constant(0)), div(x, constant(-0)), div(x, constant(0))],
    }));
    const left = ops(shareSubexpressions(graph));
    assert.deepEqual(left.sort(), ["constant", "constant", "div", "div", "sum", "sum"]);
  });

  it("keeps barriers apart", () => {
    const graph = trace({ x: f32(2) }, ({ x }) => ({ y: add(exp(barrier(x, x)), exp(barrier(x, x))) }));
    assert.deepEqual(ops(shareSubexpressions(graph)).sort(), ["add", "barrier", "barrier", "exp", "exp"]);
  });
});

describe("foldConstants", () => {
  it("computes what depends on constants alone, and leaves no trace of the way", () => {
    const graph = trace({ x: f32(3) }, ({ x }) => ({ y: mul(x, exp(add(constant([0, 1, 2]), 1))) }));
    const folded = foldConstants(graph);
    assert.deepEqual(ops(folded), ["constant", "mul"]);
    assert.deepEqual(folded.nodes[1]!.attrs.value, [1, 2, 3].map(Math.exp));
  });

  it("writes equal numbers as one", () => {
    const graph = trace({ x: f32(2, 3) }, ({ x }) => ({ y: add(x, mul(constant([2, 2, 2]), 3)) }));
    assert.equal(foldConstants(graph).nodes[1]!.attrs.value, 6);
  });

  it("leaves large results to the program", () => {
    const large = trace({ x: f32(5000) }, ({ x }) => ({ y: add(x, exp(iota("f32", [5000]))) }));
    assert.deepEqual(ops(foldConstants(large)), ["iota", "exp", "add"]);
  });

  it("does not look through a barrier", () => {
    const graph = trace({ x: f32() }, ({ x }) => ({ y: add(x, exp(barrier(constant(1), x))) }));
    assert.deepEqual(ops(foldConstants(graph)), ["constant", "barrier", "exp", "add"]);
  });
});

describe("simplify", () => {
  const simple = (f: Parameters<typeof trace<{ x: TensorType }, Record<string, never>>>[1]) =>
    ops(simplify(simplify(trace({ x: f32(2, 3) }, f)))); // the first may join two into one that the second drops

  it("drops what changes nothing", () => {
    assert.deepEqual(
      simple(({ x }) => ({ y: add(x, 0) }) as never),
      [],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: mul(1, x) }) as never),
      [],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: div(sub(x, 0), 1) }) as never),
      [],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: pow(x, 1) }) as never),
      [],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: mul(x, constant(1, { shape: [2, 3] })) }) as never),
      [],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: cast(x, "f32") }) as never),
      [],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: reshape(reshape(x, [6]), [2, 3]) }) as never),
      [],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: transpose(transpose(x)) }) as never),
      [],
    );
  });

  it("keeps what only looks so", () => {
    assert.deepEqual(
      simple(({ x }) => ({ y: sub(0, x) }) as never),
      ["constant", "sub"],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: div(1, x) }) as never),
      ["constant", "div"],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: maximum(x, 0) }) as never),
      ["constant", "maximum"],
    );
    // A constant that makes the other side larger is a broadcast.
    assert.deepEqual(
      simple(({ x }) => ({ y: mul(x, constant(1, { shape: [4, 2, 3] })) }) as never),
      ["constant", "mul"],
    );
    assert.deepEqual(
      simple(({ x }) => ({ y: transpose(reshape(x, [3, 2])) }) as never),
      ["reshape", "transpose"],
    );
  });
});

describe("decomposeFor", () => {
  const graph = trace(
    { x: f32(4, 6), w: f32(6, 6), s: f32(6), b: f32(6), t: f32(4, 6) },
    ({ x, w, s, b, t }) => {
      const loss = sum(softmaxCrossEntropy(gelu(linearMap(layerNorm(x, s, b), w, b)), t));
      return { loss, d: gradients(loss, [w])[0]! };
    },
  );
  const at = Object.fromEntries(
    graph.inputs.map(({ name, tensor }) => [
      name,
      Float64Array.from({ length: tensor.shape.reduce((n, d) => n * d, 1) }, (_, i) =>
        Math.sin(i + name.length),
      ),
    ]),
  );
  const expected = interpret(graph, at);

  for (const target of ["onnx", "stablehlo"] as const) {
    it(`leaves nothing that ${target} wants decomposed, and the same numbers`, () => {
      const pieces = decomposeFor(graph, target);
      assert.deepEqual(
        pieces.nodes.filter((n) => n.op[target] === "decompose").map((n) => n.op.name),
        [],
      );
      const got = interpret(pieces, at);
      assertClose(got.d!.data, expected.d!.data, 1e-12, "gradient");
      const optimized = optimize(graph, target);
      assert.ok(optimized.nodes.length <= pieces.nodes.length);
      assertClose(interpret(optimized, at).d!.data, expected.d!.data, 1e-12, "gradient, optimized");
    });
  }

  it("comes to rest: an optimized graph is optimized already", () => {
    const once = optimize(graph, "onnx");
    assert.deepEqual(ops(optimize(once, "onnx")), ops(once));
  });

  it("keeps inputs, outputs and donations", () => {
    const update = trace({ p: f32(2), g: f32(2) }, ({ p, g }) => ({
      next: { p: sub(p, mul(g, 1)) },
      norm: sum(matmul(reshape(g, [1, 2]), reshape(g, [2, 1]))),
    }));
    const { inputs, outputs } = optimize(update, "onnx");
    assert.deepEqual(
      inputs.map((i) => i.name),
      ["p", "g"],
    );
    assert.deepEqual(
      outputs.map((o) => [o.name, o.donates]),
      [
        ["next.p", "p"],
        ["norm", undefined],
      ],
    );
  });
});
