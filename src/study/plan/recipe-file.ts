/** A plan's recipe as a file that `clipwright train` takes. */

import { UsageError } from "../../core/errors.js";
import { writeFileAtomic } from "../../core/files.js";
import type { TrainingPlan } from "./plan.js";
import { planLines } from "./words.js";

/** Writes the recipe: `.json`, or a program (`.ts`, `.mts`, `.js`, `.mjs`) with the plan above it. Throws `UsageError` for another ending. */
export function writePlannedRecipe(path: string, plan: TrainingPlan): void {
  const recipe = JSON.stringify(plan.recipe, undefined, 2);
  if (path.endsWith(".json")) {
    writeFileAtomic(path, `${recipe}\n`);
    return;
  }
  if (!/\.m?[jt]s$/.test(path))
    throw new UsageError(
      `${path}: a recipe is a .json, .js, .mjs, .ts or .mts file. Give it such an ending.`,
      {
        file: path,
      },
    );
  // A type alone is imported, so that the file is read where no package is installed beside it.
  const isTyped = path.endsWith("ts");
  const lines = planLines(plan).map((line) => ` * ${line.replaceAll("*/", "* /")}`.trimEnd());
  writeFileAtomic(
    path,
    [
      "/**",
      ` * Planned by clipwright on ${plan.made}. For: npx clipwright train ${path}`,
      " *",
      ...lines,
      " */",
      ...(isTyped ? ['import type { RecipeInput } from "clipwright";', ""] : []),
      `export default ${recipe}${isTyped ? " satisfies RecipeInput" : ""};`,
      "",
    ].join("\n"),
  );
}
