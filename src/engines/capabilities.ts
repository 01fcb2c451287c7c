/** What an engine must be able to do for a graph, checked before anything is lowered. */

import { Unsupported } from "../core/errors.js";
import { formatType } from "../core/shape.js";
import type { Graph } from "../graph/graph.js";
import type { Capabilities } from "./engine.js";

/**
 * Throws `Unsupported`, with the operation and where it was written, when the graph holds a dtype that the
 * engine lacks, contracts in one that it cannot compute in, or is written for another number of replicas.
 */
export function requireCapabilities(engine: string, has: Capabilities, graph: Graph): void {
  for (const { op, inputs, outputs, attrs, site } of graph.nodes) {
    const strange = [...inputs, ...outputs].find((t) => !has.dtypes.includes(t.dtype));
    if (strange !== undefined) {
      throw new Unsupported(
        `${engine}: has no ${strange.dtype}; got ${op.name} with ${formatType(strange)}. Compute in f32 or use another engine.`,
        op.name,
        site,
      );
    }
    const product = op.traits.includes("contraction")
      ? inputs.find((t) => !has.computeDtypes.includes(t.dtype))
      : undefined;
    if (product !== undefined) {
      throw new Unsupported(
        `${engine}: cannot compute ${op.name} of ${formatType(product)}. Compute in ${has.computeDtypes.join(" or ")}.`,
        op.name,
        site,
      );
    }
    const wide = op.traits.includes("contraction") && inputs.some((t) => t.dtype === "bf16");
    const left = wide ? outputs.find((t) => !has.bf16Results.includes(t.dtype)) : undefined;
    if (left !== undefined) {
      throw new Unsupported(
        `${engine}: its products of bf16 leave ${has.bf16Results.join(" or ")}; got ${op.name} into ${formatType(left)}. ` +
          "Use --precision bf16-results, or f32.",
        op.name,
        site,
      );
    }
    if (op.traits.includes("collective") && attrs.replicas !== has.replicas) {
      throw new Unsupported(
        `${engine}: runs ${has.replicas} replica${has.replicas === 1 ? "" : "s"} of a program; got ${op.name} ` +
          `over ${attrs.replicas}. Write the graph for as many as the engine has.`,
        op.name,
        site,
      );
    }
  }
}
