/**
 * The loss of a small CLIP over 500 steps, in f32, in bf16 by `mixedPrecision`, and in f32 with another order of
 * samples (what chance alone does). `node dist/bench/precision.js` writes docs/figures/bf16.svg.
 */

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { keyFromSeed, Random } from "../src/core/random.js";
import { sizeOfShape, type TensorType } from "../src/core/shape.js";
import type { DeviceBuffer, Engine } from "../src/engines/engine.js";
import { openEngine } from "../src/engines/registry.js";
import { gradients } from "../src/graph/grad.js";
import type { Graph } from "../src/graph/graph.js";
import {
  add,
  attention,
  cast,
  conv,
  equal,
  exp,
  gather,
  gelu,
  iota,
  layerNorm,
  linearMap,
  matmul,
  mean,
  mul,
  reshape,
  rsqrt,
  softmaxCrossEntropy,
  split,
  sub,
  sum,
  transpose,
} from "../src/graph/ops/index.js";
import { mixedPrecision } from "../src/graph/precision.js";
import type { Tensor } from "../src/graph/tensor.js";
import { trace } from "../src/graph/trace.js";

const BATCH = 32;
const PAIRS = 96;
const SIZE = 16;
const PATCH = 4;
const WIDTH = 32;
const HEADS = 2;
const JOINT = 16;
const TOKENS = 4;
const VOCABULARY = 40;
const RATE = 0.3;

const f32 = (...shape: number[]) => ({ dtype: "f32", shape }) as const;

const parameters = {
  patch: f32(WIDTH, 3, PATCH, PATCH),
  scale: f32(WIDTH),
  bias: f32(WIDTH),
  qkv: f32(3 * WIDTH, WIDTH),
  out: f32(WIDTH, WIDTH),
  up: f32(4 * WIDTH, WIDTH),
  down: f32(WIDTH, 4 * WIDTH),
  image: f32(JOINT, WIDTH),
  table: f32(VOCABULARY, WIDTH),
  text: f32(JOINT, WIDTH),
  temperature: f32(),
};

const unit = (x: Tensor): Tensor => mul(x, rsqrt(add(sum(mul(x, x), -1, true), 1e-6)));

/** One step of gradient descent with the contrastive loss on `BATCH` pairs. */
function step(): Graph {
  const types = {
    params: parameters,
    images: { dtype: "u8", shape: [BATCH, 3, SIZE, SIZE] },
    texts: { dtype: "i32", shape: [BATCH, TOKENS] },
  } as const;
  return trace(types, ({ params: p, images, texts }) => {
    const pixels = sub(mul(cast(images, "f32"), 1 / 127.5), 1);
    const patches = conv(pixels, p.patch, { stride: [PATCH, PATCH] });
    const T = (SIZE / PATCH) ** 2;
    let x = transpose(reshape(patches, [BATCH, WIDTH, T]), [0, 2, 1]);
    const heads = (y: Tensor) => transpose(reshape(y, [BATCH, T, HEADS, WIDTH / HEADS]), [0, 2, 1, 3]);
    const [q, k, v] = split(linearMap(layerNorm(x, p.scale, p.bias), p.qkv), -1, 3).map(heads);
    const mixed = reshape(transpose(attention(q!, k!, v!), [0, 2, 1, 3]), [BATCH, T, WIDTH]);
    x = add(x, linearMap(mixed, p.out));
    x = add(x, linearMap(gelu(linearMap(layerNorm(x, p.scale, p.bias), p.up)), p.down));
    const i = unit(linearMap(mean(x, 1), p.image));
    const t = unit(linearMap(mean(gather(p.table, texts), 1), p.text));
    const logits = mul(matmul(i, t, { transB: true }), exp(p.temperature));
    const row = iota("i32", [BATCH, BATCH], 0);
    const targets = cast(equal(row, iota("i32", [BATCH, BATCH], 1)), "f32");
    const losses = add(softmaxCrossEntropy(logits, targets), softmaxCrossEntropy(transpose(logits), targets));
    const loss = mul(mean(losses), 0.5);
    const names = Object.keys(parameters) as (keyof typeof parameters)[];
    const found = gradients(
      loss,
      names.map((n) => p[n]),
    );
    const next = Object.fromEntries(names.map((n, k) => [n, sub(p[n], mul(found[k]!, RATE))]));
    return { loss, next: { params: next } };
  });
}

/** Starting values: normal, of variance one over the inputs of a sum. */
function start(name: string, { shape }: TensorType, random: Random): Float32Array {
  if (name === "temperature") return Float32Array.of(Math.log(10));
  if (name === "scale") return new Float32Array(WIDTH).fill(1);
  const spread = 1 / Math.sqrt(name === "table" ? WIDTH : sizeOfShape(shape.slice(1)));
  return Float32Array.from({ length: sizeOfShape(shape) }, () => random.normal() * spread);
}

export interface Curves {
  readonly f32: number[];
  readonly bf16: number[];
  /** f32, the same pairs in another order. */
  readonly otherOrder: number[];
}

/** Losses by step. The two precisions see the same numbers in the same order. */
export async function lossCurves(engine: Engine, steps: number): Promise<Curves> {
  const graph = step();
  return {
    f32: await losses(engine, graph, steps, 1),
    bf16: await losses(engine, mixedPrecision(graph), steps, 1),
    otherOrder: await losses(engine, graph, steps, 2),
  };
}

async function losses(engine: Engine, graph: Graph, steps: number, order: number): Promise<number[]> {
  using program = await engine.compile(graph);
  const random = new Random(keyFromSeed(0));
  let params: Record<string, DeviceBuffer> = Object.fromEntries(
    Object.entries(parameters).map(([name, type]) => [
      `params.${name}`,
      engine.upload(type, start(name, type, random)),
    ]),
  );
  const pixels = 3 * SIZE * SIZE;
  const images = Uint8Array.from({ length: PAIRS * pixels }, () => random.integer(256));
  const texts = Int32Array.from({ length: PAIRS * TOKENS }, () => random.integer(VOCABULARY));
  // A little noise, so that the pairs cannot simply be learnt by heart to a loss of 0.
  const noise = Int16Array.from({ length: 16 * pixels }, () => 40 * random.normal());
  const shuffle = new Random(keyFromSeed(order));
  const out: number[] = [];
  for (let at = 0; at < steps; at++) {
    const chosen = [...shuffle.permutation(PAIRS).subarray(0, BATCH)];
    const noisy = new Uint8Array(BATCH * pixels);
    chosen.forEach((pair, row) => {
      const from = shuffle.integer(noise.length - pixels);
      for (let i = 0; i < pixels; i++) {
        const value = images[pair * pixels + i]! + noise[from + i]!;
        noisy[row * pixels + i] = Math.min(255, Math.max(0, value));
      }
    });
    const words = Int32Array.from(chosen.flatMap((i) => [...texts.subarray(i * TOKENS, (i + 1) * TOKENS)]));
    using batchImages = engine.upload({ dtype: "u8", shape: [BATCH, 3, SIZE, SIZE] }, noisy);
    using batchTexts = engine.upload({ dtype: "i32", shape: [BATCH, TOKENS] }, words);
    const { loss, ...rest } = await program.run({ ...params, images: batchImages, texts: batchTexts });
    out.push(Number((await engine.download(loss!))[0]));
    loss![Symbol.dispose]();
    params = Object.fromEntries(Object.entries(rest).map(([k, v]) => [k.slice("next.".length), v]));
  }
  for (const buffer of Object.values(params)) buffer[Symbol.dispose]();
  return out;
}

/** Means over windows of `width` steps. */
export const smooth = (values: readonly number[], width: number): number[] =>
  Array.from({ length: Math.floor(values.length / width) }, (_, i) => {
    const part = values.slice(i * width, (i + 1) * width);
    return part.reduce((n, v) => n + v, 0) / part.length;
  });

/** The curves as an SVG of 640 × 320. */
function plot(curves: Curves): string {
  const width = 10;
  const [left, right, top, bottom] = [50, 620, 20, 280];
  const lines = (
    [
      ["f32, other order", curves.otherOrder, "#bbbbbb"],
      ["f32", curves.f32, "#1f77b4"],
      ["bf16", curves.bf16, "#d62728"],
    ] as const
  ).map(([name, values, colour]) => ({ name, values: smooth(values, width), colour }));
  const highest = Math.ceil(Math.max(...lines.flatMap((l) => l.values)));
  const count = lines[0]!.values.length;
  const x = (i: number) => (left + ((right - left) * (i + 0.5)) / count).toFixed(1);
  const y = (v: number) => (bottom - ((bottom - top) * v) / highest).toFixed(1);
  const ticks = Array.from({ length: highest + 1 }, (_, v) => v);
  return [
    '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="320" font-family="sans-serif" font-size="12">',
    "<title>Loss of a small CLIP in f32, in bf16, and in f32 with the samples in another order</title>",
    '<rect width="640" height="320" fill="white"/>',
    ...ticks.map(
      (v) =>
        `<line x1="${left}" x2="${right}" y1="${y(v)}" y2="${y(v)}" stroke="#eeeeee"/><text x="40" y="${y(v)}" text-anchor="end" dy="4">${v}</text>`,
    ),
    ...lines.map(
      ({ values, colour }) =>
        `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${values.map((v, i) => `${x(i)},${y(v)}`).join(" ")}"/>`,
    ),
    ...lines.map(({ name, colour }, i) => `<text x="500" y="${40 + 16 * i}" fill="${colour}">${name}</text>`),
    `<text x="335" y="310" text-anchor="middle">step (means of ${width}); loss in nats, ${curves.f32.length} steps</text>`,
    "</svg>",
    "",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const engine = await openEngine("xla", { plugin: process.argv[2] });
  const curves = await lossCurves(engine, 500);
  await engine[Symbol.asyncDispose]();
  const path = fileURLToPath(new URL("../../docs/figures/bf16.svg", import.meta.url));
  writeFileSync(path, plot(curves));
  process.stdout.write(`${path}\n`);
}
