/** How often halving picks the best of arms whose curves and noise are known, and what it saves. */

import { foldIn, keyFromSeed, Random } from "../../core/random.js";
import { costOf, rungsOf, standingsOf } from "./rungs.js";

/** Arms as they are, and how far a run of one may be from that. */
export interface NoisyArms {
  /** Of each arm the mean score at each rung, and at the end. Higher is better. */
  readonly means: readonly (readonly number[])[];
  /** Deviation over seeds of one run at each rung, and at the end. */
  readonly deviations: readonly number[];
  /** Correlation of a run's deviations at two neighbouring rungs. Default 0: the harder case. */
  readonly correlation?: number;
  /** Runs that an arm's score is the mean of. Default 1. */
  readonly seeds?: number;
}

export interface Simulated {
  /** Share of the trials in which halving ended with the arm whose mean at the end is highest. */
  readonly picksBest: number;
  /** Share in which it ended with the arm that would have won, had all been trained to the end. */
  readonly picksWinner: number;
  /** Mean of how much better than the picked arm the best one is, in means at the end. */
  readonly regret: number;
  /** Share of the training that was saved. */
  readonly saved: number;
}

/** The arm that halving ends with, by scores at each rung and at the end. */
export function pickedOf(scores: readonly (readonly number[])[], reduction: number): number {
  const rungs = rungsOf(scores.length, reduction).length;
  const standings = standingsOf(
    scores.map((own) => ({ scores: own, failed: false })),
    rungs,
    reduction,
  );
  return highest(scores.map((own, at) => (standings[at]!.state === "stopped" ? -Infinity : own[rungs]!)));
}

const highest = (values: readonly number[]): number => values.indexOf(Math.max(...values));

/** Draws `trials` outcomes. The same `seed` gives the same. */
export function simulateHalving(
  { means, deviations, correlation = 0, seeds = 1 }: NoisyArms,
  { reduction = 3, trials = 2000, seed = 0 } = {},
): Simulated {
  const random = new Random(foldIn(keyFromSeed(seed), "halving"));
  const truth = means.map((own) => own.at(-1)!);
  const best = highest(truth);
  let [asBest, asWinner, regret] = [0, 0, 0];
  for (let trial = 0; trial < trials; trial++) {
    const scores = means.map((own) => {
      let noise = 0;
      return own.map((mean, rung) => {
        const fresh = rung === 0 ? 1 : Math.sqrt(1 - correlation ** 2);
        noise = correlation * noise + fresh * random.normal();
        return mean + (deviations[rung]! * noise) / Math.sqrt(seeds);
      });
    });
    const picked = pickedOf(scores, reduction);
    if (picked === best) asBest++;
    if (picked === highest(scores.map((own) => own.at(-1)!))) asWinner++;
    regret += truth[best]! - truth[picked]!;
  }
  return {
    picksBest: asBest / trials,
    picksWinner: asWinner / trials,
    regret: regret / trials,
    saved: 1 - costOf(means.length, reduction),
  };
}
