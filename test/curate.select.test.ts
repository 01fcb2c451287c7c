import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as api from "clipwright";
import { commands } from "../src/cli/commands.js";
import { capOf } from "../src/curate/select/balance.js";
import { ConceptMatcher } from "../src/curate/select/concepts.js";
import { presets } from "../src/curate/select/presets.js";
import type { Rule } from "../src/curate/select/rules.js";
import { makeLadder, makeSelection, type SelectionOptions, stepPath } from "../src/curate/select/select.js";
import { openTables, type SqlRow } from "../src/curate/tables/database.js";
import { TableWriter } from "../src/curate/tables/writer.js";
import { uidOfWords } from "../src/data/columns/uids.js";
import { pairColumns, type TableColumn, type TableInfo } from "../src/data/selections/form.js";
import { readSubset } from "../src/data/selections/subset-file.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";

type Cell = string | number | boolean | null;
type Row = Readonly<Record<string, Cell>>;

const columns: readonly TableColumn[] = [
  ...pairColumns,
  { name: "words", kind: "count", about: "Words." },
  { name: "characters", kind: "count", about: "Characters." },
  { name: "language", kind: "text", about: "Language." },
  { name: "original_width", kind: "count", about: "Width." },
  { name: "original_height", kind: "count", about: "Height." },
  { name: "score", kind: "number", about: "Score.", better: "higher" },
  { name: "loss", kind: "number", about: "Loss.", better: "lower" },
  { name: "blank", kind: "flag", about: "Blank.", better: "lower" },
  { name: "group_number", kind: "count", about: "Group." },
];

function tableOf(rows: readonly Row[], folder = scratchFolder()): string {
  const path = join(folder, "scores.parquet");
  const info: TableInfo = {
    format: 1,
    kind: "scores",
    sources: [{ name: "photos", source: "photos/", samples: rows.length }],
    clipwright: "0.1.0",
    made: "2026-01-02T03:04:05.000Z",
    columns,
  };
  const writer = new TableWriter(path, info);
  const named = rows.map((row, i) => ({ source: "photos", key: `k${i}`, caption_index: 0, ...row }) as Row);
  writer.append(Object.fromEntries(columns.map(({ name }) => [name, named.map((row) => row[name] ?? null)])));
  writer.finish();
  return path;
}

interface Outcome {
  readonly rows: SqlRow[];
  /** Numbers of the rows that are kept. */
  readonly kept: number[];
}

async function outcomeOf(path: string): Promise<Outcome> {
  await using database = await openTables({ tables: { selection: path } });
  const rows = await database.rows("SELECT * FROM selection ORDER BY row");
  return { rows, kept: rows.filter(({ keep }) => keep === true).map(({ row }) => Number(row)) };
}

async function choose(rows: readonly Row[], rules: readonly Rule[], more: Partial<SelectionOptions> = {}) {
  const folder = scratchFolder();
  const out = join(folder, "selection.parquet");
  const report = await makeSelection(tableOf(rows, folder), out, { rules, ...more });
  assert.deepEqual(readdirSync(folder), ["scores.parquet", "selection.parquet"]);
  return { report, ...(await outcomeOf(out)) };
}

const scores = (...values: (number | null)[]): Row[] => values.map((score) => ({ score }));
const top = (share: number, score = "score", of?: "all" | "kept"): Rule => ({
  kind: "top",
  score,
  share,
  of,
});

suite("makeSelection: shares and thresholds", () => {
  test("a share keeps down to the value at ⌊n·share⌋ of the descending order, ties too, as apply_filter.py does", async () => {
    // numpy: -np.sort(-scores)[int(8 * 0.4)] = 0.6; scores >= 0.6 are six.
    const values = [0.9, 0.6, 0.1, 0.6, 0.8, 0.6, 0.2, 0.7];
    const { kept, report } = await choose(scores(...values), [top(0.4)]);
    assert.deepEqual(kept, [0, 1, 3, 4, 5, 7]);
    assert.equal(report.rules[0]!.border, 0.6);
    assert.equal(report.kept, 6);
  });

  for (const n of [1, 2, 3, 10, 97]) {
    test(`every share of ${n} pairs is that of a sort`, async () => {
      const values = Array.from({ length: n }, (_, i) => ((i * 7919) % 31) / 31);
      const sorted = [...values].sort((a, b) => b - a);
      for (const share of [0.001, 0.2, 1 / 3, 0.5, 0.9, 1]) {
        const border = sorted[Math.min(n - 1, Math.floor(n * share))]!;
        const { report } = await choose(scores(...values), [top(share)]);
        assert.equal(report.rules[0]!.border, border, `${share}`);
        assert.equal(report.kept, values.filter((value) => value >= border).length);
      }
    });
  }

  test("a number of pairs is that many; lower is better where the table says so", async () => {
    const rows = [5, 3, 1, 4, 2].map((loss) => ({ loss }));
    assert.deepEqual((await choose(rows, [top(2, "loss")])).kept, [2, 4]);
    const threshold: Rule = { kind: "threshold", score: "loss", value: 3 };
    assert.deepEqual((await choose(rows, [threshold])).kept, [1, 2, 4]);
    assert.deepEqual((await choose([{ blank: true }, { blank: false }], [top(1, "blank")])).report.kept, 2);
  });

  test("pairs without the score are dropped, told, and no part of the share", async () => {
    const { kept, report, rows } = await choose(scores(null, 0.3, null, 0.9, 0.5, 0.7), [top(0.5)]);
    assert.deepEqual(kept, [3, 4, 5]);
    assert.match(report.rules[0]!.notes[0]!, /2 pairs have no such score/);
    assert.equal(rows[0]!.reason, "top 50% by score");
    const none = await choose(scores(null, null), [top(0.5)]);
    assert.equal(none.report.kept, 0);
  });

  test("shares are of all pairs, or of what the rules before keep", async () => {
    const rows = [1, 2, 3, 4, 5, 6, 7, 8].map((score) => ({ score, words: score > 4 ? 1 : 9 }));
    const where: Rule = { kind: "where", sql: "words > 2" };
    assert.deepEqual((await choose(rows, [where, top(0.5)])).kept, [3]);
    assert.deepEqual((await choose(rows, [where, top(2, "score", "kept")])).kept, [2, 3]);
  });

  test("NaN and infinities of another program's table", async () => {
    const out = join(scratchFolder(), "s.parquet");
    const foreign = fileURLToPath(new URL("../../test/fixtures/curate/scores.parquet", import.meta.url));
    await makeSelection(foreign, out, { rules: [top(3)] });
    const { rows, kept } = await outcomeOf(out);
    // 0.5, NaN, 0.25, 0.5, NULL, inf, -inf, 0.1: the best three are inf and both 0.5.
    assert.deepEqual(kept, [0, 3, 5]);
    assert.deepEqual([rows[0]!.source, rows[0]!.key, rows[0]!.caption_index], [null, "k0", null]);
  });
});

suite("makeSelection: rules in order", () => {
  const rows: Row[] = [
    { words: 3, language: "en", score: 0.9 },
    { words: 2, language: "en", score: 0.8 },
    { words: 5, language: "de", score: 0.7 },
    { words: 1, language: "de", score: 0.1 },
    { words: null, language: "en", score: 0.6 },
  ];
  const rules: Rule[] = [
    { kind: "where", sql: "words > 2", name: "few words" },
    { kind: "where", sql: "language = 'en'" },
    top(0.6),
  ];

  test("what each drops, alone and in order; the first that drops a pair is its reason", async () => {
    const { report, rows: decided } = await choose(rows, rules);
    assert.deepEqual(
      report.rules.map(({ name, dropsAlone, drops, left }) => [name, dropsAlone, drops, left]),
      [
        ["few words", 3, 3, 2],
        ["language = 'en'", 2, 1, 1],
        ["top 60% by score", 1, 0, 1],
      ],
    );
    assert.match(report.rules[0]!.notes[0]!, /^Of 1 pairs it says neither, as a value is not known/);
    assert.deepEqual(
      decided.map(({ reason }) => reason),
      [null, "few words", "language = 'en'", "few words", "few words"],
    );
    assert.deepEqual(
      decided.map(({ weight, corrected_caption, key }) => [weight, corrected_caption, key]),
      rows.map((_, i) => [1, null, `k${i}`]),
    );
  });

  test("without rules everything is kept; of an empty table nothing is left", async () => {
    assert.deepEqual((await choose(rows, [])).kept, [0, 1, 2, 3, 4]);
    const { report } = await choose([], rules);
    assert.deepEqual([report.rows, report.kept], [0, 0]);
  });

  test("a selection says what made it", async () => {
    const folder = scratchFolder();
    const out = join(folder, 'it\'s a "selection".parquet');
    await makeSelection(tableOf(rows, folder), out, { rules: [], command: "clipwright curate select …" });
    await using database = await openTables({ tables: { selection: out } });
    const info = database.infos.selection!;
    assert.deepEqual(
      [info.kind, info.sources[0]!.name, info.command],
      ["selection", "photos", "clipwright curate select …"],
    );
  });

  test("nothing is left in its place where a rule fails", async () => {
    const folder = scratchFolder();
    const out = join(folder, "selection.parquet");
    writeFileSync(out, "old");
    const table = tableOf(rows, folder);
    // Fails only when the rows are read.
    const rule: Rule = { kind: "where", sql: "error(language) IS NULL" };
    await assert.rejects(makeSelection(table, out, { rules: [rule] }));
    assert.equal(readFileSync(out, "utf8"), "old");
    assert(!existsSync(`${out}.tmp`));
  });
});

suite("makeSelection: duplicates, cover, balance", () => {
  test("of a group's pictures the best is kept, with all of its captions; NULL is no group", async () => {
    const rows: Row[] = [
      { key: "a", caption_index: 0, group_number: 1, score: 0.1 },
      { key: "a", caption_index: 1, group_number: 1, score: 0.2 },
      { key: "b", caption_index: 0, group_number: 1, score: 0.9 },
      { key: "b", caption_index: 1, group_number: 1, score: null },
      { key: "c", caption_index: 0, group_number: 3, score: 0.1 },
      { key: "c", caption_index: 1, group_number: 3, score: 0.2 },
      { key: "d", caption_index: 0, group_number: null, score: 0.3 },
      { key: "e", caption_index: 0, group_number: null, score: 0.3 },
    ];
    const unique: Rule = { kind: "unique", group: "group_number", best: "score" };
    assert.deepEqual((await choose(rows, [unique])).kept, [2, 3, 4, 5, 6, 7]);
    assert.deepEqual(
      (await choose(rows, [{ kind: "unique", group: "group_number" }])).kept,
      [0, 1, 4, 5, 6, 7],
    );
    // The best of those that are left: b is gone before.
    const { kept, report } = await choose(rows, [{ kind: "where", sql: "key <> 'b'" }, unique]);
    assert.deepEqual(kept, [0, 1, 4, 5, 6, 7]);
    assert.deepEqual([report.rules[1]!.drops, report.rules[1]!.dropsAlone], [0, 2]);
  });

  test("cover brings back the best of every value, past scores but not past conditions", async () => {
    const rows: Row[] = ["x", "x", "x", "y", "y", "z", null].map((label, i) => ({
      label,
      score: 1 - i / 10,
      words: i === 5 ? 1 : 5,
    }));
    const rules: Rule[] = [
      { kind: "where", sql: "words > 2" },
      { kind: "threshold", score: "score", value: 0.85 },
      { kind: "cover", group: "label", least: 1, best: "score" },
    ];
    const { kept, report } = await choose(rows, rules);
    assert.deepEqual(kept, [0, 1, 3]);
    assert.equal(report.rules[1]!.drops, 3);
    assert.equal(report.rules[1]!.dropsAlone, 5);
  });

  test("balance thins out what is frequent to about the cap, alike in any order, and keeps what is rare", async () => {
    const label = (i: number) => (i < 6000 ? "common" : i < 6900 ? "less" : i < 7000 ? "rare" : null);
    const rows = Array.from({ length: 7100 }, (_, i): Row => ({ key: `k${i}`, label: label(i) }));
    const rule = (seed: number): Rule => ({ kind: "balance", column: "label", cap: 300, seed });
    const { rows: decided, report } = await choose(rows, [rule(1)]);
    const keptOf = (name: string | null) =>
      decided.filter(({ keep, row }) => keep && label(Number(row)) === name).length;
    // Binomial of mean 300: five deviations are 85.
    assert(Math.abs(keptOf("common") - 300) < 85, `${keptOf("common")}`);
    assert(Math.abs(keptOf("less") - 300) < 71, `${keptOf("less")}`);
    assert.deepEqual([keptOf("rare"), keptOf(null)], [100, 100]);
    assert.match(report.rules[0]!.notes[0]!, /cap is 300 pairs a value; 2 have more/);
    const keys = (all: SqlRow[]) =>
      all
        .filter(({ keep }) => keep)
        .map(({ key }) => key)
        .sort();
    const reversed = await choose([...rows].reverse(), [rule(1)]);
    assert.deepEqual(keys(reversed.rows), keys(decided));
    const other = await choose(rows, [rule(2)]);
    assert.notDeepEqual(keys(other.rows), keys(decided));
  });

  test("concepts: a pair stays where any of its entries passes; one without goes", async () => {
    const rows = Array.from(
      { length: 3000 },
      (_, i): Row => ({
        caption:
          i < 2400
            ? `A photo of a dog, ${i}`
            : i < 2900
              ? "a Dog and a polar bear."
              : i < 2950
                ? "polar bears"
                : "nothing",
      }),
    );
    const { rows: decided, report } = await choose(rows, [
      { kind: "concepts", entries: ["dog", "Polar  Bear", "", "dog"], cap: 500, seed: 3 },
    ]);
    const kept = (from: number, to: number) => decided.slice(from, to).filter(({ keep }) => keep).length;
    // 2,900 dogs at 500 / 2900; every polar bear has 500 at most, and passes.
    assert(Math.abs(kept(0, 2400) - (2400 * 500) / 2900) < 95, `${kept(0, 2400)}`);
    assert.equal(kept(2400, 2900), 500);
    assert.equal(kept(2900, 3000), 0);
    assert.match(report.rules[0]!.notes[0]!, /500 pairs a concept; 1 have more/);
  });

  test("where every count is at most the cap, everything with a match is kept", async () => {
    const { report } = await choose(
      [{ caption: "a cat" }, { caption: "a dog" }, { caption: "x" }],
      [{ kind: "concepts", entries: ["cat", "dog"], cap: 1, seed: 0 }],
    );
    assert.equal(report.kept, 2);
  });

  test("the cap that is found leaves the tail 6 %", () => {
    // 100 entries of one pair, 10 of 50, one of 1,000: 1,600 matches; 6 % are 96.
    const counts = [
      { pairs: 1, entries: 100 },
      { pairs: 50, entries: 10 },
      { pairs: 1000, entries: 1 },
    ];
    assert.equal(capOf(counts), 1);
    assert.equal(capOf(counts.slice(1)), 50);
    assert.equal(capOf([{ pairs: 2, entries: 10 }, ...counts.slice(2)]), 1000);
    assert.equal(capOf([]), 1);
  });

  test("ConceptMatcher finds whole words and phrases, marks apart", () => {
    const matcher = new ConceptMatcher(["new york", "york", "new york city", "o'clock", "c++"]);
    const names = (text: string) => matcher.find(text).map((entry) => matcher.entries[entry]);
    assert.deepEqual(names("New  York, at 5 O'clock"), ["new york", "york", "o'clock"]);
    assert.deepEqual(names("new york city!"), ["new york", "new york city", "york"]);
    assert.deepEqual(names("newyork C++"), ["c++"]);
  });
});

suite("combined scores", () => {
  test("the mean of ranks, each turned the better way, by weight", async () => {
    // Ranks of score: 0, 1/3, 2/3, 1; of loss, turned: 1, 1/3 twice (equal), 0 …
    const rows: Row[] = [
      { score: 1, loss: 0.1 },
      { score: 2, loss: 0.5 },
      { score: 3, loss: 0.5 },
      { score: 4, loss: 0.9 },
      { score: null, loss: 0.1 },
    ];
    const combine = {
      columns: [
        { score: "score", weight: 3 },
        { score: "loss", weight: 1 },
      ],
    };
    const { report, kept } = await choose(rows, [top(1, "combined")], { combine });
    // Of five losses: -0.9 is 0, -0.5 1/4 twice, -0.1 3/4 twice. (3 · 0 + 3/4)/4, (1 + 1/4)/4, (2 + 1/4)/4, (3 + 0)/4.
    assert.deepEqual(kept, [0, 1, 2, 3]);
    assert.equal(report.rules[0]!.border, 0.1875);
    const best = await choose(rows, [top(1, "combined"), { kind: "where", sql: "combined > 0.5" }], {
      combine,
    });
    assert.deepEqual(best.kept, [2, 3]);
  });

  test("an expression is a score, too", async () => {
    assert.deepEqual((await choose(scores(1, 2, 3), [top(2, "-score + 0")])).kept, [0, 1]);
    await assert.rejects(
      choose(scores(1), [top(0.5, "language")]),
      /a score must be a number; got language, VARCHAR/,
    );
    await assert.rejects(choose(scores(1), [top(0.5, "scor")]), /no column scor; .* Did you mean "score"\?/);
    await assert.rejects(
      choose(scores(1), [top(0.5, "sum(score)")]),
      /--top: must be a column, or an expression/,
    );
    await assert.rejects(
      choose(scores(1), [top(0.5, "1) FROM read_csv('/etc/passwd') --")]),
      /--top: must be/,
    );
  });
});

suite("presets", () => {
  const basic = presets.find(({ name }) => name === "datacomp-basic")!;
  const pair = (more: Row = {}): Row => ({
    language: "en",
    words: 3,
    characters: 6,
    original_width: 600,
    original_height: 200,
    ...more,
  });

  test("datacomp-basic is basic_filter: its borders", async () => {
    const rows: [Row, boolean][] = [
      [pair(), true],
      [pair({ words: 2 }), false],
      [pair({ characters: 5 }), false],
      [pair({ original_height: 199, original_width: 199 }), false],
      [pair({ original_width: 601 }), false],
      [pair({ original_width: 200, original_height: 600 }), true],
      [pair({ language: "de" }), false],
      [pair({ language: null }), false],
      [pair({ original_height: null }), false],
    ];
    const { rows: decided } = await choose(
      rows.map(([row]) => row),
      basic.rules,
    );
    assert.deepEqual(
      decided.map(({ keep }) => keep),
      rows.map(([, keep]) => keep),
    );
  });

  test("one whose columns are missing says how to get them", async () => {
    const laion = presets.find(({ name }) => name === "laion-2b-en")!;
    await assert.rejects(
      choose([pair()], laion.rules),
      /--preset: the table has no column clip_score;.*Score it first/,
    );
  });
});

suite("makeLadder", () => {
  test("each step holds those before; random steps are as large, and nested", async () => {
    const folder = scratchFolder();
    const rows = Array.from(
      { length: 500 },
      (_, i): Row => ({ key: `k${i}`, score: ((i * 263) % 500) / 500, words: i % 5 }),
    );
    const out = join(folder, "step.parquet");
    const shares = [1, 0.2, 0.4];
    const reports = await makeLadder(
      tableOf(rows, folder),
      out,
      { quality: { by: "score", shares }, random: { seed: 7, shares } },
      { rules: [{ kind: "where", sql: "words > 0" }] },
    );
    assert.deepEqual(
      reports.map(({ kept }) => kept),
      [81, 161, 400, 81, 161, 400],
    );
    assert.deepEqual(readdirSync(folder).sort(), [
      "scores.parquet",
      ...["100", "20", "40", "random-100", "random-20", "random-40"].map((step) => `step-${step}.parquet`),
    ]);
    for (const kind of ["", "random-"]) {
      const [small, middle, large] = await Promise.all(
        [0.2, 0.4, 1].map(async (share) => new Set((await outcomeOf(stepPath(out, share, kind))).kept)),
      );
      assert([...small!].every((row) => middle!.has(row)));
      assert([...middle!].every((row) => large!.has(row)));
    }
    const best = await outcomeOf(stepPath(out, 0.2));
    const drawn = await outcomeOf(stepPath(out, 0.2, "random-"));
    assert.notDeepEqual(best.kept, drawn.kept);
  });
});

suite("subsets of uids", () => {
  const uid = (i: number): string => `${"f".repeat(16)}${i.toString(16).padStart(16, "0")}`;

  test("are written ascending", async () => {
    const folder = scratchFolder();
    const out = join(folder, "s.npy");
    const rows = [9, 3, 7, 1].map((i): Row => ({ uid: i === 7 ? uid(i).toUpperCase() : uid(i), score: i }));
    const { kept } = await makeSelection(tableOf(rows, folder), out, { rules: [top(3)] });
    assert.equal(kept, 3);
    const [words] = [...readSubset(out)];
    assert.deepEqual(
      [0, 1, 2].map((i) => uidOfWords(words!.slice(4 * i, 4 * i + 4))),
      [uid(3), uid(7), uid(9)],
    );
    await assert.rejects(
      makeSelection(tableOf([{ uid: null }]), join(folder, "t.npy"), { rules: [] }),
      /t.npy: a subset names pairs by uid, 32 hex digits; got 1 of 1 pairs without/,
    );
  });
});

suite("clipwright curate select", () => {
  const rows: Row[] = Array.from({ length: 10 }, (_, i) => ({
    score: i / 10,
    words: i,
    label: i < 5 ? "x" : "y",
  }));
  const run = (...words: string[]) => runWords(commands, ["curate", "select", ...words]);

  test("tells what each rule drops, and writes the selection", async () => {
    const out = join(scratchFolder(), "best.parquet");
    const {
      code,
      out: text,
      err,
    } = await run(tableOf(rows), "--where", "words > 1", "--top", "score=40%", "--out", out);
    assert.equal(code, 0, err);
    assert.match(text, /words > 1 +2 +2 +8\n/);
    assert.match(text, /top 40% by score +5 +3 +5\n/);
    assert.match(text, /best.parquet: 5 of 10 pairs kept \(50.0 %\)/);
    const again = await run(
      tableOf(rows),
      "--where",
      "words > 1",
      "--top",
      "score=40%",
      "--out",
      out,
      "--json",
    );
    const json = JSON.parse(again.out);
    assert.deepEqual([json.kept, json.rules[1].border], [5, 0.5]);
  });

  test("ladders and expressions that compare", async () => {
    const folder = scratchFolder();
    const out = join(folder, "s.parquet");
    const { code, err } = await run(
      tableOf(rows),
      "--ladder",
      "20%,100%",
      "--by",
      "(words >= 3)::INT + score",
      "--out",
      out,
    );
    assert.equal(code, 0, err);
    assert(existsSync(join(folder, "s-20.parquet")));
    const one = await run(tableOf(rows), "--threshold", "(words >= 3)::INT=1", "--out", out);
    assert.match(one.out, /7 of 10 pairs kept/);
  });

  test("a selection of nothing is told by the exit code", async () => {
    const out = join(scratchFolder(), "s.parquet");
    assert.equal((await run(tableOf(rows), "--where", "words > 100", "--out", out)).code, 1);
  });

  for (const [what, words, says] of [
    ["no table", ["--out", "x.parquet"], /TABLE: is required/],
    ["no place", ["t.parquet"], /--out: is required/],
    ["an unknown form", ["t.parquet", "--out", "x.csv"], /--out: must end in .parquet or .npy; got x.csv/],
    [
      "a share that is none",
      ["t.parquet", "--out", "x.parquet", "--top", "score=140%"],
      /--top: must be a share/,
    ],
    [
      "a rule without its value",
      ["t.parquet", "--out", "x.parquet", "--top", "score"],
      /--top: must be SCORE=SHARE; got score\. Write/,
    ],
    [
      "a ladder without score",
      ["t.parquet", "--out", "x.parquet", "--ladder", "20%"],
      /--ladder: needs a score; got no --by/,
    ],
    [
      "a score without ladder",
      ["t.parquet", "--out", "x.parquet", "--by", "score"],
      /--by: is the score of --ladder/,
    ],
    [
      "a misspelt preset",
      ["t.parquet", "--out", "x.parquet", "--preset", "datacomp-bsic"],
      /--preset: every item must be one of datacomp-basic/,
    ],
    [
      "a cap below 1",
      ["t.parquet", "--out", "x.parquet", "--balance", "label=0"],
      /--balance: must end in a whole number from 1; got 0/,
    ],
  ] as const) {
    test(`${what} is refused`, async () => {
      const { code, err } = await run(...words);
      assert.equal(code, 2, err);
      assert.match(err, says);
      assert.equal(err.trim().split("\n").length, 1);
    });
  }

  test("--list tells the presets", async () => {
    const { out } = await run("--list");
    for (const { name, source } of presets) assert(out.includes(name) && out.includes(source));
  });
});

suite("the page of a selection", () => {
  const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)> ${"long ".repeat(60)}`;

  async function scored() {
    const folder = scratchFolder();
    const photos = join(folder, "photos");
    for (const i of [0, 1, 2, 3]) put(photos, `k${i}.png`, i === 3 ? "no picture" : await pngOf(i));
    for (const i of [0, 1, 2, 3]) put(photos, `k${i}.txt`, "x");
    const rows = [0, 1, 2, 3].map(
      (i): Row => ({ score: i / 4, caption: i === 2 ? hostile : `caption ${i}`, key: `k${i}` }),
    );
    return { folder, photos, table: tableOf(rows, folder) };
  }

  test("shows the best, the worst, the border and what rules drop, as pictures; captions cannot run", async () => {
    const { folder, photos, table } = await scored();
    const page = join(folder, "page.html");
    const words = [
      "--where",
      "key <> 'k3'",
      "--top",
      "score=2",
      "--out",
      join(folder, "s.parquet"),
      "--page",
      page,
    ];
    const { code, err } = await runWords(commands, ["curate", "select", table, ...words, "--data", photos]);
    assert.equal(code, 0, err);
    const html = readFileSync(page, "utf8");
    const titles = [...html.matchAll(/<h2>([^<]*)<\/h2>/g)].map(([, title]) => title);
    assert.deepEqual(titles, [
      "Rules",
      "The best that are kept",
      "The worst of all",
      "At the border",
      "Dropped: key &lt;&gt; &#39;k3&#39;",
      "Dropped: top 2 by score",
      "Notes",
    ]);
    assert(html.includes("data:image/"));
    assert(!html.includes("<script>alert") && !html.includes("<img src=x"));
    assert(html.includes("&quot;&gt;&lt;script&gt;alert(1)"));
    assert(html.includes("cannot be read"));
    assert.match(html, /Content-Security-Policy" content="default-src 'none'/);
  });

  test("each picture once, however many captions it has", async () => {
    const rows = Array.from(
      { length: 30 },
      (_, i): Row => ({ key: `k${i % 6}`, caption_index: Math.floor(i / 6), score: i }),
    );
    const { report } = await choose(rows, [top(0.5)], { examples: 4 });
    assert.deepEqual(
      report.examples[0]!.pairs.map(({ key, captionIndex, score }) => [key, captionIndex, score]),
      [
        ["k5", 4, 29],
        ["k4", 4, 28],
        ["k3", 4, 27],
        ["k2", 4, 26],
      ],
    );
    assert.deepEqual(
      report.examples.map(({ pairs }) => pairs.length),
      [4, 4, 4, 4],
    );
  });

  test("without the data captions alone are shown, and told", async () => {
    const { folder, table } = await scored();
    const page = join(folder, "page.html");
    const words = ["--top", "score=2", "--out", join(folder, "s.parquet"), "--page", page];
    const { err } = await runWords(commands, ["curate", "select", table, ...words]);
    assert.match(err, /The page shows captions alone: .*photos/);
    assert(readFileSync(page, "utf8").includes("caption 0"));
  });
});

suite("as a library", () => {
  test("selections, tables and data sets by typed functions; arguments are checked", async () => {
    const folder = scratchFolder();
    const photos = join(folder, "photos");
    for (const i of [0, 1, 2]) {
      put(photos, `k${i}.png`, await pngOf(i));
      put(photos, `k${i}.txt`, `caption ${i}`);
    }
    const table = tableOf(scores(0.1, 0.9, 0.5), folder);
    const out = join(folder, "s.parquet");
    const { kept } = await api.makeSelection(table, out, {
      rules: [{ kind: "top", score: "score", share: 2 }],
    });
    assert.equal(kept, 2);
    const seen: unknown[] = [];
    for await (const rows of api.readTable(out, { columns: ["key"], where: "keep" })) seen.push(...rows);
    assert.deepEqual(seen, [{ key: "k1" }, { key: "k2" }]);
    const { dataset } = await api.applySelection(await api.openDataset(photos), out);
    assert.deepEqual([dataset.length, dataset.sample(0).key], [2, "k1"]);
    assert.equal((await api.summarizeTable(out)).rows, 3);
    await assert.rejects(async () => {
      for await (const _ of api.readTable(out, { columns: ["kee"] })) assert.fail();
    }, /has no column kee; .* Did you mean "key"|"keep"/);
    assert.throws(
      () => api.readTable(out, { colums: ["key"] } as never),
      /readTable: has no option colums.*columns/,
    );
    await assert.rejects(api.makeSelection(table, out, {} as never), /makeSelection: rules must be a list/);
    await assert.rejects(api.applySelection({} as never, out), /applySelection: dataset must be a data set/);
  });
});
