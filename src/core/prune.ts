/** Keeps folders of what can be made again small. */

import { readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";

export interface PruneOptions {
  /** Only entries whose names end so; default all. */
  readonly suffix?: string;
  /** Names that stay whatever they take. */
  readonly keep?: ReadonlySet<string>;
}

/**
 * Deletes the longest unused entries of `folder`, files or folders of files, until they take at most `limitBytes`. An entry was
 * used when the last of its files was written or `touch`ed.
 */
export function prune(
  folder: string,
  limitBytes: number,
  { suffix = "", keep = new Set() }: PruneOptions = {},
): void {
  const entries = readdirSync(folder)
    .filter((name) => name.endsWith(suffix))
    .map((name) => ({ name, path: join(folder, name), ...weigh(join(folder, name)) }))
    .sort((a, b) => Number(keep.has(b.name)) - Number(keep.has(a.name)) || b.usedMs - a.usedMs);
  let total = 0;
  for (const { name, path, size } of entries) {
    total += size;
    if (total <= limitBytes || keep.has(name)) continue;
    try {
      rmSync(path, { force: true, recursive: true });
    } catch {
      // Open elsewhere, where the system does not delete that: it goes another time.
    }
  }
}

/** Says that a file was used now. */
export function touch(file: string): void {
  const now = new Date();
  utimesSync(file, now, now);
}

function weigh(path: string): { size: number; usedMs: number } {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { size: 0, usedMs: 0 };
  if (!stat.isDirectory()) return { size: stat.size, usedMs: stat.mtimeMs };
  const inside = readdirSync(path).map((name) => weigh(join(path, name)));
  return {
    size: inside.reduce((sum, { size }) => sum + size, 0),
    usedMs: inside.reduce((last, { usedMs }) => Math.max(last, usedMs), 0),
  };
}
