/** Folders that appear whole or not at all. */

import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { makeFolder } from "./disk.js";
import { UsageError } from "./errors.js";
import { withFileErrors } from "./files.js";

/**
 * Has `fill` write into a new folder beside `out`, and puts it in its place; gives what `fill` gives. Where `fill` fails
 * nothing stays.
 * @param replaces a file by which a folder is one that was made before, and is replaced.
 * @throws UsageError where `out` holds other files
 */
export async function makeWholeFolder<T>(
  out: string,
  command: string,
  fill: (folder: string) => Promise<T>,
  replaces?: string,
): Promise<T> {
  const making = `${resolve(out)}.${process.pid}.tmp`;
  try {
    withFileErrors("write", out, () => {
      requireFree(out, command, replaces);
      makeFolder(making);
    });
    const result = await fill(making);
    withFileErrors("write", out, () => {
      requireFree(out, command, replaces);
      rmSync(out, { recursive: true, force: true });
      renameSync(making, out);
    });
    return result;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

function requireFree(out: string, command: string, replaces: string | undefined): void {
  if (!existsSync(out) || readdirSync(out).length === 0) return;
  if (replaces !== undefined && existsSync(join(out, replaces))) return;
  throw new UsageError(`${command}: ${out} must be a new folder; it holds files. Give another --out.`, {
    key: "out",
  });
}
