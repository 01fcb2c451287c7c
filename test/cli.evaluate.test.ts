import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import sharp from "sharp";
import { evaluateCommand } from "../src/cli/commands/evaluate.js";
import { readNpy } from "../src/core/npy.js";
import { parseEvaluation } from "../src/evaluate/records.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";
import { makeRun } from "./support/run-folder.js";

const evaluate = (...words: string[]) =>
  runWords([evaluateCommand], ["evaluate", ...words, "--threads", "1", "--workers", "1"]);

const lines = (out: string): Record<string, unknown>[] =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

suite("clipwright evaluate", () => {
  const folder = scratchFolder();
  const model = fixture("embed"); // random weights, so scores are about chance

  test("classes of a labelled set, by a model that knows nothing: about chance, in lines of the stated form", async () => {
    const labels = ["cat", "dog", "tree", "car"];
    for (const [c, label] of labels.entries())
      for (let i = 0; i < 8; i++) put(folder, `set/${label}/${i}.png`, await pngOf(31 * c + i));
    const { code, out } = await evaluate(model, "--data", join(folder, "set"), "--json");
    assert.equal(code, 0);
    const scores = lines(out);
    assert.deepEqual(
      scores.map(({ metric }) => metric),
      ["acc1", "acc5", "mean_per_class_recall"],
    );
    for (const score of scores) {
      assert.deepEqual(Object.keys(score), [
        "dataset",
        "task",
        "metric",
        "value",
        "low",
        "high",
        "n",
        "chance",
      ]);
      assert.deepEqual([score.dataset, score.task, score.n], ["set", "zeroshot_classification", 32]);
    }
    const [acc1, acc5] = scores as { value: number; low: number; high: number }[];
    assert.ok(acc1!.value < 0.6 && acc1!.low <= acc1!.value && acc1!.value <= acc1!.high);
    assert.equal(acc5!.value, 1); // of four classes
  });

  test("retrieval with five captions an image counts every caption, and each image once", async () => {
    for (let i = 0; i < 12; i++) {
      put(folder, `pairs/${i}.png`, await pngOf(i));
      put(
        folder,
        `pairs/${i}.txt`,
        Array.from({ length: 5 }, (_, k) => `thing ${i} seen ${k} times`).join("\n"),
      );
    }
    const { out } = await evaluate(model, "--data", join(folder, "pairs"), "--json");
    const n = Object.fromEntries(lines(out).map((score) => [score.metric, score.n]));
    assert.equal(n["image_retrieval_recall@1"], 60);
    assert.equal(n["text_retrieval_recall@1"], 12);
  });

  test("scores of a run's checkpoint are kept with the run, whichever of its paths is given", async () => {
    const run = join(folder, "runs/one");
    const checkpoint = join(run, "checkpoints/step-00000007");
    mkdirSync(checkpoint, { recursive: true });
    for (const file of ["open_clip_config.json", "bpe_simple_vocab_16e6.txt.gz"])
      cpSync(join(model, file), join(run, file));
    cpSync(join(model, "open_clip_model.safetensors"), join(checkpoint, "params.safetensors"));
    for (const path of [checkpoint, join(checkpoint, "params.safetensors")]) {
      const { code, err } = await evaluate(path, "--data", join(folder, "pairs"), "--name", "held-out");
      assert.equal(code, 0, err);
    }
    const kept = parseEvaluation(readFileSync(join(run, "evaluation.jsonl"), "utf8"));
    assert.equal(kept.length, 16);
    assert.ok(kept.every(({ step, dataset }) => step === 7 && dataset === "held-out"));
  });

  test("a run alone is scored on what it held out; data that it was trained on are told, and how many", async () => {
    const pairs = join(folder, "pairs");
    const recipe = { model: "ViT-B-32", trainData: pairs, steps: 3, batchSize: 4, valSplit: 0.25 };
    const run = makeRun(join(folder, "runs/split"), recipe);

    const held = lines((await evaluate(run, "--json")).out);
    const asked = held.find(({ metric }) => metric === "text_retrieval_recall@1");
    assert.deepEqual([asked!.n, asked!.split, asked!.seen], [3, "val", 0]);

    const seen = await evaluate(run, "--data", pairs);
    assert.match(seen.out, /^pairs: 9 of its pictures were trained on; new ones may score lower\.$/m);

    put(run, "config.json", JSON.stringify({ ...recipe, valSplit: 0 }));
    const none = await evaluate(run);
    assert.match(none.err, /holds nothing out to be scored on; .* Give --data/);
    put(run, "config.json", JSON.stringify({ ...recipe, trainData: join(folder, "gone") }));
    const unknown = await evaluate(run, "--data", pairs, "--json");
    assert.match(unknown.err, /Whether pairs was trained on is not known: .*gone/);
    assert.ok(lines(unknown.out).every((score) => !("seen" in score)));
  });

  test("test pictures that stand in the training data are found, shown, and left out of a second score", async () => {
    const pairs = join(folder, "pairs");
    const recipe = { model: "ViT-B-32", trainData: pairs, steps: 3, batchSize: 4 };
    const run = makeRun(join(folder, "runs/leaky"), recipe);
    for (let i = 0; i < 10; i++) {
      const bytes = i < 4 ? readFileSync(join(pairs, `${i}.png`)) : await pngOf(300 + i);
      put(folder, `leaky/${i}.png`, i === 3 ? await sharp(bytes).jpeg({ quality: 70 }).toBuffer() : bytes);
      put(folder, `leaky/${i}.txt`, `another ${i}`);
    }
    const words = ["--data", join(folder, "leaky"), "--leaks", "--no-keep-features"];
    const { code, out, err } = await evaluate(run, ...words, "--leaks-by", "bytes");
    assert.equal(code, 0, err);
    assert.match(out, /^4 of 10 pictures of leaky stand in pairs too\.$/m);
    assert.match(out, /^3 are the same bytes; 1 more have perceptual hashes at most 8 of 64 bits apart/m);
    assert.match(out, /^ {2}0 = 0 \(the same bytes\)$/m);
    assert.match(out, /^ +all +new ones +the others +new − all$/m);
    const shown = readFileSync(join(run, "leaks/leaky/index.html"), "utf8");
    assert.equal(shown.match(/<img /g)!.length, 8);
    const kept = lines(readFileSync(join(run, "leaks/leaky/pairs.jsonl"), "utf8"));
    assert.deepEqual(kept[0], { test: "0", training: "0", kind: "exact" });
    assert.equal(kept[3]!.kind, "perceptual");

    const all = await evaluate(run, ...words);
    assert.match(
      all.out,
      /more have a cosine of 0\.\d+ or higher, which finds these shares of copies made of 10 /,
    );
    const unknown = await evaluate(model, ...words);
    assert.match(unknown.err, /what a model that is no run's was trained on is not known; .* Give --against/);
    const against = await evaluate(model, ...words, "--against", pairs, "--leaks-by", "bytes");
    assert.match(against.out, /^4 of 10 pictures of leaky stand in pairs too\.$/m);
  });

  test("labels that are numbers leave zero-shot out where captions can be scored, and are named by a file", async () => {
    const rows = Array.from({ length: 4 }, (_, i) => `pairs/${i}.png,${[10, 2, 1, 2][i]},thing ${i}`);
    const csv = put(folder, "numbers.csv", ["filepath,label,caption", ...rows].join("\n"));
    const bare = await evaluate(model, "--data", csv, "--json");
    assert.match(bare.err, /! zero-shot is left out\. data numbers: its 3 labels are numbers \(1, 2, 10\)/);
    assert.ok(lines(bare.out).every(({ task }) => task === "zeroshot_retrieval"));
    const names = put(folder, "names.json", '{"1": "one", "2": "two", "10": "ten"}');
    const named = await evaluate(model, "--data", csv, "--json", "--classnames", names);
    assert.equal(lines(named.out)[0]!.metric, "acc1");
    const bad = await evaluate(model, "--data", csv, "--task", "zeroshot");
    assert.match(bad.err, /labels are numbers .*Give --classnames/);
  });

  test("prompts that are cut before the class's name, and classes that come out the same, are counted", async () => {
    const long = Array.from({ length: 100 }, (_, i) => `word${i}`).join(" ");
    const templates = put(folder, "long.txt", `${long} {c}\n`);
    const { err } = await evaluate(model, "--data", join(folder, "set"), "--templates", templates);
    assert.match(err, /! 4 of 4 prompts are longer than the model reads and were cut/);
    assert.match(err, /! 4 classes have the same embedding as another .* e\.g\. "car" and "cat"/);
  });

  test("data without what the task needs are refused in one line", async () => {
    const zeroshot = await evaluate(model, "--data", join(folder, "pairs"), "--task", "zeroshot");
    assert.match(zeroshot.err, /^clipwright: data pairs: classes need labels; .*\n$/);
    const words = ["--data", join(folder, "pairs"), "--task", "retrieval", "--templates", "simple"];
    assert.match((await evaluate(model, ...words)).err, /templates are for zero-shot; got --task retrieval/);
    assert.match((await evaluate()).err, /what is scored must be given; got no RUN/);
    assert.match((await evaluate(model)).err, /has held nothing out; got no --data/);
    put(folder, "broken/a.png", "no picture");
    put(folder, "broken/a.txt", "a thing");
    const broken = await evaluate(model, "--data", join(folder, "broken"));
    assert.equal(broken.code, 1);
    assert.match(broken.err, /must have an image that can be read; got 1 broken, the first a: /);
  });

  test("several runs on a suite stand side by side; CLIP_benchmark's JSON and CSV; features as .npy", async () => {
    const labels = ["cat", "dog", "tree", "car"];
    for (const [c, label] of labels.entries())
      for (let i = 0; i < 2; i++) put(folder, `small/${label}/${i}.png`, await pngOf(31 * c + i));
    const sets = {
      first: { data: "small", role: "reference" },
      second: { data: "small", tasks: ["nearest_neighbours"], train: "small" },
    };
    const file = put(folder, "suite.json", JSON.stringify({ sets }));
    const other = join(folder, "other");
    cpSync(model, other, { recursive: true });
    const both = [model, other, "--suite", file];
    const saved = join(folder, "saved");
    const { out, err } = await evaluate(...both, "--save-features", saved);
    assert.match(out, /^ +embed +other\nfirst {2}top-1 +[\d.]+ % \([^)]*\) +[\d.]+ % \(/, err);
    assert.match(out, /^second {2}10 neighbours +100\.0 %/m);
    const rows = readNpy(join(saved, "embed/first/images.npy"));
    assert.equal(rows.shape[0], 8);
    const samples = readFileSync(join(saved, "embed/first/samples.jsonl"), "utf8").trim().split("\n");
    assert.deepEqual(JSON.parse(samples[0]!), { key: "car/0", label: "car" });
    assert.equal(readNpy(join(saved, "embed/first/classes.npy")).shape[0], 4);

    const results = JSON.parse((await evaluate(...both, "--format", "clip-benchmark")).out);
    assert.equal(results.length, 4);
    const [one] = results;
    assert.deepEqual(Object.keys(one), ["dataset", "model", "pretrained", "task", "metrics", "language"]);
    assert.deepEqual(Object.keys(one.metrics), ["acc1", "acc5", "mean_per_class_recall"]);
    const csv = (await evaluate(...both, "--format", "clip-benchmark-csv")).out.split("\n");
    assert.match(csv[0]!, /^dataset,language,model,model_fullname,pretrained,task,acc1,acc5,/);
    assert.match(csv[1]!, /^first,en,embed,embed .*,zeroshot_classification,[\d.]+,/);
    const named = lines((await evaluate(...both, "--json")).out);
    assert.deepEqual([...new Set(named.map(({ run }) => run))], [model, other]);

    const wrong = await evaluate(model, "--suite", file, "--data", join(folder, "small"));
    assert.match(wrong.err, /a suite names its own data; got --data too/);
  });

  test("corrupted pictures: a score for each kind and strength, their means, and what is kept, paired by picture", async () => {
    for (const [c, label] of ["cat", "dog", "tree"].entries())
      for (let i = 0; i < 4; i++) put(folder, `harmed/${label}/${i}.png`, await pngOf(31 * c + i));
    const data = ["--data", join(folder, "harmed"), "--corruption-kinds", "jpeg,gaussian-noise"];
    const words = [...data, "--corruption-strengths", "1,5"];
    const records = lines((await evaluate(model, ...words, "--json")).out);
    const acc1 = records.filter(({ metric }) => metric === "acc1");
    assert.deepEqual(
      acc1.map(({ dataset }) => dataset),
      [
        "harmed",
        ...["jpeg 1", "jpeg 5", "gaussian-noise 1", "gaussian-noise 5"].map((kind) => `harmed, ${kind}`),
        ...["jpeg", "gaussian-noise", "corrupted"].map((kind) => `harmed, ${kind}`),
      ],
    );
    const value = (at: number) => acc1[at]!.value as number;
    assert.ok(Math.abs(value(7) - (value(1) + value(2) + value(3) + value(4)) / 4) < 1e-12);
    const { kept, ...rest } = acc1[7]!.corruption as { kept: { value: number; low: number; high: number } };
    assert.deepEqual(rest, { of: "harmed", kind: "all", seed: 0 });
    assert.ok(Math.abs(kept.value - value(7) / value(0)) < 1e-12);
    assert.ok(kept.low <= kept.value && kept.value <= kept.high);
    // Recall means over classes are no mean over pictures.
    assert.ok(!records.some(({ metric, corruption }) => metric === "mean_per_class_recall" && corruption));

    const { out } = await evaluate(model, ...words);
    assert.match(out, /^harmed, corrupted: top-1, %\n +1 +5 +mean +kept of the clean score$/m);
    assert.match(out, /^mean of all +[\d.]+ +[\d.]+ % \([\d.]+ – [\d.]+\)$/m);
    const probes = await evaluate(model, ...data, "--task", "linear_probe", "--probe-data", data[1]!);
    assert.match(probes.err, /corrupted pictures are scored by tasks that learn nothing; got linear_probe/);
  });

  test("shifts beside a reference: their mean and what is lost, and why two runs draw no line", async () => {
    const other = join(folder, "other");
    const sets = {
      photos: { data: "small", role: "reference" },
      sketches: { data: "small", role: "shift" },
    };
    const file = put(folder, "shifts.json", JSON.stringify({ sets }));
    const both = [model, other, "--suite", file];
    const { out, err } = await evaluate(...both);
    assert.match(out, /^mean of 1 shift {2}top-1 +[\d.]+ % \(/m);
    assert.match(out, /^mean of 1 shift {2}top-1, lost +0\.0 % \(/m);
    assert.match(err, /! effective robustness: the baseline needs 5 models .* got 2 that span 0\.0/);
    const named = lines((await evaluate(...both, "--json")).out);
    assert.equal(named.filter(({ metric }) => metric === "acc1_drop").length, 2);
    const wrong = await evaluate(...both, "--baseline", "runs/none");
    assert.match(wrong.err, /baseline: must be some of the runs; got runs\/none/);
    const two = { a: { data: "small", role: "reference" }, b: { data: "small", role: "reference" } };
    const refused = put(folder, "two.json", JSON.stringify({ sets: two }));
    assert.match(
      (await evaluate(model, "--suite", refused)).err,
      /one set is the reference that shifts are held against; got a, b/,
    );
  });
});
