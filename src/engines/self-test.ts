/**
 * Whether an engine's numbers are right on this machine: there are processors for which a version of a library
 * computes wrong products without a word. A small train step, forward, gradients and update, twice, beside the
 * reference in float64, in f32 and in bf16; once for each version and processor, remembered in the cache folder.
 */

import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder } from "../core/cache-folder.js";
import { decode, encode } from "../core/dtype.js";
import { keyFromSeed, Random } from "../core/random.js";
import { sizeOfShape, type TensorType } from "../core/shape.js";
import { gradients } from "../graph/grad.js";
import type { Graph } from "../graph/graph.js";
import { interpret } from "../graph/interpret.js";
import {
  add,
  attention,
  conv,
  gelu,
  layerNorm,
  linearMap,
  matmul,
  mul,
  reshape,
  softmaxCrossEntropy,
  split,
  sub,
  sum,
  transpose,
} from "../graph/ops/index.js";
import { mixedPrecision } from "../graph/precision.js";
import type { Tensor } from "../graph/tensor.js";
import { trace } from "../graph/trace.js";
import type { DeviceBuffer, Engine } from "./engine.js";
import { processor } from "./processor.js";

/** What is wrong in each format of products; undefined where nothing is. */
export interface SelfTest {
  readonly f32: string | undefined;
  readonly bf16: string | undefined;
}

const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });

// Large enough that products fill the tiles of matrix units (16 × 64), and odd, so that they have rests.
const [B, SIZE, PATCH, WIDTH, HEADS] = [3, 12, 4, 96, 3] as const;
const TOKENS = (SIZE / PATCH) ** 2;
const RATE = 0.05;

const parameters = {
  patch: f32(WIDTH, 3, PATCH, PATCH),
  scale: f32(WIDTH),
  bias: f32(WIDTH),
  qkv: f32(3 * WIDTH, WIDTH),
  up: f32(2 * WIDTH, WIDTH),
  down: f32(WIDTH, 2 * WIDTH),
  head: f32(17, WIDTH),
};

/** One step of gradient descent on a block of a vision transformer. */
function step(): Graph {
  const inputs = { params: parameters, images: f32(B, 3, SIZE, SIZE), targets: f32(B, 17), rate: f32() };
  return trace(inputs, ({ params: p, images, targets, rate }) => {
    const patches = conv(images, p.patch, { stride: [PATCH, PATCH] });
    const x = transpose(reshape(patches, [B, WIDTH, TOKENS]), [0, 2, 1]);
    const heads = (t: Tensor) => transpose(reshape(t, [B, TOKENS, HEADS, WIDTH / HEADS]), [0, 2, 1, 3]);
    const [q, k, v] = split(linearMap(layerNorm(x, p.scale, p.bias), p.qkv), 2, 3).map(heads);
    const attended = reshape(transpose(attention(q!, k!, v!), [0, 2, 1, 3]), [B, TOKENS, WIDTH]);
    const y = add(x, attended);
    const z = add(y, linearMap(gelu(linearMap(y, p.up)), p.down));
    const logits = matmul(mul(sum(z, 1), 1 / TOKENS), p.head, { transB: true });
    const loss = mul(sum(softmaxCrossEntropy(logits, targets)), 1 / B);
    const names = Object.keys(p) as (keyof typeof p)[];
    const found = gradients(
      loss,
      names.map((name) => p[name]),
    );
    const next = names.map((name, i) => [name, sub(p[name], mul(found[i]!, rate))] as const);
    return { loss, next: { params: Object.fromEntries(next) } };
  });
}

/** Error allowed, of the largest number of a tensor: rounding, in other orders of sums than the reference's. */
const LIMITS = { f32: 1e-4, bf16: 3e-2 } as const;

/** What differs from the reference, if anything does. */
async function check(engine: Engine, precision: keyof typeof LIMITS): Promise<string | undefined> {
  const plain = step();
  const graph = precision === "f32" ? plain : mixedPrecision(plain, { results: "bf16" });
  const random = new Random(keyFromSeed(7));
  const values = Object.fromEntries(
    graph.inputs.map(({ name, tensor }) => {
      const scale = name === "rate" ? 0 : name.startsWith("params.") ? 0.15 : 1;
      const draw = () => (name === "rate" ? RATE : random.normal() * scale);
      return [name, Float64Array.from({ length: sizeOfShape(tensor.shape) }, () => Math.fround(draw()))];
    }),
  );
  using program = await engine.compile(graph, { name: "self-test" });
  let held: Record<string, DeviceBuffer> = Object.fromEntries(
    graph.inputs.map(({ name, tensor }) => [name, engine.upload(tensor, encode("f32", values[name]!))]),
  );
  try {
    // The second step reads what the first has written where its inputs lay.
    for (let i = 0; i < 2; i++) {
      const expected = interpret(graph, values);
      const outputs = await program.run(held);
      for (const { name, tensor } of graph.outputs) {
        const got = decode(tensor.dtype, await engine.download(outputs[name]!));
        const wanted = expected[name]!.data;
        const size = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        const error = got.reduce((most, x, j) => Math.max(most, Math.abs(x - wanted[j]!) || 0), 0);
        const broken = got.findIndex((x) => !Number.isFinite(x));
        if (broken >= 0 || error > LIMITS[precision] * size) {
          const how =
            broken >= 0 ? `${got[broken]}` : `errors of ${(error / size).toPrecision(2)} of its size`;
          return `${name} of step ${i + 1} has ${how}`;
        }
        if (name.startsWith("next.")) values[name.slice("next.".length)] = Float64Array.from(got);
      }
      held = { ...held, ...advance(outputs) };
    }
    return undefined;
  } finally {
    for (const buffer of Object.values(held)) buffer[Symbol.dispose]();
  }
}

/** New states by their inputs' names; the rest is freed. */
function advance(outputs: Readonly<Record<string, DeviceBuffer>>): Record<string, DeviceBuffer> {
  const next: Record<string, DeviceBuffer> = {};
  for (const [name, buffer] of Object.entries(outputs)) {
    if (name.startsWith("next.")) next[name.slice("next.".length)] = buffer;
    else buffer[Symbol.dispose]();
  }
  return next;
}

/** Computes the test on `engine` and holds it against the reference. Never throws for a wrong number. */
export async function selfTest(engine: Engine): Promise<SelfTest> {
  const tried = async (precision: "f32" | "bf16") => {
    try {
      return await check(engine, precision);
    } catch (error) {
      return `it failed: ${(error as Error).message}`;
    }
  };
  const wide = engine.capabilities.computeDtypes.includes("bf16");
  return { f32: await tried("f32"), bf16: wide ? await tried("bf16") : "it has no products of bf16" };
}

const recordPath = (): string => join(cacheFolder(), "self-tests.json");

function readRecords(): Record<string, SelfTest> {
  try {
    return JSON.parse(readFileSync(recordPath(), "utf8")) as Record<string, SelfTest>;
  } catch {
    return {};
  }
}

/** A library file as it is, on this processor. */
export function machineKey(library: string): string {
  const { size, mtimeMs } = statSync(library);
  return [library, size, Math.round(mtimeMs), processor().name, processor().bf16].join("|");
}

/** What the test of the engine in `library` gave on this processor, if it has run. */
export const knownSelfTest = (library: string): SelfTest | undefined => {
  const found = readRecords()[machineKey(library)];
  return found && { f32: found.f32, bf16: found.bf16 };
};

/** What the test gives, from the record or by running it on `engine`. A folder that cannot be written is no error. */
export async function rememberedSelfTest(engine: Engine, library: string): Promise<SelfTest> {
  const known = knownSelfTest(library);
  if (known !== undefined) return known;
  const found = await selfTest(engine);
  try {
    mkdirSync(dirname(recordPath()), { recursive: true });
    writeFileSync(
      recordPath(),
      `${JSON.stringify({ ...readRecords(), [machineKey(library)]: found }, null, 2)}\n`,
    );
  } catch {
    // It runs again next time.
  }
  return found;
}
