/** Finding the runs that a person has done: in folders of runs and studies, and in files that were written of them. */

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { textOf } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { missingFile, withFileErrors } from "../../core/files.js";
import { filesBeside } from "../../evaluate/model/locate.js";
import { type EvaluationRecord, parseEvaluation } from "../../evaluate/records.js";
import { makeClip } from "../../models/clip.js";
import type { ClipConfig } from "../../models/config/config.js";
import { RUN_MODEL_FILE, readModelFile } from "../../models/config/model-file.js";
import { familyOf } from "../../models/image/timm.js";
import { towerCosts } from "../../models/presets/catalog.js";
import type { Recipe } from "../../train/recipe/recipe.js";
import { recipeOf } from "../../train/run/data.js";
import { planIn, readLines } from "../../train/run/folder.js";
import { phasesOf } from "../../train/schedule/phases.js";
import { readResult } from "../run/results.js";
import { readRuns } from "./files.js";
import type { PastRun, PastScore } from "./past-run.js";
import { selectionOf } from "./selection.js";

/** Where runs and studies are kept unless somebody says otherwise. */
export const DEFAULT_RESULTS = ["runs", "studies"] as const;

/** Of `studies/NAME/runs/RUN`: folders below one that is named. */
const DEPTH = 4;

export interface CollectedRuns {
  readonly runs: readonly PastRun[];
  /** Runs that are left out, a line each. */
  readonly left: readonly string[];
}

/**
 * The runs in `paths`, each once: a run's folder, folders that hold such, or a file (`.jsonl`, `.parquet`) of runs. Runs that are not
 * finished or cannot be read are left out. Throws `UsageError` for a path that is not there and a file of something else.
 */
export async function collectRuns(paths: readonly string[]): Promise<CollectedRuns> {
  const runs = new Map<string, PastRun>();
  const left: string[] = [];
  for (const path of paths) {
    if (!existsSync(path)) throw missingFile(path);
    if (!statSync(path).isDirectory()) {
      for (const run of await readRuns(path)) runs.set(run.run, run);
      continue;
    }
    for (const folder of runFolders(path, DEPTH)) {
      try {
        runs.set(folder, await pastRunIn(folder));
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        left.push(`${folder}: ${error.message}`);
      }
    }
  }
  return { runs: [...runs.values()], left };
}

/** Folders with a recipe at `path` and below it. */
function runFolders(path: string, depth: number): string[] {
  if (existsSync(join(path, "config.json"))) return [path];
  if (depth === 0) return [];
  return withFileErrors("read", path, () => readdirSync(path, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .flatMap((name) => runFolders(join(path, name), depth - 1));
}

/** The facts of a finished run. Throws `UsageError` where it is not finished, or is no run. */
export async function pastRunIn(folder: string): Promise<PastRun> {
  const recipe = recipeOf(folder);
  const plan = planIn(folder);
  const last = readLines(join(folder, "metrics.jsonl")).at(-1);
  if (plan?.totalSteps === undefined || last?.step !== plan.totalSteps)
    throw new UsageError(`is not finished; got step ${last?.step ?? 0} of ${plan?.totalSteps ?? "?"}.`);
  const { config } = readModelFile(filesBeside(folder).config ?? join(folder, RUN_MODEL_FILE));
  const result = readResult(folder);
  const records =
    result?.records ?? parseEvaluation(textOf(join(folder, "evaluation.jsonl")) ?? "", "evaluation.jsonl");
  const { vision_cfg } = makeClip(config).config;
  return {
    run: folder,
    data: [recipe.trainData].flat().join(","),
    ...(recipe.select === undefined ? { kept: 1 } : await selectionOf(folder, String(recipe.select))),
    unique: plan.samplesPerEpoch ?? Number(last.samplesSeen),
    samples: Number(last.samplesSeen),
    gmacs: spentMacs(folder, recipe, plan.totalSteps) / 1e9,
    seconds: Number(last.seconds),
    model: typeof recipe.model === "string" ? recipe.model : "model",
    family: familyOf(vision_cfg) ?? "vit",
    gmacsPerPair: gmacsOfPair(config),
    strategy: strategyOf(recipe),
    batchSize: recipe.batchSize,
    lr: recipe.lr,
    seed: recipe.seed,
    pretrained: startOf(recipe),
    expected: recipe.expected,
    scores: lastScores(records, plan.totalSteps),
  };
}

/** Multiply-adds of the forward passes of `steps` steps of a run. */
export function spentMacs(folder: string, recipe: Recipe, steps: number): number {
  const clip = makeClip(readModelFile(filesBeside(folder).config ?? join(folder, RUN_MODEL_FILE)).config);
  return (
    recipe.batchSize * phasesOf(recipe, clip).forwardMacs(steps, planIn(folder) ?? { totalSteps: undefined })
  );
}

const costs = new Map<string, number>();

/** Multiply-adds of a model's forward pass on a pair, 10⁹. */
export function gmacsOfPair(config: ClipConfig): number {
  const key = JSON.stringify(config);
  const known = costs.get(key);
  if (known !== undefined) return known;
  const { image, text } = towerCosts(config);
  const gmacs = (image.macs + text.macs) / 1e9;
  costs.set(key, gmacs);
  return gmacs;
}

/** The strategy by name; pictures that are changed make it `clip-aug`, whoever asked for it. */
export const strategyOf = ({ strategy, augment }: Pick<Recipe, "strategy" | "augment">): string =>
  strategy === "clip" && augment !== "none" ? "clip-aug" : strategy;

/** What a run learned besides its pairs: weights that it started from, or a teacher. */
const startOf = ({ pretrained, pretrainedImage, teacher }: Recipe): string | undefined => {
  const start = pretrained ?? pretrainedImage ?? teacher;
  return start === undefined ? undefined : String(start);
};

/** Of each set and metric the last score, if it is of the finished run. */
function lastScores(records: readonly EvaluationRecord[], step: number): readonly PastScore[] {
  const last = new Map<string, PastScore>();
  for (const record of records) {
    const { dataset, metric, value, low, high, n, chance, corruption } = record;
    if (corruption !== undefined || (record.step !== undefined && record.step !== step)) continue;
    const score = { dataset, metric, value, low, high, n };
    last.set(`${dataset}/${metric}`, chance === undefined ? score : { ...score, chance });
  }
  return [...last.values()];
}
