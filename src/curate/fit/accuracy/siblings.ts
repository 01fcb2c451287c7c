/** Whether a picture's captions say the same. */

import type { ScoredTable, TableFamily } from "../../scores/score.js";
import { likeness, type WordVector, WordWeights } from "./word-weights.js";

export const siblingsFamily: TableFamily = {
  name: "siblings",
  about:
    "How far a caption says what the picture's other captions say: of several, the one that does not fit.",
  how:
    "Cosine of the words' weights, (1 + ln tf) (ln((1 + n) / (1 + df)) + 1) as scikit-learn has TF-IDF with sublinear tf; words are of two " +
    "letters or digits at least, in lower case; the mean over the picture's other captions.",
  source: "TF-IDF (Spärck Jones 1972)",
  over: "table",
  byDefault: true,
  reads: [],
  columns: [
    {
      name: "sibling_agreement",
      kind: "number",
      better: "higher",
      about: "Mean likeness to the picture's other captions by their words, 0 … 1; NULL where there is none.",
    },
  ],
  async score(host) {
    const weights = new WordWeights();
    for await (const { start, columns } of host.scan(["caption"])) {
      host.onProgress?.({ what: "Counting words", done: start, total: 2 * host.length });
      for (const caption of columns.caption!) if (caption !== null) weights.add(String(caption));
    }
    const out = new Float64Array(host.length).fill(Number.NaN);
    for await (const [rows, vectors] of eachPicture(host, weights)) {
      if (rows.length < 2) continue;
      for (const [i, row] of rows.entries()) {
        const others = vectors.reduce(
          (sum, other, j) => (i === j ? sum : sum + likeness(vectors[i]!, other)),
          0,
        );
        out[row] = others / (rows.length - 1);
      }
    }
    return { sibling_agreement: out };
  },
};

/** Rows and captions of each picture; the captions of one stand together in the table. */
async function* eachPicture(
  host: ScoredTable,
  weights: WordWeights,
): AsyncGenerator<[rows: number[], vectors: WordVector[]]> {
  let picture = "";
  let rows: number[] = [];
  let vectors: WordVector[] = [];
  for await (const { start, columns } of host.scan(["source", "key", "caption"])) {
    for (const [at, caption] of columns.caption!.entries()) {
      if (caption === null) continue;
      const own = JSON.stringify([columns.source![at], columns.key![at]]);
      if (own !== picture) {
        if (rows.length > 0) yield [rows, vectors];
        [picture, rows, vectors] = [own, [], []];
      }
      rows.push(start + at);
      vectors.push(weights.vector(String(caption)));
    }
  }
  if (rows.length > 0) yield [rows, vectors];
}
