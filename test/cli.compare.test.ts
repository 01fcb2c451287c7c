import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { compareCommand } from "../src/cli/commands/compare.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";

const compare = (...words: string[]) =>
  runWords([compareCommand], ["compare", ...words, "--threads", "1", "--workers", "1"]);

suite("clipwright compare", () => {
  const folder = scratchFolder();
  const model = fixture("embed");
  const other = join(folder, "other");

  test("a suite's shifts are compared by their mean, corruptions by the mean of all, and no line is drawn through two", async () => {
    cpSync(model, other, { recursive: true });
    for (const [c, label] of ["cat", "dog"].entries())
      for (let i = 0; i < 3; i++) put(folder, `set/${label}/${i}.png`, await pngOf(31 * c + i));
    const sets = {
      photos: { data: "set", role: "reference", corruptions: { kinds: ["jpeg"], strengths: [1, 5] } },
      sketches: { data: "set", role: "shift" },
    };
    const file = put(folder, "suite.json", JSON.stringify({ sets }));
    const page = join(folder, "compare.html");
    const { code, out, err } = await compare(model, other, "--suite", file, "--json", "--output", page);
    assert.equal(code, 0, err);
    const { comparisons, robustness } = JSON.parse(out);
    assert.deepEqual(
      comparisons
        .filter(({ metric }: { metric: { name: string } }) => metric.name === "acc1")
        .map(({ dataset, pairs }: { dataset: string; pairs: { value: number }[] }) => [
          dataset,
          pairs[0]!.value,
        ]),
      [
        ["photos", 0],
        ["photos, corrupted", 0],
        ["sketches", 0],
        ["mean of 1 shift", 0],
      ],
    );
    assert.deepEqual(robustness, []);
    assert.match(err, /! effective robustness: the baseline needs 5 models .* got 2/);
    assert.match(readFileSync(page, "utf8"), /<h2>mean of 1 shift, top-1<\/h2>/);
    const wrong = await compare(model, other, "--suite", file, "--baseline", "none");
    assert.match(wrong.err, /baseline: must be some of the runs; got none/);
  });
});
