import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import {
  eachTile,
  type Features,
  nearestRows,
  normalise,
  similarity,
  unitFeatures,
} from "../src/evaluate/features/features.js";

function randomFeatures(seed: number, rows: number, width: number): Features {
  const random = new Random(keyFromSeed(seed));
  return normalise(
    Float32Array.from({ length: rows * width }, () => random.normal()),
    width,
    "random",
  );
}

suite("eachTile", () => {
  for (const [n, m, width] of [
    [1, 1, 1],
    [3, 2, 7],
    [67, 515, 5],
    [130, 1030, 3],
  ] as const) {
    test(`visits every pair of ${n} × ${m} once, with the bits of similarity()`, () => {
      const left = randomFeatures(1, n, width);
      const right = randomFeatures(2, m, width);
      const seen = new Float32Array(n * m).fill(Number.NaN);
      eachTile(left, right, ({ rowStart, rows, columnStart, columns, scores }) => {
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            const at = (rowStart + i) * m + columnStart + j;
            assert.ok(Number.isNaN(seen[at]!));
            seen[at] = scores[i * columns + j]!;
          }
        }
      });
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < m; j++) assert.equal(seen[i * m + j], similarity(left, i, right, j));
      }
    });
  }
});

suite("nearestRows", () => {
  test("lists the best candidates first and breaks ties by index", () => {
    const queries = randomFeatures(3, 70, 4);
    const candidates = randomFeatures(4, 1100, 4);
    candidates.data.copyWithin(1000 * 4, 0, 50 * 4); // rows 1000…1049 equal rows 0…49
    const { indices, scores, k } = nearestRows(queries, candidates, 7);
    assert.equal(k, 7);
    for (let q = 0; q < queries.rows; q++) {
      const expected = Array.from({ length: candidates.rows }, (_, c) => c)
        .sort(
          (a, b) => similarity(queries, q, candidates, b) - similarity(queries, q, candidates, a) || a - b,
        )
        .slice(0, 7);
      assert.deepEqual([...indices.subarray(q * 7, q * 7 + 7)], expected);
      assert.equal(scores[q * 7], similarity(queries, q, candidates, expected[0]!));
    }
  });

  test("gives all candidates when there are fewer than k", () => {
    assert.equal(nearestRows(randomFeatures(1, 2, 3), randomFeatures(2, 4, 3), 5).k, 4);
  });
});

suite("unitFeatures and normalise", () => {
  test("normalise gives rows of unit length, which unitFeatures accepts", () => {
    const { data } = randomFeatures(5, 9, 33);
    assert.equal(unitFeatures(data, 33, "images").rows, 9);
  });

  test("say which row is wrong", () => {
    const cases: [() => unknown, RegExp][] = [
      [() => unitFeatures(new Float32Array(7), 3, "images"), /images: the array must be .*length=7, width=3/],
      [() => unitFeatures(new Float32Array([1, 0, 2, 0]), 2, "images"), /row=1 length=2\.000/],
      [() => normalise(new Float32Array([1, 0, 0, 0]), 2, "texts"), /texts: a row of zeros.*row=1/],
      [() => normalise(new Float32Array([1, Number.NaN]), 2, "texts"), /finite; got row=0/],
      [() => nearestRows(randomFeatures(1, 1, 2), randomFeatures(1, 1, 3), 1), /widths 2 and 3/],
    ];
    for (const [call, message] of cases) assert.throws(call, message);
  });
});
