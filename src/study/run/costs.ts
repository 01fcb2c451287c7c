/**
 * What a run will take here: a few of its steps are trained for each shape of model, batch and strategy, from its own data through its own
 * loader, and scored once. Seconds are here, memory and disk in `footprint.ts`.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { makeFolder } from "../../core/disk.js";
import { failureWords } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import { ResidentPeak } from "../../core/resident.js";
import type { Dataset } from "../../data/dataset.js";
import type { ScoredTask } from "../../evaluate/suites/score.js";
import { readCheckedJson } from "../../settings/json.js";
import type { StepReport, TrainFunction } from "../../train/hooks.js";
import { checkRecipe, type Recipe, type RecipeInput, recipeToJson } from "../../train/recipe/recipe.js";
import type { Cell, PlannedRun } from "../design/cells.js";
import {
  type Footprint,
  footprintOf,
  footprintSchema,
  predictedDisk,
  predictedMemory,
  predictedPacked,
  type Space,
} from "./footprint.js";
import { type RunResult, scoresOf, writeResult } from "./results.js";

/** What a few steps took. */
export interface Probe {
  /** Until the first step: data read, program compiled. */
  readonly startSeconds: number;
  /** A step without waiting for images. */
  readonly stepSeconds: number;
  /** Waiting for the images of a step, the first time that they are read. */
  readonly dataSeconds: number;
  readonly scoringSeconds: number;
  /** Undefined of probes that were taken before there was one. */
  readonly footprint?: Footprint | undefined;
}

const probesSchema: z.ZodType<Readonly<Record<string, Probe>>> = z.record(
  z.string(),
  z.object({
    startSeconds: z.number(),
    stepSeconds: z.number(),
    dataSeconds: z.number(),
    scoringSeconds: z.number(),
    footprint: footprintSchema.optional(),
  }),
);

/** Learning rate of the steps that are timed. */
const HARMLESS_RATE = 1e-6;
/** Steps that are trained at most. */
const STEPS = 30;
/** Of these, the first: data workers start meanwhile. Not timed. */
const WARM = 10;
/** Where steps are long: fewer, and fewer before them. */
const [FEW_STEPS, FEW_WARM, LONG_SECONDS] = [8, 2, 20];

/** What makes a step's time: the recipe without its length, its data's part and what only names it. */
export function shapeOf(recipe: RecipeInput): string {
  const { epochs: _1, samples: _2, steps: _3, time: _4, ...rest } = recipe;
  const {
    name: _5,
    seed: _6,
    logs: _7,
    select: _8,
    lr: _9,
    wd: _10,
    warmup: _11,
    steps: _12,
    ...shape
  } = recipeToJson(checkRecipe({ ...rest, steps: 1 }, "probe"));
  return createHash("sha256")
    .update(JSON.stringify(Object.entries(shape).sort()))
    .digest("hex")
    .slice(0, 10);
}

/** How runs are trained and scored. */
export interface Doing {
  /** What is done once for all runs, before the first is timed. */
  readonly prepare?: (recipe: Recipe) => Promise<unknown>;
  readonly train: TrainFunction;
  /** Scores the run in a folder. */
  readonly score: (run: string) => Promise<readonly ScoredTask[]>;
  /** What runs are trained on, whole: with it the footprint is measured, too. */
  readonly dataset?: Dataset;
}

/** Where the probes of the study in `folder` are kept: remove it, and they are taken anew. */
export const probesFile = (folder: string): string => join(folder, "probes.json");

/** What shapes of runs take. */
export interface Probes {
  /** By shape. */
  readonly measured: ReadonlyMap<string, Probe>;
  /** Shapes whose few steps failed, with the reason: nothing is foretold of their runs. */
  readonly failed: ReadonlyMap<string, string>;
}

/**
 * Measures the shapes of `runs` that are not in `folder/probes.json` yet. One that fails is passed over, and is measured when this is called
 * again.
 */
export async function probeAll(
  folder: string,
  runs: readonly PlannedRun[],
  doing: Doing,
  onProbe: (at: number, total: number) => void = () => {},
): Promise<Probes> {
  const file = probesFile(folder);
  const measured = new Map<string, Probe>(
    existsSync(file)
      ? Object.entries(readCheckedJson(file, probesSchema, "Remove it: it is measured anew."))
      : [],
  );
  const shapes = new Map(runs.map(({ cell }) => [shapeOf(cell.recipe), cell.recipe]));
  const missing = [...shapes].filter(([shape]) => !measured.has(shape));
  const failed = new Map<string, string>();
  for (const [at, [shape, recipe]] of missing.entries()) {
    onProbe(at, missing.length);
    makeFolder(folder);
    const logs = mkdtempSync(join(folder, "probe-"));
    try {
      measured.set(shape, await probe(recipe, logs, doing));
    } catch (error) {
      failed.set(shape, failureWords(error));
      continue;
    } finally {
      await rm(logs, { recursive: true, force: true });
    }
    writeFileAtomic(file, `${JSON.stringify(Object.fromEntries(measured), undefined, 1)}\n`);
  }
  return { measured, failed };
}

/** Trains a few steps in `logs`, and scores them. */
export async function probe(
  recipe: RecipeInput,
  logs: string,
  { prepare, train, score, dataset }: Doing,
): Promise<Probe> {
  const { epochs: _1, samples: _2, time: _3, ...rest } = recipe;
  // A rate makes no step longer; at one at which the run diverges there would be nothing to time.
  const whole = checkRecipe({ ...rest, lr: HARMLESS_RATE, steps: STEPS, logs, name: "probe" });
  await prepare?.(whole);
  using peak = new ResidentPeak();
  const enough = new AbortController();
  const started = performance.now();
  let first: number | undefined;
  const reports: StepReport[] = [];
  const { folder, samplesSeen } = await train(whole, {
    signal: enough.signal,
    onStep(report) {
      first ??= performance.now();
      reports.push(report);
      if (reports.length >= FEW_STEPS && performance.now() - first > 1000 * LONG_SECONDS) enough.abort();
    },
  });
  const timed = reports.slice(reports.length < STEPS ? FEW_WARM : WARM);
  const median = (of: (report: StepReport) => number): number => {
    const sorted = timed.map(of).sort((a, b) => a - b);
    return sorted[sorted.length >> 1]!;
  };
  const stepSeconds = median((report) => report.stepSeconds - report.dataSeconds);
  const trained = performance.now();
  const scored = await score(folder);
  const scoringSeconds = (performance.now() - trained) / 1000;
  const printOf = (from: Dataset): Promise<Footprint> => {
    writeResult(folder, { samples: samplesSeen, gmacs: 0, seconds: 0, ...scoresOf(scored) });
    return footprintOf(folder, whole, { held: peak.bytes, steps: reports.length, dataset: from });
  };
  return {
    startSeconds: Math.max(0, (first! - started) / 1000 - stepSeconds),
    stepSeconds,
    dataSeconds: timed.reduce((sum, { dataSeconds }) => sum + dataSeconds, 0) / timed.length,
    scoringSeconds,
    ...(dataset && { footprint: await printOf(dataset) }),
  };
}

/** What runs took beside what was predicted, beginning and scoring included; of runs in one sitting. */
export interface Spent {
  readonly runs: number;
  readonly predictedSeconds: number;
  readonly seconds: number;
  /** Mean over the runs. */
  readonly load: number;
}

/** Sums over the results that tell; undefined where none does. */
export function spentBy(results: readonly RunResult[]): Spent | undefined {
  const told = results.filter(
    ({ wholeSeconds, predictedSeconds }) => wholeSeconds !== undefined && predictedSeconds !== undefined,
  );
  if (told.length === 0) return undefined;
  const sum = (value: (result: RunResult) => number | undefined): number =>
    told.reduce((all, result) => all + (value(result) ?? 0), 0);
  return {
    runs: told.length,
    predictedSeconds: sum((result) => result.predictedSeconds),
    seconds: sum((result) => result.wholeSeconds),
    load: sum((result) => result.load) / told.length,
  };
}

/** Seconds that a run takes, training and scoring; those of its time limit where it has one. `share`: of its steps that are trained. */
export const predictedSeconds = ({ cell }: PlannedRun, probe: Probe, share = 1): number =>
  predictedTraining(cell, probe, share) + probe.scoringSeconds;

/** Seconds of its training alone. */
function predictedTraining(cell: Cell, { startSeconds, stepSeconds, dataSeconds }: Probe, share = 1): number {
  const recipe = checkRecipe(cell.recipe, "study");
  if (cell.samples === undefined) return startSeconds + recipe.time!.value;
  const steps = Math.ceil((share * cell.samples) / recipe.batchSize);
  // Images that are kept in memory are waited for once.
  const read = Math.min(steps, Math.ceil(cell.pairs / recipe.batchSize));
  return startSeconds + steps * stepSeconds + read * dataSeconds;
}

/** What a cell's run takes besides time; undefined where its probe was taken before that was measured. */
export function predictedSpace(cell: Cell, probe: Probe): Space | undefined {
  const { footprint } = probe;
  if (footprint === undefined) return undefined;
  const recipe = checkRecipe(cell.recipe, "study");
  const seconds = predictedTraining(cell, probe);
  const steps =
    cell.samples === undefined
      ? Math.floor(seconds / probe.stepSeconds)
      : Math.ceil(cell.samples / recipe.batchSize);
  const length = { pairs: cell.pairs, steps, seconds };
  return {
    memoryBytes: predictedMemory(recipe, length, footprint),
    diskBytes: predictedDisk(recipe, length, footprint),
    packedBytes: predictedPacked(recipe, length, footprint),
    packedAs: JSON.stringify([recipe.keepSize, recipe.imageResizeMode, footprint.imageBytes]),
    packedLimit: recipe.imageDisk * 2 ** 20,
  };
}
