/** How fast a train step runs, and how close that is to what the device can do. */

import { keyFromSeed, Random } from "../../core/random.js";
import type { CompilerFlags, Engine, PlannedMemory } from "../../engines/engine.js";
import { costOf } from "../../graph/cost.js";
import type { Graph } from "../../graph/graph.js";
import { matmul, sum } from "../../graph/ops/index.js";
import { optimize } from "../../graph/passes.js";
import { mixedPrecision } from "../../graph/precision.js";
import { trace } from "../../graph/trace.js";
import { makeClip } from "../../models/clip.js";
import type { ClipConfig } from "../../models/config/config.js";
import { drawNoise } from "../../nn/noise.js";
import type { Precision } from "../recipe/machine-fields.js";
import { makeOptimizer } from "../step/optimizer.js";
import type { StepOptions } from "../step/options.js";
import { StepRunner } from "../step/runner.js";
import { initialState } from "../step/state.js";
import { trainStep } from "../step/step.js";

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
  /** A device's rate on a chain of square matrix products in the same precision, measured between the steps. */
  readonly matmulGflops: number;
  /** Side of those products. */
  readonly matmulSide: number;
  /** `gflops` / `matmulGflops`: MFU by the measured rate. */
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

/** Times whole train steps (upload, forward, backward, clipping, AdamW, reading the loss) on random data. */
export async function benchStep(engine: Engine, options: StepBenchOptions): Promise<StepBenchResult> {
  const { config, batchSize, steps = 5, precision = "f32", rematerialize = false, flags } = options;
  const { device, replicas, devices } = engine.capabilities;
  const step = stepOptions(config, {
    rematerialize,
    batchSize,
    replicas,
    precision,
    device: options.attention === "plain" ? undefined : device,
  });
  const { clip, optimizer, contextLength } = step;
  const initial = initialState({ clip }, keyFromSeed(0));
  const before = performance.now();
  using runner = await StepRunner.create(engine, step, initial, { flags });
  const compileSeconds = (performance.now() - before) / 1000;
  using products = await MatmulChain.create(engine, precision);
  const imageSize = clip.config.vision_cfg.image_size;
  // This process uploads the rows of its own devices.
  const rows = (batchSize / replicas) * devices;
  const batch = {
    ...randomBatch(rows, imageSize, contextLength, clip.config.text_cfg.vocab_size),
    noise: drawNoise(clip.noise, keyFromSeed(0), rows),
  };

  const seconds: number[] = [];
  const productSeconds: number[] = [];
  for (let i = 1; i <= WARM_UP + steps; i++) {
    const start = performance.now();
    await runner.step(batch, optimizer.scalars(i, 1e-4));
    if (i <= WARM_UP) continue;
    seconds.push((performance.now() - start) / 1000);
    productSeconds.push(await products.seconds());
  }
  const attention = kernelIn(runner.graph) ?? "plain";
  // Neither what is computed again nor what a kernel makes twice is work that the model asks for.
  const asWritten = attention === "plain" && !rematerialize ? runner.graph : plainStep(config, step);
  const { macs } = costOf(asWritten);
  const gflops = (2 * macs) / median(seconds) / 1e9;
  const matmulGflops = (2 * products.side ** 3) / median(productSeconds) / 1e9;
  const onDevice = engine.peakMemory();
  const planned = runner.plannedMemory();
  return {
    batchSize,
    imageSize,
    contextLength,
    precision,
    devices: replicas,
    attention,
    imagesPerSecond: batchSize / median(seconds),
    seconds,
    macs,
    gflops,
    matmulGflops,
    matmulSide: products.side,
    shareOfMatmul: gflops / matmulGflops,
    peakMemoryBytes: onDevice ?? process.resourceUsage().maxRSS * 1024,
    peakMemoryOf: onDevice === undefined ? "process" : "device",
    plannedBytes: planned && totalBytes(planned),
    predictedPeakBytes: costOf(runner.graph).peakBytes,
    compileSeconds,
  };
}

function stepOptions(
  config: ClipConfig,
  {
    rematerialize,
    ...rest
  }: { readonly rematerialize: boolean } & Pick<
    StepOptions,
    "batchSize" | "replicas" | "precision" | "device"
  >,
): StepOptions {
  const clip = makeClip(config, { rematerialize });
  return {
    ...rest,
    clip,
    optimizer: makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 }),
    contextLength: clip.config.text_cfg.context_length,
    normalization: { mean: [0.48, 0.46, 0.41], std: [0.27, 0.26, 0.28] },
    clipNorm: 1,
  };
}

/** The step with nothing recomputed and attention as products. */
const plainStep = (config: ClipConfig, step: StepOptions): Graph =>
  optimize(trainStep({ ...step, clip: makeClip(config), device: undefined }), "stablehlo");

/** Whose kernel computes attention in `graph`. */
function kernelIn(graph: Graph): string | undefined {
  for (const { op } of graph.nodes) {
    if (typeof op.stablehlo === "object" && "kernel" in op.stablehlo) return op.stablehlo.kernel;
  }
  return undefined;
}

export const totalBytes = (plan: PlannedMemory): number =>
  plan.arguments + plan.outputs - plan.shared + plan.temporary;

/** A chain of square products y ← y B, each as large as the last. */
class MatmulChain implements Disposable {
  private constructor(
    readonly side: number,
    private readonly once: () => Promise<number>,
    private readonly free: () => void,
  ) {}

  static async create(engine: Engine, precision: Precision): Promise<MatmulChain> {
    // Large enough that a device of a thousand teraflops does not wait for its next order.
    const [side, length] = engine.capabilities.device.platform === "cpu" ? [2048, 1] : [8192, 16];
    const type = { dtype: "f32", shape: [side, side] } as const;
    const chain = trace({ a: type, b: type }, ({ a, b }) => {
      let y = a;
      for (let i = 0; i < length; i++) y = matmul(y, b);
      return { y: sum(y) };
    });
    const graph = precision === "f32" ? chain : mixedPrecision(chain, { results: "bf16" });
    const executable = await engine.compile(graph, { name: "matmul chain" });
    const random = new Random(keyFromSeed(1));
    const data = Float32Array.from({ length: side ** 2 }, () => random.normal());
    // Of this scale, a product has its left factor's size.
    const a = engine.upload(type, data);
    const b = engine.upload(
      type,
      data.map((x) => x / Math.sqrt(side)),
    );
    const once = async () => {
      const start = performance.now();
      const { y } = await executable.run({ a, b });
      await engine.download(y!);
      const seconds = (performance.now() - start) / 1000 / length;
      y![Symbol.dispose]();
      return seconds;
    };
    await once();
    return new MatmulChain(side, once, () => {
      a[Symbol.dispose]();
      b[Symbol.dispose]();
      executable[Symbol.dispose]();
    });
  }

  /** Seconds of one product. */
  seconds(): Promise<number> {
    return this.once();
  }

  [Symbol.dispose](): void {
    this.free();
  }
}

function randomBatch(B: number, S: number, T: number, vocabulary: number) {
  const random = new Random(keyFromSeed(2));
  const numbers = Int32Array.from({ length: B }, (_, i) => i);
  // Drawing 600 million bytes would take longer than the steps: one image's are repeated.
  const image = Uint8Array.from({ length: S * S * 3 }, () => random.uint32() & 255);
  const images = new Uint8Array(B * image.length);
  for (let i = 0; i < B; i++) images.set(image, i * image.length);
  return {
    images,
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
