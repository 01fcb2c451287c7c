/**
 * Attention and its gradient: each one kernel of cuDNN's on NVIDIA's devices, in bf16, and a few products and a
 * softmax elsewhere.
 */

import { UsageError } from "../../core/errors.js";
import { formatType, sameShape, sizeOfShape, type TensorType } from "../../core/shape.js";
import { type Case, type CaseInput, contracting, given, normal, type Op, type Ref } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { cast, lessEqual, where } from "./compare.js";
import { matmul } from "./contract.js";
import { cudnnAttention, cudnnFits } from "./cudnn.js";
import { add, exp, log, mul, requireFloat, sub } from "./elementwise.js";
import { softmax } from "./fused.js";
import { reshape } from "./movement.js";
import { max, sum } from "./reduce.js";
import { constant, iota } from "./source.js";

interface AttentionAttrs {
  /** Query i sees keys 0 … i only. */
  readonly causal: boolean;
  /** Scores are multiplied by it. */
  readonly scale: number;
  readonly [key: string]: boolean | number;
}

/** f32[T,T]: 0 where query (row) may see key (column), −∞ elsewhere. */
function causalBias(T: number): Tensor {
  const row = iota("i32", [T, T], 0);
  const column = iota("i32", [T, T], 1);
  const blocked = constant(Number.NEGATIVE_INFINITY, { shape: [] });
  return where(lessEqual(column, row), constant(0, { shape: [] }), blocked);
}

/** scale · Q Kᵀ in f32, −∞ where a query may not look: [B,H,T,T]. */
function scoresOf(q: Tensor, k: Tensor, { causal, scale }: AttentionAttrs): Tensor {
  const scores = matmul(q, k, { transB: true, alpha: scale, out: "f32" });
  return causal ? add(scores, causalBias(q.shape[2]!)) : scores;
}

const oneType = (types: readonly TensorType[]): boolean =>
  types.every((t) => t.dtype === types[0]!.dtype && sameShape(t.shape, types[0]!.shape));

/** Rows of softmax(scale · Q Kᵀ) of one head, and the logarithm of what each was divided by. */
function weightsOf(q: Ref, k: Ref, { causal, scale }: AttentionAttrs, base: number) {
  const [, , T, D] = q.shape as [number, number, number, number];
  return Array.from({ length: T }, (_, i) => {
    const scores = Float64Array.from({ length: causal ? i + 1 : T }, (_, j) => {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += q.data[base + i * D + d]! * k.data[base + j * D + d]!;
      return dot * scale;
    });
    const top = Math.max(...scores);
    const total = scores.reduce((n, s) => n + Math.exp(s - top), 0);
    return { weights: scores.map((s) => Math.exp(s - top) / total), logSum: top + Math.log(total) };
  });
}

function attend([q, k, v]: readonly Ref[], attrs: AttentionAttrs): [Float64Array, Float64Array] {
  const [B, H, T, D] = q!.shape as [number, number, number, number];
  const out = new Float64Array(sizeOfShape(q!.shape));
  const statistics = new Float64Array(B * H * T);
  for (let head = 0; head < B * H; head++) {
    const base = head * T * D;
    weightsOf(q!, k!, attrs, base).forEach(({ weights, logSum }, i) => {
      statistics[head * T + i] = logSum;
      weights.forEach((w, j) => {
        for (let d = 0; d < D; d++) out[base + i * D + d]! += w * v!.data[base + j * D + d]!;
      });
    });
  }
  return [out, statistics];
}

const inputs = (seed: number): CaseInput[] => [0, 1, 2].map((i) => normal([2, 2, 5, 4], seed + i));
const masks = [false, true].map((causal) => ({
  name: causal ? "causal" : "all to all",
  attrs: { causal, scale: 0.5 },
}));

/** The same in bf16, of a head size that cuDNN has: on a GPU, these are cases of its kernels. */
const asBf16 = (types: readonly CaseInput[]): CaseInput[] =>
  types.map(({ shape, data }) => given("bf16", shape, [...data]));
const kernelInputs = (seed: number): CaseInput[] =>
  asBf16([0, 1, 2].map((i) => normal([2, 2, 40, 8], seed + i)));

const attentionOp: Op<AttentionAttrs> = {
  name: "attention",
  doc: "softmax(scale · Q Kᵀ) V: three times [B,H,T,D] give [B,H,T,D] and log Σ e^score of each query, f32[B,H,T].",
  source: "Vaswani et al. 2017; cuDNN SDPA",
  traits: ["contraction"],
  infer([q, k, v]) {
    requireFloat("attention", q!, k!, v!);
    if (q!.shape.length !== 4 || !oneType([q!, k!, v!])) {
      throw new UsageError(
        `attention: needs queries, keys and values of one type [B,H,T,D]; got ${[q!, k!, v!].map(formatType).join(", ")}.`,
      );
    }
    return [
      { dtype: q!.dtype, shape: q!.shape },
      { dtype: "f32", shape: q!.shape.slice(0, 3) },
    ];
  },
  reference: (refs, attrs) => attend(refs, attrs),
  vjp([g, ofStatistics], { inputs: [q, k, v], outputs: [y, statistics], attrs }) {
    if (g === undefined || ofStatistics !== undefined) return "decompose";
    return apply(attentionGradientOp, [q!, k!, v!, y!, statistics!, g], attrs);
  },
  cost(types, outputs) {
    const [B, H, T, D] = types[0]!.shape as [number, number, number, number];
    return contracting(2 * B * H * T * T * D, types, outputs);
  },
  simplify: "never",
  // In bf16, too, scores and softmax are in f32, as in the kernel.
  decompose([q, k, v], attrs) {
    const scores = scoresOf(q!, k!, attrs);
    const top = max(scores, -1, true);
    const statistics = add(log(sum(exp(sub(scores, top)), -1)), reshape(top, q!.shape.slice(0, 3)));
    return [matmul(cast(softmax(scores), q!.dtype), v!), statistics];
  },
  onnx: "decompose",
  stablehlo: {
    kernel: "cuDNN",
    fits: cudnnFits,
    rounded: [0, 1, 2],
    lower: (b, args, attrs, outputs) => cudnnAttention(b, "forward", args, attrs, outputs),
  },
  cases: masks.flatMap(({ name, attrs }) => [
    { name, inputs: inputs(1), attrs },
    { name: `${name}, bf16`, inputs: kernelInputs(1), attrs, smooth: false },
  ]),
};

/** Inputs of the gradient that belong together: y and the statistics are those of q, k and v. */
function gradientInputs([q, k, v, g]: readonly CaseInput[], attrs: AttentionAttrs): CaseInput[] {
  const { dtype, shape } = q!;
  const [y, statistics] = attend([q!, k!, v!], attrs);
  return [...[q!, k!, v!], given(dtype, shape, [...y]), given("f32", shape.slice(0, 3), [...statistics]), g!];
}

/**
 * Gradient of `attention` from its inputs, results and the cotangent of y. The kernel makes the weights again from
 * the statistics; the decomposition makes them from the scores, which engines share with the forward pass.
 */
const attentionGradientOp: Op<AttentionAttrs> = {
  name: "attentionGradient",
  doc: "Cotangents of Q, K and V of `attention`, from Q, K, V, y, its statistics f32[B,H,T] and the cotangent of y: all else [B,H,T,D].",
  source: "Dao et al. 2022, algorithm 4; cuDNN SDPA backward",
  traits: ["contraction"],
  infer([q, k, v, y, statistics, g]) {
    const all = [q!, k!, v!, y!, g!];
    requireFloat("attentionGradient", ...all);
    const rows: TensorType = { dtype: "f32", shape: q!.shape.slice(0, 3) };
    if (q!.shape.length !== 4 || !oneType(all) || !oneType([statistics!, rows])) {
      throw new UsageError(
        `attentionGradient: needs five times [B,H,T,D] of one type and statistics f32[B,H,T]; got ${[...all, statistics!].map(formatType).join(", ")}.`,
      );
    }
    return [q!, k!, v!].map(({ dtype, shape }) => ({ dtype, shape }));
  },
  // With P the weights: dV = Pᵀ g, dS = P ⊙ (g Vᵀ − rows of Σ P ⊙ g Vᵀ), dQ = scale · dS K, dK = scale · dSᵀ Q.
  reference([q, k, v, , , g], attrs) {
    const [B, H, T, D] = q!.shape as [number, number, number, number];
    const [dq, dk, dv] = [0, 1, 2].map(() => new Float64Array(sizeOfShape(q!.shape)));
    for (let head = 0; head < B * H; head++) {
      const base = head * T * D;
      weightsOf(q!, k!, attrs, base).forEach(({ weights }, i) => {
        const row = base + i * D;
        const pulls = weights.map((_, j) => {
          let dot = 0;
          for (let d = 0; d < D; d++) dot += g!.data[row + d]! * v!.data[base + j * D + d]!;
          return dot;
        });
        const mean = weights.reduce((n, w, j) => n + w * pulls[j]!, 0);
        weights.forEach((w, j) => {
          const column = base + j * D;
          const ds = attrs.scale * w * (pulls[j]! - mean);
          for (let d = 0; d < D; d++) {
            dv![column + d]! += w * g!.data[row + d]!;
            dq![row + d]! += ds * k!.data[column + d]!;
            dk![column + d]! += ds * q!.data[row + d]!;
          }
        });
      });
    }
    return [dq!, dk!, dv!];
  },
  vjp: "decompose",
  // Four products, and the scores once more.
  cost(types, outputs) {
    const [B, H, T, D] = types[0]!.shape as [number, number, number, number];
    return contracting(5 * B * H * T * T * D, types, outputs);
  },
  simplify: "never",
  decompose([q, k, v, , , g], attrs) {
    const { dtype } = q!;
    const weights = softmax(scoresOf(q!, k!, attrs));
    const weighted = mul(matmul(g!, v!, { transB: true, out: "f32" }), weights);
    const ds = cast(sub(weighted, mul(weights, sum(weighted, -1, true))), dtype);
    return [
      matmul(ds, k!, { alpha: attrs.scale }),
      matmul(ds, q!, { transA: true, alpha: attrs.scale }),
      matmul(cast(weights, dtype), g!, { transA: true }),
    ];
  },
  onnx: "decompose",
  stablehlo: {
    kernel: "cuDNN",
    fits: cudnnFits,
    rounded: [0, 1, 2, 3, 5],
    lower(b, [q, k, v, y, statistics, g], attrs, outputs) {
      return cudnnAttention(b, "backward", [q!, k!, v!, statistics!, g!, y!], attrs, outputs);
    },
  },
  cases: masks.flatMap(({ name, attrs }): Case<AttentionAttrs>[] => [
    { name, inputs: gradientInputs([...inputs(1), normal([2, 2, 5, 4], 4)], attrs), attrs },
    {
      name: `${name}, bf16`,
      inputs: gradientInputs([...kernelInputs(1), ...kernelInputs(4).slice(0, 1)], attrs),
      attrs,
      smooth: false,
    },
  ]),
};

/** Attention of `q`, `k`, `v` [B,H,T,D]; `scale` defaults to 1/√D. */
export const attention = (
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { causal = false, scale = 1 / Math.sqrt(q.shape[3] ?? 1) }: Partial<AttentionAttrs> = {},
): Tensor => apply(attentionOp, [q, k, v], { causal, scale })[0]!;

export const attentionOps = [attentionOp, attentionGradientOp];
