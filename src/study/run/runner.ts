/**
 * Runs a study: each run is trained, scored on the suite, and its result kept in its folder. Whoever runs the study again, or beside, takes
 * what is not done: a run that another process trains is left to it, one whose process is gone goes on from its last checkpoint.
 */

import { existsSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { textOf } from "../../core/disk.js";
import { oneLine, UsageError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import type { Engine } from "../../engines/engine.js";
import type { OpenSet } from "../../evaluate/suites/open.js";
import { RUN_IS_HELD } from "../../storage/lock.js";
import type { TrainFunction, TrainHooks } from "../../train/hooks.js";
import { checkRecipe, type Recipe, type RecipeInput } from "../../train/recipe/recipe.js";
import type { PlannedRun } from "../design/cells.js";
import { readResult, writeResult } from "./results.js";
import { scoreRun } from "./score.js";

/** What is known of a run before it is looked at again. */
export type RunState =
  | { readonly kind: "done" }
  /** Tried `tries` times; `message` of the last. */
  | { readonly kind: "failed"; readonly tries: number; readonly message: string }
  | { readonly kind: "open" };

/** A run that failed so often is left alone until its `failed.json` is removed. */
export const MOST_TRIES = 2;
/** Between two looks at runs that others hold. */
const WAIT_MS = 5000;

export interface RunnerHooks {
  onRun?(run: PlannedRun, at: number, total: number): void;
  onDone?(run: PlannedRun): void;
  onFailed?(run: PlannedRun, message: string): void;
  /** Another process has the rest; waiting for it. */
  onWait?(runs: number): void;
  readonly train?: Pick<TrainHooks, "onStep" | "onMessage">;
  /** When aborted, the run that is under way is saved and the study stops. */
  readonly signal?: AbortSignal;
}

export interface RunnerOptions {
  /** Folder of the runs. */
  readonly runs: string;
  /** What scores runs. */
  readonly engine: Engine;
  readonly train: TrainFunction;
  readonly sets: readonly OpenSet[];
  /** Multiply-adds of a training pair's forward pass, 10⁹. */
  readonly gmacsOf: (recipe: Recipe) => number;
  /** The selection of a run's part of the data; undefined where it sees all. */
  readonly selectionOf: (run: PlannedRun) => Promise<string | undefined>;
  /** Seconds that a run is expected to take. */
  readonly predict: (run: PlannedRun) => number;
  /** Whether there is time left for a run. Default: always. */
  readonly mayBegin?: (run: PlannedRun) => boolean;
  /** Wait for runs that other processes hold, and take them where these are gone. Default true. */
  readonly wait?: boolean;
}

/** What is left of a study when a sitting is over. */
export interface Sitting {
  readonly done: number;
  readonly failed: readonly { readonly run: PlannedRun; readonly message: string }[];
  /** Not begun or not finished: no time was left, somebody stopped it, or another process has them. */
  readonly left: readonly PlannedRun[];
}

export function stateOf(folder: string): RunState {
  if (readResult(folder) !== undefined) return { kind: "done" };
  const failed = textOf(join(folder, "failed.json"));
  if (failed === undefined) return { kind: "open" };
  const { tries, message } = JSON.parse(failed) as { tries: number; message: string };
  return { kind: "failed", tries, message };
}

/** Runs what is not done, in order. A run that fails is told and passed over; `MOST_TRIES` sittings try it. */
export async function runStudy(
  runs: readonly PlannedRun[],
  options: RunnerOptions,
  hooks: RunnerHooks = {},
): Promise<Sitting> {
  const { wait = true, mayBegin = () => true } = options;
  const folderOf = (run: PlannedRun): string => join(options.runs, run.name);
  const isStopped = (): boolean => hooks.signal?.aborted ?? false;
  const left = new Set<PlannedRun>();
  let open = runs.filter((run) => stateOf(folderOf(run)).kind !== "done");
  while (open.length > 0 && !isStopped()) {
    const held: PlannedRun[] = [];
    for (const run of open) {
      if (isStopped() || !mayBegin(run)) {
        left.add(run);
        continue;
      }
      const state = stateOf(folderOf(run));
      if (state.kind === "done" || (state.kind === "failed" && state.tries >= MOST_TRIES)) continue;
      hooks.onRun?.(run, runs.indexOf(run), runs.length);
      try {
        if (await runOne(run, options, hooks)) hooks.onDone?.(run);
        else left.add(run);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        if (error.code === RUN_IS_HELD) {
          held.push(run);
          continue;
        }
        const tries = state.kind === "failed" ? state.tries + 1 : 1;
        const message = oneLine(error.message);
        writeFileAtomic(join(folderOf(run), "failed.json"), `${JSON.stringify({ tries, message })}\n`);
        hooks.onFailed?.(run, message);
      }
    }
    if (!wait) for (const run of held) left.add(run);
    open = wait ? held : [];
    if (open.length > 0) {
      hooks.onWait?.(open.length);
      await delay(WAIT_MS, undefined, { ...(hooks.signal && { signal: hooks.signal }) }).catch(() => {});
    }
  }
  for (const run of open) left.add(run);
  const failed = runs.flatMap((run) => {
    const state = stateOf(folderOf(run));
    return state.kind === "failed" ? [{ run, message: state.message }] : [];
  });
  const done = runs.filter((run) => stateOf(folderOf(run)).kind === "done").length;
  return { done, failed, left: runs.filter((run) => left.has(run)) };
}

/** The recipe of a run as `train` takes it. */
function recipeOfRun(run: PlannedRun, runs: string, select: string | undefined): RecipeInput {
  return {
    ...run.cell.recipe,
    name: run.name,
    logs: runs,
    seed: run.seed,
    ...(select !== undefined && { select }),
  };
}

/** Trains and scores one run. False where it was stopped. */
async function runOne(run: PlannedRun, options: RunnerOptions, hooks: RunnerHooks): Promise<boolean> {
  const select = await options.selectionOf(run);
  const recipe = checkRecipe(recipeOfRun(run, options.runs, select));
  const started = performance.now();
  const isNew = !existsSync(join(options.runs, run.name));
  const result = await options.train(recipe, {
    ...hooks.train,
    ...(hooks.signal && { signal: hooks.signal }),
  });
  if (!result.finished) return false;
  const scored = await scoreRun(options.engine, result.folder, options.sets);
  writeResult(result.folder, {
    samples: result.samplesSeen,
    gmacs: result.samplesSeen * options.gmacsOf(recipe),
    seconds: result.seconds,
    ...(isNew && { wholeSeconds: (performance.now() - started) / 1000, predictedSeconds: options.predict(run) }),
    load: loadavg()[1]!,
    records: scored.flatMap(({ records }) => records),
    scored: scored.map(({ dataset, task, scores }) => ({ dataset, task, scores })),
  });
  return true;
}
