import assert from "node:assert/strict";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { commands } from "../src/cli/commands.js";
import { TableWriter } from "../src/curate/tables/writer.js";
import { pairUid, UidIndex, uidOfWords, wordsOfUid } from "../src/data/columns/uids.js";
import type { Dataset } from "../src/data/dataset.js";
import { changeOfData, fingerprintOf, openDataset } from "../src/data/index.js";
import { pairColumns, selectionColumns, type TableColumn } from "../src/data/selections/form.js";
import { type SelectOptions, selectFrom } from "../src/data/selections/select.js";
import { readSubset, writeSubset } from "../src/data/selections/subset-file.js";
import { openRunData } from "../src/train/open/data.js";
import { checkRecipe, type Recipe } from "../src/train/recipe/recipe.js";
import { pngOf, put, scratchFolder, tarMember } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/fixtures/curate/${name}`, import.meta.url));

/** Pictures a, b, c, d; a has two captions, the others one. */
async function photos(folder = join(scratchFolder(), "photos")): Promise<string> {
  for (const [i, name] of ["a", "b", "c", "d"].entries()) {
    put(folder, `${name}.png`, await pngOf(i));
    put(folder, `${name}.txt`, name === "a" ? "first of a\nsecond of a" : `caption of ${name}`);
  }
  return folder;
}

type Row = Readonly<Record<string, string | number | boolean | null>>;

/** A table of these rows. */
function tableOf(
  rows: readonly Row[],
  columns: readonly TableColumn[] = selectionColumns,
  kind: "selection" | "scores" = "selection",
  sources = ["photos"],
): string {
  const path = join(scratchFolder(), "table.parquet");
  const writer = new TableWriter(path, {
    format: 1,
    kind,
    sources: sources.map((name) => ({ name, source: name, samples: 4 })),
    clipwright: "0.1.0",
    made: "2026-01-02T03:04:05.000Z",
    columns,
  });
  const cells = columns.map(({ name }) => [name, rows.map((row) => row[name] ?? null)] as const);
  writer.append(Object.fromEntries(cells));
  writer.finish();
  return path;
}

const row = (key: string, caption_index = 0, more: Row = {}): Row => ({
  source: "photos",
  key,
  caption_index,
  keep: true,
  ...more,
});

const all = [row("a", 0), row("a", 1), row("b"), row("c"), row("d")];

/** What is left, sample by sample. */
const left = ({ length, sample }: Dataset, dataset: Dataset) =>
  Array.from({ length }, (_, i) => sample.call(dataset, i));
const select = async (source: string, rows: readonly Row[], options?: SelectOptions) =>
  selectFrom(await openDataset(source), tableOf(rows), options);

suite("selectFrom: tables", () => {
  test("keeps pairs, single captions of a picture among them, whatever the order of the rows", async () => {
    const source = await photos();
    const rows = [
      row("d"),
      row("a", 1),
      row("a", 0, { keep: false }),
      row("b", 0, { keep: false }),
      row("c"),
    ];
    for (const order of [rows, [...rows].reverse()]) {
      const { dataset, images, pairs, missing, unnamed } = await select(source, order);
      assert.deepEqual(left(dataset, dataset), [
        { key: "a", captions: ["second of a"] },
        { key: "c", captions: ["caption of c"] },
        { key: "d", captions: ["caption of d"] },
      ]);
      assert.deepEqual(
        { images, pairs, missing, unnamed },
        {
          images: { of: 4, kept: 3 },
          pairs: { of: 5, kept: 3 },
          missing: 0,
          unnamed: 0,
        },
      );
      const whole = await openDataset(source);
      assert.deepEqual(await dataset.readBytes(1), await whole.readBytes(2));
    }
  });

  test("weights, corrected captions and labels stand in their places", async () => {
    const { dataset, correctedCaptions, correctedLabels, weighted } = await select(await photos(), [
      row("a", 0, { weight: 0.5 }),
      row("a", 1, { corrected_caption: " better  ", corrected_label: "cat" }),
      row("b", 0, { weight: 2, corrected_label: "dog" }),
      row("c", 0, { keep: null }),
      row("d", 0, { keep: false }),
    ]);
    assert.deepEqual(left(dataset, dataset), [
      { key: "a", captions: ["first of a", "better"], label: "cat", weights: [0.5, 1] },
      { key: "b", captions: ["caption of b"], label: "dog", weights: [2] },
    ]);
    assert.deepEqual([correctedCaptions, correctedLabels, weighted], [1, 2, true]);
  });

  test("a corrected caption gives a picture without captions one", async () => {
    const folder = await photos();
    put(folder, "e.png", await pngOf(9));
    const { dataset } = await select(folder, [row("e", 0, { corrected_caption: "a new one" })]);
    assert.deepEqual(left(dataset, dataset), [{ key: "e", captions: ["a new one"] }]);
  });

  test("what pandas writes: other columns, types and order", async () => {
    const { dataset, unnamed, notes } = await selectFrom(
      await openDataset(await photos()),
      fixture("selection.parquet"),
    );
    assert.deepEqual(left(dataset, dataset), [
      { key: "b", captions: ["a corrected one"], weights: [0.25] },
      { key: "d", captions: ["caption of d"], weights: [1] },
    ]);
    assert.equal(unnamed, 1);
    assert.match(notes.join(), /says nothing of 1 pairs, e.g. of "a": they are left out/);
  });

  test("a column of scores gives the weights, of a table of scores too", async () => {
    const columns: TableColumn[] = [...pairColumns, { name: "trust", kind: "number", about: "Trust." }];
    const rows = all.map((each, i) => ({ ...each, trust: i === 3 ? null : i / 4 }));
    const table = tableOf(rows, columns, "scores");
    const dataset = await openDataset(await photos());
    const { dataset: weighted } = await selectFrom(dataset, table, { weight: "trust" });
    assert.deepEqual(
      left(weighted, weighted).map(({ weights }) => weights),
      [[0, 0.25], [0.5], [1], [1]],
    );
    await assert.rejects(selectFrom(dataset, table), /got a table of scores. Make a selection of it/);
    await assert.rejects(selectFrom(dataset, table, { weight: "trsut" }), /must have the column "trsut"/);
    await assert.rejects(selectFrom(dataset, table, { weight: "caption" }), /must hold numbers/);
  });

  test("pairs that the data lack, and those that are not named, are counted", async () => {
    const { missing, unnamed, notes } = await select(await photos(), [row("b"), row("zebra"), row("a", 7)]);
    assert.deepEqual([missing, unnamed], [2, 4]);
    assert.match(notes.join("\n"), /names 2 pairs that the data lack, e.g. "zebra"/);
    assert.match(notes.join("\n"), /says nothing of 4 pairs, e.g. of "a"/);
    const { notes: ofPart } = await select(await photos(), [row("b"), row("zebra")], { heldOut: 1 });
    assert.match(
      ofPart.join("\n"),
      /names 1 pairs that are of the 1 images held out, or that the data lack, e.g. "zebra"/,
    );
  });

  for (const [what, rows, says] of [
    [
      "names nothing",
      [row("x"), row("y")],
      /got 2 pairs, none of which "photos" has; its sources are "photos"/,
    ],
    ["is empty", [], /got 0 pairs, none of which/],
    [
      "keeps nothing",
      all.map((each) => ({ ...each, keep: false })),
      /keeps nothing of "photos"; got 5 pairs/,
    ],
    ["names a pair twice", [row("b"), row("c"), row("b")], /row 2: names "b" for the second time/],
    [
      "has a weight below 0",
      [row("b", 0, { weight: -1 })],
      /row 0: column weight must hold numbers from 0; got -1/,
    ],
    [
      "contradicts itself",
      [row("a", 0, { corrected_label: "cat" }), row("a", 1, { corrected_label: "dog" })],
      /row 1: has two labels for "a", "cat" and "dog"/,
    ],
  ] as const) {
    test(`one that ${what} is refused, in one line with the file`, async () => {
      await assert.rejects(select(await photos(), rows), (error: Error & { file?: string }) => {
        assert.equal(error.name, "UsageError");
        assert.match(error.message, says);
        assert.match(error.file ?? "", /table.parquet$/);
        return true;
      });
    });
  }

  test("two sources of one name, and keys that both have", async () => {
    const folder = scratchFolder();
    const first = await photos(join(folder, "1", "photos"));
    const second = await photos(join(folder, "2", "photos"));
    const dataset = await openDataset([first, second]);
    const path = tableOf(
      [...all, ...all].map((each, i) => ({ ...each, keep: i === 2 || i === 8 })),
      selectionColumns,
      "selection",
      ["photos", "photos"],
    );
    const { dataset: kept } = await selectFrom(dataset, path);
    assert.deepEqual(
      left(kept, kept).map(({ key }) => key),
      ["b", "c"],
    );
    assert.deepEqual(
      kept.sources.map(({ length }) => length),
      [1, 1],
    );
    assert.deepEqual(await kept.readBytes(1), readFileSync(join(second, "c.png")));
  });

  test("sources are told apart by name; a single one is what it is, whatever it is called", async () => {
    const folder = scratchFolder();
    const first = await photos(join(folder, "one"));
    const second = await photos(join(folder, "two"));
    const rows = [
      { ...row("b"), source: "two" },
      { ...row("c"), source: "one" },
    ];
    const path = tableOf(rows, selectionColumns, "selection", ["one", "two"]);
    const { dataset } = await selectFrom(await openDataset([first, second]), path);
    assert.deepEqual(
      left(dataset, dataset).map(({ key }) => key),
      ["c", "b"],
    );
    await assert.rejects(
      selectFrom(await openDataset(await photos(join(folder, "three"))), path),
      /none of which "three" has; its sources are "two", "one"/,
    );
    const renamed = join(folder, "renamed");
    renameSync(first, renamed);
    const { pairs } = await selectFrom(await openDataset(renamed), tableOf(all));
    assert.equal(pairs.kept, 5);
  });

  test("renamed pictures are known by uid, computed where the data have none", async () => {
    const folder = await photos();
    const bytes = (name: string) => readFileSync(join(folder, `${name}.png`));
    const rows = [
      row("a", 0, { uid: pairUid(bytes("a"), "first of a"), keep: false }),
      row("a", 1, { uid: pairUid(bytes("a"), "second of a") }),
      row("b", 0, { uid: pairUid(bytes("b"), "caption of b") }),
    ];
    for (const name of ["a", "b", "c", "d"])
      for (const ending of ["png", "txt"])
        renameSync(join(folder, `${name}.${ending}`), join(folder, `${name}${name}.${ending}`));
    const told: string[] = [];
    const { dataset } = await select(folder, rows, { onProgress: (line) => told.push(line) });
    assert.deepEqual(left(dataset, dataset), [
      { key: "aa", captions: ["second of a"] },
      { key: "bb", captions: ["caption of b"] },
    ]);
    assert.match(told.join(), /reading 4 images to compute them/);
  });
});

suite("selectFrom: DataComp's subsets", () => {
  const uid = (i: number): string =>
    ((BigInt(i) * 0x9e3779b97f4a7c15f39cc0605cedc834n) % 2n ** 128n).toString(16).padStart(32, "0");

  async function shard(): Promise<string> {
    const folder = scratchFolder();
    const members: Buffer[] = [];
    for (let i = 0; i < 12; i++) {
      members.push(tarMember(`${i}.png`, await pngOf(i)), tarMember(`${i}.txt`, Buffer.from(`caption ${i}`)));
      members.push(tarMember(`${i}.json`, Buffer.from(JSON.stringify({ uid: uid(i), caption: "x" }))));
    }
    return put(folder, "00000000.tar", Buffer.concat([...members, Buffer.alloc(1024)]));
  }

  test("keeps the uids that NumPy wrote, one that stands there twice twice", async () => {
    const whole = await openDataset(await shard());
    assert.equal(whole.sample(3).uid, uid(3));
    const { dataset, images, missing } = await selectFrom(whole, fixture("subset.npy"));
    assert.deepEqual(
      left(dataset, dataset).map(({ key }) => key),
      ["2", "5", "5", "7", "11"],
    );
    assert.deepEqual(images, { of: 12, kept: 5 });
    assert.equal(missing, 0);
  });

  test("our file is NumPy's to the byte after the header, and is read back", async () => {
    const path = join(scratchFolder(), "subset.npy");
    const words = [...readSubset(fixture("subset.npy"))].map((piece) => piece.slice());
    assert.deepEqual(
      Array.from({ length: 5 }, (_, i) => uidOfWords(words[0]!.subarray(4 * i, 4 * i + 4))),
      [7, 2, 5, 5, 11].map(uid).sort(),
    );
    await writeSubset(path, 5, words);
    const ours = readFileSync(path);
    const numpys = readFileSync(fixture("subset.npy"));
    assert(ours.subarray(-80).equals(numpys.subarray(-80)));
    assert.match(
      ours.toString("latin1"),
      /'descr': \[\('f0', '<u8'\), \('f1', '<u8'\)\], 'fortran_order': False, 'shape': \(5,\)/,
    );
  });

  test("uids that are computed, where the data have none", async () => {
    const folder = await photos();
    const words = wordsOfUid(pairUid(readFileSync(join(folder, "c.png")), "caption of c"));
    const path = join(scratchFolder(), "s.npy");
    await writeSubset(path, 1, [words]);
    const { dataset } = await selectFrom(await openDataset(folder), path);
    assert.deepEqual(
      left(dataset, dataset).map(({ key }) => key),
      ["c"],
    );
  });

  test("other arrays, cut files and uids of other data are refused", async () => {
    const whole = await openDataset(await shard());
    const folder = scratchFolder();
    const cut = put(folder, "cut.npy", readFileSync(fixture("subset.npy")).subarray(0, 150));
    await assert.rejects(selectFrom(whole, cut), /subset .*cut.npy: ends before its last uid/);
    const other = join(folder, "other.npy");
    await writeSubset(other, 1, [Uint32Array.of(1, 2, 3, 4)]);
    await assert.rejects(selectFrom(whole, other), /got 1 uids, none of which "00000000" has/);
    const floats = put(
      folder,
      "f.npy",
      readFileSync(other)
        .toString("latin1")
        .replace("[('f0', '<u8'), ('f1', '<u8')]", "'<f4'                         "),
    );
    writeFileSync(floats, Buffer.from(readFileSync(floats, "utf8"), "latin1"));
    await assert.rejects(selectFrom(whole, floats), /must be .npy of uids/);
  });
});

suite("a selection in the data's fingerprint", () => {
  test("is the same for the same decisions, and another for any other", async () => {
    const source = await photos();
    const digest = async (rows: readonly Row[]) => (await select(source, rows)).dataset.selection;
    const base = await digest(all);
    assert.match(base!, /^[0-9a-f]{16}$/);
    assert.equal(await digest([...all].reverse()), base);
    assert.equal(await digest(all.map((each) => ({ ...each, reason: "why", weight: 1 }))), base);
    const others = await Promise.all([
      digest(all.slice(1)),
      digest([...all.slice(1), row("a", 0, { weight: 0.5 })]),
      digest([...all.slice(1), row("a", 0, { corrected_caption: "x" })]),
      digest([...all.slice(1), row("a", 0, { corrected_label: "x" })]),
      digest([...all.slice(1), row("a", 0, { keep: false })]),
    ]);
    // A pair that is not named and one that is dropped are the same.
    assert.equal(new Set([base, ...others]).size, 5);
    const whole = await openDataset(source);
    const { dataset } = await selectFrom(whole, tableOf(all));
    assert.deepEqual(changeOfData(fingerprintOf(whole), fingerprintOf(dataset)).changed, [
      "a selection, was none",
    ]);
  });

  test("of a run: what is held out is the same whatever is selected", async () => {
    const recipe = checkRecipe({
      ...{ model: "ViT-B-32", trainData: await photos(), valSplit: 0.25, steps: 1, batchSize: 2 },
      select: tableOf([row("a", 1), row("b"), row("c")]),
    });
    const told: string[] = [];
    const processes = { index: 0, share: async <T>(_: string, make: () => T | Promise<T>) => make() };
    const open = (chosen: Recipe) => openRunData(chosen, (line) => told.push(line), processes);
    const { train, val } = await open(recipe);
    const whole = await open({ ...recipe, select: undefined });
    assert.deepEqual(left(val!, val!), left(whole.val!, whole.val!));
    assert.equal(val!.length, 1);
    assert.deepEqual(
      left(train, train).map(({ key }) => key),
      left(whole.train, whole.train)
        .map(({ key }) => key)
        .filter((key) => key !== "d"),
    );
    assert.equal(left(train, train).find(({ key }) => key === "a")?.captions.length ?? 1, 1);
    assert.match(told.join("\n"), /keeps \d of 3 images/);
  });

  test("inspect, and evaluate without --data", async () => {
    const source = await photos();
    const path = tableOf([row("b"), row("c", 0, { corrected_caption: "mended words here" })]);
    const seen = await runWords(commands, ["inspect", source, "--select", path, "--json"]);
    assert.equal(seen.code, 0, seen.err);
    assert.match(seen.err, /keeps 2 of 4 images and 2 of 5 pairs/);
    const { samples, captionWords } = JSON.parse(seen.out);
    assert.deepEqual([samples, captionWords.n], [2, 2]);
    const refused = await runWords(commands, ["evaluate", "nowhere", "--select", path]);
    assert.equal(refused.code, 2);
  });
});

suite("UidIndex", () => {
  test("finds every position of a uid, and none of those without", () => {
    const words = new Uint32Array(4 * 5000);
    for (let i = 0; i < 5000; i++) if (i % 7 !== 0) words.set([i % 100, 0, 0, i], 4 * i);
    words.set(words.subarray(4, 8), 4 * 10);
    const index = new UidIndex(words);
    assert.deepEqual([...index.find(words, 4)], [1, 10]);
    assert.deepEqual([...index.find(words, 4 * 4999)], [4999]);
    assert.deepEqual([...index.find(Uint32Array.of(9, 9, 9, 9))], []);
    assert.equal(
      uidOfWords(wordsOfUid("00ff00000000000100000000deadbeef")),
      "00ff00000000000100000000deadbeef",
    );
  });
});
