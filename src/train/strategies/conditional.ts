/**
 * What a pair costs in the batch made of it and of some others, where the others come chunk by chunk: the terms by which
 * JEST (Evans et al. 2024) draws the next chunk of a batch, given those that it has.
 */

import {
  abs,
  add,
  exp,
  log,
  matmul,
  max,
  maximum,
  mul,
  neg,
  reshape,
  sub,
  sum,
  where,
} from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { type Logits, NEVER, type Rows, together } from "./loss.js";

type Tensors = Readonly<Record<string, Tensor>>;

/** Candidates f32[n] are judged one by one, each beside the rows that were chosen so far. */
export interface Conditional {
  /** What is carried from chunk to chunk, f32[n] each, with its value while nothing is chosen. */
  readonly carried: Readonly<Record<string, number>>;
  /** What is carried once `chosen` rows [c] are in the batch, too. Those that belong to a candidate are no rivals of it. */
  add(carried: Tensors, candidates: Rows, chosen: Rows, logits: Logits): Record<string, Tensor>;
  /** The loss of each candidate beside what was chosen, f32[n]. */
  loss(carried: Tensors, candidates: Rows, logits: Logits): Tensor;
}

/** f32[n]: s cos(i,i) + bias. */
function ownLogits({ features }: Rows, { scale, bias }: Logits): Tensor {
  const scaled = mul(sum(mul(features.images!, features.texts!), 1), scale);
  return bias === undefined ? scaled : add(scaled, bias);
}

/** f32[n,c]: s cos + bias of the candidates' `rows` with the chosen ones' `columns`. */
function logitsOf(rows: Tensor, columns: Tensor, { scale, bias }: Logits): Tensor {
  const scaled = mul(matmul(rows, columns, { transB: true }), scale);
  return bias === undefined ? scaled : add(scaled, bias);
}

/** log(1 + e^x) = max(x, 0) + log(1 + e^−|x|) */
const softplus = (x: Tensor): Tensor => add(maximum(x, 0), log(add(exp(neg(abs(x))), 1)));

/** log(e^a + e^b) = max(a, b) + log(1 + e^−|a − b|) */
const logAddExp = (a: Tensor, b: Tensor): Tensor => add(maximum(a, b), log(add(exp(neg(abs(sub(a, b)))), 1)));

/** log Σ_c e^x of f32[n,c]. */
function logSumExp(x: Tensor): Tensor {
  const most = max(x, 1, true);
  return add(reshape(most, [x.shape[0]!]), log(sum(exp(sub(x, most)), 1)));
}

/**
 * CLIP's softmax: with l the scaled cosines, ½ [log(1 + Σ_j e^(l(i,j) − l(i,i))) + log(1 + Σ_j e^(l(j,i) − l(i,i)))] over the
 * chosen j. The logarithms of both sums are carried. Without rivals it is 0.
 */
export const softmaxBeside: Conditional = {
  carried: { byImage: NEVER, byText: NEVER },
  add({ byImage, byText }, candidates, chosen, logits) {
    const n = candidates.imageIds.shape[0]!;
    const own = reshape(ownLogits(candidates, logits), [n, 1]);
    const mates = together(candidates, chosen);
    const sumOf = (rows: "images" | "texts", columns: "images" | "texts") => {
      const against = logitsOf(candidates.features[rows]!, chosen.features[columns]!, logits);
      return logSumExp(where(mates, NEVER, sub(against, own)));
    };
    return {
      byImage: logAddExp(byImage!, sumOf("images", "texts")),
      byText: logAddExp(byText!, sumOf("texts", "images")),
    };
  },
  loss: ({ byImage, byText }) => mul(add(softplus(byImage!), softplus(byText!)), 0.5),
};

/** SigLIP's sigmoid: −log σ(l(i,i)) − Σ_j [log σ(−l(i,j)) + log σ(−l(j,i))] over the chosen j; the sum is carried. */
export const sigmoidBeside: Conditional = {
  carried: { rivals: 0 },
  add({ rivals }, candidates, chosen, logits) {
    const mates = together(candidates, chosen);
    const sumOf = (rows: "images" | "texts", columns: "images" | "texts") => {
      const against = logitsOf(candidates.features[rows]!, chosen.features[columns]!, logits);
      return sum(where(mates, 0, softplus(against)), 1);
    };
    return { rivals: add(rivals!, add(sumOf("images", "texts"), sumOf("texts", "images"))) };
  },
  loss: ({ rivals }, candidates, logits) => add(softplus(neg(ownLogits(candidates, logits))), rivals!),
};
