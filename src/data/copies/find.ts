/**
 * Pictures of one data set that stand in another: the same bytes, or perceptual hashes a few bits apart, the picture as it is
 * or mirrored. The first set's fingerprints stay in memory (300 bytes a picture); the other goes by in parts.
 */

import type { Dataset } from "../dataset.js";
import { contrast, difference } from "../look/duplicates.js";
import { type Examined, examineImages } from "../look/examine.js";
import { HashIndex } from "./hash-index.js";

export interface CopyOptions {
  /** Bits of 64 by which perceptual hashes of one picture may differ, 0 … 15. Default 8. */
  readonly maxDistance?: number;
  /** Threads that decode; default: cores - 1. */
  readonly workers?: number | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A picture of the first set, and the most alike of the other. */
export interface Copy {
  readonly index: number;
  readonly other: number;
  /** `exact`: equal bytes. */
  readonly kind: "exact" | "perceptual";
  /** Bits between the hashes; 0 where bytes are equal. */
  readonly distance: number;
  /** Alike when one is turned round. */
  readonly mirrored: boolean;
}

export interface Copies {
  /** At most one a picture of the first set, by its index. */
  readonly copies: readonly Copy[];
  /** Pictures of the first set with a copy in the first set itself, ascending. */
  readonly repeated: readonly number[];
}

/** Bits by which hashes of one picture may differ unless it is said. */
export const MAX_DISTANCE = 8;

/** Pictures of the other set whose fingerprints are in memory at once. */
const PART = 8192;

/**
 * Miniatures of one picture differ by less than this share of their contrast: what tells apart the plain drawings that
 * hashes confuse. Of 560 pictures of four styles a quarter leaves 1 pair at 8 bits where a half leaves 5; of crops it
 * loses half, and those are found by embedding.
 */
const UNLIKE = 0.25;

/** Finds pictures of `dataset` that stand in `other`. What cannot be decoded can only be found by its bytes. */
export async function findCopies(
  dataset: Dataset,
  other: Dataset,
  { maxDistance = MAX_DISTANCE, workers, onProgress }: CopyOptions = {},
): Promise<Copies> {
  const total = dataset.length + other.length;
  const look = (set: Dataset, before: number, indices?: readonly number[]) =>
    examineImages(set, {
      perceptual: true,
      ...(workers !== undefined && { workers }),
      ...(indices && { indices }),
      onProgress: (done) => onProgress?.(before + done, total),
    });
  const own = await look(dataset, 0);
  const bySha = new Map<string, number[]>();
  const pictures: Examined[] = [];
  for (const one of own) {
    if (one.sha256 !== undefined) bySha.set(one.sha256, [...(bySha.get(one.sha256) ?? []), one.index]);
    if (one.picture !== undefined) pictures.push(one);
  }
  const index = new HashIndex(
    Uint32Array.from(pictures.flatMap(({ picture }) => picture!.perceptual!.hash)),
    maxDistance,
  );
  /** Calls `found` for each picture of the first set that looks like `one`. */
  const search = (one: Examined, found: (at: number, distance: number, mirrored: boolean) => void): void => {
    const { perceptual, miniature } = one.picture!;
    for (const mirrored of [false, true]) {
      const seen = mirrored ? mirrorOf(miniature) : miniature;
      index.search(mirrored ? perceptual!.mirrored : perceptual!.hash, (place, distance) => {
        const rival = pictures[place]!;
        const most = Math.max(1, UNLIKE * contrast(rival.picture!.miniature));
        if (difference(seen, rival.picture!.miniature, most) <= most) found(rival.index, distance, mirrored);
      });
    }
  };

  const best = new Map<number, Copy>();
  const offer = (copy: Copy): void => {
    const before = best.get(copy.index);
    if (before === undefined || rankOf(copy) < rankOf(before)) best.set(copy.index, copy);
  };
  for (let start = 0; start < other.length; start += PART) {
    const indices = Array.from({ length: Math.min(PART, other.length - start) }, (_, i) => start + i);
    for (const one of await look(other, dataset.length + start, indices)) {
      for (const at of (one.sha256 && bySha.get(one.sha256)) || [])
        offer({ index: at, other: one.index, kind: "exact", distance: 0, mirrored: false });
      if (one.picture !== undefined)
        search(one, (at, distance, mirrored) =>
          offer({ index: at, other: one.index, kind: "perceptual", distance, mirrored }),
        );
    }
  }
  const repeated = new Set([...bySha.values()].filter((group) => group.length > 1).flat());
  for (const one of pictures)
    search(one, (at) => {
      if (at !== one.index) repeated.add(at);
    });
  return {
    copies: [...best.values()].sort((a, b) => a.index - b.index),
    repeated: [...repeated].sort((a, b) => a - b),
  };
}

/** Lower is more surely a copy. */
const rankOf = ({ kind, distance, mirrored }: Copy): number =>
  kind === "exact" ? -1 : 2 * distance + (mirrored ? 1 : 0);

/** A miniature [8, 8, 3] with its columns turned round. */
function mirrorOf(miniature: Uint8Array): Uint8Array {
  const out = new Uint8Array(miniature.length);
  for (let at = 0; at < miniature.length; at += 3) {
    const row = at - (at % 24);
    const from = row + 21 - (at - row);
    out.set(miniature.subarray(from, from + 3), at);
  }
  return out;
}
