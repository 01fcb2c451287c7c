/**
 * Writes a graph as an ONNX model (onnx.proto of ONNX 1.16, IR version 9, opset 20, and ONNX Runtime's
 * `com.microsoft` operators). Knows no operation by name: every node lowers itself.
 */

import { type DType, encode, sizeOf } from "../../core/dtype.js";
import { InternalError, Unsupported } from "../../core/errors.js";
import { sizeOfShape, type TensorType } from "../../core/shape.js";
import { freshNames, type Graph } from "../graph.js";
import type { Arg, OnnxAttribute, OnnxContext } from "./context.js";
import { type OnnxDialect, onnxRuntimeDialect } from "./dialect.js";
import { ProtoWriter } from "./protobuf.js";

/** TensorProto.DataType */
const onnxDataType: Record<DType, number> = {
  f32: 1,
  u8: 2,
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

/** Bytes of a ModelProto for the engine that `dialect` describes. Inputs and outputs carry the graph's names; throws `Unsupported`. */
export function emitOnnx(graph: Graph, dialect: OnnxDialect = onnxRuntimeDialect()): Uint8Array {
  const nodes: PlainNode[] = [];
  const initializers = new Map<string, ProtoWriter>();
  const shared = new Map<string, string>();
  // Inputs and outputs have their own names in the model: `v0` may be one of them.
  const fresh = freshNames([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  const computed = new Set<string>();

  const context: OnnxContext = {
    dialect,
    node(type, inputs, attributes = {}, options = {}) {
      const outputs = Array.from({ length: options.outputs ?? 1 }, () => fresh("v"));
      for (const name of outputs) computed.add(name);
      nodes.push({ type, inputs: [...inputs], outputs, attributes, domain: options.domain });
      return outputs;
    },
    cast: (input, dtype) => context.node("Cast", [input], { to: onnxDataType[dtype] })[0]!,
    constant(dtype, shape, values) {
      const data = encode(dtype, values);
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length * sizeOf(dtype));
      const key = bytes.length > 256 ? undefined : `${dtype}[${shape.join()}]${bytes.join()}`;
      const known = key === undefined ? undefined : shared.get(key);
      if (known !== undefined) return known;
      const name = fresh("c");
      const tensor = new ProtoWriter();
      for (const d of shape) tensor.int(1, d);
      tensor.int(2, onnxDataType[dtype]).string(8, name).bytes(9, bytes);
      initializers.set(name, tensor);
      if (key !== undefined) shared.set(key, name);
      return name;
    },
    ints(values) {
      return context.constant("i64", [values.length], values);
    },
    scalar(dtype, value) {
      return context.constant(dtype, [], [value]);
    },
  };

  const names = new Map<string, string>();
  const nameOf = (id: number, index: number): string => {
    const name = names.get(`${id}:${index}`);
    if (name === undefined) throw new InternalError(`onnx: node ${id} is used before it is written`);
    return name;
  };
  for (const input of graph.inputs) names.set(`${input.tensor.node.id}:0`, input.name);

  const scalarsForMany = scalarsOfTensors(graph);
  for (const node of graph.nodes) {
    if (names.has(`${node.id}:0`)) continue;
    const { onnx } = node.op;
    if (typeof onnx !== "function") {
      const why = onnx === "decompose" ? "it was not decomposed first" : onnx.unsupported;
      throw new Unsupported(`onnx: ${node.op.name} cannot be written; ${why}.`, node.op.name, node.site);
    }
    const args: Arg[] = node.inputs.map((t) => ({
      name: nameOf(t.node.id, t.index),
      dtype: t.dtype,
      shape: t.shape,
    }));
    const outputs = onnx(context, args, node.attrs, node.outputs);
    if (outputs.length !== node.outputs.length) {
      throw new InternalError(`onnx: ${node.op.name} gave ${outputs.length} names`);
    }
    outputs.forEach((name, i) => {
      const apart =
        dialect.mergesReaders && scalarsForMany.has(node.id) && node.op.traits.includes("elementwise");
      names.set(`${node.id}:${i}`, apart ? unmerged(context, name) : name);
    });
  }

  // A graph output is its source under another name; an input, a constant or a second output of one source is
  // copied by an Identity.
  const renamed = new Map<string, string>();
  for (const { name, tensor } of graph.outputs) {
    const source = nameOf(tensor.node.id, tensor.index);
    if (computed.has(source) && !renamed.has(source)) renamed.set(source, name);
    else
      nodes.push({ type: "Identity", inputs: [source], outputs: [name], attributes: {}, domain: undefined });
  }

  const body = new ProtoWriter();
  // ONNX Runtime executes depth first from the outputs and visits a node's inputs by descending index: with the
  // nodes written last to first, earlier work is done earlier, and a gradient is used where it is made.
  for (const node of nodes.reverse())
    body.message(
      1,
      nodeProto(node, (name) => renamed.get(name) ?? name),
    );
  body.string(2, "clipwright");
  for (const tensor of initializers.values()) body.message(5, tensor);
  for (const { name, tensor } of graph.inputs) body.message(11, valueInfo(name, tensor));
  for (const { name, tensor } of graph.outputs) body.message(12, valueInfo(name, tensor));

  const model = new ProtoWriter()
    .int(1, IR_VERSION)
    .string(2, "clipwright")
    .message(7, body)
    .message(8, new ProtoWriter().string(1, "").int(2, OPSET));
  for (const domain of new Set(nodes.flatMap((node) => node.domain ?? [])))
    model.message(8, new ProtoWriter().string(1, domain).int(2, 1));
  return model.finish();
}

/** Ids of nodes that give a single number to readers that give more. */
function scalarsOfTensors(graph: Graph): Set<number> {
  const out = new Set<number>();
  for (const { inputs, outputs } of graph.nodes) {
    if (sizeOfShape(outputs[0]!.shape) === 1) continue;
    for (const t of inputs) if (sizeOfShape(t.shape) === 1) out.add(t.node.id);
  }
  return out;
}

/** The number `name` behind a node that no compiler fuses with what reads it: its running sum. */
function unmerged(b: OnnxContext, name: string): string {
  const line = b.node("Reshape", [name, b.ints([1])])[0]!;
  return b.node("CumSum", [line, b.constant("i32", [], [0])])[0]!;
}

interface PlainNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: { readonly [name: string]: OnnxAttribute };
  readonly domain: string | undefined;
}

function nodeProto(node: PlainNode, rename: (name: string) => string): ProtoWriter {
  const proto = new ProtoWriter();
  for (const name of node.inputs) proto.string(1, rename(name));
  for (const name of node.outputs) proto.string(2, rename(name));
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

function valueInfo(name: string, type: TensorType): ProtoWriter {
  const shape = new ProtoWriter();
  for (const d of type.shape) shape.message(1, new ProtoWriter().int(1, d));
  const tensor = new ProtoWriter().int(1, onnxDataType[type.dtype]).message(2, shape);
  return new ProtoWriter().string(1, name).message(2, new ProtoWriter().message(1, tensor));
}
