/** What a study will come to, before it runs: a line a combination, and the sums of what is left. */

import { statSync } from "node:fs";
import { totalmem } from "node:os";
import { freeBytes } from "../../core/files.js";
import type { Power } from "../answer/power.js";
import type { Cell, PlannedRun } from "../design/cells.js";
import type { Space } from "./footprint.js";
import type { RunState } from "./runner.js";

/** What a run is expected to take. */
export interface Prediction {
  readonly run: PlannedRun;
  /** Training and scoring; with halving the mean over its arms, of which few go to the end. Undefined where it was not measured. */
  readonly seconds: number | undefined;
  readonly state: RunState["kind"] | "stopped";
  /** Undefined likewise. */
  readonly space: Space | undefined;
  /** What its folder holds by now, bytes. */
  readonly thereBytes: number;
}

/** A combination with all its seeds. */
export interface CellOutlook extends Pick<Cell, "id" | "levels" | "regimes" | "pairs" | "samples" | "gmacs"> {
  /** Of one run: time of training and scoring, main memory of the process at its peak, and its folder. */
  readonly seconds: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly diskBytes: number | undefined;
  /** State by seed. */
  readonly seeds: Readonly<Record<string, Prediction["state"]>>;
}

/** Of the runs that are left: their number, and sums over those that were measured. */
export interface Sums {
  readonly runs: number;
  /** How many of them were not measured. */
  readonly unknown: number;
  readonly seconds: number;
  /** The largest. */
  readonly memoryBytes: number | undefined;
  /** Folders of runs, less what is there of them. */
  readonly diskBytes: number | undefined;
  /** Training images that are kept in the cache's folder. */
  readonly packedBytes: number | undefined;
}

export interface Outlook {
  readonly name: string;
  readonly runs: number;
  readonly cells: readonly CellOutlook[];
  readonly left: Sums;
  /** Runs of which a few steps failed, with the reason: nothing is foretold of them. They are tried all the same. */
  readonly unmeasured: readonly { readonly name: string; readonly why: string }[];
  /** Runs whose data or files have changed since they were done, with what has: they count no more. */
  readonly stale: readonly { readonly name: string; readonly why: string }[];
  /** Where the runs do not fit, a line each. */
  readonly warnings: readonly string[];
  readonly power: Power;
}

const isLeft = ({ state }: Prediction): boolean =>
  state === "open" || state === "failed" || state === "unscored";

export function cellsAhead(predictions: readonly Prediction[]): readonly CellOutlook[] {
  const byCell = new Map<Cell, Prediction[]>();
  for (const one of predictions) byCell.set(one.run.cell, [...(byCell.get(one.run.cell) ?? []), one]);
  return [...byCell].map(([{ id, levels, regimes, pairs, samples, gmacs }, own]) => ({
    ...{ id, levels, regimes, pairs, samples, gmacs },
    seconds: own[0]!.seconds,
    memoryBytes: own[0]!.space?.memoryBytes,
    diskBytes: own[0]!.space?.diskBytes,
    seeds: Object.fromEntries(own.map(({ run, state }) => [run.seed, state])),
  }));
}

/** Sums over what is left; of memory and disk undefined where the time of a shape was measured alone, or that of none. */
export function sumsOf(predictions: readonly Prediction[]): Sums {
  const all = predictions.filter(isLeft);
  const left = all.filter(({ seconds }) => seconds !== undefined);
  const spaces = left.flatMap(({ space }) => (space === undefined ? [] : [space]));
  const sums = {
    runs: all.length,
    unknown: all.length - left.length,
    seconds: left.reduce((sum, { seconds }) => sum + seconds!, 0),
  };
  if (spaces.length < left.length || (left.length === 0 && all.length > 0))
    return { ...sums, memoryBytes: undefined, diskBytes: undefined, packedBytes: undefined };
  // Of images of one preparation the larger part holds the smaller; what a done run has kept is there.
  const most = (of: readonly Prediction[], as: string): number =>
    Math.max(0, ...of.map(({ space }) => (space?.packedAs === as ? space.packedBytes : 0)));
  const done = predictions.filter(({ state }) => state === "done");
  const kinds = [...new Set(spaces.map(({ packedAs }) => packedAs))];
  const packed = kinds.reduce((sum, as) => sum + Math.max(0, most(left, as) - most(done, as)), 0);
  return {
    ...sums,
    memoryBytes: Math.max(0, ...spaces.map(({ memoryBytes }) => memoryBytes)),
    diskBytes: left.reduce(
      (sum, { space, thereBytes }) => sum + Math.max(0, space!.diskBytes - thereBytes),
      0,
    ),
    packedBytes: Math.min(packed, Math.max(0, ...spaces.map(({ packedLimit }) => packedLimit))),
  };
}

/** What a machine has: main memory, and what is free where a path lies; bytes. */
export interface Machine {
  readonly memoryBytes: number;
  readonly freeBytes: (path: string) => number | undefined;
  /** Paths of one number share their space. */
  readonly diskOf: (path: string) => number | undefined;
}

export const thisMachine = (): Machine => ({
  // A container may have less than the machine.
  memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
  freeBytes,
  diskOf: (path) => statSync(path, { throwIfNoEntry: false })?.dev,
});

/** Where the runs that are left do not fit, a line each; `folder` is the study's, `cache` where images are kept. */
export function warningsOf(
  { memoryBytes = 0, diskBytes = 0, packedBytes = 0 }: Sums,
  { folder, cache }: { readonly folder: string; readonly cache: string },
  words: (bytes: number) => string,
  machine: Machine = thisMachine(),
): readonly string[] {
  const warnings: string[] = [];
  if (memoryBytes > machine.memoryBytes)
    warnings.push(
      `The largest run needs ${words(memoryBytes)} of memory, and this machine has ${words(machine.memoryBytes)}. Take a smaller batch or microBatch, or less imageMemory.`,
    );
  const shared = machine.diskOf(folder) === machine.diskOf(cache);
  const needs = shared
    ? [[folder, diskBytes + packedBytes] as const]
    : [[folder, diskBytes] as const, [cache, packedBytes] as const];
  for (const [path, bytes] of needs) {
    const free = machine.freeBytes(path);
    if (free !== undefined && bytes > free)
      warnings.push(
        `${path}: the runs need ${words(bytes)} of disk, and ${words(free)} are free. Free space there, or take less keepLast or imageDisk.`,
      );
  }
  return warnings;
}
