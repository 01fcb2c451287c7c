/** Sums of products: matrix products. */

import type { DType } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import { formatType, type Shape, sameShape, sizeOfShape } from "../../core/shape.js";
import { type Case, contracting, inBf16, normal, type Op } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { cast, requireFloat } from "./elementwise.js";

export interface MatmulAttrs {
  readonly transA: boolean;
  readonly transB: boolean;
  /** The product is multiplied by it. */
  readonly alpha: number;
  /** The result's dtype: bf16 operands may accumulate into f32. */
  readonly out: DType;
  readonly [key: string]: boolean | number | string;
}

/** Rows, columns and inner size: M, N, K. */
function sizes(a: Shape, b: Shape, { transA, transB }: MatmulAttrs) {
  const [aRows, aColumns] = a.slice(-2) as [number, number];
  const [bRows, bColumns] = b.slice(-2) as [number, number];
  return {
    batch: a.slice(0, -2),
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
        attrs: { transA, transB, alpha: 1, out: "f32" as const },
      },
      {
        name: `batches${transA ? ", A transposed" : ""}${transB ? ", B transposed" : ""}, scaled`,
        inputs: [
          normal(transA ? [2, 2, 4, 3] : [2, 2, 3, 4], 3),
          normal(transB ? [2, 2, 5, 4] : [2, 2, 4, 5], 4),
        ],
        attrs: { transA, transB, alpha: 0.5, out: "f32" as const },
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
    const { batch, M, K, inner, N } = sizes(a!.shape, b!.shape, attrs);
    if (!fits || K !== inner || !sameShape(batch, b!.shape.slice(0, -2))) {
      throw new UsageError(
        `matmul: needs [..,M,K] and [..,K,N] with equal leading axes and dtypes; got ${formatType(a!)}` +
          `${attrs.transA ? " transposed" : ""} and ${formatType(b!)}${attrs.transB ? " transposed" : ""}.`,
      );
    }
    return [{ dtype: attrs.out, shape: [...batch, M, N] }];
  },
  reference([a, b], attrs, [y]) {
    const { batch, M, K, N } = sizes(a!.shape, b!.shape, attrs);
    const out = new Float64Array(sizeOfShape(y!.shape));
    for (let s = 0; s < sizeOfShape(batch); s++) {
      for (let i = 0; i < M; i++) {
        for (let j = 0; j < N; j++) {
          let total = 0;
          for (let k = 0; k < K; k++) {
            const left = a!.data[s * M * K + (attrs.transA ? k * M + i : i * K + k)]!;
            const right = b!.data[s * K * N + (attrs.transB ? j * K + k : k * N + j)]!;
            total += left * right;
          }
          out[s * M * N + i * N + j] = attrs.alpha * total;
        }
      }
    }
    return [out];
  },
  // y = αAB: dA = αgBᵀ, dB = αAᵀg; with A or B transposed, the transposes of these.
  vjp([g], { inputs: [a, b], attrs: { transA, transB, alpha } }) {
    const out = a!.dtype;
    const of = (x: Tensor, y: Tensor, tx: boolean, ty: boolean) =>
      matmul(x, y, { transA: tx, transB: ty, alpha, out });
    const gIn = g!.dtype === out ? g! : cast(g!, out);
    return [
      transA ? of(b!, gIn, transB, true) : of(gIn, b!, false, !transB),
      transB ? of(gIn, a!, true, transA) : of(a!, gIn, !transA, false),
    ];
  },
  cost(inputs, outputs, attrs) {
    const { K } = sizes(inputs[0]!.shape, inputs[1]!.shape, attrs);
    return contracting(sizeOfShape(outputs[0]!.shape) * K, inputs, outputs);
  },
  simplify: "never",
  decompose: "primitive",
  onnx(b, [x, y], { transA, transB, alpha }) {
    const flags = { transA: transA ? 1 : 0, transB: transB ? 1 : 0 };
    if (x!.shape.length === 2)
      return b.node("Gemm", [x!.name, y!.name], { ...flags, alpha: { float: alpha } });
    if (!transA && !transB && alpha === 1) return b.node("MatMul", [x!.name, y!.name]);
    return b.node(
      "FusedMatMul",
      [x!.name, y!.name],
      { ...flags, alpha: { float: alpha } },
      { domain: "com.microsoft" },
    );
  },
  stablehlo(b, [x, y], { transA, transB, alpha }, [out]) {
    const rank = x!.shape.length;
    const batch = Array.from({ length: rank - 2 }, (_, i) => i).join(", ");
    const contract = `[${transA ? rank - 2 : rank - 1}] x [${transB ? rank - 1 : rank - 2}]`;
    const precision = x!.dtype === "f32" ? ", precision = [HIGHEST, HIGHEST]" : "";
    const product = b.emit(
      `stablehlo.dot_general ${x!.name}, ${y!.name}, batching_dims = [${batch}] x [${batch}], ` +
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
  { transA = false, transB = false, alpha = 1, out = a.dtype }: Partial<MatmulAttrs> = {},
): Tensor => apply(matmulOp, [a, b], { transA, transB, alpha, out })[0]!;

export const contractOps = [matmulOp];
