/**
 * Operations in which the replicas of a program meet: the same program runs on several devices at once, each
 * with inputs of its own. Gradients are those of the sum of all replicas' losses, so that a loss which every
 * replica computes from its own rows is differentiated as if one device had computed it from all rows.
 */

import { UsageError } from "../../core/errors.js";
import { formatType, type TensorType } from "../../core/shape.js";
import type { Arg, StableHloContext } from "../emit/context.js";
import {
  type Attrs,
  type Case,
  type CollectiveOp,
  free,
  normal,
  type Ref,
  streaming,
  unsupported,
} from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { mul, requireFloat } from "./elementwise.js";
import { constant } from "./source.js";

interface ReplicaAttrs extends Attrs {
  /** Copies of the program that run together. */
  readonly replicas: number;
}

/** Checks `replicas`; with one replica there is nobody to meet. */
function requireReplicas(what: string, replicas: number): void {
  if (!Number.isInteger(replicas) || replicas < 1) {
    throw new UsageError(`${what}: replicas must be an integer of at least 1; got replicas=${replicas}.`);
  }
}

const alone = (
  what: string,
  across: CollectiveOp<ReplicaAttrs>["across"],
): CollectiveOp<ReplicaAttrs>["reference"] =>
  function reference(inputs, attrs, outputs) {
    if (attrs.replicas !== 1) {
      throw new UsageError(
        `interpret: ${what} needs the inputs of all ${attrs.replicas} replicas. Use interpretReplicas.`,
      );
    }
    return across([inputs], attrs, outputs)[0]!;
  };

/** `tensor<1x4xi64>` of all replicas: one group. */
const groups = (replicas: number): string =>
  `replica_groups = dense<[[${Array.from({ length: replicas }, (_, i) => i).join(", ")}]]> : tensor<1x${replicas}xi64>`;

/** The region that adds two scalars of `x`'s dtype. */
function adding(b: StableHloContext, x: TensorType): string {
  const t = b.typeOf({ dtype: x.dtype, shape: [] });
  return `({ ^bb0(%p: ${t}, %q: ${t}): %s = stablehlo.add %p, %q : ${t} stablehlo.return %s : ${t} })`;
}

const meeting = (
  b: StableHloContext,
  name: string,
  x: Arg,
  attributes: readonly string[],
  region: string,
  y: TensorType,
): string[] => [
  b.emit(
    `"stablehlo.${name}"(${x.name}) <{${attributes.join(", ")}}> ${region}: (${b.typeOf(x)}) -> ${b.typeOf(y)}`,
  ),
];

/** One replica: what more of them compute is tested by `interpretReplicas` and on engines with devices. */
const oneReplica = (inputs: Case<ReplicaAttrs>["inputs"]): Case<ReplicaAttrs>[] => [
  { name: "one replica", inputs, attrs: { replicas: 1 } },
];

const NO_DEVICES = unsupported("only engines with several devices have replicas");

const total = (inputs: readonly (readonly Ref[])[]): Float64Array => {
  const out = new Float64Array(inputs[0]![0]!.data.length);
  for (const [x] of inputs) for (let i = 0; i < out.length; i++) out[i]! += x!.data[i]!;
  return out;
};

const sumAcross: CollectiveOp<ReplicaAttrs>["across"] = (inputs) => {
  const out = total(inputs);
  return inputs.map(() => [out.slice()]);
};

const allReduceSumOp: CollectiveOp<ReplicaAttrs> = {
  name: "allReduceSum",
  doc: "Sum over the replicas, on each of them.",
  source: "StableHLO all_reduce",
  traits: ["collective", "barrier"],
  infer([x], { replicas }) {
    requireReplicas("allReduceSum", replicas);
    requireFloat("allReduceSum", x!);
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  across: sumAcross,
  reference: alone("allReduceSum", sumAcross),
  // Every replica's x is in every replica's y.
  vjp: ([g], { attrs }) => [allReduceSum(g!, attrs.replicas)],
  cost: streaming,
  simplify: ([x], { replicas }) => (replicas === 1 ? [x!] : undefined),
  decompose: "primitive",
  onnx: NO_DEVICES,
  stablehlo: (b, [x], { replicas }, [y]) =>
    meeting(b, "all_reduce", x!, [groups(replicas)], adding(b, x!), y!),
  cases: oneReplica([normal([2, 3], 1)]),
};

const gatherAcross: CollectiveOp<ReplicaAttrs>["across"] = (inputs) => {
  const all = inputs.flatMap(([x]) => [...x!.data]);
  return inputs.map(() => [Float64Array.from(all)]);
};

const allGatherOp: CollectiveOp<ReplicaAttrs> = {
  name: "allGather",
  doc: "The replicas' rows after each other, on each of them: [N,…] gives [replicas·N,…].",
  source: "StableHLO all_gather",
  traits: ["collective", "barrier"],
  infer([x], { replicas }) {
    requireReplicas("allGather", replicas);
    if (x!.shape.length === 0) throw new UsageError(`allGather: needs rows [N,…]; got ${formatType(x!)}.`);
    return [{ dtype: x!.dtype, shape: [x!.shape[0]! * replicas, ...x!.shape.slice(1)] }];
  },
  across: gatherAcross,
  reference: alone("allGather", gatherAcross),
  // Replica r's rows are block r of every replica's y.
  vjp: ([g], { attrs }) => [reduceScatter(g!, attrs.replicas)],
  cost: streaming,
  simplify: ([x], { replicas }) => (replicas === 1 ? [x!] : undefined),
  decompose: "primitive",
  onnx: NO_DEVICES,
  stablehlo: (b, [x], { replicas }, [y]) =>
    meeting(b, "all_gather", x!, ["all_gather_dim = 0 : i64", groups(replicas)], "", y!),
  cases: oneReplica([normal([2, 3], 1)]),
};

const scatterAcross: CollectiveOp<ReplicaAttrs>["across"] = (inputs) => {
  const out = total(inputs);
  const width = out.length / inputs.length;
  return inputs.map((_, r) => [out.slice(r * width, (r + 1) * width)]);
};

const reduceScatterOp: CollectiveOp<ReplicaAttrs> = {
  name: "reduceScatter",
  doc: "Each replica's block of rows of the sum over the replicas: [replicas·N,…] gives [N,…].",
  source: "StableHLO reduce_scatter",
  traits: ["collective", "barrier"],
  infer([x], { replicas }) {
    requireReplicas("reduceScatter", replicas);
    requireFloat("reduceScatter", x!);
    const rows = x!.shape[0];
    if (rows === undefined || rows % replicas !== 0) {
      throw new UsageError(
        `reduceScatter: the replicas must divide the rows; got ${formatType(x!)}, replicas=${replicas}.`,
      );
    }
    return [{ dtype: x!.dtype, shape: [rows / replicas, ...x!.shape.slice(1)] }];
  },
  across: scatterAcross,
  reference: alone("reduceScatter", scatterAcross),
  vjp: ([g], { attrs }) => [allGather(g!, attrs.replicas)],
  cost: streaming,
  simplify: ([x], { replicas }) => (replicas === 1 ? [x!] : undefined),
  decompose: "primitive",
  onnx: NO_DEVICES,
  stablehlo: (b, [x], { replicas }, [y]) =>
    meeting(b, "reduce_scatter", x!, ["scatter_dimension = 0 : i64", groups(replicas)], adding(b, x!), y!),
  cases: oneReplica([normal([2, 3], 1)]),
};

const indexAcross: CollectiveOp<ReplicaAttrs>["across"] = (inputs) =>
  inputs.map((_, r) => [Float64Array.of(r)]);

const replicaIndexOp: CollectiveOp<ReplicaAttrs> = {
  name: "replicaIndex",
  doc: "The replica's number, counted from 0, as i32.",
  source: "StableHLO replica_id",
  traits: ["source", "collective", "barrier"],
  infer(_, { replicas }) {
    requireReplicas("replicaIndex", replicas);
    return [{ dtype: "i32", shape: [] }];
  },
  across: indexAcross,
  reference: alone("replicaIndex", indexAcross),
  vjp: "zero",
  cost: free,
  simplify: (_, { replicas }) => (replicas === 1 ? [constant(0, { dtype: "i32", shape: [] })] : undefined),
  decompose: "primitive",
  onnx: NO_DEVICES,
  stablehlo(b) {
    const id = b.emit("stablehlo.replica_id : tensor<ui32>");
    return [b.emit(`stablehlo.convert ${id} : (tensor<ui32>) -> tensor<i32>`)];
  },
  cases: oneReplica([]),
};

/** The operation, or `x` itself where there is one replica. */
const meet = (op: CollectiveOp<ReplicaAttrs>, x: Tensor, replicas: number): Tensor =>
  replicas === 1 ? x : apply(op, [x], { replicas })[0]!;

/** The sum of all replicas' `x`, on each of them. */
export const allReduceSum = (x: Tensor, replicas: number): Tensor => meet(allReduceSumOp, x, replicas);

/** The mean of all replicas' `x`, on each of them. */
export const allReduceMean = (x: Tensor, replicas: number): Tensor =>
  mul(allReduceSum(x, replicas), 1 / replicas);

/** All replicas' rows `x` [N,…] after each other: [replicas·N,…], on each of them. */
export const allGather = (x: Tensor, replicas: number): Tensor => meet(allGatherOp, x, replicas);

/** The replica's own block of the sum of all replicas' `x` [replicas·N,…]: [N,…]. */
export const reduceScatter = (x: Tensor, replicas: number): Tensor => meet(reduceScatterOp, x, replicas);

/** i32: which of the replicas this is. */
export const replicaIndex = (replicas: number): Tensor => apply(replicaIndexOp, [], { replicas })[0]!;

export const collectiveOps = [allReduceSumOp, allGatherOp, reduceScatterOp, replicaIndexOp];
