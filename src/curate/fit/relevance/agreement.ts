/**
 * How well pictures and their captions agree, by the features of one CLIP. `N` pictures x, `P` captions y, one pair a caption;
 * `p(i)` is the picture of caption i. In large sets pairs are compared within pools: random parts of the set, several times.
 */

import { UsageError } from "../../../core/errors.js";
import { foldIn, type Key, Random } from "../../../core/random.js";
import type { Engine } from "../../../engines/engine.js";
import {
  eachTile,
  type Features,
  requireSameWidth,
  similarity,
  type Tile,
} from "../../../evaluate/features/features.js";
import { eachTileOn } from "../../../evaluate/features/products.js";

/** Captions and pictures, embedded. */
export interface PairFeatures {
  /** [N, E] */
  readonly images: Features;
  /** [P, E] */
  readonly texts: Features;
  /** Picture of each caption: p(i), [P]. */
  readonly imageOf: ArrayLike<number>;
}

/** What is known of each caption with its picture, [P] each. */
export interface Agreement {
  /** cos(x, y), -1 … 1. */
  readonly cosine: Float64Array;
  /**
   * The cosine less how near picture and caption are to everything (s-CLIPLoss, Wang et al. 2024, 2405.19547):
   * cos(x, y) - τ/2 · (log Σ_j exp(cos(x, y_j)/τ) + log Σ_n exp(cos(x_n, y)/τ)), over the pool's captions j and pictures n.
   * Divided by -τ it is the contrastive loss of the pair.
   */
  readonly corrected: Float64Array;
  /** Share of the other pictures' captions that are nearer to the picture, 0 (own is nearest) … 1. */
  readonly captionRank: Float64Array;
  /** Share of the other pictures that are nearer to the caption, 0 … 1. */
  readonly pictureRank: Float64Array;
  /** cos(x, y) less the mean of the nearest other picture's captions' and the nearest other picture's cosine. */
  readonly margin: Float64Array;
}

export interface AgreementOptions {
  /** Temperature τ of the correction, at least 0.005. */
  readonly temperature: number;
  /** Pairs that are compared with each other, at least 2. Default 4096. */
  readonly pool?: number;
  /** Times that pairs are dealt into pools anew, where one pool does not hold them all. Default 10. */
  readonly partitions?: number;
  /** Deals the pairs. */
  readonly key: Key;
  /** What multiplies large pools; without one, plain JavaScript. */
  readonly engine?: Engine | undefined;
}

/** exp(-2 / τ), the least term of a sum, must be more than the least f64, exp(-708). */
export const LEAST_TEMPERATURE = 0.005;

/**
 * Compares every pair with the others of its pool: cosines are exact, the rest is the mean over the partitions. Memory grows
 * with P, not with P². Throws `UsageError` for a temperature below 0.005, where sums run out of numbers, and a pool below 2.
 */
export async function agreementOf(pairs: PairFeatures, options: AgreementOptions): Promise<Agreement> {
  const { temperature, pool = 4096, partitions = 10, key, engine } = options;
  const { images, texts, imageOf } = pairs;
  requireSameWidth(images, "images", texts, "texts");
  if (!(temperature >= LEAST_TEMPERATURE))
    throw new UsageError(
      `temperature: must be at least ${LEAST_TEMPERATURE}; got ${temperature}. CLIPs learn 0.01 and more.`,
    );
  if (!(Number.isInteger(pool) && pool >= 2))
    throw new UsageError(`pool: must be at least 2 pairs; got ${pool}. Take 1000 or more.`);
  const P = texts.rows;
  const sums: Agreement = {
    cosine: Float64Array.from({ length: P }, (_, i) => similarity(images, imageOf[i]!, texts, i)),
    corrected: new Float64Array(P),
    captionRank: new Float64Array(P),
    pictureRank: new Float64Array(P),
    margin: new Float64Array(P),
  };
  const times = P <= pool ? 1 : partitions;
  for (let time = 0; time < times; time++) {
    const dealt = new Random(foldIn(key, "pools", time)).permutation(P);
    // Pools of equal size but for one pair: a small rest would have other ranks than the others.
    const pools = Math.ceil(P / pool);
    for (let n = 0; n < pools; n++) {
      const members = dealt.subarray(Math.round((n * P) / pools), Math.round(((n + 1) * P) / pools)).sort();
      const part = await comparePool(pairs, members, sums.cosine, temperature, engine);
      for (const [at, i] of members.entries())
        for (const name of ["corrected", "captionRank", "pictureRank", "margin"] as const)
          sums[name][i]! += part[name][at]! / times;
    }
  }
  return sums;
}

/** The statistics of `members` among each other. */
async function comparePool(
  { images, texts, imageOf }: PairFeatures,
  members: Uint32Array,
  cosines: Float64Array,
  temperature: number,
  engine: Engine | undefined,
): Promise<Omit<Agreement, "cosine">> {
  const pictures = [...new Set(Array.from(members, (i) => imageOf[i]!))];
  const placeOf = new Map(pictures.map((picture, at) => [picture, at]));
  const x = gather(images, pictures);
  const y = gather(texts, members);
  const place = Uint32Array.from(members, (i) => placeOf.get(imageOf[i]!)!);
  const own = Float64Array.from(members, (i) => cosines[i]!);
  const [N, P] = [x.rows, y.rows];
  /** The pool's captions of each picture. */
  const captionsOf = Array.from({ length: N }, (): number[] => []);
  for (const [j, n] of place.entries()) captionsOf[n]!.push(j);

  const perImage = new Float64Array(N);
  const perText = new Float64Array(P);
  const nearerTexts = new Uint32Array(P);
  const nearerImages = new Uint32Array(P);
  const bestText = new Float64Array(N).fill(-1);
  const bestImage = new Float64Array(P).fill(-1);
  const visit = ({ rowStart, rows, columnStart, columns, scores, margin }: Tile) => {
    for (let r = 0; r < rows; r++) {
      const n = rowStart + r;
      const mine = captionsOf[n]!;
      for (let c = 0; c < columns; c++) {
        const j = columnStart + c;
        const score = scores[r * columns + c]!;
        const term = Math.exp((score - 1) / temperature);
        perImage[n]! += term;
        perText[j]! += term;
        if (place[j] === n) continue;
        if (score > bestText[n]!) bestText[n] = score;
        if (score > bestImage[j]!) bestImage[j] = score;
        // What is nearer by no more than rounding is as near.
        if (score - margin > own[j]!) nearerImages[j]!++;
        for (const i of mine) if (score - margin > own[i]!) nearerTexts[i]!++;
      }
    }
  };
  if (engine === undefined) eachTile(x, y, visit);
  else await eachTileOn(engine, x, y, visit);

  const each = (value: (i: number, n: number) => number) => Float64Array.from(place, (n, i) => value(i, n));
  const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  return {
    corrected: each(
      (i, n) => own[i]! - (temperature / 2) * (Math.log(perImage[n]!) + Math.log(perText[i]!)) - 1,
    ),
    captionRank: each((i, n) => share(nearerTexts[i]!, P - captionsOf[n]!.length)),
    pictureRank: each((i) => share(nearerImages[i]!, N - 1)),
    margin: each((i, n) => own[i]! - (bestText[n]! + bestImage[i]!) / 2),
  };
}

/** The rows at `at`, in that order. */
export function gather({ data, width }: Features, at: ArrayLike<number>): Features {
  const out = new Float32Array(at.length * width);
  for (let i = 0; i < at.length; i++) out.set(data.subarray(at[i]! * width, (at[i]! + 1) * width), i * width);
  return { data: out, rows: at.length, width };
}
