/** Compiled programs on disk: a folder of files named by what they were compiled from, for what and by what. */

import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prune, touch } from "../../core/prune.js";
import { PROGRAMS_LIMIT_BYTES } from "../native.js";

const HASH_BYTES = 32;
const SUFFIX = ".xla";

const sha256 = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash("sha256");
  // Lengths first, so that no two lists of parts run together to the same bytes.
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest();
};

/** The name of a program: everything that its compiled form depends on. */
export const cacheKey = (...parts: (string | Uint8Array)[]): string => sha256(...parts).toString("hex");

/** Failures to read or write are misses: the program is compiled again. */
export class ProgramCache {
  /** `limitBytes`: the oldest-used files beyond it are deleted. Default 4 GiB. */
  constructor(
    private readonly folder: string,
    private readonly limitBytes = PROGRAMS_LIMIT_BYTES,
  ) {}

  /** The bytes kept under `key`, unless they are missing or damaged. */
  read(key: string): Uint8Array | undefined {
    const path = join(this.folder, key + SUFFIX);
    try {
      const file = readFileSync(path);
      const bytes = file.subarray(HASH_BYTES);
      // A plugin may end the process on damaged bytes.
      if (!sha256(bytes).equals(file.subarray(0, HASH_BYTES))) {
        rmSync(path, { force: true });
        return undefined;
      }
      touch(path);
      return bytes;
    } catch {
      return undefined;
    }
  }

  /** Keeps `bytes` under `key`; a reader never sees half of them. False when they could not be kept. */
  write(key: string, bytes: Uint8Array): boolean {
    const temporary = join(this.folder, `${randomUUID()}.tmp`);
    try {
      mkdirSync(this.folder, { recursive: true });
      writeFileSync(temporary, Buffer.concat([sha256(bytes), bytes]));
      renameSync(temporary, join(this.folder, key + SUFFIX));
      prune(this.folder, this.limitBytes, { suffix: SUFFIX });
      return true;
    } catch {
      rmSync(temporary, { force: true });
      return false;
    }
  }

  /** Forgets `key`. */
  remove(key: string): void {
    rmSync(join(this.folder, key + SUFFIX), { force: true });
  }
}
