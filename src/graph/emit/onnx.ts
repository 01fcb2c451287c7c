/** A graph as an ONNX program. Knows no operation by name: every node lowers itself. */

import { encode, sizeOf } from "../../core/dtype.js";
import { InternalError, Unsupported } from "../../core/errors.js";
import { sizeOfShape, type TensorType } from "../../core/shape.js";
import { freshNames, type Graph } from "../graph.js";
import type { Arg, OnnxContext } from "./context.js";
import { type OnnxDialect, onnxRuntimeDialect } from "./dialect.js";
import {
  type OnnxNode,
  type OnnxProgram,
  type OnnxTensor,
  type OnnxValue,
  onnxDataType,
  writeOnnx,
} from "./onnx-program.js";

/** Bytes of a ModelProto for the engine that `dialect` describes. Inputs and outputs carry the graph's names; throws `Unsupported`. */
export function emitOnnx(graph: Graph, dialect: OnnxDialect = onnxRuntimeDialect()): Uint8Array {
  const program = lowerToOnnx(graph, dialect);
  // ONNX Runtime executes depth first from the outputs and visits a node's inputs by descending index: with the
  // nodes written last to first, earlier work is done earlier, and a gradient is used where it is made.
  return writeOnnx({ ...program, nodes: program.nodes.toReversed() });
}

/** The graph in ONNX's operators, as `dialect` has them; nodes stand after those that they read. Throws `Unsupported`. */
export function lowerToOnnx(graph: Graph, dialect: OnnxDialect): OnnxProgram {
  const nodes: OnnxNode[] = [];
  const constants = new Map<string, OnnxTensor>();
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
      constants.set(name, { dtype, shape, bytes });
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

  const describe = ({ name, tensor }: { name: string; tensor: TensorType }): OnnxValue => ({
    name,
    dtype: tensor.dtype,
    shape: tensor.shape,
  });
  const rename = (name: string): string => renamed.get(name) ?? name;
  return {
    inputs: graph.inputs.map(describe),
    outputs: graph.outputs.map(describe),
    nodes: nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    })),
    constants,
  };
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
