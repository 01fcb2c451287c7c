/**
 * L-BFGS (Nocedal 1980) with a line search for the strong Wolfe conditions (Nocedal and Wright, Numerical Optimization,
 * 2006, algorithms 3.5, 3.6 and 7.4), for smooth functions that are costly to evaluate.
 */

import { UsageError } from "../../core/errors.js";

export interface Evaluation {
  readonly value: number;
  readonly gradient: Float64Array;
}

export interface LbfgsOptions {
  /** Pairs of steps and gradient changes that are remembered. Default 10. */
  readonly memory?: number;
  /** Default 100. */
  readonly maxIterations?: number;
  /** Stops once no entry of the gradient is larger. Default 1e-6. */
  readonly gradientTolerance?: number;
  /** Stops once a step would lower a quadratic by less than this share of the value. Default 0: never. */
  readonly valueTolerance?: number;
  /** The first guess of the inverse Hessian, applied to a vector in place of a multiple of the identity. */
  readonly precondition?: (vector: Float64Array) => Float64Array | Promise<Float64Array>;
}

export interface Minimum extends Evaluation {
  readonly at: Float64Array;
  readonly iterations: number;
  readonly evaluations: number;
  /** Whether a tolerance was met, rather than the iterations used up. */
  readonly converged: boolean;
}

/** Sufficient decrease and curvature. */
const C1 = 1e-4;
const C2 = 0.9;
const LONGEST_SEARCH = 20;

/** Minimizes `evaluate` from `start`. Throws a `UsageError` when the function is not finite at `start`. */
export async function minimizeLbfgs(
  evaluate: (at: Float64Array) => Evaluation | Promise<Evaluation>,
  start: Float64Array,
  options: LbfgsOptions = {},
): Promise<Minimum> {
  const { memory = 10, maxIterations = 100, gradientTolerance = 1e-6, valueTolerance = 0 } = options;
  let at = start;
  let now = await evaluate(at);
  let evaluations = 1;
  if (!Number.isFinite(now.value)) {
    throw new UsageError(
      `L-BFGS: the function must be finite where it starts; got ${now.value}. Look at the features.`,
    );
  }
  const steps: Pair[] = [];
  for (let iteration = 0; ; iteration++) {
    if (largest(now.gradient) <= gradientTolerance)
      return { at, ...now, iterations: iteration, evaluations, converged: true };
    if (iteration === maxIterations)
      return { at, ...now, iterations: iteration, evaluations, converged: false };
    const direction = await descent(now.gradient, steps, options.precondition);
    const slope = dot(direction, now.gradient);
    // What a quadratic would still gain on the way is −slope/2.
    if (-slope / 2 <= valueTolerance * Math.abs(now.value)) {
      return { at, ...now, iterations: iteration, evaluations, converged: true };
    }
    const first =
      steps.length > 0 || options.precondition !== undefined ? 1 : Math.min(1, 1 / sumOfAbs(now.gradient));
    const found = await search(evaluate, at, direction, now, slope, first);
    evaluations += found.evaluations;
    const { next, point, step } = found;
    // No lower point along a descent direction: the value's rounding is reached.
    if (step === 0) return { at, ...now, iterations: iteration, evaluations, converged: true };
    const s = direction.map((d) => step * d);
    const y = next.gradient.map((g, i) => g - now.gradient[i]!);
    const curvature = dot(s, y);
    if (curvature > 1e-12 * dot(y, y)) {
      steps.push({ s, y, rho: 1 / curvature });
      if (steps.length > memory) steps.shift();
    }
    at = point;
    now = next;
  }
}

interface Pair {
  readonly s: Float64Array;
  readonly y: Float64Array;
  readonly rho: number;
}

/** −H·g by the two-loop recursion. */
async function descent(
  gradient: Float64Array,
  steps: readonly Pair[],
  precondition: LbfgsOptions["precondition"],
): Promise<Float64Array> {
  let q: Float64Array = gradient.map((g) => -g);
  const alphas: number[] = [];
  for (const { s, y, rho } of steps.toReversed()) {
    const alpha = rho * dot(s, q);
    alphas.push(alpha);
    addScaled(q, -alpha, y);
  }
  const last = steps.at(-1);
  if (precondition !== undefined) q = await precondition(q);
  else if (last !== undefined) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let i = 0; i < q.length; i++) q[i]! *= scale;
  }
  for (const { s, y, rho } of steps) addScaled(q, alphas.pop()! - rho * dot(y, q), s);
  return q;
}

interface Found {
  readonly step: number;
  readonly point: Float64Array;
  readonly next: Evaluation;
  readonly evaluations: number;
}

/** A point of the line, and the function's slope along the line there. */
interface Look {
  readonly step: number;
  readonly point: Float64Array;
  readonly next: Evaluation;
  readonly value: number;
  readonly slope: number;
}

/** A step along `direction` that meets the strong Wolfe conditions, or the lowest that was seen; step 0 where none is lower. */
async function search(
  evaluate: (at: Float64Array) => Evaluation | Promise<Evaluation>,
  from: Float64Array,
  direction: Float64Array,
  start: Evaluation,
  slope: number,
  first: number,
): Promise<Found> {
  let evaluations = 0;
  let best: Omit<Found, "evaluations"> = { step: 0, point: from, next: start };
  const look = async (step: number): Promise<Look> => {
    const point = from.map((x, i) => x + step * direction[i]!);
    const next = await evaluate(point);
    evaluations++;
    if (Number.isFinite(next.value) && next.value < best.next.value) best = { step, point, next };
    return { step, point, next, value: next.value, slope: dot(next.gradient, direction) };
  };
  const enough = (p: Look) => p.value <= start.value + C1 * p.step * slope;
  const flat = (p: Look) => Math.abs(p.slope) <= -C2 * slope;
  let low: Look = { step: 0, point: from, next: start, value: start.value, slope };
  let high: Look | undefined;
  let step = first;
  while (evaluations < LONGEST_SEARCH) {
    const p = await look(step);
    if (!Number.isFinite(p.value) || !enough(p) || (low.step > 0 && p.value >= low.value)) high = p;
    else if (flat(p)) return { ...p, evaluations };
    else if (p.slope >= 0) {
      high = low;
      low = p;
    } else low = p;
    if (high === undefined) step *= 2;
    else {
      step = between(low, high);
      if (Math.abs(high.step - low.step) < 1e-10 * Math.max(low.step, high.step)) break;
    }
  }
  return { ...best, evaluations };
}

/** The minimum of the cubic through both ends' values and slopes, kept off the ends; halfway where there is none. */
function between(
  a: { step: number; value: number; slope: number },
  b: { step: number; value: number; slope: number },
): number {
  const width = b.step - a.step;
  const halfway = a.step + width / 2;
  const d1 = a.slope + b.slope - (3 * (a.value - b.value)) / (a.step - b.step);
  const root = d1 * d1 - a.slope * b.slope;
  if (!(root >= 0)) return halfway;
  const d2 = Math.sign(width) * Math.sqrt(root);
  const step = b.step - (width * (b.slope + d2 - d1)) / (b.slope - a.slope + 2 * d2);
  const share = (step - a.step) / width;
  return share > 0.1 && share < 0.9 ? step : halfway;
}

const largest = (v: Float64Array): number => v.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const sumOfAbs = (v: Float64Array): number => v.reduce((sum, x) => sum + Math.abs(x), 0);

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addScaled(to: Float64Array, scale: number, v: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += scale * v[i]!;
}
