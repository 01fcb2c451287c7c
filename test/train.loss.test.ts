/** The contrastive loss against one written with loops in float64, several captions an image included. */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { TensorType } from "../src/core/shape.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { gradients } from "../src/graph/grad.js";
import { interpret } from "../src/graph/interpret.js";
import { trace } from "../src/graph/trace.js";
import { acrossReplicas, shareOfMean, softmaxPairs } from "../src/train/strategies/loss.js";
import { assertClose, tolerance } from "./support/close.js";

const E = 5;

interface Batch {
  /** [B,E] unit vectors. */
  readonly images: Float64Array;
  readonly texts: Float64Array;
  readonly scale: number;
  readonly imageIds: readonly number[];
  readonly textIds: readonly number[];
}

function unitVectors(B: number, seed: number): Float64Array {
  const random = new Random(keyFromSeed(seed));
  const out = new Float64Array(B * E);
  for (let i = 0; i < B; i++) {
    const row = Array.from({ length: E }, () => random.normal());
    const length = Math.hypot(...row);
    for (const [k, x] of row.entries()) out[i * E + k] = x / length;
  }
  return out;
}

const batchOf = (imageIds: readonly number[], textIds: readonly number[], scale = 14): Batch => ({
  images: unitVectors(imageIds.length, 1),
  texts: unitVectors(imageIds.length, 2),
  scale,
  imageIds,
  textIds,
});

/**
 * Mean over images i of the mean over their texts j of −log p(j | i), and the same from texts, halved.
 * p(j | i) = e^(s cos(i,j)) / Σₖ e^(s cos(i,k)).
 */
function byLoops({ images, texts, scale, imageIds, textIds }: Batch): number {
  const B = imageIds.length;
  const cosine = (i: number, j: number): number => {
    let total = 0;
    for (let k = 0; k < E; k++) total += images[i * E + k]! * texts[j * E + k]!;
    return total;
  };
  const belong = (i: number, j: number) => imageIds[i] === imageIds[j] || textIds[i] === textIds[j];
  let loss = 0;
  for (const fromImages of [true, false]) {
    for (let i = 0; i < B; i++) {
      const logit = (j: number) => scale * (fromImages ? cosine(i, j) : cosine(j, i));
      let total = 0;
      for (let k = 0; k < B; k++) total += Math.exp(logit(k));
      const partners = Array.from({ length: B }, (_, j) => j).filter((j) => belong(i, j));
      for (const j of partners) loss -= (logit(j) - Math.log(total)) / partners.length / B / 2;
    }
  }
  return loss;
}

/** Loss and gradients as a graph. */
function graphOf(B: number) {
  const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });
  const ids: TensorType = { dtype: "i32", shape: [B] };
  const types = { images: f32(B, E), texts: f32(B, E), scale: f32(), imageIds: ids, textIds: ids };
  return trace(types, ({ images, texts, scale, imageIds, textIds }) => {
    const { own, all } = acrossReplicas({ features: { images, texts }, imageIds, textIds }, 1);
    const loss = shareOfMean(softmaxPairs(own, all, { scale }), own, all);
    const [dImages, dTexts, dScale] = gradients(loss, [images, texts, scale]);
    return { loss, d: { images: dImages!, texts: dTexts!, scale: dScale! } };
  });
}

const feeds = (batch: Batch) => ({ ...batch, scale: [batch.scale] });
const lossOf = (batch: Batch) => interpret(graphFor(batch), feeds(batch)).loss!.data[0]!;
const graphFor = (batch: Batch) => graphOf(batch.imageIds.length);

const batches: Readonly<Record<string, Batch>> = {
  "pairs that are all different": batchOf([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]),
  "two captions of one image": batchOf([7, 1, 7, 3, 4], [0, 1, 2, 3, 4]),
  "one caption of two images": batchOf([0, 1, 2, 3, 4], [0, 1, 2, 1, 4]),
  "both at once, across each other": batchOf([9, 1, 9, 3, 9, 5], [0, 0, 2, 3, 3, 5]),
  "nothing but one image": batchOf([1, 1, 1], [0, 1, 2]),
  "a scale of 100": batchOf([0, 1, 0, 3], [0, 1, 2, 1], 100),
};

describe("softmaxPairs", () => {
  const engine = new OnnxRuntime({ threads: 1 });
  after(() => engine[Symbol.asyncDispose]());

  for (const [name, batch] of Object.entries(batches)) {
    it(`equals the loops: ${name}`, () => assertClose([lossOf(batch)], [byLoops(batch)], 1e-12, name));

    it(`has the loops' slopes: ${name}`, () => {
      const found = interpret(graphFor(batch), feeds(batch));
      const h = 1e-6;
      const slope = (moved: (by: number) => Batch) => (byLoops(moved(h)) - byLoops(moved(-h))) / (2 * h);
      for (const key of ["images", "texts"] as const) {
        const numeric = batch[key].map((_, i) =>
          slope((by) => ({ ...batch, [key]: batch[key].map((x, j) => (i === j ? x + by : x)) })),
        );
        assertClose(found[`d.${key}`]!.data, numeric, 1e-7, `${name} d/d${key}`);
      }
      const numeric = slope((by) => ({ ...batch, scale: batch.scale + by }));
      assertClose(found["d.scale"]!.data, [numeric], 1e-7, `${name} d/dscale`);
    });
  }

  it("equals the loops on ONNX Runtime", async () => {
    for (const [name, batch] of Object.entries(batches)) {
      const graph = graphFor(batch);
      using executable = await engine.compile(graph);
      const given: Readonly<Record<string, ArrayLike<number>>> = feeds(batch);
      const inputs = Object.fromEntries(
        graph.inputs.map(({ name: input, tensor }) => [
          input,
          engine.upload(
            tensor,
            tensor.dtype === "i32" ? Int32Array.from(given[input]!) : Float32Array.from(given[input]!),
          ),
        ]),
      );
      const outputs = await executable.run(inputs);
      assertClose(
        (await engine.download(outputs.loss!)) as Float32Array,
        [byLoops(batch)],
        tolerance("f32"),
        name,
      );
      for (const b of [...Object.values(inputs), ...Object.values(outputs)]) b[Symbol.dispose]();
    }
    assert.equal(engine.stats().buffers, 0);
  });

  it("without repetitions is open_clip's cross-entropy against the diagonal", () => {
    const batch = batches["pairs that are all different"]!;
    const B = batch.imageIds.length;
    const logits = Array.from({ length: B }, (_, i) =>
      Array.from({ length: B }, (_, j) => {
        let total = 0;
        for (let k = 0; k < E; k++) total += batch.images[i * E + k]! * batch.texts[j * E + k]!;
        return batch.scale * total;
      }),
    );
    const crossEntropy = (rows: readonly (readonly number[])[]) =>
      rows.reduce((n, row, i) => n + Math.log(row.reduce((m, x) => m + Math.exp(x), 0)) - row[i]!, 0) / B;
    const columns = logits.map((_, j) => logits.map((row) => row[j]!));
    assertClose([lossOf(batch)], [(crossEntropy(logits) + crossEntropy(columns)) / 2], 1e-12, "loss");
  });

  it("does not push apart what belongs together", () => {
    // Two captions of one image, both exactly the image's vector, and a third pair at right angles.
    const vector = (k: number) => Array.from({ length: E }, (_, i) => (i === k ? 1 : 0));
    const rows = Float64Array.from([vector(0), vector(0), vector(1)].flat());
    const batch: Batch = { images: rows, texts: rows, scale: 50, imageIds: [4, 4, 6], textIds: [0, 1, 2] };
    // Nothing better than an equal share for each is possible: −log ½ for the two, 0 for the third.
    assertClose([lossOf(batch)], [(2 / 3) * Math.log(2)], 1e-12, "the least loss");
    const found = interpret(graphFor(batch), feeds(batch));
    assertClose(found["d.images"]!.data, new Float64Array(3 * E), 1e-12, "no force on the images");
    // A true pair that leans away is drawn back, where a loss that takes it for a stranger pushes it on.
    const leaning = { ...batch, texts: batch.texts.map((x, i) => (i === E + 2 ? 0.5 : x)) };
    const pull = (imageIds: readonly number[]) =>
      interpret(graphFor(batch), feeds({ ...leaning, imageIds }))["d.images"]!.data[2]!;
    assert.ok(pull([4, 4, 6]) < pull([4, 5, 6]), "the image moves towards its other caption");
  });

  it("treats images and texts alike", () => {
    for (const [name, batch] of Object.entries(batches)) {
      const exchanged = { ...batch, images: batch.texts, texts: batch.images };
      assertClose([lossOf(exchanged)], [lossOf(batch)], 1e-12, name);
    }
  });
});
