import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { suite, test } from "node:test";
import { commands } from "../src/cli/commands.js";
import { openTables } from "../src/curate/tables/database.js";
import { summarizeTable } from "../src/curate/tables/summary.js";
import { TableWriter } from "../src/curate/tables/writer.js";
import { pairColumns, type TableColumn, type TableInfo } from "../src/data/selections/form.js";
import { openParquet, readColumns } from "../src/data/sources/tables/parquet-file.js";
import { scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";

const columns: readonly TableColumn[] = [
  ...pairColumns,
  { name: "words", kind: "count", about: "Words of the caption." },
  { name: "clip_score", kind: "number", about: "Cosine.", better: "higher", source: "somebody 2021" },
  { name: "blank", kind: "flag", about: "One colour." },
];

const info: TableInfo = {
  format: 1,
  kind: "scores",
  sources: [{ name: "photos", source: "photos/", samples: 4 }],
  clipwright: "0.1.0",
  command: "clipwright curate score photos/ --out scores.parquet",
  made: "2026-01-02T03:04:05.000Z",
  columns,
};

const nasty = `it's "<script>alert(1)</script>", 日本 \u0000\n🙂`;

/** Rows `start` … `end - 1` of a table that is easy to check. */
const rowsOf = (start: number, end: number) => {
  const at = Array.from({ length: end - start }, (_, i) => start + i);
  return {
    source: at.map(() => "photos"),
    key: at.map((i) => (i === 1 ? '../a\'b/"c"' : `k${i}`)),
    caption_index: at.map(() => 0),
    caption: at.map((i) => (i === 1 ? nasty : `caption ${i}`)),
    words: Int32Array.from(at),
    clip_score: at.map((i) => (i % 3 === 0 ? Number.NaN : i / 7)),
    blank: at.map((i) => (i % 4 === 0 ? null : i % 2 === 0)),
  };
};

function tableOf(rows: number, folder = scratchFolder()): string {
  const path = join(folder, "scores.parquet");
  const writer = new TableWriter(path, info, { partRows: 10 });
  for (let at = 0; at < rows; at += 7) writer.append(rowsOf(at, Math.min(rows, at + 7)));
  writer.finish();
  return path;
}

/** Runs with a temporary folder of its own: other processes use the machine's. */
async function withTemporaryFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = scratchFolder();
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  try {
    await body(folder);
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}

suite("TableWriter", () => {
  test("writes what DuckDB reads back: texts with every letter, NaN as NULL, what made it", async () => {
    const path = tableOf(50);
    await using database = await openTables({ tables: { scores: path } });
    assert.deepEqual(database.infos.scores, info);
    const rows = await database.rows("SELECT * FROM scores ORDER BY row");
    assert.equal(rows.length, 50);
    assert.deepEqual(rows[1], {
      source: "photos",
      key: '../a\'b/"c"',
      caption_index: 0,
      uid: null,
      caption: nasty,
      label: null,
      words: 1,
      clip_score: 1 / 7,
      blank: false,
      row: 1,
    });
    assert.equal(rows[3]!.clip_score, null);
    assert.deepEqual(
      (await database.columns("scores")).slice(-3).map(({ type }) => type),
      ["INTEGER", "DOUBLE", "BOOLEAN"],
    );
    const [sums] = await database.rows("SELECT sum(words) AS w, count(clip_score) AS c FROM scores");
    assert.deepEqual(sums, { w: (49 * 50) / 2, c: 33 });
  });

  test("what hyparquet reads is the same, row group by row group", async () => {
    const parquet = await openParquet(tableOf(25));
    const sizes = parquet.metadata.row_groups.map(({ num_rows }) => Number(num_rows));
    assert.deepEqual(sizes, [14, 11]);
    const { words, key } = await readColumns(parquet, {
      rowStart: 14,
      rowEnd: 25,
      columns: ["words", "key"],
    });
    assert.deepEqual([...Array.from(words!)], [14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
    assert.equal(key![0], "k14");
  });

  test("killed between parts, it goes on; the table is the one that is written at once", () => {
    const folder = scratchFolder();
    const path = join(folder, "scores.parquet");
    const killed = new TableWriter(path, info, { partRows: 10 });
    killed.append(rowsOf(0, 12));
    killed.append(rowsOf(12, 15));
    // A part that was being written, and one that does not follow.
    writeFileSync(join(`${path}.parts`, "000000000012-000000000020.parquet.tmp"), "half");
    writeFileSync(join(`${path}.parts`, "000000000040-000000000050.parquet"), "stray");
    const again = new TableWriter(path, { ...info, made: "later", command: "another" }, { partRows: 10 });
    assert.equal(again.rows, 12);
    again.append(rowsOf(12, 30));
    again.finish();
    const once = new TableWriter(join(folder, "once.parquet"), {
      ...info,
      made: "later",
      command: "another",
    });
    once.append(rowsOf(0, 12));
    once.flush();
    once.append(rowsOf(12, 30));
    once.finish();
    assert(readFileSync(path).equals(readFileSync(join(folder, "once.parquet"))));
    assert.deepEqual(readdirSync(folder), ["once.parquet", "scores.parquet"]);
  });

  test("parts of another table are refused", () => {
    const path = join(scratchFolder(), "scores.parquet");
    new TableWriter(path, info, { partRows: 1, plan: { k: 1 } }).append(rowsOf(0, 3));
    assert.throws(
      () => new TableWriter(path, info, { plan: { k: 2 } }),
      /parts of another table.*Remove that folder/,
    );
  });

  test("a table without rows has its columns", async () => {
    const path = tableOf(0);
    const { rows, columns: found } = await summarizeTable(path);
    assert.equal(rows, 0);
    assert.deepEqual(
      found.map(({ name, known }) => [name, known]),
      columns.map(({ name }) => [name, 0]),
    );
  });

  test("cells of a wrong kind and unknown columns are faults of ours", () => {
    const path = join(scratchFolder(), "t.parquet");
    const writer = new TableWriter(path, info);
    assert.throws(() => writer.append({ wurds: [1] }), /has no column wurds/);
    assert.throws(() => writer.append({ words: [1], key: [] }), /columns of a batch have 1, 0 rows/);
    writer.append({ words: [1.5] });
    assert.throws(() => writer.flush(), /column words holds a count; got 1.5/);
  });
});

suite("openTables", () => {
  const ask = async (where: string) => {
    await using database = await openTables({ tables: { scores: tableOf(20) } });
    const condition = await database.condition("scores", where);
    const [row] = await database.rows(`SELECT count(*) AS n FROM scores WHERE ${condition}`);
    return row!.n;
  };

  test("a condition reads columns", async () => {
    assert.equal(await ask("words >= 5 AND key <> 'k7'"), 14);
    assert.equal(await ask("words < 5 -- a remark"), 5);
    assert.equal(await ask("caption = '); DROP VIEW scores; --'"), 0);
  });

  for (const [what, where, says] of [
    ["a file", "(SELECT count(*) FROM read_text('/etc/hostname')) > 0", /Cannot access file/],
    ["a folder", "(SELECT count(*) FROM glob('/etc/*')) > 0", /disabled|Cannot access/],
    ["a second statement", "true; COPY scores TO 'stolen.csv'", /Only SELECT|more than one/],
    ["a way out of its brackets", "true) OR (true", /syntax error/],
    ["a question of its own", "true FROM scores", /more than one expression/],
    ["all columns", "*", /more than one expression/],
    ["an unknown column", "wurds > 3", /"wurds" not found/],
    ["nothing", "", /must be a condition/],
    ["no SQL", "words >", /syntax error/],
  ] as const) {
    test(`a condition cannot be ${what}`, async () => {
      await assert.rejects(ask(where), (error: Error) => {
        assert.equal(error.name, "UsageError");
        assert.match(error.message, /^where: must be a condition/);
        assert.match(error.message, says);
        return true;
      });
    });
  }

  test("writes only what it was opened for; settings are locked; nothing is left in the temporary folder", async () => {
    const folder = scratchFolder();
    const path = tableOf(20, folder);
    const out = join(folder, "it's.parquet");
    await withTemporaryFolder(async (temporary) => {
      {
        await using database = await openTables({ tables: { scores: path }, writes: [out], threads: 1 });
        assert.equal(readdirSync(temporary).length, 1);
        await database.write("SELECT key, words FROM scores ORDER BY row", out, info);
        await assert.rejects(database.write("SELECT 1", join(folder, "other.parquet"), info));
        await assert.rejects(database.run("SET threads = 7"), /locked/);
      }
      const summary = await summarizeTable(out);
      assert.deepEqual(summary.info, info);
      assert.equal(summary.rows, 20);
      assert.deepEqual(readdirSync(temporary), []);
    });
  });

  test("what a killed process laid down is removed after a day", async () => {
    const path = tableOf(3);
    await withTemporaryFolder(async (temporary) => {
      const [old, young] = ["old", "young"].map((name) =>
        mkdtempSync(join(temporary, `clipwright-tables-${name}-`)),
      );
      writeFileSync(join(old!, "spilled"), "x");
      const past = Date.now() / 1000 - 90_000;
      for (const each of [join(old!, "spilled"), old!]) utimesSync(each, past, past);
      await summarizeTable(path);
      assert.deepEqual(readdirSync(temporary), [basename(young!)]);
    });
  });

  test("what is no table is refused by name", async () => {
    const path = join(scratchFolder(), "scores.parquet");
    await assert.rejects(
      openTables({ tables: { scores: path } }),
      /cannot read .*scores.parquet: no such file/,
    );
    writeFileSync(path, "PAR1 no table PAR1");
    await assert.rejects(openTables({ tables: { scores: path } }), /is not a whole Parquet file/);
  });

  test("too little memory is told in one line", async () => {
    await assert.rejects(async () => {
      await using database = await openTables({
        tables: { scores: tableOf(3) },
        memoryLimitBytes: 2 ** 24,
      });
      await database.rows("SELECT list(i) AS all FROM range(50000000) AS t(i)");
    }, /table: there is too little memory/);
  });
});

suite("clipwright curate", () => {
  const run = (...words: string[]) => runWords(commands, words);

  test("lists its commands, and names one that is misspelt", async () => {
    const alone = await run("curate");
    assert.equal(alone.code, 2);
    assert.match(alone.err, /clipwright curate COMMAND/);
    assert.match(alone.err, /curate show/);
    const help = await run("curate", "--help");
    assert.equal(help.code, 0);
    assert.equal(help.out, alone.err);
    const wrong = await run("curate", "shwo");
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /curate shwo: no such command.*Did you mean "curate show"\?/);
  });

  test("help of one, in both orders", async () => {
    const page = await run("curate", "show", "--help");
    assert.match(page.out, /Usage {2}clipwright curate show TABLE/);
    assert.equal((await run("help", "curate", "show")).out, page.out);
  });

  test("show tells columns, what made them, and hides commands of captions from the terminal", async () => {
    const path = tableOf(20);
    const { code, out } = await run("curate", "show", path, "--where", "words > 3");
    assert.equal(code, 0);
    assert.match(out, /16 rows/);
    assert.match(out, /scores, made 2026-01-02T03:04:05.000Z by Clipwright 0.1.0 of photos\/ \(4 images\)/);
    assert.match(out, /clip_score +DOUBLE +68.8 % .*Cosine. \(higher is better\)/);
    const json = JSON.parse((await run("curate", "show", path, "--json")).out);
    assert.deepEqual(json.columns.find(({ name }: { name: string }) => name === "words").quantiles[4], 19);
    const none = await run("curate", "show", path, "--where", "clip_score IS NULL");
    assert.match(none.out, /clip_score +DOUBLE +0.0 % +– +Cosine/);
  });
});
