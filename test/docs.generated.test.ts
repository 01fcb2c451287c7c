import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { generatedFiles, projectFolder } from "../bench/ops-table.js";
import type { Inputs } from "../src/settings/fields.js";
import { type RecipeInput, recipeFields } from "../src/train/recipe/recipe.js";

/** `true` where two types are equal, `false` where they are not. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** The compiler holds the generated type to the table. */
const isOfTable: Same<RecipeInput, Inputs<typeof recipeFields>> = true;

describe("npm run docs", () => {
  for (const [path, text] of Object.entries(generatedFiles())) {
    it(`has been run since the records of ${path} last changed`, () => {
      assert.equal(readFileSync(`${projectFolder}${path}`, "utf8"), text, "stale: run npm run docs");
    });
  }

  it("gives every setting its type and its doc in the editor", () => {
    assert(isOfTable);
    const declared = readFileSync(new URL("../src/train/recipe/input.d.ts", import.meta.url), "utf8");
    for (const [key, { doc }] of Object.entries(recipeFields)) {
      const [, comment] =
        new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s+readonly ${key}\\?:`).exec(declared) ?? [];
      assert(comment?.replace(/\s+\*?\s*/g, " ").includes(doc), `${key}: ${comment}`);
    }
  });
});
