/**
 * Whether bf16 trains as f32 does on OpenVINO: losses of three families of small CLIPs over 500 steps of noisy pairs, in
 * f32, in bf16-results from the same start and in the same order, and in f32 in another order (what chance alone does).
 *
 *     npx tsc -p . && node dist/bench/bf16-families.js [--steps 500] [--engine openvino]
 */

import { parseArgs } from "node:util";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { Engine } from "../src/engines/engine.js";
import { openEngine } from "../src/engines/registry.js";
import { type Clip, makeClip } from "../src/models/clip.js";
import { parseClipConfig } from "../src/models/config/config.js";
import { drawNoise } from "../src/nn/noise.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { StepRunner } from "../src/train/step/runner.js";
import { initialState } from "../src/train/step/state.js";

const { values } = parseArgs({
  options: { steps: { type: "string", default: "500" }, engine: { type: "string", default: "openvino" } },
});
const STEPS = Number(values.steps);
const [BATCH, SIZE, TOKENS, KINDS] = [32, 32, 8, 64] as const;

const text_cfg = { context_length: TOKENS, vocab_size: 128, width: 64, heads: 2, layers: 2 };
const families: Readonly<Record<string, object>> = {
  ViT: { image_size: SIZE, patch_size: 8, width: 64, head_width: 32, layers: 3 },
  ResNet: { image_size: SIZE, layers: [1, 1, 1, 1], width: 16, head_width: 32 },
  ConvNeXt: { image_size: SIZE, timm_model_name: "convnext_atto", timm_pool: "", timm_proj: "linear" },
};

/** A batch of step `i`: pictures of a kind are its prototype under noise, captions spell its number. */
function batchOf(i: number, order: number) {
  const random = new Random(keyFromSeed(1000 * order + i));
  const kinds = Array.from({ length: BATCH }, () => random.integer(KINDS));
  const images = new Uint8Array(BATCH * SIZE * SIZE * 3);
  const tokens = new Int32Array(BATCH * TOKENS);
  kinds.forEach((kind, row) => {
    const prototype = new Random(keyFromSeed(7 + kind));
    const side = SIZE / 8;
    const colours = Uint8Array.from({ length: side * side * 3 }, () => prototype.integer(256));
    for (let p = 0; p < SIZE * SIZE * 3; p++) {
      const [y, x] = [Math.floor(p / 3 / SIZE), Math.floor(p / 3) % SIZE];
      const colour = colours[((y >> 3) * side + (x >> 3)) * 3 + (p % 3)]!;
      images[row * SIZE * SIZE * 3 + p] = Math.min(255, Math.max(0, colour + 60 * random.normal()));
    }
    for (let t = 0; t < 3; t++) tokens[row * TOKENS + t] = 1 + ((kind >> (2 * t)) & 3) + 4 * t;
    tokens[row * TOKENS + 3] = 127;
  });
  const imageIds = Int32Array.from({ length: BATCH }, (_, row) => row);
  return { images, tokens, imageIds, textIds: Int32Array.from(kinds) };
}

async function losses(engine: Engine, clip: Clip, precision: "f32" | "bf16-results", order: number) {
  const optimizer = makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.1 });
  const options = {
    ...{ clip, optimizer, precision, batchSize: BATCH, contextLength: TOKENS, clipNorm: 1 },
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
  } as const;
  using runner = await StepRunner.create(engine, options, initialState({ clip }, keyFromSeed(3)));
  const out: number[] = [];
  for (let i = 1; i <= STEPS; i++) {
    const batch = { ...batchOf(i, order), noise: drawNoise(clip.noise, keyFromSeed(i), BATCH) };
    const rate = 1e-3 * Math.min(1, i / 50);
    out.push((await runner.step(batch, optimizer.scalars(i, rate))).loss);
  }
  return out;
}

const mean = (list: readonly number[]): number => list.reduce((n, x) => n + x, 0) / list.length;
/** Mean losses of five parts of the run, and the mean distance of two curves smoothed over 20 steps. */
const parts = (list: readonly number[]): string =>
  Array.from({ length: 5 }, (_, i) =>
    mean(list.slice((i * STEPS) / 5, ((i + 1) * STEPS) / 5)).toFixed(3),
  ).join(" | ");
const smooth = (list: readonly number[]): number[] =>
  list.map((_, i) => mean(list.slice(Math.max(0, i - 19), i + 1)));
const apart = (a: readonly number[], b: readonly number[]): number => {
  const other = smooth(b);
  return mean(smooth(a).map((x, i) => Math.abs(x - other[i]!)));
};

const engine = await openEngine(values.engine, { threads: 2 });
process.stdout.write("| family | run | 0–20 % | 20–40 % | 40–60 % | 60–80 % | 80–100 % | apart from f32 |\n");
process.stdout.write("|---|---|---|---|---|---|---|---|\n");
for (const [name, vision_cfg] of Object.entries(families)) {
  const clip = makeClip(parseClipConfig({ embed_dim: 32, vision_cfg, text_cfg }, name));
  const full = await losses(engine, clip, "f32", 1);
  const rounded = await losses(engine, clip, "bf16-results", 1);
  const chance = await losses(engine, clip, "f32", 2);
  process.stdout.write(`| ${name} | f32 | ${parts(full)} | – |\n`);
  process.stdout.write(`| | bf16-results | ${parts(rounded)} | ${apart(rounded, full).toFixed(4)} |\n`);
  process.stdout.write(`| | f32, another order | ${parts(chance)} | ${apart(chance, full).toFixed(4)} |\n`);
}
await engine[Symbol.asyncDispose]();
