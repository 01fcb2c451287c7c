/** A review of made-up pictures, for tests. */

import { join } from "node:path";
import { keyFromSeed, Random } from "../../src/core/random.js";
import { ReviewLog } from "../../src/curate/review/log/log.js";
import { ReviewSession, type SessionSettings } from "../../src/curate/review/session.js";
import type { ReviewItem, ReviewSet } from "../../src/curate/review/set.js";
import { pngOf } from "../data.helpers.js";

export interface SampleOptions {
  readonly items?: number;
  /** Of item `i`; default `caption i`. */
  readonly caption?: (i: number) => string;
  readonly key?: (i: number) => string;
  readonly classes?: readonly string[];
  /** Items that share a number are taken for copies. */
  readonly group?: (i: number) => number | undefined;
  /** Default everything. */
  readonly keep?: (i: number) => boolean;
}

/** Items with a score that rises with their number and one that is random. */
export function sampleSet({
  items = 40,
  caption,
  key,
  classes = [],
  group,
  keep,
}: SampleOptions = {}): ReviewSet {
  const random = new Random(keyFromSeed(3));
  const list = Array.from({ length: items }, (_, i): ReviewItem => {
    const label = classes[i % Math.max(1, classes.length)];
    const copies = group?.(i);
    const kept = keep?.(i) ?? true;
    return {
      id: { source: "photos", key: key?.(i) ?? `${i}.png`, captionIndex: 0, uid: null },
      row: i,
      caption: caption?.(i) ?? `caption ${i}`,
      keep: kept,
      ...(!kept && { reason: "lowest clip_score" }),
      ...(label !== undefined && { label }),
      ...(copies !== undefined && { group: copies }),
    };
  });
  const rising = Float64Array.from(list, (_, i) => i / items);
  const other = Float64Array.from(list, () => random.uniform());
  return {
    title: "photos",
    items: list,
    scores: [
      { name: "clip_score", about: "Cosine of picture and caption.", better: "higher", values: rising },
      { name: "blur", about: "How blurred the picture is.", better: "lower", values: other },
    ],
    selected: keep !== undefined,
    readPicture: (row) => pngOf(row % 50, 120, 90),
  };
}

/** A session over a log in `folder`. */
export const sampleSession = (folder: string, set: ReviewSet, settings?: SessionSettings): ReviewSession =>
  new ReviewSession(set, new ReviewLog(join(folder, "review.jsonl")), settings);
