/**
 * Recipes by name or path, with overrides: `.js`, `.mjs`, `.ts` and `.mts`, which are programs and run as such, and `.json`,
 * which is data: it may name no library of its own unless it is trusted.
 */

import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { didYouMean, UsageError } from "../../core/errors.js";
import { missingFile, readJson } from "../../core/files.js";
import { pluginSets } from "../../engines/install/plugins.js";
import type { FetchOptions } from "../../evaluate/pretrained/hub.js";
import { importProgram } from "../../settings/program.js";
import { withPretrained } from "./pretrained.js";
import { checkRecipe, lengthKeys, type Recipe, type RecipeInput } from "./recipe.js";

/** Where the recipes that come with the package lie, compiled: `dist/recipes`. */
const shipped = fileURLToPath(new URL("../../../recipes/", import.meta.url));
const extensions = [".js", ".mjs", ".json", ".ts", ".mts"];

/** Names of the recipes that come with the package. */
export const recipeNames = (): string[] =>
  existsSync(shipped)
    ? readdirSync(shipped)
        .filter((file) => file.endsWith(".js"))
        .map((file) => basename(file, ".js"))
        .sort()
    : [];

/**
 * Reads a recipe, lays `overrides` over it, and checks the whole. A length in the overrides replaces that of
 * the recipe, whatever its unit.
 * @param nameOrPath a shipped recipe's name, a file, a run's folder (another length then extends the run),
 *   or undefined when the overrides say everything.
 * @param options `trust`: a recipe in JSON may name a library to load. Default false. `say`, `progress`: told of weights that
 *   are fetched.
 * @throws UsageError naming the file or key, with the nearest spelling.
 */
export async function resolveRecipe(
  nameOrPath: string | undefined,
  overrides: RecipeInput = {},
  { trust = false, ...fetching }: { readonly trust?: boolean } & FetchOptions = {},
): Promise<Recipe> {
  if (nameOrPath === undefined) return checkRecipe(await withPretrained(overrides, fetching));
  const base = isRun(nameOrPath) ? ofRun(nameOrPath) : await loadRecipe(nameOrPath);
  const isData = isRun(nameOrPath) || nameOrPath.endsWith(".json");
  if (isData && !trust && overrides.plugin === undefined) refuseLibrary(base, nameOrPath);
  const set = Object.entries(overrides).filter(([, value]) => value !== undefined);
  const merged: Record<string, unknown> = { ...base };
  if (lengthKeys.some((key) => overrides[key] !== undefined)) {
    for (const key of lengthKeys) delete merged[key];
    if (isRun(nameOrPath)) merged.resume = "extend";
  }
  Object.assign(merged, Object.fromEntries(set));
  try {
    return checkRecipe(
      await withPretrained(merged as RecipeInput, fetching),
      basename(nameOrPath).replace(/\.(?:js|mjs|json|ts|mts)$/, ""),
    );
  } catch (error) {
    // With overrides it may be either that is at fault; without, it is the file.
    if (!(error instanceof UsageError) || set.length > 0) throw error;
    throw new UsageError(`${nameOrPath}: ${error.message}`, {
      key: error.key,
      file: nameOrPath,
      cause: error,
    });
  }
}

/** Whether it is the folder of a run, which is continued or extended. */
const isRun = (path: string): boolean => existsSync(join(path, "config.json"));

/** The recipe of a run, where it lies. */
function ofRun(path: string): RecipeInput {
  const { resume: _, ...recipe } = asRecipe(readJson(join(path, "config.json")), path);
  const folder = resolve(path);
  return { ...recipe, name: basename(folder), logs: dirname(folder) };
}

/** What a recipe file holds, unchecked. */
export async function loadRecipe(nameOrPath: string): Promise<RecipeInput> {
  const path = locate(nameOrPath);
  if (extname(path) === ".json") return asRecipe(readJson(path), path);
  return asRecipe(await importProgram(path, "recipe"), path);
}

/** Refuses a library that a recipe in JSON names. Throws `UsageError`. */
function refuseLibrary({ plugin }: RecipeInput, path: string): void {
  if (plugin === undefined || Object.hasOwn(pluginSets, plugin)) return;
  throw new UsageError(
    `${path}: a recipe in JSON may only name an installed plugin, since a library is a program; got plugin=${JSON.stringify(plugin)}. Add --trust if you trust the file, or give --plugin yourself.`,
    { key: "plugin", file: path },
  );
}

function locate(nameOrPath: string): string {
  if (extensions.includes(extname(nameOrPath)) || /[/\\]/.test(nameOrPath)) {
    const path = resolve(nameOrPath);
    if (!existsSync(path)) throw missingFile(nameOrPath);
    if (!extensions.includes(extname(path))) {
      throw new UsageError(
        `${nameOrPath}: a recipe file ends in ${extensions.join(", ")}; got "${extname(path)}".`,
      );
    }
    return path;
  }
  const names = recipeNames();
  if (names.includes(nameOrPath)) return resolve(shipped, `${nameOrPath}.js`);
  const near = extensions.map((extension) => `${nameOrPath}${extension}`).find((file) => existsSync(file));
  const hint = near ? ` Did you mean "./${near}"?` : didYouMean(nameOrPath, names);
  throw new UsageError(
    `${nameOrPath}: no such recipe; ${names.length > 0 ? `there are ${names.join(", ")}` : "none come with this copy"}.${hint} Give a name, or a path to a file.`,
  );
}

function asRecipe(value: unknown, path: string): RecipeInput {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new UsageError(
      `${path}: must ${path.endsWith(".json") ? "hold one object" : "export a recipe as its default"}; got ${value === undefined ? "nothing" : JSON.stringify(value)}. Write export default { model: "…", trainData: "…", epochs: 10 }.`,
    );
  }
  return value as RecipeInput;
}
