/** Approximate search above a million pictures: a graph of neighbours by usearch, an optional package that this file alone knows. */

import { UsageError } from "../../core/errors.js";
import { BestRows, type Hit, searchPieces, type VectorPieces } from "../search/search.js";
import { unpackVectors } from "../search/vectors.js";

export interface Graph {
  /** The rows most like a unit vector, best first, scored by their stored vectors. */
  nearest(query: Float32Array, k: number, vectorOf: (row: number) => Float32Array): Hit[];
}

// usearch's defaults for links are 16, for candidates 128 and 64; more candidates in searching find more.
const LINKS = 16;
const CANDIDATES_ADDING = 128;
const CANDIDATES_SEARCHING = 128;
/** Queries by which its recall is measured, and how many neighbours of each. */
const QUERIES = 100;
const NEIGHBOURS = 10;

async function newIndex(width: number) {
  const usearch = await import("usearch").catch((error: unknown) => {
    throw new UsageError(
      "index: approximate search needs the package usearch, which is not installed here. npm install usearch, or give --approximate never.",
      { cause: error },
    );
  });
  return new usearch.Index({
    dimensions: width,
    metric: usearch.MetricKind.Cos,
    quantization: usearch.ScalarKind.F16,
    connectivity: LINKS,
    expansion_add: CANDIDATES_ADDING,
    expansion_search: CANDIDATES_SEARCHING,
    multi: false,
  });
}

/** Writes the graph of all rows to `path`. Gives the share of the ten nearest that it finds, of some rows. */
export async function writeGraph(
  path: string,
  pieces: VectorPieces,
  onProgress?: (done: number) => void,
): Promise<{ readonly value: number; readonly queries: number }> {
  const index = await newIndex(pieces.width);
  for (let first = 0; first < pieces.rows; first += pieces.rowsPerPiece) {
    const packed = await pieces.piece(first / pieces.rowsPerPiece);
    const vectors = unpackVectors(pieces.type, packed, pieces.width);
    const rows = vectors.length / pieces.width;
    index.add(
      BigUint64Array.from({ length: rows }, (_, i) => BigInt(first + i)),
      vectors,
      0,
    );
    onProgress?.(first + rows);
  }
  index.save(path);
  const queries: Float32Array[] = [];
  const count = Math.min(QUERIES, pieces.rows);
  for (let i = 0; i < count; i++) {
    const row = Math.floor((i * pieces.rows) / count);
    const packed = await pieces.piece(Math.floor(row / pieces.rowsPerPiece));
    queries.push(unpackVectors(pieces.type, packed, pieces.width, row % pieces.rowsPerPiece, 1));
  }
  const k = Math.min(NEIGHBOURS, pieces.rows);
  const exact = await searchPieces(pieces, queries, { k });
  let found = 0;
  for (const [i, query] of queries.entries()) {
    const near = new Set(Array.from(index.search(query, k, 0).keys, Number));
    found += exact[i]!.filter(({ row }) => near.has(row)).length;
  }
  return { value: found / (count * k), queries: count };
}

/** Opens what `writeGraph` wrote, without reading it into memory. */
export async function openGraph(path: string, width: number): Promise<Graph> {
  const index = await newIndex(width);
  index.view(path);
  return {
    nearest(query, k, vectorOf) {
      const best = new BestRows(k);
      for (const key of index.search(query, Math.min(k, index.size()), 0).keys) {
        const row = Number(key);
        best.offer(row, cosine(query, vectorOf(row)));
      }
      return best.hits();
    },
  };
}

function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
