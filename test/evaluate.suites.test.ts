import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { suite, test } from "node:test";
import sharp from "sharp";
import { evaluationPipeline, preprocessImage } from "../src/data/index.js";
import { evaluationBatches } from "../src/data/loading/evaluation.js";
import { openImageNet } from "../src/evaluate/suites/imagenet.js";
import { openSuite } from "../src/evaluate/suites/open.js";
import { checkSuite, loadSuite } from "../src/evaluate/suites/suite.js";
import { pngOf, put, scratchFolder, tarOf } from "./data.helpers.js";

const folder = scratchFolder();
const png = await pngOf(1, 8, 8);
const wnids = Array.from({ length: 1000 }, (_, c) => `n${String(1_000_000 + 7 * c).padStart(8, "0")}`);
const names = wnids.map((_, c) => `thing ${c}`);
const classnames = put(folder, "names.txt", names.join("\n"));
const wnidFile = put(
  folder,
  "synset_words.txt",
  wnids.map((wnid, c) => `${wnid} thing ${c}, other`).join("\n"),
);

suite("suites as they are written", () => {
  const refuse = (value: unknown, message: RegExp) => assert.throws(() => checkSuite(value), message);

  test("wrong keys, roles and tasks are refused with the nearest spelling", () => {
    refuse({ sets: { a: { dat: "x" } } }, /suite: sets\.a\.dat: no such key\. Did you mean "data"\?/);
    refuse({ set: {} }, /suite: set: no such key\. Did you mean "sets"\?/);
    refuse({ sets: { a: {} } }, /sets\.a\.data: must be a source or a list of them; got nothing/);
    refuse(
      { sets: { a: { data: "x", role: "shfit" } } },
      /role: must be one of .*; got "shfit"\. Did you mean "shift"/,
    );
    refuse({ sets: { a: { data: "x", imagenet: "imagenet-s" } } }, /imagenet: must be one of/);
    refuse(
      { sets: { a: { data: "x", tasks: ["few_shots"] } } },
      /no such task; got "few_shots"\. Did you mean "few_shot"/,
    );
    refuse({ sets: { a: { data: "x", role: "train" } } }, /only sets of role train/);
    refuse({ sets: {} }, /must hold a set/);
    refuse(
      { sets: { a: { data: "x", corruptions: { kinds: ["jpg"] } } } },
      /suite: sets\.a\.corruptions: must be true, or \{"kinds", "strengths", "seed"\} .*got \{"kinds":\["jpg"\]\}/,
    );
    refuse([], /must hold a suite \{"sets"/);
  });

  test("paths start from the file, a program is one too, and what probes learn from is named or the only one", async () => {
    const source =
      'const sets: Record<string, object> = { a: { data: "a" }, learn: { data: "b", role: "train" } };';
    const { sets } = await loadSuite(put(folder, "suites/one.ts", `${source}\nexport default { sets };`));
    assert.deepEqual(sets[0]!.data, [join(folder, "suites/a")]);
    assert.deepEqual(sets[0]!.train, { set: "learn" });
    const two = { a: { data: "a" }, b: { data: "b", role: "train" }, c: { data: "c", role: "train" } };
    refuse(
      { sets: two },
      /sets\.a\.train: must say which set probes learn from; got 2 of role train \(b, c\)/,
    );
    const harmed = { a: { data: "x" }, b: { data: "x", corruptions: false } };
    const some = checkSuite({ sets: harmed, corruptions: { strengths: [3] } }).sets;
    assert.deepEqual(
      some.map(({ corruptions }) => corruptions?.strengths),
      [[3], undefined],
    );
    assert.equal(some[0]!.corruptions!.kinds.length, 9);
    await assert.rejects(loadSuite("suite.yaml"), /suite\.yaml: a suite is a \.json/);
  });
});

suite("CLIP_benchmark's folders", () => {
  const tar = (numbers: readonly number[]) =>
    tarOf(
      numbers.flatMap(
        (n) =>
          [
            [`s${n}.png`, png],
            [`s${n}.cls`, `${n % 3}`],
          ] as const,
      ),
    );
  const files: Record<string, string | Uint8Array> = {
    "test/nshards.txt": "2\n",
    "test/0.tar": tar([0, 1]),
    "test/1.tar": tar([2]),
    "train/nshards.txt": "1",
    "train/0.tar": tar([3, 4, 5]),
    "classnames.txt": "cat\ndog\ncow\n",
    "zeroshot_classification_templates.txt": "a photo of {c}\n",
  };
  for (const [name, content] of Object.entries(files)) put(folder, `bench/${name}`, content);

  const check = async (data: string) => {
    const [set] = await openSuite(checkSuite({ sets: { animals: { data } } }), {
      cacheDir: join(folder, "cache"),
    });
    assert.equal(set!.dataset.name, "animals");
    assert.deepEqual([set!.dataset.length, set!.train!.length], [3, 3]);
    assert.equal(readFileSync(set!.classnames as string, "utf8"), files["classnames.txt"]);
    assert.equal(readFileSync(set!.templates as string, "utf8"), "a photo of {c}\n");
  };

  test("are read as they are", () => check(join(folder, "bench")));

  test("are read from an address", async () => {
    const server = createServer((request, response) => {
      const content = files[request.url!.replace("/set/", "")];
      response.statusCode = content === undefined ? 404 : 200;
      response.end(content);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as { port: number };
    try {
      await check(`http://127.0.0.1:${port}/set`);
    } finally {
      server.close();
    }
  });

  test("a multi-label set and a wrong number of shards are refused", async () => {
    const open = (data: string) => openSuite(checkSuite({ sets: { a: { data: join(folder, data) } } }));
    put(folder, "multi/test/nshards.txt", "1");
    put(folder, "multi/dataset_type.txt", "multilabel\n");
    await assert.rejects(
      open("multi"),
      /dataset_type\.txt: must be classification or retrieval; got "multilabel"/,
    );
    put(folder, "none/test/nshards.txt", "many");
    await assert.rejects(open("none"), /nshards\.txt: must hold the number of tars; got "many"/);
  });
});

suite("ImageNet's test sets", () => {
  const open = (variant: Parameters<typeof openImageNet>[0]["variant"], data: string, more = {}) =>
    openImageNet({ name: variant, variant, data: [join(folder, data)], classnames, ...more }, {});
  const rightOf = ({ dataset, classes }: Awaited<ReturnType<typeof openImageNet>>) =>
    new Map(
      Array.from({ length: dataset.length }, (_, i) => [
        dataset.sample(i).key,
        classes.answers[i]!.map((c) => classes.names[c]![0]),
      ]),
    );

  test("V2's folders are numbers: 2 comes before 10", async () => {
    for (let c = 0; c < 1000; c++) put(folder, `v2/${c}/a.png`, png);
    const right = rightOf(await open("imagenet-v2", "v2"));
    for (const c of [0, 2, 10, 999]) assert.deepEqual(right.get(`${c}/a`), [`thing ${c}`]);
    const set = await open("imagenet-v2", "v2", { wnids: wnidFile });
    assert.equal(set.dataset.sample(0).label, wnids[set.classes.answers[0]![0]!]); // as probes know them
    await assert.rejects(
      open("imagenet", "v2"),
      /suite imagenet: imagenet is a folder for each WordNet id; got "0"/,
    );
  });

  test("A has 200 of the classes, the others masked; another count is refused with what was found", async () => {
    const own = wnids.filter((_, c) => c % 5 === 3);
    for (const wnid of own) put(folder, `a/${wnid}/x.png`, png);
    const set = await open("imagenet-a", "a", { wnids: wnidFile });
    assert.equal(set.classes.names.length, 200);
    assert.deepEqual(rightOf(set).get(`${own[1]}/x`), ["thing 8"]);
    assert.match(set.classes.notes[0]!, /800 of 1000 classes are masked/);
    await assert.rejects(open("imagenet-a", "a"), /wnids: which of the 1,000 classes its 200 folders are/);
    await assert.rejects(open("imagenet-sketch", "a"), /has 1000 classes, .*; got 200 \(n0/);
    await assert.rejects(
      open("imagenet-r", "v2", { wnids: wnidFile }),
      /imagenet-r has 200 classes, a folder for each WordNet id; got 1000/,
    );
    await assert.rejects(
      open("imagenet-a", "a", { classnames: undefined }),
      /classnames: must be the 1,000 names/,
    );
    const keyed = Object.fromEntries(wnids.map((wnid, c) => [wnid, [names[c]!, "synonym"]]).reverse());
    const file = put(folder, "keyed.json", JSON.stringify(keyed));
    const named = await open("imagenet-a", "a", { classnames: file });
    assert.deepEqual(named.classes.names[0], ["thing 3", "synonym"]);
  });

  test("ReaL: any listed class is right, and a picture without one is left out", async () => {
    const key = (n: number) => `ILSVRC2012_val_${String(n).padStart(8, "0")}`;
    for (const n of [1, 2, 3]) put(folder, `val/${key(n)}.png`, png);
    const answers = put(folder, "real.json", JSON.stringify([[7, 5], [], [999]]));
    const set = await open("imagenet-real", "val", { answers });
    const right = rightOf(set);
    assert.deepEqual(right.get(key(1)), ["thing 7", "thing 5"]);
    assert.deepEqual(right.get(key(2)), []);
    assert.deepEqual(right.get(key(3)), ["thing 999"]);
    assert.match(set.classes.notes[0]!, /^1 pictures of imagenet-real have no right answer/);
    const short = put(folder, "short.json", "[[7]]");
    await assert.rejects(
      open("imagenet-real", "val", { answers: short }),
      /a list for picture 2; got 1 lists/,
    );

    const csv = put(
      folder,
      "LOC.csv",
      `ImageId,P\n${key(2)},${wnids[4]} 1 2 3 4\n${key(1)},${wnids[0]} 0 0 9 9\n${key(3)},${wnids[9]} 1 1 1 1`,
    );
    const flat = rightOf(await open("imagenet", "val", { answers: csv, wnids: wnidFile }));
    assert.deepEqual(
      [1, 2, 3].map((n) => flat.get(key(n))![0]),
      ["thing 0", "thing 4", "thing 9"],
    );
    const ids = put(folder, "ids.txt", "490\n361\n171\n");
    await assert.rejects(
      open("imagenet", "val", { answers: ids }),
      /are ILSVRC2012 ids, which are not in the order/,
    );
  });

  test("ObjectNet: mapped by its files, other objects left out, the border cut off", async () => {
    const edged = await sharp({ create: { width: 8, height: 8, channels: 3, background: "white" } })
      .extend({ top: 2, bottom: 2, left: 2, right: 2, background: "red" })
      .png()
      .toBuffer();
    for (const name of ["alarm_clock", "bench", "ruler_cup"]) put(folder, `objects/${name}/1.png`, edged);
    const json = {
      "folder_to_objectnet_label.json": { alarm_clock: "Alarm clock", bench: "Bench", ruler_cup: "Cup" },
    };
    for (const [file, value] of Object.entries({
      ...json,
      "objectnet_to_imagenet_1k.json": { "Alarm clock": "analog clock; digital clock", Bench: "park bench" },
      "pytorch_to_imagenet_2012_id.json": { 409: 2, 530: 0, 703: 1 },
    }))
      put(folder, `mappings/${file}`, JSON.stringify(value));
    put(folder, "mappings/imagenet_to_label_2012_v2", "digital clock\npark bench\nanalog clock\n");
    const set = await open("objectnet", "objects", { answers: join(folder, "mappings") });
    const right = rightOf(set);
    assert.deepEqual(right.get("alarm_clock/1"), ["thing 409", "thing 530"]);
    assert.deepEqual(right.get("bench/1"), ["thing 703"]);
    assert.deepEqual(right.get("ruler_cup/1"), []);
    assert.equal(set.classes.names.length, 3);
    const pipeline = evaluationPipeline(4);
    for await (const { images } of evaluationBatches(set.dataset, { batchSize: 3, pipeline, workers: 1 }))
      assert.ok(images.every((x) => x === 255));
    assert.ok((await preprocessImage(edged, pipeline)).some((x) => x !== 255));
  });
});
