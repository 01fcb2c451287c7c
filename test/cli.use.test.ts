import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { suite, test } from "node:test";
import { useCommands } from "../src/cli/commands/use/index.js";
import { withStandardInput } from "../src/cli/standard-input.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";

suite("clipwright index, search, classify", () => {
  const folder = scratchFolder();
  const use = (...words: string[]) => runWords(useCommands, [...words, "--threads", "1", "--workers", "1"]);
  const model = fixture("embed");
  const index = join(folder, "index");

  test("index a folder, find by words, by a picture and as JSON", async () => {
    for (let i = 0; i < 8; i++) put(folder, `photos/${i}.png`, await pngOf(i));
    put(folder, "photos/3.txt", "the \u001b[31mthird");
    const made = await use("index", join(folder, "photos"), "--with", model, "--out", index);
    assert.equal(made.code, 0, made.err);
    assert.match(
      made.out,
      /index: 8 pictures, 8 embedded now\nVectors in f16: of the ten nearest by f32 they find 100\.0 %/,
    );
    const words = await use("search", index, "a", "red", "thing", "-k", "3");
    assert.equal(words.code, 0, words.err);
    assert.match(words.out, /^1 {2}-?0\.\d{3} {2}\d/);
    assert.equal(words.out.trimEnd().split("\n").length, 3);
    const joined = await use("search", index, "a red thing", "--k", "3");
    assert.equal(joined.out, words.out, "words are one text, quoted or not");
    const near = await use("search", index, join(folder, "photos/3.png"), "-k", "1");
    assert.match(near.out, /^1 {2}1\.000 {2}3 {2}the \\x1b\[31mthird\n$/);
    const json = await use("search", index, join(folder, "photos/3.png"), "-k", "8", "--json");
    const lines = json.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual([lines.length, lines[0].key, lines[0].captions], [8, "3", ["the \u001b[31mthird"]]);
  });

  test("classify names every class's probability; --json holds all of them", async () => {
    const pictures = [join(folder, "photos/1.png"), join(folder, "photos/2.png")];
    const told = await use("classify", model, ...pictures, "--classes", "red, green,blue", "--top", "2");
    assert.equal(told.code, 0, told.err);
    assert.match(told.err, /Probabilities: not calibrated: the model is no run's/);
    assert.match(told.out, /photos\/1\n {2}\w+ +\d+\.\d %.*\n {2}\w+ +\d+\.\d %.*\n.*photos\/2\n/);
    put(folder, "names.txt", "red\ngreen\nblue\n");
    const json = await use(
      "classify",
      model,
      ...pictures,
      "--classnames",
      join(folder, "names.txt"),
      "--json",
    );
    for (const line of json.out.trimEnd().split("\n")) {
      const { classes } = JSON.parse(line) as { classes: { name: string; probability: number }[] };
      assert.deepEqual(classes.map(({ name }) => name).sort(), ["blue", "green", "red"]);
      assert.ok(Math.abs(classes.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-9);
    }
    const neither = await use("classify", model, ...pictures);
    assert.match(neither.err, /needs either --classes or --classnames; got neither/);
  });

  test("another model is refused, and an index that is none", async () => {
    const other = await use("search", join(folder, "photos"), "a");
    assert.match(other.err, /is no index of pictures/);
    assert.equal(other.code, 1);
  });

  test("- is a picture or a list of paths on standard input", async () => {
    const piped = (content: string | Uint8Array): PassThrough => {
      const stream = new PassThrough();
      stream.end(content);
      return stream;
    };
    {
      using list = await withStandardInput(["first", "-"], piped("a.png\r\n\nb c.png\n"));
      assert.deepEqual(list.sources, ["first", "a.png", "b c.png"]);
    }
    const png = await pngOf(1);
    let path: string;
    {
      using picture = await withStandardInput(["-"], piped(png));
      path = picture.sources[0]!;
      assert.match(path, /standard-input\.png$/);
      assert.deepEqual(readFileSync(path), png);
    }
    assert.throws(() => readFileSync(path), /ENOENT/);
    await assert.rejects(withStandardInput(["-"], piped("")), /got nothing/);
    await assert.rejects(withStandardInput(["-", "-"], piped("a")), /got it twice/);
  });
});
