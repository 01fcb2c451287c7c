/**
 * What a run will take here: a few of its steps are trained for each shape of model, batch and strategy, from its own data through its own
 * loader, and scored once.
 */

import { createHash } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, textOf } from "../../core/disk.js";
import { writeFileAtomic } from "../../core/files.js";
import type { StepReport } from "../../train/hooks.js";
import { checkRecipe, type RecipeInput, recipeToJson } from "../../train/recipe/recipe.js";
import { train } from "../../train/train.js";
import type { Cell, PlannedRun } from "../design/cells.js";

/** What a few steps took. */
export interface Probe {
  /** Until the first step: data read, program compiled. */
  readonly startSeconds: number;
  /** A step without waiting for images. */
  readonly stepSeconds: number;
  /** Waiting for the images of a step, the first time that they are read. */
  readonly dataSeconds: number;
  readonly scoringSeconds: number;
}

/** Steps that are trained; the first two are not timed. */
const STEPS = 8;
const WARM = 2;

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

/** Times the shapes of `runs` that are not in `folder/probes.json` yet. `score` scores the run in a folder, for its time. */
export async function probeAll(
  folder: string,
  runs: readonly PlannedRun[],
  score: (run: string) => Promise<unknown>,
  onProbe: (at: number, total: number) => void = () => {},
): Promise<ReadonlyMap<string, Probe>> {
  const file = join(folder, "probes.json");
  const known = new Map<string, Probe>(
    Object.entries(JSON.parse(textOf(file) ?? "{}") as Record<string, Probe>),
  );
  const shapes = new Map(runs.map(({ cell }) => [shapeOf(cell.recipe), cell.recipe]));
  const missing = [...shapes].filter(([shape]) => !known.has(shape));
  for (const [at, [shape, recipe]] of missing.entries()) {
    onProbe(at, missing.length);
    makeFolder(folder);
    const logs = mkdtempSync(join(folder, "probe-"));
    try {
      known.set(shape, await probe(recipe, logs, score));
    } finally {
      await rm(logs, { recursive: true, force: true });
    }
    writeFileAtomic(file, `${JSON.stringify(Object.fromEntries(known), undefined, 1)}\n`);
  }
  return known;
}

/** Trains a few steps in `logs`, and lets `score` score them. */
export async function probe(
  recipe: RecipeInput,
  logs: string,
  score: (run: string) => Promise<unknown>,
): Promise<Probe> {
  const { epochs: _1, samples: _2, time: _3, ...rest } = recipe;
  const started = performance.now();
  let first: number | undefined;
  const reports: StepReport[] = [];
  const { folder } = await train(checkRecipe({ ...rest, steps: STEPS, logs, name: "probe" }), {
    onStep(report) {
      first ??= performance.now();
      reports.push(report);
    },
  });
  const timed = reports.slice(WARM);
  const median = (of: (report: StepReport) => number): number => {
    const sorted = timed.map(of).sort((a, b) => a - b);
    return sorted[sorted.length >> 1]!;
  };
  const stepSeconds = median((report) => report.stepSeconds - report.dataSeconds);
  const trained = performance.now();
  await score(folder);
  return {
    startSeconds: Math.max(0, (first! - started) / 1000 - stepSeconds),
    stepSeconds,
    dataSeconds: timed.reduce((sum, { dataSeconds }) => sum + dataSeconds, 0) / timed.length,
    scoringSeconds: (performance.now() - trained) / 1000,
  };
}

/** Seconds that a run takes, training and scoring; those of its time limit where it has one. `share`: of its steps that are trained. */
export const predictedSeconds = ({ cell }: PlannedRun, probe: Probe, share = 1): number =>
  predictedTraining(cell, probe, share) + probe.scoringSeconds;

/** Seconds of its training alone. */
export function predictedTraining(
  cell: Cell,
  { startSeconds, stepSeconds, dataSeconds }: Probe,
  share = 1,
): number {
  const recipe = checkRecipe(cell.recipe, "study");
  if (cell.samples === undefined) return startSeconds + recipe.time!.value;
  const steps = Math.ceil((share * cell.samples) / recipe.batchSize);
  // Images that are kept in memory are waited for once.
  const read = Math.min(steps, Math.ceil(cell.pairs / recipe.batchSize));
  return startSeconds + steps * stepSeconds + read * dataSeconds;
}
