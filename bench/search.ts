/** What a query costs over 20,000 vectors of width 512 in every stored type, in processor time: `npm run bench:search`. */

import { keyFromSeed, Random } from "../src/core/random.js";
import { recallOf } from "../src/serve/index/assemble.js";
import { ROWS_PER_PIECE } from "../src/serve/search/layout.js";
import { searchPieces } from "../src/serve/search/search.js";
import { packVectors, vectorTypes } from "../src/serve/search/vectors.js";

const [ROWS, WIDTH] = [20_000, 512];
const QUERIES = 12;
/** Pictures come in groups that are alike. */
const GROUPS = 1000;
const SPREAD = 0.8;

const random = new Random(keyFromSeed(1));
const centres = Float32Array.from({ length: GROUPS * WIDTH }, () => random.normal());
const data = new Float32Array(ROWS * WIDTH);
for (let row = 0; row < ROWS; row++) {
  const group = random.integer(GROUPS);
  const vector = data.subarray(row * WIDTH, (row + 1) * WIDTH);
  for (let i = 0; i < WIDTH; i++) vector[i] = centres[group * WIDTH + i]! + SPREAD * random.normal();
  const length = Math.hypot(...vector);
  for (let i = 0; i < WIDTH; i++) vector[i]! /= length;
}
const sample = data.subarray(0, 10_000 * WIDTH);
for (const type of vectorTypes) {
  const packed: Uint8Array[] = [];
  for (let row = 0; row < ROWS; row += ROWS_PER_PIECE) {
    packed.push(packVectors(type, data.slice(row * WIDTH, (row + ROWS_PER_PIECE) * WIDTH), WIDTH));
  }
  const pieces = {
    rows: ROWS,
    width: WIDTH,
    type,
    rowsPerPiece: ROWS_PER_PIECE,
    piece: (n: number) => packed[n]!,
  };
  const times: number[] = [];
  for (let q = 0; q < QUERIES; q++) {
    const before = process.cpuUsage();
    await searchPieces(pieces, [data.subarray(q * WIDTH, (q + 1) * WIDTH)]);
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  const median = times.sort((a, b) => a - b)[QUERIES / 2]!;
  const { value } = recallOf(type, sample, WIDTH);
  process.stdout.write(`${type}  ${median.toFixed(0)} ms a query  recall of ten ${value.toFixed(3)}\n`);
}
