/**
 * Tensors are handles to the outputs of nodes; building one adds a node to the program being written. A
 * program is whatever its outputs reach, so there is no trace to open or close.
 */

import type { DType } from "../core/dtype.js";
import { UsageError } from "../core/errors.js";
import { formatType, type Shape, type TensorType } from "../core/shape.js";
import type { AnyOp, Attrs, Op } from "./op.js";

export interface Node {
  /** Grows with creation, so that ascending ids are a topological order. */
  readonly id: number;
  readonly op: AnyOp;
  readonly inputs: readonly Tensor[];
  readonly attrs: Attrs;
  readonly outputs: readonly TensorType[];
  /** `file:line` outside the graph code that wrote it. */
  readonly site: string | undefined;
  /** The rematerialized function it belongs to, if any. */
  readonly region: Region | undefined;
}

/** One call of a rematerialized function. */
export interface Region {
  readonly name: string;
}

/** A value in a program: shape and dtype are known, the numbers are not. */
export class Tensor implements TensorType {
  constructor(
    readonly node: Node,
    /** Which of the node's outputs. */
    readonly index: number,
  ) {}

  get dtype(): DType {
    return this.node.outputs[this.index]!.dtype;
  }
  get shape(): Shape {
    return this.node.outputs[this.index]!.shape;
  }
  get rank(): number {
    return this.shape.length;
  }
  toString(): string {
    return `${this.node.op.name}: ${formatType(this)}`;
  }
}

export const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;

let nextId = 0;
let currentRegion: Region | undefined;

/** Runs `f` with every node it makes belonging to `region`. */
export function within<T>(region: Region | undefined, f: () => T): T {
  const outer = currentRegion;
  currentRegion = region;
  try {
    return f();
  } finally {
    currentRegion = outer;
  }
}

/** Adds a node: checks the inputs by the operation's `infer` and gives its outputs. */
export function apply<A extends Attrs>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor[] {
  const site = callSite();
  let outputs: TensorType[];
  try {
    outputs = op.infer(inputs, attrs);
    for (const type of outputs) {
      if (type.shape.every((d) => Number.isSafeInteger(d) && d >= 0)) continue;
      throw new UsageError(`${op.name}: sizes must be whole numbers, 0 or more; got ${formatType(type)}.`);
    }
  } catch (error) {
    if (error instanceof UsageError && site !== undefined) error.message += ` (written at ${site})`;
    throw error;
  }
  return outputsOf(makeNode(op as unknown as AnyOp, inputs, attrs, outputs, site, currentRegion));
}

/** A copy of `node` reading other inputs, outside every region. */
export function cloneNode(node: Node, inputs: readonly Tensor[], region?: Region): Tensor[] {
  return outputsOf(makeNode(node.op, inputs, node.attrs, node.outputs, node.site, region));
}

/** The operation of `node` with other inputs and attributes, written where `node` was, outside every region. */
export function remakeNode(node: Node, inputs: readonly Tensor[], attrs: Attrs): Tensor[] {
  return outputsOf(makeNode(node.op, inputs, attrs, node.op.infer(inputs, attrs), node.site, undefined));
}

export const outputsOf = (node: Node): Tensor[] => node.outputs.map((_, i) => new Tensor(node, i));

function makeNode(
  op: AnyOp,
  inputs: readonly Tensor[],
  attrs: Attrs,
  outputs: readonly TensorType[],
  site: string | undefined,
  region: Region | undefined,
): Node {
  return { id: nextId++, op, inputs, attrs, outputs, site, region };
}

const graphCode = /[/\\]src[/\\](graph|nn)[/\\]/;

function callSite(): string | undefined {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 16;
  const stack = new Error().stack ?? "";
  Error.stackTraceLimit = limit;
  for (const line of stack.split("\n").slice(2)) {
    if (graphCode.test(line)) continue;
    const place = /([^/\\(\s]+:\d+):\d+\)?$/.exec(line);
    if (place) return place[1];
  }
  return undefined;
}
