/**
 * Retrieval both ways over a set of images with one or more captions each, as CLIP papers and CLIP_benchmark count it:
 * an image has found its text when any of its captions is among the first k texts; a caption has found its image when that
 * image is among the first k images.
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
import {
  type BootstrapOptions,
  type Interval,
  meanInterval,
  medianInterval,
} from "../statistics/bootstrap.js";

export interface RetrievalOptions extends BootstrapOptions {
  /** The k of recall@k. Default 1, 5, 10. */
  readonly ks?: readonly number[];
  /**
   * The words of each caption, [T]. When given, captions with the same words count as one text, and every image that bears
   * them is a right answer: for sets such as emoji, where one name has many drawings. Default: a caption belongs to its
   * own image only, as in CLIP_benchmark.
   */
  readonly captions?: readonly string[];
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
  readonly recall: readonly { readonly k: number; readonly score: Interval }[];
  readonly medianRank: Interval;
  /** Rank of the first right answer for each query, from 1: [images with captions] or [captions]. */
  readonly ranks: Uint32Array;
}

export interface RetrievalResult {
  /** CLIP_benchmark's `text_retrieval`: each image that has a caption looks for a text. */
  readonly imageToText: RetrievalScores;
  /** CLIP_benchmark's `image_retrieval`: each caption looks for its image. */
  readonly textToImage: RetrievalScores;
}

/**
 * Scores retrieval of `images` [N, E] against `texts` [T, E], where `captionImage[t]` is the image that caption `t` describes.
 *
 * Ties go against the model: a rank counts every wrong candidate whose score is equal or higher, so a model that gives
 * every pair the same score finds nothing. Two captions with the same words for two images therefore cost each other rank 1,
 * unless `captions` is given.
 * An image without captions stays as a distractor and asks no query itself.
 *
 * Intervals resample images together with their captions in both directions, because the captions of one image succeed or
 * fail together; `n` counts the queries.
 */
export function evaluateRetrieval(
  images: Features,
  texts: Features,
  captionImage: Uint32Array,
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
  const ranks = options.ranks ?? retrievalRanks(images, texts, captionImage, options.captions);
  const score = (queries: Uint32Array, clusters: Uint32Array | undefined): RetrievalScores => {
    const cluster = clusters === undefined ? options : { ...options, clusters };
    return {
      recall: ks.map((k) => ({
        k,
        score: meanInterval(
          queries.map((rank) => (rank <= k ? 1 : 0)),
          cluster,
        ),
      })),
      medianRank: medianInterval(queries, cluster),
      ranks: queries,
    };
  };
  return {
    imageToText: score(
      ranks.imageToText.filter((rank) => rank > 0),
      undefined,
    ),
    textToImage: score(ranks.textToImage, captionImage),
  };
}

/**
 * Rank of the first right answer of every query, from 1, ties against the model: `imageToText` [N], 0 for an image without
 * captions, and `textToImage` [T]. One pass over the N × T similarities serves both directions. `captions`: see
 * `RetrievalOptions`.
 */
export function retrievalRanks(
  images: Features,
  texts: Features,
  captionImage: Uint32Array,
  captions?: readonly string[],
): RetrievalRanks {
  const search = rankSearch(images, texts, captionImage, captions);
  eachTile(images, texts, search.visit);
  return search.result();
}

/** `retrievalRanks` over tiles that somebody else multiplies. */
export function rankSearch(
  images: Features,
  texts: Features,
  captionImage: Uint32Array,
  captions?: readonly string[],
): TileVisitor<RetrievalRanks> {
  requireSameWidth(images, "images", texts, "texts");
  requireCaptionImages(captionImage, images.rows, texts.rows);
  const isRight = rightPairs(captionImage, captions);
  const bestOfText = new Float32Array(texts.rows).fill(Number.NEGATIVE_INFINITY);
  const bestOfImage = new Float32Array(images.rows).fill(Number.NEGATIVE_INFINITY);
  for (const [text, others] of isRight.imagesOf.entries()) {
    for (const image of others) {
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
        if ((score + margin < toBeat && score + margin < ofText) || isRight.has(image, text)) continue;
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

function requireCaptionImages(captionImage: Uint32Array, images: number, texts: number): void {
  if (captionImage.length !== texts || texts === 0) {
    throw new UsageError(
      `evaluateRetrieval: captionImage must name the image of each caption; got ${captionImage.length} entries for ${texts} captions. Pass one index a caption.`,
    );
  }
  const beyond = captionImage.findIndex((image) => image >= images);
  if (beyond >= 0) {
    throw new UsageError(
      `evaluateRetrieval: captionImage must index an image; got captionImage[${beyond}]=${captionImage[beyond]} with ${images} images. Count images from 0.`,
    );
  }
}

interface RightPairs {
  /** Images that are right answers to each text, [T]. */
  readonly imagesOf: readonly ReadonlySet<number>[];
  has(image: number, text: number): boolean;
}

function rightPairs(captionImage: Uint32Array, captions: readonly string[] | undefined): RightPairs {
  if (captions !== undefined && captions.length !== captionImage.length) {
    throw new UsageError(
      `evaluateRetrieval: captions must hold the words of every caption; got ${captions.length} for ${captionImage.length}. Leave captions out or pass them all.`,
    );
  }
  const byWords = new Map<string | number, Set<number>>();
  const imagesOf = Array.from(captionImage, (image, text) => {
    const words = captions?.[text] ?? text;
    const images = byWords.get(words) ?? new Set();
    byWords.set(words, images.add(image));
    return images;
  });
  return { imagesOf, has: (image, text) => imagesOf[text]!.has(image) };
}
