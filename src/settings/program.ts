/** Settings that are programs: modules whose default export is what they set. */

import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../core/errors.js";

/** The default export of a module in JavaScript or TypeScript. Throws `UsageError`; `what` is what it should be. */
export async function importProgram(path: string, what: string): Promise<unknown> {
  try {
    const module: { default?: unknown } = extname(path).endsWith("ts")
      ? await importTypeScript(resolve(path))
      : await import(pathToFileURL(resolve(path)).href);
    return module.default;
  } catch (error) {
    throw new UsageError(
      `${path}: the ${what} cannot be loaded; got ${(error as Error).message}. Fix the file.`,
    );
  }
}

/** A module in TypeScript, its types stripped: on every Node alike. */
async function importTypeScript(path: string): Promise<{ default?: unknown }> {
  const { createJiti } = await import("jiti");
  return createJiti(import.meta.url, { fsCache: false, moduleCache: false }).import(path);
}
