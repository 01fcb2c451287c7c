/** Rewrites that keep a graph's meaning. They ask records and traits, never names. */

import { sizeOfShape } from "../core/shape.js";
import { type Graph, type GraphInput, makeGraph } from "./graph.js";
import { evaluateNode } from "./interpret.js";
import { type AnyOp, type Attrs, type DeviceKind, kernelFor, type Ref } from "./op.js";
import { constant } from "./ops/source.js";
import { cloneNode, type Node, outputsOf, type Tensor } from "./tensor.js";

/** A node rewritten to other outputs, or undefined to keep it (with its inputs rewritten). */
export type Rule = (node: Node, inputs: readonly Tensor[]) => readonly Tensor[] | undefined;

/**
 * Applies `rule` to every node in order; what it writes is seen by later nodes, not by itself. New inputs of the graph it puts
 * into `added`.
 */
export function rewrite(graph: Graph, rule: Rule, added: readonly GraphInput[] = []): Graph {
  const mapped = new Map<number, readonly Tensor[]>();
  const read = (t: Tensor): Tensor => mapped.get(t.node.id)?.[t.index] ?? t;
  const inputIds = new Set(graph.inputs.map((i) => i.tensor.node.id));
  for (const node of graph.nodes) {
    if (inputIds.has(node.id)) continue;
    const inputs = node.inputs.map(read);
    const changed = inputs.some((t, i) => t !== node.inputs[i]);
    mapped.set(node.id, rule(node, inputs) ?? (changed ? cloneNode(node, inputs) : outputsOf(node)));
  }
  return makeGraph(
    [...graph.inputs, ...added],
    graph.outputs.map((o) => ({ ...o, tensor: read(o.tensor) })),
  );
}

const isBarrier = (op: AnyOp): boolean => op.traits.includes("barrier");

/** Nodes that compute the same from the same become one; inputs of commutative operations may swap. */
export function shareSubexpressions(graph: Graph): Graph {
  const seen = new Map<string, Tensor[]>();
  return rewrite(graph, (node, inputs) => {
    if (isBarrier(node.op)) return undefined;
    const args = inputs.map((t) => `${t.node.id}:${t.index}`);
    if (node.op.traits.includes("commutative")) args.sort();
    const key = `${node.op.name}(${args.join()})${attrsKey(node.attrs)}`;
    const known = seen.get(key);
    if (known !== undefined) return known;
    const kept = inputs.some((t, i) => t !== node.inputs[i]) ? cloneNode(node, inputs) : outputsOf(node);
    seen.set(key, kept);
    return kept;
  });
}

const attrsKey = (attrs: Attrs): string =>
  Object.entries(attrs)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === "object" ? Array.from(value as ArrayLike<number>).join() : Object.is(value, -0) ? "-0" : String(value)}`,
    )
    .join(";");

/** Results of up to this many elements are computed before the program runs. */
const FOLD_LIMIT = 4096;

/** Nodes whose inputs are all constants become constants, when they are small. */
export function foldConstants(graph: Graph): Graph {
  const known = new Map<number, Ref[]>();
  return rewrite(graph, (node, inputs) => {
    if (isBarrier(node.op) || node.outputs.some((t) => sizeOfShape(t.shape) > FOLD_LIMIT)) return undefined;
    const args = inputs.map((t) => known.get(t.node.id)?.[t.index]);
    if (args.some((a) => a === undefined)) return undefined;
    const values = evaluateNode(node, args as Ref[]);
    const isSource = node.op.traits.includes("source");
    const tensors = isSource
      ? outputsOf(node)
      : values.map(({ dtype, shape, data }) => {
          const splat = data.length > 1 && data.every((v) => v === data[0]);
          return constant(splat || shape.length === 0 ? data[0]! : [...data], { dtype, shape });
        });
    tensors.forEach((t, i) => {
      const held = known.get(t.node.id) ?? [];
      held[t.index] = values[i]!;
      known.set(t.node.id, held);
    });
    return tensors;
  });
}

/** Each record's own simplification, where it has one. */
export function simplify(graph: Graph): Graph {
  return rewrite(graph, (node, inputs) =>
    node.op.simplify === "never" ? undefined : node.op.simplify(inputs, node.attrs),
  );
}

/** Nodes whose lowering for `target` is "decompose", or to a kernel that `device` lacks, taken apart. */
export function decomposeFor(graph: Graph, target: "onnx" | "stablehlo", device?: DeviceKind): Graph {
  let again = true;
  let current = graph;
  while (again) {
    again = false;
    current = rewrite(current, (node, inputs) => {
      const { op, attrs } = node;
      const lowering = op[target];
      const whole =
        typeof lowering === "function" || (target === "stablehlo" && kernelFor(op, device, inputs, attrs));
      if (whole || op.decompose === "primitive" || isUnsupported(lowering)) return undefined;
      again = true;
      return op.decompose(inputs, attrs);
    });
  }
  return current;
}

const isUnsupported = (lowering: AnyOp["onnx"] | AnyOp["stablehlo"]): boolean =>
  typeof lowering === "object" && "unsupported" in lowering;

/** What every engine wants done before it lowers a graph. */
export function optimize(graph: Graph, target: "onnx" | "stablehlo", device?: DeviceKind): Graph {
  let current = decomposeFor(graph, target, device);
  for (let before = -1; before !== current.nodes.length; ) {
    before = current.nodes.length;
    current = shareSubexpressions(simplify(foldConstants(current)));
  }
  return current;
}
