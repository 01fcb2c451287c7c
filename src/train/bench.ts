/** How fast a train step runs, and how close that is to what the engine can do. */

import { keyFromSeed, Random } from "../core/random.js";
import type { Engine } from "../engines/engine.js";
import { costOf } from "../graph/cost.js";
import { matmul, sum } from "../graph/ops/index.js";
import { mixedPrecision } from "../graph/precision.js";
import { trace } from "../graph/trace.js";
import { towerCosts } from "../models/catalog.js";
import { makeClip } from "../models/clip.js";
import type { ClipConfig } from "../models/config.js";
import { drawNoise } from "../nn/noise.js";
import { makeOptimizer } from "./optimizer.js";
import { initialState, StepRunner } from "./runner.js";

export interface StepBenchOptions {
  readonly config: ClipConfig;
  /** Pairs a step. */
  readonly batchSize: number;
  /** Tokens a text; default the model's context length. */
  readonly contextLength?: number | undefined;
  /** Timed steps, after two that are not. Default 5. */
  readonly steps?: number | undefined;
  readonly rematerialize?: boolean | undefined;
  /** Number format of products, of the step and of the measured rate. Default f32. */
  readonly precision?: "f32" | "bf16" | undefined;
}

export interface StepBenchResult {
  /** By the median step. */
  readonly imagesPerSecond: number;
  /** Seconds of each timed step. */
  readonly seconds: readonly number[];
  /** Forward multiply-adds of one pair · 3 (forward and backward) · 2 · images a second / 1e9. */
  readonly gflops: number;
  /** The engine's rate on a square f32 matrix product of side `MATMUL_SIDE`, measured between the steps. */
  readonly matmulGflops: number;
  /** `gflops` / `matmulGflops`. */
  readonly shareOfMatmul: number;
  /** Most memory this process held, bytes. */
  readonly peakMemoryBytes: number;
  /** What the graph's own account predicts, bytes. */
  readonly predictedPeakBytes: number;
  readonly compileSeconds: number;
  /** Multiply-adds of one pair's forward pass. */
  readonly forwardMacs: number;
}

const MATMUL_SIDE = 2048;
const WARM_UP = 2;

/** Times whole train steps (forward, backward, clipping, AdamW) on random data. */
export async function benchStep(engine: Engine, options: StepBenchOptions): Promise<StepBenchResult> {
  const { config, batchSize, steps = 5, precision = "f32" } = options;
  const clip = makeClip(config, { rematerialize: options.rematerialize });
  const contextLength = options.contextLength ?? clip.config.text_cfg.context_length;
  const optimizer = makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 });
  const initial = initialState(clip, keyFromSeed(0));
  const normalization = { mean: [0.48, 0.46, 0.41], std: [0.27, 0.26, 0.28] };
  const matmulSeconds = await matmulTimer(engine, precision);
  const before = performance.now();
  using runner = await StepRunner.create(
    engine,
    {
      clip,
      optimizer,
      batchSize,
      contextLength,
      normalization,
      clipNorm: 1,
      replicas: engine.capabilities.replicas,
      precision,
    },
    initial,
  );
  const compileSeconds = (performance.now() - before) / 1000;
  const batch = {
    ...randomBatch(
      batchSize,
      clip.config.vision_cfg.image_size,
      contextLength,
      clip.config.text_cfg.vocab_size,
    ),
    noise: drawNoise(clip.noise, keyFromSeed(0), batchSize),
  };

  const seconds: number[] = [];
  const products: number[] = [];
  for (let i = 1; i <= WARM_UP + steps; i++) {
    const start = performance.now();
    await runner.step(batch, optimizer.scalars(i, 1e-4));
    if (i > WARM_UP) {
      seconds.push((performance.now() - start) / 1000);
      products.push(await matmulSeconds());
    }
  }
  const costs = towerCosts({ ...config, text_cfg: { ...config.text_cfg, context_length: contextLength } });
  const forwardMacs = costs.image.macs + costs.text.macs;
  const imagesPerSecond = batchSize / median(seconds);
  const gflops = (forwardMacs * 6 * imagesPerSecond) / 1e9;
  const matmulGflops = (2 * MATMUL_SIDE ** 3) / median(products) / 1e9;
  return {
    imagesPerSecond,
    seconds,
    gflops,
    matmulGflops,
    shareOfMatmul: gflops / matmulGflops,
    peakMemoryBytes: engine.peakMemory() ?? process.resourceUsage().maxRSS * 1024,
    predictedPeakBytes: costOf(runner.graph).peakBytes,
    compileSeconds,
    forwardMacs,
  };
}

/** Seconds of one matrix product, by a chain of several where calling the engine takes time of its own. */
async function matmulTimer(engine: Engine, precision: "f32" | "bf16"): Promise<() => Promise<number>> {
  const type = { dtype: "f32" as const, shape: [MATMUL_SIDE, MATMUL_SIDE] };
  const chained = engine.name === "onnxruntime" ? 1 : 16;
  const graph = trace({ a: type, b: type }, ({ a, b }) => {
    let y = a;
    for (let i = 0; i < chained; i++) y = matmul(y, b, { alpha: chained === 1 ? 1 : 1 / MATMUL_SIDE });
    return { y: chained === 1 ? y : sum(y) };
  });
  const executable = await engine.compile(precision === "bf16" ? mixedPrecision(graph) : graph);
  const random = new Random(keyFromSeed(1));
  const data = Float32Array.from({ length: MATMUL_SIDE ** 2 }, () => random.normal());
  const inputs = { a: engine.upload(type, data), b: engine.upload(type, data) };
  const once = async () => {
    const start = performance.now();
    const { y } = await executable.run(inputs);
    await engine.download(y!);
    y![Symbol.dispose]();
    return (performance.now() - start) / 1000 / chained;
  };
  await once();
  return once;
}

function randomBatch(B: number, S: number, T: number, vocabulary: number) {
  const random = new Random(keyFromSeed(2));
  const numbers = Int32Array.from({ length: B }, (_, i) => i);
  return {
    images: Uint8Array.from({ length: B * S * S * 3 }, () => random.uint32() & 255),
    tokens: Int32Array.from({ length: B * T }, () => random.integer(vocabulary)),
    imageIds: numbers,
    textIds: numbers,
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
