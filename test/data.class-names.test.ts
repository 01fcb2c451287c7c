import assert from "node:assert/strict";
import { join } from "node:path";
import { suite, test } from "node:test";
import {
  classesOf,
  classNameOf,
  datasetLabels,
  labelsOf,
  loadClassNames,
  nameClasses,
  parseClassNames,
} from "../src/data/class-names.js";
import { openDataset } from "../src/data/index.js";
import { pngOf, put, scratchFolder, tarOf } from "./data.helpers.js";

const labelled = (...labels: string[]) => labelsOf(labels.map((label) => ({ label })));

suite("labelsOf", () => {
  test("numbers count as numbers, everything else goes by its letters, each label once", () => {
    assert.deepEqual(labelled("10", "1", "2", "11", "1"), ["1", "2", "10", "11"]);
    assert.deepEqual(labelled("n10", "n9", "B", "a"), ["B", "a", "n10", "n9"]);
    assert.deepEqual(labelsOf([{}]), []);
  });
});

suite("classesOf", () => {
  test("without a file a label is named by its own words", () => {
    const { names, indexOf, notes } = classesOf(labelled("tabby_cat", "dog"), "pets");
    assert.deepEqual([names, indexOf.get("tabby_cat"), notes], [["dog", "tabby cat"], 1, []]);
    assert.equal(classNameOf(" polar__bear "), "polar bear");
  });

  test("numbers name no class, so they are refused with the remedy", () => {
    assert.throws(
      () => classesOf(labelled("0", "2", "10", "11"), "shirts"),
      /^UsageError: data shirts: its 4 labels are numbers \(0, 2, 10, …\), which name no class\. Give --classnames, /,
    );
    assert.throws(
      () => classesOf([], "photos"),
      /data photos: classes need labels; got none\. Give a folder/,
    );
  });
});

suite("nameClasses", () => {
  const named = (labels: string[], names: string[], keys?: string[]) => {
    const where = { file: "names", of: "data" };
    const classes = nameClasses(labels, keys === undefined ? { names } : { names, keys }, where);
    return { ...classes, byLabel: labels.map((label) => classes.names[classes.indexOf.get(label)!]) };
  };

  test("numbers are lines from 0, or from 1 where only that fits", () => {
    assert.deepEqual(named(["0", "2", "10"], [..."abcdefghijk"]).byLabel, ["a", "c", "k"]);
    const fromOne = named(["1", "2", "3"], ["a", "b", "c"]);
    assert.deepEqual(fromOne.byLabel, ["a", "b", "c"]);
    assert.match(fromOne.notes[0]!, /count from 1/);
    assert.throws(
      () => named(["0", "3"], ["a", "b"]),
      /must name every class of data; got 2 names, none for label "0"/,
    );
  });

  test("keys of a map go first, and must be complete", () => {
    assert.deepEqual(named(["1", "2"], ["b", "a"], ["2", "1"]).byLabel, ["a", "b"]);
    assert.throws(() => named(["1", "3"], ["b", "a"], ["2", "1"]), /none for label "3"/);
  });

  test("a map from numbers names labels that are its names already", () => {
    assert.deepEqual(named(["cat", "dog"], ["dog", "cat"], ["0", "1"]).byLabel, ["cat", "dog"]);
  });

  test("names fit labels that are spelled alike, in whatever order", () => {
    assert.deepEqual(named(["owl", "tabby_cat"], ["tabby cat", "owl"]).byLabel, ["owl", "tabby cat"]);
    // One that fits and one that does not: a slip, not an order.
    assert.throws(() => named(["cat", "dgo"], ["dog", "cat"]), /none for label "dgo"/);
  });

  test("names that fit no label go by the order of the labels, which is told", () => {
    const { byLabel, notes } = named(["n01", "n02"], ["tench", "goldfish"]);
    assert.deepEqual(byLabel, ["tench", "goldfish"]);
    assert.deepEqual(notes, ['names go to labels by their order: "n01" is "tench", … "n02" is "goldfish"']);
    assert.throws(() => named(["n01", "n02"], ["tench"]), /got 1 names, none for label "n01"/);
  });

  test("classes that share a name are counted", () => {
    const { notes } = named(["0", "1", "2"], ["crane", "owl", "crane"]);
    assert.deepEqual(notes, ['2 classes share a name ("crane") and cannot be told apart']);
  });
});

suite("captions made of labels", () => {
  const folder = scratchFolder();

  test("folders, tables and tars are described by the names that prompts will use", async () => {
    const png = await pngOf(1);
    put(folder, "folders/tabby_cat/1.png", png);
    put(folder, "folders/dog/1.png", png);
    put(folder, "1.png", png);
    put(folder, "2.png", await pngOf(2));
    const csv = put(folder, "table.csv", "filepath,label\n1.png,tabby_cat\n2.png,dog\n");
    const tar = put(
      folder,
      "shard.tar",
      tarOf([
        ["a.png", png],
        ["a.cls", "tabby_cat"],
        ["b.png", png],
        ["b.cls", "dog"],
      ]),
    );
    for (const source of [join(folder, "folders"), csv, tar]) {
      const dataset = await openDataset(source);
      const { names, indexOf } = classesOf(datasetLabels(dataset), dataset.name);
      for (let i = 0; i < dataset.length; i++) {
        const { captions, label } = dataset.sample(i);
        assert.deepEqual(captions, [names[indexOf.get(label!)!]], source);
      }
    }
  });

  test("numbers describe nothing until a file names them", async () => {
    for (const label of ["2", "10"]) put(folder, `numbers/${label}/1.png`, await pngOf(Number(label)));
    const bare = await openDataset(join(folder, "numbers"));
    assert.deepEqual(bare.sample(0).captions, []);
    assert.match(bare.description[0]!.notes.join(), /labels are numbers, .* name them with --classnames/);
    const classnames = put(
      folder,
      "names.json",
      '[{"label": 10, "class_name": "ten"}, {"label": 2, "class_name": "two"}]',
    );
    const named = await openDataset(join(folder, "numbers"), { classnames });
    assert.deepEqual(
      [0, 1].map((i) => named.sample(i).captions),
      [["ten"], ["two"]], // in order of paths: 10 before 2
    );
  });
});

suite("loadClassNames and parseClassNames", () => {
  test("read lines, arrays, maps both ways and records, in the file's order", () => {
    assert.deepEqual(parseClassNames("tench\ngreat white shark\n\n", "classnames.txt").names, [
      "tench",
      "great white shark",
    ]);
    assert.deepEqual(parseClassNames('["a","b"]', "names.json"), { names: ["a", "b"] });
    const dogFirst = { names: ["dog", "cat"], keys: ["n02", "n01"] };
    assert.deepEqual(parseClassNames('{"n02":"dog","n01":"cat"}', "names.JSON"), dogFirst);
    const records = '[{"label":"n02","class_name":"dog"},{"id":"n01","name":"cat"}]';
    assert.deepEqual(parseClassNames(records, "names.json"), dogFirst);
    const numbers = { names: ["cat", "dog"], keys: ["0", "1"] };
    assert.deepEqual(parseClassNames('{"dog":1,"cat":0}', "class_to_idx.json"), numbers);
    assert.throws(() => loadClassNames("missing/classnames.txt"), /missing\/classnames\.txt/);
  });

  test("refuse what would shift labels or is no name", () => {
    const cases: [string, string, RegExp][] = [
      ["a\n\nb\n", "c.txt", /c\.txt: a class name must not be blank; got name 2 of 3/],
      ["", "c.txt", /at least one class name/],
      ["{oops", "c.json", /c\.json:1:2: must be JSON/],
      ["3", "c.json", /got 3\. Wrap it/],
      ['{"n01":["cat",3]}', "c.json", /got \["cat",3\] under key "n01"/],
      ['{"n01":[]}', "c.json", /got \[\] under key "n01"/],
      ['[{"label":1,"name":"a"},{"label":1,"name":"b"}]', "c.json", /got label 1 twice/],
      ['[{"label":1,"name":"a"},"b"]', "c.json", /every entry a \{"label", "class_name"\}; got \{"label":1/],
    ];
    for (const [text, file, message] of cases) assert.throws(() => parseClassNames(text, file), message);
  });

  test("a list of names is one class of several, called by the first", () => {
    const read = parseClassNames('{"n02":["crane","crane bird"],"n01":"tench"}', "c.json");
    assert.deepEqual(read, {
      names: ["crane", "tench"],
      keys: ["n02", "n01"],
      synonyms: [["crane", "crane bird"], ["tench"]],
    });
    const classes = nameClasses(["n01", "n02"], read, { file: "c.json", of: "set" });
    assert.deepEqual(classes.synonyms[classes.indexOf.get("n02")!], ["crane", "crane bird"]);
  });
});
