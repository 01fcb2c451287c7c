/** What linear classifiers say of rows, on an engine. */

import type { Engine } from "../../engines/engine.js";
import { add, matmul } from "../../graph/ops/index.js";
import { trace } from "../../graph/trace.js";
import type { Nearest } from "../features/features.js";
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

/**
 * The `k` likeliest classes of each row, best first, of equal ones the first: `indices` and logits `scores` [N,k]. With `allowed`,
 * ascending, the other classes are masked.
 */
export async function guessClasses(
  engine: Engine,
  classifier: LinearClassifier,
  features: Rows,
  k: number,
  allowed?: Uint32Array,
): Promise<Nearest> {
  if (allowed !== undefined) {
    const { indices, ...found } = await guessClasses(engine, only(classifier, allowed), features, k);
    return { ...found, indices: indices.map((at) => allowed[at]!) };
  }
  const { width: D, classes: C } = classifier;
  const depth = Math.min(k, C);
  const B = Math.min(BLOCK, features.rows);
  const types = {
    x: { dtype: "f32" as const, shape: [B, D] },
    w: { dtype: "f32" as const, shape: [D, C] },
    b: { dtype: "f32" as const, shape: [C] },
  };
  using program = await engine.compile(
    trace(types, ({ x, w, b }) => ({ logits: add(matmul(x, w), b) })),
    { name: "linear classifier" },
  );
  using w = engine.upload(types.w, classifier.weight);
  using b = engine.upload(types.b, classifier.bias);
  const indices = new Uint32Array(features.rows * depth);
  const scores = new Float32Array(features.rows * depth).fill(Number.NEGATIVE_INFINITY);
  for (let start = 0; start < features.rows; start += B) {
    const count = Math.min(B, features.rows - start);
    using x = engine.upload(types.x, blockOf(features, start, count, B), { adopt: true });
    const { logits } = await program.run({ x, w, b });
    using buffer = logits!;
    const all = (await engine.download(buffer)) as Float32Array;
    for (let i = 0; i < count; i++) {
      keepBest(all.subarray(i * C, (i + 1) * C), indices, scores, (start + i) * depth, depth);
    }
  }
  return { indices, scores, k: depth };
}

/** The classifier of some classes. */
function only({ weight, bias, width, classes }: LinearClassifier, allowed: Uint32Array): LinearClassifier {
  const part = new Float32Array(width * allowed.length);
  for (let k = 0; k < width; k++)
    for (const [at, c] of allowed.entries()) part[k * allowed.length + at] = weight[k * classes + c]!;
  return { weight: part, bias: Float32Array.from(allowed, (c) => bias[c]!), width, classes: allowed.length };
}

/** Inserts each of `row` among the best `depth` from `first` on. */
function keepBest(
  row: Float32Array,
  indices: Uint32Array,
  scores: Float32Array,
  first: number,
  depth: number,
): void {
  const last = first + depth - 1;
  for (let c = 0; c < row.length; c++) {
    const score = row[c]!;
    if (score <= scores[last]!) continue;
    let at = last;
    for (; at > first && scores[at - 1]! < score; at--) {
      scores[at] = scores[at - 1]!;
      indices[at] = indices[at - 1]!;
    }
    scores[at] = score;
    indices[at] = c;
  }
}

/** The likeliest class of each row [N]. */
export const predict = async (
  engine: Engine,
  classifier: LinearClassifier,
  features: Rows,
  allowed?: Uint32Array,
): Promise<Uint32Array> => (await guessClasses(engine, classifier, features, 1, allowed)).indices;

/** `count` rows from `start` as [block, width], with rows of zeros behind. */
export function blockOf({ data, width }: Rows, start: number, count: number, block: number): Float32Array {
  const out = new Float32Array(block * width);
  out.set(data.subarray(start * width, (start + count) * width));
  return out;
}
