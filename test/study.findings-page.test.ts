import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { tablesOf, withTables } from "../bench/findings.js";
import { readFindings } from "../src/study/answer/findings.js";

const at = (path: string): string => fileURLToPath(new URL(`../../docs/${path}`, import.meta.url));

suite("docs/findings.md", () => {
  test("has the tables of what the studies found: node dist/bench/findings.js makes them anew", () => {
    const page = readFileSync(at("findings.md"), "utf8");
    const names: string[] = [];
    const made = withTables(page, (name) => {
      names.push(name);
      const folder = at(`findings/${name}`);
      assert.ok(existsSync(folder), `${name} has findings`);
      return tablesOf(readFindings(folder));
    });
    assert.deepEqual(made, page);
    assert.ok(names.includes("quality-small"));
  });
});
