/**
 * Linear regression with a normal prior on every coefficient, averaged over hypotheses that are not linear: how large the noise is, and
 * how observations become rows. No iteration and no chance: the same observations give the same posterior.
 */

import { InternalError } from "../../core/errors.js";
import { normalTails } from "../../evaluate/statistics/distributions.js";

/** What a coefficient is taken to be before any observation. */
export interface Belief {
  readonly mean: number;
  /** Standard deviation, above 0. */
  readonly sd: number;
}

export interface Observation {
  /** [p], in the order of the beliefs. */
  readonly row: ArrayLike<number>;
  readonly y: number;
  /** Variance of `y` that is known, such as that of a score on few items; the noise comes on top. */
  readonly variance: number;
}

export interface Hypothesis<H> {
  readonly what: H;
  /** Prior weight, any scale. */
  readonly weight: number;
  /** Standard deviation of the noise. */
  readonly noise: number;
}

/** A normal distribution of a mixture. */
export interface Component {
  readonly weight: number;
  readonly mean: number;
  readonly variance: number;
}

export interface Fitted<H> extends Hypothesis<H> {
  /** [p] */
  readonly mean: Float64Array;
  /** Covariance of the coefficients, [p, p] row-major. */
  readonly covariance: Float64Array;
}

/**
 * The posterior under each hypothesis h: y = row·b + e, b ~ N(mean, sd²), e ~ N(0, noise² + variance). Weights are posterior, and
 * sum to 1.
 * @param rowsOf the observations as hypothesis `h` has them.
 */
export function fitHypotheses<H>(
  beliefs: readonly Belief[],
  hypotheses: readonly Hypothesis<H>[],
  rowsOf: (what: H) => readonly Observation[],
): readonly Fitted<H>[] {
  const fitted = hypotheses.map((hypothesis) => {
    const { mean, covariance, evidence } = posterior(beliefs, rowsOf(hypothesis.what), hypothesis.noise);
    return { ...hypothesis, mean, covariance, evidence: evidence + Math.log(hypothesis.weight) };
  });
  const most = Math.max(...fitted.map(({ evidence }) => evidence));
  const sum = fitted.reduce((total, { evidence }) => total + Math.exp(evidence - most), 0);
  return fitted.map(({ evidence, ...one }) => ({ ...one, weight: Math.exp(evidence - most) / sum }));
}

/** Posterior with precision A = diag(1/sd²) + Σ rowᵀrow/v and mean A⁻¹(mean/sd² + Σ rowᵀy/v), and the log of the evidence. */
function posterior(beliefs: readonly Belief[], observations: readonly Observation[], noise: number) {
  const p = beliefs.length;
  const precision = new Float64Array(p * p);
  const right = new Float64Array(p);
  let squares = 0;
  let logs = 0;
  for (const [i, { mean, sd }] of beliefs.entries()) {
    precision[i * p + i] = 1 / sd ** 2;
    right[i] = mean / sd ** 2;
    squares += (mean / sd) ** 2;
    logs += 2 * Math.log(sd);
  }
  for (const { row, y, variance } of observations) {
    const weight = 1 / (noise ** 2 + variance);
    squares += weight * y ** 2;
    logs -= Math.log(weight);
    for (let i = 0; i < p; i++) {
      if (row[i] === 0) continue;
      right[i]! += weight * row[i]! * y;
      for (let j = 0; j < p; j++) precision[i * p + j]! += weight * row[i]! * row[j]!;
    }
  }
  const { inverse: covariance, logDeterminant } = invert(precision, p);
  const mean = new Float64Array(p);
  let explained = 0;
  for (let i = 0; i < p; i++) {
    for (let j = 0; j < p; j++) mean[i]! += covariance[i * p + j]! * right[j]!;
    explained += mean[i]! * right[i]!;
  }
  return { mean, covariance, evidence: -0.5 * (logs + logDeterminant + squares - explained) };
}

/** The inverse of a positive definite matrix [p, p], by Cholesky's factors, and the log of its determinant. */
function invert(matrix: Float64Array, p: number) {
  const lower = new Float64Array(p * p);
  let logDeterminant = 0;
  for (let i = 0; i < p; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * p + j]!;
      for (let k = 0; k < j; k++) sum -= lower[i * p + k]! * lower[j * p + k]!;
      if (i === j && !(sum > 0))
        throw new InternalError("regression: the precision is not positive definite");
      lower[i * p + j] = i === j ? Math.sqrt(sum) : sum / lower[j * p + j]!;
    }
    logDeterminant += 2 * Math.log(lower[i * p + i]!);
  }
  const inverse = new Float64Array(p * p);
  for (let column = 0; column < p; column++) {
    const x = new Float64Array(p);
    for (let i = 0; i < p; i++) {
      let sum = i === column ? 1 : 0;
      for (let k = 0; k < i; k++) sum -= lower[i * p + k]! * x[k]!;
      x[i] = sum / lower[i * p + i]!;
    }
    for (let i = p - 1; i >= 0; i--) {
      let sum = x[i]!;
      for (let k = i + 1; k < p; k++) sum -= lower[k * p + i]! * x[k]!;
      x[i] = sum / lower[i * p + i]!;
    }
    inverse.set(x, column * p);
  }
  return { inverse, logDeterminant };
}

/** What row·b is under each hypothesis; of the coefficients alone, without noise. */
export function componentsOf<H>(
  fitted: readonly Fitted<H>[],
  rowOf: (what: H) => ArrayLike<number>,
): readonly (Component & { readonly noise: number })[] {
  return fitted.map(({ what, weight, noise, mean, covariance }) => {
    const row = rowOf(what);
    const p = mean.length;
    let value = 0;
    let variance = 0;
    for (let i = 0; i < p; i++) {
      if (row[i] === 0) continue;
      value += row[i]! * mean[i]!;
      for (let j = 0; j < p; j++) variance += row[i]! * covariance[i * p + j]! * row[j]!;
    }
    return { weight, mean: value, variance, noise };
  });
}

/** The share of a mixture that lies below `x`. */
export function shareBelow(mixture: readonly Component[], x: number): number {
  return mixture.reduce((sum, { weight, mean, variance }) => {
    const z = (x - mean) / Math.sqrt(variance);
    return sum + weight * (z < 0 ? normalTails(z) / 2 : 1 - normalTails(z) / 2);
  }, 0);
}

/** The x below which a share `q` of a mixture lies, by halving. */
export function quantileOf(mixture: readonly Component[], q: number): number {
  const ends = mixture.map(({ mean, variance }) => [mean, 10 * Math.sqrt(variance)] as const);
  let low = Math.min(...ends.map(([mean, reach]) => mean - reach));
  let high = Math.max(...ends.map(([mean, reach]) => mean + reach));
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2;
    if (shareBelow(mixture, middle) < q) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
