/**
 * Retrieval both ways over a set of images with one or more captions each, as CLIP papers and CLIP_benchmark count it:
 * an image has found its text when any of its captions is among the first k texts; a text has found its image when one of
 * its images is among the first k. Captions with the same words are one text, and every image that bears it is right.
 */

import { UsageError } from "../../core/errors.js";
import {
  eachTile,
  type Features,
  requireSameWidth,
  similarity,
  type Tile,
  type TileVisitor,
} from "../features/features.js";
import { eachTileOn } from "../features/products.js";
import { allRows } from "../features/source.js";
import { cutNotes, twinNotes } from "../prompts/notes.js";
import {
  type BootstrapOptions,
  type Interval,
  meanInterval,
  medianInterval,
} from "../statistics/bootstrap.js";
import type { Task, TaskScore } from "./task.js";

/** The images that are right answers to each text, [T]; none is empty. */
export type ImagesOf = readonly (readonly number[])[];

/** Texts that differ, in order of first appearance, and the images that bear them. */
export interface MergedTexts {
  readonly texts: readonly string[];
  readonly imagesOf: ImagesOf;
}

/** Captions with the same words are one text; `captionImage[t]` is the image that caption `t` describes. */
export function mergeTexts(captions: readonly string[], captionImage: ArrayLike<number>): MergedTexts {
  const byWords = new Map<string, Set<number>>();
  for (const [at, words] of captions.entries()) {
    const images = byWords.get(words) ?? new Set();
    byWords.set(words, images.add(captionImage[at]!));
  }
  return { texts: [...byWords.keys()], imagesOf: Array.from(byWords.values(), (images) => [...images]) };
}

export interface RetrievalOptions extends BootstrapOptions {
  /** The k of recall@k. Default 1, 5, 10. */
  readonly ks?: readonly number[];
  /** Ranks that `retrievalRanks` or `rankSearch` has given for the same features. Default: worked out here. */
  readonly ranks?: RetrievalRanks;
}

/** Rank of the first right answer of every query, from 1. */
export interface RetrievalRanks {
  /** [N]; 0 for an image without captions. */
  readonly imageToText: Uint32Array;
  /** [T] */
  readonly textToImage: Uint32Array;
}

/** One direction. Shares are in 0…1; the median rank counts from 1. */
export interface RetrievalScores {
  readonly recall: readonly {
    readonly k: number;
    readonly score: Interval;
    /** What an order drawn at random gives. */
    readonly chance: number;
  }[];
  readonly medianRank: Interval;
  /** The mean rank of an order drawn at random. */
  readonly chanceRank: number;
  /** Rank of the first right answer for each query, from 1: [images with captions] or [texts]. */
  readonly ranks: Uint32Array;
}

export interface RetrievalResult {
  /** CLIP_benchmark's `text_retrieval`: each image that has a caption looks for a text. */
  readonly imageToText: RetrievalScores;
  /** CLIP_benchmark's `image_retrieval`: each text looks for its image. */
  readonly textToImage: RetrievalScores;
}

/**
 * Scores retrieval of `images` [N, E] against `texts` [T, E]; see `mergeTexts` for `imagesOf`.
 *
 * Ties go against the model: a rank counts every wrong candidate whose score is equal or higher, so a model that gives
 * every pair the same score finds nothing. An image without captions stays as a distractor and asks no query itself.
 *
 * Intervals resample images together with their texts in both directions, because the captions of one image succeed or
 * fail together (a text of several images goes with the first); `n` counts the queries.
 */
export function evaluateRetrieval(
  images: Features,
  texts: Features,
  imagesOf: ImagesOf,
  options: RetrievalOptions = {},
): RetrievalResult {
  const ks = options.ks ?? [1, 5, 10];
  for (const k of ks) {
    if (!Number.isInteger(k) || k < 1) {
      throw new UsageError(
        `evaluateRetrieval: k must be a whole number from 1; got k=${k}. Leave ks out for 1, 5, 10.`,
      );
    }
  }
  const ranks = options.ranks ?? retrievalRanks(images, texts, imagesOf);
  const textsPerImage = new Uint32Array(images.rows);
  for (const owners of imagesOf) for (const image of owners) textsPerImage[image]!++;
  const score = (
    queries: Uint32Array,
    candidates: number,
    /** Right answers of each query. */
    right: ArrayLike<number>,
    clusters: Uint32Array | undefined,
  ): RetrievalScores => {
    const cluster = clusters === undefined ? options : { ...options, clusters };
    return {
      recall: ks.map((k) => ({
        k,
        score: meanInterval(
          queries.map((rank) => (rank <= k ? 1 : 0)),
          cluster,
        ),
        chance: meanOf(right, (r) => chanceOfRecall(candidates, r, k)),
      })),
      medianRank: medianInterval(queries, cluster),
      chanceRank: meanOf(right, (r) => (candidates + 1) / (r + 1)),
      ranks: queries,
    };
  };
  const asks = (rank: number) => rank > 0;
  return {
    imageToText: score(ranks.imageToText.filter(asks), texts.rows, textsPerImage.filter(asks), undefined),
    textToImage: score(
      ranks.textToImage,
      images.rows,
      imagesOf.map(({ length }) => length),
      Uint32Array.from(imagesOf, (owners) => owners[0]!),
    ),
  };
}

const meanOf = (values: ArrayLike<number>, of: (value: number) => number): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += of(values[i]!);
  return sum / values.length;
};

/** Chance that one of `right` answers is among the first `k` of `n` in random order: 1 − C(n−right, k) / C(n, k). */
export function chanceOfRecall(n: number, right: number, k: number): number {
  let missed = 1;
  for (let i = 0; i < Math.min(k, n); i++) missed *= Math.max(0, n - right - i) / (n - i);
  return 1 - missed;
}

/**
 * Rank of the first right answer of every query, from 1, ties against the model: `imageToText` [N], 0 for an image without
 * captions, and `textToImage` [T]. One pass over the N × T similarities serves both directions.
 */
export function retrievalRanks(images: Features, texts: Features, imagesOf: ImagesOf): RetrievalRanks {
  const search = rankSearch(images, texts, imagesOf);
  eachTile(images, texts, search.visit);
  return search.result();
}

/** `retrievalRanks` over tiles that somebody else multiplies. */
export function rankSearch(
  images: Features,
  texts: Features,
  imagesOf: ImagesOf,
): TileVisitor<RetrievalRanks> {
  requireSameWidth(images, "images", texts, "texts");
  requireImages(imagesOf, images.rows, texts.rows);
  const isRight = imagesOf.map((owners) => new Set(owners));
  const bestOfText = new Float32Array(texts.rows).fill(Number.NEGATIVE_INFINITY);
  const bestOfImage = new Float32Array(images.rows).fill(Number.NEGATIVE_INFINITY);
  for (const [text, owners] of imagesOf.entries()) {
    for (const image of owners) {
      const score = similarity(images, image, texts, text);
      bestOfText[text] = Math.max(bestOfText[text]!, score);
      bestOfImage[image] = Math.max(bestOfImage[image]!, score);
    }
  }
  const imageRanks = Uint32Array.from(bestOfImage, (score) => (score === Number.NEGATIVE_INFINITY ? 0 : 1));
  const textRanks = new Uint32Array(texts.rows).fill(1);
  const visit = ({ rowStart, rows, columnStart, columns, scores, margin }: Tile) => {
    for (let i = 0; i < rows; i++) {
      const image = rowStart + i;
      const toBeat = imageRanks[image] === 0 ? Number.POSITIVE_INFINITY : bestOfImage[image]!;
      let ahead = 0;
      for (let j = 0; j < columns; j++) {
        const text = columnStart + j;
        let score = scores[i * columns + j]!;
        const ofText = bestOfText[text]!;
        if ((score + margin < toBeat && score + margin < ofText) || isRight[text]!.has(image)) continue;
        const close = Math.abs(score - toBeat) <= margin || Math.abs(score - ofText) <= margin;
        if (margin > 0 && close) score = similarity(images, image, texts, text);
        if (score >= toBeat) ahead++;
        if (score >= ofText) textRanks[text]!++;
      }
      imageRanks[image]! += ahead;
    }
  };
  return { visit, result: () => ({ imageToText: imageRanks, textToImage: textRanks }) };
}

function requireImages(imagesOf: ImagesOf, images: number, texts: number): void {
  if (imagesOf.length !== texts || texts === 0) {
    throw new UsageError(
      `evaluateRetrieval: imagesOf must name the images of each text; got ${imagesOf.length} entries for ${texts} texts. Pass one list a text.`,
    );
  }
  for (const [text, owners] of imagesOf.entries()) {
    if (owners.length > 0 && owners.every((image) => image < images)) continue;
    throw new UsageError(
      `evaluateRetrieval: a text must be of an image; got imagesOf[${text}]=[${owners}] with ${images} images. Count images from 0.`,
    );
  }
}

/** What retrieval leaves besides its scores. */
export interface RetrievalDetails extends MergedTexts {
  readonly result: RetrievalResult;
  /** [N, E] */
  readonly images: Features;
  /** Sample of each image. */
  readonly indices: Uint32Array;
  /** [T, E] */
  readonly textFeatures: Features;
}

const WORDS = { image: "text → image", text: "image → text" } as const;
const KS = [1, 5, 10] as const;

/** Whether a text finds its picture among others, and a picture its text. */
export const retrievalTask: Task<RetrievalDetails> = {
  name: "zeroshot_retrieval",
  doc: "Each caption looks for its picture among all, and each picture for one of its captions.",
  how: "Candidates are ordered by cosine, ties against the model. Captions with the same words are one text, right for every picture that bears it. Chance is an order drawn at random.",
  source: "Radford et al. 2021, §3.1.4 and table 13; CLIP_benchmark, zeroshot_retrieval.py",
  needs: ["captions"],
  metrics: (["image", "text"] as const).flatMap((found) => [
    ...KS.map((k) => ({
      name: `${found}_retrieval_recall@${k}`,
      words: `${WORDS[found]} R@${k}`,
      doc: `Share of the ${found === "image" ? "texts" : "pictures"} with a right answer among the first ${k}.`,
      kind: "share" as const,
      better: "higher" as const,
    })),
    {
      name: `${found}_retrieval_median_rank`,
      words: `${WORDS[found]} median rank`,
      doc: "Median over the queries of the rank of the first right answer, from 1.",
      kind: "rank" as const,
      better: "lower" as const,
    },
  ]),
  async run({ features, data: { dataset }, bootstrap }) {
    const embedded = await features.images(dataset);
    const captions: string[] = [];
    const captionImage: number[] = [];
    embedded.indices.forEach((index, row) => {
      for (const caption of dataset.sample(index).captions) {
        captions.push(caption);
        captionImage.push(row);
      }
    });
    if (captions.length === 0) {
      throw new UsageError(
        `evaluate ${dataset.name}: retrieval needs captions; got none. Give pairs, or --task zeroshot.`,
      );
    }
    const merged = mergeTexts(captions, captionImage);
    const texts = await features.texts(merged.texts, `captions of ${dataset.name}`);
    const images = allRows(embedded.features);
    const search = rankSearch(images, texts.features, merged.imagesOf);
    await eachTileOn(features.engine, images, texts.features, search.visit);
    const ranks = search.result();
    const result = evaluateRetrieval(images, texts.features, merged.imagesOf, { ...bootstrap, ranks });
    const asking = embedded.indices.filter((_, row) => ranks.imageToText[row]! > 0);
    const firstOwner = Uint32Array.from(merged.imagesOf, ([first]) => embedded.indices[first!]!);
    const scores = [
      ...scoresOf("image", result.textToImage, firstOwner),
      ...scoresOf("text", result.imageToText, asking),
    ];
    const { indices } = embedded;
    return {
      scores,
      notes: [
        ...cutNotes("captions", merged.texts, texts.cut),
        ...twinNotes("captions", merged.texts, texts.features),
      ],
      details: { ...merged, result, images, indices, textFeatures: texts.features },
    };
  },
};

function scoresOf(
  found: "image" | "text",
  { recall, medianRank, chanceRank, ranks }: RetrievalScores,
  samples: Uint32Array,
): TaskScore[] {
  return [
    ...recall.map(({ k, score, chance }) => ({
      metric: `${found}_retrieval_recall@${k}`,
      score,
      chance,
      items: { values: Float64Array.from(ranks, (rank) => (rank <= k ? 1 : 0)), samples },
    })),
    {
      metric: `${found}_retrieval_median_rank`,
      score: medianRank,
      chance: chanceRank,
      items: { values: Float64Array.from(ranks), samples },
    },
  ];
}
