/** Mixed precision as a rewriting of a whole program, gradients included: models and losses know nothing of it. */

import { InternalError } from "../core/errors.js";
import type { Graph } from "./graph.js";
import { type DeviceKind, kernelFor } from "./op.js";
import { cast } from "./ops/compare.js";
import { rewrite } from "./passes.js";
import { type Node, remakeNode, type Tensor } from "./tensor.js";

export interface PrecisionPolicy {
  /**
   * What products leave behind. `f32` (default): their full sums. `bf16`: their sums rounded, which halves the
   * memory of activations and of what is kept for the backward pass, as PyTorch's autocast does.
   */
  readonly results?: "f32" | "bf16" | undefined;
  /**
   * What the graph is for. Fused operations for which it has a kernel in bf16 stay whole. Default: none does, and
   * softmax between two products is in f32.
   */
  readonly device?: DeviceKind | undefined;
}

/**
 * The graph with the operands of matrix products and convolutions in bf16. Their sums are accumulated in f32;
 * everything else stays in f32: reductions, normalizations, softmax, losses, the optimizer and the weights,
 * which are rounded where they enter a product. Meant for the whole step, after `gradients`: the products of
 * the backward pass are rounded in the same way. bf16 has the range of f32, so that no loss scaling is needed.
 */
export function mixedPrecision(graph: Graph, { results = "f32", device }: PrecisionPolicy = {}): Graph {
  return rewrite(unfuse(graph, device), (node, inputs) => {
    if (!isProduct(node)) return undefined;
    const kernel = kernelIn(node, inputs, device);
    const rounded = inputs.map((t, i) =>
      t.dtype === "f32" && (kernel === undefined || kernel.rounded.includes(i)) ? cast(t, "bf16") : t,
    );
    if (kernel !== undefined) return remakeNode(node, rounded, node.attrs).map((t) => cast(t, "f32"));
    if (!("out" in node.attrs)) {
      throw new InternalError(`mixedPrecision: ${node.op.name} contracts but has no dtype for its result`);
    }
    return remakeNode(node, rounded, { ...node.attrs, out: results }).map((t) => cast(t, "f32"));
  });
}

const isProduct = (node: Node): boolean =>
  node.op.traits.includes("contraction") && node.outputs[0]!.dtype === "f32";

/** The kernel of `device` that takes the node with its operands rounded. */
function kernelIn({ op, attrs }: Node, inputs: readonly Tensor[], device: DeviceKind | undefined) {
  const { stablehlo } = op;
  if (typeof stablehlo !== "object" || !("kernel" in stablehlo)) return undefined;
  const rounded = inputs.map(({ shape, dtype }, i) => ({
    shape,
    dtype: stablehlo.rounded.includes(i) ? ("bf16" as const) : dtype,
  }));
  return kernelFor(op, device, rounded, attrs);
}

/** Fused operations that hold products taken apart: what lies between the products is to stay in f32. */
function unfuse(graph: Graph, device: DeviceKind | undefined): Graph {
  let current = graph;
  for (let again = true; again; ) {
    again = false;
    current = rewrite(current, (node, inputs) => {
      const { decompose } = node.op;
      if (!isProduct(node) || decompose === "primitive" || kernelIn(node, inputs, device)) return undefined;
      again = true;
      return decompose(inputs, node.attrs);
    });
  }
  return current;
}
