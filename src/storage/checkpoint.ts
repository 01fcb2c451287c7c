/**
 * Checkpoints: `checkpoints/step-00001200/` with the files given and `state.json`. A checkpoint is written
 * under another name, brought to the disk, and renamed, so that one with its real name is complete. Which is
 * the latest or the best is read from the folders themselves; there is no pointer that could go stale.
 */

import { join } from "node:path";
import { type Disk, type FileContent, namesIn, removeQuietly, sizeOfFile, textOf } from "../core/disk.js";
import { InternalError } from "../core/errors.js";
import { withFileErrors } from "../core/files.js";

/** A score of a checkpoint, for keeping the best. */
export interface Score {
  /** e.g. `val/zeroshot_retrieval/image_retrieval_recall@1`. */
  readonly metric: string;
  readonly value: number;
}

/** What the trainer needs to go on exactly: plain JSON, e.g. `{ seconds, samplesSeen }`. */
export type TrainState = Readonly<Record<string, unknown>>;

export interface Checkpoint {
  /** Steps done. */
  readonly step: number;
  /** The folder. */
  readonly path: string;
  /** Names of the files, e.g. `params.safetensors`. */
  readonly files: readonly string[];
  readonly state: TrainState;
  readonly score: Score | undefined;
}

interface StateFile {
  readonly format: 1;
  readonly step: number;
  readonly state: TrainState;
  readonly score?: Score | undefined;
  /** Size in bytes by file name. */
  readonly files: Readonly<Record<string, number>>;
}

const NAME = /^step-(\d{8,})$/;
const UNFINISHED = /^\.(?:writing|removing)-step-/;
const folderName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** Complete checkpoints under `folder`, earliest first. Anything else there is passed over. */
export function listCheckpoints(folder: string): Checkpoint[] {
  return namesIn(folder)
    .flatMap((name) => {
      const match = NAME.exec(name);
      const found = match ? readCheckpoint(join(folder, name)) : undefined;
      return found !== undefined && found.step === Number(match![1]) ? [found] : [];
    })
    .sort((a, b) => a.step - b.step);
}

/** The checkpoint in `path`, or undefined when it is not complete. */
export function readCheckpoint(path: string): Checkpoint | undefined {
  const text = textOf(join(path, "state.json"));
  if (text === undefined) return undefined;
  let parsed: StateFile;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { format, step, state, score, files } = parsed;
  if (format !== 1 || !Number.isInteger(step) || typeof files !== "object" || files === null)
    return undefined;
  const whole = Object.entries(files).every(([name, bytes]) => sizeOfFile(join(path, name)) === bytes);
  if (!whole) return undefined;
  // JSON has no NaN: a score that is not a number comes back as null.
  const known = score && Number.isFinite(score.value) ? score : undefined;
  return { step, path, files: Object.keys(files), state, score: known };
}

/**
 * Writes a checkpoint; one that is complete at this step stays as it is.
 * @param files content by name; `state.json` is added.
 * @throws UsageError when the disk is full or cannot be written; earlier checkpoints are intact.
 */
export function writeCheckpoint(
  disk: Disk,
  folder: string,
  step: number,
  files: Readonly<Record<string, FileContent>>,
  state: TrainState,
  score?: Score,
): Checkpoint {
  const path = join(folder, folderName(step));
  const existing = readCheckpoint(path);
  if (existing) return existing;
  const latest = listCheckpoints(folder).at(-1);
  const consolation = latest ? `It continues from step ${latest.step}.` : "There is no checkpoint yet.";
  const temporary = join(folder, `.writing-${folderName(step)}`);
  const write = (): Checkpoint => {
    try {
      disk.remove(temporary);
      disk.makeFolder(temporary);
      const sizes: Record<string, number> = {};
      for (const [name, content] of Object.entries(files)) {
        disk.writeNew(join(temporary, name), content);
        sizes[name] = sizeOfFile(join(temporary, name)) ?? 0;
      }
      const own: StateFile = { format: 1, step, state, score, files: sizes };
      disk.writeNew(join(temporary, "state.json"), `${JSON.stringify(own, null, 2)}\n`);
      disk.sync(temporary);
      disk.remove(path); // an incomplete one
      disk.rename(temporary, path);
      disk.sync(folder);
    } catch (error) {
      removeQuietly(disk, temporary);
      throw error;
    }
    const written = readCheckpoint(path);
    if (!written) throw new InternalError(`checkpoint: must be complete after writing; got ${path}.`);
    return written;
  };
  return withFileErrors("save the checkpoint", path, write, consolation);
}

/** True when a lower value of the metric is better: losses. */
export const lowerIsBetter = (metric: string): boolean => /loss[^/]*$/i.test(metric);

/** True when `a` is a better score than `b`. A score that is not a number is never better. */
export function better(a: Score, b: Score | undefined): boolean {
  if (Number.isNaN(a.value)) return false;
  if (b === undefined || Number.isNaN(b.value)) return true;
  return lowerIsBetter(a.metric) ? a.value < b.value : a.value > b.value;
}

/** The checkpoint with the best score in `metric`; the earliest of equals. */
export function bestCheckpoint(checkpoints: readonly Checkpoint[], metric: string): Checkpoint | undefined {
  let best: Checkpoint | undefined;
  for (const each of checkpoints) {
    if (each.score?.metric === metric && better(each.score, best?.score)) best = each;
  }
  return best;
}

/** Checkpoints that stay: the last so many, the best by a metric, and that of a step. */
export interface Keep {
  readonly keepLast: number;
  readonly keepBest?: string | undefined;
  readonly keepStep?: number | undefined;
}

/** Removes all checkpoints but those to keep, and what failed writes left behind. */
export function pruneCheckpoints(disk: Disk, folder: string, { keepLast, keepBest, keepStep }: Keep): void {
  const checkpoints = listCheckpoints(folder);
  const kept = new Set([
    ...checkpoints.slice(-keepLast),
    ...checkpoints.filter(({ step }) => step === keepStep),
  ]);
  const best = keepBest === undefined ? undefined : bestCheckpoint(checkpoints, keepBest);
  if (best) kept.add(best);
  withFileErrors("remove old checkpoints of", folder, () => {
    for (const each of checkpoints) {
      if (kept.has(each)) continue;
      // Renamed first, so that a crash between two files leaves nothing that looks like a checkpoint.
      const doomed = join(folder, `.removing-${folderName(each.step)}`);
      disk.remove(doomed);
      disk.rename(each.path, doomed);
      disk.remove(doomed);
    }
    removeUnfinished(disk, folder);
  });
}

/** Removes what killed writers left behind. */
export function removeUnfinished(disk: Disk, folder: string): void {
  for (const name of namesIn(folder)) if (UNFINISHED.test(name)) disk.remove(join(folder, name));
}
