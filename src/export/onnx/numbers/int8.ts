/**
 * Weights in 8 bits, as ONNX Runtime quantises dynamically: what comes into a product is brought to bytes by its own range as
 * it comes (DynamicQuantizeLinear), the product is one of whole numbers (MatMulInteger, ConvInteger), and its sums are brought
 * back by a factor for every output channel. Weights have the zero 128: kernels that add signed by unsigned bytes in pairs
 * overflow on processors without VNNI. A stem's and depthwise kernels stay f32.
 */

import { type OnnxNode, type OnnxProgram, onnxDataType } from "../../../graph/emit/onnx-program.js";
import { floatsOf } from "../tensors.js";
import { kernelOf, productOf, toInt8 } from "./matrices.js";
import { type NodeWriter, rewriteNodes } from "./rewrite-nodes.js";

const ZERO = 128;

export const toInt8Program = (program: OnnxProgram): OnnxProgram =>
  rewriteNodes(
    program,
    (node, write) =>
      integerProduct(node, write) ?? integerConvolution(node, write) ?? shortTable(node, write),
    "int8",
  );

/** x in bytes, its factor and its zero; once for all that read it. */
const bytesOf = (write: NodeWriter, x: string): string[] =>
  write.once(`bytes of ${x}`, () => write.split("DynamicQuantizeLinear", [x], 3));

/** The integer sums `sums` brought back, plus `bias` where there is one, under the name `output`. */
function broughtBack(
  write: NodeWriter,
  sums: string,
  factor: string,
  bias: string | undefined,
  output: string,
): true {
  const numbers = write.node("Cast", [sums], { to: onnxDataType.f32 });
  if (bias === undefined) write.node("Mul", [numbers, factor], {}, { outputs: [output] });
  else write.node("Add", [write.node("Mul", [numbers, factor]), bias], {}, { outputs: [output] });
  return true;
}

function integerProduct(node: OnnxNode, write: NodeWriter): true | undefined {
  const product = productOf(node, write.known);
  if (product === undefined) return undefined;
  const { x, matrix, bias } = product;
  const { N, K } = matrix;
  const { data, factors } = toInt8(matrix);
  // [K,N], as the node wants it.
  const columns = new Uint8Array(K * N);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) columns[k * N + n] = data[n * K + k]! + ZERO;
  const [bytes, factor, zero] = bytesOf(write, x) as [string, string, string];
  const weights = write.constant("u8", [K, N], columns);
  const sums = write.node("MatMulInteger", [bytes, weights, zero, write.constant("u8", [], [ZERO])]);
  const both = write.node("Mul", [factor, write.constant("f32", [N], factors)]);
  return broughtBack(write, sums, both, bias, node.outputs[0]!);
}

function integerConvolution(node: OnnxNode, write: NodeWriter): true | undefined {
  const kernel = kernelOf(node, write.known);
  if (kernel === undefined) return undefined;
  const { data, factors } = toInt8(kernel.matrix);
  const [x, , bias] = node.inputs;
  const [bytes, factor, zero] = bytesOf(write, x!) as [string, string, string];
  const weights = write.constant(
    "u8",
    kernel.shape,
    Uint8Array.from(data, (value) => value + ZERO),
  );
  const inputs = [bytes, weights, zero, write.constant("u8", [], [ZERO])];
  const sums = write.node("ConvInteger", inputs, node.attributes);
  const perChannel = [factors.length, ...kernel.shape.slice(2).map(() => 1)];
  const both = write.node("Mul", [factor, write.constant("f32", perChannel, factors)]);
  const known = bias ? write.known(bias) : undefined;
  const shift = known && write.constant("f32", perChannel, floatsOf(known));
  return broughtBack(write, sums, both, shift, node.outputs[0]!);
}

/** A table of embeddings in bytes, a factor a row: the rows that are read are brought back. */
export function shortTable(node: OnnxNode, write: NodeWriter): true | undefined {
  const [table, rows] = node.inputs;
  const tensor = write.known(table ?? "");
  const isTable = node.type === "Gather" && tensor?.dtype === "f32" && tensor.shape.length === 2;
  if (!isTable || write.known(rows!) !== undefined) return undefined;
  const [N, K] = tensor.shape as [number, number];
  const { data, factors } = toInt8({ N, K, data: floatsOf(tensor) });
  const at = (name: string) => write.node("Gather", [name, rows!], { axis: 0 });
  const numbers = write.node("Cast", [at(write.constant("i8", [N, K], data))], { to: onnxDataType.f32 });
  write.node(
    "Mul",
    [numbers, at(write.constant("f32", [N, 1], factors))],
    {},
    { outputs: [node.outputs[0]!] },
  );
  return true;
}
