/** Batches that devices do not divide: who has which rows, and that padding counts for nothing. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TypedArray } from "../src/core/dtype.js";
import { UsageError } from "../src/core/errors.js";
import { keyFromSeed, Random } from "../src/core/random.js";
import { sizeOfShape } from "../src/core/shape.js";
import { interpretReplicas } from "../src/graph/interpret.js";
import { makeClip } from "../src/models/clip.js";
import { rowsOfDevices, spread, weightsOf } from "../src/train/step/device-rows.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { batchTypes, type StepOptions } from "../src/train/step/options.js";
import { initialState } from "../src/train/step/state.js";
import { trainStep } from "../src/train/step/step.js";
import { assertClose } from "./support/close.js";

describe("shareOf", () => {
  test("the devices of all processes have each row once, in order, and one row more at most", () => {
    for (const [batchSize, devices, processes] of [
      [10, 2, 2],
      [7, 1, 3],
      [8, 4, 1],
      [5, 1, 5],
    ] as const) {
      let next = 0;
      for (let p = 0; p < processes; p++) {
        const share = rowsOfDevices(batchSize, devices * processes, { first: p * devices, devices });
        assert.equal(share.start, next);
        assert.equal(
          share.counts.reduce((n, c) => n + c, 0),
          share.end - share.start,
        );
        for (const count of share.counts) assert.ok(count === share.height || count === share.height - 1);
        next = share.end;
      }
      assert.equal(next, batchSize);
    }
  });

  test("a batch of fewer rows than devices is refused", () => {
    assert.throws(() => rowsOfDevices(3, 4), UsageError);
  });
});

describe("spread", () => {
  test("what a device lacks is its first row once more, or a number", () => {
    const share = rowsOfDevices(5, 3);
    const rows = Int32Array.of(1, 10, 2, 20, 3, 30, 4, 40, 5, 50);
    assert.deepEqual([...spread(rows, 2, share)], [1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 5, 50]);
    assert.deepEqual([...spread(Int32Array.of(0, 1, 2, 3, 4), 1, share, -1)], [0, 1, 2, 3, 4, -1]);
    assert.deepEqual([...weightsOf(share)], [1, 1, 1, 1, 1, 0]);
  });

  test("rows that the devices divide stay where they are", () => {
    const rows = new Uint8Array(12);
    assert.equal(spread(rows, 2, rowsOfDevices(6, 3)), rows);
  });
});

describe("trainStep over devices that do not divide the batch", () => {
  const B = 5;
  const clip = makeClip({
    embed_dim: 4,
    vision_cfg: { image_size: 8, patch_size: 8, width: 8, layers: 1, head_width: 8 },
    text_cfg: { context_length: 4, vocab_size: 12, width: 8, heads: 1, layers: 1 },
  });
  const optimizer = makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 });
  const base: StepOptions = {
    ...{ clip, optimizer, batchSize: B, contextLength: 4, clipNorm: 1, ema: true },
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
  };
  const random = new Random(keyFromSeed(4));
  // Two rows share an image, two a caption.
  const batch: Record<string, TypedArray> = {
    images: Uint8Array.from({ length: B * 8 * 8 * 3 }, () => random.integer(256)),
    tokens: Int32Array.from({ length: B * 4 }, () => random.integer(12)),
    imageIds: Int32Array.of(0, 7, 2, 7, 4),
    textIds: Int32Array.of(0, 1, 1, 3, 4),
  };

  /** Outputs of every replica after a step. */
  const stepOver = (replicas: number) => {
    const graph = trainStep({ ...base, replicas });
    const share = rowsOfDevices(B, replicas);
    const start = initialState({ clip }, keyFromSeed(1));
    const numbers: Record<string, number> = { ...optimizer.scalars(3, 1e-2), emaDecay: 0.9 };
    return interpretReplicas(
      graph,
      Array.from({ length: replicas }, (_, r) =>
        Object.fromEntries(
          graph.inputs.map(({ name, tensor }) => {
            const size = sizeOfShape(tensor.shape);
            const own = name.slice(name.indexOf(".") + 1);
            if (name.startsWith("scalars.")) return [name, [numbers[own]!]];
            if (name === "batch.weights") return [name, weightsOf(share).subarray(r * size, (r + 1) * size)];
            if (name.startsWith("batch.")) {
              const data = batch[own]!;
              const all = spread(data, data.length / B, share, own.endsWith("Ids") ? -1 : undefined);
              return [name, all.subarray(r * size, (r + 1) * size) as Int32Array];
            }
            const value = start[name] ?? start[name.replace(/^ema\./, "params.")];
            return [name, (value as Float32Array | undefined) ?? new Float64Array(size)];
          }),
        ),
      ),
    );
  };

  test("two, three and five devices compute the step of one", () => {
    const [alone] = stepOver(1);
    for (const replicas of [2, 3, 5]) {
      for (const own of stepOver(replicas)) {
        for (const [name, { data }] of Object.entries(alone!))
          assertClose(own[name]!.data, data, 1e-9, `${name} on ${replicas}`);
      }
    }
  });

  test("a batch that they divide has no padding in its graph", () => {
    assert.equal(batchTypes({ ...base, replicas: 5 }).weights, undefined);
    assert.deepEqual(batchTypes({ ...base, replicas: 2 }).weights, { dtype: "f32", shape: [3] });
    assert.ok(trainStep({ ...base, replicas: 5 }).inputs.every(({ name }) => name !== "batch.weights"));
  });
});
