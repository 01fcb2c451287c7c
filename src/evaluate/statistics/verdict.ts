/** Whether a score says more than guessing would. */

/**
 * `guessing`: the interval holds what guessing gives, so the two are not distinguishable. A rank is better when lower.
 */
export type Verdict = "better" | "guessing" | "worse";

/** The verdict on a score whose chance is known. */
export function verdictOf(
  {
    low,
    high,
    chance,
  }: { readonly low: number; readonly high: number; readonly chance?: number | undefined },
  better: "higher" | "lower",
): Verdict | undefined {
  if (chance === undefined) return undefined;
  if (low <= chance && chance <= high) return "guessing";
  return low > chance === (better === "higher") ? "better" : "worse";
}
