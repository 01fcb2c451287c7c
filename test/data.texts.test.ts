/** Captions as other programs, other encodings and other people's mistakes leave them. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { datasetLabels } from "../src/data/class-names.js";
import { type Dataset, openDataset } from "../src/data/index.js";
import { pngOf, put, scratchFolder, tarOf } from "./data.helpers.js";

const folder = scratchFolder();
const png = await pngOf(0);
const captions = (dataset: Dataset): string[][] =>
  Array.from({ length: dataset.length }, (_, i) => [...dataset.sample(i).captions]);
const problems = (dataset: Dataset): string => dataset.description[0]!.problems.join("\n");
const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
const utf16 = (text: string, bigEndian = false): Buffer => {
  const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
  return bigEndian ? bytes.swap16() : bytes;
};

/** The same captions as every kind of source that has texts. */
const forms: readonly [form: string, make: (name: string, encode: (text: string) => Uint8Array) => string][] =
  [
    [
      "a folder",
      (name, encode) => {
        for (const i of [0, 1]) put(folder, `${name}/${i}.png`, png);
        put(folder, `${name}/0.txt`, encode("ein Café"));
        put(folder, `${name}/1.txt`, encode("plain"));
        return join(folder, name);
      },
    ],
    [
      "a tar",
      (name, encode) =>
        put(
          folder,
          `${name}.tar`,
          tarOf([
            ["0.png", png],
            ["0.txt", encode("ein Café")],
            ["1.png", png],
            ["1.txt", encode("plain")],
          ]),
        ),
    ],
    [
      "CSV",
      (name, encode) => {
        for (const i of [0, 1]) put(folder, `${i}.png`, png);
        return put(folder, `${name}.csv`, encode("filepath,title\n0.png,ein Café\n1.png,plain\n"));
      },
    ],
  ];

describe("captions that are not UTF-8", () => {
  for (const [f, [form, make]] of forms.entries()) {
    test(`in ${form} are counted and named, refused with strict, and read with their encoding`, async () => {
      const source = make(`latin-${f}`, latin1);
      const told: string[] = [];
      const dataset = await openDataset(source, { onProgress: (line) => void told.push(line) });
      assert.match(problems(dataset), /not in their encoding \(say which with --encoding\): 1 \(0(\.png)?\)/);
      assert.match(told.join(), /not in their encoding/);
      await assert.rejects(
        openDataset(source, { strict: true }),
        /not in their encoding.*--encoding.*--strict/,
      );
      const read = await openDataset(source, { encoding: "latin1", strict: true });
      assert.deepEqual(captions(read), [["ein Café"], ["plain"]]);
    });

    test(`in ${form} are read by their byte order mark`, async () => {
      for (const [m, encode] of [utf16, (text: string) => utf16(text, true)].entries()) {
        const read = await openDataset(make(`marked-${f}-${m}`, encode), { strict: true });
        assert.deepEqual(captions(read), [["ein Café"], ["plain"]]);
      }
    });
  }

  test("in JSON lines: by the encoding that is said; UTF-16 is refused", async () => {
    const lines = '{"image": "0.png", "caption": "ein Café"}\n';
    const path = put(folder, "latin.jsonl", latin1(lines));
    assert.match(problems(await openDataset(path)), /not in their encoding/);
    assert.deepEqual(captions(await openDataset(path, { encoding: "latin1" })), [["ein Café"]]);
    await assert.rejects(openDataset(put(folder, "wide.jsonl", utf16(lines))), /is UTF-16\. Write it anew/);
  });

  test("an encoding that there is not is refused", async () => {
    await assert.rejects(
      openDataset(join(folder, "latin-0"), { encoding: "utf-9" }),
      /encoding: must be a known text encoding; got encoding="utf-9"\. Write utf-8, latin1/,
    );
  });
});

describe("JSON", () => {
  const python = '{"caption": "a \\"NaN\\" bread", "score": NaN, "low": -Infinity, "high": Infinity}';

  test("that Python wrote is read, in folders, tars and lines", async () => {
    put(folder, "py/0.png", png);
    put(folder, "py/0.json", python);
    const tar = put(
      folder,
      "py.tar",
      tarOf([
        ["0.png", png],
        ["0.json", python],
      ]),
    );
    const lines = put(folder, "py.jsonl", `${python.replace("{", '{"image": "0.png", ')}\n`);
    for (const source of [join(folder, "py"), tar, lines]) {
      assert.deepEqual(captions(await openDataset(source, { strict: true })), [['a "NaN" bread']]);
    }
  });

  test("that is none is left out, counted and named; the caption beside it stays", async () => {
    const members = [0, 1, 2].flatMap((i) => [
      [`${i}.png`, png] as const,
      [`${i}.txt`, `picture ${i}`] as const,
      [`${i}.json`, i === 1 ? "{oops" : "{}"] as const,
    ]);
    for (const [name, content] of members) put(folder, `oops/${name}`, content);
    for (const source of [join(folder, "oops"), put(folder, "oops.tar", tarOf(members))]) {
      const dataset = await openDataset(source);
      assert.deepEqual(captions(dataset), [["picture 0"], ["picture 1"], ["picture 2"]]);
      assert.match(problems(dataset), /that are not JSON, left out: 1 \(1\.json/);
      await assert.rejects(openDataset(source, { strict: true }), /not JSON.*--strict/);
    }
  });

  test("takes numbers for words, and what is nested 6,000 deep for nothing", async () => {
    const deep = `${"[".repeat(6000)}"x"${"]".repeat(6000)}`;
    const rows = [
      '{"image": "0.png", "caption": 1984}',
      `{"image": "1.png", "caption": ${deep}}`,
      '{"image": "2.png", "caption": ["a", 7]}',
    ];
    const dataset = await openDataset(put(folder, "numbers.jsonl", rows.join("\n")));
    assert.deepEqual(captions(dataset), [["1984"], [], ["a", "7"]]);
  });
});

describe("tables", () => {
  test("leave out a few lines that are no rows, counted and named", async () => {
    const rows = Array.from({ length: 30 }, (_, i) => `${i}.png,words ${i}`);
    rows[7] = "7.png,one, too many";
    const path = put(folder, "some.csv", `filepath,title\n${rows.join("\n")}\n`);
    const dataset = await openDataset(path);
    assert.equal(dataset.length, 29);
    assert.match(problems(dataset), /lines that are no rows, left out: 1 \(some\.csv line 9\)/);
    await assert.rejects(openDataset(path, { strict: true }), /some\.csv line 9/);
    const lines = rows.map((_, i) => (i === 4 ? '{"image":' : `{"image":"${i}.png","text":"${i}"}`));
    const jsonl = await openDataset(put(folder, "some.jsonl", lines.join("\n")));
    assert.equal(jsonl.length, 29);
    assert.match(problems(jsonl), /some\.jsonl line 5/);
  });

  test("find the columns behind first rows that are empty", async () => {
    const rows = Array.from({ length: 20 }, (_, i) => ({
      image: `${i}.png`,
      caption: i < 12 ? null : `${i}`,
    }));
    const dataset = await openDataset(
      put(folder, "late.jsonl", rows.map((row) => JSON.stringify(row)).join("\n")),
    );
    assert.equal(dataset.description[0]!.captions, 8);
  });

  test("of many thousand rows keep every caption", async () => {
    const many = Array.from({ length: 40_000 }, (_, i) => `${i % 30_000}.png,"words, ""${i}"""`);
    const { length, description, sample } = await openDataset(
      put(folder, "many.csv", `filepath,title\r\n${many.join("\r\n")}`),
    ).then((d) => ({ length: d.length, description: d.description[0]!, sample: d.sample(29_999) }));
    assert.deepEqual([length, description.captions], [30_000, 40_000]);
    assert.deepEqual(sample, { key: "29999.png", captions: ['words, "29999"'] });
  });
});

describe("folders", () => {
  test("name a class folder that is empty", async () => {
    for (const name of ["cat/0", "dog/0"]) put(folder, `zoo/${name}.png`, png);
    mkdirSync(join(folder, "zoo/unicorn"));
    const dataset = await openDataset(join(folder, "zoo"));
    assert.match(problems(dataset), /class folders without an image: 1 \(unicorn\)/);
    assert.deepEqual(dataset.description[0]!.emptyClasses, ["unicorn"]);
    assert.deepEqual(datasetLabels(dataset), ["cat", "dog", "unicorn"]);
  });

  test("of img2dataset are read without a question, as tars and as files", async () => {
    const row = (i: number) => [`00000000${i}.png`, `00000000${i}.txt`, `00000000${i}.json`];
    const members = [0, 1].flatMap((i) => {
      const [image, text, json] = row(i);
      return [
        [image!, png],
        [text!, `picture ${i}`],
        [json!, JSON.stringify({ caption: `picture ${i}`, status: "success", similarity: null })],
      ] as [string, string | Uint8Array][];
    });
    put(folder, "i2d/00000.tar", tarOf(members));
    for (const [name, content] of members) put(folder, `i2d-files/00000/${name}`, content);
    for (const form of ["i2d", "i2d-files"]) {
      put(folder, `${form}/00000.parquet`, "PAR1 and what became of each address PAR1");
      put(folder, `${form}/00000_stats.json`, JSON.stringify({ count: 2, successes: 2 }));
      const dataset = await openDataset(join(folder, form), { strict: true });
      assert.deepEqual(captions(dataset), [["picture 0"], ["picture 1"]]);
    }
  });

  test("and addresses: a host in brackets is one source, patterns have limits", async () => {
    await assert.rejects(openDataset("http://[::1]:9/x.tar"), /download http:\/\/\[::1\]:9\/x\.tar: failed/);
    await assert.rejects(openDataset("x-{0..99999999}.tar"), /at most 1000000 names/);
    await assert.rejects(openDataset(`${"{a,b}".repeat(30)}`), /at most 16 braces/);
    await assert.rejects(openDataset(`${"{0..999}".repeat(3)}`), /at most 1000000 names/);
    const start = performance.now();
    put(folder, `globs/${"a".repeat(100)}.tar`, "");
    await assert.rejects(openDataset(join(folder, "globs", `${"*a".repeat(30)}b`)), /no file matches/);
    assert.ok(performance.now() - start < 5000);
  });
});
