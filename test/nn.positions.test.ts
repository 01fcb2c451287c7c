/** Learned positions on other grids: against PyTorch's interpolate. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { interpret } from "../src/graph/interpret.js";
import { trace } from "../src/graph/trace.js";
import { type Grids, positionsFor, resamplingMatrix } from "../src/nn/positions.js";
import { assertClose } from "./support/close.js";
import { fixture } from "./support/fixture.js";

interface Golden {
  readonly channels: number;
  readonly cases: readonly {
    readonly from: number;
    readonly to: number;
    readonly learned: readonly number[];
    readonly expected: readonly number[];
  }[];
}
const golden = JSON.parse(readFileSync(fixture("positions.json"), "utf8")) as Golden;
const C = golden.channels;

/** Positions [rows,C] as numbers. */
function positions(learned: readonly number[], grids: Grids) {
  const type = { dtype: "f32", shape: [learned.length / C, C] } as const;
  const graph = trace({ learned: type }, (x) => ({ y: positionsFor(x.learned, grids) }));
  return interpret(graph, { learned }).y!;
}

describe("positionsFor", () => {
  for (const { from, to, learned, expected } of golden.cases) {
    it(`${from} × ${from} on ${to} × ${to}: as open_clip's resize_pos_embed, by torch.nn.functional.interpolate`, () => {
      const { shape, data } = positions(learned, { extra: 0, whole: to });
      assert.deepEqual(shape, [to * to, C]);
      assertClose(data, expected, 1e-7, "positions");
    });
  }

  it("keeps the rows of class tokens as they are, before the grid", () => {
    const { from, to, learned, expected } = golden.cases[0]!;
    assert.equal(from * from * C, learned.length);
    assertClose(
      positions([5, -7, ...learned], { extra: 1, whole: to }).data,
      [5, -7, ...expected],
      1e-7,
      "all",
    );
  });

  it("cuts windows from the middle of the grid of whole images", () => {
    const { to, learned, expected } = golden.cases[2]!;
    const rows = (seen: number, before: number) =>
      Array.from({ length: seen * seen }, (_, i) => {
        const place = (before + Math.floor(i / seen)) * to + before + (i % seen);
        return expected.slice(place * C, (place + 1) * C);
      }).flat();
    assertClose(positions(learned, { extra: 0, whole: to, seen: 3 }).data, rows(3, 2), 1e-7, "middle");
  });

  it("has rows that add up to 1, and changes nothing on its own grid", () => {
    for (const [from, to] of [
      [16, 7],
      [9, 4],
      [5, 12],
    ] as const) {
      const matrix = resamplingMatrix(from, to);
      for (let i = 0; i < to; i++) {
        const total = matrix.subarray(i * from, (i + 1) * from).reduce((sum, weight) => sum + weight, 0);
        assert.ok(Math.abs(total - 1) < 1e-12);
      }
    }
    assertClose(resamplingMatrix(3, 3), [1, 0, 0, 0, 1, 0, 0, 0, 1], 1e-12, "the same");
  });
});
