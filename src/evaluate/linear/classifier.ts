/** What linear classifiers say of rows, on an engine. */

import type { Engine } from "../../engines/engine.js";
import { add, argmax, matmul } from "../../graph/ops/index.js";
import { trace } from "../../graph/trace.js";
import type { Rows } from "./cholesky.js";

/** A linear classifier: `weight` [D,C] row-major, `bias` [C]; a row's class is the largest of x·weight + bias. */
export interface LinearClassifier {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly width: number;
  readonly classes: number;
}

/** Rows that go through the engine at once: 4,096 × 1,000 logits are 16 MB. */
export const BLOCK = 4096;

/** The likeliest class of each row [N]; of equal ones the first. */
export async function predict(
  engine: Engine,
  classifier: LinearClassifier,
  features: Rows,
): Promise<Int32Array> {
  const { width: D, classes: C } = classifier;
  const B = Math.min(BLOCK, features.rows);
  const types = {
    x: { dtype: "f32" as const, shape: [B, D] },
    w: { dtype: "f32" as const, shape: [D, C] },
    b: { dtype: "f32" as const, shape: [C] },
  };
  using program = await engine.compile(
    trace(types, ({ x, w, b }) => ({ guess: argmax(add(matmul(x, w), b), -1) })),
    { name: "predict" },
  );
  using w = engine.upload(types.w, classifier.weight);
  using b = engine.upload(types.b, classifier.bias);
  const out = new Int32Array(features.rows);
  for (let start = 0; start < features.rows; start += B) {
    const count = Math.min(B, features.rows - start);
    using x = engine.upload(types.x, blockOf(features, start, count, B), { adopt: true });
    const { guess } = await program.run({ x, w, b });
    using buffer = guess!;
    const guesses = await engine.download(buffer);
    for (let i = 0; i < count; i++) out[start + i] = Number(guesses[i]);
  }
  return out;
}

/** `count` rows from `start` as [block, width], with rows of zeros behind. */
export function blockOf({ data, width }: Rows, start: number, count: number, block: number): Float32Array {
  const out = new Float32Array(block * width);
  out.set(data.subarray(start * width, (start + count) * width));
  return out;
}
