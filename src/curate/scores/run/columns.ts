/** Columns that are computed with the whole table or its data in view, a file a family beside the rows. */

import { existsSync } from "node:fs";
import { InternalError } from "../../../core/errors.js";
import type { TableInfo } from "../../../data/selections/form.js";
import { openTables, sqlName } from "../../tables/database.js";
import { type Batch, joinParquet } from "../../tables/parquet.js";
import { TableWriter } from "../../tables/writer.js";
import type { ScoreColumn, ScoredRows, ScoredTable, ScoreValue, ScoreValues } from "../score.js";

/** Rows that are given to the writer at once, and rows of a part. */
const BATCH = 8192;
const PART_ROWS = 122_880;

/** Files whose rows are the same pairs, by a name in SQL, the first that of the rows. */
export type Aligned = ReadonlyMap<string, { readonly path: string; readonly columns: readonly string[] }>;

const fileNames = (files: Aligned): Record<string, string> =>
  Object.fromEntries([...files].map(([name, { path }]) => [name, path]));

/** SQL for `columns` of files side by side, in the order of the rows. */
export function besideSql(files: Aligned, columns: readonly string[]): string {
  const ownerOf = (column: string): string => {
    for (const [name, file] of files) if (file.columns.includes(column)) return name;
    throw new InternalError(`scores: no file has the column ${column}`);
  };
  const owners = columns.map(ownerOf);
  const [first, ...others] = [...files.keys()].filter((name, f) => f === 0 || owners.includes(name));
  const list = columns.map((column, c) => `${sqlName(owners[c]!)}.${sqlName(column)}`).join(", ");
  return `SELECT ${list} FROM ${sqlName(first!)}${others.map((name) => ` POSITIONAL JOIN ${sqlName(name)}`).join("")}`;
}

/** Opens files side by side as a family sees them. */
export async function openScored(files: Aligned): Promise<ScoredTable & AsyncDisposable> {
  const database = await openTables({ tables: fileNames(files) });
  const [first] = files.keys();
  const [counted] = await database.rows(`SELECT count(*) AS n FROM ${sqlName(first!)}`);
  return {
    length: Number(counted!.n),
    async *scan(columns): AsyncGenerator<ScoredRows> {
      let start = 0;
      for await (const rows of database.each(besideSql(files, columns))) {
        const values = columns.map((name) => [name, rows.map((row) => row[name] as ScoreValue)] as const);
        yield { start, length: rows.length, columns: Object.fromEntries(values) };
        start += rows.length;
      }
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/** Writes columns of `length` rows at `path`, whole or not at all. */
export function writeColumns(
  path: string,
  columns: readonly ScoreColumn[],
  values: Readonly<Record<string, ScoreValues>>,
  length: number,
  info: TableInfo,
): void {
  for (const { name } of columns) {
    const own = values[name];
    if (own?.length !== length)
      throw new InternalError(`scores: column ${name} must have ${length} rows; got ${own?.length}`);
  }
  const writer = new TableWriter(
    path,
    { ...info, columns },
    { partRows: PART_ROWS, partMs: Number.POSITIVE_INFINITY },
  );
  for (let start = writer.rows; start < length; start += BATCH) {
    const batch: Batch = Object.fromEntries(
      columns.map(({ name }) => [name, values[name]!.slice(start, start + BATCH)]),
    );
    writer.append(batch);
  }
  writer.finish();
}

/** The files of all processes as one, once all are there; asked for every half second. */
export async function joinProcesses(path: string, parts: readonly string[], info: TableInfo): Promise<void> {
  while (!parts.every(existsSync)) await new Promise((resolve) => setTimeout(resolve, 500));
  joinParquet(path, parts, info);
}
