/** Runs by recipe, and what sets the recipes apart: settings, and what their runs came to. */

import { basename, join } from "node:path";
import { UsageError } from "../core/errors.js";
import { spentMacs } from "../study/past/collect.js";
import { type Recipe, recipeToJson } from "../train/recipe/recipe.js";
import { recipeOf } from "../train/run/data.js";
import { readLines } from "../train/run/folder.js";

/** Runs of one recipe. */
export interface RecipeGroup {
  readonly name: string;
  readonly runs: readonly string[];
  /** The recipe's settings; then, of its first run, samples seen, multiply-adds and time. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Settings that make no other recipe. */
const SAME = new Set(["name", "logs", "seed", "expected"]);

/** The runs by recipe, each named by its first run. What is no run's is a group of its own. */
export function groupsOf(paths: readonly string[]): RecipeGroup[] {
  const groups = new Map<string, { name: string; runs: string[]; settings: Record<string, unknown> }>();
  for (const path of paths) {
    const recipe = recipeIn(path);
    const settings = recipe && settingsOf(recipe);
    const key = settings === undefined ? path : JSON.stringify(Object.entries(settings).sort());
    const group = groups.get(key) ?? {
      name: path,
      runs: [],
      settings: { ...settings, ...(recipe && courseOf(path, recipe)) },
    };
    group.runs.push(path);
    groups.set(key, group);
  }
  const names = [...groups.values()].map(({ name }) => basename(name));
  const short = new Set(names).size === names.length;
  return [...groups.values()].map(({ name, runs, settings }) => {
    const seeds = runs.length === 1 ? "" : ` (${runs.length} seeds)`;
    return { name: `${short ? basename(name) : name}${seeds}`, runs, settings };
  });
}

/** What differs between the groups: a row each, the setting's name first. */
export function differencesOf(groups: readonly RecipeGroup[]): string[][] {
  const keys = [...new Set(groups.flatMap(({ settings }) => Object.keys(settings)))];
  const words = (value: unknown): string => {
    if (value === undefined) return "–";
    return typeof value === "string" ? value : JSON.stringify(value);
  };
  return keys
    .map((key) => [key, ...groups.map(({ settings }) => words(settings[key]))])
    .filter(([, ...values]) => new Set(values).size > 1);
}

function recipeIn(path: string): Recipe | undefined {
  try {
    return recipeOf(path);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

const settingsOf = (recipe: Recipe): Record<string, unknown> =>
  Object.fromEntries(Object.entries(recipeToJson(recipe)).filter(([key]) => !SAME.has(key)));

/** How far the run came, by its last line of metrics, and what its forward passes took. */
function courseOf(path: string, recipe: Recipe): Record<string, unknown> {
  const last = readLines(join(path, "metrics.jsonl")).at(-1);
  if (last?.step === undefined) return {};
  const count = (x: number): string => x.toLocaleString("en-US", { maximumSignificantDigits: 3 });
  return {
    "samples seen": Number(last.samplesSeen).toLocaleString("en-US"),
    "10¹² multiply-adds": count(spentMacs(path, recipe, last.step) / 1e12),
    "training, minutes": count(Number(last.seconds) / 60),
  };
}
