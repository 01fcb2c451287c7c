/** Every operation, by family. */

import type { AnyOp } from "../op.js";
import { activationOps } from "./activation.js";
import { attentionOps } from "./attention.js";
import { collectiveOps } from "./collective.js";
import { compareOps } from "./compare.js";
import { contractOps } from "./contract.js";
import { convolveOps } from "./convolve.js";
import { elementwiseOps } from "./elementwise.js";
import { fusedOps } from "./fused.js";
import { lookupOps } from "./lookup.js";
import { movementOps } from "./movement.js";
import { normalizeOps } from "./normalize.js";
import { pieceOps } from "./pieces.js";
import { poolOps } from "./pool.js";
import { reduceOps } from "./reduce.js";
import { sourceOps } from "./source.js";

export { relu } from "./activation.js";
export { attention } from "./attention.js";
export { allGather, allReduceMean, allReduceSum, reduceScatter, replicaIndex } from "./collective.js";
export * from "./compare.js";
export * from "./contract.js";
export { conv } from "./convolve.js";
export * from "./elementwise.js";
export * from "./fused.js";
export { gather, pickRows, scatterAdd } from "./lookup.js";
export {
  barrier,
  broadcastTo,
  reshape,
  reverse,
  transpose,
} from "./movement.js";
export { batchNorm, channelAffine, channelDot } from "./normalize.js";
export { concat, pad, slice, split } from "./pieces.js";
export { avgPool, maxPool } from "./pool.js";
export { argmax, max, mean, min, sum, sumOfSquares } from "./reduce.js";
export { constant, inputTensor, iota, type Operand } from "./source.js";

/** Families in the order of docs/ops.md. */
export const families: Readonly<Record<string, readonly AnyOp[]>> = Object.freeze({
  source: sourceOps as unknown as AnyOp[],
  elementwise: elementwiseOps as unknown as AnyOp[],
  compare: compareOps as unknown as AnyOp[],
  reduce: reduceOps as unknown as AnyOp[],
  movement: [...movementOps, ...pieceOps] as unknown as AnyOp[],
  contract: contractOps as unknown as AnyOp[],
  convolve: convolveOps as unknown as AnyOp[],
  pool: poolOps as unknown as AnyOp[],
  lookup: lookupOps as unknown as AnyOp[],
  activation: activationOps as unknown as AnyOp[],
  normalize: normalizeOps as unknown as AnyOp[],
  fused: [...fusedOps, ...attentionOps] as unknown as AnyOp[],
  collective: collectiveOps as unknown as AnyOp[],
});

export const allOps: readonly AnyOp[] = Object.freeze(Object.values(families).flat());
