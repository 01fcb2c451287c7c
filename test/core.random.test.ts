import assert from "node:assert/strict";
import { test } from "node:test";
import { foldIn, keyFromSeed, philox, Random } from "../src/core/random.js";

test("philox gives the known answers of Random123", () => {
  // Random123's kat_vectors, philox4x32 with 10 rounds.
  const out = new Uint32Array(4);
  philox({ hi: 0, lo: 0 }, new Uint32Array(4), out);
  assert.deepEqual([...out], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  philox(
    { hi: 0xffffffff, lo: 0xffffffff },
    new Uint32Array([0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff]),
    out,
  );
  assert.deepEqual([...out], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
  philox(
    { hi: 0x299f31d0, lo: 0xa4093822 },
    new Uint32Array([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]),
    out,
  );
  assert.deepEqual([...out], [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
});

test("foldIn separates names, numbers and their order", () => {
  const key = keyFromSeed(1);
  const seen = new Set(
    [["a"], ["b"], [1], ["1"], ["a", 1], [1, "a"], ["a", 2 ** 32 + 1]].map((parts) => {
      const k = foldIn(key, ...(parts as (string | number)[]));
      return `${k.hi}:${k.lo}`;
    }),
  );
  assert.equal(seen.size, 7);
});

test("draws have the moments of their distributions", () => {
  const random = new Random(keyFromSeed(7));
  const n = 20000;
  const normals = Array.from({ length: n }, () => random.normal());
  const mean = normals.reduce((a, b) => a + b) / n;
  const variance = normals.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(n), `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 0.05, `variance ${variance}`);
  const permutation = random.permutation(1000);
  assert.deepEqual(
    [...permutation].sort((a, b) => a - b),
    Array.from({ length: 1000 }, (_, i) => i),
  );
});
