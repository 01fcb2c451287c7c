/**
 * Gradients slot by slot, for every differentiable operation and case: one tensor may fill several slots, a slot may
 * depend on another, and gradients have gradients. All against central differences of the reference in float64.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isFloat } from "../src/core/dtype.js";
import { UsageError } from "../src/core/errors.js";
import { formatType, sizeOfShape, type TensorType } from "../src/core/shape.js";
import { cotangents, gradients } from "../src/graph/grad.js";
import { makeGraph } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import { type AnyOp, type Case, normal } from "../src/graph/op.js";
import { add, allOps, constant, inputTensor, linearMap, mul, sum } from "../src/graph/ops/index.js";
import { apply, type Tensor } from "../src/graph/tensor.js";
import { trace } from "../src/graph/trace.js";
import { assertClose } from "./support/close.js";

/** What is written into the slots, from the case's inputs. */
type Wiring = (inputs: readonly Tensor[]) => readonly Tensor[];

/** Fixed random numbers of the type of `y`. */
const randomLike = (y: Tensor, seed: number): Tensor => {
  const { data } = normal(y.shape, seed);
  return constant(y.rank === 0 ? data[0]! : [...data], { shape: y.shape });
};

/** Σ r·y over all outputs, with fixed random weights r. */
const weighted = (outputs: readonly Tensor[], seed: number): Tensor =>
  outputs.map((y, i) => sum(mul(y, randomLike(y, seed + i)))).reduce((a, b) => add(a, b));

const floatsOf = (kase: Case<never>): number[] =>
  kase.inputs.flatMap(({ dtype }, i) => (isFloat(dtype) ? [i] : []));

/** Gradients of the scalar `program` in the inputs `wrt` of `kase` against central differences. */
function check(
  kase: Case<never>,
  program: (inputs: readonly Tensor[]) => Tensor,
  wrt: readonly number[],
  what: string,
): void {
  const named = kase.inputs.map((type, i) => ({ name: `x${i}`, tensor: inputTensor(`x${i}`, type) }));
  const tensors = named.map((n) => n.tensor);
  const value = program(tensors);
  const found = gradients(
    value,
    wrt.map((i) => tensors[i]!),
  );
  const forward = makeGraph(named, [{ name: "value", tensor: value }]);
  const backward = makeGraph(
    named,
    found.map((tensor, k) => ({ name: `d${k}`, tensor })),
  );
  const at = Object.fromEntries(kase.inputs.map(({ data }, i) => [`x${i}`, data]));
  const analytic = interpret(backward, at);
  wrt.forEach((i, k) => {
    const h = 1e-5;
    const { data } = kase.inputs[i]!;
    const numeric = data.map((x, j) => {
      const valueAt = (moved: number) => {
        const copy = data.slice();
        copy[j] = moved;
        return interpret(forward, { ...at, [`x${i}`]: copy }).value!.data[0]!;
      };
      return (valueAt(x + h) - valueAt(x - h)) / (2 * h);
    });
    // Differences with h = 1e-5 are good to about 1e-9 of the function's size, which here is up to 100.
    assertClose(analytic[`d${k}`]!.data, numeric, 1e-5, `${what}, d/dx${i}`);
  });
}

/** Every tensor of one type in all slots of this type. */
function shared(kase: Case<never>): { wiring: Wiring; first: number } | undefined {
  const types = kase.inputs.map(formatType);
  const first = floatsOf(kase).find((i) => types.lastIndexOf(types[i]!) > i);
  if (first === undefined) return undefined;
  return { first, wiring: (x) => x.map((t, i) => (types[i] === types[first] ? x[first]! : t)) };
}

/** Slot `from` as it is; every other of floats plus a hundredth of its sum. */
const derived =
  (from: number): Wiring =>
  (x) =>
    x.map((t, i) => (i === from || !isFloat(t.dtype) ? t : add(t, mul(sum(x[from]!), 0.01))));

/** Their gradients' gradients are refused by name. */
const differentiableOnce = ["maxPool"];
/** So that a case takes milliseconds. */
const LARGEST = 200;

for (const op of allOps as readonly AnyOp[]) {
  if (typeof op.vjp === "object" || op.vjp === "zero") continue;
  describe(op.name, () => {
    for (const kase of op.cases as readonly Case<never>[]) {
      const floats = floatsOf(kase);
      const size = kase.inputs.reduce((n, x) => n + sizeOfShape(x.shape), 0);
      const outputs = (slots: readonly Tensor[]) => apply(op, slots, kase.attrs);
      const real = op.infer(kase.inputs, kase.attrs).every(({ dtype }) => dtype === "f32");
      if (kase.smooth === false || floats.length === 0 || !real || size > LARGEST) continue;

      const same = shared(kase);
      if (same !== undefined) {
        test(`${kase.name}: one tensor in several slots`, () => {
          const program = (x: readonly Tensor[]) => weighted(outputs(same.wiring(x)), 50);
          check(kase, program, [same.first], op.name);
        });
      }
      if (floats.length > 1) {
        test(`${kase.name}: slots that depend on each other`, () => {
          for (const i of floats) {
            check(kase, (x) => weighted(outputs(derived(i)(x)), 60), [i], `${op.name}, slot ${i}`);
          }
        });
      }
      test(`${kase.name}: the gradient's gradient`, () => {
        const program = (x: readonly Tensor[]) => {
          const wrt = floats.map((i) => x[i]!);
          const seeds = outputs(x).map((y, i) => [y, randomLike(y, 70 + i)] as const);
          return weighted(cotangents(new Map(seeds), wrt), 80);
        };
        if (!differentiableOnce.includes(op.name)) check(kase, program, floats, op.name);
        else assert.throws(() => check(kase, program, floats, op.name), UsageError);
      });
    }
  });
}

describe("gradients", () => {
  const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });
  const x = [1, 2, 3, 4];
  const bias = [0.5, -0.5];

  test("of linearMap(x, x, b) and linearMap(x, 2x, b)", () => {
    const graph = trace({ x: f32(2, 2), b: f32(2) }, ({ x, b }) => ({
      same: gradients(sum(linearMap(x, x, b)), [x])[0]!,
      double: gradients(sum(linearMap(x, mul(x, 2), b)), [x])[0]!,
    }));
    const { same, double } = interpret(graph, { x, b: bias });
    // Σ x xᵀ: each element meets its column's sum twice.
    assert.deepEqual([...same!.data], [8, 12, 8, 12]);
    assert.deepEqual([...double!.data], [16, 24, 16, 24]);
  });

  test("in a tensor and in what is made of it: each is the whole derivative", () => {
    const graph = trace({ x: f32(2, 2) }, ({ x }) => {
      const y = mul(x, 3);
      const [dx, dy] = gradients(sum(mul(y, y)), [x, y]);
      return { dx: dx!, dy: dy! };
    });
    const { dx, dy } = interpret(graph, { x });
    assert.deepEqual([...dx!.data], [18, 36, 54, 72]);
    assert.deepEqual([...dy!.data], [6, 12, 18, 24]);
  });
});
