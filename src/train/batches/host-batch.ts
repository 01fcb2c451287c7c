/** From the loader's rows to what a step takes. */

import type { Batch } from "../../data/index.js";
import type { HostBatch } from "../step/runner.js";

/**
 * Tokens and ids of a batch's rows: equal ids for equal samples and for equal captions, in the whole batch.
 *
 * A caption's id is its first row in the batch as planned, which every process knows. Where another sample stands for
 * one that cannot be read, only the process of that row knows: it gives the caption the id of a planned row that has
 * it, or one of its own above them.
 */
export function hostBatch(
  batch: Batch,
  tokenizer: { encodeBatch(texts: readonly string[]): Int32Array },
): { host: HostBatch; duplicateCaptionShare: number } {
  const { planned, captions, rows } = batch;
  const first = new Map<string, number>();
  for (const [row, caption] of planned.entries()) if (!first.has(caption)) first.set(caption, row);
  const textIds = Int32Array.from(captions, (caption, i) => {
    const row = rows.start + i;
    const known = first.get(caption);
    if (known !== undefined) return known;
    first.set(caption, planned.length + row);
    return planned.length + row;
  });
  return {
    host: {
      images: batch.images,
      views: batch.views,
      tokens: tokenizer.encodeBatch(batch.texts),
      imageIds: Int32Array.from(batch.indices),
      textIds,
    },
    duplicateCaptionShare: repeatedShare([
      ...planned.slice(0, rows.start),
      ...captions,
      ...planned.slice(rows.end),
    ]),
  };
}

/**
 * Ids of captions that are read part by part: the place of the first of each in the whole batch.
 * @param idOf the ids so far; taken on.
 * @param place of the part's first row.
 */
export const captionIds = (
  captions: readonly string[],
  idOf: Map<string, number>,
  place: number,
): Int32Array =>
  Int32Array.from(captions, (caption, i) => {
    const id = idOf.get(caption) ?? place + i;
    idOf.set(caption, id);
    return id;
  });

/** Share of the captions that occur more than once. */
export function repeatedShare(captions: readonly string[]): number {
  const count = new Map<string, number>();
  for (const caption of captions) count.set(caption, (count.get(caption) ?? 0) + 1);
  return captions.reduce((n, caption) => n + (count.get(caption)! > 1 ? 1 : 0), 0) / captions.length;
}
