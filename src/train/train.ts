/** Training, from a recipe to a run's folder, in this process alone or in each of several. */

import { performance } from "node:perf_hooks";
import type { Dataset } from "../data/dataset.js";
import { type Processes, type TogetherOptions, together } from "../engines/group.js";
import type { TrainHooks, TrainResult } from "./hooks.js";
import { loop } from "./loop.js";
import { openBatches } from "./open/batches.js";
import { openFolder } from "./open/folder.js";
import { openInputs } from "./open/inputs.js";
import { openStep } from "./open/step.js";
import { openWatch } from "./open/watch.js";
import type { Recipe } from "./recipe/recipe.js";
import { resultOfDone } from "./watch/supervisor.js";

export interface TrainOptions extends TogetherOptions {
  /** Trained on instead of what the recipe's `trainData` names: a part of it, say. A run that goes on needs the same again. */
  readonly trainSet?: Dataset | undefined;
  /** File of a vocabulary that runs share: taken where the recipe would learn one. */
  readonly vocabulary?: string | undefined;
}

/**
 * Trains what the recipe says, in the folder `LOGS/NAME`; run again, it goes on from the latest checkpoint. Where a
 * launcher started several processes, each calls it: process 0 alone writes the folder and calls the hooks, the others
 * pass on what their own rows of a batch had to warn of, and all get process 0's result.
 * Throws `UsageError` for what the caller can mend: bad data or settings, a full disk, a loss that is not finite, a
 * device that fails, another process that has.
 */
export function train(
  recipe: Recipe,
  hooks: TrainHooks = {},
  options: TrainOptions = {},
): Promise<TrainResult> {
  const started = performance.now();
  return together(
    recipe.engine,
    (processes) => trainHere(recipe, hooks, processes, started, options),
    options,
  );
}

async function trainHere(
  recipe: Recipe,
  hooks: TrainHooks,
  processes: Processes,
  started: number,
  given: TrainOptions,
): Promise<TrainResult> {
  using folder = await openFolder(recipe, hooks, processes);
  const { run, resumed, done } = folder;
  if (done) {
    const { path } = folder;
    folder.hooks.onMessage?.(
      `This run was done before; clipwright train RUN --steps N goes on with it. Nothing is changed in ${path}.`,
      "note",
    );
    return processes.share("result", () => resultOfDone(run!));
  }
  const inputs = await openInputs(folder, given);
  await using batches = await openBatches(folder, inputs);
  using step = await openStep(folder, inputs, batches);
  using watch = run && (await openWatch({ ...folder, run }, inputs, batches, step, started));
  if (run === undefined) {
    processes.forward("stop", hooks.signal, () => {});
    processes.forward("finish", hooks.finish, () => {});
  }
  const supervisor = watch?.supervisor;
  const context = { ...folder, ...inputs.model, ...batches, ...step, supervisor };
  const last = await loop(context, batches.plan, resumed?.step ?? 0);
  return await processes.share("result", () => supervisor!.result(last));
}
