/** Files of numbers, of tokenizers and of pictures: what can be read is whole, the rest is refused in one line. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Sharp } from "sharp";
import { sizeOf } from "../../../src/core/dtype.js";
import { NpyRows, readNpy } from "../../../src/core/npy.js";
import { encodeSafetensors, SafetensorsFile } from "../../../src/core/safetensors.js";
import { sizeOfShape } from "../../../src/core/shape.js";
import { decodeImage } from "../../../src/data/pixels/read/decode.js";
import { loadTokenizer } from "../../../src/data/tokenizer/load.js";
import { trainBpe } from "../../../src/data/tokenizer/train-bpe.js";
import { picture } from "../../data.helpers.js";
import { fixture } from "../../support/fixture.js";
import type { FuzzInput } from "../mutate.js";
import type { FuzzTarget } from "../target.js";

/** Makes the header's length that of the JSON that is there. */
function sealSafetensors(bytes: Uint8Array): Uint8Array {
  const file = Buffer.from(bytes);
  const end = file.lastIndexOf("}}") + 2;
  if (file.length >= 8 && end >= 10) file.writeBigUInt64LE(BigInt(end - 8), 0);
  return file;
}

export const safetensors: FuzzTarget = {
  name: "safetensors",
  async seeds() {
    const data = Float32Array.from({ length: 64 }, (_, i) => i);
    const ours = encodeSafetensors([
      { name: "a", dtype: "f32", shape: [8, 8], data },
      { name: "b", dtype: "f32", shape: [], data: data.subarray(0, 1) },
      { name: "c", dtype: "u8", shape: [0, 3], data: new Uint8Array() },
    ]);
    const python = readFileSync(fixture("files/python.safetensors"));
    return [python, Buffer.concat([...ours])].map((bytes) => ({ "x.safetensors": bytes }));
  },
  words: ['"F32"', '"BF16"', '"I64"', '"shape":[', '"data_offsets":[0,8]', "__metadata__", "[-1]", "1e308"],
  repair: (input) => ({ "x.safetensors": sealSafetensors(input["x.safetensors"] ?? new Uint8Array()) }),
  async run(folder) {
    using file = new SafetensorsFile(join(folder, "x.safetensors"));
    for (const name of file.names) {
      const { dtype, shape } = file.info(name);
      const data = file.read(name);
      assert.equal(data.length, sizeOfShape(shape));
      assert.equal(data.BYTES_PER_ELEMENT, sizeOf(dtype));
    }
  },
};

export const npy: FuzzTarget = {
  name: "npy",
  seeds: async () =>
    ["f32", "f64", "i64", "fortran", "big-endian"].map((name) => ({
      "x.npy": readFileSync(fixture(`files/${name}.npy`)),
    })),
  words: ["'descr'", "'<f4'", "'|O'", "'fortran_order': True", "'shape': (", "NaN", "1e9", ",", "()", "L,"],
  async run(folder) {
    const path = join(folder, "x.npy");
    const { shape, dtype, data } = readNpy(path);
    assert.ok(shape.every((size) => Number.isSafeInteger(size) && size >= 0));
    assert.equal(data.length, sizeOfShape(shape));
    assert.equal(data.BYTES_PER_ELEMENT, sizeOf(dtype));
    if (dtype !== "f32" || shape.length !== 2 || shape[0] === 0) return;
    using rows = new NpyRows(path);
    assert.deepEqual(rows.read([0]), data.slice(0, rows.width));
  },
};

const TEXTS = ["a photo of a cat", "", "ΟΔΥΣΣΕΥΣ 日本 👍🏽 \ufeff<mask>", "x".repeat(300)];

/** Opens the folder's tokenizer; every id is one that the model has a row for. */
async function readTokenizer(folder: string, file: string): Promise<void> {
  const tokenizer = loadTokenizer(join(folder, file), { contextLength: 16 });
  for (const text of TEXTS) {
    for (const id of tokenizer.encode(text)) {
      assert.ok(Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize, `id ${id}`);
    }
  }
  const batch = tokenizer.encodeBatch(TEXTS);
  assert.ok(batch.every((id) => id >= 0 && id < tokenizer.vocabSize));
}

export const tokenizerJson: FuzzTarget = {
  name: "tokenizer-json",
  async seeds() {
    const { kinds } = JSON.parse(readFileSync(fixture("tokenizer/kinds.json"), "utf8")) as {
      kinds: Record<string, { tokenizer: object }>;
    };
    const names = ["model BPE", "model WordPiece", "model WordLevel", "model Unigram with bytes"];
    const padding = { strategy: { Fixed: 16 }, pad_id: 0, direction: "Right" };
    const files = names.map((name) => ({ ...kinds[name]!.tokenizer, padding }) as object);
    files.push(trainBpe(["a cat", "a photo of a dog"], { vocabSize: 280 }).tokenizer.toHuggingFace());
    const config = Buffer.from(JSON.stringify({ pad_token: "<unk>", eos_token: { content: "a" } }));
    return files.map((file) => ({
      "tokenizer.json": Buffer.from(JSON.stringify(file)),
      "tokenizer_config.json": config,
    }));
  },
  words: [
    '"type":"BPE"',
    '"type":"Unigram"',
    '"normalizer":{"type":"Precompiled","precompiled_charsmap":"CAAAAAAAAAAAAAAA"}',
    '"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated"}',
    '"added_tokens":[{"id":1,"content":"cat"}]',
    '"merges":[["a","b"]]',
    '"vocab":{"a":0}',
    '"unk_id":-1',
  ],
  run: (folder) => readTokenizer(folder, "tokenizer.json"),
};

export const clipVocabulary: FuzzTarget = {
  name: "clip-vocabulary",
  async seeds() {
    const { vocabulary } = JSON.parse(readFileSync(fixture("tokenizer/clip.json"), "utf8"));
    return [{ "vocabulary.txt": Buffer.from(vocabulary as string) }];
  },
  words: ["#version", "</w>", "a b</w>\n", "\r\n", "\u0120"],
  run: (folder) => readTokenizer(folder, "vocabulary.txt"),
};

const encoded: readonly ((image: Sharp) => Sharp)[] = [
  (image) => image.jpeg(),
  (image) => image.jpeg({ progressive: true, chromaSubsampling: "4:4:4" }),
  (image) => image.png(),
  (image) => image.png({ palette: true }),
  (image) => image.webp(),
  (image) => image.gif(),
  (image) => image.tiff({ compression: "lzw" }),
];

export const pictures: FuzzTarget = {
  name: "pictures",
  async seeds() {
    const files: FuzzInput[] = [];
    for (const encode of encoded) files.push({ x: await encode(picture(5, 40, 30)).toBuffer() });
    const others = JSON.parse(readFileSync(fixture("data/pictures.json"), "utf8"));
    for (const name of [
      "rgb.bmp",
      "rle-8.bmp",
      "rle-4.bmp",
      "565.bmp",
      "alpha.bmp",
      "os2.bmp",
      "grey-16.png",
    ]) {
      files.push({ x: Buffer.from(others[name].bytes, "base64") });
    }
    return files;
  },
  words: ["\xff\xd8\xff\xc0", "\x89PNG\r\n\x1a\n", "IHDR", "BM", "RIFF", "ftypavif", "<svg>", "Exif\0\0"],
  async run(_, { x }) {
    for (const transparency of ["pillow", [255, 255, 255]] as const) {
      const reading = { transparency, orientation: "exif" } as const;
      const { width, height, channels, data } = await decodeImage(x ?? new Uint8Array(), reading);
      assert.ok(width > 0 && height > 0 && (channels === 3 || channels === 4));
      assert.equal(data.length, width * height * channels);
    }
  },
};
