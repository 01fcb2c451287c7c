/**
 * Weights in blocks of 32 numbers of 4 bits with a factor each, as ONNX Runtime's MatMulNBits reads them (its contrib
 * operators' documentation): w ≈ (q − 8) · factor, q from 0 to 15. Tables of embeddings and convolutions' kernels, for which
 * there is no such operator, take 8 bits.
 */

import type { OnnxNode, OnnxProgram } from "../../../graph/emit/onnx-program.js";
import { shortTable } from "./int8.js";
import { kernelOf, type Matrix, productOf, toInt8 } from "./matrices.js";
import { type NodeWriter, rewriteNodes } from "./rewrite-nodes.js";

const BLOCK = 32;

export const toBlockProgram = (program: OnnxProgram): OnnxProgram =>
  rewriteNodes(
    program,
    (node, write) => blockProduct(node, write) ?? shortKernel(node, write) ?? shortTable(node, write),
    "q4",
  );

function blockProduct(node: OnnxNode, write: NodeWriter): true | undefined {
  const product = productOf(node, write.known);
  if (product === undefined) return undefined;
  const { x, matrix, bias } = product;
  const { N, K } = matrix;
  const { packed, factors } = inBlocks(matrix);
  const across = Math.ceil(K / BLOCK);
  const inputs = [
    x,
    write.constant("u8", [N, across, BLOCK / 2], packed),
    write.constant("f32", [N * across], factors),
  ];
  const attributes = { K, N, bits: 4, block_size: BLOCK };
  const domain = "com.microsoft" as const;
  const output = node.outputs[0]!;
  if (bias === undefined) write.node("MatMulNBits", inputs, attributes, { domain, outputs: [output] });
  else {
    const plain = write.node("MatMulNBits", inputs, attributes, { domain });
    write.node("Add", [plain, bias], {}, { outputs: [output] });
  }
  return true;
}

/** Two numbers a byte, the first in the low half; a row's last block is filled up with zeros. */
export function inBlocks({ N, K, data }: Matrix): {
  readonly packed: Uint8Array;
  readonly factors: Float32Array;
} {
  const across = Math.ceil(K / BLOCK);
  const packed = new Uint8Array((N * across * BLOCK) / 2);
  const factors = new Float32Array(N * across);
  for (let block = 0; block < N * across; block++) {
    const row = Math.floor(block / across);
    const start = row * K + (block % across) * BLOCK;
    const end = Math.min(start + BLOCK, (row + 1) * K);
    let top = 0;
    for (let i = start; i < end; i++) if (Math.abs(data[i]!) > Math.abs(top)) top = data[i]!;
    // The number of the largest magnitude becomes −8, which has no counterpart.
    const factor = top / -8;
    factors[block] = factor;
    for (let k = 0; k < BLOCK; k++) {
      const value = start + k < end && factor !== 0 ? data[start + k]! / factor : 0;
      const q = Math.min(15, Math.max(0, Math.round(value) + 8));
      packed[(block * BLOCK + k) >> 1]! |= k % 2 === 0 ? q : q << 4;
    }
  }
  return { packed, factors };
}

/** A convolution's kernel in 8 bits, brought back before it is used. */
function shortKernel(node: OnnxNode, write: NodeWriter): true | undefined {
  const kernel = kernelOf(node, write.known);
  if (kernel === undefined) return undefined;
  const { data, factors } = toInt8(kernel.matrix);
  const short = write.constant("i8", kernel.shape, data);
  const factor = write.constant("f32", [factors.length], factors);
  const weights = write.node("DequantizeLinear", [short, factor], { axis: 0 });
  const [x, , ...bias] = node.inputs;
  write.node("Conv", [x!, weights, ...bias], node.attributes, { outputs: node.outputs });
  return true;
}
