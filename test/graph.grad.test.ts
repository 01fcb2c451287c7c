/**
 * Gradients of ten small programs, printed: `test/fixtures/graph/NAME.txt` begins with the mathematics, so that a
 * reader can check the program below it. The same gradients are held against central differences.
 *
 * Reviewed as diffs: `UPDATE_GRAPHS=1 node dist/test/run.js graph.grad` writes them anew.
 */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { sizeOfShape, type TensorType } from "../src/core/shape.js";
import { gradients } from "../src/graph/grad.js";
import { type Graph, print } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import {
  add,
  argmax,
  attention,
  cast,
  concat,
  constant,
  conv,
  div,
  exp,
  gather,
  layerNorm,
  linearMap,
  matmul,
  maximum,
  mean,
  mul,
  relu,
  reshape,
  softmaxCrossEntropy,
  split,
  sqrt,
  sub,
  sum,
  tanh,
} from "../src/graph/ops/index.js";
import { foldConstants, shareSubexpressions, simplify } from "../src/graph/passes.js";
import type { Tensor } from "../src/graph/tensor.js";
import { rematerialize, trace } from "../src/graph/trace.js";
import { assertClose } from "./support/close.js";
import { fixture } from "./support/fixture.js";

const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });
const i32 = (...shape: number[]): TensorType => ({ dtype: "i32", shape });

interface Program {
  /** What a reader checks the print against. */
  readonly mathematics: string;
  readonly types: Readonly<Record<string, TensorType>>;
  readonly loss: (x: Readonly<Record<string, Tensor>>) => Tensor;
  readonly wrt: readonly string[];
  /** Values of integer inputs. */
  readonly given?: Readonly<Record<string, readonly number[]>>;
}

const programs: Readonly<Record<string, Program>> = {
  cube: {
    mathematics: "L = Σ x³, dL/dx = 3 x²: the product x·x·x, by the product rule twice.",
    types: { x: f32(3) },
    loss: ({ x }) => sum(mul(mul(x!, x!), x!)),
    wrt: ["x"],
  },
  broadcast: {
    mathematics:
      "L = Σᵢⱼ (aᵢ + bⱼ)², dL/daᵢ = Σⱼ 2(aᵢ + bⱼ), dL/dbⱼ = Σᵢ 2(aᵢ + bⱼ): what was repeated is summed.",
    types: { a: f32(2, 1), b: f32(3) },
    loss({ a, b }) {
      const s = add(a!, b!);
      return sum(mul(s, s));
    },
    wrt: ["a", "b"],
  },
  linear: {
    mathematics:
      "L = mean (x Wᵀ + b − t)² over 8 numbers, with e = x Wᵀ + b − t: dL/dW = 2/8 eᵀ x, dL/db = 2/8 Σ e over rows.",
    types: { x: f32(4, 3), w: f32(2, 3), b: f32(2), t: f32(4, 2) },
    loss({ x, w, b, t }) {
      const e = sub(linearMap(x!, w!, b!), t!);
      return mean(mul(e, e));
    },
    wrt: ["w", "b"],
  },
  relu: {
    mathematics: "L = Σ max(x, 0) w: dL/dx = w where x ≥ 0 and else 0, dL/dw = max(x, 0).",
    types: { x: f32(2, 2), w: f32(2, 2) },
    loss: ({ x, w }) => sum(mul(relu(x!), w!)),
    wrt: ["x", "w"],
  },
  unit: {
    mathematics:
      "u = x / √max(‖x‖², 1e-24), L = Σ u t: dL/dx = (t − u (u·t)) / ‖x‖, here through the division, the root and the sum.",
    types: { x: f32(2, 3), t: f32(2, 3) },
    loss({ x, t }) {
      const u = div(x!, sqrt(maximum(sum(mul(x!, x!), -1, true), 1e-24)));
      return sum(mul(u, t!));
    },
    wrt: ["x"],
  },
  contrastive: {
    mathematics:
      "z = e^s A Bᵀ, L = mean of cross-entropy of rows against the identity: dL/dz = (softmax z − I) / 3, dL/ds = Σ dL/dz z.",
    types: { a: f32(3, 2), b: f32(3, 2), s: f32() },
    loss({ a, b, s }) {
      const eye = constant([1, 0, 0, 0, 1, 0, 0, 0, 1], { shape: [3, 3] });
      return mean(softmaxCrossEntropy(mul(matmul(a!, b!, { transB: true }), exp(s!)), eye));
    },
    wrt: ["a", "b", "s"],
  },
  embedding: {
    mathematics:
      "L = Σ tanh(E[i]): rows of dL/dE are 1 − tanh² where they were looked up, added up where twice, and 0 elsewhere.",
    types: { e: f32(4, 2), i: i32(3) },
    loss: ({ e, i }) => sum(tanh(gather(e!, i!))),
    wrt: ["e"],
    given: { i: [2, 0, 2] },
  },
  convolution: {
    mathematics:
      "L = Σ (x ∗ w)²/2 with stride 2: with g = x ∗ w, dL/dx is g convolved backwards with w, dL/dw is x correlated with g.",
    types: { x: f32(1, 1, 4, 4), w: f32(2, 1, 2, 2) },
    loss({ x, w }) {
      const y = conv(x!, w!, { stride: [2, 2], padding: [0, 0, 0, 0], groups: 1 });
      return mul(sum(mul(y, y)), 0.5);
    },
    wrt: ["x", "w"],
  },
  norm: {
    mathematics:
      "L = Σ layerNorm(x) t: with n = (x − μ)/σ and h = γ t, dL/dx = (h − mean h − n mean(h n)) / σ; dL/dγ = Σ t n, dL/dβ = Σ t.",
    types: { x: f32(2, 4), gamma: f32(4), beta: f32(4), t: f32(2, 4) },
    loss: ({ x, gamma, beta, t }) => sum(mul(layerNorm(x!, gamma!, beta!), t!)),
    wrt: ["x", "gamma", "beta"],
  },
  remat: {
    mathematics:
      "L = Σ tanh(w e^x) in a rematerialized region: dL/dx = (1 − tanh²) w e^x, where e^x and tanh are made again from x behind a barrier.",
    types: { x: f32(3), w: f32(3) },
    loss: ({ x, w }) => sum(rematerialize((v: Tensor) => tanh(mul(exp(v), w!)))(x!)),
    wrt: ["x", "w"],
  },
};

/** Loss and gradients in one graph. */
const stepOf = ({ types, loss, wrt }: Program): Graph =>
  trace(types, (inputs) => {
    const y = loss(inputs);
    const found = gradients(
      y,
      wrt.map((name) => inputs[name]!),
    );
    return { loss: y, d: Object.fromEntries(wrt.map((name, i) => [name, found[i]!])) };
  });

/** As an engine would get it, fused operations left whole. */
function tidy(graph: Graph): Graph {
  let current = graph;
  for (let before = -1; before !== current.nodes.length; ) {
    before = current.nodes.length;
    current = shareSubexpressions(simplify(foldConstants(current)));
  }
  return current;
}

function values({ types, given = {} }: Program): Record<string, Float64Array> {
  const random = new Random(keyFromSeed(7));
  return Object.fromEntries(
    Object.entries(types).map(([name, { shape }]) => [
      name,
      Float64Array.from(given[name] ?? Array.from({ length: sizeOfShape(shape) }, () => random.normal())),
    ]),
  );
}

describe("gradients", () => {
  for (const [name, program] of Object.entries(programs)) {
    const step = stepOf(program);

    it(`of "${name}" are printed as before`, () => {
      const text = `# ${program.mathematics}\n${print(tidy(step))}`;
      const file = fixture(`graph/${name}.txt`);
      if (process.env.UPDATE_GRAPHS === "1") writeFileSync(file, text);
      assert.equal(text, readFileSync(file, "utf8"), `${name}: check the diff, then UPDATE_GRAPHS=1`);
    });

    it(`of "${name}" equal central differences, tidied or not`, () => {
      const at = values(program);
      const forward = trace(program.types, (inputs) => ({ loss: program.loss(inputs) }));
      const plain = interpret(step, at);
      const tidied = interpret(tidy(step), at);
      for (const input of program.wrt) {
        const numeric = at[input]!.map((value, i) => {
          const h = 1e-5;
          const lossAt = (x: number) => {
            const moved = at[input]!.slice();
            moved[i] = x;
            return interpret(forward, { ...at, [input]: moved }).loss!.data[0]!;
          };
          return (lossAt(value + h) - lossAt(value - h)) / (2 * h);
        });
        assertClose(plain[`d.${input}`]!.data, numeric, 1e-8, `${name} d/d${input}`);
        assertClose(
          tidied[`d.${input}`]!.data,
          plain[`d.${input}`]!.data,
          1e-13,
          `${name} d/d${input}, tidied`,
        );
      }
    });
  }

  it("are zeros for what the loss does not read", () => {
    const graph = trace({ x: f32(2), y: f32(3) }, ({ x, y }) => ({ d: gradients(sum(x), [y])[0]! }));
    assert.deepEqual([...interpret(graph, { x: [1, 2], y: [1, 2, 3] }).d!.data], [0, 0, 0]);
  });

  it("add up over every way from input to loss", () => {
    const graph = trace({ x: f32(2) }, ({ x }) => {
      const [a, b] = split(concat([x, mul(x, 3)], 0), 0, 2);
      return { d: gradients(sum(add(mul(a!, b!), x)), [x])[0]! };
    });
    // x · 3x + x: 6x + 1
    assert.deepEqual([...interpret(graph, { x: [1, 2] }).d!.data], [7, 13]);
  });

  it("of an attention layer reach queries, keys and values", () => {
    const types = { q: f32(1, 2, 3, 4), k: f32(1, 2, 3, 4), v: f32(1, 2, 3, 4) };
    const graph = trace(types, ({ q, k, v }) => {
      const y = attention(q, k, v, { causal: true });
      const [dq, dk, dv] = gradients(sum(mul(y, y)), [q, k, v]);
      return { dq: dq!, dk: dk!, dv: dv! };
    });
    const out = interpret(graph, values({ mathematics: "", types, loss: () => constant(0), wrt: [] }));
    // The first query of a causal layer sees one key only: its weight is 1 whatever the query is.
    for (const head of [0, 1]) {
      assertClose(
        out.dq!.data.slice(head * 12, head * 12 + 4),
        new Float64Array(4),
        1e-12,
        "dq of the first row",
      );
      assert.ok(out.dq!.data.slice(head * 12 + 4, head * 12 + 12).every((g) => g !== 0));
    }
    assert.ok(out.dv!.data.every((g) => g !== 0));
  });

  it("pass integers by", () => {
    const graph = trace({ x: f32(2, 3) }, ({ x }) => {
      const best = cast(reshape(argmax(x, 1), [2, 1]), "f32");
      return { d: gradients(sum(mul(x, best)), [x])[0]! };
    });
    assert.deepEqual([...interpret(graph, { x: [1, 9, 3, 4, 5, 6] }).d!.data], [1, 1, 1, 2, 2, 2]);
  });

  it("refuse a loss that is not one floating-point number", () => {
    const refuse = (type: TensorType) => trace({ x: type }, ({ x }) => ({ d: gradients(x, [x])[0]! }));
    const error = /^gradients: the loss must be one floating-point number; got (f32\[2\]|i32\[\])\.$/;
    assert.throws(
      () => refuse(f32(2)),
      (e: Error) => e instanceof UsageError && error.test(e.message),
    );
    assert.throws(
      () => refuse(i32()),
      (e: Error) => e instanceof UsageError && error.test(e.message),
    );
  });
});
