import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import {
  fillTemplate,
  loadTemplates,
  parseTemplates,
  templateSets,
} from "../src/evaluate/prompts/templates.js";

suite("templateSets", () => {
  test("every set is described and every sentence has a place for the name, once in its set", () => {
    for (const [name, { doc, source, templates }] of Object.entries(templateSets)) {
      assert.ok(doc.length > 0 && source.length > 0, name);
      assert.equal(new Set(templates).size, templates.length, name);
      for (const template of templates) assert.ok(template.includes("{c}"), template);
    }
  });

  test("holds OpenAI's 80 and 7 sentences to the letter", () => {
    // sha256 over open_clip's OPENAI_IMAGENET_TEMPLATES and SIMPLE_IMAGENET_TEMPLATES (3.3.0) filled with "{c}",
    // joined by newlines.
    const digest = (name: string): string =>
      createHash("sha256").update(templateSets[name]!.templates.join("\n")).digest("hex");
    assert.equal(templateSets["openai-80"]!.templates.length, 80);
    assert.equal(digest("openai-80"), "c078f4d4ced9e360a3050ace0c5abd7bed09693bceb3ed0c7a39aba61a668c5c");
    assert.equal(templateSets["openai-7"]!.templates.length, 7);
    assert.equal(digest("openai-7"), "dbce9f3c8c8dc3ece8008992bcb0aaa3d2dd45219debd3b24658e28ea1240b16");
  });
});

suite("loadTemplates and parseTemplates", () => {
  test("take a set by name and a file of one template a line", async () => {
    assert.deepEqual(await loadTemplates("plain"), ["{c}"]);
    const folder = mkdtempSync(join(tmpdir(), "clipwright-templates-"));
    try {
      const file = join(folder, "zeroshot_classification_templates.txt");
      writeFileSync(file, "\uFEFFa photo of {c}.\r\n\r\nart of the {}\n");
      const templates = await loadTemplates(file);
      assert.deepEqual(templates, ["a photo of {c}.", "art of the {}"]);
      assert.deepEqual(
        templates.map((template) => fillTemplate(template, "$& cat")),
        ["a photo of $& cat.", "art of the $& cat"],
      );
      await assert.rejects(loadTemplates(join(folder, "none.txt")), /none\.txt: no such file \(ENOENT\)/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("refuse an unknown set with the nearest name, and name the line without a place", async () => {
    await assert.rejects(loadTemplates("drawings"), /got templates=drawings\. Did you mean "drawing"\?/);
    assert.throws(() => parseTemplates("a {c}\nno place\n", "t.txt"), /t\.txt:2: .*got "no place"/);
    assert.throws(() => parseTemplates("\n", "t.txt"), /t\.txt: must hold at least one template/);
  });
});
