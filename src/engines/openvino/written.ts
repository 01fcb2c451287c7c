/** How a graph is changed for OpenVINO's compiler, so that its state is written where it lies. */

import type { TensorType } from "../../core/shape.js";
import { type Graph, makeGraph } from "../../graph/graph.js";
import { inputTensor } from "../../graph/ops/index.js";
import { overwritable } from "../donation.js";
import { joinUpdates } from "./updates.js";

/** The input that is a one which only the run knows. */
const ONE = "clipwright.one";
export const scalar: TensorType = { dtype: "f32", shape: [] };

/**
 * The graph as OpenVINO gets it: without inputs that nothing reads, which its reader drops, and without outputs that
 * are inputs; those that are left in another order. What can be written over an input (`inPlace`) is computed from something
 * with several readers, where it has nothing of the kind from a one that only the run knows: so it is written where the input
 * lies, and OpenVINO does not let it share its memory with what is computed before, while the input is still being read.
 * Large state is updated in one pass over memory (`joinUpdates`). Inputs may have a one before their axes.
 */
export function asWritten(graph: Graph): { written: Graph; inPlace: ReadonlySet<string> } {
  const computed = graph.outputs.filter(({ tensor }) => passedOn(graph, tensor.node.id) === undefined);
  const candidates = overwritable(graph);
  const over = computed.filter(({ name, tensor }) => candidates.has(name) && tensor.dtype === "f32");
  const one = { name: ONE, tensor: inputTensor(ONE, scalar) };
  // A single one would have the operand for itself.
  const inPlace = over.length > 1 ? over : [];
  const { inputs, outputs, nodes } = joinUpdates(makeGraph(graph.inputs, computed), inPlace, one);
  const read = new Set(nodes.flatMap((node) => node.inputs.map((t) => t.node.id)));
  return {
    written: makeGraph(
      inputs.filter(({ tensor }) => read.has(tensor.node.id)),
      outputs,
    ),
    inPlace: new Set(inPlace.map(({ name }) => name)),
  };
}

/** The name of the input that node `id` is. */
export const passedOn = (graph: Graph, id: number): string | undefined =>
  graph.inputs.find(({ tensor }) => tensor.node.id === id)?.name;
