/**
 * An ONNX program as data, and as the bytes of a model (onnx.proto of ONNX 1.16, IR version 9, opset 20, and ONNX
 * Runtime's `com.microsoft` operators).
 */

import type { DType } from "../../core/dtype.js";
import type { Shape } from "../../core/shape.js";
import type { OnnxAttribute, OnnxDomain } from "./context.js";
import { ProtoWriter } from "./protobuf.js";

/** Dtypes of tensors in a model: a graph's, and those of quantised weights. */
export type OnnxDType = DType | "i8";

/** TensorProto.DataType */
export const onnxDataType: Readonly<Record<OnnxDType, number>> = {
  f32: 1,
  u8: 2,
  i8: 3,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  bf16: 16,
};

/** AttributeProto.AttributeType */
const attributeType = { float: 1, int: 2, string: 3, ints: 7 } as const;

const OPSET = 20;
const IR_VERSION = 9;

/** A tensor that the model holds, its elements in row-major order, little-endian. */
export interface OnnxTensor {
  readonly dtype: OnnxDType;
  readonly shape: Shape;
  readonly bytes: Uint8Array;
}

export interface OnnxNode {
  readonly type: string;
  /** An empty name means "left out". */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: { readonly [name: string]: OnnxAttribute };
  readonly domain?: OnnxDomain | undefined;
}

/** An input or an output. A dimension with a name is free; the same name is the same size. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly (number | string)[];
}

export interface OnnxProgram {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  /** By name. */
  readonly constants: ReadonlyMap<string, OnnxTensor>;
}

/** Bytes of a ModelProto, its nodes in the program's order. */
export function writeOnnx(program: OnnxProgram): Uint8Array {
  const body = new ProtoWriter();
  for (const node of program.nodes) body.message(1, nodeProto(node));
  body.string(2, "clipwright");
  for (const [name, { dtype, shape, bytes }] of program.constants) {
    const tensor = new ProtoWriter();
    for (const d of shape) tensor.int(1, d);
    body.message(5, tensor.int(2, onnxDataType[dtype]).string(8, name).bytes(9, bytes));
  }
  for (const value of program.inputs) body.message(11, valueInfo(value));
  for (const value of program.outputs) body.message(12, valueInfo(value));

  const model = new ProtoWriter()
    .int(1, IR_VERSION)
    .string(2, "clipwright")
    .message(7, body)
    .message(8, new ProtoWriter().string(1, "").int(2, OPSET));
  for (const domain of new Set(program.nodes.flatMap((node) => node.domain ?? [])))
    model.message(8, new ProtoWriter().string(1, domain).int(2, 1));
  return model.finish();
}

function nodeProto(node: OnnxNode): ProtoWriter {
  const proto = new ProtoWriter();
  for (const name of node.inputs) proto.string(1, name);
  for (const name of node.outputs) proto.string(2, name);
  proto.string(4, node.type);
  for (const [name, value] of Object.entries(node.attributes)) proto.message(5, attribute(name, value));
  if (node.domain !== undefined) proto.string(7, node.domain);
  return proto;
}

function attribute(name: string, value: OnnxAttribute): ProtoWriter {
  const proto = new ProtoWriter().string(1, name);
  if (typeof value === "number") return proto.int(3, value).int(20, attributeType.int);
  if (typeof value === "string") return proto.string(4, value).int(20, attributeType.string);
  if ("float" in value) return proto.float(2, value.float).int(20, attributeType.float);
  for (const item of value) proto.int(8, item);
  return proto.int(20, attributeType.ints);
}

function valueInfo({ name, dtype, shape }: OnnxValue): ProtoWriter {
  const dimensions = new ProtoWriter();
  for (const d of shape)
    dimensions.message(
      1,
      typeof d === "number" ? new ProtoWriter().int(1, d) : new ProtoWriter().string(2, d),
    );
  const tensor = new ProtoWriter().int(1, onnxDataType[dtype]).message(2, dimensions);
  return new ProtoWriter().string(1, name).message(2, new ProtoWriter().message(1, tensor));
}
