/** The rows of a score table: which samples and captions of a data set they are. */

import { GrowingColumn, shared } from "../../../data/columns/numbers.js";
import type { Dataset } from "../../../data/dataset.js";
import type { Database } from "../../tables/database.js";
import { HashCounts, hashOf } from "../hash-counts.js";

/** Rows, a pair each, in the data's order; a sample without caption has one row. */
export interface PairRows {
  readonly length: number;
  /** [length]: ascending. */
  readonly sample: Uint32Array;
  /** [length]: position among the sample's captions, 0 where there is none. */
  readonly caption: Uint16Array;
}

/** Names of the sources by sample. */
export function sourceNames({ sources }: Dataset): (sample: number) => string {
  let at = 0;
  return (sample) => {
    while (sample >= sources[at]!.start + sources[at]!.length) at++;
    while (sample < sources[at]!.start) at--;
    return sources[at]!.name;
  };
}

/** Whether a table has a pair; a caption is null where a sample has none. */
export type Known = (source: string, key: string, index: number, caption: string | null) => boolean;

/** The rows of `dataset`, without the samples of which each pair is known. */
export function pairRows(dataset: Dataset, known?: Known): PairRows {
  const samples = new GrowingColumn(shared.u32);
  const captions = new GrowingColumn(shared.u32);
  const sourceOf = sourceNames(dataset);
  for (let i = 0; i < dataset.length; i++) {
    const { key, captions: own } = dataset.sample(i);
    const texts = own.length === 0 ? [null] : own;
    if (known !== undefined && texts.every((text, c) => known(sourceOf(i), key, c, text))) continue;
    for (const c of texts.keys()) {
      samples.push(i);
      captions.push(c);
    }
  }
  return { length: samples.length, sample: samples.done(), caption: Uint16Array.from(captions.done()) };
}

/** A part of rows, views of the same memory. */
export const someRows = ({ sample, caption }: PairRows, start: number, end: number): PairRows => ({
  length: end - start,
  sample: sample.subarray(start, end),
  caption: caption.subarray(start, end),
});

/**
 * The rows of process `index` of `count`, about as many each; the captions of a picture stay together, so that it is read once.
 */
export function rowsOfProcess(
  rows: PairRows,
  { index, count }: { readonly index: number; readonly count: number },
): PairRows {
  const border = (process: number): number => {
    let at = Math.floor((rows.length * process) / count);
    while (at > 0 && at < rows.length && rows.sample[at] === rows.sample[at - 1]) at++;
    return at;
  };
  return someRows(rows, border(index), border(index + 1));
}

/** Which pairs a table has: 12 to 24 bytes a row. */
export async function pairsOf(database: Database, table: string): Promise<Known> {
  const known = new HashCounts();
  const hash: (...pair: Parameters<Known>) => number = (...pair) => hashOf(JSON.stringify(pair));
  for await (const rows of database.each(`SELECT source, key, caption_index, caption FROM ${table}`))
    for (const { source, key, caption_index: index, caption } of rows)
      known.add(hash(String(source), String(key), Number(index), caption as string | null));
  return (...pair) => known.countOf(hash(...pair)) > 0;
}
