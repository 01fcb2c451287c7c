/** From gradients to the next state: clipping, optimizer, moving average. */

import {
  add,
  barrier,
  constant,
  div,
  maximum,
  minimum,
  mul,
  sqrt,
  sub,
  sumOfSquares,
} from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { decaysWeight } from "./optimizer.js";
import type { StepOptions } from "./options.js";

/** PyTorch's `clip_grad_norm_` divides by the norm plus this. */
const CLIP_EPSILON = 1e-6;

type Tensors = Readonly<Record<string, Tensor>>;

/** State, of what is not locked, and scalars as `stateTypes` and `scalarTypes` have them. */
export interface UpdateInputs {
  readonly params: Tensors;
  readonly slots: Readonly<Record<string, Tensors>>;
  readonly ema?: Tensors | undefined;
  readonly scalars: Tensors;
}

/**
 * Parameters, optimizer slots and averages after the step.
 * @param found the gradients, in the order of `params`.
 * @param norm `globalNorm(found)`.
 */
export function update(
  { optimizer, clipNorm, maxLogitScale = 100, rate }: StepOptions,
  { params, slots, ema, scalars }: UpdateInputs,
  found: readonly Tensor[],
  norm: Tensor,
) {
  // Without clipping, too, no weight changes before the last gradient: it can then be written over where it lies.
  const gradientScale =
    clipNorm === undefined ? barrier(constant(1), norm) : minimum(div(clipNorm, add(norm, CLIP_EPSILON)), 1);
  const nextParams: Record<string, Tensor> = {};
  const nextSlots: Record<string, Tensors> = {};
  Object.entries(params).forEach(([name, parameter], i) => {
    const updated = optimizer.update({
      parameter,
      gradient: found[i]!,
      gradientScale,
      slots: slots[name]!,
      scalars,
      decays: decaysWeight(name, parameter.shape),
      rate: rate?.(name),
    });
    nextParams[name] =
      name === "logit_scale" ? clamp(updated.parameter, 0, Math.log(maxLogitScale)) : updated.parameter;
    nextSlots[name] = updated.slots;
  });
  const averaged = (old: Tensor, now: Tensor) => add(now, mul(sub(old, now), scalars.emaDecay!));
  return {
    params: nextParams,
    slots: nextSlots,
    ...(ema === undefined
      ? {}
      : {
          ema: Object.fromEntries(
            Object.entries(ema).map(([name, old]) => [name, averaged(old, nextParams[name]!)]),
          ),
        }),
  };
}

const clamp = (x: Tensor, low: number, high: number): Tensor => minimum(maximum(x, low), high);

/**
 * Length of all tensors taken as one vector. Summed in the order in which the tensors were made, one after the
 * other: an engine that goes depth first then finishes each gradient where the backward pass makes it.
 */
export function globalNorm(tensors: readonly Tensor[]): Tensor {
  const byAge = [...tensors].sort((a, b) => a.node.id - b.node.id);
  let total: Tensor | undefined;
  for (const t of byAge) {
    const square = sumOfSquares(t);
    total = total === undefined ? square : add(total, square);
  }
  return sqrt(total ?? constant(0));
}
