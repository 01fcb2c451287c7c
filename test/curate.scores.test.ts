/** What holds for every score family, and the scores of captions by themselves. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chooseFamilies, scoreFamilies } from "../src/curate/scores/index.js";
import type { CaptionFamily, ScoreRow } from "../src/curate/scores/score.js";
import { wordsFamily } from "../src/curate/scores/text/words.js";

/** What a family says of one caption. */
async function scoreOf(family: CaptionFamily, caption: string): Promise<ScoreRow> {
  const score = await family.open({ settings: {} });
  return score(caption, { key: "a", captions: [caption] });
}

describe("scoreFamilies", () => {
  const columns = scoreFamilies.flatMap((family) => family.columns);

  test("have names of their own, for families and for columns", () => {
    assert.equal(new Set(scoreFamilies.map(({ name }) => name)).size, scoreFamilies.length);
    assert.equal(new Set(columns.map(({ name }) => name)).size, columns.length);
    for (const { name } of columns) assert.match(name, /^[a-z][a-z0-9_]*$/);
  });

  test("tell each column in one sentence", () => {
    for (const { name, about } of columns) assert.match(about, /^[A-Z0-9“].*\.$/, name);
  });

  test("read columns that other families have", () => {
    for (const family of scoreFamilies)
      if (family.over === "table")
        for (const name of family.reads)
          assert(
            columns.some((column) => column.name === name),
            name,
          );
  });
});

describe("chooseFamilies", () => {
  test("takes names of families and of columns", () => {
    assert.deepEqual(chooseFamilies(["words"]), [wordsFamily]);
    assert.deepEqual(chooseFamilies(["upper_share"]), [wordsFamily]);
  });

  test("refuses others with the nearest spelling", () => {
    assert.throws(() => chooseFamilies(["wrods"]), /got "wrods"\. Did you mean "words"\?/);
  });
});

describe("words", () => {
  test("counts words between blanks and code points", async () => {
    assert.deepEqual(await scoreOf(wordsFamily, "Two DOGS, two 🐕🐕"), {
      words: 4,
      characters: 16,
      letter_share: 10 / 13,
      digit_share: 0,
      upper_share: 5 / 10,
      repetition: 0.25,
      longest_run: 2,
    });
  });

  test("knows nothing of the case of a text without letters", async () => {
    const row = await scoreOf(wordsFamily, "1234 !!!!!");
    assert.equal(row.upper_share, null);
    assert.equal(row.longest_run, 5);
    assert.equal(row.digit_share, 4 / 9);
  });
});
