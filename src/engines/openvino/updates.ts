/** Updates of large state as one pass over memory, for a compiler that would make several. */

import { sameShape, sizeOfShape, type TensorType } from "../../core/shape.js";
import { type Graph, type GraphInput, type GraphOutput, makeGraph } from "../../graph/graph.js";
import { inputTensor, mul, reshape } from "../../graph/ops/index.js";
import { type Node, remakeNode, type Tensor } from "../../graph/tensor.js";
import { overwritable } from "../donation.js";

/** Elements from which on passes over memory count. */
const LARGE = 2 ** 14;

/** Outputs of one shape that share what leads to them, with the element-wise nodes that do. */
interface Update {
  readonly outputs: readonly GraphOutput[];
  readonly nodes: ReadonlyMap<number, Node>;
}

const keyOf = (t: Tensor): string => `${t.node.id}:${t.index}`;
const raised = ({ shape }: TensorType): number[] => [1, ...shape];

/**
 * The graph with its large outputs `over`, which are written over inputs, in one kernel for all that share what leads to
 * them: AdamW's reads a weight, its moments and its gradient once, and writes the first three once. OpenVINO's compiler joins
 * element-wise nodes that read each other into one kernel, but
 * - at most one of a program's outputs: each is a view of what the kernel computes;
 * - not if a node in between seems to come first, by its order, which begins with the program's last output: outputs that
 *   need others come after them;
 * - a gradient's way into f32 with whatever is first, the norm, so that all gradients would be kept in f32: an update has
 *   copies of its nodes, which work with a one before the axes;
 * - what multiplies a view by a constant with what made it: inputs that nothing else reads have that one themselves.
 * An update reads something that other kernels read as well, if need be `one`, a number that only the run knows; else its
 * kernel would share memory with what is computed before it. Outputs that could no longer be written over their inputs stay
 * as they are.
 */
export function joinUpdates(graph: Graph, over: readonly GraphOutput[], one: GraphInput): Graph {
  const names = new Set(over.map(({ name }) => name));
  for (let large = over.filter(({ tensor }) => sizeOfShape(tensor.shape) >= LARGE); ; ) {
    const made = joined(graph, large, names, one);
    const safe = overwritable(made);
    if (large.every(({ name }) => safe.has(name))) return viewed(made, graph);
    large = large.filter(({ name }) => safe.has(name));
  }
}

/** With a one before the axes of outputs whose inputs have it. */
function joined(
  graph: Graph,
  large: readonly GraphOutput[],
  over: ReadonlySet<string>,
  one: GraphInput,
): Graph {
  const readers = readersOf(graph);
  const inputs = new Map(graph.inputs.map((input) => [input.name, input.tensor]));
  const views = new Map<string, Tensor>();
  const results = new Map<string, Tensor>();
  for (const { outputs, nodes } of updatesOf(large)) {
    const isReadElsewhere = ({ node }: Tensor) =>
      (readers.get(node.id) ?? []).some(({ id }) => !nodes.has(id));
    for (const { name, donates = name } of outputs) {
      const source = inputs.get(donates)!;
      if (isReadElsewhere(source)) continue;
      const own = inputTensor(donates, { dtype: source.dtype, shape: raised(source) });
      inputs.set(donates, own);
      views.set(keyOf(source), own);
    }
    const view = (t: Tensor): Tensor => {
      const known = views.get(keyOf(t)) ?? reshape(t, raised(t));
      views.set(keyOf(t), known);
      return known;
    };
    const { shape } = outputs[0]!.tensor;
    const copies = new Map<number, Tensor>();
    const read = (t: Tensor): Tensor => {
      if (!sameShape(t.shape, shape)) return t;
      const node = nodes.get(t.node.id);
      if (node === undefined) return view(t);
      const copy = copies.get(node.id) ?? remakeNode(node, node.inputs.map(read), node.attrs)[0]!;
      copies.set(node.id, copy);
      return copy;
    };
    const scalars = [...nodes.values()].flatMap((node) =>
      node.inputs.filter((t) => sizeOfShape(t.shape) === 1),
    );
    const sharesOne = scalars.some((t) => isKnownByTheRun(t, graph) && isReadElsewhere(t));
    for (const { name, tensor, donates = name } of outputs) {
      const made = sharesOne ? read(tensor) : mul(read(tensor), one.tensor);
      results.set(name, sameShape(inputs.get(donates)!.shape, shape) ? reshape(made, shape) : made);
    }
  }
  return makeGraph(
    [...[...inputs].map(([name, tensor]) => ({ name, tensor })), one],
    graph.outputs.map((output) => {
      const { name, tensor } = output;
      return over.has(name) ? { ...output, tensor: results.get(name) ?? mul(tensor, one.tensor) } : output;
    }),
  );
}

/** `graph` with all outputs of the shapes that they have in `like`, those that need others after them. */
function viewed(graph: Graph, like: Graph): Graph {
  const made = new Map(graph.outputs.map(({ name, tensor }) => [name, tensor]));
  const inOrder = [...like.outputs].sort((a, b) => a.tensor.node.id - b.tensor.node.id);
  const outputs = inOrder.map(({ name, tensor: { shape } }) => {
    const tensor = made.get(name)!;
    return { name, tensor: sameShape(tensor.shape, shape) ? tensor : reshape(tensor, shape) };
  });
  return makeGraph(graph.inputs, outputs);
}

const isKnownByTheRun = ({ node }: Tensor, graph: Graph): boolean =>
  !node.op.traits.includes("source") || graph.inputs.some(({ tensor }) => tensor.node === node);

function readersOf(graph: Graph): Map<number, Node[]> {
  const readers = new Map<number, Node[]>();
  for (const node of graph.nodes)
    for (const t of node.inputs) readers.set(t.node.id, [...(readers.get(t.node.id) ?? []), node]);
  return readers;
}

function updatesOf(outputs: readonly GraphOutput[]): Update[] {
  let found: Update[] = [];
  for (const output of outputs) {
    const { tensor } = output;
    const nodes = new Map([[tensor.node.id, tensor.node]]);
    for (const node of nodes.values()) {
      for (const t of node.inputs) {
        const leads = sameShape(t.shape, tensor.shape) && t.node.op.traits.includes("elementwise");
        if (leads) nodes.set(t.node.id, t.node);
      }
    }
    const related = found.filter((update) => [...update.nodes.keys()].some((id) => nodes.has(id)));
    const all = new Map([...related.flatMap((update) => [...update.nodes]), ...nodes]);
    found = found.filter((update) => !related.includes(update));
    found.push({ outputs: [...related.flatMap((update) => update.outputs), output], nodes: all });
  }
  return found;
}
