/** What a table holds, column by column. */
import type { TableInfo } from "../../data/selections/form.js";
import { type Database, openTables, sqlName } from "./database.js";
import type { ReadTableOptions } from "./read.js";

export interface ColumnSummary {
  readonly name: string;
  /** DuckDB's, e.g. `DOUBLE`. */
  readonly type: string;
  /** Rows whose value is known. */
  readonly known: number;
  /** Of numbers: least, quartiles (estimates), largest; of others undefined. */
  readonly quantiles?: readonly [number, number, number, number, number];
  /** Of flags: how many are true. */
  readonly yes?: number;
  /** Of texts: how many different ones (an estimate). */
  readonly distinct?: number;
  readonly about?: string | undefined;
  readonly better?: "higher" | "lower" | undefined;
}

export interface TableSummary {
  readonly path: string;
  readonly rows: number;
  /** Undefined of a table by another program. */
  readonly info: TableInfo | undefined;
  readonly columns: readonly ColumnSummary[];
}

const NUMBERS = /^(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|U\w+INT|FLOAT|DOUBLE|DECIMAL.*)$/;

/**
 * Summarizes the Parquet table at `path`, or its rows for which the SQL condition `where` holds. Streaming: memory does not grow
 * with the rows. Throws `UsageError` for what is no table, or no condition.
 */
export async function summarizeTable(
  path: string,
  { where, ...limits }: Pick<ReadTableOptions, "where" | "memoryLimitBytes" | "threads"> = {},
): Promise<TableSummary> {
  await using database = await openTables({ tables: { scores: path }, ...limits });
  const condition = where === undefined ? "true" : await database.condition("scores", where);
  const columns = await database.columns("scores");
  const [total] = await database.rows(`SELECT count(*) AS n FROM scores WHERE ${condition}`);
  const info = database.infos.scores;
  const told = new Map(info?.columns.map((column) => [column.name, column]));
  const summaries: ColumnSummary[] = [];
  for (const { name, type } of columns) {
    const { about, better } = told.get(name) ?? {};
    const values = await valuesOf(database, name, type, condition);
    summaries.push({
      name,
      type,
      ...values,
      ...(about === undefined ? {} : { about }),
      ...(better === undefined ? {} : { better }),
    });
  }
  return { path, rows: Number(total?.n), info, columns: summaries };
}

async function valuesOf(
  database: Database,
  name: string,
  type: string,
  condition: string,
): Promise<Omit<ColumnSummary, "name" | "type">> {
  const column = sqlName(name);
  const parts = [`count(${column}) AS known`];
  const numeric = NUMBERS.test(type);
  if (numeric) {
    parts.push(`min(${column})::DOUBLE AS q0`, `max(${column})::DOUBLE AS q4`);
    for (const q of [1, 2, 3]) parts.push(`approx_quantile(${column}::DOUBLE, ${q / 4}) AS q${q}`);
  } else if (type === "BOOLEAN") parts.push(`count(*) FILTER (${column}) AS yes`);
  else parts.push(`approx_count_distinct(${column}) AS distinct_values`);
  const [row = {}] = await database.rows(`SELECT ${parts.join(", ")} FROM scores WHERE ${condition}`);
  const known = Number(row.known);
  if (type === "BOOLEAN") return { known, yes: Number(row.yes) };
  if (!numeric) return { known, distinct: Number(row.distinct_values) };
  const at = (q: number): number => Number(row[`q${q}`]);
  return known === 0 ? { known } : { known, quantiles: [at(0), at(1), at(2), at(3), at(4)] };
}
