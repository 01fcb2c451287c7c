import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import {
  type Features,
  nearestRows,
  nearestSearch,
  normalise,
  similarity,
  type Tile,
} from "../src/evaluate/features/features.js";
import { eachTileOn } from "../src/evaluate/features/products.js";
import { rankSearch, retrievalRanks } from "../src/evaluate/tasks/retrieval.js";

const WIDTH = 40;

/** Rows of which many are equal, and others differ in the last bits only: what rounding may put in a wrong order. */
function closeRows(seed: number, rows: number): Features {
  const random = new Random(keyFromSeed(seed));
  const shared = new Random(keyFromSeed(99));
  const prototypes = Array.from({ length: 6 }, () => Array.from({ length: WIDTH }, () => shared.normal()));
  const data = Array.from({ length: rows }, (_, row) => {
    const nudge = row % 3 === 0 ? 0 : 1e-7 * random.normal();
    return prototypes[random.integer(6)]!.map((x) => x * (1 + nudge * random.normal()));
  });
  return normalise(Float32Array.from(data.flat()), WIDTH, "rows");
}

suite("eachTileOn", () => {
  const left = closeRows(1, 61);
  const right = closeRows(2, 173);
  const tiles = { tileRows: 16, tileColumns: 50, fewestMacs: 0 };

  test("visits every pair once, within the margin that it states", async () => {
    await using engine = new OnnxRuntime({ threads: 1 });
    const seen = new Uint8Array(left.rows * right.rows);
    const visit = ({ rowStart, rows, columnStart, columns, scores, margin }: Tile) => {
      assert.ok(margin > 0 && margin < 1e-5);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          seen[(rowStart + i) * right.rows + columnStart + j]!++;
          const exact = similarity(left, rowStart + i, right, columnStart + j);
          assert.ok(Math.abs(scores[i * columns + j]! - exact) <= margin);
        }
      }
    };
    await eachTileOn(engine, left, right, visit, tiles);
    assert.ok(seen.every((count) => count === 1));
    assert.equal(engine.stats().buffers, 0);
  });

  test("gives the same neighbours and ranks as plain JavaScript among ties and near ties", async () => {
    await using engine = new OnnxRuntime({ threads: 1 });
    const nearest = nearestSearch(left.rows, right, 5);
    await eachTileOn(engine, left, right, nearest.visit, tiles);
    assert.deepEqual(nearest.result(), nearestRows(left, right, 5));

    const random = new Random(keyFromSeed(3));
    const owners = Array.from({ length: right.rows }, () => [random.integer(left.rows - 1)]);
    const ranks = rankSearch(left, right, owners);
    await eachTileOn(engine, left, right, ranks.visit, tiles);
    const expected = retrievalRanks(left, right, owners);
    assert.deepEqual(ranks.result(), expected);
    assert.ok(new Set(expected.textToImage).size > 10);
  });

  test("small products stay off the engine and are exact", async () => {
    await using engine = new OnnxRuntime({ threads: 1 });
    await eachTileOn(engine, left, right, ({ margin }) => assert.equal(margin, 0));
  });
});
