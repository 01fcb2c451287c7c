/** The runs of a folder: what they are, how far they came, and what they scored. And to remove one, or give it another name. */

import { existsSync, readdirSync, renameSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { realDisk, replaceFile } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { readJsonObject, withFileErrors } from "../../core/files.js";
import type { EvaluationRecord } from "../../evaluate/records.js";
import { listCheckpoints } from "../../storage/checkpoint.js";
import { isHeld, takeLock } from "../../storage/lock.js";
import { isNamed } from "../watch/reference.js";
import { planIn, readLines } from "./folder.js";

/** `running`: a process writes to it; `done`: it has all of its steps; `stopped`: it goes on when it is started again. */
export type RunState = "running" | "done" | "stopped" | "unreadable";

export interface RunSummary {
  /** Its folder within the place for runs. */
  readonly name: string;
  readonly path: string;
  readonly state: RunState;
  /** As its recipe says: a preset, a file, or `own` for an object. */
  readonly model: string;
  /** Steps of the last line of metrics or checkpoint. */
  readonly step: number;
  /** Undefined while that is not decided. */
  readonly totalSteps: number | undefined;
  readonly samplesSeen: number;
  /** Of training, all sittings together. */
  readonly seconds: number;
  /** When it was last written to, in milliseconds since 1970. */
  readonly changedMs: number;
  /** The last score of the metric that its checkpoints are kept by, or of the first that tells most. */
  readonly score: EvaluationRecord | undefined;
  /** Why it cannot be read. */
  readonly problem?: string;
}

/** What tells most about a model, the most telling first. */
const TELLING = ["acc1", "image_retrieval_recall@1", "text_retrieval_recall@1", "val_loss"];

/**
 * The runs in `logs` and in folders below it, the last written to first. Throws `UsageError` where there is no such folder.
 */
export const listRuns = (logs: string): RunSummary[] =>
  runsIn(logs, logs).sort((a, b) => b.changedMs - a.changedMs);

function runsIn(logs: string, folder: string): RunSummary[] {
  const names = withFileErrors(
    "read",
    folder,
    () => readdirSync(folder, { withFileTypes: true }),
    "The place for runs is given with --logs.",
  );
  return names
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .flatMap(({ name }) => {
      const path = join(folder, name);
      if (isRun(path)) return [summaryOf(relative(logs, path), path)];
      return holdsRuns(path) ? runsIn(logs, path) : [];
    });
}

const isRun = (path: string): boolean =>
  existsSync(join(path, "config.json")) &&
  (existsSync(join(path, "checkpoints")) || existsSync(join(path, "plan.json")));

/** Whether a folder is of runs, as a sweep's or a study's. */
const holdsRuns = (path: string): boolean =>
  readdirSync(path, { withFileTypes: true }).some(
    (entry) => entry.isDirectory() && (isRun(join(path, entry.name)) || entry.name === "runs"),
  );

function summaryOf(name: string, path: string): RunSummary {
  const changedMs = Math.max(
    ...["config.json", "metrics.jsonl", "evaluation.jsonl", "checkpoints"].map(
      (name) => statSync(join(path, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
    ),
  );
  const base = { name, path, changedMs };
  try {
    return { ...base, ...courseOf(path) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { ...base, ...UNREADABLE, problem: error.message };
  }
}

/** What is known of a run by its recipe and lines. */
export type Course = Omit<RunSummary, "name" | "path" | "changedMs" | "problem">;

const UNREADABLE: Course = {
  ...{ state: "unreadable", model: "?", step: 0, totalSteps: undefined, samplesSeen: 0, seconds: 0 },
  score: undefined,
};

/** How far the run at `path` has come. Throws `UsageError` where its files cannot be read. */
export function courseOf(path: string): Course {
  const config = readJsonObject(join(path, "config.json"));
  const plan = planIn(path);
  const last = readLines(join(path, "metrics.jsonl")).at(-1);
  const saved = listCheckpoints(join(path, "checkpoints")).at(-1)?.step ?? 0;
  const step = Math.max(last?.step ?? 0, saved);
  const done = plan?.totalSteps !== undefined && saved === plan.totalSteps;
  return {
    state: isHeld(path) ? "running" : done ? "done" : "stopped",
    model: typeof config.model === "string" ? config.model : "own",
    step,
    totalSteps: plan?.totalSteps,
    samplesSeen: step * Number(config.batchSize ?? 0),
    seconds: Number(last?.seconds ?? 0),
    score: tellingScore(path, config.keepBest),
  };
}

/** Scores of what the run itself is measured on come before those of other sets. */
function tellingScore(path: string, keepBest: unknown): EvaluationRecord | undefined {
  const lines = readLines(join(path, "evaluation.jsonl")) as unknown as EvaluationRecord[];
  for (const name of [...(typeof keepBest === "string" ? [keepBest] : []), ...TELLING]) {
    const records = lines.filter(isNamed(name));
    const found = records.findLast(({ samplesSeen }) => samplesSeen !== undefined) ?? records.at(-1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The folder of the run that is called `name` in `logs`. Throws `UsageError` where that is no run. */
export function runNamed(logs: string, name: string): string {
  const path = join(logs, name);
  if (isRun(path)) return path;
  const names = existsSync(logs) ? listRuns(logs).map((run) => run.name) : [];
  const there = names.length === 0 ? "no runs" : names.slice(0, 8).join(", ");
  throw new UsageError(
    `runs: must be the name of a run in ${logs}; got ${JSON.stringify(name)}. There ${names.length === 1 ? "is" : "are"} ${there}.`,
  );
}

/** Removes a run. Throws `UsageError` while a process writes to it. */
export function removeRun(path: string): void {
  const lock = takeLock(realDisk, path);
  // Out of sight at once: what is killed in between leaves no half of a run.
  const gone = join(dirname(path), `.removed-${basename(path)}-${process.pid}`);
  withFileErrors("remove", path, () => renameSync(path, gone));
  lock[Symbol.dispose]();
  withFileErrors("remove", gone, () => realDisk.remove(gone));
}

/** Gives a run another name, of its folder and in its recipe; gives the new folder. Throws `UsageError` while a process writes to it, or where the name is taken. */
export function renameRun(path: string, name: string): string {
  const to = join(dirname(path), name);
  if (name === "" || basename(name) !== name)
    throw new UsageError(`--rename: must be a name, not a path; got ${JSON.stringify(name)}.`, {
      key: "rename",
    });
  if (existsSync(to))
    throw new UsageError(
      `--rename: the name is taken; got ${JSON.stringify(name)}, there is ${to}. Choose another.`,
      {
        key: "rename",
      },
    );
  const lock = takeLock(realDisk, path);
  withFileErrors("rename", path, () => {
    const config = join(path, "config.json");
    const renamed = { ...readJsonObject(config), name };
    replaceFile(realDisk, config, `${JSON.stringify(renamed, null, 2)}\n`);
    renameSync(path, to);
    // The lock went along; what lets go of it looks where it was.
    const held = basename(lock.path);
    renameSync(join(to, held), join(to, `.${held.replace(/json$/, "free")}`));
  });
  lock[Symbol.dispose]();
  return to;
}
