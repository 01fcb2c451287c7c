/** Reverse-mode differentiation: a walk from the loss back over the nodes, each asked for its `vjp`. */

import { isFloat } from "../core/dtype.js";
import { InternalError, UsageError } from "../core/errors.js";
import { formatType, sizeOfShape } from "../core/shape.js";
import { cast } from "./ops/compare.js";
import { add } from "./ops/elementwise.js";
import { alias, barrier } from "./ops/movement.js";
import { unbroadcast } from "./ops/reduce.js";
import { constant } from "./ops/source.js";
import { cloneNode, type Node, outputsOf, type Region, type Tensor, within } from "./tensor.js";

const keyOf = (tensor: Tensor): string => `${tensor.node.id}:${tensor.index}`;

/**
 * Gradients of the scalar `loss` with respect to each of `wrt`, of the same shapes and dtypes. A tensor that
 * the loss does not depend on gets zeros. Throws `UsageError` where an operation on the way has no gradient.
 */
export function gradients(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (sizeOfShape(loss.shape) !== 1 || !isFloat(loss.dtype)) {
    throw new UsageError(`gradients: the loss must be one floating-point number; got ${formatType(loss)}.`);
  }
  const one = constant(1, { dtype: loss.dtype, shape: loss.shape });
  return cotangents(new Map([[loss, one]]), wrt);
}

/**
 * Cotangents of `wrt` from cotangents of `outputs`: the vector–Jacobian product of everything between; zeros where
 * no output depends on it.
 */
export function cotangents(outputs: ReadonlyMap<Tensor, Tensor>, wrt: readonly Tensor[]): Tensor[] {
  return pullBack(outputs, wrt).map(
    (g, i) => g ?? constant(0, { dtype: wrt[i]!.dtype, shape: wrt[i]!.shape }),
  );
}

/** As `cotangents`, but undefined where no output depends on a tensor. */
function pullBack(outputs: ReadonlyMap<Tensor, Tensor>, wrt: readonly Tensor[]): (Tensor | undefined)[] {
  return within(undefined, () => {
    const needed = nodesBetween([...outputs.keys()], wrt);
    const sums = new Map<string, Tensor>();
    const accumulate = (tensor: Tensor, g: Tensor) => {
      const shaped = unbroadcast(g.dtype === tensor.dtype ? g : cast(g, tensor.dtype), tensor.shape);
      const before = sums.get(keyOf(tensor));
      sums.set(keyOf(tensor), before === undefined ? shaped : add(before, shaped));
    };
    for (const [tensor, g] of outputs) accumulate(tensor, g);
    const recompute = makeRecompute();

    for (const node of needed) {
      const own = outputsOf(node);
      const g = own.map((t) => sums.get(keyOf(t)));
      if (g.every((x) => x === undefined)) continue;
      const reached = node.inputs.map((t) => isFloat(t.dtype));
      if (!reached.some(Boolean) || node.op.traits.includes("source")) continue;
      const { vjp } = node.op;
      if (vjp === "zero") continue;
      if (typeof vjp === "object") {
        throw new UsageError(
          `gradients: ${node.op.name} has no gradient: ${vjp.notDifferentiable}` +
            `${node.site === undefined ? "" : ` (written at ${node.site})`}.`,
        );
      }
      const after = g.find((x) => x !== undefined)!;
      const seen = (t: Tensor) => recompute(t, node.region, after);
      const context = { inputs: node.inputs.map(seen), outputs: own.map(seen), attrs: node.attrs };
      const rule = vjp === "decompose" ? vjp : vjp(g, context);
      const found = rule === "decompose" ? viaDecomposition(node, g, context) : rule;
      found.forEach((dx, i) => {
        if (dx !== undefined && reached[i]) accumulate(node.inputs[i]!, dx);
      });
    }
    return wrt.map((t) => sums.get(keyOf(t)));
  });
}

/** Each slot has a stand-in of its own: a tensor may fill several, and slots may depend on each other. */
function viaDecomposition(
  node: Node,
  g: readonly (Tensor | undefined)[],
  { inputs }: { inputs: readonly Tensor[] },
): (Tensor | undefined)[] {
  const { decompose } = node.op;
  if (decompose === "primitive") throw new InternalError(`${node.op.name}: its vjp wants a decomposition`);
  const slots = inputs.map(alias);
  const outputs = decompose(slots, node.attrs);
  const seeds = outputs.flatMap((t, i) => (g[i] === undefined ? [] : [[t, g[i]] as const]));
  return pullBack(new Map(seeds), slots);
}

/** Nodes on a path from `wrt` to `outputs`, latest first; of `wrt` itself, those that depend on another of it. */
function nodesBetween(outputs: readonly Tensor[], wrt: readonly Tensor[]): Node[] {
  const reached = new Map<number, Node>();
  const stack = outputs.map((t) => t.node);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (reached.has(node.id)) continue;
    reached.set(node.id, node);
    for (const t of node.inputs) stack.push(t.node);
  }
  const ascending = [...reached.values()].sort((a, b) => a.id - b.id);
  const depends = new Set(wrt.map((t) => t.node.id));
  const between = ascending.filter((node) => {
    const reads = node.inputs.some((t) => depends.has(t.node.id));
    if (reads) depends.add(node.id);
    return reads;
  });
  return between.reverse();
}

/**
 * Values as the backward pass of `region` reads them: those made inside the region are made again from what
 * entered it, behind a barrier, so that no engine keeps or merges the first copies.
 */
function makeRecompute(): (t: Tensor, region: Region | undefined, after: Tensor) => Tensor {
  const caches = new Map<Region, Map<number, Tensor[]>>();
  return (tensor, region, after) => {
    if (region === undefined) return tensor;
    let cache = caches.get(region);
    if (cache === undefined) {
      cache = new Map();
      caches.set(region, cache);
    }
    const made = cache;
    const again = (t: Tensor): Tensor => {
      const known = made.get(t.node.id);
      if (known !== undefined) return known[t.index]!;
      if (t.node.region !== region) {
        // Programs' constants cost nothing to keep.
        if (
          t.node.op.traits.includes("source") &&
          t.node.inputs.length === 0 &&
          t.node.attrs.value !== undefined
        )
          return t;
        const held = outputsOf(t.node);
        held[t.index] = barrier(t, after);
        made.set(t.node.id, held);
        return held[t.index]!;
      }
      const clone = cloneNode(t.node, t.node.inputs.map(again));
      made.set(t.node.id, clone);
      return clone[t.index]!;
    };
    return again(tensor);
  };
}
