import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { curateCommands } from "../src/cli/commands/curate/index.js";
import { fromArgilla, toArgilla } from "../src/curate/review/exchange/argilla.js";
import { importVerdicts } from "../src/curate/review/exchange/import.js";
import {
  fromLabelStudio,
  labelStudioConfig,
  toLabelStudio,
} from "../src/curate/review/exchange/label-studio.js";
import { ReviewLog, readReviewLog } from "../src/curate/review/log/log.js";
import { Standing } from "../src/curate/review/log/standing.js";
import { makeVerdict, type Verdict } from "../src/curate/review/log/verdict.js";
import { openReviewSet, tellTables } from "../src/curate/review/open.js";
import { isFault, outcomeOf } from "../src/curate/review/outcome.js";
import { copyGroups } from "../src/curate/review/set.js";
import { openTables } from "../src/curate/tables/database.js";
import { describeTable } from "../src/curate/tables/info.js";
import { TableWriter } from "../src/curate/tables/writer.js";
import { openDataset } from "../src/data/index.js";
import { pairColumns, selectionColumns, type TableColumn } from "../src/data/selections/form.js";
import { selectFrom } from "../src/data/selections/select.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { sampleSession, sampleSet } from "./support/review-set.js";

const set = sampleSet({ items: 12, keep: (i) => i >= 4, group: (i) => (i >= 8 ? 1 : undefined) });

const said = (
  reviewer: string,
  item: number,
  answer: Verdict["answer"],
  more: Partial<Verdict> = {},
): Verdict =>
  makeVerdict({ item: set.items[item]!.id, question: "pair", answer, reviewer, tool: "test", ...more });

const copies = (reviewer: string, a: number, b: number, answer: Verdict["answer"]): Verdict =>
  said(reviewer, a, answer, { question: "duplicate", other: set.items[b]!.id });

suite("outcomeOf", () => {
  test("people's word stands, level votes and silence leave the selection's", () => {
    const { decisions, counts, method } = outcomeOf(
      set,
      new Standing([
        said("Ada", 0, "keep"),
        said("Ada", 5, "drop"),
        said("Ada", 6, "drop"),
        said("Ben", 6, "keep"),
        said("Ada", 7, "keep", { correctedCaption: "better", correctedLabel: "dog" }),
        said("Ben", 7, "keep", { correctedCaption: "better", correctedLabel: "dog" }),
        said("Cem", 7, "keep", { correctedCaption: "best" }),
      ]),
    );
    assert.equal(method, "majority");
    assert.deepEqual(counts, { reviewed: 3, dropped: 1, restored: 1, corrected: 1, undecided: 1 });
    const shown = [0, 1, 5, 6, 7].map((i) => {
      const { keep, reason, correctedCaption, correctedLabel, reviewed } = decisions[i]!;
      return [keep, reason, correctedCaption, correctedLabel, reviewed];
    });
    assert.deepEqual(shown, [
      [true, undefined, undefined, undefined, true],
      [false, "lowest clip_score", undefined, undefined, false],
      [false, "review", undefined, undefined, true],
      [true, undefined, undefined, undefined, false],
      [true, undefined, "better", "dog", true],
    ]);
  });

  test("of copies that are the same the first stays, and what was dropped as a copy comes back when it is none", () => {
    const items = set.items.map((item, i) =>
      i === 10 ? { ...item, keep: false, reason: "duplicates" } : item,
    );
    const verdicts = [
      copies("Ada", 8, 9, "same"),
      copies("Ada", 8, 10, "different"),
      copies("Ada", 8, 11, "different"),
    ];
    const { decisions } = outcomeOf({ items }, new Standing(verdicts));
    assert.deepEqual(
      decisions.slice(8).map(({ keep, reason }) => [keep, reason]),
      [
        [true, undefined],
        [false, "review: duplicate"],
        [true, undefined],
        [true, undefined],
      ],
    );
  });

  test("copies are pictures: captions of one are no copies of each other, and go with it", () => {
    // Two captions each of pictures 0, 1 and 2; 0 and 2 look alike.
    const items = set.items.slice(0, 6).map((item, i) => {
      const { group: _, ...rest } = item;
      const row = i >> 1;
      return {
        ...rest,
        id: { ...item.id, key: `${row}.png`, captionIndex: i % 2 },
        row,
        keep: true,
        group: row === 1 ? 7 : 3,
      };
    });
    assert.deepEqual(copyGroups(items), [[0, 4]]);
    const verdict = makeVerdict({
      item: items[0]!.id,
      other: items[4]!.id,
      question: "duplicate",
      answer: "same",
      reviewer: "Ada",
      tool: "test",
    });
    const { decisions } = outcomeOf({ items }, new Standing([verdict]));
    assert.deepEqual(
      decisions.map(({ keep }) => keep),
      [true, true, true, true, false, false],
    );
  });

  test("a fault is what people see otherwise than the selection", () => {
    const opinions = (...verdicts: Verdict[]) =>
      new Map(verdicts.map((verdict) => [verdict.reviewer, verdict]));
    const [kept, dropped] = [{ keep: true }, { keep: false }];
    assert.ok(isFault(kept, opinions(said("Ada", 5, "drop"))));
    assert.ok(isFault(kept, opinions(said("Ada", 5, "keep", { correctedCaption: "x" }))));
    assert.ok(isFault(kept, opinions(said("Ada", 5, "keep"), said("Ben", 5, "drop"))));
    assert.ok(!isFault(kept, opinions(said("Ada", 5, "keep"))));
    assert.ok(isFault(dropped, opinions(said("Ada", 5, "keep"))));
    assert.ok(!isFault(dropped, opinions(said("Ada", 5, "drop"))));
    assert.ok(!isFault(kept, opinions()));
  });
});

suite("other programs' files", () => {
  const verdicts = [
    said("Ada", 0, "keep"),
    said("ben@example.org", 0, "drop"),
    said("Ada", 3, "keep", { correctedCaption: 'a "better" <caption>', correctedLabel: "dog" }),
    said("Çem ☂", 4, "drop"),
  ];
  const standing = new Standing(verdicts);
  /** What matters of a verdict, in an order of its own. */
  const gist = (list: readonly Verdict[]) =>
    list
      .map(({ item, reviewer, answer, correctedCaption, correctedLabel }) =>
        JSON.stringify([item, reviewer, answer, correctedCaption, correctedLabel]),
      )
      .sort();

  test("Label Studio: what is written reads back, times and ids too, and again from what it exports", () => {
    const tasks = JSON.parse(JSON.stringify(toLabelStudio(set, standing))) as ReturnType<
      typeof toLabelStudio
    >;
    assert.equal(tasks.length, 12);
    assert.deepEqual(tasks[3]!.data, {
      image: "/data/local-files/?d=3.png",
      caption: "caption 3",
      keep: false,
      reason: "lowest clip_score",
      clipwright: { source: "photos", key: "3.png", caption_index: 0 },
      scores: { clip_score: 0.25, blur: set.scores[1]!.values[3] },
    });
    const back = fromLabelStudio("tasks.json", tasks);
    assert.deepEqual(gist(back), gist(verdicts));
    assert.deepEqual(
      new Map(back.map(({ id, time }) => [id, time])),
      new Map(verdicts.map(({ id, time }) => [id, time])),
    );
    // As it comes out of Label Studio after somebody with an account there has judged.
    const task = {
      id: 7,
      data: tasks[5]!.data,
      annotations: [
        {
          id: 1001,
          completed_by: 3,
          created_at: "2026-03-09T21:52:49.513742Z",
          was_cancelled: false,
          lead_time: 4.2,
          result: [
            {
              id: "Dx_aB91ISN",
              from_name: "verdict",
              to_name: "image",
              type: "choices",
              origin: "manual",
              value: { choices: ["keep"] },
            },
            {
              id: "Dx_aB91ISM",
              from_name: "corrected_caption",
              to_name: "image",
              type: "textarea",
              value: { text: ["new"] },
            },
          ],
        },
        { id: 1002, completed_by: { id: 4, email: "eve@example.org" }, was_cancelled: true, result: [] },
      ],
      predictions: [],
    };
    const [only, ...none] = fromLabelStudio("tasks.json", [task]);
    assert.deepEqual(none, []);
    assert.deepEqual(
      [only!.item.key, only!.reviewer, only!.answer, only!.correctedCaption, only!.time],
      ["5.png", "label-studio 3", "keep", "new", "2026-03-09T21:52:49.513Z"],
    );
    assert.throws(
      () => fromLabelStudio("tasks.json", [{ data: { image: "x" } }]),
      /import tasks\.json: record 1 must be a task/,
    );
    assert.match(
      labelStudioConfig(sampleSet({ classes: ['a "b" & <c>'] })),
      /<Choice value="a &#34;b&#34; &#38; &#60;c&#62;"\/>/,
    );
  });

  test("Argilla: what is written reads back but the times, and again with users of its own", () => {
    const records = JSON.parse(JSON.stringify(toArgilla(set, standing))) as ReturnType<typeof toArgilla>;
    assert.deepEqual(Object.keys(records[0]!), [
      "id",
      "fields",
      "metadata",
      "suggestions",
      "responses",
      "vectors",
      "_server_id",
    ]);
    assert.deepEqual(records[0]!.suggestions, {
      verdict: { value: "drop", score: null, agent: "clipwright" },
    });
    const users = Object.values(records[0]!.responses as Record<string, { user_id: string }[]>).flat();
    for (const { user_id } of users) assert.match(user_id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.deepEqual(gist(fromArgilla("records.json", records)), gist(verdicts));
    const user_id = "0f7f54c6-1111-4222-8333-444455556666";
    const other = { ...records[5]!, responses: { verdict: [{ value: "drop", user_id }] } };
    const [only] = fromArgilla("records.json", [other]);
    assert.deepEqual([only!.reviewer, only!.answer, only!.item.key], [`argilla ${user_id}`, "drop", "5.png"]);
  });

  test("imported twice, it is there once; what is none is refused", () => {
    const folder = scratchFolder();
    const write = (name: string, value: unknown) => put(folder, name, JSON.stringify(value));
    using log = new ReviewLog(join(folder, "log.jsonl"));
    const tasks = write("tasks.json", toLabelStudio(set, standing));
    assert.deepEqual(importVerdicts(tasks, log), { from: "Label Studio", verdicts: 4, added: 4 });
    using again = new ReviewLog(join(folder, "log.jsonl"));
    assert.deepEqual(importVerdicts(tasks, again), { from: "Label Studio", verdicts: 4, added: 0 });
    const records = write("records.json", toArgilla(set, standing));
    using first = new ReviewLog(join(folder, "argilla.jsonl"));
    assert.equal(importVerdicts(records, first).added, 4);
    using second = new ReviewLog(join(folder, "argilla.jsonl"));
    assert.equal(importVerdicts(records, second).added, 0);
    using merged = new ReviewLog(join(folder, "merged.jsonl"));
    assert.deepEqual(importVerdicts(join(folder, "log.jsonl"), merged), {
      from: "a log",
      verdicts: 4,
      added: 4,
    });
    assert.throws(
      () => importVerdicts(write("odd.json", [{ x: 1 }]), log),
      /must be a list of Label Studio's tasks/,
    );
  });
});

/** A folder of pictures with two captions each, scores of all and a selection. */
async function tablesIn(folder: string) {
  for (let i = 0; i < 6; i++) {
    put(folder, `pairs/${i}.png`, await pngOf(i));
    put(folder, `pairs/${i}.txt`, `thing ${i}\nanother ${i}`);
  }
  const source = join(folder, "pairs");
  const dataset = await openDataset(source);
  const name = dataset.sources[0]!.name;
  const rows = Array.from({ length: 12 }, (_, r) => ({ i: r >> 1, c: r % 2 }));
  const identity = {
    source: rows.map(() => name),
    key: rows.map(({ i }) => dataset.sample(i).key),
    caption_index: rows.map(({ c }) => c),
  };
  const scoreColumns: TableColumn[] = [
    ...pairColumns,
    { name: "clip_score", kind: "number", about: "Cosine.", better: "higher" },
    { name: "duplicate_group", kind: "count", about: "Copies." },
  ];
  const scores = join(folder, "scores.parquet");
  const writer = new TableWriter(scores, describeTable("scores", scoreColumns, { dataset }));
  writer.append({
    ...identity,
    caption: rows.map(({ i, c }) => dataset.sample(i).captions[c]!),
    clip_score: rows.map(({ i, c }) => (i + c) / 10),
    duplicate_group: rows.map(({ i }) => (i < 2 ? 0 : null)),
  });
  writer.finish();
  const selection = join(folder, "selection.parquet");
  const chosen = new TableWriter(selection, describeTable("selection", selectionColumns, { dataset }));
  chosen.append({
    ...identity,
    keep: rows.map(({ i }) => (i === 0 ? null : i >= 2)),
    reason: rows.map(({ i }) => (i >= 2 ? null : "words")),
    weight: rows.map(({ i }) => (i === 5 ? 2 : 1)),
  });
  chosen.finish();
  return { source, dataset, scores, selection };
}

suite("clipwright curate review", () => {
  const run = (...words: string[]) => runWords(curateCommands, ["curate review", ...words]);

  test("opens scores, a selection, or both, in any order", async () => {
    const { dataset, scores, selection } = await tablesIn(scratchFolder());
    assert.deepEqual(await tellTables([scores, selection]), { scores, selection });
    const open = async (...paths: string[]) => (await openReviewSet(await tellTables(paths), dataset)).set;
    const of = await open(selection, scores);
    assert.deepEqual(
      of.scores.map(({ name, better, about }) => [name, better, about]),
      [["clip_score", "higher", "Cosine."]],
    );
    assert.deepEqual(
      of.items
        .slice(2, 5)
        .map(({ row, caption, keep, reason, group, weight }) => [row, caption, keep, reason, group, weight]),
      [
        [1, "thing 1", false, "words", "0", 1],
        [1, "another 1", false, "words", "0", 1],
        [2, "thing 2", true, undefined, undefined, 1],
      ],
    );
    assert.deepEqual([of.selected, (await open(scores)).selected], [true, false]);
    assert.equal((await open(selection)).items[11]!.caption, "another 5");
    const some = await openReviewSet({ scores, selection: undefined }, dataset, {
      where: "clip_score > 0.3",
      limit: 3,
    });
    assert.deepEqual([some.set.items.length, some.rows], [3, 5]);
    await assert.rejects(tellTables([scores, scores]), /both scores\. Name one/);
    const nothing = openReviewSet({ scores, selection: undefined }, dataset, { where: "clip_score > 9" });
    await assert.rejects(nothing, /leaves none/);
    const folder = scratchFolder();
    put(folder, "other/x.png", await pngOf(1));
    put(folder, "other/x.txt", "x");
    const other = await openDataset(join(folder, "other"));
    await assert.rejects(openReviewSet({ scores, selection: undefined }, other), /they have none of its 12/);
  });

  test("--export writes the selection that training takes, --summary tells how people agree", async () => {
    const folder = scratchFolder();
    const { dataset, scores, selection, source } = await tablesIn(folder);
    const { set: open } = await openReviewSet({ selection, scores }, dataset);
    const session = sampleSession(folder, open);
    session.judge("Ada", { item: 0, answer: "keep" });
    session.judge("Ben", { item: 0, answer: "keep" });
    session.judge("Ada", { item: 6, answer: "drop" });
    session.judge("Ben", { item: 6, answer: "keep" });
    session.judge("Cem", { item: 6, answer: "drop" });
    session.judge("Ada", { item: 11, answer: "keep", correctedCaption: "the fifth" });
    const out = join(folder, "reviewed.parquet");
    const log = join(folder, "review.jsonl");
    const {
      code,
      err,
      out: told,
    } = await run(selection, scores, "--train-data", source, "--log", log, "--export", out);
    assert.equal(code, 0, err);
    assert.equal(
      told,
      `${out}: keeps 8 of 12 pairs. People decided 3: 1 dropped, 1 brought back, 1 corrected; on 0 they are level.\n`,
    );
    assert.ok(!existsSync(`${out}.parts`));
    await using database = await openTables({ tables: { out } });
    const rows = await database.rows("SELECT keep, reason, weight, corrected_caption FROM out ORDER BY row");
    assert.deepEqual(
      [0, 1, 6, 11].map((i) => Object.values(rows[i]!)),
      [
        [true, null, 1, null],
        [false, "words", 1, null],
        [false, "review", 1, null],
        [true, null, 2, "the fifth"],
      ],
    );
    assert.match(database.infos.out!.command!, /^clipwright curate review .* --export/);
    const chosen = await selectFrom(dataset, out);
    assert.deepEqual([chosen.pairs, chosen.correctedCaptions], [{ of: 12, kept: 8 }, 1]);

    const summary = await run(selection, scores, "--log", log, "--summary");
    assert.equal(summary.code, 0, summary.err);
    assert.match(summary.out, /^\d of 12 pairs are decided; 1 are in conflict\./);
    assert.match(summary.out, /2 pairs with 5 answers: 50 % of the answers agree; Krippendorff's alpha/);
    assert.match(summary.out, /Conflicts\n {2}.*Ada: drop · Ben: keep · Cem: drop/);
    const { reviewers } = JSON.parse((await run(scores, "--log", log, "--summary", "--json")).out) as {
      reviewers: { name: string; verdicts: number }[];
    };
    assert.deepEqual(
      reviewers.map(({ name, verdicts }) => [name, verdicts]),
      [
        ["Ada", 3],
        ["Ben", 2],
        ["Cem", 1],
      ],
    );
    assert.match((await run(scores, "--log", log, "--export", scores)).err, /export: must be another file/);
  });

  test("goes to Label Studio and comes back", async () => {
    const folder = scratchFolder();
    const { scores } = await tablesIn(folder);
    const tasks = join(folder, "tasks.json");
    assert.equal((await run(scores, "--label-studio", tasks)).code, 0);
    const list = JSON.parse(readFileSync(tasks, "utf8")) as { annotations: unknown[] }[];
    list[2]!.annotations.push({
      completed_by: 1,
      result: [{ from_name: "verdict", value: { choices: ["drop"] } }],
    });
    writeFileSync(tasks, JSON.stringify(list));
    const { out, err } = await run(scores, "--import", tasks);
    assert.match(out, /1 of 1 verdicts from Label Studio are new/, err);
    const { verdicts } = readReviewLog(join(folder, "scores.review.jsonl"));
    assert.deepEqual(
      verdicts.map(({ reviewer, answer }) => [reviewer, answer]),
      [["label-studio 1", "drop"]],
    );
  });

  test("known answers name pairs of the review, or are refused", async () => {
    const folder = scratchFolder();
    const { scores } = await tablesIn(folder);
    const gold = (text: string) => run(scores, "--gold", put(folder, "gold.jsonl", text), "--summary");
    assert.equal((await gold('{"key": "0", "verdict": "keep"}\n')).code, 0);
    assert.match(
      (await gold('{"key": "nowhere", "verdict": "keep"}\n')).err,
      /must name pairs that are reviewed/,
    );
    assert.match((await gold('{"key": "0"}\n')).err, /record 1 must be/);
  });

  test("serves until Ctrl-C and ends with 0", async () => {
    const folder = scratchFolder();
    const { scores } = await tablesIn(folder);
    const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
    const child = spawn(process.execPath, [main, "curate", "review", scores, "--port", "0"]);
    let told = "";
    child.stdout.on("data", (piece) => {
      told += piece;
    });
    while (!/Ctrl-C/.test(told)) await once(child.stdout, "data");
    const [, url] = /(http:\/\/127\.0\.0\.1:\d+\/)/.exec(told)!;
    assert.equal((await fetch(`${url}api/set`)).status, 200);
    child.kill("SIGINT");
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
    assert.match(told, /^12 pairs of pairs to review; verdicts go to .*scores\.review\.jsonl\n/);
  });
});
