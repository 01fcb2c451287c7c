/** Updates of large state as kernels of their own, for a compiler that fuses what it should not. */

import { sameShape, sizeOfShape, type TensorType } from "../../core/shape.js";
import { type Graph, type GraphInput, type GraphOutput, makeGraph } from "../../graph/graph.js";
import { inputTensor, mul, reshape } from "../../graph/ops/index.js";
import { type Node, remakeNode, type Tensor } from "../../graph/tensor.js";
import { overwritable } from "../donation.js";

/** Elements from which on passes over memory count. */
const LARGE = 2 ** 14;

/** An output with the element-wise nodes that make it from what they read. */
interface Update {
  readonly output: GraphOutput;
  readonly nodes: ReadonlyMap<number, Node>;
  /** Tensors of the output's shape that are not made here. */
  readonly reads: ReadonlySet<string>;
  /** Whether others read the input that it is written over. */
  readonly shared: boolean;
  /** How many ones stand before the axes that it is worked on with. */
  readonly depth: number;
}

const keyOf = (t: Tensor): string => `${t.node.id}:${t.index}`;
const withOnes = ({ shape }: TensorType, depth: number): number[] => [...Array(depth).fill(1), ...shape];

/**
 * The graph with each of its outputs `over`, which are written over inputs, in one kernel of its own. OpenVINO's compiler
 * joins element-wise nodes that read each other, but at most one of a program's outputs to a kernel, and what two kernels
 * share becomes a tensor: AdamW's three outputs take sixteen passes over the weights, and each gradient is kept in f32. Here every
 * large output has copies of all element-wise nodes that lead to it, which begin at what no such node made (the gradient
 * as its product left it) or at what another output's kernel writes a second time: twelve passes. The copies have more and more ones before their axes, and
 * so has the input that they are written over; else the compiler would see that they are the same, and join them again.
 * Every output is multiplied by `one`, a number that only the run knows. Outputs that could no longer be written over their inputs
 * stay as they are.
 */
export function separateUpdates(graph: Graph, over: readonly GraphOutput[], one: GraphInput): Graph {
  const large = over.filter(({ tensor }) => sizeOfShape(tensor.shape) >= LARGE);
  const names = new Set(over.map(({ name }) => name));
  for (let kept = large; ; ) {
    const made = rewritten(graph, kept, names, one);
    const safe = overwritable(made);
    const lost = kept.filter(({ name }) => !safe.has(name));
    if (lost.length === 0) return made;
    kept = kept.filter(({ name }) => safe.has(name));
  }
}

function rewritten(
  graph: Graph,
  large: readonly GraphOutput[],
  over: ReadonlySet<string>,
  one: GraphInput,
): Graph {
  const updates = updatesOf(graph, large);
  const byEnd = new Map(updates.map((update) => [keyOf(update.output.tensor), update]));
  const inputs = new Map(graph.inputs.map((input) => [input.name, input.tensor]));
  const views = new Map<string, Tensor>();
  const computed = new Map<Update, Tensor>();

  /** `t` with ones before its axes: one by one, so that each view has one reader of its own and none is a copy. */
  const view = (t: Tensor, depth: number): Tensor => {
    if (depth === 0) return t;
    const key = `${keyOf(t)}:${depth}`;
    const made = views.get(key) ?? reshape(view(t, depth - 1), withOnes(t, depth));
    views.set(key, made);
    return made;
  };

  const compute = (update: Update): Tensor => {
    const known = computed.get(update);
    if (known !== undefined) return known;
    const { output, nodes, shared, depth } = update;
    const source = inputs.get(output.donates!)!;
    const own =
      depth === 0 || shared
        ? undefined
        : inputTensor(output.donates!, { dtype: source.dtype, shape: withOnes(source, depth) });
    const copies = new Map<number, Tensor>();
    const read = (t: Tensor): Tensor => {
      const end = byEnd.get(keyOf(t));
      if (end !== undefined && end !== update) {
        return reshape(compute(end), withOnes(t, depth));
      }
      if (!sameShape(t.shape, output.tensor.shape)) return t;
      const node = nodes.get(t.node.id);
      if (node === undefined) return own !== undefined && t.node === source.node ? own : view(t, depth);
      const copy = copies.get(node.id) ?? remakeNode(node, node.inputs.map(read), node.attrs)[0]!;
      copies.set(node.id, copy);
      return copy;
    };
    const made = read(output.tensor);
    if (own !== undefined) inputs.set(output.donates!, own);
    computed.set(update, made);
    return made;
  };

  const outputs = graph.outputs.map((output) => {
    const update = byEnd.get(keyOf(output.tensor));
    const tensor = update?.output === output ? compute(update) : output.tensor;
    return over.has(output.name) ? { ...output, tensor: mul(tensor, one.tensor) } : output;
  });
  return makeGraph([...[...inputs].map(([name, tensor]) => ({ name, tensor })), one], outputs);
}

/** What makes each output, and at which depth, so that no two that read the same are worked on alike. */
function updatesOf(graph: Graph, outputs: readonly GraphOutput[]): Update[] {
  const ends = new Map(outputs.map((output) => [keyOf(output.tensor), output]));
  const readers = new Map<number, Node[]>();
  for (const node of graph.nodes)
    for (const t of node.inputs) readers.set(t.node.id, [...(readers.get(t.node.id) ?? []), node]);
  const found = [...ends.values()].map((output) => {
    const nodes = new Map([[output.tensor.node.id, output.tensor.node]]);
    const reads = new Set<string>();
    for (const node of nodes.values()) {
      for (const t of node.inputs) {
        if (!sameShape(t.shape, output.tensor.shape)) continue;
        if (t.node.op.traits.includes("elementwise") && !ends.has(keyOf(t))) nodes.set(t.node.id, t.node);
        else reads.add(keyOf(t));
      }
    }
    const source = graph.inputs.find(({ name }) => name === output.donates)!.tensor.node;
    const shared = (readers.get(source.id) ?? []).some((node) => !nodes.has(node.id));
    return { output, nodes, reads, shared };
  });
  const touching = new Map<string, number[]>();
  // What others read keeps its axes.
  const inOrder = [...found].sort((a, b) => Number(b.shared) - Number(a.shared));
  return inOrder.map((update) => {
    const touched = [keyOf(update.output.tensor), ...update.reads];
    const taken = new Set(touched.flatMap((key) => touching.get(key) ?? []));
    let depth = 0;
    while (taken.has(depth)) depth++;
    for (const key of touched) touching.set(key, [...(touching.get(key) ?? []), depth]);
    return { ...update, depth };
  });
}
