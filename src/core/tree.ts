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

const childPath = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);

/** Leaves in order: array order, and insertion order of object keys. */
export function leaves<T>(tree: unknown, isLeaf: (value: unknown) => value is T, prefix = ""): Leaf<T>[] {
  if (isLeaf(tree)) return [{ path: prefix, value: tree }];
  if (tree === null || typeof tree !== "object") {
    throw new UsageError(`tree: leaves must be tensors; got ${String(tree)} at "${prefix}".`);
  }
  return Object.entries(tree).flatMap(([key, child]) => leaves(child, isLeaf, childPath(prefix, key)));
}

/** The same tree with every leaf replaced by `f(leaf, path)`. */
export function mapTree<T, U, S>(
  tree: S,
  isLeaf: (value: unknown) => value is T,
  f: (value: T, path: string) => U,
): MapTree<S, T, U> {
  const walk = (node: unknown, path: string): unknown => {
    if (isLeaf(node)) return f(node, path);
    if (node === null || typeof node !== "object") {
      throw new UsageError(`tree: leaves must be tensors; got ${String(node)} at "${path}".`);
    }
    const children = Object.entries(node).map(
      ([key, child]) => [key, walk(child, childPath(path, key))] as const,
    );
    return Array.isArray(node) ? children.map(([, child]) => child) : Object.fromEntries(children);
  };
  return walk(tree, "") as MapTree<S, T, U>;
}
