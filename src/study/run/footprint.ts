/**
 * The memory and disk that a run will take here: what its probe held and left behind, and what grows with a run's length and data.
 */

import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { textOf } from "../../core/disk.js";
import type { Dataset } from "../../data/dataset.js";
import { readImageBytes } from "../../data/image-bytes.js";
import { keepImage } from "../../data/pixels/pipeline.js";
import { RUN_MODEL_FILE, readModelFile } from "../../models/config/model-file.js";
import { stepsIn } from "../../settings/duration.js";
import { listCheckpoints } from "../../storage/checkpoint.js";
import { pipelinesOf } from "../../train/open/pipelines.js";
import { pickOf } from "../../train/recipe/pick-fields.js";
import { NO_BEST, type Recipe } from "../../train/recipe/recipe.js";

/** In bytes. */
export interface Footprint {
  /** Most main memory that the process held, training and scoring, less the images that it kept. */
  readonly memoryBytes: number;
  /** A training image as it is kept in memory; 0 where none can be read. */
  readonly imageBytes: number;
  readonly checkpointBytes: number;
  /** A line of `metrics.jsonl`. */
  readonly lineBytes: number;
  /** What else is in a run's folder: model, vocabulary, scores, result. */
  readonly restBytes: number;
}

export const footprintSchema = z.object({
  memoryBytes: z.number(),
  imageBytes: z.number(),
  checkpointBytes: z.number(),
  lineBytes: z.number(),
  restBytes: z.number(),
}) satisfies z.ZodType<Footprint>;

/** Images that are decoded to know how large they are kept, spread over the data. */
const LOOKED_AT = 32;
/** Of images in memory and on disk, and of a header on disk. */
const BLOCK = 64;

/** Mean size of the training images of `dataset` as workers of the run in `folder` keep them, bytes; unreadable ones are passed over. */
async function keptImageBytes(folder: string, recipe: Recipe, { length, images }: Dataset): Promise<number> {
  const { train } = pipelinesOf(recipe, readModelFile(join(folder, RUN_MODEL_FILE)));
  const count = Math.min(LOOKED_AT, length);
  const sizes: number[] = [];
  for (let at = 0; at < count; at++) {
    try {
      const { data } = await keepImage(readImageBytes(images, Math.floor((at * length) / count)), train);
      sizes.push(Math.ceil(data.length / BLOCK) * BLOCK);
    } catch {}
  }
  return sizes.length === 0 ? 0 : sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
}

/** Images in memory of a run over `pairs` pairs, each counted as an image of its own; bytes. */
const keptBytes = ({ imageMemory }: Recipe, pairs: number, imageBytes: number): number =>
  Math.min(imageMemory * 2 ** 20, pairs * imageBytes);

/** What is in a folder, bytes; 0 where it is not there. */
export function folderBytes(path: string): number {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.size;
  return readdirSync(path).reduce((sum, name) => sum + folderBytes(join(path, name)), 0);
}

/**
 * Reads a probe's footprint out of its folder, in which its result is written.
 * @param held most main memory of the process, bytes.
 * @param steps that it took, on images of `dataset`.
 */
export async function footprintOf(
  folder: string,
  recipe: Recipe,
  { held, steps, dataset }: { readonly held: number; readonly steps: number; readonly dataset: Dataset },
): Promise<Footprint> {
  const checkpoints = join(folder, "checkpoints");
  const metrics = join(folder, "metrics.jsonl");
  const lines = (textOf(metrics) ?? "").split("\n").length - 1;
  const metricsBytes = folderBytes(metrics);
  const seen = steps * (pickOf(recipe)?.superBatch ?? recipe.batchSize);
  const imageBytes = await keptImageBytes(folder, recipe, dataset);
  return {
    memoryBytes: held - keptBytes(recipe, Math.min(dataset.length, seen), imageBytes),
    imageBytes,
    checkpointBytes: Math.max(0, ...listCheckpoints(checkpoints).map(({ path }) => folderBytes(path))),
    lineBytes: lines === 0 ? 0 : metricsBytes / lines,
    restBytes: folderBytes(folder) - folderBytes(checkpoints) - metricsBytes,
  };
}

/** What is run: its pairs, steps and seconds of training. */
export interface RunLength {
  readonly pairs: number;
  readonly steps: number;
  readonly seconds: number;
}

/** Most main memory of the process while it trains and scores the run, bytes; images that are kept included. */
export const predictedMemory = (recipe: Recipe, { pairs }: RunLength, print: Footprint): number =>
  print.memoryBytes + keptBytes(recipe, pairs, print.imageBytes);

/** The run's folder when it is done, bytes. */
export function predictedDisk(recipe: Recipe, length: RunLength, print: Footprint): number {
  const lines = Math.ceil(length.steps / recipe.logEveryNSteps);
  return checkpointsOf(recipe, length) * print.checkpointBytes + lines * print.lineBytes + print.restBytes;
}

/** Training images of the run on disk, as far as the limit allows, bytes. */
export const predictedPacked = (
  { imageDisk }: Recipe,
  { pairs }: RunLength,
  { imageBytes }: Footprint,
): number => Math.min(imageDisk * 2 ** 20, pairs * (imageBytes + BLOCK));

/** Checkpoints that are left at the end: that of the end, those of before as far as they are kept, and the best. */
function checkpointsOf(recipe: Recipe, { pairs, steps, seconds }: RunLength): number {
  const { saveFrequency, keepLast, keepBest, batchSize } = recipe;
  const { unit, value } = saveFrequency;
  const clock = { batchSize, samplesPerEpoch: pairs, totalSteps: steps };
  const before =
    value === 0
      ? 0
      : Math.floor(
          unit === "seconds" ? seconds / value : (steps - 1) / stepsIn(saveFrequency, clock, "saveFrequency"),
        );
  const best = keepBest === undefined || keepBest === NO_BEST ? 0 : 1;
  return Math.min(1 + before, keepLast + best);
}

/** Memory and disk that a run takes, bytes. */
export interface Space {
  /** Most main memory of the process. */
  readonly memoryBytes: number;
  /** The run's folder. */
  readonly diskBytes: number;
  /** Its training images on disk, which runs of one preparation share; what tells these; and the limit for all together. */
  readonly packedBytes: number;
  readonly packedAs: string;
  readonly packedLimit: number;
}
