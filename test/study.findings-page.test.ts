import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { figuresOf, withSections } from "../bench/findings.js";
import { experimentOf } from "../src/report/study/views.js";
import { readFindings } from "../src/study/answer/findings.js";

const at = (path: string): string => fileURLToPath(new URL(`../../docs/${path}`, import.meta.url));

suite("docs/findings.md", () => {
  test("has the figures and tables of what the studies found: node dist/bench/findings.js makes them anew", () => {
    const page = readFileSync(at("findings.md"), "utf8");
    const names: string[] = [];
    const figures: string[] = [];
    const made = withSections(page, (name) => {
      names.push(name);
      const folder = at(`findings/${name}`);
      assert.ok(existsSync(folder), `${name} has findings`);
      const findings = readFindings(folder);
      for (const { file, svg } of figuresOf(findings)) {
        figures.push(file);
        assert.equal(svg, readFileSync(at(`figures/${file}`), "utf8"), file);
        assert.doesNotMatch(svg, /NaN|undefined|href|url\(|@import/, file);
      }
      return findings;
    });
    assert.equal(made, page);
    assert.ok(names.includes("quality-small"));
    // None is left of a study that was renamed.
    assert.deepEqual(
      readdirSync(at("figures")).filter((file) => file.startsWith("findings-")),
      figures.sort(),
    );
  });

  test("stands beside the paper's experiment that each study repeats", () => {
    const told = readdirSync(at("findings")).map((name) => [
      name.replace(/-small$/, ""),
      experimentOf(readFindings(at(`findings/${name}`))),
    ]);
    assert.deepEqual(Object.fromEntries(told), {
      quantity: "data quantity",
      quality: "data quality",
      "vit-sizes": "ViT sizes",
      encoders: "encoders",
      augmentation: "augmentation",
      strategies: "strategies",
    });
  });
});
