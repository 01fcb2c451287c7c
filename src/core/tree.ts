/** Nested parameter trees: leaves in arrays and plain objects, visited in a fixed order. */

import { UsageError } from "./errors.js";

export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> };

/** A tree of the same form with other leaves. */
export type MapTree<S, T, U> = S extends T
  ? U
  : S extends readonly unknown[]
    ? { [K in keyof S]: MapTree<S[K], T, U> }
    : S extends object
      ? { [K in keyof S]: MapTree<S[K], T, U> }
      : never;

export interface Leaf<T> {
  /** Keys joined by dots, e.g. `visual.blocks.0.mlp.weight`; the empty string for a bare leaf. */
  readonly path: string;
  readonly value: T;
}

export interface TreeCodec<T> {
  /** True for leaves; everything else must be an array or a plain object. */
  readonly isLeaf: (value: unknown) => value is T;
}

/** Leaves in order: array order, and insertion order of object keys. */
export function leaves<T>(tree: unknown, isLeaf: (value: unknown) => value is T, prefix = ""): Leaf<T>[] {
  if (isLeaf(tree)) return [{ path: prefix, value: tree }];
  if (tree === null || typeof tree !== "object") {
    throw new UsageError(`tree: leaves must be tensors; got ${String(tree)} at "${prefix}".`);
  }
  const join = (key: string) => (prefix === "" ? key : `${prefix}.${key}`);
  return Object.entries(tree).flatMap(([key, child]) => leaves(child, isLeaf, join(key)));
}

/** The same tree with every leaf replaced by `f(leaf, path)`. */
export function mapTree<T, U, S>(
  tree: S,
  isLeaf: (value: unknown) => value is T,
  f: (value: T, path: string) => U,
  prefix = "",
): MapTree<S, T, U> {
  const join = (key: string) => (prefix === "" ? key : `${prefix}.${key}`);
  const walk = (node: unknown, path: string): unknown => {
    if (isLeaf(node)) return f(node, path);
    if (Array.isArray(node))
      return node.map((child, i) => walk(child, path === "" ? join(String(i)) : `${path}.${i}`));
    if (node === null || typeof node !== "object") {
      throw new UsageError(`tree: leaves must be tensors; got ${String(node)} at "${path}".`);
    }
    return Object.fromEntries(
      Object.entries(node).map(([key, child]) => [
        key,
        walk(child, path === "" ? join(key) : `${path}.${key}`),
      ]),
    );
  };
  return walk(tree, prefix) as MapTree<S, T, U>;
}
