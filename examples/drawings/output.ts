/** A folder that a preparation writes: whole or not at all, once for the same input, and never over anybody else's. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../../src/core/errors.js";

export interface PrepareOptions {
  /** Pixels a side; 64. */
  readonly size?: number;
  /** Where the packages' `node_modules` is; the example's folder. */
  readonly packages?: string;
  /** Where to write; `data` in the example's folder. */
  readonly output?: string;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Throws `UsageError` for what no picture's side is. */
export function checkSize(size: number): void {
  if (!Number.isInteger(size) || size < 16 || size > 512)
    throw new UsageError(
      `size: a whole number of pixels from 16 to 512; got size=${size}. Leave it out for 64.`,
    );
}

/**
 * What `make` wrote into the folder before, read from `summary.json`, or what it gives now. `input` is all that decides the
 * files. Throws `UsageError` where the folder holds something else.
 */
export async function prepared<Summary>(
  output: string,
  input: unknown,
  make: (write: (file: string, content: string | Uint8Array) => Promise<void>) => Promise<Summary>,
): Promise<Summary> {
  const wanted = createHash("sha256").update(JSON.stringify(input)).digest("hex");
  const stamp = path.join(output, "stamp");
  if (existsSync(stamp) && (await readFile(stamp, "utf8")) === wanted)
    return JSON.parse(await readFile(path.join(output, "summary.json"), "utf8")) as Summary;
  if (!existsSync(stamp) && existsSync(output))
    throw new UsageError(
      `output: a new folder, or one that an earlier preparation wrote; got output=${output}, which has no file "stamp". ` +
        "It would be replaced: choose another, or remove it yourself.",
    );
  // Written beside, then moved: an interrupted run leaves no half-made folder that looks whole.
  const draft = `${output}.part`;
  await rm(draft, { recursive: true, force: true });
  const write = async (file: string, content: string | Uint8Array): Promise<void> => {
    await mkdir(path.dirname(path.join(draft, file)), { recursive: true });
    await writeFile(path.join(draft, file), content);
  };
  const summary = await make(write);
  await write("summary.json", `${JSON.stringify(summary, undefined, 2)}\n`);
  await write("stamp", wanted);
  await rm(output, { recursive: true, force: true });
  await rename(draft, output);
  return summary;
}
