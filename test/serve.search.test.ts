import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { nearestRows, unitFeatures } from "../src/evaluate/features/features.js";
import { recallOf } from "../src/serve/index/assemble.js";
import { openGraph, writeGraph } from "../src/serve/index/graph.js";
import { probabilities } from "../src/serve/search/probabilities.js";
import { BestRows, searchPieces, type VectorPieces, vectorOfRow } from "../src/serve/search/search.js";
import {
  bytesOfRow,
  packVectors,
  unpackVectors,
  type VectorType,
  vectorTypes,
} from "../src/serve/search/vectors.js";
import { scratchFolder } from "./data.helpers.js";

/** Unit vectors [rows, width] with rows of a few directions and noise, as embeddings have. */
function unitRows(rows: number, width: number, seed = 0): Float32Array {
  const random = new Random(keyFromSeed(seed));
  const centres = Array.from({ length: 8 * width }, () => random.normal());
  const data = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const centre = random.integer(8);
    for (let i = 0; i < width; i++) data[row * width + i] = centres[centre * width + i]! + random.normal();
    const part = data.subarray(row * width, (row + 1) * width);
    const length = Math.hypot(...part);
    for (let i = 0; i < width; i++) part[i]! /= length;
  }
  return data;
}

const inPieces = (
  type: VectorType,
  data: Float32Array,
  width: number,
  rowsPerPiece: number,
): VectorPieces => ({
  rows: data.length / width,
  width,
  type,
  rowsPerPiece,
  piece: (n) =>
    packVectors(type, data.slice(n * rowsPerPiece * width, (n + 1) * rowsPerPiece * width), width),
});

/** Half a unit in the last place of f16 below 1; half a step of 127 for i8, of the row's largest element. */
const ROUNDING: Record<VectorType, number> = { f32: 0, f16: 2 ** -12, i8: 0.5 / 127 };

suite("stored vectors", () => {
  const width = 21;
  const data = unitRows(7, width);

  for (const type of vectorTypes) {
    test(`${type}: come back within its rounding, whole and row by row, at any alignment`, () => {
      const packed = packVectors(type, data, width);
      assert.equal(packed.byteLength, 7 * bytesOfRow[type](width));
      const unaligned = new Uint8Array(packed.byteLength + 1).subarray(1);
      unaligned.set(packed);
      for (const bytes of [packed, unaligned]) {
        const back = unpackVectors(type, bytes, width);
        for (const [i, x] of data.entries()) assert.ok(Math.abs(back[i]! - x) <= ROUNDING[type], `${i}`);
        assert.deepEqual(unpackVectors(type, bytes, width, 3, 2), back.slice(3 * width, 5 * width));
        assert.deepEqual(packVectors(type, back, width), packed, "and are stored the same again");
      }
    });
  }

  test("a row of zeros stays one", () => {
    for (const type of vectorTypes) {
      const back = unpackVectors(type, packVectors(type, new Float32Array(4), 4), 4);
      assert.deepEqual(back, new Float32Array(4));
    }
  });
});

suite("search in pieces", () => {
  const scratch = scratchFolder();
  const [rows, width] = [533, 24];
  const data = unitRows(rows, width, 1);
  const queries = unitRows(3, width, 2);
  const asked = [0, 1, 2].map((q) => queries.subarray(q * width, (q + 1) * width));

  test("f32 finds what the evaluation's search finds, in the same order", async () => {
    const expected = nearestRows(unitFeatures(queries, width, "q"), unitFeatures(data, width, "d"), 9);
    const found = await searchPieces(inPieces("f32", data, width, 100), asked, { k: 9 });
    assert.deepEqual(
      found.flatMap((hits) => hits.map(({ row }) => row)),
      [...expected.indices],
    );
    for (const [i, { score }] of found.flat().entries()) {
      assert.ok(Math.abs(score - expected.scores[i]!) < 1e-6);
    }
  });

  test("f16 and i8 score within their rounding, and recall says what they lose", async () => {
    const [exact] = await searchPieces(inPieces("f32", data, width, 100), asked, { k: rows });
    const of = new Map(exact!.map(({ row, score }) => [row, score]));
    for (const type of ["f16", "i8"] as const) {
      const [found] = await searchPieces(inPieces(type, data, width, 100), asked, { k: rows });
      for (const { row, score } of found!) {
        // |Σ qᵢ δᵢ| ≤ ‖q‖ √E δ
        assert.ok(Math.abs(score - of.get(row)!) <= ROUNDING[type] * Math.sqrt(width), type);
      }
    }
    assert.equal(recallOf("f32", data, width).value, 1);
    const { value, queries: n, among } = recallOf("i8", data, width);
    assert.ok(value > 0.9 && value <= 1, `${value}`);
    assert.deepEqual([n, among], [100, rows]);
    assert.ok(recallOf("f16", data, width).value >= value);
  });

  test("only accepted rows are found, more than there are give all, and equals come by their row", async () => {
    const pieces = inPieces("f32", data, width, 64);
    const [even] = await searchPieces(pieces, [asked[0]!], { k: 5, accepts: (row) => row % 2 === 0 });
    assert.ok(even!.length === 5 && even!.every(({ row }) => row % 2 === 0));
    const [all] = await searchPieces(pieces, [asked[0]!], { k: 10_000 });
    assert.equal(all!.length, rows);
    const best = new BestRows(2);
    for (const row of [5, 1, 3]) best.offer(row, 0.5);
    assert.deepEqual(
      best.hits().map(({ row }) => row),
      [1, 3],
    );
  });

  test("the vector of a row is of unit length whatever it is stored as", async () => {
    for (const type of vectorTypes) {
      const vector = await vectorOfRow(inPieces(type, data, width, 100), 250);
      assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-6);
    }
  });

  test("a graph of neighbours finds nearly all of the nearest, and says how many", async () => {
    const path = join(scratch, "graph.usearch");
    const pieces = inPieces("f16", data, width, 100);
    const recall = await writeGraph(path, pieces);
    assert.equal(recall.queries, 100);
    assert.ok(recall.value > 0.9, `${recall.value}`);
    const graph = await openGraph(path, width);
    const near = graph.nearest(asked[0]!, 10, (row) => data.subarray(row * width, (row + 1) * width));
    const [exact] = await searchPieces(pieces, [asked[0]!], { k: 1 });
    assert.equal(near.length, 10);
    assert.equal(near[0]!.row, exact![0]!.row);
  });
});

test("probabilities are the softmax of scaled cosines, also of large ones", () => {
  const [a, b] = probabilities([0.3, 0.2], 10);
  assert.ok(Math.abs(a! / b! - Math.E) < 1e-12);
  assert.deepEqual(probabilities([1, -1], 1e6), [1, 0]);
});

test("what a browser runs imports nothing of Node", () => {
  const folder = new URL("../../src/serve/search/", import.meta.url);
  for (const name of readdirSync(folder)) {
    assert.doesNotMatch(
      readFileSync(new URL(name, folder), "utf8"),
      /from "node:|\bprocess\.|\bBuffer\b/,
      name,
    );
  }
});
