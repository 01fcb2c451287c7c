/** The third step of opening a run: what its steps are fed, and how many there are. */

import { UsageError } from "../../core/errors.js";
import { createLoader, fingerprintOf } from "../../data/index.js";
import { packedInCache } from "../../data/loading/packed/open.js";
import { type Pipeline, pipelineOfSize } from "../../data/pixels/pipeline.js";
import { Loaders } from "../batches/loaders.js";
import { readingOf } from "../batches/visits.js";
import { pickOf } from "../recipe/pick-fields.js";
import type { Run } from "../run/folder.js";
import { extendPlan, isDone, makePlan, type Plan } from "../schedule/plan.js";
import { rowsOfDevices } from "../step/device-rows.js";
import type { OpenFolder } from "./folder.js";
import type { Inputs } from "./inputs.js";

/** Dispose it to end the threads that load images. */
export interface OpenBatches extends AsyncDisposable {
  readonly loaders: Loaders;
  readonly plan: Plan;
}

/** Throws `UsageError` where the batch cannot be made of these data, or shared among these processes. */
export async function openBatches(folder: OpenFolder, { data, pipelines }: Inputs): Promise<OpenBatches> {
  const { recipe, processes, run } = folder;
  const { batchSize, devices, microBatch } = recipe;
  const { index, count } = processes;
  if (count > 1 && microBatch !== undefined) {
    throw new UsageError(
      `microBatch: batches in parts are made by one process; got microBatch=${microBatch}, ${count} processes. Remove it, or use --devices in one process.`,
    );
  }
  if (count > 1 && recipe.pick !== undefined) {
    throw new UsageError(
      `pick: pairs are picked by one process, which sees the whole super-batch; got pick=${recipe.pick}, ${count} processes. Remove it, or use --devices in one process.`,
    );
  }
  const { superBatch = batchSize } = pickOf(recipe) ?? {};
  const { parts, passes } = readingOf(superBatch, microBatch);
  const { start, end } = rowsOfDevices(batchSize, count * devices, { first: index * devices, devices });
  const ofSize = (size: number) => (pipeline: Pipeline) =>
    size === pipelines.train.size ? pipeline : pipelineOfSize(pipeline, size);
  const makeLoader = (size: number) =>
    createLoader({
      dataset: data.train,
      batchSize: superBatch / parts,
      ...(passes > 1 ? { revisit: { batches: parts, times: passes } } : {}),
      ...(recipe.pick === undefined && microBatch === undefined ? { rows: { start, end } } : {}),
      seed: recipe.seed,
      pipeline: ofSize(size)(pipelines.train),
      views: pipelines.views.map(ofSize(size)),
      captions: recipe.captions,
      captionDropout: recipe.captionDropout,
      onSlow: (line) => folder.hooks.onMessage?.(line, "warning"),
      memoryLimitBytes: recipe.imageMemory * 2 ** 20,
      packed: packedInCache(recipe.imageDisk),
      ...(recipe.workers === undefined ? {} : { workers: recipe.workers }),
    });
  const loaders = new Loaders(makeLoader, recipe.imageSizes?.[0]?.value ?? pipelines.train.size);
  try {
    const made = { ...makePlan(recipe, loaders.samplesPerEpoch), data: fingerprintOf(data.train) };
    const plan = await processes.share("plan", () => planOf(folder, run!, made));
    return { loaders, plan, [Symbol.asyncDispose]: () => loaders[Symbol.asyncDispose]() };
  } catch (error) {
    await loaders[Symbol.asyncDispose]();
    throw error;
  }
}

/** The plan of a new run, or that with which it goes on. */
function planOf({ recipe, hooks }: OpenFolder, run: Run, made: Plan): Plan {
  const { resumed, plan: stored } = run;
  if (resumed === undefined || stored === undefined) return run.savePlan(made);
  const isOther = run.asksForMore && (made.totalSteps === undefined || made.totalSteps !== stored.totalSteps);
  const isDoneOnce = isDone(resumed, stored);
  // An extension whose first checkpoint was passed over begins anew from an earlier one.
  const isEarlier = stored.extended !== undefined && resumed.step < stored.extended.step;
  if (isOther || isEarlier || (recipe.resume === "extend" && isDoneOnce)) {
    const { seconds = 0 } = resumed.state as { readonly seconds?: number };
    const extended = run.extend(extendPlan(recipe, made, resumed.step, seconds));
    if (!isDoneOnce)
      hooks.onMessage?.(
        `The run was not done: from step ${resumed.step} on it goes ${extended.totalSteps === undefined ? "on for its time" : `to ${extended.totalSteps} steps`}, with a warm-up and a decay anew.`,
        "note",
      );
    return extended;
  }
  // While it is measured, the rates of the steps so far are in the plan.
  return run.savePlan(
    stored.totalSteps === undefined ? { ...made, rise: stored.rise, extended: stored.extended } : made,
  );
}
