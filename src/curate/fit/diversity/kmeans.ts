/** Spherical k-means: unit vectors in groups around unit centroids. `N` rows, `K` clusters, `E` width. */

import { UsageError } from "../../../core/errors.js";
import { foldIn, type Key, Random } from "../../../core/random.js";
import type { Engine } from "../../../engines/engine.js";
import { type Features, nearestSearch } from "../../../evaluate/features/features.js";
import { eachTileOn } from "../../../evaluate/features/products.js";
import type { FeatureRows } from "../../../evaluate/features/source.js";

export interface Clusters {
  /** [K, E], those with most rows first. */
  readonly centroids: Features;
  /** Cluster of each row, [N]. */
  readonly cluster: Uint32Array;
  /** Rows of each cluster, [K]. */
  readonly sizes: Uint32Array;
  /** Cosine of each row with its centroid, [N]. */
  readonly cosine: Float32Array;
}

export interface KMeansOptions {
  readonly clusters: number;
  /** Rounds of assigning and averaging at most; it ends when no row moves. Default 25. */
  readonly iterations?: number;
  /** Rows a cluster that centroids are found on; all rows are assigned. Default 256, as FAISS has it. */
  readonly samplesPerCluster?: number;
  readonly key: Key;
}

/**
 * Starts from random rows; an empty cluster starts anew at the row that is farthest from its centroid. Memory is the sample's,
 * 256 · K · E floats, whatever N is. Throws `UsageError` unless there are 1 … N clusters.
 */
export async function sphericalKMeans(
  engine: Engine,
  rows: FeatureRows,
  { clusters: K, iterations = 25, samplesPerCluster = 256, key }: KMeansOptions,
): Promise<Clusters> {
  const { rows: N, width } = rows;
  if (!(Number.isInteger(K) && K >= 1 && K <= N))
    throw new UsageError(`clusters: must be 1 … ${N}, the pictures; got ${K}. Ask for fewer.`);
  const order = new Random(foldIn(key, "k-means")).permutation(N);
  const picked = order.slice(0, Math.min(N, samplesPerCluster * K)).sort();
  const sample = readRows(rows, picked);
  const first = Uint32Array.from(
    new Random(foldIn(key, "centroids")).permutation(sample.rows).subarray(0, K),
  );
  let centroids: Features = readRows({ ...sample, read: sliceOf(sample) }, first);
  let before: Uint32Array | undefined;
  for (let round = 0; round < iterations; round++) {
    const { cluster, cosine } = await assign(engine, { ...sample, read: sliceOf(sample) }, centroids);
    if (before?.every((c, i) => c === cluster[i])) break;
    before = cluster;
    centroids = averaged(sample, cluster, cosine, K);
  }
  const last = await assign(engine, rows, centroids);
  const sizes = new Uint32Array(K);
  for (const c of last.cluster) sizes[c]!++;
  const bySize = Array.from(sizes.keys()).sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  const place = new Uint32Array(K);
  for (const [at, c] of bySize.entries()) place[c] = at;
  const data = new Float32Array(K * width);
  for (const [at, c] of bySize.entries())
    data.set(centroids.data.subarray(c * width, (c + 1) * width), at * width);
  return {
    centroids: { data, rows: K, width },
    cluster: last.cluster.map((c) => place[c]!),
    sizes: Uint32Array.from(bySize, (c) => sizes[c]!),
    cosine: last.cosine,
  };
}

const sliceOf =
  ({ data, width }: Features) =>
  (start: number, end: number): Features => ({
    data: data.subarray(start * width, end * width),
    rows: end - start,
    width,
  });

/** The rows at `at`, ascending or not, in that order. */
function readRows(rows: FeatureRows, at: Uint32Array): Features {
  const { width } = rows;
  const data = new Float32Array(at.length * width);
  for (const [i, row] of at.entries()) data.set(rows.read(row, row + 1).data, i * width);
  return { data, rows: at.length, width };
}

/** The nearest centroid of each row. */
async function assign(engine: Engine, rows: FeatureRows, centroids: Features) {
  const search = nearestSearch(rows.rows, centroids, 1);
  await eachTileOn(engine, rows, centroids, search.visit);
  const { indices, scores } = search.result();
  return { cluster: indices, cosine: scores };
}

/** The mean of each cluster's rows, of unit length. */
function averaged(
  { data, rows, width }: Features,
  cluster: Uint32Array,
  cosine: Float32Array,
  K: number,
): Features {
  const sums = new Float64Array(K * width);
  const sizes = new Uint32Array(K);
  for (let i = 0; i < rows; i++) {
    const c = cluster[i]!;
    sizes[c]!++;
    for (let e = 0; e < width; e++) sums[c * width + e]! += data[i * width + e]!;
  }
  const farthest = Array.from(cosine.keys()).sort((a, b) => cosine[a]! - cosine[b]!);
  const out = new Float32Array(K * width);
  for (let c = 0; c < K; c++) {
    const sum = sums.subarray(c * width, (c + 1) * width);
    const length = Math.sqrt(sum.reduce((total, x) => total + x * x, 0));
    if (sizes[c] === 0 || length === 0) {
      const row = farthest.shift()!;
      out.set(data.subarray(row * width, (row + 1) * width), c * width);
    } else for (let e = 0; e < width; e++) out[c * width + e] = sum[e]! / length;
  }
  return { data: out, rows: K, width };
}
