/** Exact search: every row of every piece against the query. Plain TypeScript, for Node and for browsers. */

import { scorePiece, unpackVectors, type VectorType } from "./vectors.js";

/** A row and its cosine with the query. */
export interface Hit {
  readonly row: number;
  readonly score: number;
}

/** Vectors in pieces, from a disk or over the network. */
export interface VectorPieces {
  readonly rows: number;
  readonly width: number;
  readonly type: VectorType;
  /** Rows of every piece but the last, which may have fewer. */
  readonly rowsPerPiece: number;
  /** The bytes of a piece, as `packVectors` gave them. */
  piece(number: number): Promise<Uint8Array> | Uint8Array;
}

export interface SearchOptions {
  /** Rows to find. Default 20. */
  readonly k?: number | undefined;
  /** Whether a row may be found. Default: every one. */
  readonly accepts?: ((row: number) => boolean) | undefined;
}

/** The best of what is offered, best first; of equals the one with the smaller row. */
export class BestRows {
  private readonly rows: number[] = [];
  private readonly scores: number[] = [];

  constructor(private readonly k: number) {}

  offer(row: number, score: number): void {
    const { rows, scores, k } = this;
    let at = rows.length;
    if (at === k && !(k > 0 && isBefore(score, row, scores[at - 1]!, rows[at - 1]!))) return;
    if (at === k) at--;
    for (; at > 0 && isBefore(score, row, scores[at - 1]!, rows[at - 1]!); at--) {
      rows[at] = rows[at - 1]!;
      scores[at] = scores[at - 1]!;
    }
    rows[at] = row;
    scores[at] = score;
  }

  hits(): Hit[] {
    return this.rows.map((row, i) => ({ row, score: this.scores[i]! }));
  }
}

const isBefore = (score: number, row: number, otherScore: number, otherRow: number): boolean =>
  score > otherScore || (score === otherScore && row < otherRow);

/** For each unit vector of `queries` the rows that are most like it. Each piece is read once for all of them. */
export async function searchPieces(
  pieces: VectorPieces,
  queries: readonly Float32Array[],
  { k = 20, accepts }: SearchOptions = {},
): Promise<Hit[][]> {
  const best = queries.map(() => new BestRows(k));
  const scores = new Float32Array(pieces.rowsPerPiece);
  for (let first = 0, number = 0; first < pieces.rows; first += pieces.rowsPerPiece, number++) {
    const packed = await pieces.piece(number);
    const rows = Math.min(pieces.rowsPerPiece, pieces.rows - first);
    for (const [q, query] of queries.entries()) {
      scorePiece(pieces.type, packed, query, scores);
      for (let i = 0; i < rows; i++) {
        if (accepts === undefined || accepts(first + i)) best[q]!.offer(first + i, scores[i]!);
      }
    }
  }
  return best.map((each) => each.hits());
}

/** The vector of one row [E], of unit length again. */
export async function vectorOfRow(pieces: VectorPieces, row: number): Promise<Float32Array> {
  const packed = await pieces.piece(Math.floor(row / pieces.rowsPerPiece));
  const vector = unpackVectors(pieces.type, packed, pieces.width, row % pieces.rowsPerPiece, 1);
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}
