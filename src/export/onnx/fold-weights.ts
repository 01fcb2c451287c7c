/** What is computed of weights alone, computed once: their other shapes, their factors, what norms make of statistics. */

import { sizeOfShape } from "../../core/shape.js";
import type { Graph, GraphInput } from "../../graph/graph.js";
import { evaluateNode } from "../../graph/interpret.js";
import type { Ref } from "../../graph/op.js";
import { inputTensor } from "../../graph/ops/source.js";
import { type Rule, rewrite } from "../../graph/passes.js";

/** Values of inputs by name, f32. */
export type Weights = Map<string, Float32Array>;

/**
 * The graph with inputs in the place of nodes that read weights and constants alone, and give no more numbers than they read:
 * what is repeated, as over a batch, stays to be done. Values of new inputs are added to `weights`; one that is there
 * already is taken for what it would be.
 */
export function foldWeights(graph: Graph, weights: Weights): Graph {
  const known = new Map<number, () => Ref>();
  for (const { name, tensor } of graph.inputs) {
    const data = weights.get(name);
    if (data === undefined) continue;
    const { dtype, shape } = tensor;
    known.set(tensor.node.id, () => ({ dtype, shape, data: Float64Array.from(data) }));
  }
  const made: GraphInput[] = [];
  const fold: Rule = (node, inputs) => {
    if (node.op.traits.includes("barrier")) return undefined;
    const [first] = node.outputs;
    const isConstant = inputs.length === 0 && node.op.traits.includes("source");
    const size = sizeOfShape(first!.shape);
    if (isConstant && size <= 1024) {
      known.set(node.id, () => evaluateNode(node, [])[0]!);
      return undefined;
    }
    const read = inputs.reduce((n, t) => n + sizeOfShape(t.shape), 0);
    const isKnown = inputs.length > 0 && inputs.every((t) => t.index === 0 && known.has(t.node.id));
    if (!isKnown || node.outputs.length !== 1 || first!.dtype !== "f32" || size > read) return undefined;
    const name = `folded.${made.length}`;
    if (!weights.has(name)) {
      const args = inputs.map((t) => known.get(t.node.id)!());
      weights.set(name, Float32Array.from(evaluateNode(node, args)[0]!.data));
    }
    const tensor = inputTensor(name, { dtype: "f32", shape: first!.shape });
    const data = weights.get(name)!;
    known.set(tensor.node.id, () => ({ dtype: "f32", shape: first!.shape, data: Float64Array.from(data) }));
    made.push({ name, tensor });
    return [tensor];
  };
  return rewrite(graph, fold, made);
}
