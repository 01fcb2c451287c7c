/** Finding the images of a part of the data by their rows in the whole. */

import { shared } from "../../columns/numbers.js";

export interface RowFinder {
  /** The first image of a row; undefined where there is none. */
  find(row: number): number | undefined;
  /** Of each image the first one of the same row; absent where all rows differ. */
  readonly firsts?: Uint32Array;
}

/** Over the rows of `length` images; without `rows` each image's row is its index. Takes 16 bytes an image where rows do not ascend, else none. */
export function findRows(length: number, rows?: Uint32Array): RowFinder {
  if (rows === undefined) return { find: (row) => (row < length ? row : undefined) };
  if (rows.every((row, i) => i === 0 || rows[i - 1]! < row)) {
    return {
      find(row) {
        const at = firstFrom(rows, row);
        return rows[at] === row ? at : undefined;
      },
    };
  }
  // Rows and images as one number each, so that they are sorted together: the first image of a row comes first.
  const sorted = BigUint64Array.from(rows, () => 0n);
  const halves = new Uint32Array(sorted.buffer);
  for (const [i, row] of rows.entries()) {
    halves[2 * i] = i;
    halves[2 * i + 1] = row;
  }
  sorted.sort();
  const inOrder = rows.map((_, k) => halves[2 * k + 1]!);
  const firsts = shared.u32(length);
  for (let k = 0, first = 0; k < length; k++) {
    if (k === 0 || inOrder[k] !== inOrder[k - 1]) first = halves[2 * k]!;
    firsts[halves[2 * k]!] = first;
  }
  return {
    firsts,
    find(row) {
      const at = firstFrom(inOrder, row);
      return inOrder[at] === row ? halves[2 * at] : undefined;
    },
  };
}

/** Position of the first of `ascending` that is at least `row`. */
function firstFrom(ascending: Uint32Array, row: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < row) low = middle + 1;
    else high = middle;
  }
  return low;
}
