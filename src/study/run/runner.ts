/**
 * Runs a study: each run is trained, scored on the suite, and its result kept in its folder. Whoever runs the study again, or beside, takes
 * what is not done: a run that another process trains is left to it, one whose process is gone goes on from its last checkpoint.
 */

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { makeFolder, textOf } from "../../core/disk.js";
import { failureWords, Unsupported, UsageError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import { ResidentPeak } from "../../core/resident.js";
import type { Engine } from "../../engines/engine.js";
import type { OpenSet } from "../../evaluate/suites/open.js";
import { RUN_IS_HELD } from "../../storage/lock.js";
import type { TrainFunction, TrainHooks, TrainResult } from "../../train/hooks.js";
import { checkRecipe, type Recipe, type RecipeInput } from "../../train/recipe/recipe.js";
import type { PlannedRun } from "../design/cells.js";
import { changesSince, type MadeFrom } from "./made-from.js";
import { type RunResult, readResult, scoresOf, writeResult } from "./results.js";
import { scoreRun } from "./score.js";

/** What is known of a run before it is looked at again. */
export type RunState =
  | { readonly kind: "done" }
  /** Tried `tries` times; `message` of the last. */
  | { readonly kind: "failed"; readonly tries: number; readonly message: string }
  /** Done, on a suite that has changed since: it is scored again. */
  | { readonly kind: "unscored"; readonly why: string }
  /** Done, from data or files that have changed since: it counts no more. */
  | { readonly kind: "stale"; readonly why: string }
  | { readonly kind: "open" };

/** A run that failed so often is left alone until its `failed.json` is removed. */
export const MOST_TRIES = 2;
const FAILED = "failed.json";
/** Between two looks at runs that others hold. */
const WAIT_MS = 5000;

/** What is to be done with a run. */
export type Goal =
  | { readonly kind: "end" }
  /** To be trained up to this step and scored there, for a comparison with others. */
  | { readonly kind: "rung"; readonly step: number }
  /** Others are to be there first. */
  | { readonly kind: "waits" }
  /** Others have left it behind. */
  | { readonly kind: "stopped" };

/** Comparisons on the way, which decide how far each run goes. */
export interface Rungs {
  /** Asked anew each time, of runs without a result. */
  goalOf(run: PlannedRun): Goal;
  /** Another process may have scored it meanwhile. */
  isScored(run: PlannedRun, step: number): boolean;
  /** Scores the checkpoint of `step` of a run, in its folder, and keeps the score. */
  score(run: PlannedRun, folder: string, step: number): Promise<void>;
}

/** Told while a study runs. */
export interface RunnerHooks {
  /** A run begins: the `at`-th, from 0, of `total`. `untilStep`: where it is compared with others before it goes on. */
  readonly onRun?: ((run: PlannedRun, at: number, total: number, untilStep?: number) => void) | undefined;
  /** A run is trained and scored. */
  readonly onDone?: ((run: PlannedRun) => void) | undefined;
  /** A run failed and is passed over; `message`: why, in one line. */
  readonly onFailed?: ((run: PlannedRun, message: string) => void) | undefined;
  /** Another process has the rest; waiting for it. */
  readonly onWait?: ((runs: number) => void) | undefined;
  /** Told while a run trains. */
  readonly train?: Pick<TrainHooks, "onStep" | "onMessage"> | undefined;
  /** When aborted, the run that is under way is saved and the study stops. */
  readonly signal?: AbortSignal | undefined;
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
  /** Seconds that a run is expected to take; undefined where that could not be measured. */
  readonly predict: (run: PlannedRun) => number | undefined;
  /** What a run is made from now. */
  readonly madeFrom: (run: PlannedRun) => MadeFrom;
  /** Train runs anew that were made from something else, their folders removed. Default: they are left as they are. */
  readonly again?: boolean;
  /** Whether there is time left for a run. Default: always. */
  readonly mayBegin?: (run: PlannedRun) => boolean;
  /** Default: every run goes to its end. */
  readonly rungs?: Rungs;
  /** Wait for runs that other processes hold, and take them where these are gone. Default true. */
  readonly wait?: boolean;
}

/** What is left of a study when a sitting is over. */
export interface Sitting {
  readonly done: number;
  readonly failed: readonly { readonly run: PlannedRun; readonly message: string }[];
  /** Not begun or not finished: no time was left, somebody stopped it, or another process has them. */
  readonly left: readonly PlannedRun[];
  /** Done from data or files that have changed since. */
  readonly stale: readonly { readonly run: PlannedRun; readonly why: string }[];
}

/** The state of a run with this result; `now` as in `stateOf`. */
export function stateOfResult({ madeFrom }: RunResult, now?: () => MadeFrom): RunState {
  if (now === undefined || madeFrom === undefined) return { kind: "done" };
  const { weights, scores } = changesSince(madeFrom, now());
  if (weights.length > 0) return { kind: "stale", why: weights.join(", ") };
  return scores.length > 0 ? { kind: "unscored", why: scores.join(", ") } : { kind: "done" };
}

/** The state of the run in a folder; with `now`, what it would be made from, a done one that was made from something else is found. */
export function stateOf(folder: string, now?: () => MadeFrom): RunState {
  const result = readResult(folder);
  if (result !== undefined) return stateOfResult(result, now);
  const failed = textOf(join(folder, FAILED));
  if (failed === undefined) return { kind: "open" };
  const { tries, message } = JSON.parse(failed) as { tries: number; message: string };
  return { kind: "failed", tries, message };
}

/** Runs what is not done, in order. A run that fails is told and passed over; `MOST_TRIES` sittings try it. */
export async function runAll(
  runs: readonly PlannedRun[],
  options: RunnerOptions,
  hooks: RunnerHooks = {},
): Promise<Sitting> {
  const { wait = true, mayBegin = () => true, rungs } = options;
  const goalOf = (run: PlannedRun): Goal => rungs?.goalOf(run) ?? { kind: "end" };
  const folderOf = (run: PlannedRun): string => join(options.runs, run.name);
  const isStopped = (): boolean => hooks.signal?.aborted ?? false;
  const left = new Set<PlannedRun>();
  const look = (run: PlannedRun): RunState => stateOf(folderOf(run), () => options.madeFrom(run));
  let open = runs.filter((run) => look(run).kind !== "done");
  while (open.length > 0 && !isStopped()) {
    const held: PlannedRun[] = [];
    /** At a rung, or waiting for others to come there: for good, where nobody here takes those. */
    const later: PlannedRun[] = [];
    let moved = false;
    for (const run of open) {
      if (isStopped()) {
        left.add(run);
        continue;
      }
      const state = look(run);
      if (state.kind === "done" || (state.kind === "failed" && state.tries >= MOST_TRIES)) continue;
      if (state.kind === "stale") {
        if (!options.again) continue;
        await rm(folderOf(run), { recursive: true, force: true });
      }
      // A run that failed before its first checkpoint begins anew, which takes an empty folder.
      if (state.kind === "failed") await rm(join(folderOf(run), FAILED), { force: true });
      const goal = goalOf(run);
      if (goal.kind === "stopped") continue;
      if (goal.kind === "waits") {
        later.push(run);
        continue;
      }
      if (!mayBegin(run)) {
        left.add(run);
        continue;
      }
      hooks.onRun?.(run, runs.indexOf(run), runs.length, goal.kind === "rung" ? goal.step : undefined);
      try {
        if (!(await runTo(goal, run, options, hooks))) left.add(run);
        else if (goal.kind === "rung") later.push(run);
        else hooks.onDone?.(run);
        moved = true;
      } catch (error) {
        if (error instanceof UsageError && error.code === RUN_IS_HELD) {
          held.push(run);
          continue;
        }
        const tries = state.kind === "failed" ? state.tries + 1 : 1;
        const message = failureWords(error);
        keepFailure(folderOf(run), { tries, message, ...stackOf(error) });
        hooks.onFailed?.(run, message);
        moved = true;
      }
    }
    open = [...later, ...held];
    if (moved) continue;
    if (held.length > 0 ? !wait : open.every((run) => goalOf(run).kind === "waits")) break;
    if (held.length > 0) {
      hooks.onWait?.(held.length);
      await delay(WAIT_MS, undefined, { ...(hooks.signal && { signal: hooks.signal }) }).catch(() => {});
    }
  }
  for (const run of open) left.add(run);
  const states = runs.map((run) => ({ run, state: look(run) }));
  return {
    done: states.filter(({ state }) => state.kind === "done").length,
    failed: states.flatMap(({ run, state }) =>
      state.kind === "failed" ? [{ run, message: state.message }] : [],
    ),
    left: runs.filter((run) => left.has(run)),
    stale: states.flatMap(({ run, state }) => (state.kind === "stale" ? [{ run, why: state.why }] : [])),
  };
}

/** Keeps why a run failed in `failed.json` of its folder, which may not be there yet. */
function keepFailure(folder: string, failure: { tries: number; message: string; stack?: string }): void {
  makeFolder(folder);
  writeFileAtomic(join(folder, FAILED), `${JSON.stringify(failure)}\n`);
}

/** Where an error is from that the caller cannot mend. */
const stackOf = (error: unknown): { readonly stack?: string } =>
  error instanceof Error && error.stack && !(error instanceof UsageError || error instanceof Unsupported)
    ? { stack: error.stack }
    : {};

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

/** Trains a run to its goal, and scores it there. False where it was stopped on the way. */
async function runTo(
  goal: Goal & { readonly kind: "end" | "rung" },
  run: PlannedRun,
  options: RunnerOptions,
  hooks: RunnerHooks,
): Promise<boolean> {
  const select = await options.selectionOf(run);
  const recipe = checkRecipe(recipeOfRun(run, options.runs, select));
  using peak = new ResidentPeak();
  const started = performance.now();
  const madeFrom = options.madeFrom(run);
  const predictedSeconds = options.predict(run);
  const before = readResult(join(options.runs, run.name));
  const isNew = !existsSync(join(options.runs, run.name));
  const result = await options.train(recipe, {
    ...hooks.train,
    ...(hooks.signal && { signal: hooks.signal }),
    ...(goal.kind === "rung" && { stopAfter: goal.step }),
  });
  if (goal.kind === "rung") return scoreAtRung(options.rungs!, run, result, goal.step);
  if (!result.finished) return false;
  const { imageDisk } = recipe;
  const scored = await scoreRun(options.engine, { path: result.folder, imageDisk }, options.sets);
  writeResult(result.folder, {
    // One that is only scored again took what it took.
    ...(before ?? {
      samples: result.samplesSeen,
      gmacs: result.samplesSeen * options.gmacsOf(recipe),
      seconds: result.seconds,
      ...(isNew && { wholeSeconds: (performance.now() - started) / 1000 }),
      ...(isNew && predictedSeconds !== undefined && { predictedSeconds }),
      load: loadavg()[1]!,
      memoryBytes: peak.bytes,
    }),
    madeFrom,
    ...scoresOf(scored),
  });
  return true;
}

/** Scores a run at its rung, unless another process does, which may then go on with it. False where the run is not there yet. */
async function scoreAtRung(
  rungs: Rungs,
  run: PlannedRun,
  { folder, step: at }: TrainResult,
  step: number,
): Promise<boolean> {
  if (rungs.isScored(run, step)) return true;
  if (at < step) return false;
  if (at > step)
    throw new UsageError(
      `${folder}: must be compared at step ${step}; got a run that is at step ${at}. Remove the folder: it is run again.`,
    );
  try {
    await rungs.score(run, folder, step);
  } catch (error) {
    // Who goes on with a run removes its earlier checkpoints.
    if (!rungs.isScored(run, step)) throw error;
  }
  return true;
}
