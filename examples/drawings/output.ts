/** A folder that a preparation writes: whole or not at all, once for the same input, and never over anybody else's. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { deserialize, serialize } from "node:v8";
import { makeFolder } from "../../src/core/disk.js";
import { UsageError } from "../../src/core/errors.js";
import { writeFileAtomic } from "../../src/core/files.js";

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

/** Writes a file of the folder that is made. */
export type Write = (file: string, content: string | Uint8Array) => Promise<void>;

/** What `make` gives; where an earlier call that was interrupted kept it under this name, that. */
export type Keep = <T>(name: string, make: () => Promise<T>) => Promise<T>;

/**
 * What `make` wrote into the folder before, read from `summary.json`, or what it gives now. `input` is all that decides the
 * files. What an interrupted call kept is taken again as long as the input is the same. Throws `UsageError` where the folder holds something
 * else.
 */
export async function prepared<Summary>(
  output: string,
  input: unknown,
  make: (write: Write, keep: Keep) => Promise<Summary>,
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
  const kept = `${output}.kept`;
  const write: Write = async (file, content) => {
    await mkdir(path.dirname(path.join(draft, file)), { recursive: true });
    await writeFile(path.join(draft, file), content);
  };
  const summary = await make(write, keepIn(path.join(kept, wanted)));
  await write("summary.json", `${JSON.stringify(summary, undefined, 2)}\n`);
  await write("stamp", wanted);
  await rm(output, { recursive: true, force: true });
  await rename(draft, output);
  await rm(kept, { recursive: true, force: true });
  return summary;
}

/** Keeps what can be written by `serialize`, whole or not at all, in `folder`. */
function keepIn(folder: string): Keep {
  return async (name, make) => {
    const file = path.join(folder, name);
    // One that cannot be read, of another version of Node perhaps, is made anew.
    const there = await readFile(file)
      .then((bytes) => ({ value: deserialize(bytes) }))
      .catch(() => undefined);
    if (there !== undefined) return there.value;
    const made = await make();
    makeFolder(folder);
    writeFileAtomic(file, serialize(made));
    return made;
  };
}
