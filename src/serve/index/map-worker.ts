/** Lays vectors out in a plane, in a thread of its own: UMAP (McInnes et al. 2018) over exact neighbours by cosine. */

import { parentPort, workerData } from "node:worker_threads";
import { UMAP } from "umap-js";
import { keyFromSeed, Random } from "../../core/random.js";
import { nearestRows, normalise } from "../../evaluate/features/features.js";

export interface MapTask {
  /** [n,E], flat; unit vectors but for rounding. */
  readonly vectors: Float32Array;
  readonly width: number;
}

/** Neighbours of a point, itself among them. */
const NEIGHBOURS = 15;
/** Every so many rounds it is told how far they are. */
const TOLD_EVERY = 10;

const { vectors, width } = workerData as MapTask;
const features = normalise(vectors, width, "vectors of the index");
const n = features.rows;
const { indices, scores, k } = nearestRows(features, features, Math.min(NEIGHBOURS, n));
const random = new Random(keyFromSeed(0));
const umap = new UMAP({ nNeighbors: k, minDist: 0.08, random: () => random.uniform() });
const lists = <T>(of: (at: number) => T): T[][] =>
  Array.from({ length: n }, (_, i) => Array.from({ length: k }, (_, j) => of(i * k + j)));
umap.setPrecomputedKNN(
  lists((at) => indices[at]!),
  lists((at) => Math.max(0, 1 - scores[at]!)),
);
// The neighbours are known: of the vectors only their number is asked.
const rounds = umap.initializeFit(Array.from({ length: n }, () => [0]));
for (let round = 0; round < rounds; round++) {
  umap.step();
  if (round % TOLD_EVERY === 0) parentPort!.postMessage({ done: round, total: rounds });
}
parentPort!.postMessage({ places: Float32Array.from(umap.getEmbedding().flat()) });
