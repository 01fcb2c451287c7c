/** Scoring a study's run on every set of the suite. */

import type { Engine } from "../../engines/engine.js";
import { freshFeatures } from "../../evaluate/features/source.js";
import { loadModel } from "../../evaluate/model/load-model.js";
import type { OpenSet } from "../../evaluate/suites/open.js";
import { chooseTasks, type ScoredTask, scoreSet } from "../../evaluate/suites/score.js";

/** Scores the run in `folder` by the tasks of each set; features are kept nowhere. */
export async function scoreRun(
  engine: Engine,
  folder: string,
  sets: readonly OpenSet[],
): Promise<readonly ScoredTask[]> {
  using model = await loadModel(engine, { path: folder });
  const features = freshFeatures(model.encoder);
  const where = model.step === undefined ? {} : { step: model.step };
  const scored: ScoredTask[] = [];
  for (const set of sets)
    scored.push(...(await scoreSet(features, set, chooseTasks(set.tasks ?? ["auto"], set), { where })));
  return scored;
}
