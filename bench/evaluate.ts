/**
 * How long evaluations take on made features of unit length, 512 wide: retrieval of 5,000 images and 25,000 captions with its
 * intervals, a bootstrap interval of 10,000 items, nearest classes of many images (peak memory is told), and, with a model, the
 * rate of embedding images against that of the model's forward pass alone.
 *
 *     npx tsc -p . && node dist/bench/evaluate.js [--images 1000000] [--model clipwright-tiny-64 --data SOURCE]
 *
 * Seconds are wall-clock; the machine's load is told, since it decides them.
 */

import { cpus, loadavg } from "node:os";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { keyFromSeed, Random } from "../src/core/random.js";
import { openDataset } from "../src/data/index.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { type Features, nearestSearch, normalise } from "../src/evaluate/features/features.js";
import { eachTileOn } from "../src/evaluate/features/products.js";
import { type FeatureRows, rowsInMemory } from "../src/evaluate/features/source.js";
import { loadModel } from "../src/evaluate/model/load-model.js";
import { meanInterval } from "../src/evaluate/statistics/bootstrap.js";
import { evaluateRetrieval, rankSearch } from "../src/evaluate/tasks/retrieval.js";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "200000" },
    classes: { type: "string", default: "5000" },
    /** A run or weights, and data whose images it embeds. */
    model: { type: "string" },
    data: { type: "string" },
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
const many = made(Number(values.images), 3);
const classes = made(Number(values.classes), 4).read(0, Number(values.classes));
await timed(`nearest of ${values.classes} classes for ${values.images} images`, async () => {
  const search = nearestSearch(many.rows, classes, 5);
  await eachTileOn(engine, many, classes, search.visit);
  return search.result();
});
if (values.model !== undefined && values.data !== undefined) {
  using loaded = await loadModel(engine, { path: values.model });
  const { encoder } = loaded;
  const dataset = await openDataset(values.data);
  const { pipeline } = encoder.options;
  const B = encoder.options.imageBatch ?? 64;
  const batch = new Uint8Array(B * pipeline.size ** 2 * 3).fill(100);
  await encoder.embedPixels(batch);
  const rounds = Math.max(1, Math.ceil(dataset.length / B));
  for (let turn = 0; turn < 3; turn++) {
    const alone = performance.now();
    for (let i = 0; i < rounds; i++) await encoder.embedPixels(batch);
    const forward = (B * rounds) / ((performance.now() - alone) / 1000);
    const start = performance.now();
    await encoder.embedDataset(dataset);
    const rate = dataset.length / ((performance.now() - start) / 1000);
    console.error(
      `embedding ${dataset.length} images: ${rate.toFixed(0)} images/s, forward pass alone ${forward.toFixed(0)}: ${((100 * rate) / forward).toFixed(0)} %`,
    );
  }
}
await engine[Symbol.asyncDispose]();
