/** Weights of products, however a node holds them. */

import { InternalError } from "../../../core/errors.js";
import type { OnnxNode, OnnxTensor } from "../../../graph/emit/onnx-program.js";
import { floatsOf } from "../tensors.js";

/** A matrix [N,K], row-major: N sums of K products each. */
export interface Matrix {
  readonly N: number;
  readonly K: number;
  readonly data: Float32Array;
}

/** Products shorter than this keep their weights: nothing is won, and their share of the error is large. */
const SHORTEST = 16;

/** The product of a matrix that is known: x [M,K] times its transpose, plus `bias` [N]. */
export interface Product {
  readonly x: string;
  readonly matrix: Matrix;
  readonly bias: string | undefined;
}

/** The product that `node` is, if its matrix is a constant that is worth another form. */
export function productOf(
  node: OnnxNode,
  known: (name: string) => OnnxTensor | undefined,
): Product | undefined {
  const [x, w, bias] = node.inputs;
  const tensor = known(w ?? "");
  if ((node.type !== "Gemm" && node.type !== "MatMul") || tensor?.dtype !== "f32") return undefined;
  const { transA = 0, transB = 0, alpha } = node.attributes;
  const scaled = typeof alpha === "object" && "float" in alpha && alpha.float !== 1;
  if (tensor.shape.length !== 2 || transA !== 0 || scaled) return undefined;
  const [rows, columns] = tensor.shape as [number, number];
  const data = floatsOf(tensor);
  const matrix = transB === 1 ? { N: rows, K: columns, data } : transposed(data, rows, columns);
  return matrix.K < SHORTEST ? undefined : { x: x!, matrix, bias: bias || undefined };
}

/** The transpose of a matrix [rows,columns] as one of `columns` sums. */
function transposed(from: Float32Array, rows: number, columns: number): Matrix {
  const data = new Float32Array(from.length);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) data[j * rows + i] = from[i * columns + j]!;
  return { N: columns, K: rows, data };
}

/** A kernel [O,I,h,w] of a convolution as a matrix [O,I·h·w]; undefined where it is of groups, or of few channels, as a stem's. */
export function kernelOf(
  node: OnnxNode,
  known: (name: string) => OnnxTensor | undefined,
): { readonly matrix: Matrix; readonly shape: readonly number[] } | undefined {
  const tensor = known(node.inputs[1] ?? "");
  if (node.type !== "Conv" || tensor?.dtype !== "f32") return undefined;
  const { group = 1 } = node.attributes;
  const [O, I, ...sides] = tensor.shape as [number, number, ...number[]];
  if (group !== 1 || I < SHORTEST) return undefined;
  const K = sides.reduce((n, side) => n * side, I);
  return { matrix: { N: O, K, data: floatsOf(tensor) }, shape: tensor.shape };
}

/** The largest magnitude of every row. */
export function rowMaxima({ N, K, data }: Matrix): Float32Array {
  return Float32Array.from({ length: N }, (_, row) => {
    let top = 0;
    for (let k = row * K; k < (row + 1) * K; k++) top = Math.max(top, Math.abs(data[k]!));
    return top;
  });
}

/** Rows in whole numbers from −127 to 127, and the factor of each row: w ≈ q · factor. */
export function toInt8(matrix: Matrix): { readonly data: Int8Array; readonly factors: Float32Array } {
  const { N, K } = matrix;
  const factors = rowMaxima(matrix).map((top) => (top === 0 ? 1 : top / 127));
  const data = new Int8Array(N * K);
  for (let i = 0; i < data.length; i++) {
    const factor = factors[Math.floor(i / K)];
    if (factor === undefined) throw new InternalError("toInt8: a row without a factor");
    data[i] = Math.round(matrix.data[i]! / factor);
  }
  return { data, factors };
}
