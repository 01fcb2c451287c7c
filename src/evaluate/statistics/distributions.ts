/** Quantiles and tails of the distributions that intervals and tests need, from jStat (Abramowitz and Stegun 26.5). */

import jstat from "jstat";

/** The part of jStat that is used here; the package has no types. */
interface Distributions {
  readonly studentt: { inv(p: number, df: number): number; cdf(x: number, df: number): number };
  readonly beta: { inv(p: number, a: number, b: number): number };
  readonly normal: { inv(p: number, mean: number, sd: number): number };
  ibeta(x: number, a: number, b: number): number;
  lowRegGamma(a: number, x: number): number;
  erfc(x: number): number;
}
const { studentt, beta, normal, ibeta, lowRegGamma, erfc } = jstat as unknown as Distributions;

/** The t below which a share `p` of Student's distribution with `df` degrees of freedom lies; normal where `df` is infinite. */
export const studentQuantile = (p: number, df: number): number =>
  Number.isFinite(df) && df < 1e6 ? studentt.inv(p, df) : normal.inv(p, 0, 1);

/** The chance of a t as far from 0 as this one, on either side. */
export function studentTails(t: number, df: number): number {
  if (!Number.isFinite(t)) return 0;
  const d = Math.min(df, 1e6);
  return ibeta(d / (d + t * t), d / 2, 0.5);
}

export const normalQuantile = (p: number): number => normal.inv(p, 0, 1);

/** The chance of a normal number as far from 0 as `z`, on either side. */
export const normalTails = (z: number): number => erfc(Math.abs(z) / Math.SQRT2);

/** The chance of a χ² of at least `x` with `df` degrees of freedom. */
export const chiSquareTail = (x: number, df: number): number =>
  x <= 0 || df === 0 ? 1 : Math.max(0, 1 - lowRegGamma(df / 2, x / 2));

/** The chance of at most `k` successes in `n` tries of chance `p`: I₁₋ₚ(n − k, k + 1). */
export const binomialAtMost = (k: number, n: number, p: number): number =>
  k < 0 ? 0 : k >= n ? 1 : ibeta(1 - p, n - k, k + 1);

/** The exact interval of a share of `k` in `n` (Clopper and Pearson 1934). */
export function clopperPearson(k: number, n: number, level = 0.95): { low: number; high: number } {
  const tail = (1 - level) / 2;
  return {
    low: k === 0 ? 0 : beta.inv(tail, k, n - k + 1),
    high: k === n ? 1 : beta.inv(1 - tail, k + 1, n - k),
  };
}
