/** How much of what is wanted a set holds, and how many different things. */

import type { Engine } from "../../../engines/engine.js";
import { type Features, nearestSearch } from "../../../evaluate/features/features.js";
import { eachTileOn } from "../../../evaluate/features/products.js";
import { blocksOf, type FeatureRows } from "../../../evaluate/features/source.js";

/**
 * The Vendi score (Friedman and Dieng 2023, 2210.02410) of unit vectors with cosines as the kernel: exp of the entropy of the
 * eigenvalues of X Xᵀ / N, here by those of Xᵀ X / N, [E, E], which are the same but for zeros. 1 where all are equal, at most
 * min(N, E): the number of different directions. Compare sets of one size only.
 */
export async function vendiScore(rows: FeatureRows): Promise<number> {
  const { EigenvalueDecomposition, Matrix } = await import("ml-matrix");
  const { rows: N, width: E } = rows;
  const gram = new Float64Array(E * E);
  for (const { block } of blocksOf(rows))
    for (let i = 0; i < block.rows; i++) {
      const row = block.data.subarray(i * E, (i + 1) * E);
      for (let a = 0; a < E; a++) for (let b = 0; b <= a; b++) gram[a * E + b]! += (row[a]! * row[b]!) / N;
    }
  const matrix = new Matrix(E, E);
  for (let a = 0; a < E; a++)
    for (let b = 0; b <= a; b++) {
      matrix.set(a, b, gram[a * E + b]!);
      matrix.set(b, a, gram[a * E + b]!);
    }
  const values = new EigenvalueDecomposition(matrix, { assumeSymmetric: true }).realEigenvalues;
  const total = values.reduce((sum, value) => sum + Math.max(0, value), 0);
  const entropy = values.reduce((sum, value) => {
    const p = Math.max(0, value) / total;
    return p === 0 ? sum : sum - p * Math.log(p);
  }, 0);
  return Math.exp(entropy);
}

/** The target nearest to each row, `index` [N], and its `cosine` [N]: NormSim∞ of Wang et al. (2405.19547). */
export async function nearestTargets(
  engine: Engine,
  rows: FeatureRows,
  targets: Features,
): Promise<{ readonly index: Uint32Array; readonly cosine: Float32Array }> {
  const search = nearestSearch(rows.rows, targets, 1);
  await eachTileOn(engine, rows, targets, search.visit);
  const { indices, scores } = search.result();
  return { index: indices, cosine: scores };
}
