/** What reading the data costs a run: a few steps of it are trained, on some pairs seen several times. */

import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scorePairs } from "../../curate/scores/run/score-pairs.js";
import { makeSelection } from "../../curate/select/select.js";
import { type Dataset, subset } from "../../data/index.js";
import type { StepReport } from "../../train/hooks.js";
import { checkRecipe, type RecipeInput } from "../../train/recipe/recipe.js";
import { train } from "../../train/train.js";

/** What a pair takes beside its share of a step on random data, seconds: decoding and cutting pictures, on the same processor or waited for. */
export interface LoaderCost {
  /** The first time that it is seen. */
  readonly first: number;
  /** Each time after that, when pictures may be kept in memory. */
  readonly again: number;
}

/** Steps on pairs that are new, and steps on the same pairs after that; of both the first ones are not timed, as workers start. */
const STEPS = 14;
const WARM = 4;
/** Steps end after so many seconds: then they are long, and waiting for pictures is little beside them. */
const LONGEST_SECONDS = 20;

/**
 * Trains some steps of `recipe`, its length left out, on a part of `dataset`, and says what they took beside `secondsPerSample` each.
 * Throws what training throws.
 */
export async function measureLoader(
  recipe: RecipeInput,
  dataset: Dataset,
  secondsPerSample: number,
): Promise<LoaderCost> {
  const folder = mkdtempSync(join(tmpdir(), "clipwright-plan-"));
  try {
    const batchSize = Number(recipe.batchSize);
    const count = Math.min(dataset.length, STEPS * batchSize);
    const part = subset(
      dataset,
      Array.from({ length: count }, (_, i) => i),
    );
    const [scores, select] = [join(folder, "pairs.parquet"), join(folder, "part.parquet")];
    await scorePairs(part, { out: scores, scores: ["words"] });
    await makeSelection(scores, select, { rules: [] });
    const { sampleWeight: _, ...rest } = recipe;
    // Holding out looks at every picture, which a few steps need not wait for. A trial must not find what one before it kept.
    const short = {
      ...rest,
      select,
      valSplit: 0,
      imageDisk: 0,
      steps: 2 * STEPS,
      logs: folder,
      name: "trial",
    };
    const reports = await stepsOf(short);
    const fresh = Math.floor(count / batchSize);
    const beside = (steps: readonly StepReport[]): number =>
      Math.max(0, middle(steps.map(({ stepSeconds }) => stepSeconds)) / batchSize - secondsPerSample);
    const first = beside(timed(reports.slice(0, fresh)));
    const again = reports.slice(fresh);
    return { first, again: again.length === 0 ? first : Math.min(first, beside(timed(again))) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function stepsOf(recipe: RecipeInput): Promise<readonly StepReport[]> {
  const enough = new AbortController();
  const reports: StepReport[] = [];
  let began: number | undefined;
  await train(checkRecipe(recipe), {
    signal: enough.signal,
    onStep(report) {
      began ??= performance.now();
      reports.push(report);
      if (reports.length > 1 && performance.now() - began > 1000 * LONGEST_SECONDS) enough.abort();
    },
  });
  return reports;
}

/** Without the first ones, where others are left. */
const timed = (steps: readonly StepReport[]): readonly StepReport[] =>
  steps.slice(Math.min(WARM, steps.length >> 1));

/** The mean of the middle half: batches that were ready wait for nothing, others for theirs too, and now and then another program runs. */
function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const quarter = sorted.length >> 2;
  const inner = sorted.slice(quarter, sorted.length - quarter);
  return inner.reduce((sum, value) => sum + value, 0) / inner.length;
}
