/** Reading a table row by row. */
import { didYouMean, UsageError } from "../../core/errors.js";
import { openTables, type SqlRow, sqlName } from "./database.js";

export interface ReadTableOptions {
  /** Default: all. */
  readonly columns?: readonly string[] | undefined;
  /** A condition over the columns, in SQL. */
  readonly where?: string | undefined;
  /** Of DuckDB. Default 1 GiB. */
  readonly memoryLimitBytes?: number | undefined;
  /** Default: all cores. */
  readonly threads?: number | undefined;
}

/**
 * The rows of the Parquet table at `path`, some thousand at a time, in order: values by column, NULL as null. Streaming: millions of
 * rows take the memory of those thousand. Throws `UsageError` for what is no table, an unknown column or a condition that is none.
 */
export async function* readTable(
  path: string,
  { columns, where, memoryLimitBytes, threads }: ReadTableOptions = {},
): AsyncGenerator<readonly SqlRow[]> {
  await using database = await openTables({
    tables: { scores: path },
    memoryLimitBytes,
    threads,
  });
  const names = (await database.columns("scores")).map(({ name }) => name);
  for (const name of columns ?? []) {
    if (names.includes(name)) continue;
    throw new UsageError(
      `table ${path}: has no column ${name}; got ${names.join(", ")}.${didYouMean(name, names)} Name one of them.`,
      { file: path },
    );
  }
  const condition = where === undefined ? "true" : await database.condition("scores", where);
  const chosen = (columns ?? names).map(sqlName).join(", ");
  yield* database.each(`SELECT ${chosen} FROM scores WHERE ${condition}`);
}
