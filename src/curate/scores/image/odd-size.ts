/** Pictures of a size that is far from that of the others. */

import type { TableFamily } from "../score.js";
import { eachPicture } from "./pictures.js";

/** How many interquartile ranges beyond the quartiles a size may lie. */
const IQR_FACTOR = 3;

/** The value at a share of sorted numbers, between two of them by their distance, as NumPy has it. */
function percentile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)]!;
  return low + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - low);
}

/** Scores of sizes, 0 … 1 with low the odder, and below which score a size is odd. */
export function oddSizes(sizes: Float64Array): { readonly scores: Float64Array; readonly threshold: number } {
  const sorted = sizes.slice().sort();
  const [q1, q3] = [percentile(sorted, 0.25), percentile(sorted, 0.75)];
  const [low, high] = [q1 - IQR_FACTOR * (q3 - q1), q3 + IQR_FACTOR * (q3 - q1)];
  const middle = (low + high) / 2;
  // Where most sizes are equal, those that differ are odd.
  const [scale, threshold] = high > low ? [high - low, 0.5] : [middle, 1];
  return { scores: sizes.map((size) => 1 - Math.min(1, Math.abs(size - middle) / scale)), threshold };
}

export const oddSizeFamily: TableFamily = {
  name: "odd_size",
  about: "Pictures much larger or smaller than the others of the set.",
  how: `Of √(width · height): by its distance from the middle of the quartiles, widened by ${IQR_FACTOR} interquartile ranges on both sides.`,
  source: "CleanVision 0.3.7",
  over: "table",
  byDefault: true,
  reads: ["width", "height"],
  columns: [
    {
      name: "odd_size_score",
      kind: "number",
      better: "higher",
      about:
        "1 in the middle of the sizes, 0.5 at the border of what is usual, 0 far beyond; NULL of broken pictures.",
    },
    { name: "is_odd_size_issue", kind: "flag", better: "lower", about: "The size lies beyond the border." },
  ],
  async score(host) {
    const score = new Float64Array(host.length).fill(Number.NaN);
    const issue: (boolean | null)[] = new Array(host.length).fill(null);
    const at: number[] = [];
    const sizes: number[] = [];
    for await (const { row, rows, values } of eachPicture(host, this.reads)) {
      if (values.width === null) continue;
      at.push(row, rows);
      sizes.push(Math.sqrt(Number(values.width) * Number(values.height)));
    }
    const { scores, threshold } = oddSizes(Float64Array.from(sizes));
    for (const [i, value] of scores.entries()) {
      const [row, rows] = [at[2 * i]!, at[2 * i + 1]!];
      score.fill(value, row, row + rows);
      issue.fill(value < threshold, row, row + rows);
    }
    return { odd_size_score: score, is_odd_size_issue: issue };
  },
};
