/** A model on a suite, and runs against each other, in one call each. */

import { compareRuns, type MetricComparison, type ScoredRun } from "../evaluate/compare.js";
import { type FeatureSource, freshFeatures, type Progress } from "../evaluate/features/source.js";
import type { LoadedModel } from "../evaluate/model/load-model.js";
import { scoreCorrupted } from "../evaluate/suites/corruptions.js";
import { openSuite } from "../evaluate/suites/open.js";
import { chooseTasks, type ScoredTask, type SetRole, scoreSet } from "../evaluate/suites/score.js";
import { shiftScores, shiftTasks } from "../evaluate/suites/shifts.js";
import { checkSuite, loadSuite, type SuiteInput } from "../evaluate/suites/suite.js";
import { findMetric } from "../evaluate/tasks/index.js";

export interface EvaluateOptions {
  /** Where features come from; default: the model, kept nowhere. A `FeatureStore` keeps them. */
  readonly features?: FeatureSource | undefined;
  /** Told what takes a while, and how far it is. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Told what must be known of the data and the scores, a line each. */
  readonly onNote?: ((note: string) => void) | undefined;
}

/** What a suite's set came to by one task; corrupted pictures, and the mean of the shifts, are sets of role `test`. */
export interface SuiteScore extends ScoredTask {
  readonly role: SetRole;
}

export async function evaluate(
  model: Pick<LoadedModel, "encoder">,
  suite: string | SuiteInput,
  { features, onProgress, onNote }: EvaluateOptions = {},
): Promise<SuiteScore[]> {
  const checked = typeof suite === "string" ? await loadSuite(suite) : checkSuite(suite);
  const sets = await openSuite(checked, { ...(onNote && { onProgress: onNote }) });
  const source = features ?? freshFeatures(model.encoder, onProgress);
  const scores: SuiteScore[] = [];
  for (const set of sets) {
    const onScored = ({ notes }: ScoredTask) => {
      for (const note of notes) onNote?.(note);
    };
    const scored = await scoreSet(source, set, chooseTasks(set.tasks ?? ["auto"], set), { onScored });
    const { role, corruptions } = set;
    const harmed = corruptions && (await scoreCorrupted(source, set, scored, corruptions));
    scores.push(...scored.map((one) => ({ ...one, role })));
    scores.push(...(harmed ?? []).map((one) => ({ ...one, role: "test" as const })));
  }
  const shifted = shiftTasks(shiftScores(scores));
  return [...scores, ...shifted.map((one) => ({ ...one, role: "test" as const }))];
}

export const compare = (runs: readonly ScoredRun[]): MetricComparison[] => compareRuns(runs, findMetric);
