/**
 * Batch normalization (Ioffe, Szegedy 2015) of images, with PyTorch's numbers. The statistics of a training pass are
 * those of the whole batch, whatever number of replicas share it.
 */

import { UsageError } from "../core/errors.js";
import { formatType, sizeOfShape } from "../core/shape.js";
import { add, batchNorm as batchNormOp, channelAffine, div, mul, sqrt, sub } from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";
import { type Init, ones, type ParameterSpecs, prefixed, type Scope, spec, zeros } from "./parameters.js";

/** Parameters and running statistics of layers, by name. */
export interface Declared {
  readonly parameters: ParameterSpecs;
  readonly statistics: ParameterSpecs;
}

/** Several layers as one, each under its name: `{ bn1: … }` has `bn1.weight`. */
export const declare = (layers: Readonly<Record<string, ParameterSpecs | Declared>>): Declared => {
  const parameters: Record<string, ParameterSpecs[string]> = {};
  const statistics: Record<string, ParameterSpecs[string]> = {};
  for (const [name, layer] of Object.entries(layers)) {
    const own = isDeclared(layer) ? layer : { parameters: layer, statistics: {} };
    Object.assign(parameters, prefixed(name, own.parameters));
    Object.assign(statistics, prefixed(name, own.statistics));
  }
  return { parameters, statistics };
};

const isDeclared = (layer: ParameterSpecs | Declared): layer is Declared =>
  layer.statistics !== undefined && !("shape" in layer.statistics);

/** `weight` and `bias` [C]; `running_mean` and `running_var` [C]. */
export const batchNormSpecs = (C: number, weight: Init = ones): Declared => ({
  parameters: { weight: spec([C], weight), bias: spec([C], zeros) },
  statistics: { running_mean: spec([C], zeros), running_var: spec([C], ones) },
});

/** Added to the variance; PyTorch's default. */
const EPSILON = 1e-5;
/** Weight of a new batch in the running statistics; PyTorch's default. */
const MOMENTUM = 0.1;

/**
 * x [B,C,H,W], each channel less its mean, over its deviation, times `weight` plus `bias`. In training with the
 * statistics of the batch over all replicas, which move the running ones; in evaluation with the running ones.
 * Throws `UsageError` where a training batch has one value in a channel, which has no variance.
 */
export function batchNorm(p: Scope, x: Tensor): Tensor {
  const weight = p.get("weight");
  const bias = p.get("bias");
  if (p.training === undefined) {
    const factor = div(weight, sqrt(add(p.get("running_var"), EPSILON)));
    return channelAffine(x, factor, sub(bias, mul(p.get("running_mean"), factor)));
  }
  const { replicas } = p.training;
  const N = (replicas * sizeOfShape(x.shape)) / x.shape[1]!;
  if (N === 1) {
    throw new UsageError(
      `batch norm: a training batch needs several values in a channel; got ${formatType(x)} in all. Train with a larger batch or larger images.`,
    );
  }
  const { y, mean, variance } = batchNormOp(x, weight, bias, { epsilon: EPSILON, replicas });
  const move = (name: string, now: Tensor, factor = 1) =>
    p.update(name, add(mul(p.get(name), 1 - MOMENTUM), mul(now, MOMENTUM * factor)));
  move("running_mean", mean);
  move("running_var", variance, N / (N - 1));
  return y;
}
