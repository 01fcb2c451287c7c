/** The first pass: every pair by itself, in the order of the rows, each picture read and decoded once for all scores. */

import type { Dataset } from "../../../data/dataset.js";
import { type Examined, eachExamined } from "../../../data/look/examine.js";
import { pairColumns } from "../../../data/selections/form.js";
import type { TableWriter } from "../../tables/writer.js";
import type { CaptionFamily, PictureFamily, ScoreFamily, ScoreHost, ScoreValue } from "../score.js";
import { type PairRows, sourceNames } from "./rows.js";

/** Families whose scores are of one pair alone. */
export type PairFamily = CaptionFamily | PictureFamily;
export const isPairFamily = (family: ScoreFamily): family is PairFamily =>
  family.over === "caption" || family.over === "picture";

/** Samples of a batch where pictures are not read. */
const BATCH = 1024;

/** Scores the rows that `writer` does not have yet.  */
export async function scoreRows(
  dataset: Dataset,
  rows: PairRows,
  families: readonly PairFamily[],
  writer: TableWriter,
  host: ScoreHost,
): Promise<void> {
  const pictures = families.filter((family) => family.over === "picture");
  const captions: ((caption: string, sample: ReturnType<Dataset["sample"]>) => object)[] = [];
  for (const family of families) if (family.over === "caption") captions.push(await family.open(host));
  const columns = [...pairColumns, ...families.flatMap((family) => family.columns)].map(({ name }) => name);
  const sourceOf = sourceNames(dataset);
  const total = rows.length;
  let row = writer.rows;
  host.onProgress?.({ what: "Scoring pairs", done: row, total });
  for await (const found of samplesFrom(dataset, rows, row, pictures.length > 0, host.workers)) {
    const batch: Record<string, ScoreValue[]> = Object.fromEntries(columns.map((name) => [name, []]));
    for (const one of found) {
      const sample = dataset.sample(one.index);
      const ofPicture = Object.assign({}, ...pictures.map((family) => family.score(one)));
      for (; row < total && rows.sample[row] === one.index; row++) {
        const index = rows.caption[row]!;
        const caption = sample.captions[index] ?? null;
        const values: Record<string, ScoreValue | undefined> = {
          source: sourceOf(one.index),
          key: sample.key,
          caption_index: index,
          uid: sample.uid ?? one.uids?.[index] ?? null,
          caption,
          label: sample.label ?? null,
          ...ofPicture,
        };
        if (caption !== null) for (const score of captions) Object.assign(values, score(caption, sample));
        for (const name of columns) batch[name]!.push(values[name] ?? null);
      }
    }
    writer.append(batch);
    host.onProgress?.({ what: "Scoring pairs", done: row, total });
  }
}

/** The samples of rows from `start` on, each once, some at a time; with what is seen in their pictures if they are read. */
async function* samplesFrom(
  dataset: Dataset,
  rows: PairRows,
  start: number,
  read: boolean,
  workers: number | undefined,
): AsyncGenerator<readonly Examined[]> {
  const indices = rows.sample.subarray(start).filter((sample, i, all) => i === 0 || all[i - 1] !== sample);
  if (read) {
    yield* eachExamined(dataset, { indices, perceptual: true, measured: true, uids: true, workers });
    return;
  }
  for (let at = 0; at < indices.length; at += BATCH) {
    yield Array.from(indices.subarray(at, at + BATCH), (index) => ({ index, sizeBytes: 0 }));
    await new Promise(setImmediate); // so that signals and progress are seen to
  }
}
