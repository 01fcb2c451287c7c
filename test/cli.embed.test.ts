import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import sharp from "sharp";
import { openModel } from "../src/api/open-model.js";
import { embedCommand } from "../src/cli/commands/embed.js";
import { readNpy } from "../src/core/npy.js";
import { SafetensorsFile } from "../src/core/safetensors.js";
import { pngOf, put, scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";

const embed = (...words: string[]) =>
  runWords([embedCommand], ["embed", ...words, "--threads", "1", "--workers", "1"]);

interface Line {
  readonly key: string;
  readonly kind: string;
  readonly embedding: number[];
}
const parse = (lines: string): Line[] =>
  lines
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa * bb);
};

// A checkpoint as open_clip saves it, and open_clip's own features: made by test/fixtures/embed.py.
const model = fixture("embed");
const E = 16;
const rowsOf = (name: string): Float32Array[] => {
  using file = new SafetensorsFile(fixture("embed/features.safetensors"));
  const data = file.read(name) as Float32Array;
  return Array.from({ length: data.length / E }, (_, row) => data.subarray(row * E, (row + 1) * E));
};
const expected = { images: rowsOf("images"), texts: rowsOf("texts") };
const files = readdirSync(fixture("preprocess")).sort();
const texts = readFileSync(fixture("embed/texts.txt"), "utf8").trimEnd().split("\n");
const inputs = ["--images", fixture("preprocess"), "--texts", fixture("embed/texts.txt")];

/** Pixels are equal to the bit, so what is left is the order of sums in f32; the issue asks for 0.9999. */
const SAME = 1 - 1e-9;
/** Distinct inputs are at most this near, so that `SAME` could not hold by chance. */
const APART = 0.95;

suite("clipwright embed", () => {
  const folder = scratchFolder();

  test("equals open_clip on its own checkpoint: images of odd sizes and modes, texts of all kinds", async () => {
    const { code, out, err } = await embed(model, ...inputs);
    assert.equal(code, 0, err);
    const lines = parse(out);
    assert.deepEqual(
      lines.map(({ kind, key }) => [kind, key]),
      [...files.map((f) => ["image", f.replace(/\.\w+$/, "")]), ...texts.map((t) => ["text", t])],
    );
    const all = [...expected.images, ...expected.texts];
    for (const [i, { key, embedding }] of lines.entries()) {
      const got = cosine(embedding, all[i]!);
      assert.ok(got >= SAME, `${key}: cosine ${got}`);
      assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-6, `${key}: length`);
    }
    for (const rows of [expected.images, expected.texts]) {
      for (const [i, a] of rows.entries()) {
        for (const b of rows.slice(i + 1)) assert.ok(cosine(a, b) < APART);
      }
    }
  });

  test(".npy and .jsonl files hold the same rows to the bit, and a file of keys goes with .npy", async () => {
    const npy = join(folder, "all.npy");
    const jsonl = join(folder, "all.jsonl");
    const { err } = await embed(model, ...inputs, "--output", npy);
    assert.match(err, /^17 vectors of 16 in .*all\.npy\n$/m);
    assert.equal((await embed(model, ...inputs, "--output", jsonl)).out, "");
    const lines = parse(readFileSync(jsonl, "utf8"));
    const { dtype, shape, data } = readNpy(npy);
    assert.deepEqual([dtype, shape], ["f32", [17, E]]);
    assert.deepEqual(data, Float32Array.from(lines.flatMap(({ embedding }) => embedding)));
    assert.equal(readFileSync(`${npy}.keys.txt`, "utf8"), lines.map(({ key }) => `${key}\n`).join(""));
    assert.deepEqual(
      readdirSync(folder).filter((f) => f.endsWith(".tmp")),
      [],
    );
  });

  test("a model by its file alone needs its configuration and tokenizer", async () => {
    const weights = join(model, "open_clip_model.safetensors");
    const given = join(folder, "alone.safetensors");
    writeFileSync(given, readFileSync(weights));
    assert.match(
      (await embed(given, "--text", "a")).err,
      /no open_clip_config\.json or config\.json beside it.*--model/,
    );
    const config = join(model, "open_clip_config.json");
    assert.match((await embed(given, "--text", "a", "--model", config)).err, /no tokenizer beside it/);
    const vocabulary = join(model, "bpe_simple_vocab_16e6.txt.gz");
    const { out } = await embed(given, "--text", texts[0]!, "--model", config, "--tokenizer", vocabulary);
    assert.ok(cosine(parse(out)[0]!.embedding, expected.texts[0]!) >= SAME);
    const other = await embed(given, "--text", "a", "--model", "ViT-B-32", "--tokenizer", vocabulary);
    assert.equal(other.code, 1);
    assert.match(
      other.err,
      /alone\.safetensors: (must hold this model's parameters; got missing=|".*must be \[)/,
    );
  });

  test("with a Hugging Face tokenizer, texts are cleaned first, as open_clip does", async () => {
    const { families } = JSON.parse(readFileSync(fixture("tokenizer/huggingface.json"), "utf8"));
    const config = JSON.parse(readFileSync(join(model, "open_clip_config.json"), "utf8"));
    Object.assign(config.model_cfg.text_cfg, {
      hf_tokenizer_name: "made-up",
      pool_type: "last",
      no_causal_mask: true,
    });
    put(folder, "hub/open_clip_config.json", JSON.stringify(config));
    put(folder, "hub/tokenizer.json", JSON.stringify(families.gpt2.tokenizer));
    put(folder, "hub/open_clip_model.safetensors", readFileSync(join(model, "open_clip_model.safetensors")));
    const texts = ["a cat &amp;amp; a dog", "a cat & a dog", "a cat and a dog"];
    const { out, err } = await embed(join(folder, "hub"), ...texts.flatMap((t) => ["--text", t]));
    assert.match(err, /^ {2}! 2 texts have the same embedding as another .*\n$/);
    const [escaped, plain, other] = parse(out).map(({ embedding }) => embedding);
    assert.deepEqual(escaped, plain);
    assert.notDeepEqual(plain, other);
  });

  test("embedImages takes paths and bytes, and prepares them as the model was trained", async () => {
    const paths = files.map((file) => join(fixture("preprocess"), file));
    const opened = await openModel(model, { threads: 1 });
    try {
      const { encoder } = opened;
      const vectors = await encoder.embedImages(
        paths.map((path, i) => (i % 2 === 0 ? path : readFileSync(path))),
      );
      for (const [row, wanted] of expected.images.entries()) {
        assert.ok(cosine(vectors.subarray(row * E, (row + 1) * E), wanted) >= SAME, files[row]);
      }
      const torn = put(
        folder,
        "torn.jpg",
        readFileSync(paths.find((path) => path.endsWith(".jpg"))!).subarray(0, 300),
      );
      await assert.rejects(encoder.embedImages([torn]), /torn\.jpg: cannot be decoded/);
      await assert.rejects(encoder.embedImages([paths[0]!, Buffer.from("x")]), /image 1: cannot be decoded/);
      await assert.rejects(
        encoder.embedImages("cat.jpg" as never),
        /must be a list of paths or encoded bytes/,
      );
    } finally {
      await opened.close();
    }
  });

  test("takes single pictures and globs without captions, and names what is not read", async () => {
    const pictures = join(folder, "pictures");
    for (const name of ["one.png", "two.png", "under/three.png"]) put(pictures, name, await pngOf(3));
    put(pictures, "raw/two.heic", "");
    put(pictures, "two.dng", "");
    const keysOf = async (...sources: string[]) => {
      const { out, err, code } = await embed(model, ...sources.flatMap((s) => ["--images", s]));
      return { keys: code === 0 ? parse(out).map(({ key }) => key) : [], err, code };
    };
    assert.deepEqual((await keysOf(join(pictures, "one.png"))).keys, ["one"]);
    assert.deepEqual((await keysOf(join(pictures, "*.png"))).keys, [
      join(pictures, "one"),
      join(pictures, "two"),
    ]);
    const whole = await keysOf(pictures);
    assert.deepEqual(whole.keys, ["one", "two", "under/three"]);
    assert.match(whole.err, /pictures in a format that is not read \(HEIC\); .*: 1 \(raw\/two\.heic\)/);
    const heic = await keysOf(join(pictures, "raw/two.heic"));
    assert.deepEqual(heic.code, 1);
    assert.match(heic.err, /holds no picture that is read; .*HEIC/);
  });

  test("what transparent pictures lie on goes with the model's file, wherever that lies", async () => {
    const flat = (background: object) =>
      sharp({ create: { width: 16, height: 16, channels: 4, background } })
        .png()
        .toBuffer();
    const clear = join(folder, "clear");
    put(clear, "half.png", await flat({ r: 200, g: 40, b: 0, alpha: 0.4 }));
    const config = JSON.parse(readFileSync(join(model, "open_clip_config.json"), "utf8"));
    const vectorOn = async (transparency: unknown): Promise<number[]> => {
      const preprocess_cfg = { ...config.preprocess_cfg, transparency };
      put(folder, "on.json", JSON.stringify({ ...config, preprocess_cfg }));
      const { code, out, err } = await embed(model, "--model", join(folder, "on.json"), "--images", clear);
      assert.equal(code, 0, err);
      return parse(out)[0]!.embedding;
    };
    const opaque = join(folder, "opaque");
    put(opaque, "red.png", await flat({ r: 80, g: 16, b: 0 }));
    const { out } = await embed(model, "--images", opaque);
    assert.deepEqual(await vectorOn([0, 0, 0]), parse(out)[0]!.embedding);
    assert.ok(cosine(await vectorOn([255, 255, 255]), await vectorOn("pillow")) < 0.999);
  });

  test("a preprocess_cfg that cannot be is refused by its key", async () => {
    const config = JSON.parse(readFileSync(join(model, "open_clip_config.json"), "utf8"));
    for (const [key, value] of Object.entries({ std: [1, 0, 1], resize_mode: "stretch", mean: 0.5 })) {
      const path = put(
        folder,
        "odd.json",
        JSON.stringify({ ...config, preprocess_cfg: { ...config.preprocess_cfg, [key]: value } }),
      );
      const { code, err } = await embed(model, "--model", path, "--text", "a");
      assert.equal(code, 1);
      assert.match(err, new RegExp(`odd\\.json: preprocess_cfg\\.${key} must be `));
    }
  });

  test("keys are unique: sources, texts and captions of one name are numbered", async () => {
    const bytes = await pngOf(1);
    for (const source of ["one", "two"]) {
      put(folder, `${source}/a.png`, bytes);
      put(folder, `${source}/a.txt`, "a thing\na");
    }
    const sources = `${join(folder, "one")}::${join(folder, "two")}`;
    const { out } = await embed(
      model,
      "--images",
      sources,
      "--captions",
      "--text",
      "a",
      "--text",
      "b",
      "--text",
      "b",
    );
    const keys = parse(out).map(({ key }) => key);
    assert.deepEqual(keys, ["a", "a#2", "a thing", "a#3", "a thing#2", "a#4", "a#5", "b", "b#2"]);
  });

  test("texts that are cut, and texts that come out the same, are counted", async () => {
    const long = Array.from({ length: 100 }, (_, i) => `word${i}`).join(" ");
    const file = put(folder, "long.txt", `${long} cat\n${long} dog\na bird\n`);
    const { err } = await embed(model, "--texts", file);
    assert.match(err, /! 2 of 3 texts are longer than the model reads and were cut, e\.g\. "word0 /);
    assert.match(err, /! 2 texts have the same embedding as another and cannot be told apart/);
    assert.equal((await embed(model, "--text", "a bird", "--text", "a bird", "--text", "a cat")).err, "");
  });

  test("labelled folders need no captions; broken images are named and left out", async () => {
    for (const i of [0, 1])
      for (const label of ["cat", "dog"]) put(folder, `set/${label}/${i}.png`, await pngOf(i));
    put(folder, "set/dog/broken.png", "no picture");
    const { code, out, err } = await embed(model, "--images", join(folder, "set"));
    assert.equal(code, 0);
    assert.deepEqual(
      parse(out).map(({ key }) => key),
      ["cat/0", "cat/1", "dog/0", "dog/1"],
    );
    assert.match(err, /^Skipped dog\/broken: .*\n4 vectors of 16; 1 left out\n$/);
  });

  test("a run that fails leaves earlier files as they were", async () => {
    const output = put(folder, "kept.npy", "earlier");
    put(folder, "bad/a.png", "no picture");
    const { code, err } = await embed(model, "--images", join(folder, "bad"), "--output", output);
    assert.equal(code, 1);
    assert.match(err, /must have an image that can be read; got 1 broken, the first a: /);
    assert.equal(readFileSync(output, "utf8"), "earlier");
    assert.equal(existsSync(`${output}.tmp`) || existsSync(`${output}.keys.txt.tmp`), false);
  });

  test("what cannot be done is said before the model is opened", async () => {
    assert.match((await embed("nowhere")).err, /nothing to embed/);
    assert.match((await embed("nowhere", "--text", "a", "--captions")).err, /got no --images/);
    assert.match(
      (await embed("nowhere", "--text", "a", "--output", "x.csv")).err,
      /must end in \.npy or \.jsonl/,
    );
    assert.match((await embed("nowhere", "--text", "a")).err, /nowhere/);
  });
});
