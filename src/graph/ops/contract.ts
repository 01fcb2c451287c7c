/** Sums of products: matrix products. */

import type { DType } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import { formatType, type Shape, sameShape, sizeOfShape } from "../../core/shape.js";
import type { Arg, OnnxContext } from "../emit/context.js";
import { type Case, contracting, inBf16, normal, type Op } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { cast } from "./compare.js";
import { requireFloat } from "./elementwise.js";
import { transpose } from "./movement.js";

export interface MatmulAttrs {
  readonly transA: boolean;
  readonly transB: boolean;
  /** A's first matrix axis lies outside its batch axes: [M,..,K] (or [K,..,M], transposed). */
  readonly outerA: boolean;
  readonly outerB: boolean;
  /** The product is multiplied by it. */
  readonly alpha: number;
  /** The result's dtype: bf16 operands may accumulate into f32. */
  readonly out: DType;
  readonly [key: string]: boolean | number | string;
}

/** For an operand whose first axis is a matrix axis: the order of axes that brings it inside the batch. */
const inward = (rank: number): number[] => [
  ...Array.from({ length: rank - 2 }, (_, i) => i + 1),
  0,
  rank - 1,
];

/** An operand's shape with its batch axes first. */
const canonical = (shape: Shape, outer: boolean): Shape =>
  outer ? inward(shape.length).map((i) => shape[i]!) : shape;

/** Rows, columns and inner size: M, N, K. */
function sizes(left: Shape, right: Shape, { transA, transB, outerA, outerB }: MatmulAttrs) {
  const a = canonical(left, outerA);
  const b = canonical(right, outerB);
  const [aRows, aColumns] = a.slice(-2) as [number, number];
  const [bRows, bColumns] = b.slice(-2) as [number, number];
  return {
    batch: a.slice(0, -2),
    batchB: b.slice(0, -2),
    M: transA ? aColumns : aRows,
    K: transA ? aRows : aColumns,
    inner: transB ? bColumns : bRows,
    N: transB ? bRows : bColumns,
  };
}

function matmulCases(): Case<MatmulAttrs>[] {
  const cases = [false, true].flatMap((transA) =>
    [false, true].flatMap((transB) => [
      {
        name: `matrices${transA ? ", A transposed" : ""}${transB ? ", B transposed" : ""}`,
        inputs: [normal(transA ? [4, 3] : [3, 4], 1), normal(transB ? [5, 4] : [4, 5], 2)],
        attrs: { transA, transB, outerA: false, outerB: false, alpha: 1, out: "f32" as const },
      },
      {
        name: `batches${transA ? ", A transposed" : ""}${transB ? ", B transposed" : ""}, scaled`,
        inputs: [
          normal(transA ? [2, 2, 4, 3] : [2, 2, 3, 4], 3),
          normal(transB ? [2, 2, 5, 4] : [2, 2, 4, 5], 4),
        ],
        attrs: { transA, transB, outerA: false, outerB: false, alpha: 0.5, out: "f32" as const },
      },
      {
        name: `batches with outer rows${transA ? ", A transposed" : ""}${transB ? ", B transposed" : ""}`,
        inputs: [
          normal(transA ? [4, 2, 2, 3] : [3, 2, 2, 4], 5),
          normal(transB ? [5, 2, 2, 4] : [4, 2, 2, 5], 6),
        ],
        attrs: { transA, transB, outerA: true, outerB: true, alpha: 1, out: "f32" as const },
      },
      {
        name: `batches with one side's outer rows${transA ? ", A transposed" : ""}${transB ? ", B transposed" : ""}`,
        inputs: [
          normal(transA ? [2, 2, 4, 3] : [2, 2, 3, 4], 7),
          normal(transB ? [5, 2, 2, 4] : [4, 2, 2, 5], 8),
        ],
        attrs: { transA, transB, outerA: false, outerB: true, alpha: 1, out: "f32" as const },
      },
    ]),
  );
  return [...cases, ...cases.slice(0, 2).map(inBf16)];
}

const matmulOp: Op<MatmulAttrs> = {
  name: "matmul",
  doc: "alpha · A B over the last two axes: [..,M,K] and [..,K,N] give [..,M,N]; either may come transposed.",
  source: "ONNX Gemm, MatMul; com.microsoft FusedMatMul; StableHLO dot_general",
  traits: ["contraction"],
  infer([a, b], attrs) {
    requireFloat("matmul", a!, b!);
    const fits = a!.shape.length >= 2 && a!.shape.length === b!.shape.length && a!.dtype === b!.dtype;
    const { batch, batchB, M, K, inner, N } = sizes(a!.shape, b!.shape, attrs);
    if (!fits || K !== inner || !sameShape(batch, batchB)) {
      const how = (trans: boolean, outer: boolean) =>
        `${trans ? " transposed" : ""}${outer ? " with outer rows" : ""}`;
      throw new UsageError(
        `matmul: needs [..,M,K] and [..,K,N] with equal leading axes and dtypes; got ${formatType(a!)}` +
          `${how(attrs.transA, attrs.outerA)} and ${formatType(b!)}${how(attrs.transB, attrs.outerB)}.`,
      );
    }
    return [{ dtype: attrs.out, shape: [...batch, M, N] }];
  },
  reference([a, b], attrs, [y]) {
    const { batch, M, K, N } = sizes(a!.shape, b!.shape, attrs);
    const out = new Float64Array(sizeOfShape(y!.shape));
    const S = sizeOfShape(batch);
    for (let s = 0; s < S; s++) {
      for (let i = 0; i < M; i++) {
        for (let j = 0; j < N; j++) {
          let total = 0;
          for (let k = 0; k < K; k++) {
            // Row and column within the operand as it lies.
            const [ar, ac, aw, ah] = attrs.transA ? [k, i, M, K] : [i, k, K, M];
            const [br, bc, bw, bh] = attrs.transB ? [j, k, K, N] : [k, j, N, K];
            const left = a!.data[(attrs.outerA ? ar * S + s : s * ah + ar) * aw + ac]!;
            const right = b!.data[(attrs.outerB ? br * S + s : s * bh + br) * bw + bc]!;
            total += left * right;
          }
          out[s * M * N + i * N + j] = attrs.alpha * total;
        }
      }
    }
    return [out];
  },
  // y = αAB: dA = αgBᵀ, dB = αAᵀg; with A or B transposed, the transposes of these.
  vjp([g], { inputs: [a, b], attrs: { transA, transB, outerA, outerB, alpha } }) {
    const out = a!.dtype;
    const gIn = { x: g!.dtype === out ? g! : cast(g!, out), outer: false };
    const A = { x: a!, outer: outerA };
    const B = { x: b!, outer: outerB };
    const of = (l: typeof A, r: typeof A, transL: boolean, transR: boolean, outer: boolean) => {
      const flags = { transA: transL, transB: transR, outerA: l.outer, outerB: r.outer };
      const d = matmul(l.x, r.x, { ...flags, alpha, out });
      return outer ? transpose(d, outward(d.rank)) : d;
    };
    return [
      transA ? of(B, gIn, transB, true, outerA) : of(gIn, B, false, !transB, outerA),
      transB ? of(gIn, A, true, transA, outerB) : of(A, gIn, !transA, false, outerB),
    ];
  },
  cost(inputs, outputs, attrs) {
    const { K } = sizes(inputs[0]!.shape, inputs[1]!.shape, attrs);
    return contracting(sizeOfShape(outputs[0]!.shape) * K, inputs, outputs);
  },
  // A transposition of an operand is a flag here, and costs nothing.
  simplify([a, b], attrs) {
    const left = operandOf(a!, attrs.transA, attrs.outerA);
    const right = operandOf(b!, attrs.transB, attrs.outerB);
    if (left.x === a && right.x === b) return undefined;
    const flags = { transA: left.trans, outerA: left.outer, transB: right.trans, outerB: right.outer };
    return [matmul(left.x, right.x, { ...attrs, ...flags })];
  },
  decompose: "primitive",
  onnx(b, [x, y], { transA, transB, outerA, outerB, alpha }) {
    const bit = (flag: boolean) => (flag ? 1 : 0);
    const flags = { transA: bit(transA), transB: bit(transB) };
    if (x!.shape.length === 2 && b.dialect.prefersGemm)
      return b.node("Gemm", [x!.name, y!.name], { ...flags, alpha: { float: alpha } });
    if (!transA && !transB && !outerA && !outerB && alpha === 1) return b.node("MatMul", [x!.name, y!.name]);
    if (b.dialect.fused.includes("FusedMatMul")) {
      return b.node(
        "FusedMatMul",
        [x!.name, y!.name],
        { ...flags, transBatchA: bit(outerA), transBatchB: bit(outerB), alpha: { float: alpha } },
        { domain: "com.microsoft" },
      );
    }
    const product = b.node("MatMul", [plain(b, x!, transA, outerA), plain(b, y!, transB, outerB)]);
    return alpha === 1 ? product : b.node("Mul", [product[0]!, b.scalar(x!.dtype, alpha)]);
  },
  stablehlo(b, [x, y], { transA, transB, outerA, outerB, alpha }, [out]) {
    const rank = x!.shape.length;
    const batch = (outer: boolean) =>
      Array.from({ length: rank - 2 }, (_, i) => (outer ? i + 1 : i)).join(", ");
    const rows = (outer: boolean) => (outer ? 0 : rank - 2);
    const contract = `[${transA ? rows(outerA) : rank - 1}] x [${transB ? rank - 1 : rows(outerB)}]`;
    const precision = x!.dtype === "f32" ? ", precision = [HIGHEST, HIGHEST]" : "";
    const product = b.emit(
      `stablehlo.dot_general ${x!.name}, ${y!.name}, batching_dims = [${batch(outerA)}] x [${batch(outerB)}], ` +
        `contracting_dims = ${contract}${precision} : (${b.typeOf(x!)}, ${b.typeOf(y!)}) -> ${b.typeOf(out!)}`,
    );
    if (alpha === 1) return [product];
    const scale = b.broadcast(
      b.arg(b.constant({ dtype: out!.dtype, shape: [] }, alpha), { dtype: out!.dtype, shape: [] }),
      out!.shape,
    );
    return [b.emit(`stablehlo.multiply ${product}, ${scale} : ${b.typeOf(out!)}`)];
  },
  cases: matmulCases(),
};

/** alpha · A B over the last two axes; `out` defaults to A's dtype. Leading axes must be equal. */
export const matmul = (
  a: Tensor,
  b: Tensor,
  {
    transA = false,
    transB = false,
    outerA = false,
    outerB = false,
    alpha = 1,
    out = a.dtype,
  }: Partial<MatmulAttrs> = {},
): Tensor => apply(matmulOp, [a, b], { transA, transB, outerA, outerB, alpha, out })[0]!;

/** The reverse of `inward`. */
const outward = (rank: number): number[] => [
  rank - 2,
  ...Array.from({ length: rank - 2 }, (_, i) => i),
  rank - 1,
];

/** `x`, or what it was transposed from where the flags can say so. */
function operandOf(x: Tensor, trans: boolean, outer: boolean): { x: Tensor; trans: boolean; outer: boolean } {
  const { op, attrs, inputs } = x.node;
  const permutation = attrs.permutation as readonly number[] | undefined;
  if (!op.traits.includes("movement") || permutation === undefined || outer) return { x, trans, outer };
  const is = (axes: readonly number[]) => axes.every((axis, i) => permutation[i] === axis);
  const rank = x.rank;
  const swapped = [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2];
  if (is(swapped)) return { x: inputs[0]!, trans: !trans, outer };
  return rank > 2 && is(inward(rank)) ? { x: inputs[0]!, trans, outer: true } : { x, trans, outer };
}

/** The operand with its batch axes first and not transposed, where flags cannot say how it lies. */
function plain(b: OnnxContext, { name, shape }: Arg, trans: boolean, outer: boolean): string {
  const axes = outer ? inward(shape.length) : shape.map((_, i) => i);
  const perm = trans ? [...axes.slice(0, -2), axes[axes.length - 1]!, axes[axes.length - 2]!] : axes;
  return perm.every((axis, i) => axis === i) ? name : b.node("Transpose", [name], { perm })[0]!;
}

export const contractOps = [matmulOp];
