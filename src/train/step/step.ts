/** The train step as one graph: forward, backward, clipping, optimizer, moving average. */

import { gradients } from "../../graph/grad.js";
import type { Graph } from "../../graph/graph.js";
import { allReduceSum, barrier } from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { trace } from "../../graph/trace.js";
import type { Training } from "../../nn/parameters.js";
import { acrossReplicas } from "../strategies/loss.js";
import {
  batchTypes,
  inPrecision,
  learning,
  logitsOf,
  readImages,
  type StepOptions,
  scalarTypes,
  stateTypes,
  strategyOf,
} from "./options.js";
import { globalNorm, update } from "./update.js";

/**
 * Inputs: the state (`stateTypes`), `batch.*` (`batchTypes`) and `scalars.*` (the optimizer's, and `emaDecay`).
 * Outputs: `next.*`, the state after the step in the state's own memory, and `metrics.loss`, `metrics.gradientNorm`
 * (before clipping), `metrics.logitScale` (before the step).
 */
export function trainStep(options: StepOptions): Graph {
  const { clip, replicas = 1 } = options;
  const strategy = strategyOf(options);
  const types = { ...stateTypes(options), batch: batchTypes(options), scalars: scalarTypes(options) };
  const step = trace(types, (inputs) => {
    const { batch } = inputs;
    const params: Record<string, Tensor> = inputs.params;
    const images = [batch.images, ...batch.views].map((view) => readImages(view, options));
    const variables: Record<string, Tensor> = { ...params, ...inputs.statistics };
    const training: Training = {
      noise: batch.noise,
      replicas,
      statistics: {},
      frozen: options.frozen?.covers,
    };
    const logits = logitsOf(clip, params);
    const features = {
      ...strategy.encodeImages(variables, images, training),
      ...strategy.encodeTexts(variables, batch.tokens, training),
      ...batch.extra,
    };
    const { weights } = batch as { weights?: Tensor };
    const { own, all } = acrossReplicas({ ...batch, features, weights }, replicas, options.batchSize);
    const ownLoss = strategy.loss(own, all, logits);
    const loss = allReduceSum(ownLoss, replicas);

    const learned = learning(params, options);
    const found = gradients(ownLoss, Object.values(learned)).map((g) => allReduceSum(g, replicas));
    const gradientNorm = globalNorm(found);
    // An output of its own, made before any update: an engine that goes depth first from the outputs then walks
    // through the gradients in the order of the norm's sum, and not down to the first parameter's at once, with
    // every cotangent on the way kept.
    const reportedNorm = barrier(gradientNorm, loss);
    const updated = update(options, { ...inputs, params: learned }, found, gradientNorm);
    const next = { ...updated, statistics: training.statistics };
    return { next, metrics: { loss, gradientNorm: reportedNorm, logitScale: logits.scale } };
  });
  return inPrecision(step, options);
}
