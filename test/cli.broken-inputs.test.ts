/** What people get wrong, as they would type it: each must end in one clear line and lose nothing. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { entryOf } from "../src/cli/command.js";
import { makeTrainCommand } from "../src/cli/commands/train.js";
import { commands } from "../src/cli/commands.js";
import { runCommandLine } from "../src/cli/shell.js";
import { SafetensorsFile, writeSafetensors } from "../src/core/safetensors.js";
import type { TrainFunction } from "../src/train/hooks.js";
import { checkRecipe } from "../src/train/recipe/recipe.js";
import { Run } from "../src/train/run/folder.js";
import { train } from "../src/train/train.js";
import { pngOf, put, scratchFolder, tarOf } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";

const folder = scratchFolder();
const at = (name: string) => join(folder, name);

/** Runs a command line; gives what a person sees. */
const clipwright = (...words: string[]) => runWords(commands, words, { columns: 100 });

const tiny = {
  embed_dim: 8,
  vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
  text_cfg: { context_length: 12, width: 16, heads: 2, layers: 1 },
};

/** As a person who presses Ctrl-C as soon as the progress appears; gives the exit code. */
async function stoppedAfterOneStep(words: readonly string[]): Promise<number> {
  const stopped: TrainFunction = (recipe, hooks) => {
    const stop = new AbortController();
    return train(recipe, { ...hooks, onStep: () => stop.abort(), signal: stop.signal });
  };
  const terminal = { out() {}, err() {}, interactive: false, columns: 80, color: false };
  return runCommandLine([entryOf(makeTrainCommand(async () => stopped))], words, terminal);
}

let runs = 0;
/** A training that would work, in a run folder of its own. */
const training = (more: Readonly<Record<string, string | undefined>> = {}): string[] => {
  const options = {
    model: at("tiny.json"),
    "train-data": at("pairs"),
    logs: at("runs"),
    name: `run-${runs++}`,
    "batch-size": "4",
    "vocab-size": "270",
    steps: "2",
    workers: "1",
    threads: "1",
    ...more,
  };
  return [
    "train",
    ...Object.entries(options).flatMap(([key, value]) => (value === undefined ? [] : [`--${key}`, value])),
  ];
};

interface Case {
  /** What somebody did. */
  readonly fault: string;
  readonly words: () => string[];
  /** The line that tells it, without the program's name. */
  readonly tells: RegExp;
  readonly code?: 1 | 2;
}

let server: Server;
let closedPort = 0;
/** A run that this process holds open. */
let other: Run | undefined;
const address = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`;
const csv = (name: string, text: string) => put(folder, name, text);

const cases: readonly Case[] = [
  {
    fault: "data that are not there",
    words: () => training({ "train-data": at("pears") }),
    tells: /pears.*Did you mean "pairs"/,
  },
  {
    fault: "an empty folder",
    words: () => training({ "train-data": at("empty") }),
    tells: /empty: holds no images.*; got an empty folder/,
  },
  { fault: "images without captions", words: () => training({ "train-data": at("bare") }), tells: /caption/ },
  {
    fault: "a tar of images without captions",
    words: () => training({ "train-data": at("bare.tar") }),
    tells: /--train-data: pairs need captions; got 1 images of "bare", none with one/,
    code: 2,
  },
  {
    fault: "a CSV without an image column",
    words: () => training({ "train-data": csv("words.csv", "id,text\n1,one\n2,two\n") }),
    tells: /words\.csv.*--csv-img-key/,
  },
  {
    fault: "a CSV whose images are all missing",
    words: () => training({ "train-data": csv("gone.csv", "filepath,title\nno/1.png,one\nno/2.png,two\n") }),
    tells: /gone\.csv: none of the first 2 images exist.*--image-root/,
  },
  {
    fault: "a CSV column that is not there",
    words: () =>
      training({
        "train-data": csv("some.csv", "filepath,title\npairs/1.png,one\n"),
        "csv-caption-key": "titel",
      }),
    tells: /titel.*title/,
  },
  {
    fault: "a Parquet file without its end",
    words: () => training({ "train-data": at("cut.parquet") }),
    tells: /cut\.parquet/,
  },
  {
    fault: "a tar cut short",
    words: () => training({ "train-data": at("cut.tar") }),
    tells: /cut\.tar: is cut short/,
  },
  {
    fault: "a tar of something else",
    words: () => training({ "train-data": at("texts.tar") }),
    tells: /no member is an image.*2 \.md/,
  },
  {
    fault: "nothing but unreadable images",
    words: () => training({ "train-data": at("broken"), "batch-size": "2" }),
    tells: /no image of "broken" can be read/,
  },
  {
    fault: "an address that is not there",
    words: () => training({ "train-data": address("x.tar") }),
    tells: /x\.tar.*404/,
  },
  {
    fault: "a server that does not answer",
    words: () => training({ "train-data": `http://127.0.0.1:${closedPort}/x.tar` }),
    tells: /x\.tar: failed \(.*ECONNREFUSED.*Check the address/,
  },
  {
    fault: "an unknown option",
    words: () => training({ "learning-rat": "1" }),
    tells: /--learning-rat: no such option/,
    code: 2,
  },
  { fault: "an unknown command", words: () => ["trian"], tells: /Did you mean "train"/, code: 2 },
  {
    fault: "an unknown model",
    words: () => training({ model: "ViT-B-23" }),
    tells: /ViT-B-23.*Did you mean "ViT-B-32"/,
    code: 2,
  },
  {
    fault: "a model's file with a mistake",
    words: () => training({ model: put(folder, "bad.json", '{"embed_dim": 8,}') }),
    tells: /bad\.json:1:\d+: must be JSON/,
  },
  {
    fault: "an image size that patches do not divide",
    words: () => training({ "force-image-size": "20" }),
    tells:
      /--force-image-size: must be a multiple of 8, the model's patches; got --force-image-size=20\. Write --force-image-size 16 or 24/,
    code: 2,
  },
  {
    fault: "a context too short for a start and an end",
    words: () => training({ "force-context-length": "2" }),
    tells: /context/i,
    code: 2,
  },
  {
    fault: "more in a batch than there are pairs",
    words: () => training({ "batch-size": "64" }),
    tells: /--batch-size: must not exceed the training set; got --batch-size=64, 12 samples/,
    code: 2,
  },
  {
    fault: "a tokenizer that is something else",
    words: () => training({ tokenizer: at("pairs/1.txt"), "vocab-size": undefined }),
    tells: /1\.txt: must be a tokenizer\.json/,
  },
  {
    fault: "a tokenizer that is not there",
    words: () => training({ tokenizer: at("tokenizer.jsn"), "vocab-size": undefined }),
    tells: /tokenizer\.jsn: no such file/,
  },
  {
    fault: "a recipe that is not there",
    words: () => ["train", at("recipe.json")],
    tells: /recipe\.json: no such file/,
  },
  {
    fault: "a recipe that is no JSON",
    words: () => ["train", put(folder, "cut-recipe.json", '{\n  "model": "x"')],
    tells: /cut-recipe\.json:2:\d+: must be JSON/,
  },
  {
    fault: "a recipe with a word misspelt",
    words: () => ["train", put(folder, "misspelt.json", '{"model":"ViT-S-32","trainData":"x","epoch":3}')],
    tells: /epoch: no such setting.*Did you mean "epochs"/,
    code: 2,
  },
  {
    fault: "a recipe that fails to load",
    words: () => ["train", put(folder, "throws.mjs", "throw new Error('at\\nlast')")],
    tells: /throws\.mjs: the recipe cannot be loaded/,
  },
  {
    fault: "a number that is none",
    words: () => training({ lr: "fast" }),
    tells: /--lr: must be a number above 0; got --lr="fast"/,
    code: 2,
  },
  {
    fault: "logs where a file stands",
    words: () => training({ logs: at("tiny.json") }),
    tells: /cannot open the run .*\(ENOTDIR\)/,
  },
  {
    fault: "a run's name that is taken by something else",
    words: () => training({ logs: folder, name: "pairs" }),
    tells: /pairs.*--name/,
  },
  {
    fault: "class names, for scores during training, that do not match",
    words: () =>
      training({
        "zeroshot-data": at("classes"),
        "zeroshot-classnames": put(folder, "three.txt", "cat\ndog\nbird\n"),
      }),
    tells: /three\.txt: must name every class/,
  },
  {
    fault: "class names for data without labels",
    words: () => ["evaluate", at("runs/good"), "--data", at("pairs"), "--task", "zeroshot"],
    tells: /need labels; got none/,
  },
  {
    fault: "class names that do not match the labels",
    words: () => [
      "evaluate",
      at("runs/good"),
      "--data",
      at("classes"),
      "--classnames",
      put(folder, "names.txt", "cat\ndog\nbird\n"),
    ],
    tells: /names\.txt: must name every class/,
  },
  {
    fault: "retrieval without captions",
    words: () => ["evaluate", at("runs/good"), "--data", at("bare.tar"), "--task", "retrieval"],
    tells: /needs captions; got none/,
  },
  {
    fault: "weights of another model",
    words: () => [
      "evaluate",
      at("other.safetensors"),
      "--model",
      at("tiny.json"),
      "--tokenizer",
      at("runs/good"),
      "--data",
      at("pairs"),
    ],
    tells: /other\.safetensors/,
  },
  {
    fault: "weights that are no safetensors",
    words: () => [
      "embed",
      at("pairs/1.png"),
      "--model",
      at("tiny.json"),
      "--text",
      "a",
      "--tokenizer",
      at("runs/good"),
    ],
    tells: /1\.png/,
  },
  {
    fault: "a run that has not been trained",
    words: () => ["evaluate", at("empty"), "--data", at("pairs")],
    tells: /must be a run with a checkpoint/,
  },
  {
    fault: "a run that is not there",
    words: () => ["evaluate", at("runs/god"), "--data", at("pairs")],
    tells: /runs.god: no such file.*Did you mean "good"/,
  },
  {
    fault: "a Parquet column that is not there",
    words: () => training({ "train-data": fixture("data/struct.parquet"), "csv-img-key": "imag" }),
    tells: /struct\.parquet: has no column "imag".*Did you mean "image"/,
  },
  {
    fault: "a line of JSONL that is none",
    words: () =>
      training({ "train-data": put(folder, "bad.jsonl", '{"image":"pairs/1.png","text":"a"}\n{"image":\n') }),
    tells: /bad\.jsonl.*2/,
  },
  {
    fault: "a context longer than any",
    words: () => training({ "force-context-length": "5000" }),
    tells: /--force-context-length: must be an integer from 2 to 4096; got --force-context-length=5000/,
    code: 2,
  },
  {
    fault: "an unknown model to time",
    words: () => ["bench", "step", "--model", "ViT-B-23"],
    tells: /ViT-B-23.*Did you mean "ViT-B-32"/,
    code: 2,
  },
  {
    fault: "a run that another process writes to",
    words: () => {
      other = Run.open(
        checkRecipe({ model: "m", trainData: "d", steps: 2, logs: at("runs"), name: "taken" }),
      );
      return training({
        name: "taken",
        model: "m",
        "train-data": "d",
        "batch-size": "64",
        "vocab-size": undefined,
      });
    },
    tells: /another process writes to it; got process \d+ since/,
  },
  {
    fault: "other settings for a run that has a checkpoint",
    words: () => training({ name: "good", lr: "2e-3" }),
    tells: /was begun with other settings; got lr 0\.002 \(was 0\.001\)\..*--name good-2/,
  },
  {
    fault: "other data under a run that has a checkpoint",
    words: () => training({ name: "half", steps: "4", "train-data": at("growing") }),
    tells: /--train-data: must be what the run began with; got 13 samples, was 12/,
    code: 2,
  },
  {
    fault: "a run that is to be left alone",
    words: () => training({ name: "good", lr: "1e-3", resume: "none" }),
    tells: /exists already, and --resume none leaves it alone/,
  },
  {
    fault: "a learning rate beyond all measure",
    words: () =>
      training({
        name: "hot",
        lr: "1e30",
        warmup: "0",
        steps: "20",
        "save-frequency": "1 steps",
        "grad-clip-norm": "0",
      }),
    tells:
      /loss: must be finite; got loss=.* at step \d+\. .*Lower --lr.*Samples of the batch: \d+, \d+, \d+, \d+\. The last checkpoint, of step \d+, was finite when it was saved\.$/,
  },
  {
    fault: "weights that are not finite when the run ends",
    words: () => training({ lr: "1e39", warmup: "0", steps: "1", "grad-clip-norm": "0" }),
    tells:
      /state: must be finite; got NaN or infinity in .* after step 1\. Lower --lr.*it is not saved\. There is no checkpoint yet\.$/,
  },
  {
    fault: "other captions under a run that has a checkpoint",
    words: () => training({ name: "reworded", steps: "4", "train-data": at("rewording") }),
    tells: /--train-data: must be what the run began with; got other captions or labels\. Restore the data/,
    code: 2,
  },
  {
    fault: "weights with a NaN in them",
    words: () => [
      ...["embed", at("nan.safetensors"), "--model", at("runs/good/model.json")],
      ...["--tokenizer", at("runs/good"), "--text", "a"],
    ],
    tells: /nan\.safetensors: weights must be finite; got NaN or infinity in "logit_scale"/,
  },
  {
    fault: "a checkpoint with a bit turned, given by itself",
    words: () => ["embed", at("turned/checkpoints/step-00000002"), "--text", "a"],
    tells:
      /step-00000002: the checkpoint must be as it was written; params\.safetensors does not fit its checksum/,
  },
  { fault: "no data at all to look at", words: () => ["inspect", at("nothing")], tells: /nothing/ },
];

suite("clipwright, given something broken", { concurrency: 1 }, () => {
  let good = "";
  const digest = (path: string): string =>
    readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const file = join(entry.parentPath, entry.name);
        return `${file} ${createHash("sha256").update(readFileSync(file)).digest("hex")}`;
      })
      .sort()
      .join("\n");

  before(async () => {
    put(folder, "tiny.json", JSON.stringify(tiny));
    mkdirSync(at("empty"));
    for (let i = 0; i < 12; i++) {
      const png = await pngOf(i);
      put(folder, `pairs/${i}.png`, png);
      put(folder, `pairs/${i}.txt`, `picture ${i}`);
      if (i < 4) put(folder, `bare/${i}.png`, png);
      put(folder, `classes/${i % 2 ? "apple" : "pear"}/${i}.png`, png);
      if (i < 4) put(folder, `broken/${i}.jpg`, "no picture");
      if (i < 4) put(folder, `broken/${i}.txt`, "words");
    }
    const tar = tarOf([
      ["a.png", await pngOf(1)],
      ["a.txt", "a picture"],
    ]);
    put(folder, "bare.tar", tarOf([["a.png", await pngOf(1)]]));
    put(folder, "cut.tar", tar.subarray(0, 700));
    put(
      folder,
      "texts.tar",
      tarOf([
        ["a.md", "x"],
        ["b.md", "y"],
      ]),
    );
    put(folder, "cut.parquet", Buffer.concat([Buffer.from("PAR1"), Buffer.alloc(100)]));
    server = createServer((_, response) => {
      response.statusCode = 404;
      response.end();
    }).listen(0, "127.0.0.1");
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    closedPort = (closed.address() as AddressInfo).port;
    closed.close();
    const { code, err } = await clipwright(...training({ name: "good", lr: "1e-3" }));
    assert.equal(code, 0, err);
    const checkpoint = at("runs/good/checkpoints/step-00000002/params.safetensors");
    using file = new SafetensorsFile(checkpoint);
    const [name] = file.names;
    writeSafetensors(at("other.safetensors"), [
      { name: name!, dtype: "f32", shape: [1], data: Float32Array.of(1) },
    ]);
    const tensors = file.names.map((each) => ({ ...file.info(each), data: file.read(each) }));
    tensors.find(({ name }) => name === "logit_scale")!.data[0] = Number.NaN;
    writeSafetensors(at("nan.safetensors"), tensors);
    cpSync(at("runs/good"), at("turned"), { recursive: true });
    const turned = at("turned/checkpoints/step-00000002/params.safetensors");
    const bytes = readFileSync(turned);
    bytes[bytes.length - 1]! ^= 1;
    put(folder, "turned/checkpoints/step-00000002/params.safetensors", bytes);
    cpSync(at("pairs"), at("rewording"), { recursive: true });
    const words = training({ name: "reworded", steps: "4", "train-data": at("rewording") });
    assert.equal(await stoppedAfterOneStep(words), 130);
    for (let i = 0; i < 12; i++) put(folder, `rewording/${i}.txt`, `pictures ${i}`);
    cpSync(at("pairs"), at("growing"), { recursive: true });
    const half = training({ name: "half", steps: "4", "train-data": at("growing") });
    assert.equal(await stoppedAfterOneStep(half), 130);
    put(folder, "growing/12.png", await pngOf(12));
    put(folder, "growing/12.txt", "one more");
    good = digest(at("runs/good"));
  });
  after(() => {
    server.close();
    other?.[Symbol.dispose]();
  });

  for (const { fault, words, tells, code = 1 } of cases) {
    test(fault, async () => {
      const said = await clipwright(...words());
      if (process.env.SHOW) process.stderr.write(`${said.code} ${said.err}`);
      const last = said.err.trimEnd().split("\n").at(-1)!;
      assert.match(last, /^clipwright: .*[.?]$/, said.err);
      assert.match(last, tells);
      assert.equal(said.err.match(/^clipwright: /gm)!.length, 1);
      assert.equal(said.code, code);
      assert.equal(digest(at("runs/good")), good, "earlier work is as it was");
      const started = readdirSync(at("runs")).filter((name) => /^run-\d+$/.test(name));
      const empty = started.filter((name) => !existsSync(at(`runs/${name}/metrics.jsonl`)));
      assert.deepEqual(empty, [], "a start that failed leaves no run");
    });
  }
});

suite("clipwright, given data that are broken in part", () => {
  test("trains on the rest, and says what was left out and how much", async () => {
    for (let i = 0; i < 8; i++) {
      put(folder, `some-broken/${i}.png`, i % 4 === 1 ? (await pngOf(i)).subarray(0, 60) : await pngOf(i));
      put(folder, `some-broken/${i}.txt`, i === 7 ? "  " : `picture ${i}`);
    }
    const { code, out, err } = await clipwright(
      ...training({ "train-data": at("some-broken"), "batch-size": "4", steps: "4" }),
    );
    assert.equal(code, 0, err);
    assert.match(out, /^Done: 4 steps, 16 samples/);
    const skipped = err.match(/! Skipped \d/g)?.sort();
    assert.deepEqual(skipped, ["! Skipped 1", "! Skipped 5"]);
    assert.match(err, /cannot be decoded .* \(2 so far\)\./);
    assert.match(err, /7 images/, "the one without a caption is not trained on");
    const seen = await clipwright("inspect", at("some-broken"));
    assert.match(seen.out, /unreadable image/);
    assert.match(seen.out, /caption/);
  });

  test("a table with paths to some images that are gone", async () => {
    const rows = [...Array(6).keys()].map((i) => `${i < 4 ? "pairs" : "gone"}/${i}.png,picture ${i}`);
    const table = put(folder, "part.csv", `filepath,title\n${rows.join("\n")}\n`);
    const { code, err } = await clipwright(
      ...training({ "train-data": table, "batch-size": "2", steps: "4" }),
    );
    assert.equal(code, 0, err);
    assert.match(err, /Skipped gone\/[45]\.png: .*ENOENT.* \(1 so far\)/);
    assert.match(err, /\(2 so far\)/);
  });

  test("a setting is mended before the first checkpoint: the same name is taken again", async () => {
    assert.equal((await clipwright(...training({ name: "mended", "batch-size": "13" }))).code, 2);
    const { code, err } = await clipwright(...training({ name: "mended", "vocab-size": "265" }));
    assert.equal(code, 0, err);
    assert.match(err, /^New run /m);
    assert.match(err, /265 tokens/);
  });

  test("a loss that is not finite leaves the checkpoints of the steps before", () => {
    const kept = readdirSync(at("runs/hot/checkpoints"));
    assert(kept.length > 0 && kept.every((name) => name.startsWith("step-")), kept.join());
  });
});
