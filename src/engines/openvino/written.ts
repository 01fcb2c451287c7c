/** How a graph is changed for OpenVINO's compiler, so that its state is written where it lies. */

import type { TensorType } from "../../core/shape.js";
import { type Graph, makeGraph } from "../../graph/graph.js";
import { inputTensor, mul } from "../../graph/ops/index.js";
import { overwritable } from "../donation.js";

/** The input that is a one which only the run knows. */
const ONE = "clipwright.one";
export const scalar: TensorType = { dtype: "f32", shape: [] };

/**
 * The graph as OpenVINO gets it: without inputs that nothing reads, which its reader drops, and without outputs that
 * are inputs. What can be written over an input (`inPlace`) is multiplied by a one that only the run knows. So it has
 * one reader, the output, and is written where that lies; and its kernel has an operand with several readers, so that
 * OpenVINO does not let it share its memory with what is computed before, while the input is still being read.
 */
export function asWritten(graph: Graph): { written: Graph; inPlace: ReadonlySet<string> } {
  const computed = graph.outputs.filter(({ tensor }) => passedOn(graph, tensor.node.id) === undefined);
  const candidates = overwritable(graph);
  const over = computed.filter(({ name, tensor }) => candidates.has(name) && tensor.dtype === "f32");
  // A single one would have the operand for itself.
  const inPlace = new Set(over.length > 1 ? over.map(({ name }) => name) : []);
  const one = inputTensor(ONE, scalar);
  const outputs = computed.map((output) =>
    inPlace.has(output.name) ? { ...output, tensor: mul(output.tensor, one) } : output,
  );
  const inputs = [...graph.inputs, { name: ONE, tensor: one }];
  const { nodes } = makeGraph(inputs, outputs);
  const read = new Set(nodes.flatMap((node) => node.inputs.map((t) => t.node.id)));
  return {
    written: makeGraph(
      inputs.filter(({ tensor }) => read.has(tensor.node.id)),
      outputs,
    ),
    inPlace,
  };
}

/** The name of the input that node `id` is. */
export const passedOn = (graph: Graph, id: number): string | undefined =>
  graph.inputs.find(({ tensor }) => tensor.node.id === id)?.name;
