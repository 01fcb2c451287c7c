/** The public functions of studies that run, with their arguments checked. */

import { join } from "node:path";
import { UsageError } from "../core/errors.js";
import type { Engine } from "../engines/engine.js";
import { type EngineOptions, engineChoices, openEngine } from "../engines/registry.js";
import { parseSeconds } from "../settings/duration.js";
import type { Answer } from "../study/answer/answer.js";
import { answerLines } from "../study/answer/lines.js";
import { type LoadStudyOptions, loadStudy, type StudyInput, type StudySizes } from "../study/design/study.js";
import {
  type OpenStudy,
  type OpenStudyOptions,
  openStudy as openChecked,
  type RunOptions,
  type StudyOutcome,
} from "../study/study.js";
import {
  callback,
  checked,
  checkedAsync,
  count,
  either,
  flag,
  listOf,
  object,
  oneOf,
  options,
  real,
  signal,
  text,
  thing,
} from "./arguments.js";

/** Which study, where, and on what. */
export interface StudyOptions
  extends LoadStudyOptions,
    Pick<EngineOptions, "threads" | "plugin">,
    Pick<OpenStudyOptions, "shard" | "onNote" | "onProbe"> {
  /** Where studies are kept, each in a folder of its name. Default `studies`. */
  readonly folder?: string | undefined;
  /** What scores are computed on, by name or as `openEngine` gives it; runs train on their recipe's. Default `auto`. */
  readonly engine?: (typeof engineChoices)[number] | Engine | undefined;
}

/** How long a sitting is, and who is told. */
export interface RunStudyOptions extends Omit<RunOptions, "budgetSeconds"> {
  /** Begin no run that would end later than so long from now: a time such as `3h`, or seconds. Default: all runs. */
  readonly budget?: string | number | undefined;
}

/** A study with the engine that it scores on. `await using` ends it, as `close` does where Node has no `await using` (before 24). */
export interface StudyHandle extends Omit<OpenStudy, "run">, AsyncDisposable {
  /**
   * Runs what is not done, and writes table and findings into the study's folder; called again, it goes on. A run that fails is told and
   * passed over. Throws `UsageError` for a budget that is no time.
   */
  run(options?: RunStudyOptions): Promise<StudyOutcome>;
  /** Ends the engine, where the study opened it. */
  close(): Promise<void>;
}

const engine = either(oneOf(engineChoices), thing("an engine, as openEngine gives", "compile", "upload"));
const source = either(text, object);
const studyOptions = {
  folder: text,
  size: text,
  seeds: either(count(1), listOf(count(0))),
  engine,
  threads: count(1),
  plugin: text,
  shard: text,
  onNote: callback,
  onProbe: callback,
};
const runOptions = {
  budget: either(
    text,
    real("a number of seconds from 0", (x) => x >= 0),
  ),
  wait: flag,
  again: flag,
  onRun: callback,
  onDone: callback,
  onFailed: callback,
  onWait: callback,
  train: object,
  signal,
};

function budgetIn(budget: string | number | undefined): number | undefined {
  if (typeof budget !== "string") return budget;
  const seconds = parseSeconds(budget);
  if (seconds !== undefined) return seconds;
  throw new UsageError(`budget: must be a time; got budget=${JSON.stringify(budget)}. Write e.g. "3h".`, {
    key: "budget",
  });
}

const running = checkedAsync(
  "run",
  ({ run }: Pick<OpenStudy, "run">, { budget, ...how }: RunStudyOptions): Promise<StudyOutcome> =>
    run({ ...how, budgetSeconds: budgetIn(budget) }),
  1,
  ["study", object],
  ["options", options<RunStudyOptions>(runOptions)],
);

async function openUnchecked(
  of: string | StudyInput | StudySizes,
  { folder = "studies", size, seeds, engine: asked = "auto", threads, plugin, ...rest }: StudyOptions = {},
): Promise<StudyHandle> {
  const study = await loadStudy(of, { size, seeds });
  const own =
    typeof asked === "string"
      ? await openEngine(asked, { threads, plugin, onChoice: rest.onNote })
      : undefined;
  let open = own !== undefined;
  const close = async (): Promise<void> => {
    if (!open) return;
    open = false;
    await own![Symbol.asyncDispose]();
  };
  try {
    const opened = await openChecked(study, {
      ...rest,
      folder: join(folder, study.name),
      engine: own ?? (asked as Engine),
    });
    return {
      ...opened,
      run: (how = {}) => running(opened, how),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Opens a study: a file, a name that `clipwright study` takes, or what `defineStudy` gives. Every recipe is checked, data and suite are
 * opened, and what was not timed before is, with a few steps of each shape of run; then `outlook()` tells what the runs will take and can
 * tell apart, and `run()` runs them. Close it when done: `await study.close()`, or `await using study = …` from Node 24 on. Throws
 * `UsageError` naming the key, or the data that are missing.
 */
export const openStudy = checkedAsync(
  "openStudy",
  openUnchecked,
  1,
  ["study", source],
  ["options", options<StudyOptions>(studyOptions)],
);

/**
 * Runs a study, or what is left of it within a budget, and tells what it came to (docs/studies.md). Runs are kept in `folder/NAME/runs`:
 * called again it goes on, and several processes in one folder divide the runs. A run that fails is passed over, and in `failed`; what
 * no time was left for is in `left`. Throws `UsageError` naming the key, or the data that are missing, before anything is trained.
 */
export const runStudy = checkedAsync(
  "runStudy",
  async (
    of: string | StudyInput | StudySizes,
    {
      budget,
      wait,
      again,
      onRun,
      onDone,
      onFailed,
      onWait,
      train,
      signal: stop,
      ...which
    }: StudyOptions & RunStudyOptions = {},
  ): Promise<StudyOutcome> => {
    const study = await openUnchecked(of, which);
    try {
      return await study.run({ budget, wait, again, onRun, onDone, onFailed, onWait, train, signal: stop });
    } finally {
      await study.close();
    }
  },
  1,
  ["study", source],
  ["options", options<StudyOptions & RunStudyOptions>({ ...studyOptions, ...runOptions })],
);

/** What a study says to its question, in words, lines joined. */
export const formatAnswer = checked("formatAnswer", (of: Answer): string => answerLines(of).join("\n"), 1, [
  "answer",
  thing("an answer, as runStudy gives", "panels", "curves", "frontier"),
]);
