import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { TextLookup } from "../src/data/columns/lookup.js";
import {
  eachSample,
  joinSamples,
  pickSamples,
  SampleWriter,
  samplesOf,
} from "../src/data/columns/samples.js";
import { anyHolds, TextsWriter, textAt, textsOf } from "../src/data/columns/texts.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";

const place = { container: 0, offset: 0, size: -1 };

describe("texts in columns", () => {
  const hard = ["", "häß", "\ufeffmark", "a\0b", "😀", "\ud800", "half \udc00 pair", "\ufffd", ""];

  test("come back as they went in, half surrogate pairs and all, while written and after", () => {
    const writer = new TextsWriter();
    for (const [i, text] of hard.entries()) assert.equal(writer.push(text), i);
    assert.deepEqual(
      hard.map((_, i) => writer.at(i)),
      hard,
    );
    const texts = structuredClone(writer.done());
    assert.deepEqual(
      hard.map((_, i) => textAt(texts, i)),
      hard,
    );
  });

  test("fill block after block, whatever their length", () => {
    const list = Array.from({ length: 300 }, (_, i) => `${i}é`.repeat((i * 977) % 30_000));
    list.splice(150, 0, "ö".repeat(2 ** 20));
    const texts = textsOf(list);
    assert.ok(texts.blocks.length > 3);
    assert.deepEqual(
      list.map((_, i) => textAt(texts, i)),
      list,
    );
    const bytes = texts.blocks.reduce((sum, block) => sum + block.buffer.byteLength, 0);
    assert.equal(bytes, Buffer.byteLength(list.join("")));
  });

  test("are searched without decoding", () => {
    assert.deepEqual(
      ["\0", "\ufffd", "😀", "half", "not there"].map((part) => anyHolds(textsOf(hard), part)),
      [true, true, true, true, false],
    );
    assert.equal(anyHolds(textsOf(["one", "two"]), "\0"), false);
  });

  test("are found among many, the equal ones at their first place", () => {
    const list = Array.from({ length: 20_000 }, (_, i) => `images/${(i * 7919) % 15_000}.jpg`);
    const lookup = new TextLookup((i) => list[i]!);
    const first = new Map<string, number>();
    for (const [i, text] of list.entries()) {
      if (!first.has(text)) first.set(text, i);
      assert.equal(lookup.findOrAdd(text, i), first.get(text));
    }
  });
});

describe("samples in columns", () => {
  test("have their captions in the order in which they came, from wherever in the table", () => {
    const writer = new SampleWriter();
    writer.add({ key: "a", captions: ["a1"], label: "cat", ...place });
    writer.add({ key: "b", captions: [], ...place });
    writer.addCaption(0, "a2");
    writer.add({ key: "c", captions: ["c1", "c2"], label: "dog", ...place });
    writer.addCaption(1, "b1");
    writer.addCaption(0, "a3");
    const samples = writer.done();
    assert.deepEqual(
      [...eachSample(samples)],
      [
        { key: "a", captions: ["a1", "a2", "a3"], label: "cat" },
        { key: "b", captions: ["b1"] },
        { key: "c", captions: ["c1", "c2"], label: "dog" },
      ],
    );
    assert.deepEqual([samples.length, samples.captionCount, samples.classes], [3, 6, 2]);
    const named = samples.describedBy((label) => `a ${label}`);
    assert.deepEqual(
      Array.from(eachSample(named), ({ captions }) => captions),
      [["a cat"], [], ["a dog"]],
    );
  });

  test("are joined and picked without being made", () => {
    const part = (...keys: string[]) => samplesOf(keys.map((key) => ({ key, captions: [], ...place })));
    const joined = joinSamples([part("a", "b"), part(), part("c")]);
    const picked = pickSamples(joined, Uint32Array.of(2, 0, 1));
    assert.deepEqual(
      Array.from(eachSample(picked), ({ key }) => key),
      ["c", "a", "b"],
    );
  });
});

describe("a large table", () => {
  const folder = scratchFolder();
  const rows = 200_000;
  const open = `
    import { openDataset, fingerprintOf } from ${JSON.stringify(new URL("../src/data/index.js", import.meta.url).href)};
    const dataset = await openDataset(process.argv[1]);
    const { key, captions } = dataset.sample(dataset.length - 1);
    console.log(JSON.stringify([dataset.length, key, captions, fingerprintOf(dataset).samples]));
  `;
  const caption = (i: number) => `a picture of thing ${i}`;
  const forms = {
    "x.csv": (path: string, i: number) => `${path},${caption(i)}`,
    "x.jsonl": (path: string, i: number) => JSON.stringify({ filepath: path, title: caption(i) }),
  };
  for (const [name, lineOf] of Object.entries(forms)) {
    test(`${name} of ${rows} rows opens in a heap that its rows as objects would burst`, async () => {
      const lines = Array.from({ length: rows }, (_, i) => lineOf(`images/${i}.png`, i));
      if (name === "x.csv") lines.unshift("filepath,title");
      const table = put(folder, name, lines.join("\n"));
      put(folder, "images/0.png", await pngOf(0, 2, 2));
      const said = execFileSync(
        process.execPath,
        ["--max-old-space-size=48", "--input-type=module", "--eval", open, table],
        { encoding: "utf8" },
      );
      assert.deepEqual(JSON.parse(said), [rows, `images/${rows - 1}.png`, [caption(rows - 1)], rows]);
    });
  }
});
