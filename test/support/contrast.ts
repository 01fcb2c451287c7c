/** The trainer's loss over two linear towers, with gradient descent: a data-parallel step that compiles at once. */

import { gradients } from "../../src/graph/grad.js";
import type { Graph } from "../../src/graph/graph.js";
import { add, allReduceSum, exp, matmul, mul, rsqrt, sub, sum } from "../../src/graph/ops/index.js";
import type { Tensor } from "../../src/graph/tensor.js";
import { trace } from "../../src/graph/trace.js";
import { rowsOfDevices } from "../../src/train/step/device-rows.js";
import { acrossReplicas, shareOfMean, softmaxPairs } from "../../src/train/strategies/loss.js";

export const sizes = { image: 6, text: 5, joint: 4 } as const;

const unit = (x: Tensor): Tensor => mul(x, rsqrt(add(sum(mul(x, x), -1, true), 1e-6)));

/** One step of gradient descent on a batch that `replicas` share. */
export function contrastStep(batchSize: number, replicas: number): Graph {
  const { height: b } = rowsOfDevices(batchSize, replicas);
  const types = {
    params: {
      image: { dtype: "f32", shape: [sizes.joint, sizes.image] },
      text: { dtype: "f32", shape: [sizes.joint, sizes.text] },
      scale: { dtype: "f32", shape: [] },
    },
    images: { dtype: "f32", shape: [b, sizes.image] },
    texts: { dtype: "f32", shape: [b, sizes.text] },
    ids: { dtype: "i32", shape: [b] },
    weights: { dtype: "f32", shape: [b] },
  } as const;
  return trace(types, ({ params, images, texts, ids, weights }) => {
    const features = {
      images: unit(matmul(images, params.image, { transB: true })),
      texts: unit(matmul(texts, params.text, { transB: true })),
    };
    const rows = acrossReplicas({ features, imageIds: ids, textIds: ids, weights }, replicas, batchSize);
    const pairs = softmaxPairs(rows.own, rows.all, { scale: exp(params.scale) });
    const own = shareOfMean(pairs, rows.own, rows.all);
    const names = ["image", "text", "scale"] as const;
    const found = gradients(
      own,
      names.map((n) => params[n]),
    );
    const next = Object.fromEntries(
      names.map((n, k) => [n, sub(params[n], mul(allReduceSum(found[k]!, replicas), 0.5))]),
    );
    return { loss: allReduceSum(own, replicas), next: { params: next } };
  });
}
