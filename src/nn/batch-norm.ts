/** Batch normalization (Ioffe, Szegedy 2015), with PyTorch's numbers, over the whole batch of all replicas. */

import { add, allReduceMean, div, mean, mul, reshape, sqrt, square, sub } from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";
import { ones, type ParameterSpecs, prefixed, type Scope, spec, zeros } from "./parameters.js";

export interface Declared {
  readonly parameters: ParameterSpecs;
  readonly statistics: ParameterSpecs;
}

const isDeclared = (layer: ParameterSpecs | Declared): layer is Declared =>
  layer.statistics !== undefined && !("shape" in layer.statistics);

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

export const batchNormSpecs = (C: number): Declared => ({
  parameters: { weight: spec([C], ones), bias: spec([C], zeros) },
  statistics: { running_mean: spec([C], zeros), running_var: spec([C], ones) },
});

/** x [B,C,H,W], each channel less its mean, over its deviation, times `weight` plus `bias`. */
export function batchNorm(p: Scope, x: Tensor): Tensor {
  const [B, C, H, W] = x.shape as [number, number, number, number];
  const replicas = p.training?.replicas ?? 1;
  const wide = (y: Tensor) => reshape(y, [1, C, 1, 1]);
  let centre = p.get("running_mean");
  let variance = p.get("running_var");
  if (p.training !== undefined) {
    const N = B * H * W * replicas;
    centre = allReduceMean(mean(x, [0, 2, 3]), replicas);
    variance = allReduceMean(mean(square(sub(x, wide(centre))), [0, 2, 3]), replicas);
    p.update("running_mean", add(mul(p.get("running_mean"), 0.9), mul(centre, 0.1)));
    p.update("running_var", add(mul(p.get("running_var"), 0.9), mul(variance, (0.1 * N) / (N - 1))));
  }
  const factor = div(p.get("weight"), sqrt(add(variance, 1e-5)));
  return add(mul(sub(x, wide(centre)), wide(factor)), wide(p.get("bias")));
}
