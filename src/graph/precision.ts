/** Mixed precision as a rewriting of a whole program, gradients included: models and losses know nothing of it. */

import { InternalError } from "../core/errors.js";
import type { Graph } from "./graph.js";
import { cast } from "./ops/compare.js";
import { rewrite } from "./passes.js";
import { type Node, remakeNode } from "./tensor.js";

export interface PrecisionPolicy {
  /**
   * What products leave behind. `f32` (default): their full sums. `bf16`: their sums rounded, which halves the
   * memory of activations and of what is kept for the backward pass, as PyTorch's autocast does.
   */
  readonly results?: "f32" | "bf16";
}

/**
 * The graph with the operands of matrix products and convolutions in bf16. Their sums are accumulated in f32;
 * everything else stays in f32: reductions, normalizations, softmax, losses, the optimizer and the weights,
 * which are rounded where they enter a product. Meant for the whole step, after `gradients`: the products of
 * the backward pass are rounded in the same way. bf16 has the range of f32, so that no loss scaling is needed.
 */
export function mixedPrecision(graph: Graph, { results = "f32" }: PrecisionPolicy = {}): Graph {
  return rewrite(unfuse(graph), (node, inputs) => {
    if (!isProduct(node)) return undefined;
    if (!("out" in node.attrs)) {
      throw new InternalError(`mixedPrecision: ${node.op.name} contracts but has no dtype for its result`);
    }
    const rounded = inputs.map((t) => (t.dtype === "f32" ? cast(t, "bf16") : t));
    return remakeNode(node, rounded, { ...node.attrs, out: results }).map((t) => cast(t, "f32"));
  });
}

const isProduct = (node: Node): boolean =>
  node.op.traits.includes("contraction") && node.outputs[0]!.dtype === "f32";

/** Fused operations that hold products taken apart: what lies between the products is to stay in f32. */
function unfuse(graph: Graph): Graph {
  let current = graph;
  for (let again = true; again; ) {
    again = false;
    current = rewrite(current, (node, inputs) => {
      if (!isProduct(node) || node.op.decompose === "primitive") return undefined;
      again = true;
      return node.op.decompose(inputs, node.attrs);
    });
  }
  return current;
}
