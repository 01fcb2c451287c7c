/** How close pictures lie to each other by their embeddings, and which are the same but for that (SemDeDup). */

import { UnionFind } from "../../../data/look/duplicates.js";
import type { Engine } from "../../../engines/engine.js";
import { type Features, nearestSearch } from "../../../evaluate/features/features.js";
import { eachTileOn } from "../../../evaluate/features/products.js";
import type { FeatureRows } from "../../../evaluate/features/source.js";

/** Of each row, [N]. */
export interface Density {
  /** Cosine of the nearest other row; NaN of a row that was compared with none. */
  readonly nearest: Float32Array;
  /** Mean cosine of the nearest other rows, 10 unless it was said. */
  readonly density: Float32Array;
  /** First row of the group of rows that are joined by cosines above the threshold; itself where it is alone. */
  readonly group: Int32Array;
}

export interface DensityOptions {
  /** Cosine above which two rows are the same: 1 - ε of SemDeDup (Abbas et al. 2023, 2303.09540). */
  readonly threshold: number;
  /** Default 10. */
  readonly neighbours?: number;
  /** Cluster of each row; rows of different ones are not compared. Default: all are. */
  readonly cluster?: ArrayLike<number> | undefined;
}

/** Compares the rows within each cluster with each other: memory is the largest cluster's. */
export async function densityOf(
  engine: Engine,
  rows: FeatureRows,
  { threshold, neighbours = 10, cluster }: DensityOptions,
): Promise<Density> {
  const N = rows.rows;
  const nearest = new Float32Array(N).fill(Number.NaN);
  const density = new Float32Array(N).fill(Number.NaN);
  const sets = new UnionFind(N);
  for (const members of membersOf(N, cluster)) {
    if (members.length < 2) continue;
    const part = gatherRows(rows, members);
    const search = nearestSearch(part.rows, part, Math.min(part.rows, neighbours + 1));
    await eachTileOn(engine, part, part, search.visit);
    const { indices, scores, k } = search.result();
    for (const [i, row] of members.entries()) {
      // The row itself is among the nearest, but not the first where there are copies before it, nor at all where there are many.
      const others = Array.from({ length: k }, (_, n) => i * k + n)
        .filter((n) => indices[n] !== i)
        .slice(0, k - 1);
      nearest[row] = scores[others[0]!]!;
      density[row] = others.reduce((sum, n) => sum + scores[n]!, 0) / others.length;
      for (const n of others) if (scores[n]! > threshold) sets.merge(row, members[indices[n]!]!);
    }
  }
  return { nearest, density, group: Int32Array.from({ length: N }, (_, i) => sets.find(i)) };
}

/** Rows of each cluster, ascending. */
function membersOf(N: number, cluster: ArrayLike<number> | undefined): Uint32Array[] {
  if (cluster === undefined) return [Uint32Array.from({ length: N }, (_, i) => i)];
  const lists = new Map<number, number[]>();
  for (let i = 0; i < N; i++) {
    const list = lists.get(cluster[i]!);
    if (list === undefined) lists.set(cluster[i]!, [i]);
    else list.push(i);
  }
  return Array.from(lists.values(), (list) => Uint32Array.from(list));
}

function gatherRows(rows: FeatureRows, at: Uint32Array): Features {
  if (at.length === rows.rows) return rows.read(0, rows.rows);
  const data = new Float32Array(at.length * rows.width);
  for (const [i, row] of at.entries()) data.set(rows.read(row, row + 1).data, i * rows.width);
  return { data, rows: at.length, width: rows.width };
}
