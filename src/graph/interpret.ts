/** Runs a graph by the records' references: plain loops in float64, the oracle for every engine. */

import { InternalError, UsageError } from "../core/errors.js";
import { formatType, sizeOfShape } from "../core/shape.js";
import type { Graph } from "./graph.js";
import type { Ref } from "./op.js";
import type { Node } from "./tensor.js";

/** Outputs by name, from inputs by name. Slow; meant for tests and small constants. */
export function interpret(
  graph: Graph,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
): Record<string, Ref> {
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
  for (const node of graph.nodes) {
    if (values.has(node.id)) continue;
    const args = node.inputs.map((t) => values.get(t.node.id)![t.index]!);
    values.set(node.id, evaluateNode(node, args));
  }
  return Object.fromEntries(
    graph.outputs.map(({ name, tensor }) => [name, values.get(tensor.node.id)![tensor.index]!]),
  );
}

/** The outputs of one node by its reference. */
export function evaluateNode(node: Node, args: readonly Ref[]): Ref[] {
  const results = node.op.reference(args, node.attrs, node.outputs);
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
