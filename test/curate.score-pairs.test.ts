/** Scoring data sets into tables: of every kind, killed, appended to, by several processes. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { commands } from "../src/cli/commands.js";
import { chooseFamilies } from "../src/curate/scores/index.js";
import { type ScorePairsOptions, scorePairs } from "../src/curate/scores/run/score-pairs.js";
import { openTables, type SqlRow } from "../src/curate/tables/database.js";
import { describeTable } from "../src/curate/tables/info.js";
import { TableWriter } from "../src/curate/tables/writer.js";
import { pairUid } from "../src/data/columns/uids.js";
import { openDataset } from "../src/data/index.js";
import { pairColumns } from "../src/data/selections/form.js";
import { picture, pngOf, put, scratchFolder, tarOf } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";

const folder = scratchFolder();
const photos = join(folder, "photos");
for (let i = 0; i < 6; i++) {
  put(photos, `${i}.png`, await pngOf(i, 60, 48));
  put(
    photos,
    `${i}.txt`,
    i === 2 ? "IMG_0042.jpg" : `a picture with the number ${i}\nthe same in other words`,
  );
}
put(photos, "6.png", await pngOf(1, 60, 48));
put(photos, "6.txt", "the first again");
put(photos, "7.jpg", await picture(3, 60, 48).jpeg({ quality: 80 }).toBuffer());
put(photos, "7.txt", "der dritte, noch einmal als JPEG gespeichert");
put(photos, "8.png", (await pngOf(1)).subarray(0, 90));
put(photos, "8.txt", "cut short");
put(photos, "9.png", "no picture at all");
put(photos, "9.txt", "a text by name");

async function rowsOf(path: string, columns: string): Promise<SqlRow[]> {
  await using database = await openTables({ tables: { scores: path } });
  return await database.rows(`SELECT ${columns} FROM scores ORDER BY row`);
}

let tables = 0;
async function score(source: string | string[], options: Partial<ScorePairsOptions> = {}) {
  const dataset = await openDataset(source, { captionsOptional: true });
  const out = join(folder, `${tables++}.parquet`);
  return scorePairs(dataset, { out, workers: 1, ...options });
}

/** A table's bytes without the time at which it was made. */
function bytesOf(path: string): string {
  const text = readFileSync(path, "latin1");
  return text.replace(/"made":"[^"]*"/g, '"made":""');
}

describe("scorePairs", () => {
  test("scores captions and pictures; a broken picture is a row with the reason", async () => {
    const { path, rows, added, faults } = await score(photos);
    assert.deepEqual(
      [rows, added, faults],
      [15, 15, { broken: 2, is_file_name: 1, is_blurry_issue: 3, is_duplicate: 2 }],
    );
    const found = await rowsOf(
      path,
      "key, caption_index, words, language, is_file_name, caption_count, width, format, duplicate_group, duplicate_count, duplicate_kind, broken, length(uid) AS uid",
    );
    assert.deepEqual(
      found.map(Object.values).map((values) => values.join(" ")),
      [
        "0 0 6 en false 1 60 png 0 1   32",
        "0 1 5 en false 5 60 png 0 1   32",
        "1 0 6 en false 1 60 png 2 2 bytes  32",
        "1 1 5 en false 5 60 png 2 2 bytes  32",
        "2 0 1  true 1 60 png 4 1   32",
        "3 0 6 en false 1 60 png 5 2 near  32",
        "3 1 5 en false 5 60 png 5 2 near  32",
        "4 0 6 en false 1 60 png 7 1   32",
        "4 1 5 en false 5 60 png 7 1   32",
        "5 0 6 en false 1 60 png 9 1   32",
        "5 1 5 en false 5 60 png 9 1   32",
        "6 0 3 en false 1 60 png 2 2 bytes  32",
        "7 0 7 de false 1 60 jpeg 5 2 near  32",
        "8 0 2 en false 1   13 1  cannot be decoded 32",
        "9 0 4 en false 1   14 1  cannot be decoded (no format known by its first bytes) 32",
      ],
    );
    const png = readFileSync(join(photos, "0.png"));
    assert.deepEqual(
      (await rowsOf(path, "uid, caption")).slice(0, 2).map(({ uid }) => uid),
      ["a picture with the number 0", "the same in other words"].map((caption) => pairUid(png, caption)),
    );
    assert(!existsSync(`${path}.scoring`));
  });

  test("reads no picture where only captions are scored", async () => {
    const { path } = await score(photos, { scores: ["words", "caption_count"] });
    const [row] = await rowsOf(path, "*");
    assert.equal(row!.uid, null);
    assert.equal("phash" in row!, false);
  });

  test("takes class folders, tables, tars, and pictures without captions", async () => {
    put(folder, "classes/cat/a.png", await pngOf(1));
    put(folder, "classes/dog/b.png", await pngOf(2));
    const classes = await score(join(folder, "classes"));
    assert.deepEqual(await rowsOf(classes.path, "label, format"), [
      { label: "cat", format: "png" },
      { label: "dog", format: "png" },
    ]);

    put(folder, "pairs.csv", "filepath,caption\nphotos/0.png,one\nphotos/1.png,two\n");
    const csv = await score(join(folder, "pairs.csv"));
    assert.deepEqual(await rowsOf(csv.path, "caption, words, width AS w"), [
      { caption: "one", words: 1, w: 60 },
      { caption: "two", words: 1, w: 60 },
    ]);

    put(
      folder,
      "s.tar",
      tarOf([
        ["x.png", await pngOf(1)],
        ["x.txt", "in a tar"],
      ]),
    );
    const tar = await score([join(folder, "s.tar"), join(folder, "pairs.csv")]);
    assert.deepEqual(await rowsOf(tar.path, "source, key"), [
      { source: "s", key: "x" },
      { source: "pairs", key: "photos/0.png" },
      { source: "pairs", key: "photos/1.png" },
    ]);

    put(folder, "bare/p.png", await pngOf(4));
    const bare = await score(join(folder, "bare"));
    assert.deepEqual(await rowsOf(bare.path, "caption, words, language, caption_count, format"), [
      { caption: null, words: null, language: null, caption_count: null, format: "png" },
    ]);
  });

  test("adds the pairs that a table lacks, and counts over all of them anew", async () => {
    const growing = join(folder, "growing");
    const copy = (i: number): void => {
      for (const ending of ["png", "txt"])
        put(growing, `${i}.${ending}`, readFileSync(join(photos, `${i}.${ending}`)));
    };
    for (const i of [0, 1, 4]) copy(i);
    const { path } = await score(growing);
    for (const i of [3, 6]) copy(i);
    put(growing, "4.txt", "another caption\nthe same in other words");
    const again = await score(growing, { out: path });
    assert.deepEqual([again.rows, again.added], [9, 5]);
    const rows = await rowsOf(path, "key, caption_index AS c, caption_count AS n, duplicate_count AS d");
    // Those that were there come first, but for those of the picture that changed.
    assert.deepEqual(
      rows.map(({ key, c, n, d }) => `${key} ${c} ${n} ${d}`),
      ["0 0 1 1", "0 1 4 1", "1 0 1 2", "1 1 4 2", "3 0 1 1", "3 1 4 1", "4 0 1 1", "4 1 4 1", "6 0 1 2"],
    );
    const third = await score(growing, { out: path });
    assert.deepEqual([third.rows, third.added, third.columns], [9, 0, []]);
  });

  test("adds columns to a table, and leaves those that it has", async () => {
    const { path } = await score(photos, { scores: ["words"] });
    const more = await score(photos, { out: path, scores: ["quality", "duplicates"] });
    assert.deepEqual([more.rows, more.added], [15, 0]);
    const all = await score(photos, { scores: ["words", "quality", "duplicates"] });
    const columns = "key, caption_index, caption, words, blurry_score, is_dark_issue, duplicate_group, phash";
    assert.deepEqual(await rowsOf(path, columns), await rowsOf(all.path, columns));
  });

  test("leaves what needs a model NULL for new pairs, unless it is asked for", async () => {
    const out = join(folder, "with-model.parquet");
    const columns = ["words", "clip"].flatMap((name) => chooseFamilies([name])[0]!.columns);
    const info = describeTable("scores", [...pairColumns, ...columns], {
      dataset: await openDataset(photos),
    });
    const writer = new TableWriter(out, info);
    const known = { source: ["elsewhere"], key: ["k"], caption_index: [0], caption: ["kept"] };
    writer.append({ ...known, words: [1], clip_score: [0.25] });
    writer.finish();
    const notes: string[] = [];
    const { rows } = await score(photos, { out, onNote: (line) => notes.push(line) });
    assert.equal(rows, 16);
    assert.match(notes.join(), /^clip: left NULL for new pairs/);
    assert.deepEqual((await rowsOf(out, "key, words, clip_score AS s")).slice(0, 2), [
      { key: "k", words: 1, s: 0.25 },
      { key: "0", words: 6, s: null },
    ]);
    const again = await score(photos, { out, scores: ["words"], onNote: (line) => notes.push(line) });
    assert.equal(again.added, 0);
    assert.match(notes.at(-1)!, /has these scores of all pairs already/);
  });

  test("takes over the scores that tables, tars and JSON bring, without being asked", async () => {
    const uid = "0123456789abcdef0123456789abcdef";
    put(
      folder,
      "given.csv",
      "filepath,caption,clip_b32_similarity_score\nphotos/0.png,one,0.31\nphotos/1.png,two,\n",
    );
    const csv = await score(join(folder, "given.csv"));
    assert.deepEqual(await rowsOf(csv.path, "clip_b32_similarity_score AS s"), [{ s: 0.31 }, { s: null }]);

    const json = (numbers: object): string => JSON.stringify({ caption: "in a tar", uid, ...numbers });
    const members: [string, string | Buffer][] = [];
    for (const [i, numbers] of [
      { original_width: 640, original_height: "480" },
      { similarity: 0.28 },
    ].entries())
      members.push([`${i}.png`, await pngOf(i)], [`${i}.json`, json(numbers)]);
    put(folder, "given.tar", tarOf(members));
    const tar = await score(join(folder, "given.tar"), { scores: ["given"] });
    const columns = "uid, original_width AS w, original_height AS h, similarity AS s";
    assert.deepEqual(await rowsOf(tar.path, columns), [
      { uid, w: 640, h: 480, s: null },
      { uid, w: null, h: null, s: 0.28 },
    ]);
    const asked = await score(join(folder, "given.csv"), { scores: ["words"] });
    assert.deepEqual(asked.columns.includes("clip_b32_similarity_score"), false);
    await assert.rejects(score(photos, { scores: ["given"] }), /needs data that bring scores of their own/);
  });

  test("gives the same table by several processes", async () => {
    const alone = await score(photos);
    const out = join(folder, "together.parquet");
    const parts = [0, 1, 2].map((index) => score(photos, { out, processes: { index, count: 3 } }));
    await Promise.all(parts);
    assert.deepEqual(await rowsOf(out, "*"), await rowsOf(alone.path, "*"));
  });

  test("refuses a file that is no table of its own, half a table of other settings, names of no score", async () => {
    const taken = join(folder, "taken.parquet");
    writeFileSync(taken, "something else");
    const wrong = /out must be a new file, or a table of scores that Clipwright made; got .*/;
    for (const out of [taken, photos, `${folder}/new/`]) await assert.rejects(score(photos, { out }), wrong);
    assert.equal(readFileSync(taken, "utf8"), "something else");
    const out = join(folder, "half.parquet");
    await assert.rejects(
      score(photos, {
        out,
        partRows: 1,
        onProgress({ done }) {
          if (done > 4) throw new Error("stopped");
        },
      }),
      /stopped/,
    );
    await assert.rejects(
      score(photos, { out, scores: ["words"] }),
      /half\.parquet\.scoring holds half a table of other/,
    );
    await assert.rejects(score(photos, { scores: ["blury_score"] }), /Did you mean "blurry_score"/);
    await assert.rejects(score(photos, { scores: ["tokens"] }), /tokens needs a tokenizer/);
  });

  test("killed again and again it goes on to the same bytes", async () => {
    const whole = await score(photos, { partRows: 2 });
    const out = join(folder, "killed.parquet");
    const script = `
      const { openDataset } = await import(${JSON.stringify(new URL("../src/data/index.js", import.meta.url).href)});
      const { scorePairs } = await import(${JSON.stringify(new URL("../src/curate/scores/run/score-pairs.js", import.meta.url).href)});
      const kill = Number(process.argv[1]);
      let told = 0;
      const die = () => { if (told++ === kill) process.kill(process.pid, "SIGKILL"); };
      const dataset = await openDataset(${JSON.stringify(photos)});
      await scorePairs(dataset, { out: ${JSON.stringify(out)}, workers: 1, partRows: 2, onProgress: die });
    `;
    const codes: (string | number | null)[] = [];
    for (let kill = 0; kill < 5 && !existsSync(out); kill++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script, String(kill)], {
        stdio: "inherit",
      });
      codes.push(await new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal ?? code))));
    }
    if (!existsSync(out)) await score(photos, { out, partRows: 2 });
    assert(codes.filter((code) => code === "SIGKILL").length >= 2, codes.join());
    assert.equal(bytesOf(out), bytesOf(whole.path));
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith("killed.")),
      ["killed.parquet"],
    );
  });
});

describe("clipwright curate score", () => {
  test("tells families, writes the table, says what it did", async () => {
    const list = await runWords(commands, ["curate", "score", "--list", "--json"]);
    assert((JSON.parse(list.out) as { name: string }[]).some(({ name }) => name === "quality"));
    const out = join(folder, "cli.parquet");
    const words = ["curate", "score", photos, "--out", out, "--scores", "words,quality", "--workers", "1"];
    const first = await runWords(commands, words);
    assert.deepEqual(
      [first.code, first.out],
      [0, `${out}: 15 pairs, 15 of them new, 20 columns new\nFaults, by rows:\n   3  is_blurry_issue\n`],
    );
    const again = await runWords(commands, [...words, "--json"]);
    assert.deepEqual(JSON.parse(again.out), {
      ...{ path: out, rows: 15, added: 0, columns: [] },
      faults: { is_blurry_issue: 3 },
    });
    const shown = await runWords(commands, ["curate", "show", out]);
    assert.match(
      shown.out,
      /clipwright curate score .*photos --out .*cli\.parquet --scores words --scores quality/,
    );
  });

  test("needs a source", async () => {
    const { code, err } = await runWords(commands, ["curate", "score"]);
    assert.equal(code, 1);
    assert.match(err, /needs a SOURCE/);
  });
});
