/** Budgets that a machine keeps: lines of the source by folder, and the names that are public. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as api from "clipwright";

const source = fileURLToPath(new URL("../../src/", import.meta.url));

/** Lines of TypeScript that each folder may hold: about half as much again as it does. More is decided here, not by accident. */
const lineBudgets: Readonly<Record<string, number>> = {
  api: 1500,
  cli: 6500,
  core: 3500,
  curate: 12_000,
  data: 16_500,
  engines: 8000,
  export: 2200,
  evaluate: 7500,
  graph: 9500,
  models: 6500,
  nn: 1500,
  report: 5500,
  serve: 5000,
  settings: 1200,
  storage: 1800,
  study: 8200,
  train: 12_000,
  web: 1200,
};

const linesOf = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .reduce((sum, file) => sum + readFileSync(join(folder, file), "utf8").split("\n").length - 1, 0);

suite("budgets", () => {
  const folders = readdirSync(source, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of folders) {
    test(`src/${name} stays within its lines`, () => {
      const budget = lineBudgets[name];
      assert(
        budget !== undefined,
        `src/${name} has no budget: give it one here, and its place in ARCHITECTURE.md`,
      );
      const lines = linesOf(join(source, name));
      assert(lines <= budget, `src/${name}: at most ${budget} lines; got ${lines}`);
    });
  }
});

const fixture = fileURLToPath(new URL("../../test/fixtures/public-names.txt", import.meta.url));

/** Names that `import … from "clipwright"` finds, a line each: values as they are, types after "type". */
function publicNames(): string[] {
  const declared = readFileSync(new URL("../src/index.d.ts", import.meta.url), "utf8");
  const types = [...declared.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, all, list]) =>
    list!
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && (all !== undefined || name.startsWith("type ")))
      .map((name) => `type ${name.replace(/^type /, "")}`),
  );
  return [...Object.keys(api), ...types].sort();
}

suite("public names", () => {
  test("are those of test/fixtures/public-names.txt, which is changed by hand with the API", () => {
    assert.deepEqual(publicNames(), readFileSync(fixture, "utf8").trim().split("\n"));
  });
});
