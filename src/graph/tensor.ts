/**
 * Tensors are handles to the outputs of nodes; building one adds a node to the program being written. A
 * program is whatever its outputs reach, so there is no trace to open or close. What is true of an operation stands in
 * one record; records, nodes and tensors know each other, so they are declared together.
 */

import type { DType, TypedArray } from "../core/dtype.js";
import { UsageError } from "../core/errors.js";
import { formatType, type Shape, type TensorType } from "../core/shape.js";
import type { Arg, OnnxContext, StableHloContext } from "./emit/context.js";

export type AttrValue = number | string | boolean | readonly number[] | TypedArray | undefined;
export type Attrs = { readonly [name: string]: AttrValue };

/**
 * - `elementwise`: each output element depends on the inputs' elements at the same place (after broadcasting);
 * - `view`: the same elements in the same memory order;
 * - `movement`: the same elements, moved or repeated;
 * - `reduction`, `contraction`: sums over axes; `commutative`: inputs may swap;
 * - `source`: has no inputs; `barrier`: must not be merged or folded;
 * - `collective`: replicas of the program meet in it; the attribute `replicas` says how many.
 */
export type Trait =
  | "elementwise"
  | "view"
  | "movement"
  | "reduction"
  | "contraction"
  | "commutative"
  | "source"
  | "barrier"
  | "collective";

/** Multiply-adds, and bytes read and written. */
export interface Cost {
  readonly macs: number;
  readonly bytes: number;
}

/** A float64 tensor of the reference interpreter; integers and bools are held as numbers. */
export interface Ref extends TensorType {
  readonly data: Float64Array;
}

export interface NotDifferentiable {
  readonly notDifferentiable: string;
}
export interface NotLowered {
  readonly unsupported: string;
}

export interface VjpContext<A> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly attrs: A;
}

/**
 * Cotangents of the inputs from those of the outputs: `g[i]` is undefined where output i is unused, never for the
 * only output. May return a cotangent in the broadcast shape: the reverse walk sums it.
 * "zero": constant almost everywhere. "decompose", also for some `g` alone: the gradient of the decomposition.
 */
export type Vjp<A> =
  | ((g: readonly (Tensor | undefined)[], context: VjpContext<A>) => (Tensor | undefined)[] | "decompose")
  | "zero"
  | "decompose"
  | NotDifferentiable;

type Lower<C, A> = (context: C, inputs: readonly Arg[], attrs: A, outputs: readonly TensorType[]) => string[];

export type Lowering<C, A> = Lower<C, A> | "decompose" | NotLowered;

/** What runs a program, as far as lowerings ask. */
export interface DeviceKind {
  /** As PJRT names it: `cpu`, `cuda`, … */
  readonly platform: string;
  /** For people, e.g. `NVIDIA H200`. */
  readonly name?: string | undefined;
  /** NVIDIA's compute capability, e.g. 9 for Hopper, 10.3 for Blackwell Ultra. */
  readonly computeCapability?: number | undefined;
}

/** A lowering to a kernel that some devices have for some inputs; elsewhere the operation is decomposed. */
export interface KernelLowering<C, A> {
  /** Whose kernel it is. */
  readonly kernel: string;
  /** Whether `device` has it for inputs of these types. */
  fits(device: DeviceKind, inputs: readonly TensorType[], attrs: A): boolean;
  /** Inputs that mixed precision rounds; the others stay in f32. */
  readonly rounded: readonly number[];
  readonly lower: Lower<C, A>;
}

export interface CaseInput extends TensorType {
  readonly data: Float64Array;
}

/** Inputs on which reference, engines and gradients must agree. */
export interface Case<A> {
  readonly name: string;
  readonly inputs: readonly CaseInput[];
  readonly attrs: A;
  /** False where central differences cannot stand for the gradient (kinks, jumps, ties). Default true. */
  readonly smooth?: boolean;
}

export interface Op<A extends Attrs = Attrs> {
  readonly name: string;
  /** One line, with shapes in letters. */
  readonly doc: string;
  /** The specification or the paper. */
  readonly source: string;
  readonly traits: readonly Trait[];
  /** Validates inputs and attributes; gives the outputs' types. Throws `UsageError`. */
  infer(inputs: readonly TensorType[], attrs: A): TensorType[];
  /** Plain loops in float64. */
  reference(inputs: readonly Ref[], attrs: A, outputs: readonly TensorType[]): Float64Array[];
  readonly vjp: Vjp<A>;
  cost(inputs: readonly TensorType[], outputs: readonly TensorType[], attrs: A): Cost;
  /** An equal tensor or tensors written more simply, or undefined; "never" when there is none. */
  readonly simplify: ((inputs: readonly Tensor[], attrs: A) => readonly Tensor[] | undefined) | "never";
  /** The same function in simpler operations; "primitive" when it is one. */
  readonly decompose: ((inputs: readonly Tensor[], attrs: A) => Tensor[]) | "primitive";
  readonly onnx: Lowering<OnnxContext, A>;
  readonly stablehlo: Lowering<StableHloContext, A> | KernelLowering<StableHloContext, A>;
  readonly cases: readonly Case<A>[];
}

/** An operation of trait `collective`. Its `reference` is for one replica only. */
export interface CollectiveOp<A extends Attrs = Attrs> extends Op<A> {
  /** The outputs on every replica from the inputs on every replica: plain loops in float64. */
  across(inputs: readonly (readonly Ref[])[], attrs: A, outputs: readonly TensorType[]): Float64Array[][];
}

/** An operation whose attributes' types have been forgotten. */
export type AnyOp = Op<Attrs>;

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
