/**
 * The rate of embedding JPEGs, as `evaluate` and `embed` do, against that of the model's forward pass alone, in turns. Weights are
 * random and pictures made: neither decides the time.
 *
 *     npx tsc -p . && node dist/bench/embedding.js [--model ViT-S-32] [--engine openvino] [--images 512] [--width 500]
 *
 * Decoding needs the same cores as the model. With d seconds of one core a picture for reading, decoding and resizing, f seconds
 * of all n cores for the forward pass, no arrangement gives more than f / (f + d/n) of its rate: that share is told too.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { keyFromSeed, Random } from "../src/core/random.js";
import { subset } from "../src/data/dataset.js";
import { openDataset } from "../src/data/index.js";
import { evaluationPipeline, preprocessImage } from "../src/data/pixels/pipeline.js";
import { loadTokenizer } from "../src/data/tokenizer/load.js";
import { openEngine } from "../src/engines/registry.js";
import { FeatureStore } from "../src/evaluate/features/store.js";
import { Encoder } from "../src/evaluate/model/encoder.js";
import { makeClip } from "../src/models/clip.js";
import { findPreset } from "../src/models/presets/presets.js";
import { initialize, parameterTypes } from "../src/nn/parameters.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "ViT-S-32" },
    engine: { type: "string", default: "onnxruntime" },
    images: { type: "string", default: "512" },
    /** Of the JPEGs; their height is three quarters of it. */
    width: { type: "string", default: "500" },
    /** Pictures to embed instead of made ones, the first `--images` of them. */
    data: { type: "string" },
    rounds: { type: "string", default: "3" },
    /** Images in one run of the graph. */
    batch: { type: "string", default: "32" },
  },
});
const [count, width, rounds, imageBatch] = [values.images, values.width, values.rounds, values.batch].map(
  Number,
) as [number, number, number, number];
const height = Math.round(0.75 * width);
const folder = mkdtempSync(join(tmpdir(), "embedding-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** JPEGs of noise, enlarged so that they have about the detail of a photograph: files of some 75 kB. */
async function madePictures(): Promise<void> {
  for (let i = 0; i < count; i++) {
    const random = new Random(keyFromSeed(i));
    const [w, h] = [Math.ceil(width / 4), Math.ceil(height / 4)];
    const data = Uint8Array.from({ length: w * h * 3 }, () => random.integer(256));
    const large = sharp(data, { raw: { width: w, height: h, channels: 3 } }).resize(width, height, {
      fit: "fill",
    });
    writeFileSync(join(folder, `${i}.jpg`), await large.jpeg({ quality: 85 }).toBuffer());
  }
}

if (values.data === undefined) await madePictures();
const all = await openDataset(values.data ?? folder, { captionsOptional: true });
const dataset = subset(
  all,
  Array.from({ length: Math.min(count, all.length) }, (_, i) => i),
);

await using engine = await openEngine(values.engine, {});
const { config, preprocess } = findPreset(values.model);
const clip = makeClip(config);
const vocabulary = fileURLToPath(
  new URL("../../test/fixtures/embed/bpe_simple_vocab_16e6.txt.gz", import.meta.url),
);
const tokenizer = loadTokenizer(vocabulary, { contextLength: 16, vocabSize: 49_408 });
const pipeline = evaluationPipeline(clip.config.vision_cfg.image_size);
using encoder = await Encoder.create(engine, {
  ...{ clip, tokenizer, pipeline, imageBatch },
  normalization: { mean: preprocess.mean, std: preprocess.std },
});
const weights = initialize(clip.variables, keyFromSeed(0));
encoder.use(
  Object.fromEntries(
    Object.entries(parameterTypes(clip.variables)).map(([name, type]) => [
      name,
      engine.upload(type, weights[name]!, { adopt: true }),
    ]),
  ),
);

const secondsOf = async (body: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await body();
  return (performance.now() - start) / 1000;
};
const bytes = await Promise.all(Array.from({ length: 64 }, (_, i) => dataset.readBytes(i)));
const size = bytes.reduce((sum, { length }) => sum + length, 0) / bytes.length;
const decodeAll = async () => {
  for (const one of bytes) await preprocessImage(one, pipeline);
};
const pixels = new Uint8Array(imageBatch * pipeline.size ** 2 * 3).fill(100);
const cores = availableParallelism();
console.error(
  `${values.model} on ${engine.name}, ${dataset.length} pictures of ${(size / 1000).toFixed(0)} kB, ${cpus()[0]?.model}, ${cores} cores, load ${loadavg()[0]?.toFixed(1)}`,
);
await decodeAll();
await encoder.embedPixels(pixels);
for (let turn = 0; turn < rounds; turn++) {
  const d = (await secondsOf(decodeAll)) / bytes.length;
  const forward = await secondsOf(async () => {
    for (let at = 0; at < dataset.length; at += imageBatch) await encoder.embedPixels(pixels);
  });
  const f = forward / (Math.ceil(dataset.length / imageBatch) * imageBatch);
  using store = new FeatureStore(encoder, { folder: join(folder, `store-${turn}`), model: `${turn}` });
  const embedded = (await secondsOf(() => store.images(dataset))) / dataset.length;
  console.error(
    `forward alone ${(1 / f).toFixed(0)} images/s, embedding ${(1 / embedded).toFixed(0)}: ${((100 * f) / embedded).toFixed(0)} %; decoding ${(1000 * d).toFixed(1)} ms a picture, so ${((100 * f) / (f + d / cores)).toFixed(0)} % at most`,
  );
}
