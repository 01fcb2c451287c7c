/** A score that pairs are chosen by: a column, an expression over columns, or several columns as ranks. Higher is always better. */
import { didYouMean, UsageError } from "../../core/errors.js";
import { type Database, type SqlColumn, sqlName } from "../tables/database.js";

/** Columns in one: the weighted mean of their percentile ranks, each turned so that 1 is the best. */
export interface Combination {
  readonly columns: readonly { readonly score: string; readonly weight: number }[];
}

/** The name by which rules ask for the combination. */
export const COMBINED = "combined";

/** The table as rules see it: its columns, and the view that has them. */
export interface Table {
  readonly database: Database;
  /** Name of the view; it has `row`. */
  readonly view: string;
  readonly columns: readonly SqlColumn[];
  /** Which way a column is better, as the table says. */
  readonly better: ReadonlyMap<string, "higher" | "lower">;
}

const NUMBERS = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL.*)$/;

/**
 * SQL of a score, NULL where it is not known; higher is better. Columns of which the table says that lower is better are turned.
 * @param label of the option, for messages.
 */
export async function scoreSql(table: Table, score: string, label: string): Promise<string> {
  const { database, view, columns, better } = table;
  const column = columns.find(({ name }) => name === score);
  if (column === undefined) {
    if (/^\w+$/.test(score)) throw unknownColumn(table, score, label);
    const sql = await database.expression(view, score, {
      label,
      type: "DOUBLE",
      rule: "must be a column, or an expression over columns that gives a number",
      remedy: "See the columns with clipwright curate show.",
    });
    return known(sql);
  }
  if (!NUMBERS.test(column.type) && column.type !== "BOOLEAN") {
    throw new UsageError(
      `${label}: a score must be a number; got ${score}, ${column.type}. Use --where for it.`,
      { key: label.replace(/^--/, "") },
    );
  }
  const sql = known(`CAST(${sqlName(score)} AS DOUBLE)`);
  return better.get(score) === "lower" ? `(-${sql})` : sql;
}

/** Another program's NaN is not known either; DuckDB would take it for the largest number. */
const known = (sql: string): string => `nullif(${sql}, 'nan'::DOUBLE)`;

/** The error that names the nearest column, and how to get one that is missing. */
export function unknownColumn({ columns }: Pick<Table, "columns">, name: string, label: string): UsageError {
  const names = columns.map((column) => column.name);
  return new UsageError(
    `${label}: the table has no column ${name}; got ${names.join(", ")}.${didYouMean(name, names)} Score it first: clipwright curate score --list tells which there are.`,
    { key: label.replace(/^--/, "") },
  );
}

/**
 * The table with the column `combined` more: of each column its rank from 0 (worst) to 1 (best) among the rows that have it, equal
 * ones the lowest of theirs; of these the weighted mean, NULL where one is not known.
 */
export async function withCombination(table: Table, { columns }: Combination): Promise<Table> {
  const total = columns.reduce((sum, { weight }) => sum + weight, 0);
  const scores: string[] = [];
  for (const { score } of columns) scores.push(await scoreSql(table, score, "--combine"));
  const names = scores.map((_, c) => `s${c}`);
  const rank = (c: number) =>
    `CASE WHEN s${c} IS NOT NULL THEN percent_rank() OVER (PARTITION BY s${c} IS NULL ORDER BY s${c}) END`;
  const mean = columns.map(({ weight }, c) => `${weight / total} * ${rank(c)}`).join(" + ");
  const { database, view } = table;
  await database.run(
    `CREATE TEMP TABLE ranks AS SELECT row, ${mean} AS ${COMBINED}
     FROM (SELECT row, ${scores.map((sql, c) => `${sql} AS ${names[c]}`).join(", ")} FROM ${view}) ORDER BY row`,
  );
  await database.run(
    `CREATE TEMP VIEW ranked AS SELECT pairs.*, ranks.${COMBINED} FROM ${view} AS pairs JOIN ranks ON pairs.row = ranks.row`,
  );
  return { ...table, view: "ranked", columns: [...table.columns, { name: COMBINED, type: "DOUBLE" }] };
}

/** SQL of a text that names a pair: its uid, or its source, key and caption; of `pictures` their source and key. */
export function identitySql(
  { columns }: Pick<Table, "columns">,
  over: "pairs" | "pictures" = "pairs",
): string {
  const has = (name: string): boolean => columns.some((column) => column.name === name);
  if (over === "pictures" && has("key"))
    return `concat_ws(chr(31), ${["source", "key"].filter(has).join(", ")})`;
  const named = ["source", "key", "caption_index"].filter(has);
  const name = named.length === 0 ? "row::VARCHAR" : `concat_ws(chr(31), ${named.map(sqlName).join(", ")})`;
  return has("uid") ? `coalesce(uid, ${name})` : name;
}

/**
 * SQL that gives [0, 1) of a pair, its `entry` and the seed: the same wherever and in whatever order rows stand.
 * @param entry SQL of a text.
 */
export const drawSql = (
  table: Pick<Table, "columns">,
  entry: string,
  seed: number,
  over: "pairs" | "pictures" = "pairs",
): string =>
  // The last 53 bits of an MD5 fit a double exactly.
  `((md5_number_lower(concat_ws(chr(30), ${identitySql(table, over)}, ${entry}, '${seed}')) >> 11)::DOUBLE / 9007199254740992)`;

/** SQL of what pairs are grouped by: a column, or an expression. */
export async function groupSql(table: Table, group: string, label: string): Promise<string> {
  if (table.columns.some(({ name }) => name === group)) return sqlName(group);
  return table.database.expression(table.view, group, {
    label,
    type: "VARCHAR",
    rule: "must be a column, or an expression over columns",
    remedy: "See the columns with clipwright curate show.",
  });
}

let made = 0;
/** A name that no table in the database has yet. */
export const freshName = (): string => `rows_${made++}`;
