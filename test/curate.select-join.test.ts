import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import { commands } from "../src/cli/commands.js";
import { UsageError } from "../src/core/errors.js";
import { makeLadder, makeSelection } from "../src/curate/select/select.js";
import { openTables } from "../src/curate/tables/database.js";
import { TableWriter } from "../src/curate/tables/writer.js";
import {
  pairColumns,
  selectionColumns,
  type TableColumn,
  type TableInfo,
} from "../src/data/selections/form.js";
import { scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";

type Row = Readonly<Record<string, string | number | boolean | null>>;

const score: TableColumn = { name: "score", kind: "number", about: "Score.", better: "higher" };
const loss: TableColumn = { name: "loss", kind: "number", about: "Loss.", better: "lower" };
const key: TableColumn = { name: "key", kind: "text", about: "Key." };

function tableOf(path: string, columns: readonly TableColumn[], rows: readonly Row[]): string {
  const info: TableInfo = {
    format: 1,
    kind: "scores",
    sources: [{ name: "photos", source: "photos/", samples: rows.length }],
    clipwright: "0.1.0",
    made: "2026-01-02T03:04:05.000Z",
    columns,
  };
  const writer = new TableWriter(path, info);
  writer.append(Object.fromEntries(columns.map(({ name }) => [name, rows.map((row) => row[name] ?? null)])));
  writer.finish();
  return path;
}

const pair = (i: number, more: Row = {}): Row => ({
  source: "photos",
  key: `k${i}`,
  caption_index: 0,
  ...more,
});

/** Scores of five pairs, 0.1 to 0.5. */
function scoresIn(folder: string): string {
  const rows = [1, 2, 3, 4, 5].map((n) => pair(n, { score: n / 10 }));
  return tableOf(join(folder, "scores.parquet"), [...pairColumns, score], rows);
}

async function rowsOf(path: string) {
  await using database = await openTables({ tables: { selection: path } });
  return await database.rows("SELECT * FROM selection ORDER BY row");
}
const keptIn = async (path: string) => (await rowsOf(path)).flatMap((row) => (row.keep ? [row.key] : []));

suite("selecting from several tables", () => {
  test("a column of one's own is found by the key, and better is what its table says", async () => {
    const folder = scratchFolder();
    const own = tableOf(
      join(folder, "own.parquet"),
      [key, loss],
      [5, 4, 3, 2, 1].map((n) => ({ key: `k${n}`, loss: n })),
    );
    const out = join(folder, "s.parquet");
    const tables = [scoresIn(folder), own];
    const report = await makeSelection(tables, out, { rules: [{ kind: "top", score: "loss", share: 2 }] });
    assert.deepEqual(await keptIn(out), ["k1", "k2"]);
    assert.deepEqual([report.rows, report.notes], [5, []]);
    await makeSelection(tables, out, { rules: [{ kind: "where", sql: "score > 0.2 AND loss < 5" }] });
    assert.deepEqual(await keptIn(out), ["k3", "k4"]);
    await makeSelection(tables, out, {
      rules: [{ kind: "top", score: "combined", share: 0.2 }],
      combine: {
        columns: [
          { score: "score", weight: 1 },
          { score: "loss", weight: 2 },
        ],
      },
    });
    assert.deepEqual(await keptIn(out), ["k1", "k2"], "the best share and the next, as DataComp counts");
  });

  test("what a table lacks is not known, and told; a name that both have is the first one's", async () => {
    const folder = scratchFolder();
    const other = tableOf(
      join(folder, "other.parquet"),
      [...pairColumns, score, loss],
      [2, 3].map((n) => pair(n, { score: 9, loss: 1 })),
    );
    const out = join(folder, "s.parquet");
    const report = await makeSelection([scoresIn(folder), other], out, {
      rules: [{ kind: "where", sql: "loss > 0 AND score < 1" }],
    });
    assert.deepEqual(await keptIn(out), ["k2", "k3"]);
    assert.deepEqual(report.notes, ["other.parquet lacks 3 of 5 pairs."]);
    assert.match(report.rules[0]!.notes[0]!, /Of 3 pairs it says neither/);
  });

  test("rows are told apart by source and caption where both tables have them", async () => {
    const folder = scratchFolder();
    const two = (more: (source: string, caption: number) => Row) =>
      ["a", "b"].flatMap((source) =>
        [0, 1].map((caption_index) => ({ source, key: "k", caption_index, ...more(source, caption_index) })),
      );
    const first = tableOf(
      join(folder, "scores.parquet"),
      [...pairColumns, score],
      two(() => ({ score: 1 })),
    );
    const rows = two((source, caption) => ({ loss: source === "b" && caption === 1 ? 0 : 1 }));
    const other = tableOf(join(folder, "other.parquet"), [...pairColumns, loss], rows.toReversed());
    const out = join(folder, "s.parquet");
    await makeSelection([first, other], out, { rules: [{ kind: "where", sql: "loss = 0" }] });
    const kept = (await rowsOf(out)).filter(({ keep }) => keep);
    assert.deepEqual(
      kept.map(({ source, caption_index }) => [source, caption_index]),
      [["b", 1]],
    );
  });

  test("tables that do not fit together are refused by name", async () => {
    const folder = scratchFolder();
    const first = scoresIn(folder);
    const table = (name: string, columns: readonly TableColumn[], rows: readonly Row[]) =>
      tableOf(join(folder, name), columns, rows);
    const twice = table("twice.parquet", [key, loss], [{ key: "k1" }, { key: "k1" }]);
    const others = table("others.parquet", [key, loss], [{ key: "x1" }]);
    const nameless = table("nameless.parquet", [loss], [{ loss: 1 }]);
    const selections = ["a.parquet", "b.parquet"].map((name) =>
      table(name, selectionColumns, [pair(1, { keep: true })]),
    );
    const refused = async (tables: readonly string[], message: RegExp) =>
      assert.rejects(makeSelection(tables, join(folder, "s.parquet"), { rules: [] }), (error) => {
        assert(error instanceof UsageError, String(error));
        assert.match(error.message, message);
        return true;
      });
    await refused([first, twice], /twice\.parquet: must have one row a pair; it has key k1 more than once/);
    await refused([first, others], /others\.parquet: must be about pairs of .*it has none of its 5/);
    await refused([first, nameless], /nameless\.parquet: must name its pairs in a column "key" or "uid"/);
    await refused([first, ...selections], /starts from one selection at most; got .*a\.parquet and .*b/);
  });
});

suite("selecting from what people reviewed", () => {
  const reviewed = [
    pair(1, { keep: true, weight: 2 }),
    pair(2, { keep: false, reason: "review: dropped" }),
    pair(4, { keep: true, corrected_caption: "a dog" }),
    pair(5, { keep: true, corrected_label: "dog" }),
  ];

  for (const [name, order] of [
    ["beside its scores", (tables: [string, string]) => tables],
    ["before its scores", ([scores, selection]: [string, string]) => [selection, scores]],
  ] as const) {
    test(`${name}: what it drops stays dropped, and its words hold`, async () => {
      const folder = scratchFolder();
      const selection = tableOf(join(folder, "reviewed.parquet"), selectionColumns, reviewed);
      const out = join(folder, "s.parquet");
      const report = await makeSelection(order([scoresIn(folder), selection]), out, {
        rules: [{ kind: "where", sql: "score > 0.1" }],
      });
      const rows = (await rowsOf(out)).map(
        ({ key: name, keep, reason, weight, corrected_caption, corrected_label }) => [
          ...[name, keep, reason, weight, corrected_caption, corrected_label],
        ],
      );
      const third = ["k3", false, "kept by reviewed.parquet", 1, null, null];
      assert.deepEqual(rows, [
        ["k1", false, "score > 0.1", 2, null, null],
        ["k2", false, "review: dropped", 1, null, null],
        // The selection does not name it.
        ...(name === "beside its scores" ? [third] : []),
        ["k4", true, null, 1, "a dog", null],
        ["k5", true, null, 1, null, "dog"],
      ]);
      assert.deepEqual([report.rules[0]!.name, report.rules[0]!.kind], ["kept by reviewed.parquet", "where"]);
      assert.equal(report.kept, 2);
    });
  }

  test("alone, it is thinned out by its own columns; a score called weight stays a score", async () => {
    const folder = scratchFolder();
    const selection = tableOf(join(folder, "reviewed.parquet"), selectionColumns, reviewed);
    const out = join(folder, "s.parquet");
    await makeSelection(selection, out, { rules: [{ kind: "where", sql: "weight IS NULL" }] });
    assert.deepEqual(await keptIn(out), ["k4", "k5"]);
    const weighted = tableOf(
      join(folder, "weighted.parquet"),
      [...pairColumns, { ...score, name: "weight" }],
      [1, 4].map((n) => pair(n, { weight: 10 * n })),
    );
    await makeSelection([weighted, selection], out, { rules: [{ kind: "where", sql: "weight > 10" }] });
    assert.deepEqual(
      (await rowsOf(out)).map(({ key: name, keep, weight }) => [name, keep, weight]),
      [
        ["k1", false, 2],
        ["k4", true, 1],
      ],
    );
  });

  test("ladders stand on what people kept", async () => {
    const folder = scratchFolder();
    const selection = tableOf(join(folder, "reviewed.parquet"), selectionColumns, reviewed);
    const ladder = { quality: { by: "score", shares: [0.5, 1] } };
    const tables = [scoresIn(folder), selection];
    const reports = await makeLadder(tables, join(folder, "s.parquet"), ladder, { rules: [] });
    assert.deepEqual(await Promise.all(reports.map(({ path }) => keptIn(path))), [
      ["k4", "k5"],
      ["k1", "k4", "k5"],
    ]);
  });

  test("by the command, which says what tables lack", async () => {
    const folder = scratchFolder();
    const selection = tableOf(join(folder, "reviewed.parquet"), selectionColumns, reviewed);
    const out = join(folder, "s.parquet");
    const words = ["curate", "select", scoresIn(folder), selection, "--top", "score=20%", "--out", out];
    const { out: printed, err } = await runWords(commands, words);
    assert.match(printed, /kept by reviewed\.parquet +2 +2 +3/);
    assert.match(err, /reviewed\.parquet lacks 1 of 5 pairs/);
    assert.deepEqual(await keptIn(out), ["k4", "k5"]);
  });
});
