/** Which of the candidates a budget is best spent on: what each could see, and what would come of it. */

import { tunedRates } from "../../train/recipe/rates.js";
import type { Predicted, Predictor } from "../predict/predict.js";
import type { Budget } from "./budget.js";
import type { Candidate } from "./candidates.js";
import type { LoaderCost } from "./loader.js";
import { secondsOf, type TimedStep } from "./profile.js";

/** A candidate with what the budget lets it see. */
export interface Option extends Candidate {
  readonly batchSize: number;
  /** Different pairs. */
  readonly unique: number;
  /** Samples seen. */
  readonly samples: number;
  /** What they take; less than the budget where more passes would bring nothing. */
  readonly seconds: number;
  /** Multiply-adds of the forward passes, 10⁹. */
  readonly gmacs: number;
  /** Its time is reckoned from another model's. */
  readonly estimated: boolean;
  readonly predicted: Predicted;
}

export interface Situation {
  readonly budget: Pick<Budget, "seconds" | "gmacs">;
  /** Different pairs that can be trained on. */
  readonly unique: number;
  readonly steps: readonly TimedStep[];
  readonly predictor: Predictor;
  /** What the loader makes of it, once it has been tried: see `LoaderCost`. */
  readonly loader?: LoaderCost | undefined;
  /** Bytes that a step may need. Default: any. */
  readonly memoryBytes?: number | undefined;
}

/** Share of the worth of endless passes that may be missing where a run ends before its budget. */
const MISSING = 0.005;
/** Passes from which on pictures are changed or seen in several views: in a single pass augmentation hurts (the paper's section 7). */
const VIEWS_FROM = 2;

/** Pairs of a step, by the rule of docs/tuning.md, which goes by pairs and samples alone; never more than half of the pairs. */
export function batchFor(unique: number, samples?: number): number {
  const half = 2 ** Math.floor(Math.log2(Math.max(2, unique / 2)));
  return Math.min(half, tunedRates({ parameters: 1e6, pairs: unique, samples }).batchSize);
}

/** Passes after which more would bring less than half a per cent of what endless ones do. */
export const mostPasses = (halfLife: number): number => 1 - halfLife * Math.log(MISSING);

/** The candidates with what they would come to, best first: by the median of what is predicted. */
export function rank(candidates: readonly Candidate[], situation: Situation): readonly Option[] {
  const { budget, unique, steps, predictor, memoryBytes = Number.POSITIVE_INFINITY } = situation;
  const { loader = { first: 0, again: 0 } } = situation;
  const most = unique * mostPasses(predictor.evidence.halfLife);
  const options = candidates.flatMap((candidate): Option[] => {
    const { gmacsPerPair, gmacsPerSample, strategy, model } = candidate;
    const step = secondsOf(steps, candidate);
    const secondsPerSample = (step.seconds * gmacsPerSample) / gmacsPerPair;
    const [first, again] = [secondsPerSample + loader.first, secondsPerSample + loader.again];
    const affordable =
      budget.gmacs !== undefined
        ? budget.gmacs / gmacsPerSample
        : samplesIn(budget.seconds!, unique, first, again);
    const samples = Math.round(Math.min(affordable, most));
    const batchSize = batchFor(unique, samples);
    const needed = steps.find((one) => one.model === model)?.memoryBytes ?? 0;
    const views = strategy === "clip-aug" || strategy === "slip";
    if (samples < batchSize || needed > memoryBytes || (views && samples < VIEWS_FROM * unique)) return [];
    const seen = { unique, samples };
    return [
      {
        ...candidate,
        ...seen,
        batchSize,
        seconds: Math.min(samples, unique) * first + Math.max(0, samples - unique) * again,
        gmacs: samples * gmacsPerSample,
        estimated: step.estimated,
        predicted: predictor.predict({ ...candidate, ...seen }),
      },
    ];
  });
  return options.sort((a, b) => b.predicted.value - a.predicted.value || a.gmacsPerPair - b.gmacsPerPair);
}

/** Samples in a time t = min(samples, unique) · first + (samples − unique)₊ · again, seconds each. */
const samplesIn = (seconds: number, unique: number, first: number, again: number): number =>
  seconds <= unique * first ? seconds / first : unique + (seconds - unique * first) / again;

/** Models that are told as runners-up, and so must be timed. */
export const TOLD = 3;

/** Another budget or more data, and what would then be chosen. */
export interface Change {
  readonly when: string;
  readonly option: Option;
}

/** Where the choice would be another one: less and more to spend, and more pairs. */
export function changesOf(candidates: readonly Candidate[], situation: Situation): readonly Change[] {
  const now = rank(candidates, situation)[0];
  const spend = (factor: number): Situation => {
    const { seconds, gmacs } = situation.budget;
    const scaled = {
      seconds: seconds === undefined ? undefined : factor * seconds,
      gmacs: gmacs === undefined ? undefined : factor * gmacs,
    };
    return { ...situation, budget: scaled };
  };
  const others: readonly (readonly [string, Situation])[] = [
    ["a quarter of the budget", spend(1 / 4)],
    ["four times the budget", spend(4)],
    ["sixteen times the budget", spend(16)],
    ["four times the pairs", { ...situation, unique: 4 * situation.unique }],
  ];
  return others.flatMap(([when, other]) => {
    const [option] = rank(candidates, other);
    const same = option?.model === now?.model && option?.strategy === now?.strategy;
    return option === undefined || same ? [] : [{ when, option }];
  });
}
