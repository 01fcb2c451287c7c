/** Text pooling over words alone, which PyTorch's oracle does not have, against loops in float64. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { interpret } from "../src/graph/interpret.js";
import { trace } from "../src/graph/trace.js";
import { makeClip } from "../src/models/clip.js";
import { parameterTypes } from "../src/nn/parameters.js";
import { assertClose } from "./support/close.js";

const config = {
  embed_dim: 3,
  vision_cfg: {
    image_size: 8,
    patch_size: 4,
    width: 4,
    layers: 1,
    head_width: 2,
    pool_type: "flat",
    class_token: false,
  },
  text_cfg: { context_length: 5, vocab_size: 7, width: 4, heads: 2, layers: 0, pool_type: "mean", pad_id: 0 },
} as const;

const clip = makeClip(config);
const random = new Random(keyFromSeed(3));
const values = Object.fromEntries(
  Object.entries(clip.parameters).map(([name, { shape }]) => [
    name,
    Float64Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => random.normal()),
  ]),
);
const feeds = (extra: Record<string, ArrayLike<number>>) => ({
  ...Object.fromEntries(Object.entries(values).map(([name, v]) => [`params.${name}`, v])),
  ...extra,
});

test("pool_type mean averages the words and not the padding", () => {
  const graph = trace(
    { params: parameterTypes(clip.parameters), tokens: { dtype: "i32" as const, shape: [2, 5] } },
    (x) => ({ y: clip.encodeText(x.params, x.tokens) }),
  );
  const rows = [
    [1, 5, 2, 0, 0],
    [3, 4, 6, 5, 2],
  ];
  const got = interpret(graph, feeds({ tokens: rows.flat() })).y!.data;
  const C = 4;
  const at = (name: string, i: number) => values[name]![i]!;
  const expected = rows.flatMap((row) => {
    const words = row.flatMap((id, t) => (id === 0 ? [] : [{ id, t }]));
    const pooled = Array.from({ length: C }, (_, c) => {
      const sum = words.reduce(
        (n, { id, t }) =>
          n + at("token_embedding.weight", id * C + c) + at("positional_embedding", t * C + c),
        0,
      );
      return sum / words.length;
    });
    const mu = pooled.reduce((a, b) => a + b) / C;
    const deviation = Math.sqrt(pooled.reduce((n, v) => n + (v - mu) ** 2, 0) / C + 1e-5);
    const normed = pooled.map(
      (v, c) => ((v - mu) / deviation) * at("ln_final.weight", c) + at("ln_final.bias", c),
    );
    const y = [0, 1, 2].map((e) => normed.reduce((n, v, c) => n + v * at("text_projection", c * 3 + e), 0));
    const length = Math.hypot(...y);
    return y.map((v) => v / length);
  });
  assertClose(got, expected, 1e-9, "text features");
});

test("pool_type flat tells apart two images that are each other's halves exchanged", () => {
  const graph = trace(
    { params: parameterTypes(clip.parameters), images: { dtype: "f32" as const, shape: [2, 3, 8, 8] } },
    (x) => ({ y: clip.encodeImage(x.params, x.images) }),
  );
  const shape = clip.parameters["visual.proj"]!.shape;
  assert.deepEqual(shape, [4 * 4, 3]);
  const image = Array.from({ length: 3 * 64 }, () => random.normal());
  const exchanged = image.map((_, i) => image[i - (i % 8) + (((i % 8) + 4) % 8)]!);
  const zeroed = feeds({ images: [...image, ...exchanged] });
  zeroed["params.visual.positional_embedding"] = new Float64Array(16);
  const y = interpret(graph, zeroed).y!.data;
  // Without positions the patches' vectors are the same two by two; only their places tell.
  assert.ok(Math.abs(y[0]! - y[3]!) > 1e-3, `${y}`);
});
