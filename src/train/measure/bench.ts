/** How fast a train step runs, and how close that is to what the device can do. */

import { UsageError } from "../../core/errors.js";
import { keyFromSeed, Random } from "../../core/random.js";
import type { CompilerFlags, Engine, PlannedMemory } from "../../engines/engine.js";
import { costOf } from "../../graph/cost.js";
import type { Graph } from "../../graph/graph.js";
import { optimize } from "../../graph/passes.js";
import { makeClip } from "../../models/clip.js";
import type { ClipConfig } from "../../models/config/config.js";
import { drawNoise } from "../../nn/noise.js";
import type { Precision } from "../recipe/machine-fields.js";
import { makeOptimizer } from "../step/optimizer.js";
import type { StepOptions } from "../step/options.js";
import { StepRunner } from "../step/runner.js";
import { initialState } from "../step/state.js";
import { trainStep } from "../step/step.js";
import { TwoPassRunner } from "../step/two-pass-runner.js";
import { kindOf, makeStrategy, type StrategyName } from "../strategies/index.js";
import type { Strategy } from "../strategies/strategy.js";
import { describeProducts, MatmulRate } from "./matmul-rate.js";

export interface StepBenchOptions {
  /** The model, with the image size and context length to measure at. */
  readonly config: ClipConfig;
  /** Pairs a step, over all devices. */
  readonly batchSize: number;
  /** Timed steps, after two that are not. Default 5. */
  readonly steps?: number | undefined;
  readonly rematerialize?: boolean | undefined;
  /** Number format of products, of the step and of the measured rate. Default f32. */
  readonly precision?: Precision | undefined;
  /** `auto` (default): a kernel of the device's where it has one. */
  readonly attention?: "auto" | "plain" | undefined;
  /** What is learned from a batch. Default `clip`. */
  readonly strategy?: StrategyName | undefined;
  /** Pairs computed at a time, in two passes; divides the batch. Default: all, in one. */
  readonly microBatch?: number | undefined;
  /** The compiler's, for the step only. */
  readonly flags?: CompilerFlags | undefined;
}

export interface StepBenchResult {
  readonly batchSize: number;
  readonly imageSize: number;
  readonly contextLength: number;
  readonly precision: Precision;
  readonly devices: number;
  /** `plain`, or whose kernel attention is. */
  readonly attention: string;
  /** By the median step. */
  readonly imagesPerSecond: number;
  /** Seconds of each timed step: the upload of the batch, the step, and reading its loss. */
  readonly seconds: readonly number[];
  /** Multiply-adds of a step on each device, as its graph counts them, without what is computed a second time. */
  readonly macs: number;
  /** 2 · `macs` / the median step / 1e9: a device's rate. */
  readonly gflops: number;
  readonly strategy: StrategyName;
  /** Undefined: the whole batch at once. */
  readonly microBatch: number | undefined;
  /** A device's best rate on square matrix products in the same precision, of several sizes and both layouts. */
  readonly matmulGflops: number;
  /** Which products these are, e.g. `1024², one transposed`. */
  readonly matmulKind: string;
  /** `gflops` / `matmulGflops`: MFU by the measured rate; at most 1. */
  readonly shareOfMatmul: number;
  /** Most memory so far: by the device's allocator, else of this process. Bytes. */
  readonly peakMemoryBytes: number;
  readonly peakMemoryOf: "device" | "process";
  /** What the compiler plans for the step on each device, arguments included; undefined where it makes no plan. Bytes. */
  readonly plannedBytes: number | undefined;
  /** What the graph's own account predicts on each device, bytes. */
  readonly predictedPeakBytes: number;
  /** Tracing and compiling, or loading what was compiled before. */
  readonly compileSeconds: number;
}

const WARM_UP = 2;

/**
 * Times whole train steps (upload, forward, backward, clipping, AdamW, reading the loss) on random data. Throws
 * `UsageError` where the step seems faster than the device's products, which cannot be.
 */
export async function benchStep(engine: Engine, options: StepBenchOptions): Promise<StepBenchResult> {
  const { batchSize, steps = 5, precision = "f32", rematerialize = false, microBatch } = options;
  const { strategy = "clip" } = options;
  using prepared = await prepareStep(engine, options);
  const { step, runner, compileSeconds } = prepared;
  using products = await MatmulRate.create(engine, precision);
  const seconds: number[] = [];
  for (let i = 1; i <= WARM_UP + steps; i++) {
    const start = performance.now();
    await prepared.take(i);
    if (i <= WARM_UP) continue;
    seconds.push((performance.now() - start) / 1000);
    await products.measure();
  }
  const graphs = runner instanceof StepRunner ? [runner.graph] : Object.values(runner.graphs);
  const attention = graphs.map(kernelIn).find((kernel) => kernel !== undefined) ?? "plain";
  // Neither what is computed again nor what a kernel makes twice is work that the model asks for.
  const asWritten =
    attention === "plain" && !rematerialize && runner instanceof StepRunner
      ? runner.graph
      : plainStep(step, strategy);
  const { macs } = costOf(asWritten);
  const gflops = (2 * macs) / median(seconds) / 1e9;
  const onDevice = engine.peakMemory();
  const planned = runner instanceof StepRunner ? runner.plannedMemory() : undefined;
  return {
    batchSize,
    imageSize: step.clip.config.vision_cfg.image_size,
    contextLength: step.contextLength,
    precision,
    devices: engine.capabilities.replicas,
    attention,
    strategy,
    microBatch,
    imagesPerSecond: batchSize / median(seconds),
    seconds,
    macs,
    gflops,
    matmulGflops: products.gflops,
    matmulKind: describeProducts(products.kind),
    shareOfMatmul: shareOf(gflops, products.gflops, describeProducts(products.kind)),
    peakMemoryBytes: onDevice ?? process.resourceUsage().maxRSS * 1024,
    peakMemoryOf: onDevice === undefined ? "process" : "device",
    plannedBytes: planned && totalBytes(planned),
    predictedPeakBytes: Math.max(...graphs.map((graph) => costOf(graph).peakBytes)),
    compileSeconds,
  };
}

interface PreparedStep extends Disposable {
  readonly step: StepOptions & { readonly strategy: Strategy };
  readonly runner: StepRunner | TwoPassRunner;
  readonly compileSeconds: number;
  /** Takes step `i`, from 1, on the same random batch, and reads its loss. */
  take(i: number): Promise<void>;
}

/** A compiled train step with its state and a batch. */
export async function prepareStep(engine: Engine, options: StepBenchOptions): Promise<PreparedStep> {
  const { batchSize, precision = "f32", rematerialize = false, flags, microBatch } = options;
  const { strategy: strategyName = "clip" } = options;
  const { device, replicas, devices } = engine.capabilities;
  const step = stepOptions(withLogits(options.config, strategyName), strategyName, {
    rematerialize,
    batchSize,
    replicas,
    precision,
    device: options.attention === "plain" ? undefined : device,
  });
  const { clip, strategy, optimizer, contextLength } = step;
  const initial = initialState({ clip, strategy }, keyFromSeed(0));
  const before = performance.now();
  const runner =
    microBatch === undefined
      ? await StepRunner.create(engine, step, initial, { flags })
      : await TwoPassRunner.create(engine, { ...step, microBatch }, initial, { flags });
  const compileSeconds = (performance.now() - before) / 1000;
  // This process uploads the rows of its own devices.
  const rows = ((microBatch ?? batchSize) / replicas) * devices;
  const { image_size } = clip.config.vision_cfg;
  const batch = {
    ...randomBatch(rows, image_size, contextLength, clip.config.text_cfg.vocab_size, strategy.views),
    noise: drawNoise(strategy.noise, keyFromSeed(0), rows),
  };
  return {
    ...{ step, runner, compileSeconds },
    async take(i) {
      const scalars = optimizer.scalars(i, 1e-4);
      await (runner instanceof StepRunner
        ? runner.step(batch, scalars)
        : runner.step({ part: async () => batch }, scalars));
    },
    [Symbol.dispose]: () => runner[Symbol.dispose](),
  };
}

/** The share of the device's rate that a step has. Throws `UsageError` for more than all of it. */
export function shareOf(gflops: number, matmulGflops: number, products: string): number {
  const share = gflops / matmulGflops;
  if (share <= 1) return share;
  throw new UsageError(
    `bench: a step must be slower than the device's matrix products; got ${gflops.toFixed(0)} GFLOP/s for the step and ` +
      `${matmulGflops.toFixed(0)} for the fastest products (${products}), a share of ${(100 * share).toFixed(0)} %. ` +
      "The products were held up, by other programs or by the engine: let the machine be idle, and measure with more --steps.",
  );
}

/** The model with the starting logits of the strategy, which may need a bias. */
function withLogits(config: ClipConfig, strategy: StrategyName): ClipConfig {
  const { bias } = kindOf(strategy).logits;
  return bias === undefined ? config : { ...config, init_logit_bias: bias };
}

function stepOptions(
  config: ClipConfig,
  strategy: StrategyName,
  {
    rematerialize,
    ...rest
  }: { readonly rematerialize: boolean } & Pick<
    StepOptions,
    "batchSize" | "replicas" | "precision" | "device"
  >,
): StepOptions & { readonly strategy: Strategy } {
  const clip = makeClip(config, { rematerialize });
  return {
    ...rest,
    clip,
    strategy: makeStrategy(strategy, clip),
    optimizer: makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 }),
    contextLength: clip.config.text_cfg.context_length,
    normalization: { mean: [0.48, 0.46, 0.41], std: [0.27, 0.26, 0.28] },
    clipNorm: 1,
  };
}

/** The step in one pass, with nothing recomputed and attention as products. */
function plainStep(step: StepOptions, strategy: StrategyName): Graph {
  const clip = makeClip(step.clip.config);
  const plain = { ...step, clip, strategy: makeStrategy(strategy, clip), device: undefined };
  return optimize(trainStep(plain), "stablehlo");
}

/** Whose kernel computes attention in `graph`. */
function kernelIn(graph: Graph): string | undefined {
  for (const { op } of graph.nodes) {
    if (typeof op.stablehlo === "object" && "kernel" in op.stablehlo) return op.stablehlo.kernel;
  }
  return undefined;
}

export const totalBytes = (plan: PlannedMemory): number =>
  plan.arguments + plan.outputs - plan.shared + plan.temporary;

function randomBatch(B: number, S: number, T: number, vocabulary: number, views: number) {
  const random = new Random(keyFromSeed(2));
  const numbers = Int32Array.from({ length: B }, (_, i) => i);
  // Drawing 600 million bytes would take longer than the steps: one image's are repeated.
  const image = Uint8Array.from({ length: S * S * 3 }, () => random.uint32() & 255);
  const images = new Uint8Array(B * image.length);
  for (let i = 0; i < B; i++) images.set(image, i * image.length);
  return {
    images,
    views: Array.from({ length: views }, () => images),
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
