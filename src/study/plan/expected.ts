/** What a plan expects of a run, as its recipe remembers it; and whether it came so. */

import { UsageError } from "../../core/errors.js";
import { clopperPearson } from "../../evaluate/statistics/distributions.js";
import type { PastRun } from "../past/past-run.js";
import type { Predicted } from "../predict/predict.js";

export interface Expected extends Predicted {
  /** `dataset/metric`. */
  readonly score: string;
}

const digits = (x: number): string => String(Number(x.toPrecision(4)));

/** `photos held out/image_retrieval_recall@1 0.31 (0.22 to 0.41)`. */
export const writeExpected = ({ score, value, low, high }: Expected): string =>
  `${score} ${digits(value)} (${digits(low)} to ${digits(high)})`;

/** Reads what `writeExpected` wrote. Throws `UsageError`. */
export function readExpected(text: string): Expected {
  const match = /^(.+\/\S+) (\S+) \((\S+) to (\S+)\)$/.exec(text);
  const [value, low, high] = [match?.[2], match?.[3], match?.[4]].map(Number);
  if (match === null || ![value, low, high].every(Number.isFinite))
    throw new UsageError(
      `expected: must be SET/METRIC VALUE (LOW to HIGH); got "${text}". Remove it, or let clipwright plan write it.`,
      { key: "expected" },
    );
  return { score: match[1]!, value: value!, low: low!, high: high! };
}

export interface Kept extends Expected {
  readonly run: string;
  /** What came out; undefined where the run has no such score. */
  readonly came: number | undefined;
  readonly inside: boolean | undefined;
}

export interface Coverage {
  readonly runs: readonly Kept[];
  /** Runs that have the score. */
  readonly scored: number;
  readonly inside: number;
  /** Of the share inside, the exact interval of 95 %; undefined without scored runs. */
  readonly interval: { readonly low: number; readonly high: number } | undefined;
}

/** Of the runs that were trained from a plan, which came out inside its interval. */
export function coverageOf(past: readonly PastRun[]): Coverage {
  const runs = past.flatMap(({ run, expected, scores }): Kept[] => {
    if (expected === undefined) return [];
    const told = readExpected(expected);
    const came = scores.find(({ dataset, metric }) => `${dataset}/${metric}` === told.score)?.value;
    const inside = came === undefined ? undefined : told.low <= came && came <= told.high;
    return [{ ...told, run, came, inside }];
  });
  const scored = runs.filter(({ inside }) => inside !== undefined).length;
  const inside = runs.filter((run) => run.inside).length;
  return { runs, scored, inside, interval: scored === 0 ? undefined : clopperPearson(inside, scored) };
}
