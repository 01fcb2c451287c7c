/** What `clipwright models` says against PyTorch's counts and the paper's sizes. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { commands } from "../src/cli/commands.js";
import type { ModelSummary } from "../src/models/presets/catalog.js";
import { presets } from "../src/models/presets/presets.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";

interface Counted {
  readonly vision: number;
  readonly text: number;
  readonly total: number;
  readonly vision_macs: number;
  readonly text_macs: number;
}

const counted = (
  JSON.parse(readFileSync(fixture("preset_counts.json"), "utf8")) as { presets: Record<string, Counted> }
).presets;

const models = (...words: string[]) => runWords(commands, ["models", ...words], { columns: 80 });

/** Asserts |got − expected| ≤ `share` of expected. */
const within = (got: number, expected: number, share: number, what: string) =>
  assert.ok(Math.abs(got - expected) <= share * expected, `${what}: got ${got}, expected ${expected}`);

describe("clipwright models --json", async () => {
  const { code, out } = await models("--json");
  const listed = JSON.parse(out) as ModelSummary[];
  const named = (name: string) => listed.find((m) => m.name === name)!;

  it("lists every preset once", () => {
    assert.equal(code, 0);
    assert.deepEqual(
      listed.map((m) => m.name),
      presets.map((p) => p.name),
    );
    assert.deepEqual(Object.keys(counted).sort(), listed.map((m) => m.name).sort());
  });

  it("gives PyTorch's parameter counts, to the unit", () => {
    for (const { name, imageParams, textParams, totalParams } of listed) {
      const { vision, text, total } = counted[name]!;
      assert.deepEqual(
        { imageParams, textParams, totalParams },
        { imageParams: vision, textParams: text, totalParams: total },
        name,
      );
    }
    assert.equal(named("ViT-B-32").totalParams, 151_277_313);
  });

  it("gives the multiply-adds that PyTorch's shapes come to, to the unit", () => {
    for (const { name, imageGmacs, textGmacs } of listed) {
      const { vision_macs, text_macs } = counted[name]!;
      if (/^RN\d/.test(name)) {
        // open_clip's attention pooling asks with every position, and keeps one answer; ours asks once.
        assert.ok(imageGmacs * 1e9 < vision_macs && imageGmacs * 1e9 > 0.9 * vision_macs, name);
        continue;
      }
      assert.deepEqual(
        [imageGmacs, textGmacs].map((g) => Math.round(g * 1e9)),
        [vision_macs, text_macs],
        name,
      );
    }
  });

  it("agrees with the published multiply-adds of the paper's encoders and text tower", () => {
    // GMAC at 224 pixels without the projection, counted from shapes; within 1 % of timm's.
    const encoders = { Ti: 1.25, S: 4.6, B: 17.56, L: 61.55 };
    for (const [size, gmacs] of Object.entries(encoders)) {
      within(named(`paper-${size}-16`).imageGmacs, gmacs, 0.005, size);
      within(named(`paper-${size}-16`).textGmacs, 1.36, 0.005, `${size} text`);
    }
    const others = { RN50: 4.09, "ConvNeXt-T": 4.46, "Swin-T": 4.49, "Mixer-B-32": 3.24 };
    for (const [name, gmacs] of Object.entries(others)) {
      within(named(`paper-${name}`).imageGmacs, gmacs, 0.01, name);
    }
    within(named("paper-B-32").imageGmacs, 4.41, 0.005, "B/32 image");
    within(named("paper-B-32").textGmacs, 1.36, 0.005, "B/32 text, 16 tokens");
    within(named("ViT-B-32").imageGmacs, 4.41, 0.005, "ViT-B-32 image");
    within(named("ViT-B-32").textGmacs, 2.98, 0.005, "ViT-B-32 text at 77 tokens");
  });

  it("agrees with the cost of a sample in the paper's figure 8b, read off its axis", () => {
    const read = { "Ti-16": 2.64, "S-16": 6.06, "B-32": 5.76, "B-16": 19.09, "L-16": 63.07 };
    for (const [size, gmacs] of Object.entries(read)) {
      const { imageGmacs, textGmacs } = named(`paper-${size}`);
      within(imageGmacs + textGmacs, gmacs, 0.02, size);
    }
  });

  it("counts the state of a train step as weights, gradients and two moments", () => {
    for (const m of listed) assert.equal(m.trainStateBytes, 16 * m.totalParams, m.name);
  });
});

describe("clipwright models", () => {
  it("lists those whose name contains a word, as a table", async () => {
    const { code, out } = await models("paper-b");
    assert.equal(code, 0);
    assert.match(
      out,
      /^ +image +text +image +text +state +pair\nname +M +M +GMAC +GMAC +px +tok +GiB +MiB\n/,
    );
    assert.match(out, /paper-B-32 +88\.0 +110\.2 +4\.41 +1\.36/);
    assert.match(out, /\nWhich to take: /);
    assert.doesNotMatch(out, /ViT-B-32 /);
  });

  it("lists one model of every family at 50, 200 and 800 M multiply-adds, for images of 32, 48 and 64 pixels", async () => {
    for (const [line, size] of [
      [50, 32],
      [200, 48],
      [800, 64],
    ] as const) {
      const { out } = await models("--match", `${line}M`, "clipwright", "--json");
      const found = (JSON.parse(out) as ModelSummary[]).filter((m) => m.name.endsWith(`-${line}m`));
      const families = found.map((m) => m.name.split("-")[1]);
      assert.deepEqual(families.sort(), ["convnext", "mixer", "resnet", "swin", "vit"]);
      for (const m of found) assert.deepEqual([m.imageSize, m.textGmacs], [size, found[0]!.textGmacs]);
    }
  });

  it("fits a terminal of 80 columns, as strategies does", async () => {
    for (const words of [["models"], ["models", "--pretrained"], ["strategies"]]) {
      const { out } = await runWords(commands, words, { columns: 80 });
      for (const line of out.split("\n")) assert.ok(line.length <= 80, line);
    }
  });

  it("refuses a cost that is no number", async () => {
    assert.notEqual((await models("--match", "big")).code, 0);
  });

  it("says by its exit code that no name matches", async () => {
    assert.equal((await models("no-such-model")).code, 1);
  });
});
