/**
 * How long evaluations take on made features of unit length, 512 wide: retrieval of 5,000 images and 25,000 captions with its
 * intervals, a bootstrap interval of 10,000 items, and nearest classes of many images (peak memory is told). `--file` reads those
 * features from a file, as evaluations keep them, after making it where it is missing.
 *
 *     npx tsc -p . && node dist/bench/evaluate.js [--images 1000000] [--only-nearest] [--file features.npy]
 *
 * Seconds are wall-clock; the machine's load is told, since it decides them.
 */

import { existsSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { NpyRows, NpyWriter } from "../src/core/npy.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { type Features, nearestSearch, normalise, unitFeatures } from "../src/evaluate/features/features.js";
import { eachTileOn } from "../src/evaluate/features/products.js";
import { blocksOf, type FeatureRows, rowsInMemory } from "../src/evaluate/features/source.js";
import { meanInterval } from "../src/evaluate/statistics/bootstrap.js";
import { evaluateRetrieval, rankSearch } from "../src/evaluate/tasks/retrieval.js";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "200000" },
    classes: { type: "string", default: "5000" },
    "only-nearest": { type: "boolean", default: false },
    file: { type: "string" },
  },
});
const WIDTH = 512;

/** Rows of unit length that any block can be drawn from again, so that millions of them take no memory. */
function made(rows: number, seed: number): FeatureRows {
  const read = (start: number, end: number): Features => {
    const data = new Float32Array((end - start) * WIDTH);
    for (let row = start; row < end; row++) {
      let state = (row + 1) * 2654435761 + seed;
      for (let k = 0; k < WIDTH; k++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        data[(row - start) * WIDTH + k] = state / 2 ** 31;
      }
    }
    return normalise(data, WIDTH, "made");
  };
  return { rows, width: WIDTH, read };
}

/** The same rows in a file, as `FeatureStore` keeps them. */
function kept(features: FeatureRows, path: string): FeatureRows {
  if (!existsSync(path)) write(features, path);
  const file = new NpyRows(path);
  const read = (start: number, end: number) => unitFeatures(file.readRange(start, end), WIDTH, path);
  return { rows: file.rows, width: WIDTH, read };
}

function write(features: FeatureRows, path: string): void {
  using writer = new NpyWriter(path, { dtype: "f32", rowShape: [WIDTH] });
  for (const { block } of blocksOf(features)) writer.append(block.data);
  writer.close();
}

async function timed<T>(what: string, body: () => Promise<T> | T): Promise<T> {
  const start = performance.now();
  const result = await body();
  const seconds = (performance.now() - start) / 1000;
  const peak = process.resourceUsage().maxRSS / 2 ** 20;
  console.error(`${what.padEnd(56)} ${seconds.toFixed(2)} s, peak memory so far ${peak.toFixed(2)} GiB`);
  return result;
}

console.error(`${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}`);
const engine = new OnnxRuntime();
if (!values["only-nearest"]) {
  const items = new Random(keyFromSeed(2));
  const right = Float64Array.from({ length: 10_000 }, () => (items.uniform() < 0.3 ? 1 : 0));
  await timed("bootstrap interval of 10,000 items", () => meanInterval(right));
  const images = made(5000, 1).read(0, 5000);
  const texts = made(25_000, 2).read(0, 25_000);
  const owners = Array.from({ length: 25_000 }, (_, i) => [Math.floor(i / 5)]);
  await timed("retrieval, 5,000 images x 25,000 captions, intervals", async () => {
    const search = rankSearch(images, texts, owners);
    await eachTileOn(engine, rowsInMemory(images), texts, search.visit);
    return evaluateRetrieval(images, texts, owners, { ranks: search.result() });
  });
}
const drawn = made(Number(values.images), 3);
const many =
  values.file === undefined ? drawn : await timed("features to a file", () => kept(drawn, values.file!));
const classes = made(Number(values.classes), 4).read(0, Number(values.classes));
await timed(`nearest of ${values.classes} classes for ${values.images} images`, async () => {
  const search = nearestSearch(many.rows, classes, 5);
  await eachTileOn(engine, many, classes, search.visit);
  return search.result();
});
await engine[Symbol.asyncDispose]();
