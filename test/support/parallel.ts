/** A contrastive training step over replicas, with rows that may count or not: what data-parallel training needs. */

import { gradients } from "../../src/graph/grad.js";
import type { Graph } from "../../src/graph/graph.js";
import {
  add,
  allGather,
  allReduceSum,
  cast,
  div,
  equal,
  exp,
  greater,
  iota,
  logSoftmax,
  matmul,
  mul,
  neg,
  replicaIndex,
  reshape,
  rsqrt,
  sub,
  sum,
  where,
} from "../../src/graph/ops/index.js";
import type { Tensor } from "../../src/graph/tensor.js";
import { trace } from "../../src/graph/trace.js";

export const sizes = { image: 6, text: 5, joint: 4 } as const;

const unit = (x: Tensor): Tensor => mul(x, rsqrt(add(sum(mul(x, x), -1, true), 1e-6)));

/** Mean over the counted rows of all replicas of the cross-entropy of this replica's rows; its share of it. */
function oneSide(own: Tensor, others: Tensor, scale: Tensor, weight: Tensor, replicas: number): Tensor {
  const b = own.shape[0]!;
  const B = b * replicas;
  const counted = greater(allGather(weight, replicas), 0);
  const logits = mul(matmul(own, allGather(others, replicas), { transB: true }), scale);
  const seen = where(reshape(counted, [1, B]), logits, -1e9);
  const row = add(iota("i32", [b, B], 0), mul(replicaIndex(replicas), b));
  const target = cast(equal(iota("i32", [b, B], 1), row), "f32");
  const losses = neg(sum(mul(target, logSoftmax(seen)), -1));
  return div(sum(mul(losses, weight)), allReduceSum(sum(weight), replicas));
}

/** One step of gradient descent on `rows` rows of every replica. */
export const parallelStep = (rows: number, replicas: number): Graph =>
  trace(
    {
      params: {
        image: { dtype: "f32", shape: [sizes.joint, sizes.image] },
        text: { dtype: "f32", shape: [sizes.joint, sizes.text] },
        scale: { dtype: "f32", shape: [] },
      },
      images: { dtype: "f32", shape: [rows, sizes.image] },
      texts: { dtype: "f32", shape: [rows, sizes.text] },
      weight: { dtype: "f32", shape: [rows] },
    } as const,
    ({ params, images, texts, weight }) => {
      const i = unit(matmul(images, params.image, { transB: true }));
      const t = unit(matmul(texts, params.text, { transB: true }));
      const scale = exp(params.scale);
      const own = mul(
        add(oneSide(i, t, scale, weight, replicas), oneSide(t, i, scale, weight, replicas)),
        0.5,
      );
      const names = ["image", "text", "scale"] as const;
      const found = gradients(
        own,
        names.map((n) => params[n]),
      );
      const next = Object.fromEntries(
        names.map((n, k) => [n, sub(params[n], mul(allReduceSum(found[k]!, replicas), 0.5))]),
      );
      return { loss: allReduceSum(own, replicas), next: { params: next } };
    },
  );

/** Reproducible numbers in [-1, 1]. */
export const waves = (count: number, phase: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(phase + i * 12.9898));
