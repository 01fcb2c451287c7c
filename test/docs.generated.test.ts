import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { docsFolder, generatedDocs } from "../bench/ops-table.js";

describe("npm run docs", () => {
  for (const [name, text] of Object.entries(generatedDocs())) {
    it(`has been run since the records of docs/${name} last changed`, () => {
      assert.equal(readFileSync(`${docsFolder}${name}`, "utf8"), text, "stale: run npm run docs");
    });
  }
});
