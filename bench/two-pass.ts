/**
 * How much longer a step takes in two passes over parts of the batch than at once:
 *
 *     node dist/bench/two-pass.js [MODEL] [BATCH] [MICRO-BATCH] [STRATEGY] [ENGINE]
 *
 * Steps of both kinds alternate, in one process, on random data; the ratio is of their medians.
 */

import { keyFromSeed, Random } from "../src/core/random.js";
import { openEngine } from "../src/engines/registry.js";
import { makeClip } from "../src/models/clip.js";
import { readModel } from "../src/models/presets/read-model.js";
import { drawNoise } from "../src/nn/noise.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { type HostBatch, StepRunner } from "../src/train/step/runner.js";
import { initialState } from "../src/train/step/state.js";
import { TwoPassRunner } from "../src/train/step/two-pass-runner.js";
import { makeStrategy, type StrategyName } from "../src/train/strategies/index.js";

const [model = "clipwright-small-64", batch = "64", micro = "16", name = "clip", engineName = "onnxruntime"] =
  process.argv.slice(2);
const ROUNDS = 7;
const [batchSize, microBatch] = [Number(batch), Number(micro)];

await using engine = await openEngine(engineName, {});
const clip = makeClip(readModel(model).config);
const strategy = makeStrategy(name as StrategyName, clip, { sslHead: [512, 128] });
const { image_size: S } = clip.config.vision_cfg;
const { context_length: T, vocab_size: V } = clip.config.text_cfg;
const optimizer = makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 });
const options = {
  clip,
  strategy,
  optimizer,
  batchSize,
  contextLength: T,
  normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
  clipNorm: 1,
  replicas: engine.capabilities.replicas,
};

const random = new Random(keyFromSeed(1));
const pixels = () => Uint8Array.from({ length: batchSize * S * S * 3 }, () => random.integer(256));
const ids = Int32Array.from({ length: batchSize }, (_, i) => i);
const whole: HostBatch = {
  images: pixels(),
  views: Array.from({ length: strategy.views }, pixels),
  tokens: Int32Array.from({ length: batchSize * T }, () => random.integer(V)),
  imageIds: ids,
  textIds: ids,
  noise: drawNoise(strategy.noise, keyFromSeed(2), batchSize),
};
const rows = <A extends { length: number; slice(a: number, b: number): A }>(all: A, index: number): A => {
  const width = all.length / batchSize;
  return all.slice(index * microBatch * width, (index + 1) * microBatch * width);
};
const parts = {
  part: async (i: number): Promise<HostBatch> => ({
    images: rows(whole.images as Uint8Array, i),
    views: whole.views!.map((view) => rows(view as Uint8Array, i)),
    tokens: rows(whole.tokens, i),
    imageIds: rows(ids, i),
    textIds: rows(ids, i),
    noise: drawNoise(strategy.noise, keyFromSeed(2), microBatch, i * microBatch),
  }),
};

using atOnce = await StepRunner.create(engine, options, initialState(options, keyFromSeed(0)));
using inTwo = await TwoPassRunner.create(
  engine,
  { ...options, microBatch },
  initialState(options, keyFromSeed(0)),
);
const seconds: { once: number[]; two: number[] } = { once: [], two: [] };
const timed = async (work: () => Promise<unknown>) => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};
for (let round = 0; round <= ROUNDS; round++) {
  const scalars = optimizer.scalars(round + 1, 1e-4);
  const once = await timed(() => atOnce.step(whole, scalars));
  const two = await timed(() => inTwo.step(parts, scalars));
  if (round === 0) continue;
  seconds.once.push(once);
  seconds.two.push(two);
}
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const ratios = seconds.once.map((once, i) => seconds.two[i]! / once);
process.stdout.write(
  `${model}, ${name}, batch ${batchSize}, parts of ${microBatch}, ${engine.name}: ` +
    `${median(ratios).toFixed(2)} × (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)} of ${ROUNDS} pairs; ` +
    `at once ${median(seconds.once).toFixed(2)} s)\n`,
);
