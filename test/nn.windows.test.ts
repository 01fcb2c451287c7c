/** Windows over a grid: every token once, and who sees whom by distance in the unshifted grid. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeWindows, quarters, relativeOffsets } from "../src/nn/windows.js";

const counting = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const ascending = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b);

describe("makeWindows", () => {
  it("cuts a grid into squares, row by row", () => {
    const { tokens, area, count, padded, regions } = makeWindows(4, 2, 0);
    assert.deepEqual(tokens, [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]);
    assert.deepEqual(
      { area, count, padded, regions },
      { area: 4, count: 4, padded: false, regions: undefined },
    );
  });

  it("begins at the shift, and takes up at the end what is before it", () => {
    assert.deepEqual(makeWindows(4, 2, 1).tokens, [5, 6, 9, 10, 7, 4, 11, 8, 13, 14, 1, 2, 15, 12, 3, 0]);
  });

  it("shifts first and then pads, as timm does", () => {
    const { tokens, padded } = makeWindows(3, 2, 1);
    assert.equal(padded, true);
    assert.deepEqual(tokens, [4, 5, 7, 8, 3, -1, 6, -1, 1, 2, -1, -1, 0, -1, -1, -1]);
  });

  for (const [n, w, shift] of [
    [6, 3, 1],
    [8, 4, 2],
    [7, 3, 1],
    [14, 7, 3],
    [3, 4, 2],
  ] as const) {
    it(`has each token of ${n} × ${n} once in windows of ${w} shifted by ${shift}`, () => {
      const { tokens, area, count } = makeWindows(n, w, shift);
      assert.equal(tokens.length, area * count);
      assert.deepEqual(ascending(tokens.filter((token) => token !== -1)), counting(n * n));
    });
  }

  for (const [n, w, shift] of [
    [4, 2, 1],
    [6, 3, 1],
    [14, 7, 3],
  ] as const) {
    it(`parts the tokens that are no neighbours in ${n} × ${n}: windows of ${w} shifted by ${shift}`, () => {
      const { tokens, regions, area } = makeWindows(n, w, shift);
      const apart = (a: number, b: number) =>
        Math.max(Math.abs(Math.floor(a / n) - Math.floor(b / n)), Math.abs((a % n) - (b % n)));
      let parted = 0;
      for (let i = 0; i < tokens.length; i++) {
        const first = i - (i % area);
        for (let j = first; j < first + area; j++) {
          const near = apart(tokens[i]!, tokens[j]!) < w;
          assert.equal(regions![i] === regions![j], near, `tokens ${tokens[i]} and ${tokens[j]}`);
          if (!near) parted++;
        }
      }
      assert.ok(parted > 0);
    });
  }
});

describe("relativeOffsets", () => {
  it("numbers offsets as timm's table does", () => {
    assert.deepEqual(relativeOffsets(2), [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4]);
  });

  it("uses every row of the table", () => {
    assert.equal(new Set(relativeOffsets(4)).size, 7 ** 2);
  });
});

describe("quarters", () => {
  it("goes down before it goes right, as timm does", () => {
    assert.deepEqual(quarters(4), [
      [0, 2, 8, 10],
      [4, 6, 12, 14],
      [1, 3, 9, 11],
      [5, 7, 13, 15],
    ]);
  });

  it("reaches beyond an odd grid", () => {
    assert.deepEqual(quarters(3), [
      [0, 2, 6, 8],
      [3, 5, -1, -1],
      [1, -1, 7, -1],
      [4, -1, -1, -1],
    ]);
  });
});
