import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { textsOf } from "../src/data/columns/texts.js";
import { type Dataset, openDataset, subset } from "../src/data/index.js";
import { expandBraces, splitSpec } from "../src/data/sources/spec.js";
import { detectSeparator } from "../src/data/sources/tables/csv.js";
import { pngOf, put, scratchFolder, tarOf } from "./data.helpers.js";

const folder = scratchFolder();
const cacheDir = join(folder, "cache");
const open = (spec: string, options = {}): Promise<Dataset> => openDataset(spec, { cacheDir, ...options });
const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/fixtures/data/${name}`, import.meta.url));

const pairs = await Promise.all(
  [0, 1, 2].map(async (i) => ({
    key: `p${i}`,
    image: await pngOf(i),
    captions: [`picture ${i}, first`, `picture "${i}" again`],
  })),
);

/** What a source holds, whatever its form: image hash and captions by image. */
async function contents(dataset: Dataset): Promise<string[]> {
  const found = [];
  for (let i = 0; i < dataset.length; i++) {
    const hash = createHash("sha256")
      .update(await dataset.readBytes(i))
      .digest("hex");
    found.push(`${hash} ${dataset.sample(i).captions.join("|")}`);
  }
  return found.sort();
}
const expected = pairs
  .map(({ image, captions }) => `${createHash("sha256").update(image).digest("hex")} ${captions.join("|")}`)
  .sort();

describe("openDataset reads the same pairs from", () => {
  const same = async (spec: string, kind: string, options = {}): Promise<Dataset> => {
    const dataset = await open(spec, options);
    assert.deepEqual(await contents(dataset), expected);
    assert.equal(dataset.description[0]!.kind, kind);
    assert.equal(dataset.description[0]!.captions, 6);
    return dataset;
  };
  const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;

  test("a folder of images and texts", async () => {
    for (const { key, image, captions } of pairs) {
      put(folder, `texts/${key}.png`, image);
      put(folder, `texts/${key}.txt`, `${captions.join("\n")}\n\n`);
    }
    put(folder, "texts/orphan.txt", "nothing to see");
    const dataset = await same(join(folder, "texts"), "image-text folder");
    assert.match(dataset.description[0]!.notes.join(), /1 texts have no image/);
  });

  test("a folder of images and JSON", async () => {
    for (const { key, image, captions } of pairs) {
      put(folder, `jsons/${key}.png`, image);
      put(folder, `jsons/${key}.json`, JSON.stringify({ captions }));
    }
    const dataset = await same(join(folder, "jsons"), "image-text folder");
    assert.match(dataset.description[0]!.captionsFrom, /field "captions"/);
  });

  test("CSV and TSV with a row a caption, paths from the table's folder", async () => {
    for (const { key, image } of pairs) put(folder, `table/images/${key}.png`, image);
    const rows = pairs.flatMap(({ key, captions }) => captions.map((c) => [`images/${key}.png`, c]));
    const csv = [`\uFEFFfilepath,title`, ...rows.map(([p, c]) => `${p},${quote(c!)}`)].join("\r\n");
    await same(put(folder, "table/a.csv", csv), "csv");
    const tsv = ["image\tcaption", ...rows.map(([p, c]) => `${p}\t${quote(c!)}`)].join("\n");
    await same(put(folder, "table/a.tsv", tsv), "tsv");
    const bare = rows.map(([p, c]) => `${p};${quote(c!)}`).join("\n");
    await same(put(folder, "table/no-header.csv", bare), "csv");
  });

  test("JSON lines with lists, numbered columns, and base64", async () => {
    const lines = (make: (p: (typeof pairs)[number]) => object): string =>
      pairs.map((p) => JSON.stringify(make(p))).join("\n");
    const lists = lines(({ key, captions }) => ({ file_name: `images/${key}.png`, captions }));
    await same(put(folder, "table/lists.jsonl", lists), "jsonl");
    const numbered = lines(({ key, captions: [a, b] }) => ({
      path: `images/${key}.png`,
      caption_0: a,
      caption_1: b,
    }));
    await same(put(folder, "table/numbered.jsonl", numbered), "jsonl");
    const inline = lines(({ image, captions }) => ({ image: image.toString("base64"), text: captions }));
    await same(put(folder, "table/inline.jsonl", inline), "jsonl");
  });

  test("tars, with long names of both kinds, by glob and by brace range", async () => {
    for (const [t, long] of (["gnu", "pax"] as const).entries()) {
      const deep = "a-rather-long-folder-name/".repeat(6);
      const members = pairs
        .filter((_, i) => i % 2 === t)
        .flatMap(({ key, image, captions }) => [
          [`${deep}${key}.png`, image] as const,
          [`${deep}${key}.txt`, captions.join("\n")] as const,
          [`${deep}${key}.json`, JSON.stringify({ label: 7, class_name: "thing" })] as const,
        ]);
      put(folder, `tars/s-00${t}.tar`, tarOf(members, long));
    }
    const dataset = await same(join(folder, "tars/s-*.tar"), "webdataset");
    assert.equal(dataset.sample(0).label, "thing");
    assert.ok(dataset.sample(0).key.length > 150);
    await same(join(folder, "tars/s-{000..001}.tar"), "webdataset");
    await same(join(folder, "tars"), "webdataset");
  });

  test("a tar on the web, fetched once", async () => {
    const tar = tarOf(
      pairs.flatMap(
        ({ key, image, captions }) =>
          [
            [`${key}.png`, image],
            [`${key}.txt`, captions.join("\n")],
          ] as const,
      ),
    );
    let requests = 0;
    const server = createServer((request, response) => {
      requests++;
      response.statusCode = request.url === "/x.tar" ? 200 : 404;
      response.end(response.statusCode === 200 ? tar : "");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const base = `http://127.0.0.1:${address.port}`;
    await same(`${base}/x.tar`, "webdataset");
    await same(`${base}/x.tar`, "webdataset");
    assert.equal(requests, 1);
    await assert.rejects(open(`${base}/gone.tar`), /download .*gone\.tar: failed; got status 404/);
    server.close();
  });
});

describe("openDataset", () => {
  test("reads Hugging Face's image struct and class names, and a bytes column, from Parquet", async () => {
    const struct = await open(fixture("struct.parquet"));
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => struct.sample(i)),
      [
        { key: "0.png", captions: ["a red one", "the first"], label: "cat" },
        { key: "1.png", captions: ["a green one"], label: "dog" },
        { key: "2.png", captions: ["a blue one"], label: "cat" },
        { key: "3.png", captions: ["a last one"], label: "dog" },
      ],
    );
    const plain = await open(fixture("bytes.parquet"));
    for (let i = 0; i < 4; i++) assert.deepEqual(await plain.readBytes(i), await struct.readBytes(i));
    assert.deepEqual([...(await plain.readBytes(3)).subarray(1, 4)], [...Buffer.from("PNG")]);
    const again = await open(fixture("struct.parquet"));
    assert.deepEqual(await contents(again), await contents(struct));
  });

  test("knows the columns of Parquet by their types where the first rows are empty", async () => {
    const late = await open(fixture("late.parquet"));
    assert.deepEqual(
      Array.from({ length: late.length }, (_, i) => late.sample(i)),
      [
        { key: "10.png", captions: [], label: "cat" },
        { key: "11.png", captions: ["words 11"], label: "dog" },
        { key: "12.png", captions: ["words 12"], label: "cat" },
        { key: "13.png", captions: ["words 13"], label: "dog" },
      ],
    );
    for (let i = 0; i < 4; i++) assert.equal((await late.readBytes(i))[1], "P".charCodeAt(0));
    assert.match(late.description[0]!.notes.join(), /10 rows have no image/);
  });

  test("takes a table of pictures alone where no captions are asked for", async () => {
    put(folder, "alone/a.png", await pngOf(1));
    put(folder, "alone/b.png", await pngOf(2));
    const table = put(folder, "alone/list.csv", "filepath,note\na.png,dusk\nb.png,dawn\n");
    const columns = put(folder, "alone/more.csv", "filepath,width,height\na.png,8,8\nb.png,8,8\n");
    const dataset = await openDataset(columns, { captionsOptional: true });
    assert.equal(dataset.length, 2);
    assert.deepEqual(dataset.sample(0).captions, []);
    await assert.rejects(openDataset(columns), /no caption column found/);
    // One column of text beside the pictures is still their captions.
    assert.deepEqual((await openDataset(table, { captionsOptional: true })).sample(0).captions, ["dusk"]);
  });

  test("names the formats in a tar that are not read", async () => {
    const tar = put(
      folder,
      "formats.tar",
      tarOf([
        ["a.png", await pngOf(1)],
        ["a.txt", "one"],
        ["b.heic", "not a picture"],
        ["b.txt", "two"],
      ]),
    );
    const [description] = (await openDataset(tar)).description;
    assert.deepEqual(description!.notes, [
      "1 keys have no image and are left out",
      "1 .heic (HEIC): a format that is not read; convert them to JPEG or PNG",
    ]);
  });

  test("takes folder names for labels and captions where there is no text", async () => {
    for (const [i, name] of ["cat/a", "cat/b", "polar_bear/a"].entries())
      put(folder, `classes/${name}.png`, await pngOf(i));
    const dataset = await open(join(folder, "classes"));
    assert.equal(dataset.description[0]!.kind, "class folder");
    assert.equal(dataset.description[0]!.classes, 2);
    assert.deepEqual(dataset.sample(2), {
      key: "polar_bear/a",
      captions: ["polar bear"],
      label: "polar_bear",
    });
  });

  test("joins sources with `::`, and keeps weights", async () => {
    const a = join(folder, "texts");
    const b = join(folder, "classes");
    const joined = await open(`${a}::${b}`);
    assert.equal(joined.length, 6);
    assert.deepEqual(
      joined.sources.map(({ start, length, weight }) => [start, length, weight]),
      [
        [0, 3, undefined],
        [3, 3, undefined],
      ],
    );
    assert.deepEqual(await joined.readBytes(3), await (await open(b)).readBytes(0));
    const weighted = await openDataset([
      { source: a, weight: 3 },
      { source: b, weight: 1 },
    ]);
    assert.deepEqual(
      weighted.sources.map((s) => s.weight),
      [3, 1],
    );
    const part = subset(weighted, [1, 4, 5]);
    assert.deepEqual(
      part.sources.map(({ start, length }) => [start, length]),
      [
        [0, 1],
        [1, 2],
      ],
    );
    assert.deepEqual(await part.readBytes(2), await weighted.readBytes(5));
  });

  test("uses the columns and separator that the caller names", async () => {
    put(folder, "named/x.png", pairs[0]!.image);
    const path = put(folder, "named/t.csv", "a|b|c\nx.png|one|two\n");
    const dataset = await open(path, { csvImgKey: "a", csvCaptionKey: "c", csvSeparator: "|" });
    assert.deepEqual(dataset.sample(0), { key: "x.png", captions: ["two"] });
  });
});

describe("openDataset says in one line what is wrong:", () => {
  const png = pairs[0]!.image;
  put(folder, "bad/x.png", png);
  const bad = (name: string, content: string | Uint8Array): string => put(folder, `bad/${name}`, content);
  const tar = tarOf([["a.png", png]]);
  const cases: [what: string, spec: string, message: RegExp, options?: object][] = [
    ["a missing path", join(folder, "txets"), /no file or folder ".*txets"\. Did you mean "texts"\?/],
    ["a glob without a match", join(folder, "texts/*.jpeg"), /no file matches ".*\.jpeg"/],
    ["a brace range with a hole", join(folder, "tars/s-{000..004}.tar"), /no file or folder ".*s-002\.tar"/],
    ["an open brace", "x-{000.tar", /a brace is not closed/],
    ["no source", " :: ", /names no source/],
    ["an empty table", bad("empty.csv", ""), /csv .*empty\.csv: is empty/],
    ["a table with only a header", bad("header.csv", "filepath,title\n"), /csv .*header\.csv: has no rows/],
    [
      "a named column that is not there",
      bad("cols.csv", "filepath,title\nx.png,a\n"),
      /no column "titel" \(csvCaptionKey\); its columns are "filepath", "title"\. Did you mean "title"\?/,
      { csvCaptionKey: "titel" },
    ],
    [
      "no image column",
      bad("noimage.csv", "id,title\n1,a\n"),
      /no image column found; its columns are "id", "title"/,
    ],
    [
      "no caption column",
      bad("nocaption.csv", "image,a,b\nx.png,c,d\n"),
      /no caption column found.*csvCaptionKey/,
    ],
    [
      "two caption columns",
      bad("two.csv", "image,caption,text\nx.png,a,b\n"),
      /captions could be any of the columns "caption", "text"/,
    ],
    [
      "web addresses",
      bad("web.csv", "url,caption\nhttps://a.example/x,c\n"),
      /holds web addresses.*img2dataset/,
    ],
    [
      "a row of another length",
      bad("ragged.csv", "image,caption\nx.png,a, b\n"),
      /csv .*ragged\.csv line 2: Invalid Record Length: expect 2, got 3\. Put captions/,
    ],
    [
      "images that are nowhere",
      bad("nowhere.csv", "image,caption\ny.png,a\n"),
      /none of the first 1 images exist.*imageRoot/,
    ],
    [
      "a line that is no JSON",
      bad("broken.jsonl", '{"image":"x.png","caption":"a"}\n{oops\n'),
      /broken\.jsonl line 2: is not JSON/,
    ],
    ["a tar that is none", bad("none.tar", "x".repeat(2000)), /tar .*none\.tar: is not a tar file/],
    ["a tar cut short", bad("cut.tar", tar.subarray(0, 700)), /tar .*cut\.tar: is cut short; got 700 bytes/],
    ["a tar without images", bad("texts.tar", tarOf([["a.txt", "b"]])), /no member is an image.*got 1 \.txt/],
    [
      "a Parquet that is none",
      bad("none.parquet", "PAR1 and nothing else"),
      /parquet .*none\.parquet: is not a whole Parquet file/,
    ],
    ["an unknown ending", bad("notes.docx", "hello"), /is no format known.*ending in "\.docx".*format/],
    ["one image", bad("x.png", png), /got one image; point at its folder/],
    [
      "a negative weight",
      `${folder}/texts`,
      /a weight is a number above 0; got weight=-1/,
      { weights: [-1] },
    ],
  ];
  for (const [what, spec, message, options] of cases) {
    test(what, async () => {
      await assert.rejects(open(spec, options), (error: Error) => {
        assert.equal(error.name, "UsageError");
        assert.match(error.message, message);
        assert.ok(!error.message.includes("\n"));
        return true;
      });
    });
  }

  test("the error names the file and the line of a row at fault, after empty lines and rows of several lines, too", async () => {
    const rows: readonly [name: string, text: string, line: number][] = [
      ["bad.jsonl", '{"image":"x.png","caption":"a"}\n\n{oops\n', 3],
      ["bad.csv", 'image,caption\n\nx.png,"a\nb"\nx.png,a, b\n', 5],
      ["web.csv", 'image,caption\n\nhttps://a.example/x.png,"c\nd"\n', 4],
      ["web.jsonl", '\n{"image":"https://a.example/x.png","caption":"c"}\n', 2],
    ];
    put(folder, "rows/x.png", png);
    for (const [name, text, line] of rows) {
      const path = put(folder, `rows/${name}`, text);
      await assert.rejects(open(path), { name: "UsageError", file: path, line });
    }
  });

  test("a folder without pairs, and one that could be read in several ways", async () => {
    put(folder, "lonely/x.png", png);
    await assert.rejects(
      open(join(folder, "lonely")),
      /neither texts of the same name nor class folders; got 1 \.png/,
    );
    put(folder, "mixed/x.tar", tar);
    put(folder, "mixed/x.csv", "a,b\n");
    await assert.rejects(
      open(join(folder, "mixed")),
      /could be read in several ways; got .*format: .*webdataset/,
    );
    put(folder, "nothing/readme.md", "");
    await assert.rejects(open(join(folder, "nothing")), /holds no images; got 1 \.md/);
  });

  test("a file that went away after opening", async () => {
    const dataset = await open(join(folder, "texts"));
    const path = dataset.images.containers[0]!;
    assert.equal(path.kind, "files");
    const gone = {
      ...dataset.images,
      containers: [{ kind: "files", paths: textsOf(["gone.png", "", ""]) } as const],
    };
    const { readImageBytes } = await import("../src/data/image-bytes.js");
    assert.throws(() => readImageBytes(gone, 0), /image: cannot be read; got gone\.png/);
  });
});

test("expandBraces expands ranges, lists and nests as a shell does", () => {
  assert.deepEqual(expandBraces("a-{08..11}.tar"), ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]);
  assert.deepEqual(expandBraces("{a,b{1..2}}/{x,y}"), ["a/x", "a/y", "b1/x", "b1/y", "b2/x", "b2/y"]);
});

test("splitSpec wants a weight for every source or for none", () => {
  assert.deepEqual(splitSpec("a::b", [1, 2]), [
    { source: "a", weight: 1 },
    { source: "b", weight: 2 },
  ]);
  assert.throws(() => splitSpec("a::b", [1]), /got 1 weights for 2 sources/);
  assert.throws(() => splitSpec([{ source: "a", weight: 1 }, "b"]), /got no weight for b/);
});

test("detectSeparator does not count inside quotes", () => {
  assert.equal(detectSeparator('"a,b,c";d'), ";");
  assert.equal(detectSeparator("a\tb, c\td"), "\t");
});
