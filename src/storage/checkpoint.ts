/**
 * Checkpoints: `checkpoints/step-00001200/` with the files given and `state.json`. A checkpoint is written
 * under another name, brought to the disk, and renamed, so that one with its real name is complete. Which is
 * the latest or the best is read from the folders themselves; there is no pointer that could go stale.
 *
 * `state.json` has a checksum of every file, made of what was to be written, and one of itself: what a disk or a hand
 * has changed since is found before it is used.
 */

import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import {
  type Disk,
  type FileContent,
  namesIn,
  piecesOf,
  removeQuietly,
  sizeOfFile,
  textOf,
} from "../core/disk.js";
import { InternalError } from "../core/errors.js";
import { digestOfFile, withFileErrors } from "../core/files.js";

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

/** What `state.json` says. */
interface Contents {
  readonly step: number;
  readonly state: TrainState;
  readonly score?: Score | undefined;
  readonly files: Readonly<Record<string, { readonly sizeBytes: number; readonly sha256: string }>>;
}

interface StateFile extends Contents {
  readonly format: typeof FORMAT;
  /** Of the contents, as `JSON.stringify` writes them. */
  readonly sha256: string;
}

const FORMAT = 2;
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const sumOf = ({ step, state, score, files }: Contents): string =>
  sha256(JSON.stringify({ step, state, score, files }));

const NAME = /^step-(\d{8,})$/;
const UNFINISHED = /^\.(?:writing|removing)-step-/;
const folderName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** Complete checkpoints under `folder`, earliest first; their files are not read. Anything else there is passed over. */
export const listCheckpoints = (folder: string): Checkpoint[] =>
  stepFolders(folder).flatMap((path) => {
    const found = openCheckpoint(path);
    return "flaw" in found ? [] : [found.checkpoint];
  });

/** The checkpoint in `path`, or undefined when it is not complete. Its files are not read. */
export function readCheckpoint(path: string): Checkpoint | undefined {
  const found = openCheckpoint(path);
  return "flaw" in found ? undefined : found.checkpoint;
}

/**
 * The latest checkpoint whose files are what was written, or undefined.
 * @param say told of each later one, in one line: what is wrong with it.
 */
export const latestSound = (folder: string, say: (line: string) => void): Checkpoint | undefined =>
  firstSound(stepFolders(folder).reverse(), say);

/** The first of `wanted`, checkpoints in `folder`, whose files are what was written; `say` as in `latestSound`. */
export const soundAmong = (
  folder: string,
  wanted: readonly Pick<Checkpoint, "step">[],
  say: (line: string) => void,
): Checkpoint | undefined =>
  firstSound(
    wanted.map(({ step }) => join(folder, folderName(step))),
    say,
  );

function firstSound(paths: readonly string[], say: (line: string) => void): Checkpoint | undefined {
  for (const path of paths) {
    const found = openCheckpoint(path);
    if ("flaw" in found) say(`Passed over ${path}: ${found.flaw}.`);
    else {
      const flaw = flawOf(path, found.contents);
      if (flaw === undefined) return found.checkpoint;
      say(`Passed over ${path}: ${flaw}.`);
    }
  }
  return undefined;
}

/** What keeps a checkpoint's files from being those that were written, e.g. `params.safetensors does not fit its checksum`. */
function flawOf(path: string, contents: Contents): string | undefined {
  for (const name of Object.keys(contents.files)) {
    const flaw = flawIn(path, name, contents);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

/** The same of one file by its path; undefined as well where it belongs to no checkpoint. */
export function flawOfFile(file: string): string | undefined {
  const [path, name] = [dirname(file), basename(file)];
  if (!NAME.test(basename(path)) || sizeOfFile(join(path, "state.json")) === undefined) return undefined;
  const found = readContents(path);
  if ("flaw" in found) return found.flaw;
  return Object.hasOwn(found.contents.files, name) ? flawIn(path, name, found.contents) : undefined;
}

function flawIn(path: string, name: string, { files }: Contents): string | undefined {
  const isWhole = digestOfFile(join(path, name)) === files[name]!.sha256;
  return isWhole ? undefined : `${name} does not fit its checksum`;
}

/** Folders named as checkpoints are, earliest first. */
const stepFolders = (folder: string): string[] =>
  namesIn(folder)
    .flatMap((name) => {
      const step = NAME.exec(name)?.[1];
      return step === undefined ? [] : [{ step: Number(step), path: join(folder, name) }];
    })
    .sort((a, b) => a.step - b.step)
    .map(({ path }) => path);

/** Reads `state.json` and looks whether the files are there, by their sizes. */
function openCheckpoint(
  path: string,
): { readonly checkpoint: Checkpoint; readonly contents: Contents } | { readonly flaw: string } {
  const found = readContents(path);
  if ("flaw" in found) return found;
  const { step, state, score, files } = found.contents;
  for (const [name, { sizeBytes }] of Object.entries(files)) {
    const size = sizeOfFile(join(path, name));
    if (size === undefined) return { flaw: `it has no ${name}` };
    if (size !== sizeBytes) return { flaw: `${name} has ${size} bytes, not ${sizeBytes}` };
  }
  // JSON has no NaN: a score that is not a number comes back as null.
  const known = score && Number.isFinite(score.value) ? score : undefined;
  return {
    checkpoint: { step, path, files: Object.keys(files), state, score: known },
    contents: found.contents,
  };
}

function readContents(path: string): { readonly contents: Contents } | { readonly flaw: string } {
  const name = join(path, "state.json");
  const text = withFileErrors("read", name, () => textOf(name));
  if (text === undefined) return { flaw: "it has no state.json" };
  let file: StateFile | null;
  try {
    file = JSON.parse(text);
  } catch {
    return { flaw: "its state.json is no JSON" };
  }
  if (file?.format !== FORMAT) {
    return { flaw: `its state.json is of format ${JSON.stringify(file?.format)}, not ${FORMAT}` };
  }
  if (file.sha256 !== sumOf(file)) return { flaw: "its state.json does not fit its checksum" };
  if (file.step !== Number(NAME.exec(basename(path))?.[1] ?? file.step))
    return { flaw: `it is of step ${file.step}` };
  return { contents: file };
}

/**
 * Writes a checkpoint; one that is sound at this step stays as it is.
 * @param files content by name; `state.json` is added.
 * @throws UsageError when the disk is full or cannot be written; earlier checkpoints stay.
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
  const existing = openCheckpoint(path);
  if (!("flaw" in existing) && flawOf(path, existing.contents) === undefined) return existing.checkpoint;
  const latest = listCheckpoints(folder).at(-1);
  const consolation = latest ? `It continues from step ${latest.step}.` : "There is no checkpoint yet.";
  const temporary = join(folder, `.writing-${folderName(step)}`);
  const write = (): Checkpoint => {
    try {
      disk.remove(temporary);
      disk.makeFolder(temporary);
      const written: Record<string, { sizeBytes: number; sha256: string }> = {};
      for (const [name, content] of Object.entries(files)) {
        const hash = createHash("sha256");
        let sizeBytes = 0;
        const pieces = function* () {
          for (const piece of piecesOf(content)) {
            hash.update(piece);
            sizeBytes += piece.byteLength;
            yield piece;
          }
        };
        disk.writeNew(join(temporary, name), pieces());
        written[name] = { sizeBytes, sha256: hash.digest("hex") };
      }
      const contents: Contents = { step, state, score, files: written };
      const own: StateFile = { format: FORMAT, ...contents, sha256: sumOf(contents) };
      disk.writeNew(join(temporary, "state.json"), `${JSON.stringify(own, null, 2)}\n`);
      disk.sync(temporary);
      disk.remove(path); // a damaged one
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

/** True when a lower value of the metric is better: losses, ranks, errors of calibration. */
export const lowerIsBetter = (metric: string): boolean => /(?:loss|rank|nll|ece|brier)[^/]*$/i.test(metric);

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
