/** Keeps folders of compiled programs small. */

import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

/** What compiled programs of one engine may take on disk. */
export const PROGRAMS_LIMIT_BYTES = 4 * 2 ** 30;

/** Deletes the longest unused of the files in `folder` that end with `suffix`, until they take at most `limitBytes`. */
export function prune(folder: string, suffix: string, limitBytes: number): void {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(suffix))
    .map((name) => {
      const path = join(folder, name);
      const { size, mtimeMs } = statSync(path);
      return { path, size, mtimeMs };
    })
    .sort((a, b) => b.mtimeMs - a.mtimeMs);
  let total = 0;
  for (const { path, size } of files) {
    total += size;
    if (total > limitBytes) rmSync(path, { force: true });
  }
}
