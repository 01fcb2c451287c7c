/** Mixed precision: what is rounded and what is not, that sums are in f32, and that training does not mind. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { lossCurves, smooth } from "../bench/precision.js";
import { decode, encode, roundTo } from "../src/core/dtype.js";
import { Unsupported } from "../src/core/errors.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { gradients } from "../src/graph/grad.js";
import { interpret } from "../src/graph/interpret.js";
import {
  allOps,
  attention,
  gelu,
  layerNorm,
  linearMap,
  matmul,
  mean,
  sub,
  sum,
} from "../src/graph/ops/index.js";
import { optimize } from "../src/graph/passes.js";
import { mixedPrecision } from "../src/graph/precision.js";
import { trace } from "../src/graph/trace.js";
import { assertClose } from "./support/close.js";
import { openXla, withXla } from "./support/engines.js";
import { waves } from "./support/waves.js";

const f32 = (...shape: number[]) => ({ dtype: "f32", shape }) as const;

/** Attention, a normalization, a projection and their gradients. */
const block = () =>
  trace({ x: f32(2, 2, 4, 8), s: f32(8), w: f32(6, 8) }, ({ x, s, w }) => {
    const y = gelu(linearMap(layerNorm(attention(x, x, x, { causal: true }), s, s), w));
    const loss = mean(y);
    const [dw] = gradients(loss, [w]) as [typeof w];
    return { loss, next: { w: sub(w, dw) } };
  });

describe("mixedPrecision", () => {
  for (const results of ["f32", "bf16"] as const) {
    test(`results ${results}: operands of products are bf16, and nothing else is but casts`, () => {
      const graph = optimize(mixedPrecision(block(), { results }), "stablehlo");
      let products = 0;
      for (const { op, inputs, outputs } of graph.nodes) {
        if (op.traits.includes("contraction")) {
          products++;
          assert.ok(inputs.every((t) => t.dtype === "bf16"));
          assert.ok(outputs.every((t) => t.dtype === results));
        } else if (op.name !== "cast") {
          assert.ok(
            [...inputs, ...outputs].every((t) => t.dtype !== "bf16"),
            `${op.name} is in bf16`,
          );
        }
      }
      // Two of attention and one of the projection, and two for each of them backwards but that of x.
      assert.ok(products >= 4, `${products} products`);
      assert.ok(graph.inputs.every((i) => i.tensor.dtype === "f32"));
      assert.equal(graph.outputs.find((o) => o.name === "next.w")!.donates, "w");
    });
  }

  test("every operation that contracts says its result's dtype", () => {
    for (const op of allOps.filter((o) => o.traits.includes("contraction") && o.decompose === "primitive")) {
      assert.ok(
        op.cases.every((kase) => "out" in kase.attrs),
        op.name,
      );
    }
  });

  test("ONNX Runtime refuses it with the operation and its place", async () => {
    const graph = mixedPrecision(block());
    await assert.rejects(new OnnxRuntime().compile(graph), (error: Unsupported) => {
      assert.ok(error instanceof Unsupported);
      assert.match(error.message, /onnxruntime: has no bf16/);
      return true;
    });
  });
});

withXla("mixed precision", () => {
  describe("Xla in bf16", () => {
    test("equals the reference of the rounded program", async () => {
      await using engine = await openXla();
      const graph = mixedPrecision(block());
      const feeds = { x: waves(128, 1), s: waves(8, 2), w: waves(48, 3) };
      const expected = interpret(graph, feeds);
      using program = await engine.compile(graph);
      const inputs = Object.fromEntries(
        graph.inputs.map(({ name, tensor }) => [
          name,
          engine.upload(tensor, feeds[name as keyof typeof feeds]),
        ]),
      );
      const outputs = await program.run(inputs);
      for (const [name, { data }] of Object.entries(expected)) {
        // A sum that lies between two bf16 numbers may be rounded to either, of 2^-8 relative distance.
        assertClose((await engine.download(outputs[name]!)) as Float32Array, data, 2 ** -8, name);
      }
    });

    test("sums are accumulated in f32", async () => {
      await using engine = await openXla();
      const n = 4096;
      const type = { dtype: "bf16", shape: [1, n] } as const;
      const graph = trace({ a: type }, ({ a }) => ({ y: sum(matmul(a, a, { transB: true, out: "f32" })) }));
      using program = await engine.compile(graph);
      const x = roundTo("bf16", 1 / 64);
      using a = engine.upload(type, encode("bf16", new Float64Array(n).fill(x)));
      const { y } = await program.run({ a });
      // In bf16 the sum of n equal numbers would stop at 256 of them.
      assertClose(decode("f32", await engine.download(y!)), [n * x * x], 1e-6, "sum of squares");
    });

    test("250 steps follow f32 at less than half the distance of another order of the samples", async () => {
      await using engine = await openXla();
      const { f32: exact, bf16, otherOrder } = await lossCurves(engine, 250);
      const [a, b, c] = [exact, bf16, otherOrder].map((curve) => smooth(curve, 25)) as [
        number[],
        number[],
        number[],
      ];
      const distance = (p: number[], q: number[]) =>
        p.reduce((n, v, i) => n + Math.abs(v - q[i]!), 0) / p.length;
      assert.ok(a.at(-1)! < 0.6 * a[0]!, `f32 learns: ${a[0]} to ${a.at(-1)}`);
      assert.ok(
        distance(a, b) < 0.5 * distance(a, c),
        `bf16 is ${distance(a, b)} from f32, chance is ${distance(a, c)}`,
      );
    });
  });
});
