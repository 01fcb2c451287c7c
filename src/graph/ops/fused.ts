/** Functions that engines have as one kernel. Each is defined by its decomposition. */

import { UsageError } from "../../core/errors.js";
import { formatType, type Shape, sizeOfShape, type TensorType } from "../../core/shape.js";
import { contracting, normal, type Op, type Ref, streaming, uniform } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { matmul } from "./contract.js";
import {
  add,
  div,
  erf,
  erf64,
  exp,
  log,
  mul,
  neg,
  requireFloat,
  sigmoid,
  sqrt,
  sub,
  tanh,
} from "./elementwise.js";
import { reshape } from "./movement.js";
import { max, mean, sum } from "./reduce.js";

type None = Record<never, never>;

/** Calls `visit` with each row (last axis) of `x` and the same row of the result. */
function byRow(x: Ref, visit: (row: Float64Array, out: Float64Array) => void): Float64Array {
  const width = x.shape[x.shape.length - 1]!;
  const out = new Float64Array(x.data.length);
  for (let at = 0; at < out.length; at += width) {
    visit(x.data.subarray(at, at + width), out.subarray(at, at + width));
  }
  return out;
}

const sameAs =
  (what: string) =>
  ([x]: readonly TensorType[]): TensorType[] => {
    requireFloat(what, x!);
    if (x!.shape.length === 0)
      throw new UsageError(`${what}: needs at least one axis; got ${formatType(x!)}.`);
    return [{ dtype: x!.dtype, shape: x!.shape }];
  };

const softmaxOp: Op<None> = {
  name: "softmax",
  doc: "e to the x over its sum, along the last axis.",
  source: "ONNX Softmax",
  traits: ["reduction"],
  infer: sameAs("softmax"),
  reference: ([x]) => [
    byRow(x!, (row, out) => {
      const top = Math.max(...row);
      let total = 0;
      row.forEach((v, i) => {
        out[i] = Math.exp(v - top);
        total += out[i]!;
      });
      for (let i = 0; i < out.length; i++) out[i]! /= total;
    }),
  ],
  // dx = y ⊙ (g − Σ g y)
  vjp([g], { outputs: [y] }) {
    const weighted = mul(g!, y!);
    return [sub(weighted, mul(y!, sum(weighted, -1, true)))];
  },
  cost: streaming,
  simplify: "never",
  decompose([x]) {
    const e = exp(sub(x!, max(x!, -1, true)));
    return [div(e, sum(e, -1, true))];
  },
  onnx: (b, [x]) => b.node("Softmax", [x!.name], { axis: -1 }),
  stablehlo: "decompose",
  cases: [
    { name: "rows", inputs: [normal([3, 5], 1, 2)], attrs: {} },
    { name: "large numbers", inputs: [normal([2, 4], 2, 50)], attrs: {}, smooth: false },
  ],
};
/** Softmax along the last axis. */
export const softmax = (x: Tensor): Tensor => apply(softmaxOp, [x], {})[0]!;

const logSoftmaxOp: Op<None> = {
  name: "logSoftmax",
  doc: "x minus the logarithm of the sum of e to the x, along the last axis.",
  source: "ONNX LogSoftmax",
  traits: ["reduction"],
  infer: sameAs("logSoftmax"),
  reference: ([x]) => [
    byRow(x!, (row, out) => {
      const top = Math.max(...row);
      const total = row.reduce((n, v) => n + Math.exp(v - top), 0);
      row.forEach((v, i) => {
        out[i] = v - top - Math.log(total);
      });
    }),
  ],
  // dx = g − softmax(x) Σ g
  vjp: ([g], { outputs: [y] }) => [sub(g!, mul(exp(y!), sum(g!, -1, true)))],
  cost: streaming,
  simplify: "never",
  decompose([x]) {
    const shifted = sub(x!, max(x!, -1, true));
    return [sub(shifted, log(sum(exp(shifted), -1, true)))];
  },
  onnx(b, [x]) {
    if (!b.dialect.lacks.includes("LogSoftmax")) return b.node("LogSoftmax", [x!.name], { axis: -1 });
    const last = b.ints([-1]);
    const top = b.node("ReduceMax", [x!.name, last], { keepdims: 1 })[0]!;
    const shifted = b.node("Sub", [x!.name, top])[0]!;
    const total = b.node("ReduceSum", [b.node("Exp", [shifted])[0]!, last], { keepdims: 1 });
    return b.node("Sub", [shifted, b.node("Log", total)[0]!]);
  },
  stablehlo: "decompose",
  cases: [
    { name: "rows", inputs: [normal([3, 5], 1, 2)], attrs: {} },
    { name: "large numbers", inputs: [normal([2, 4], 2, 50)], attrs: {}, smooth: false },
  ],
};
/** Logarithm of softmax along the last axis. */
export const logSoftmax = (x: Tensor): Tensor => apply(logSoftmaxOp, [x], {})[0]!;

interface LayerNormAttrs {
  readonly epsilon: number;
  readonly [key: string]: number;
}

const statistics = (row: Float64Array, epsilon: number) => {
  const mu = row.reduce((n, v) => n + v, 0) / row.length;
  const variance = row.reduce((n, v) => n + (v - mu) ** 2, 0) / row.length;
  return { mu, inverse: 1 / Math.sqrt(variance + epsilon) };
};

const layerNormOp: Op<LayerNormAttrs> = {
  name: "layerNorm",
  doc: "(x − mean) / √(variance + ε) · scale + bias along the last axis: [..,C], [C], [C] give y [..,C] and the mean and 1/√(variance + ε), both [..,1].",
  source: "Ba, Kiros, Hinton 2016; ONNX LayerNormalization",
  traits: ["reduction"],
  infer([x, scale, bias]) {
    requireFloat("layerNorm", x!, scale!, bias!);
    const width = x!.shape[x!.shape.length - 1];
    const wanted = formatType({ dtype: x!.dtype, shape: [width ?? 0] });
    if (width === undefined || formatType(scale!) !== wanted || formatType(bias!) !== wanted) {
      throw new UsageError(
        `layerNorm: scale and bias must have the dtype and the size of the last axis; got ${[x!, scale!, bias!].map(formatType).join(", ")}.`,
      );
    }
    const rows: Shape = [...x!.shape.slice(0, -1), 1];
    return [x!.shape, rows, rows].map((shape) => ({ dtype: x!.dtype, shape }));
  },
  reference([x, scale, bias], { epsilon }) {
    const means: number[] = [];
    const inverses: number[] = [];
    const y = byRow(x!, (row, out) => {
      const { mu, inverse } = statistics(row, epsilon);
      means.push(mu);
      inverses.push(inverse);
      row.forEach((v, i) => {
        out[i] = (v - mu) * inverse * scale!.data[i]! + bias!.data[i]!;
      });
    });
    return [y, Float64Array.from(means), Float64Array.from(inverses)];
  },
  // With x̂ the normalized x and h = g ⊙ scale: dx = (h − mean(h) − x̂ mean(h x̂)) / √(variance + ε).
  vjp([g, ...statistics], { inputs: [x, scale], outputs: [, mu, inverse] }) {
    if (g === undefined || statistics.some((s) => s !== undefined)) return "decompose";
    const C = x!.shape[x!.rank - 1]!;
    const normalized = mul(sub(x!, mu!), inverse!);
    const gx = mul(g!, normalized);
    const h = mul(g!, scale!);
    const meanH = mul(sum(h, -1, true), 1 / C);
    const meanHx = mul(sum(mul(h, normalized), -1, true), 1 / C);
    return [mul(sub(sub(h, meanH), mul(normalized, meanHx)), inverse!), gx, g!];
  },
  cost: streaming,
  simplify: "never",
  decompose([x, scale, bias], { epsilon }) {
    const mu = mean(x!, -1, true);
    const centred = sub(x!, mu);
    const inverse = div(1, sqrt(add(mean(mul(centred, centred), -1, true), epsilon)));
    return [add(mul(mul(centred, inverse), scale!), bias!), mu, inverse];
  },
  onnx: (b, [x, scale, bias], { epsilon }) =>
    b.node(
      "LayerNormalization",
      [x!.name, scale!.name, bias!.name],
      { axis: -1, epsilon: { float: epsilon } },
      { outputs: 3 },
    ),
  stablehlo: "decompose",
  cases: [
    {
      name: "rows",
      inputs: [normal([4, 6], 1), uniform([6], 2, 0.5, 1.5), normal([6], 3)],
      attrs: { epsilon: 1e-5 },
    },
    {
      name: "tokens",
      inputs: [normal([2, 3, 8], 4, 2, 1), uniform([8], 5, 0.5, 1.5), normal([8], 6)],
      attrs: { epsilon: 1e-6 },
    },
  ],
};

/** Layer normalization of `x` [..,C] along its last axis, times `scale` [C] plus `bias` [C]. */
export const layerNorm = (x: Tensor, scale: Tensor, bias: Tensor, epsilon = 1e-5): Tensor =>
  apply(layerNormOp, [x, scale, bias], { epsilon })[0]!;

interface AffineAttrs {
  readonly transB: boolean;
  readonly [key: string]: boolean;
}

const affineOp: Op<AffineAttrs> = {
  name: "affine",
  doc: "A B + bias: [M,K], [K,N] (or [N,K], transposed) and [N] give [M,N].",
  source: "ONNX Gemm",
  traits: ["contraction"],
  infer([a, b, bias], { transB }) {
    requireFloat("affine", a!, b!, bias!);
    const [K, N] = transB ? [b!.shape[1], b!.shape[0]] : b!.shape;
    const ranks = [a!, b!, bias!].map((x) => x.shape.length).join();
    const oneDtype = a!.dtype === b!.dtype && a!.dtype === bias!.dtype;
    if (ranks !== "2,2,1" || !oneDtype || a!.shape[1] !== K || bias!.shape[0] !== N) {
      throw new UsageError(
        `affine: needs [M,K], [K,N] and [N] of one dtype; got ${formatType(a!)}, ${formatType(b!)}${transB ? " transposed" : ""} and ${formatType(bias!)}.`,
      );
    }
    return [{ dtype: a!.dtype, shape: [a!.shape[0]!, N!] }];
  },
  reference([a, b, bias], { transB }, [y]) {
    const [M, N] = y!.shape as [number, number];
    const K = a!.shape[1]!;
    const out = new Float64Array(M * N);
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        let total = bias!.data[j]!;
        for (let k = 0; k < K; k++) total += a!.data[i * K + k]! * b!.data[transB ? j * K + k : k * N + j]!;
        out[i * N + j] = total;
      }
    }
    return [out];
  },
  vjp: "decompose",
  cost: (inputs, outputs) =>
    contracting(sizeOfShape(outputs[0]!.shape) * inputs[0]!.shape[1]!, inputs, outputs),
  simplify: "never",
  decompose: ([a, b, bias], { transB }) => [add(matmul(a!, b!, { transB }), bias!)],
  onnx(b, inputs, { transB }) {
    const [x, w, bias] = inputs.map(({ name }) => name) as [string, string, string];
    if (b.dialect.prefersGemm) return b.node("Gemm", [x, w, bias], { transB: transB ? 1 : 0 });
    const right = transB ? b.node("Transpose", [w], { perm: [1, 0] })[0]! : w;
    return b.node("Add", [b.node("MatMul", [x, right])[0]!, bias]);
  },
  stablehlo: "decompose",
  cases: [true, false].flatMap((transB) => [
    {
      name: transB ? "PyTorch's order" : "plain",
      inputs: [normal([3, 4], 1), normal(transB ? [5, 4] : [4, 5], 2), normal([5], 3)],
      attrs: { transB },
    },
    {
      name: transB ? "squares, PyTorch's order" : "squares",
      inputs: [normal([3, 3], 4), normal([3, 3], 5), normal([3], 6)],
      attrs: { transB },
    },
  ]),
};

/**
 * x [..,K] times a matrix plus a bias [N]: `weight` [N,K] (as PyTorch keeps it) or, with `transposed`, [K,N].
 * Without a bias, only the product. Gives [..,N].
 */
export function linearMap(x: Tensor, weight: Tensor, bias?: Tensor, { transposed = false } = {}): Tensor {
  const lead = x.shape.slice(0, -1);
  const rows = reshape(x, [sizeOfShape(lead), x.shape[x.rank - 1]!]);
  const transB = !transposed;
  const y =
    bias === undefined
      ? matmul(rows, weight, { transB })
      : apply(affineOp, [rows, weight, bias], { transB })[0]!;
  return reshape(y, [...lead, y.shape[1]!]);
}

/** `erf`: x Φ(x). `tanh`: its usual approximation. `quick`: x sigmoid(1.702 x). */
export type GeluKind = "erf" | "tanh" | "quick";

interface GeluAttrs {
  readonly kind: GeluKind;
  readonly [key: string]: string;
}

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;
const QUICK = 1.702;

const geluOp: Op<GeluAttrs> = {
  name: "gelu",
  doc: "x Φ(x), or one of two approximations.",
  source: "Hendrycks, Gimpel 2016; ONNX Gelu; com.microsoft QuickGelu",
  traits: ["elementwise"],
  infer: ([x]) => {
    requireFloat("gelu", x!);
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  reference: ([x], { kind }) => [
    x!.data.map((v) =>
      kind === "erf"
        ? 0.5 * v * (1 + erf64(v / Math.SQRT2))
        : kind === "quick"
          ? v / (1 + Math.exp(-QUICK * v))
          : 0.5 * v * (1 + Math.tanh(TANH_SCALE * (v + TANH_CUBIC * v ** 3))),
    ),
  ],
  vjp([g], { inputs: [x], attrs: { kind } }) {
    if (kind === "quick") {
      // s (1 + 1.702 x (1 − s))
      const s = sigmoid(mul(x!, QUICK));
      return [mul(g!, mul(s, add(mul(mul(x!, QUICK), sub(1, s)), 1)))];
    }
    if (kind === "tanh") {
      const square = mul(x!, x!);
      const t = tanh(mul(mul(x!, TANH_SCALE), add(mul(square, TANH_CUBIC), 1)));
      const inner = add(mul(square, 3 * TANH_CUBIC * TANH_SCALE), TANH_SCALE);
      return [mul(g!, mul(add(add(t, mul(mul(sub(1, mul(t, t)), x!), inner)), 1), 0.5))];
    }
    // Φ(x) + x φ(x), with u = x/√2: ½ (1 + erf u) + u e^(−u²) / √π
    const u = mul(x!, Math.SQRT1_2);
    const cdf = mul(add(erf(u), 1), 0.5);
    const density = mul(mul(u, 1 / Math.sqrt(Math.PI)), exp(neg(mul(u, u))));
    return [mul(g!, add(cdf, density))];
  },
  cost: streaming,
  simplify: "never",
  decompose([x], { kind }) {
    if (kind === "quick") return [mul(x!, sigmoid(mul(x!, QUICK)))];
    if (kind === "erf") return [mul(mul(x!, 0.5), add(erf(mul(x!, Math.SQRT1_2)), 1))];
    const inner = mul(mul(x!, TANH_SCALE), add(mul(mul(x!, x!), TANH_CUBIC), 1));
    return [mul(mul(x!, 0.5), add(tanh(inner), 1))];
  },
  // Of the two exact kernels that ONNX Runtime has, com.microsoft's takes half the time.
  onnx(b, [x], { kind }) {
    const contrib = { domain: "com.microsoft" } as const;
    if (kind === "tanh") return b.node("Gelu", [x!.name], { approximate: "tanh" });
    if (kind === "erf") {
      return b.dialect.fused.includes("Gelu")
        ? b.node("Gelu", [x!.name], {}, contrib)
        : b.node("Gelu", [x!.name]);
    }
    if (b.dialect.fused.includes("QuickGelu"))
      return b.node("QuickGelu", [x!.name], { alpha: { float: QUICK } }, contrib);
    const inner = b.node("Mul", [x!.name, b.scalar(x!.dtype, QUICK)]);
    return b.node("Mul", [x!.name, b.node("Sigmoid", inner)[0]!]);
  },
  stablehlo: "decompose",
  cases: (["erf", "tanh", "quick"] as const).map((kind) => ({
    name: kind,
    inputs: [uniform([4, 6], 1, -5, 5)],
    attrs: { kind },
  })),
};
/** Gaussian error linear unit. */
export const gelu = (x: Tensor, kind: GeluKind = "erf"): Tensor => apply(geluOp, [x], { kind })[0]!;

const crossEntropyOp: Op<None> = {
  name: "softmaxCrossEntropy",
  doc: "−Σ targets · logSoftmax(logits) along the last axis: [N,V] and [N,V] give [N]. Targets are weights.",
  source: "PyTorch cross_entropy with class probabilities",
  traits: ["reduction"],
  infer([logits, targets]) {
    requireFloat("softmaxCrossEntropy", logits!, targets!);
    if (formatType(logits!) !== formatType(targets!) || logits!.shape.length !== 2) {
      throw new UsageError(
        `softmaxCrossEntropy: needs logits and targets of one type [N,V]; got ${formatType(logits!)} and ${formatType(targets!)}.`,
      );
    }
    return [{ dtype: logits!.dtype, shape: logits!.shape.slice(0, 1) }];
  },
  reference([logits, targets]) {
    const V = logits!.shape[1]!;
    return [
      Float64Array.from({ length: logits!.shape[0]! }, (_, n) => {
        const row = logits!.data.subarray(n * V, (n + 1) * V);
        const top = Math.max(...row);
        const lse = top + Math.log(row.reduce((t, v) => t + Math.exp(v - top), 0));
        return row.reduce((t, v, i) => t + targets!.data[n * V + i]! * (lse - v), 0);
      }),
    ];
  },
  // d logits = g (softmax(logits) Σ targets − targets); d targets = −g logSoftmax(logits)
  vjp([g], { inputs: [logits, targets] }) {
    const column = reshape(g!, [g!.shape[0]!, 1]);
    const pull = mul(softmax(logits!), sum(targets!, -1, true));
    return [mul(column, sub(pull, targets!)), mul(column, neg(logSoftmax(logits!)))];
  },
  cost: streaming,
  simplify: "never",
  decompose: ([logits, targets]) => [neg(sum(mul(targets!, logSoftmax(logits!)), -1))],
  onnx: "decompose",
  stablehlo: "decompose",
  cases: [
    {
      name: "soft targets",
      inputs: [normal([3, 4], 1, 2), uniform([3, 4], 2, 0, 0.5)],
      attrs: {},
    },
  ],
};
/** Cross-entropy of `logits` [N,V] against weights `targets` [N,V], one number a row. */
export const softmaxCrossEntropy = (logits: Tensor, targets: Tensor): Tensor =>
  apply(crossEntropyOp, [logits, targets], {})[0]!;

export const fusedOps = [softmaxOp, logSoftmaxOp, layerNormOp, affineOp, geluOp, crossEntropyOp];
