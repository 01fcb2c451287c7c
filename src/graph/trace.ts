/** From functions over nested trees of tensors to graphs, and marking what is computed twice to save memory. */

import { UsageError } from "../core/errors.js";
import { sameType, type TensorType } from "../core/shape.js";
import { leaves, type MapTree, mapTree } from "../core/tree.js";
import { type Graph, type GraphInput, type GraphOutput, makeGraph } from "./graph.js";
import { inputTensor } from "./ops/source.js";
import { isTensor, type Tensor, within } from "./tensor.js";

/** A tree whose leaves are tensor types. */
export type TypeTree = { readonly [key: string]: unknown };

/** The same tree with tensors for types. */
export type Traced<T> = MapTree<T, TensorType, Tensor>;

export const isTensorType = (value: unknown): value is TensorType =>
  typeof value === "object" &&
  value !== null &&
  typeof (value as TensorType).dtype === "string" &&
  Array.isArray((value as TensorType).shape);

/**
 * The graph of `f`. Inputs are named by their paths in `types`, e.g. `params.visual.proj`; outputs by their
 * paths in what `f` returns. `donate` maps an output's path to the input whose memory it takes (default: an
 * output `next.X` takes the memory of an input `X` of the same type).
 */
export function trace<T extends TypeTree, R extends { readonly [key: string]: unknown }>(
  types: T,
  f: (inputs: Traced<T>) => R,
  donate: (output: string) => string | undefined = (path) =>
    path.startsWith("next.") ? path.slice("next.".length) : undefined,
): Graph {
  const inputs: GraphInput[] = [];
  const tensors = mapTree(types, isTensorType, (type, path) => {
    const tensor = inputTensor(path, type);
    inputs.push({ name: path, tensor });
    return tensor;
  });
  const outputs: GraphOutput[] = leaves(f(tensors), isTensor).map(({ path, value }) => {
    const source = donate(path);
    if (source === undefined) return { name: path, tensor: value };
    const target = inputs.find((i) => i.name === source);
    if (target === undefined || !sameType(target.tensor, value)) {
      throw new UsageError(
        `trace: output ${path} (${value}) should take the place of input ${source}, ` +
          `${target === undefined ? "which does not exist" : `which is ${target.tensor}`}.`,
      );
    }
    return { name: path, tensor: value, donates: source };
  });
  return makeGraph(inputs, outputs);
}

let regions = 0;

/**
 * `f` with its intermediates computed again in the backward pass instead of kept: memory for time
 * (Chen et al. 2016, "Training deep nets with sublinear memory cost").
 */
export function rematerialize<A extends readonly unknown[], R>(f: (...args: A) => R): (...args: A) => R {
  return (...args) => within({ name: `remat${regions++}` }, () => f(...args));
}
