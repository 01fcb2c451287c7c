/** Which outputs can be written over the inputs that they take the memory of. */

import type { Graph } from "../graph/graph.js";
import type { Node } from "../graph/tensor.js";

/**
 * Names of donated outputs that an engine without alias analysis can write over their inputs. Every reader of
 * the input must come before the writer (be among what it needs), or the order is not certain; and the writer
 * must go element by element, or it would read what it has overwritten.
 */
export function overwritable(graph: Graph): Set<string> {
  const readers = new Map<number, Node[]>();
  for (const node of graph.nodes) {
    for (const t of node.inputs) readers.set(t.node.id, [...(readers.get(t.node.id) ?? []), node]);
  }
  // Whoever reads a view reads its memory.
  const readersOf = (id: number): Node[] =>
    (readers.get(id) ?? []).flatMap((n) => (n.op.traits.includes("view") ? [n, ...readersOf(n.id)] : [n]));
  const out = new Set<string>();
  for (const { name, tensor, donates } of graph.outputs) {
    const source = graph.inputs.find((i) => i.name === donates)?.tensor.node;
    if (source === undefined) continue;
    const writer = madeBy(tensor.node);
    const passedOn = writer.id === source.id;
    const returned = graph.outputs.some((o) => o.name !== name && o.tensor.node.id === source.id);
    if (returned || !(passedOn || writer.op.traits.includes("elementwise"))) continue;
    const waiting = new Set(readersOf(source.id).map((n) => n.id));
    removeNeeded(writer, waiting);
    if (waiting.size === 0) out.add(name);
  }
  return out;
}

/** What makes the elements that a view shows. */
const madeBy = (node: Node): Node => (node.op.traits.includes("view") ? madeBy(node.inputs[0]!.node) : node);

/** Takes from `ids` every node that `node` needs, and itself; stops when none is left. */
function removeNeeded(node: Node, ids: Set<number>): void {
  const seen = new Set<number>();
  const stack = [node];
  for (let n = stack.pop(); n !== undefined && ids.size > 0; n = stack.pop()) {
    if (seen.has(n.id)) continue;
    seen.add(n.id);
    ids.delete(n.id);
    for (const t of n.inputs) stack.push(t.node);
  }
}
