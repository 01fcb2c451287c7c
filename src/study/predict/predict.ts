/** Scores of runs that nobody has done yet, with intervals, from those that somebody has. */

import type { PastRun, PastScore } from "../past/past-run.js";
import { halfLives, ownBeliefs, priorBeliefs } from "./prior.js";
import {
  type Component,
  componentsOf,
  type Fitted,
  fitHypotheses,
  type Observation,
  quantileOf,
  shareBelow,
} from "./regression.js";
import { logOdds, scoreAt, type Terms, termNames, termsOf } from "./terms.js";

/** The score that is asked for. */
export interface Asked {
  /** Name of the data set that it is taken on. */
  readonly dataset: string;
  readonly metric: string;
  /** Items that it is averaged over: their number limits how sure it is. */
  readonly n: number;
  readonly chance: number;
}

export interface Predicted {
  /** The median. */
  readonly value: number;
  /** Ends of the interval that holds 80 % of the outcomes. */
  readonly low: number;
  readonly high: number;
}

/** What predictions rest on. */
export interface Evidence {
  /** Runs with this score on this set. */
  readonly here: number;
  /** Runs with any score that counts, on any set; the same runs on another set count again. */
  readonly all: number;
  readonly sets: number;
  /** Scores not to be told from guessing, which say nothing. */
  readonly guessing: number;
  /** Standard deviation of what runs differ by that the terms do not say, in log odds. */
  readonly noise: number;
  /** Passes after which a repeated sample is worth 1/e of a new one. */
  readonly halfLife: number;
}

export interface Predictor {
  readonly evidence: Evidence;
  predict(run: Omit<Terms, "chance">): Predicted;
  /** The chance that a run of `a` scores above one of `b`. */
  better(a: Omit<Terms, "chance">, b: Omit<Terms, "chance">): number;
}

/** Standard deviations of the noise, log odds, and their prior weights: two seeds of one recipe differ by about 0.1 to 0.2. */
export const noises = [
  { noise: 0.06, weight: 1 },
  { noise: 0.1, weight: 2 },
  { noise: 0.16, weight: 3 },
  { noise: 0.25, weight: 3 },
  { noise: 0.4, weight: 2 },
  { noise: 0.65, weight: 1 },
] as const;

/** Guessing may differ by so much between two runs' items of one set, as held-out parts of other sizes make it. */
const SAME_CHANCE = 1.5;
const TAIL = 0.1;

/** Whether a past score is of the set and the kind that is asked for. */
const isOf = ({ dataset, metric, chance = 0 }: PastScore, asked: Asked): boolean =>
  dataset === asked.dataset &&
  metric === asked.metric &&
  Math.max(chance, asked.chance) <= SAME_CHANCE * Math.min(chance, asked.chance);

/** Metrics that are shares with a guess, and so have log odds. */
const counts = ({ value, low, chance = 0 }: PastScore): boolean =>
  chance > 0 && chance < 1 && value < 1 && low > chance;

/** Scores that say nothing: shares that are no better than guessing. */
const guesses = ({ low, chance = 0 }: PastScore): boolean => chance > 0 && chance < 1 && low <= chance;

interface Row {
  readonly terms: Terms;
  readonly set: number;
  readonly y: number;
  readonly variance: number;
}

/** Variance of the log odds of a share that is averaged over n items: 1 / (n·s·(1 − s)), s its share above guessing. */
function variance(odds: number, n: number): number {
  const share = 1 / (1 + Math.exp(-odds));
  return 1 / (n * share * (1 - share));
}

/**
 * A predictor of one score. Past runs count with their scores of the same metric, on the set that is asked about and on others: all share
 * the terms' coefficients, each set has a level and a slope of its own. Runs that start from weights are left out.
 */
export function makePredictor(asked: Asked, past: readonly PastRun[]): Predictor {
  const sets = new Map<string, number>([["asked", 0]]);
  const rows: Row[] = [];
  let guessing = 0;
  let here = 0;
  for (const { scores, pretrained, ...run } of past) {
    if (pretrained !== undefined) continue;
    for (const score of scores) {
      const { dataset, metric, value, n, chance } = score;
      if (metric !== asked.metric) continue;
      if (guesses(score)) guessing++;
      if (!counts(score)) continue;
      const name = isOf(score, asked) ? "asked" : `${dataset} ${Math.round(Math.log(chance!))}`;
      if (!sets.has(name)) sets.set(name, sets.size);
      if (name === "asked") here++;
      const y = logOdds(value, chance!);
      rows.push({ terms: { ...run, chance: chance! }, set: sets.get(name)!, y, variance: variance(y, n) });
    }
  }
  const width = termNames.length + ownBeliefs.length * sets.size;
  const rowOf = (terms: Terms, set: number, halfLife: number): Float64Array => {
    const values = termsOf(terms, halfLife);
    const row = new Float64Array(width);
    for (const [at, name] of termNames.entries()) row[at] = values[name];
    row.set([1, values.scarce], termNames.length + ownBeliefs.length * set);
    return row;
  };
  const beliefs = [...priorBeliefs(), ...[...sets].flatMap(() => ownBeliefs)];
  const hypotheses = halfLives.flatMap(({ passes, weight: a }) =>
    noises.map(({ noise, weight: b }) => ({ what: passes, weight: a * b, noise })),
  );
  const observations = new Map(
    halfLives.map(({ passes }) => [
      passes as number,
      rows.map(
        ({ terms, set, y, variance: v }): Observation => ({ row: rowOf(terms, set, passes), y, variance: v }),
      ),
    ]),
  );
  const fitted = fitHypotheses(beliefs, hypotheses, (passes) => observations.get(passes)!);
  const mean = (of: (one: Fitted<number>) => number): number =>
    fitted.reduce((sum, one) => sum + one.weight * of(one), 0);
  const rowHere = (run: Omit<Terms, "chance">, halfLife: number): Float64Array =>
    rowOf({ ...run, chance: asked.chance }, 0, halfLife);
  return {
    evidence: {
      here,
      all: rows.length,
      sets: new Set(rows.map(({ set }) => set)).size,
      guessing,
      noise: mean(({ noise }) => noise),
      halfLife: mean(({ what }) => what),
    },
    predict(run) {
      const mixture = componentsOf(fitted, (halfLife) => rowHere(run, halfLife)).map(
        ({ noise, ...one }): Component => ({
          ...one,
          variance: one.variance + noise ** 2 + variance(Math.max(-4, Math.min(4, one.mean)), asked.n),
        }),
      );
      const at = (q: number): number => scoreAt(quantileOf(mixture, q), asked.chance);
      return { value: at(0.5), low: at(TAIL), high: at(1 - TAIL) };
    },
    better(a, b) {
      const mixture = componentsOf(fitted, (halfLife) => {
        const [of, less] = [rowHere(a, halfLife), rowHere(b, halfLife)];
        return of.map((value, at) => value - less[at]!);
      }).map(({ noise, ...one }): Component => ({ ...one, variance: one.variance + 2 * noise ** 2 }));
      return 1 - shareBelow(mixture, 0);
    },
  };
}
