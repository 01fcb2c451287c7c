/** Costs of graphs small enough to count by hand. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TensorType } from "../src/core/shape.js";
import { byteSize, costOf } from "../src/graph/cost.js";
import { gradients } from "../src/graph/grad.js";
import { add, conv, exp, matmul, mul, relu, reshape, sum } from "../src/graph/ops/index.js";
import { trace } from "../src/graph/trace.js";

const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });

describe("costOf", () => {
  it("counts a matrix product as M·N·K multiply-adds, every operand moved once", () => {
    const cost = costOf(trace({ a: f32(5, 8, 3), b: f32(5, 3, 7) }, ({ a, b }) => ({ y: matmul(a, b) })));
    assert.equal(cost.macs, 5 * 8 * 7 * 3);
    assert.equal(cost.bytes, 4 * (5 * 8 * 3 + 5 * 3 * 7 + 5 * 8 * 7));
    assert.equal(cost.inputBytes, 4 * (5 * 8 * 3 + 5 * 3 * 7));
    assert.equal(cost.nodes, 1);
  });

  it("counts a grouped convolution by the channels of a group", () => {
    const attrs = { stride: [2, 2], padding: [1, 1, 1, 1], groups: 2 };
    const { macs } = costOf(
      trace({ x: f32(3, 4, 8, 8), w: f32(6, 2, 3, 3) }, ({ x, w }) => ({ y: conv(x, w, attrs) })),
    );
    // [3,6,4,4] outputs, each from 2 channels of 3×3.
    assert.equal(macs, 3 * 6 * 4 * 4 * (2 * 3 * 3));
  });

  it("counts a backward pass as twice the forward pass", () => {
    const types = { x: f32(16, 32), w: f32(32, 8) };
    const forward = costOf(trace(types, ({ x, w }) => ({ y: sum(relu(matmul(x, w))) })));
    const step = costOf(
      trace(types, ({ x, w }) => {
        const y = sum(relu(matmul(x, w)));
        const [dx, dw] = gradients(y, [x, w]);
        return { y, dx: dx!, dw: dw! };
      }),
    );
    assert.equal(forward.macs, 16 * 32 * 8);
    assert.equal(step.macs, 3 * forward.macs);
  });

  it("orders operations by what they cost", () => {
    const { byOp, macs, bytes } = costOf(
      trace({ x: f32(4, 4) }, ({ x }) => ({ y: exp(add(matmul(matmul(x, x), x), x)) })),
    );
    assert.deepEqual(
      byOp.map(({ op, count }) => `${op} ${count}`),
      ["matmul 2", "add 1", "exp 1"],
    );
    assert.equal(macs, byOp[0]!.macs);
    assert.equal(
      bytes,
      byOp.reduce((n, row) => n + row.bytes, 0),
    );
  });

  it("moves nothing for views and constants", () => {
    const { bytes } = costOf(trace({ x: f32(6) }, ({ x }) => ({ y: reshape(x, [2, 3]) })));
    assert.equal(bytes, 0);
  });
});

describe("peak live memory", () => {
  const bytes = (...shape: number[]) => byteSize(f32(...shape));

  it("keeps a buffer from its making to its last reading", () => {
    // x 100 lives always; a: x a; b: x a b, then a is done; c: x b c, then b is done.
    const chain = trace({ x: f32(100) }, ({ x }) => ({ y: exp(exp(exp(x))) }));
    assert.equal(costOf(chain).peakBytes, 3 * bytes(100));
    // a is read again at the end: x a b c together.
    const skip = trace({ x: f32(100) }, ({ x }) => {
      const a = exp(x);
      return { y: add(exp(exp(a)), a) };
    });
    assert.equal(costOf(skip).peakBytes, 4 * bytes(100));
  });

  it("does not count a view twice, and keeps what it looks at", () => {
    const graph = trace({ x: f32(100) }, ({ x }) => {
      const a = exp(x);
      const view = reshape(a, [10, 10]);
      return { y: mul(reshape(exp(a), [10, 10]), view) };
    });
    // x, a, exp(a), and the product.
    assert.equal(costOf(graph).peakBytes, 4 * bytes(100));
  });

  it("frees nothing that is an output", () => {
    const graph = trace({ x: f32(100) }, ({ x }) => {
      const a = exp(x);
      return { a, y: exp(exp(exp(a))) };
    });
    // x, a, and two of the chain.
    assert.equal(costOf(graph).peakBytes, 4 * bytes(100));
  });

  it("charges a donated output to the input whose memory it takes", () => {
    const update = (donate: boolean) =>
      costOf(
        trace(
          { p: f32(100), g: f32(100) },
          ({ p, g }) => ({ next: { p: add(p, g) } }),
          (path) => (donate ? path.slice("next.".length) : undefined),
        ),
      ).peakBytes;
    assert.equal(update(true), 2 * bytes(100));
    assert.equal(update(false), 3 * bytes(100));
  });

  it("counts bytes by dtype", () => {
    assert.equal(byteSize({ dtype: "u8", shape: [2, 3] }), 6);
    assert.equal(byteSize({ dtype: "bf16", shape: [2, 3] }), 12);
    assert.equal(byteSize({ dtype: "i64", shape: [] }), 8);
  });
});
