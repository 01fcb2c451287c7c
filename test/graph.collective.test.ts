/** Operations between replicas: what they compute, and their gradients, in float64. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { gradients } from "../src/graph/grad.js";
import { interpret, interpretReplicas } from "../src/graph/interpret.js";
import { allGather, allReduceSum, mul, reduceScatter, replicaIndex, sum } from "../src/graph/ops/index.js";
import { optimize } from "../src/graph/passes.js";
import type { Tensor } from "../src/graph/tensor.js";
import { trace } from "../src/graph/trace.js";
import { assertClose } from "./support/close.js";
import { contrastStep } from "./support/contrast.js";
import { waves } from "./support/waves.js";

const REPLICAS = 3;
const inputs = Array.from({ length: REPLICAS }, (_, r) => ({ x: waves(12, r) }));
const type = { dtype: "f32", shape: [6, 2] } as const;

describe("interpretReplicas", () => {
  test("sums, gathers, scatters and counts", () => {
    const graph = trace({ x: type }, ({ x }) => ({
      total: allReduceSum(x, REPLICAS),
      all: allGather(x, REPLICAS),
      part: reduceScatter(x, REPLICAS),
      index: replicaIndex(REPLICAS),
    }));
    const out = interpretReplicas(graph, inputs);
    const total = inputs[0]!.x.map((_, i) => inputs.reduce((n, { x }) => n + x[i]!, 0));
    out.forEach((own, r) => {
      assertClose(own.total!.data, total, 1e-6, "total");
      assert.deepEqual(
        [...own.all!.data],
        inputs.flatMap(({ x }) => [...x]),
      );
      assertClose(own.part!.data, total.slice(4 * r, 4 * r + 4), 1e-6, "part");
      assert.equal(own.index!.data[0], r);
    });
  });

  test("one replica's inputs are not enough for a program over three", () => {
    const graph = trace({ x: type }, ({ x }) => ({ y: allReduceSum(x, REPLICAS) }));
    assert.throws(() => interpret(graph, inputs[0]!), UsageError);
  });

  for (const [name, meet] of [
    ["allReduceSum", (x: Tensor) => allReduceSum(x, REPLICAS)],
    ["allGather", (x: Tensor) => allGather(x, REPLICAS)],
    ["reduceScatter", (x: Tensor) => reduceScatter(x, REPLICAS)],
  ] as const) {
    test(`${name}: the gradient is that of the sum of all replicas' losses`, () => {
      const loss = (x: Tensor, r: Tensor) => sum(mul(mul(meet(x), meet(x)), r));
      const rows = { allReduceSum: 6, allGather: 18, reduceScatter: 2 }[name];
      const types = { x: type, r: { dtype: "f32", shape: [rows, 2] } } as const;
      const forward = trace(types, ({ x, r }) => ({ loss: loss(x, r) }));
      const backward = trace(types, ({ x, r }) => ({ dx: gradients(loss(x, r), [x])[0]! }));
      const feeds = inputs.map(({ x }, replica) => ({
        x: Float64Array.from(x),
        r: Float64Array.from(waves(rows * 2, 7 + replica)),
      }));
      const analytic = interpretReplicas(backward, feeds);
      const totalAt = (replica: number, i: number, h: number) => {
        const moved = feeds.map((f, k) => (k === replica ? { ...f, x: f.x.slice() } : f));
        moved[replica]!.x[i]! += h;
        return interpretReplicas(forward, moved).reduce((n, own) => n + own.loss!.data[0]!, 0);
      };
      feeds.forEach(({ x }, replica) => {
        const numeric = x.map((_, i) => (totalAt(replica, i, 1e-5) - totalAt(replica, i, -1e-5)) / 2e-5);
        assertClose(analytic[replica]!.dx!.data, numeric, 1e-6, `replica ${replica}`);
      });
    });
  }

  test("with one replica nothing of them is left", () => {
    const names = optimize(contrastStep(4, 1), "onnx").nodes.flatMap((n) => n.op.traits);
    assert.equal(names.includes("collective"), false);
  });
});
