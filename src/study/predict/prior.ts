/** What is taken to be so before a person has run anything: the paper's runs, and how far they may mislead on other sets. */

import { paperRuns } from "./paper-runs.js";
import { type Belief, fitHypotheses, type Observation } from "./regression.js";
import { logOdds, scales, type TermName, termNames, termsOf } from "./terms.js";

/** Passes after which a repeated sample is worth 1/e of a new one, and their prior weights; the paper's runs say 8. */
export const halfLives = [
  { passes: 4, weight: 0.25 },
  { passes: 8, weight: 0.5 },
  { passes: 16, weight: 0.25 },
] as const;

/** Below it the paper's runs guess, and log odds say nothing. */
const LEAST = 0.05;
const BROAD: Belief = { mean: 0, sd: 3 };
const NOISE = 0.1;

/** The coefficients that the paper's runs have with the likeliest half-life, and their root-mean-square residual. */
export function fitPaper(): {
  readonly halfLife: number;
  readonly coefficients: Readonly<Record<TermName, number>>;
  readonly residual: number;
  readonly runs: number;
} {
  const used = paperRuns.filter(({ error }) => 1 - error / 100 >= LEAST);
  const observationsAt = (halfLife: number): Observation[] =>
    used.map(({ error, ...run }) => {
      const terms = termsOf(run, halfLife, scales.paper);
      const y = logOdds(1 - error / 100, run.chance);
      return { row: termNames.map((name) => terms[name]), y, variance: 0 };
    });
  const hypotheses = halfLives.map(({ passes, weight }) => ({ what: passes, weight, noise: NOISE }));
  const fitted = fitHypotheses(
    termNames.map(() => BROAD),
    hypotheses,
    observationsAt,
  );
  const best = fitted.reduce((a, b) => (b.weight > a.weight ? b : a));
  const squares = observationsAt(best.what).map(
    ({ row, y }) => (y - best.mean.reduce((sum, b, at) => sum + b * row[at]!, 0)) ** 2,
  );
  return {
    halfLife: best.what,
    coefficients: Object.fromEntries(termNames.map((name, at) => [name, best.mean[at]!])) as Record<
      TermName,
      number
    >,
    residual: Math.sqrt(squares.reduce((sum, x) => sum + x, 0) / squares.length),
    runs: used.length,
  };
}

/**
 * Standard deviations of what the paper's coefficients are on other sets, judged, not measured: a slope may be wrong by a third, which of
 * two strategies or families is better by about as much as the paper's largest differences. Where a value stands besides, the paper has no
 * runs of it: how a set's level falls with the number of answers to choose from, ResNets ahead where samples are few (its words in section
 * 6); masks of whole runs; and augmentation, which lost on two small sets after two to ten passes (docs/strategies.md).
 *
 * The level is from the sweep of docs/tuning.md: drawings lay 0.3 above a level of −0.4, which had been judged, product photos three; by Bayes'
 * rule that is half a nat more.
 */
const transfer: Readonly<Record<TermName, Partial<Belief> & Pick<Belief, "sd">>> = {
  level: { mean: 0.1, sd: 0.7 },
  scarce: { sd: 0.4 },
  plenty: { sd: 0.15 },
  small: { sd: 0.2 },
  large: { sd: 0.2 },
  "ln classes": { mean: -0.4, sd: 0.2 },
  convolutions: { mean: 0, sd: 0.3 },
  convolutions·scarce: { mean: -0.05, sd: 0.08 },
  swin: { sd: 0.3 },
  mixer: { sd: 0.3 },
  "clip-aug": { mean: -0.2, sd: 0.2 },
  "clip-aug·ln passes": { sd: 0.05 },
  slip: { sd: 0.2 },
  "slip·ln passes": { sd: 0.05 },
  flip: { mean: 0, sd: 0.2 },
  "flip·ln passes": { sd: 0.05 },
};

/**
 * Of each set's own deviation from what all sets share: of its level, and of its slope where samples are scarce. Product photos and
 * drawings of about as many answers differ by three in log odds after as many samples (docs/tuning.md).
 */
export const ownBeliefs: readonly Belief[] = [
  { mean: 0, sd: 1.8 },
  { mean: 0, sd: 0.25 },
];

let known: readonly Belief[] | undefined;

/** What each term's coefficient is taken to be, in the order of the terms. */
export function priorBeliefs(): readonly Belief[] {
  if (known === undefined) {
    const { coefficients } = fitPaper();
    known = termNames.map((name) => ({ mean: coefficients[name], ...transfer[name] }));
  }
  return known;
}
