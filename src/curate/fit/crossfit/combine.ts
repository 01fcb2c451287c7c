/** What models of several folds and repeats found of the pairs, as one score. */

import type { Agreement } from "../relevance/agreement.js";

const NAMES = [
  "score",
  "neighbours",
  "cosine",
  "captionRank",
  "pictureRank",
  "loss",
  "lossOverTime",
  "leastLoss",
] as const;
type Name = (typeof NAMES)[number];

/** What the models of one repeat found of each pair, [P]; NaN where the picture cannot be read. */
export type Found = Readonly<Record<Name, Float64Array>>;

/** Of each pair, [P]; NaN where the picture cannot be read. */
export interface CombinedScores {
  /**
   * Mean over the repeats (the first counts half) and the checkpoints of the second half of training, of two statistics together,
   * each in standard deviations of its fold, as different models have different scales: the corrected cosine, and the agreement
   * with the captions of look-alikes. Of all that were tried what tells swapped captions best (docs/curation.md).
   */
  readonly score: Float64Array;
  /** Standard deviation of that over the repeats: how far the models disagree. */
  readonly spread: Float64Array;
  /** Mean agreement with the captions of the fold's pictures that look most alike, at the end. */
  readonly neighbours: Float64Array;
  /** Mean cosine. */
  readonly cosine: Float64Array;
  /** Mean contrastive loss among the fold's pairs at the end, in nats. */
  readonly loss: Float64Array;
  /** Mean of that over the checkpoints, from a quarter of the way on. */
  readonly lossOverTime: Float64Array;
  /** Mean rise of the loss from its least at any checkpoint to the end, in nats: 0 of what was never forgotten. */
  readonly forgotten: Float64Array;
  /** Mean share of other pictures' captions that are nearer to the picture; 0 is the first rank. */
  readonly captionRank: Float64Array;
  /** Mean share of other pictures that are nearer to the caption. */
  readonly pictureRank: Float64Array;
}

/** Columns of `rows` pairs, to be filled. */
export function foundColumns(rows: number) {
  const columns = Object.fromEntries(
    NAMES.map((name) => [name, new Float64Array(rows).fill(Number.NaN)]),
  ) as Record<Name, Float64Array>;
  return {
    columns: columns as Found,
    /** What the last checkpoint says of the pairs at `at`. */
    set(at: Uint32Array, agreement: Agreement): void {
      for (const name of ["cosine", "captionRank", "pictureRank"] as const)
        for (const [i, place] of at.entries()) columns[name][place] = agreement[name][i]!;
    },
    /** Losses of all pairs, and their agreement with look-alikes' captions, at each checkpoint. */
    setCourse(losses: readonly Float64Array[], neighbours: readonly Float64Array[]): void {
      const late = Math.floor(losses.length / 2);
      const scores = losses.slice(late).map((loss, at) => together(loss, neighbours[late + at]!));
      for (let i = 0; i < rows; i++) {
        const own = losses.map((loss) => loss[i]!);
        columns.loss[i] = own.at(-1)!;
        columns.lossOverTime[i] = own.reduce((a, b) => a + b, 0) / own.length;
        columns.leastLoss[i] = Math.min(...own);
        columns.neighbours[i] = neighbours.at(-1)![i]!;
        columns.score[i] = scores.reduce((sum, one) => sum + one[i]!, 0) / scores.length;
      }
    },
    /** All columns, row by row. */
    flat: (): Float32Array =>
      Float32Array.from({ length: rows * NAMES.length }, (_, n) => {
        const name = NAMES[n % NAMES.length]!;
        return columns[name][Math.floor(n / NAMES.length)]!;
      }),
    /** Takes what `flat` gave of some rows to the places `at`. */
    put(at: Uint32Array, flat: Float32Array): void {
      for (const [i, place] of at.entries())
        for (const [c, name] of NAMES.entries()) columns[name][place] = flat[i * NAMES.length + c]!;
    },
  };
}

/** In standard deviations from the mean, of those that are numbers. */
export function standardised(values: Float64Array): Float64Array {
  let [n, sum, squares] = [0, 0, 0];
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    n++;
    sum += value;
  }
  const mean = sum / n;
  for (const value of values) if (!Number.isNaN(value)) squares += (value - mean) ** 2;
  const deviation = Math.sqrt(squares / n);
  return values.map((value) => (deviation === 0 ? value - mean : (value - mean) / deviation));
}

/**
 * A low loss, and high agreement as far as it can be trusted: it counts by its correlation with low losses in the fold. Where
 * look-alikes tell nothing, or none can be asked, a pair goes by its loss.
 */
function together(loss: Float64Array, neighbours: Float64Array): Float64Array {
  const agreement = standardised(neighbours);
  const understood = standardised(loss).map((z) => -z);
  const both = Array.from(understood.keys()).filter(
    (i) => !Number.isNaN(understood[i]!) && !Number.isNaN(agreement[i]!),
  );
  const correlation = both.reduce((sum, i) => sum + understood[i]! * agreement[i]!, 0) / both.length;
  const weight = Math.max(0, correlation) || 0;
  return standardised(
    understood.map((z, i) => z + weight * (Number.isNaN(agreement[i]!) ? 0 : agreement[i]!)),
  );
}

/** Of the first repeat, whose models learn from the worst pairs too, beside each of the others. */
const FIRST_WEIGHT = 0.5;

/** Means over the repeats. */
export function combine(found: readonly Found[]): CombinedScores {
  const weights = found.map((_, repeat) => (repeat === 0 ? FIRST_WEIGHT : 1));
  const total = weights.reduce((a, b) => a + b, 0);
  const mean = (of: (repeat: Found, i: number) => number) =>
    Float64Array.from(
      found[0]!.score,
      (_, i) => found.reduce((sum, repeat, r) => sum + weights[r]! * of(repeat, i), 0) / total,
    );
  const score = mean((repeat, i) => repeat.score[i]!);
  return {
    score,
    spread: mean((repeat, i) => (repeat.score[i]! - score[i]!) ** 2).map(Math.sqrt),
    neighbours: mean(({ neighbours }, i) => neighbours[i]!),
    cosine: mean(({ cosine }, i) => cosine[i]!),
    loss: mean(({ loss }, i) => loss[i]!),
    lossOverTime: mean(({ lossOverTime }, i) => lossOverTime[i]!),
    forgotten: mean(({ loss, leastLoss }, i) => loss[i]! - leastLoss[i]!),
    captionRank: mean(({ captionRank }, i) => captionRank[i]!),
    pictureRank: mean(({ pictureRank }, i) => pictureRank[i]!),
  };
}

/** 1 for the share `drop` of the pairs with the lowest score so far, and for those without one. */
export function worstPairs(found: readonly Found[], drop: number): Uint8Array {
  const { score } = combine(found);
  const known = Array.from(score.keys()).filter((i) => !Number.isNaN(score[i]!));
  known.sort((a, b) => score[a]! - score[b]!);
  const out = Uint8Array.from(score, (value) => Number(Number.isNaN(value)));
  for (const i of known.slice(0, Math.floor(drop * known.length))) out[i] = 1;
  return out;
}
