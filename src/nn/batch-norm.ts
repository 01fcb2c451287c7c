/**
 * Batch normalization (Ioffe, Szegedy 2015) of images, with PyTorch's numbers. The statistics of a training pass are
 * those of the whole batch, whatever number of replicas share it.
 */

import { UsageError } from "../core/errors.js";
import { formatType, sizeOfShape } from "../core/shape.js";
import {
  add,
  allReduceMean,
  channelAffine,
  channelMoments,
  div,
  mul,
  sqrt,
  square,
  sub,
} from "../graph/ops/index.js";
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
  const { mean, variance } = p.training === undefined ? runningMoments(p) : batchMoments(p, x);
  const factor = div(p.get("weight"), sqrt(add(variance, EPSILON)));
  return channelAffine(x, factor, sub(p.get("bias"), mul(mean, factor)));
}

const runningMoments = (p: Scope) => ({ mean: p.get("running_mean"), variance: p.get("running_var") });

function batchMoments(p: Scope, x: Tensor): { mean: Tensor; variance: Tensor } {
  const replicas = p.training?.replicas ?? 1;
  const N = (replicas * sizeOfShape(x.shape)) / x.shape[1]!;
  if (N === 1) {
    throw new UsageError(
      `batch norm: a training batch needs several values in a channel; got ${formatType(x)} in all. Train with a larger batch or larger images.`,
    );
  }
  const own = channelMoments(x);
  const mean = allReduceMean(own.mean, replicas);
  // Each replica's spread about the mean of all: its own about its own mean, and that mean's distance.
  const variance =
    replicas === 1 ? own.variance : allReduceMean(add(own.variance, square(sub(own.mean, mean))), replicas);
  const moved = (name: string, now: Tensor) =>
    p.update(name, add(mul(p.get(name), 1 - MOMENTUM), mul(now, MOMENTUM)));
  moved("running_mean", mean);
  moved("running_var", mul(variance, N / (N - 1)));
  return { mean, variance };
}
