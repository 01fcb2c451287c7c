/** Keeps folders of what can be made again small. */

import { readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";

export interface PruneOptions {
  /** Only entries whose names end so; default all. */
  readonly suffix?: string;
  /** Names that stay whatever they take. */
  readonly keep?: ReadonlySet<string>;
  /** Entries used since then stay, too, milliseconds since 1970: somebody may be at them. Default: none. */
  readonly since?: number;
}

/**
 * Deletes the longest unused entries of `folder`, files or folders of files, until they take at most `limitBytes`. An entry was
 * used when the last of its files was written or `touch`ed. Gives the bytes of what stays.
 */
export function prune(
  folder: string,
  limitBytes: number,
  { suffix = "", keep = new Set(), since = Number.POSITIVE_INFINITY }: PruneOptions = {},
): number {
  const entries = readdirSync(folder)
    .filter((name) => name.endsWith(suffix))
    .map((name) => {
      const path = join(folder, name);
      const { size, usedMs } = weigh(path);
      return { path, size, usedMs, stays: keep.has(name) || usedMs >= since };
    })
    .sort((a, b) => Number(b.stays) - Number(a.stays) || b.usedMs - a.usedMs);
  let total = 0;
  let left = 0;
  for (const { path, size, stays } of entries) {
    total += size;
    if (stays || total <= limitBytes) {
      left += size;
      continue;
    }
    try {
      rmSync(path, { force: true, recursive: true });
    } catch {
      left += size; // open elsewhere, where the system does not delete that: it goes another time
    }
  }
  return left;
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
  const inside = insideOf(path).map((name) => weigh(join(path, name)));
  return {
    size: inside.reduce((sum, { size }) => sum + size, 0),
    usedMs: inside.reduce((last, { usedMs }) => Math.max(last, usedMs), 0),
  };
}

/** Names in a folder; none where it is deleted meanwhile. */
function insideOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
