/** What holds for every score family, and the scores of captions by themselves. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { HashCounts, hashOf } from "../src/curate/scores/hash-counts.js";
import { qualityFamily } from "../src/curate/scores/image/quality.js";
import { chooseFamilies, scoreFamilies } from "../src/curate/scores/index.js";
import type { CaptionFamily, ScoredTable, ScoreRow } from "../src/curate/scores/score.js";
import { frequencyFamily, normalised } from "../src/curate/scores/text/frequency.js";
import { languageFamily } from "../src/curate/scores/text/language.js";
import { isFileName, wordingFamily } from "../src/curate/scores/text/wording.js";
import { wordsFamily } from "../src/curate/scores/text/words.js";
import type { ImageMeasures } from "../src/data/pixels/measure.js";
import { fixture } from "./support/fixture.js";

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

describe("language", () => {
  /** Written by hand: short captions by ISO 639-1 code. */
  const captions = JSON.parse(readFileSync(fixture("captions-16-languages.json"), "utf8")) as Record<
    string,
    string[]
  >;

  test("finds at least 180 of 192 short captions' languages, and takes no other for English", async () => {
    const score = await languageFamily.open({ settings: {} });
    let right = 0;
    for (const [language, own] of Object.entries(captions))
      for (const caption of own) {
        const found = score(caption, { key: "a", captions: [caption] });
        if (found.language === language) right++;
        if (language !== "en") assert.notEqual(found.language, "en", caption);
        assert((found.language_confidence as number) >= 0 && (found.language_confidence as number) <= 1);
      }
    assert(right >= 180, `${right} of 192`);
  });

  test("is unknown of numbers and names of files", async () => {
    assert.deepEqual(await scoreOf(languageFamily, "12345 67"), {});
    assert.deepEqual(await scoreOf(languageFamily, "IMG_1234.jpg"), {});
  });
});

describe("wording", () => {
  test("knows names of files", () => {
    const names = [
      "IMG_1234.jpg",
      "dsc 0042",
      "DSCN0099.JPG",
      "PXL_20210304_120000123",
      "photo.png",
      "my cat.jpeg",
    ];
    names.push(
      "5f3a9c0d71be",
      "1234567",
      "Screenshot 2021-03-04",
      "image",
      "550e8400-e29b-41d4-a716-446655440000",
    );
    for (const name of names) assert(isFileName(name), name);
  });

  test("takes no sentence for one", () => {
    const captions = [
      "a cat",
      "image of a cat",
      "photo 12 of the set",
      "two dogs in photo.jpg style posters",
      "defaced",
    ];
    captions.push("cafe", "p", "screenshot of a chat", "Porsche 911", "7 up", "facade", "WP theme");
    for (const caption of captions) assert(!isFileName(caption), caption);
  });

  test("measures addresses", async () => {
    const row = await scoreOf(wordingFamily, "buy at www.shop.com/x now");
    assert.equal(row.url_share, 14 / 25);
    assert.equal((await scoreOf(wordingFamily, "end.Next one e.g. this")).url_share, 0);
  });
});

describe("frequency", () => {
  /** A table of captions, given out three rows at a time. */
  const tableOf = (captions: readonly (string | null)[]): ScoredTable => ({
    length: captions.length,
    async *scan() {
      for (let start = 0; start < captions.length; start += 3) {
        const caption = captions.slice(start, start + 3);
        yield { start, length: caption.length, columns: { caption } };
      }
    },
  });
  const score = (captions: readonly (string | null)[]) =>
    frequencyFamily.score({ settings: {}, ...tableOf(captions) });

  test("counts captions that are the same but for case and punctuation", async () => {
    const found = await score(["A dog.", "a  DOG", "two dogs", null, "“a dog”!"]);
    assert.deepEqual([...found.caption_count!], [3, 3, 1, Number.NaN, 3]);
  });

  test("finds the phrases that many captions share, whatever their numbers", async () => {
    // One less than 20 have a phrase of theirs.
    const own = Array.from({ length: 19 }, (_, i) => `one${"x".repeat(i)} of the few that differ`);
    const shop = Array.from({ length: 30 }, (_, i) => `chair ${i} buy 1${i} online at shop`);
    const found = await score([...own, ...shop]);
    const share = [...found.boilerplate_share!];
    assert.deepEqual(new Set(share.slice(0, 19)), new Set([0]));
    assert.deepEqual(new Set(share.slice(19)), new Set([1]));
  });

  test("normalised keeps letters of every script", () => {
    assert.equal(normalised("Ｆｕｌｌ-width, naïve 東京!"), "full width naïve 東京");
  });
});

describe("HashCounts", () => {
  test("counts as a Map does, through growth and pruning", () => {
    const counts = new HashCounts();
    const right = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const text = `t${(i * i) % 7919}`;
      counts.add(hashOf(text));
      right.set(text, (right.get(text) ?? 0) + 1);
    }
    assert.equal(counts.size, right.size);
    for (const [text, count] of right) assert.equal(counts.countOf(hashOf(text)), count);
    counts.prune(4);
    for (const [text, count] of right) assert.equal(counts.countOf(hashOf(text)), count >= 4 ? count : 0);
    assert.equal(counts.countOf(hashOf("never")), 0);
  });
});

describe("quality", () => {
  const measured: ImageMeasures & { animated: boolean; pixelSha256: string } = {
    brightness: { p1: 0.1, p5: 0.2, p99: 0.9 },
    entropy: 7,
    edges: 40,
    histogramSpread: 10,
    grey: false,
    colorfulness: 30,
    animated: false,
    pixelSha256: "",
  };
  const rowOf = (changes: Partial<ImageMeasures>, width = 40, height = 30): ScoreRow =>
    qualityFamily.score({
      index: 0,
      sizeBytes: 9,
      picture: {
        ...{ width, height, format: "png", hash: [0, 0], miniature: new Uint8Array(192) },
        measured: { ...measured, ...changes },
      },
    });
  const issues = (row: ScoreRow): string[] =>
    Object.keys(row).filter((name) => name.startsWith("is_") && row[name] === true);

  test("flags what lies below CleanVision's thresholds, and not what lies on them", () => {
    assert.deepEqual(issues(rowOf({})), []);
    const brightness = { p1: 0.1, p5: 0.2, p99: 0.32 };
    assert.deepEqual(issues(rowOf({ brightness })), []);
    assert.deepEqual(issues(rowOf({ brightness: { ...brightness, p99: 0.3199 } })), ["is_dark_issue"]);
    assert.deepEqual(issues(rowOf({ brightness: { p1: 0.951, p5: 0.951, p99: 1 } })), ["is_light_issue"]);
    assert.deepEqual(issues(rowOf({ entropy: 2.99 })), ["is_low_information_issue"]);
    assert.deepEqual(issues(rowOf({}, 100, 35)), []);
    assert.deepEqual(issues(rowOf({}, 100, 34)), ["is_odd_aspect_ratio_issue"]);
    // 1 - exp(-0.34) = 0.288
    assert.deepEqual(issues(rowOf({ edges: 34 })), ["is_blurry_issue"]);
    assert.deepEqual(issues(rowOf({ edges: 34, histogramSpread: 20 })), []);
    assert.deepEqual(issues(rowOf({ brightness: { p1: 0.5, p5: 0.5, p99: 0.51 } })), ["is_blank"]);
  });

  test("says nothing of a broken picture", () => {
    assert.deepEqual(
      qualityFamily.score({ index: 0, sizeBytes: 0, error: "image: is empty (0 bytes)." }),
      {},
    );
  });
});
