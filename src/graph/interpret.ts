/** Runs a graph by the records' references: plain loops in float64, the oracle for every engine. */

import { InternalError, UsageError } from "../core/errors.js";
import { formatType, sizeOfShape } from "../core/shape.js";
import type { Graph } from "./graph.js";
import type { CollectiveOp, Ref } from "./op.js";
import type { Node } from "./tensor.js";

/** Outputs by name, from inputs by name. Slow; meant for tests and small constants. */
export function interpret(
  graph: Graph,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
): Record<string, Ref> {
  return interpretReplicas(graph, [inputs])[0]!;
}

/** Outputs of every replica of a program from the inputs of every replica. */
export function interpretReplicas(
  graph: Graph,
  inputs: readonly Readonly<Record<string, ArrayLike<number>>>[],
): Record<string, Ref>[] {
  const values = inputs.map((own) => readInputs(graph, own));
  for (const node of graph.nodes) {
    if (values[0]!.has(node.id)) continue;
    const args = values.map((v) => node.inputs.map((t) => v.get(t.node.id)![t.index]!));
    const results = node.op.traits.includes("collective")
      ? evaluateAcross(node, args)
      : args.map((own) => evaluateNode(node, own));
    values.forEach((v, r) => {
      v.set(node.id, results[r]!);
    });
  }
  return values.map((v) =>
    Object.fromEntries(
      graph.outputs.map(({ name, tensor }) => [name, v.get(tensor.node.id)![tensor.index]!]),
    ),
  );
}

function readInputs(graph: Graph, inputs: Readonly<Record<string, ArrayLike<number>>>): Map<number, Ref[]> {
  const values = new Map<number, Ref[]>();
  for (const { name, tensor } of graph.inputs) {
    const data = inputs[name];
    if (data === undefined || data.length !== sizeOfShape(tensor.shape)) {
      throw new UsageError(
        `interpret: input ${name} needs ${sizeOfShape(tensor.shape)} numbers for ${formatType(tensor)}; got ${data?.length ?? "none"}.`,
      );
    }
    values.set(tensor.node.id, [{ dtype: tensor.dtype, shape: tensor.shape, data: Float64Array.from(data) }]);
  }
  return values;
}

/** The outputs of one node by its reference. */
export const evaluateNode = (node: Node, args: readonly Ref[]): Ref[] =>
  checked(node, node.op.reference(args, node.attrs, node.outputs));

/** The outputs of a node in which replicas meet, for each of them. */
function evaluateAcross(node: Node, args: readonly (readonly Ref[])[]): Ref[][] {
  if (node.attrs.replicas !== args.length) {
    throw new UsageError(
      `interpret: ${node.op.name} is over ${String(node.attrs.replicas)} replicas; got inputs of ${args.length}.`,
    );
  }
  const op = node.op as CollectiveOp;
  return op.across(args, node.attrs, node.outputs).map((own) => checked(node, own));
}

function checked(node: Node, results: readonly Float64Array[]): Ref[] {
  return node.outputs.map((type, i) => {
    const data = results[i];
    if (data === undefined || data.length !== sizeOfShape(type.shape)) {
      throw new InternalError(
        `${node.op.name}: the reference gives ${data?.length ?? "no"} numbers for ${formatType(type)}`,
      );
    }
    return { dtype: type.dtype, shape: type.shape, data };
  });
}
