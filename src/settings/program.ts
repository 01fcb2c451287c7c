/** Settings that are programs: modules whose default export is what they set. */

import { existsSync } from "node:fs";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../core/errors.js";
import { missingFile } from "../core/files.js";

/** The default export of a module in JavaScript or TypeScript. Throws `UsageError`; `what` is what it should be. */
export async function importProgram(path: string, what: string): Promise<unknown> {
  if (!existsSync(path)) throw missingFile(path);
  const module = await importModule(path, what);
  if (module.default !== undefined) return module.default;
  const others = Object.keys(module);
  throw new UsageError(
    `${path}: must export a ${what} as its default; got ${others.length === 0 ? "no export" : `only ${others.join(", ")}`}. Write export default before it.`,
    { code: "ERR_SETTING", file: path },
  );
}

async function importModule(path: string, what: string): Promise<{ readonly default?: unknown }> {
  try {
    return extname(path).endsWith("ts")
      ? await importTypeScript(resolve(path))
      : await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    throw new UsageError(
      `${path}: the ${what} cannot be loaded; got ${(error as Error).message}. Fix the file.`,
      { file: path },
    );
  }
}

/** A module in TypeScript, its types stripped: on every Node alike. */
async function importTypeScript(path: string): Promise<{ readonly default?: unknown }> {
  const { createJiti } = await import("jiti");
  // Otherwise a module without a default export would be its own.
  const options = { fsCache: false, moduleCache: false, interopDefault: false };
  return createJiti(import.meta.url, options).import(path);
}
