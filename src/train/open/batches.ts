/** The third step of opening a run: what its steps are fed, and how many there are. */

import { UsageError } from "../../core/errors.js";
import { createLoader, fingerprintOf } from "../../data/index.js";
import { type Pipeline, pipelineOfSize } from "../../data/pixels/pipeline.js";
import { PASSES } from "../batches/batches.js";
import { Loaders } from "../batches/loaders.js";
import { makePlan, type Plan } from "../schedule/plan.js";
import { rowsOfDevices } from "../step/device-rows.js";
import type { OpenFolder } from "./folder.js";
import type { Inputs } from "./inputs.js";

/** Dispose it to end the threads that load images. */
export interface OpenBatches extends AsyncDisposable {
  readonly loaders: Loaders;
  readonly plan: Plan;
}

/** Throws `UsageError` where the batch cannot be made of these data, or shared among these processes. */
export async function openBatches(
  { recipe, processes, run }: OpenFolder,
  { data, pipelines }: Inputs,
): Promise<OpenBatches> {
  const { batchSize, devices, microBatch } = recipe;
  const { index, count } = processes;
  if (count > 1 && microBatch !== undefined) {
    throw new UsageError(
      `microBatch: batches in parts are made by one process; got microBatch=${microBatch}, ${count} processes. Remove it, or use --devices in one process.`,
    );
  }
  const { start, end } = rowsOfDevices(batchSize, count * devices, { first: index * devices, devices });
  const ofSize = (size: number) => (pipeline: Pipeline) =>
    size === pipelines.train.size ? pipeline : pipelineOfSize(pipeline, size);
  const makeLoader = (size: number) =>
    createLoader({
      dataset: data.train,
      ...(microBatch === undefined
        ? { batchSize, rows: { start, end } }
        : { batchSize: microBatch, revisit: { batches: batchSize / microBatch, times: PASSES } }),
      seed: recipe.seed,
      pipeline: ofSize(size)(pipelines.train),
      views: pipelines.views.map(ofSize(size)),
      captions: recipe.captions,
      captionDropout: recipe.captionDropout,
      memoryLimitBytes: recipe.imageMemory * 2 ** 20,
      ...(recipe.workers === undefined ? {} : { workers: recipe.workers }),
    });
  const loaders = new Loaders(makeLoader, recipe.imageSizes?.[0]?.value ?? pipelines.train.size);
  try {
    const plan = await processes.share("plan", () =>
      run!.savePlan({ ...makePlan(recipe, loaders.samplesPerEpoch), data: fingerprintOf(data.train) }),
    );
    return { loaders, plan, [Symbol.asyncDispose]: () => loaders[Symbol.asyncDispose]() };
  } catch (error) {
    await loaders[Symbol.asyncDispose]();
    throw error;
  }
}
