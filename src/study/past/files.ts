/** Runs that are done as a file: `.jsonl`, a run a line, or `.parquet`, a row a score, which pandas and DuckDB read. */

import { textOf } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { withFileErrors, writeFileAtomic } from "../../core/files.js";
import { type Cell, parquetBytes } from "../../curate/tables/parquet.js";
import { readTable } from "../../curate/tables/read.js";
import type { TableColumn } from "../../data/selections/form.js";
import { type PastRun, pastRunSchema } from "./past-run.js";

const number = (name: string, about: string, unit?: string): TableColumn => ({
  name,
  kind: "number",
  about,
  ...(unit !== undefined && { unit }),
});
const text = (name: string, about: string): TableColumn => ({ name, kind: "text", about });

const runColumns: readonly TableColumn[] = [
  text("run", "Folder of the run."),
  text("data", "Its training data, as the recipe names them."),
  number("kept", "Share of their pairs that its selection kept."),
  text("keptBy", "The score whose best pairs were kept, or random."),
  number("unique", "Different pairs that it was trained on."),
  number("samples", "Samples seen."),
  number("gmacs", "Multiply-adds of all forward passes.", "10⁹"),
  number("seconds", "Time of training.", "s"),
  text("model", "Model of the recipe."),
  text("family", "Family of the image encoder."),
  number("gmacsPerPair", "Multiply-adds of the model's forward pass on a pair.", "10⁹"),
  text("strategy", "Strategy; clip-aug where pictures were changed."),
  number("batchSize", "Pairs of a step."),
  number("lr", "Peak learning rate."),
  number("seed", "Seed of the training."),
  text("pretrained", "Weights that it started from, or its teacher."),
  text("expected", "What a plan expected of it."),
];
const scoreColumns: readonly TableColumn[] = [
  text("dataset", "Data set of the score."),
  text("metric", "Metric of the score."),
  number("value", "The score."),
  number("low", "Low end of its 95 % interval over items."),
  number("high", "High end of that interval."),
  number("n", "Items."),
  number("chance", "What guessing gives."),
];

const wrongEnding = (path: string): UsageError =>
  new UsageError(`${path}: results are .jsonl or .parquet. Give the file such an ending.`, { file: path });

/** Writes runs; the file appears whole or not at all. Throws `UsageError` for another ending. */
export function writeRuns(path: string, runs: readonly PastRun[]): void {
  if (path.endsWith(".jsonl")) {
    writeFileAtomic(path, runs.map((run) => `${JSON.stringify(run)}\n`).join(""));
    return;
  }
  if (!path.endsWith(".parquet")) throw wrongEnding(path);
  const rows = runs.flatMap(({ scores, ...run }) =>
    (scores.length > 0 ? scores : [{}]).map((score) => ({ ...run, ...score }) as Record<string, Cell>),
  );
  const columns = [...runColumns, ...scoreColumns];
  const batch = Object.fromEntries(columns.map(({ name }) => [name, rows.map((row) => row[name])]));
  writeFileAtomic(path, parquetBytes(columns, [batch]));
}

/** Reads what `writeRuns` wrote. Throws `UsageError` naming the file, and the line. */
export async function readRuns(path: string): Promise<readonly PastRun[]> {
  if (path.endsWith(".jsonl")) {
    const lines = (withFileErrors("read", path, () => textOf(path)) ?? "").split("\n");
    return lines.flatMap((line, at) => (line.trim() === "" ? [] : [runOf(jsonOf(line), path, at + 1)]));
  }
  if (!path.endsWith(".parquet")) throw wrongEnding(path);
  const runs = new Map<string, Record<string, unknown> & { scores: unknown[] }>();
  for await (const rows of readTable(path)) {
    for (const row of rows) {
      const { dataset, metric, value, low, high, n, chance, ...run } = withoutNulls(row);
      const known = runs.get(String(run.run)) ?? { ...run, scores: [] };
      runs.set(String(run.run), known);
      if (dataset !== undefined)
        known.scores.push({ dataset, metric, value, low, high, n, ...(chance !== undefined && { chance }) });
    }
  }
  return [...runs.values()].map((run) => runOf(run, path));
}

const withoutNulls = (row: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function runOf(value: unknown, file: string, line?: number): PastRun {
  const { success, data, error } = pastRunSchema.safeParse(value);
  if (success) return data;
  const key = error.issues[0]!.path.join(".");
  throw new UsageError(
    `${file}${line === undefined ? "" : `:${line}`}: must hold a run that clipwright plan wrote; got another ${key === "" ? "value" : key}. Write it again with --save-results.`,
    { file, ...(line !== undefined && { line }) },
  );
}
