/** Every operation and case: engines equal the reference, gradients equal central differences of it. */

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { decode, encode, isFloat } from "../src/core/dtype.js";
import { Unsupported } from "../src/core/errors.js";
import { emitStableHlo } from "../src/graph/emit/stablehlo.js";
import { cotangents } from "../src/graph/grad.js";
import { type Graph, makeGraph } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import { type AnyOp, type Case, normal } from "../src/graph/op.js";
import { allOps, constant, inputTensor, mul, sum } from "../src/graph/ops/index.js";
import { decomposeFor } from "../src/graph/passes.js";
import { apply, type Tensor } from "../src/graph/tensor.js";
import { assertClose, tolerance } from "./support/close.js";
import { can, engines, runsOn, withOpenVino, withXla } from "./support/engines.js";

type AnyCase = Case<Record<string, never>>;

const label = (i: number) => `x${i}`;

/** The graph of one application of `op` on the case's inputs. */
function graphOf(op: AnyOp, kase: AnyCase, finish: (outputs: Tensor[], inputs: Tensor[]) => Tensor[]): Graph {
  const inputs = kase.inputs.map((type, i) => ({ name: label(i), tensor: inputTensor(label(i), type) }));
  const tensors = inputs.map((i) => i.tensor);
  const outputs = finish(apply(op, tensors, kase.attrs), tensors);
  return makeGraph(
    inputs,
    outputs.map((tensor, i) => ({ name: `y${i}`, tensor })),
  );
}

const feeds = (kase: AnyCase) =>
  Object.fromEntries(kase.inputs.map((input, i) => [label(i), input.data] as const));

const opened = await Promise.all(engines.map(async (under) => ({ ...under, engine: await under.open() })));
after(async () => {
  for (const { engine } of opened) await engine[Symbol.asyncDispose]();
});
withXla("every operation and case", () => {});
withOpenVino("every operation and case", () => {});

for (const op of allOps) {
  describe(op.name, () => {
    for (const kase of op.cases as readonly AnyCase[]) {
      const graph = graphOf(op, kase, (outputs) => outputs);
      const expected = interpret(graph, feeds(kase));

      for (const { title, engine, ...under } of opened.filter((under) => runsOn(op, under))) {
        if (!can(engine, { title, ...under }, graph)) {
          test(`${kase.name}: ${title} refuses what it lacks`, async () => {
            await assert.rejects(engine.compile(graph), Unsupported);
          });
          continue;
        }
        test(`${kase.name}: ${title} equals the reference`, async () => {
          using executable = await engine.compile(graph);
          const buffers = Object.fromEntries(
            kase.inputs.map((t, i) => [label(i), engine.upload(t, encode(t.dtype, t.data), { adopt: true })]),
          );
          const outputs = await executable.run(buffers);
          for (const { name, tensor } of graph.outputs) {
            const got = decode(tensor.dtype, await engine.download(outputs[name]!));
            assertClose(
              got,
              expected[name]!.data,
              tolerance(tensor.dtype),
              `${op.name} ${kase.name} ${name}`,
            );
          }
          for (const buffer of [...Object.values(buffers), ...Object.values(outputs)])
            buffer[Symbol.dispose]();
          assert.equal(engine.stats().buffers, 0);
        });
      }

      if (op.decompose !== "primitive") {
        test(`${kase.name}: the decomposition equals the reference`, () => {
          const pieces = graphOf(op, kase, (_, inputs) =>
            (op.decompose as Exclude<AnyOp["decompose"], string>)(inputs, kase.attrs),
          );
          const got = interpret(pieces, feeds(kase));
          // Between the pieces numbers are rounded to the inputs' dtype; the reference does it at the end.
          const rounded = kase.inputs.some((x) => x.dtype === "bf16") ? tolerance("bf16") : 1e-9;
          for (const { name } of pieces.outputs) {
            assertClose(got[name]!.data, expected[name]!.data, rounded, `${op.name} ${kase.name} ${name}`);
          }
        });
      }

      test(`${kase.name}: StableHLO is well formed`, () => {
        const text = emitStableHlo(decomposeFor(graph, "stablehlo"));
        assertWellFormed(text);
      });

      const differentiable =
        kase.inputs.some((i) => isFloat(i.dtype)) && isFloat(graph.outputs[0]!.tensor.dtype);
      if (differentiable && kase.smooth !== false && typeof op.vjp !== "object") {
        test(`${kase.name}: the gradient equals central differences`, () => checkGradient(op, kase));
      }
    }
  });
}

/** Each `%name` is defined once before it is used, and brackets match. */
function assertWellFormed(text: string): void {
  const body = text.replace(/\(\{.*?\}\)/gs, ""); // regions have their own names
  const defined = new Set([...text.matchAll(/(%arg\d+):/g)].map((m) => m[1]!));
  for (const line of body.split("\n").slice(2)) {
    const [left, right] = line.includes(" = ") ? line.split(/ = (.*)/s) : ["", line];
    for (const use of (right ?? "").matchAll(/%[a-z]*\d+/g)) {
      assert.ok(defined.has(use[0]), `${use[0]} is used before it is defined in:\n${text}`);
    }
    const name = /%\d+/.exec(left ?? "")?.[0];
    if (name !== undefined) {
      assert.ok(!defined.has(name), `${name} is defined twice`);
      defined.add(name);
    }
  }
  for (const [open, close] of ["()", "[]", "{}", "<>"].map((pair) => [...pair] as [string, string])) {
    const count = (c: string) => text.replaceAll("->", "").split(c).length;
    assert.equal(count(open), count(close), `unbalanced ${open}${close} in:\n${text}`);
  }
}

/** d/dx Σ r·y against (f(x+h) − f(x−h)) / 2h, with fixed random weights r. */
function checkGradient(op: AnyOp, kase: AnyCase): void {
  const weights = (y: Tensor) => {
    const { data } = normal(y.shape, 99);
    return constant(y.rank === 0 ? data[0]! : [...data], { shape: y.shape });
  };
  const weighted = graphOf(op, kase, ([y]) => [sum(mul(y!, weights(y!)))]);
  const backward = graphOf(op, kase, ([y], inputs) =>
    cotangents(
      new Map([[y!, weights(y!)]]),
      inputs.filter((x) => isFloat(x.dtype)),
    ),
  );
  const base = feeds(kase);
  const analytic = interpret(backward, base);
  const floats = kase.inputs.flatMap((x, i) => (isFloat(x.dtype) ? [i] : []));
  floats.forEach((i, k) => {
    const numeric = kase.inputs[i]!.data.map((value, j) => {
      const h = 1e-5;
      const at = (x: number) => {
        const data = kase.inputs[i]!.data.slice();
        data[j] = x;
        return interpret(weighted, { ...base, [label(i)]: data }).y0!.data[0]!;
      };
      return (at(value + h) - at(value - h)) / (2 * h);
    });
    // Float64 differences with h = 1e-5 are good to about 1e-9 of the function's size; 1e-6 leaves room.
    assertClose(analytic[`y${k}`]!.data, numeric, 1e-6, `${op.name} ${kase.name} d/d${label(i)}`);
  });
}
