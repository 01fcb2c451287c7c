/** Several tables about the same pairs as one: scores beside scores, and what a selection says of them. */
import { basename } from "node:path";
import { UsageError } from "../../core/errors.js";
import type { TableInfo } from "../../data/selections/form.js";
import { type Database, type SqlColumn, sqlName } from "../tables/database.js";
import type { Table } from "./score.js";

/** Columns that name a pair, and are joined by. */
const NAMES = ["source", "key", "caption_index"];
const IDENTITY = new Set([...NAMES, "uid", "row"]);
/** What a selection says, which is carried over. */
const DECISIONS = ["keep", "reason", "weight", "corrected_caption", "corrected_label"] as const;
/** Before those of a further table: its `weight` is no score of that name. */
const STARTED = "started_";

/** A selection that rules start from. */
export interface Start {
  /** Name of its file. */
  readonly file: string;
  /** SQL over the view, by column of a selection; `keep` is NULL of pairs that it does not name. */
  readonly columns: Readonly<Record<(typeof DECISIONS)[number], string>>;
}

export interface JoinedTables {
  readonly table: Table;
  /** Whether it is more than the first: its rows then come in no certain order. */
  readonly joined: boolean;
  readonly info: TableInfo | undefined;
  readonly start: Start | undefined;
  /** Pairs that not all tables have, in words. */
  readonly notes: readonly string[];
}

/** Name in SQL of the table at place `at`. */
export const tableName = (at: number): string => (at === 0 ? "scores" : `scores_${at + 1}`);

/**
 * The tables at `paths`, open in `database` as `tableName` calls them, as one with the rows of the first. The others bring the
 * columns that those before them lack; their rows are found by what names pairs in both: `key`, with `source` and `caption_index`
 * where both have them, else `uid`. What a table does not have of a pair is NULL. One of them may be a selection. Throws
 * `UsageError` for a table that names nothing of the first, one that names a pair twice, and for two selections.
 */
export async function joinTables(database: Database, paths: readonly string[]): Promise<JoinedTables> {
  const all: SqlColumn[][] = [];
  for (const at of paths.keys()) all.push(await database.columns(tableName(at)));
  for (const [at, columns] of all.entries()) requireIdentity(columns, paths[at]!);
  const selections = [...all.keys()].filter((at) => hasColumn(all[at]!, "keep"));
  if (selections.length > 1) {
    throw new UsageError(
      `select: starts from one selection at most; got ${selections.map((at) => paths[at]).join(" and ")}, which have a column keep both. Name one.`,
    );
  }
  const columns = [...all[0]!];
  const parts = ["scores.*"];
  const joins: string[] = [];
  const notes: string[] = [];
  for (let at = 1; at < paths.length; at++) {
    const other = tableName(at);
    const same = await sameSql(database, all, at, paths);
    const isSelection = selections[0] === at;
    const decides = ({ name }: SqlColumn): boolean => isSelection && DECISIONS.some((one) => one === name);
    const more = all[at]!.filter(({ name }) => !IDENTITY.has(name));
    const taken = more.filter((one) => !decides(one) && !hasColumn(columns, one.name));
    parts.push(...taken.map(({ name }) => `${other}.${sqlName(name)}`));
    parts.push(...more.filter(decides).map(({ name }) => `${other}.${name} AS ${STARTED}${name}`));
    columns.push(...taken);
    joins.push(`LEFT JOIN ${other} ON ${same}`);
    const note = await compared(database, paths, at, same);
    if (note !== undefined) notes.push(note);
  }
  const [chosen] = selections;
  if (paths.length > 1)
    await database.run(`CREATE VIEW joined AS SELECT ${parts.join(", ")} FROM scores ${joins.join(" ")}`);
  const infos = paths.map((_, at) => database.infos[tableName(at)]);
  const better = new Map<string, "higher" | "lower">();
  for (const info of infos)
    for (const column of info?.columns ?? [])
      if (column.better !== undefined && !better.has(column.name)) better.set(column.name, column.better);
  const joined = paths.length > 1;
  return {
    table: { database, view: joined ? "joined" : "scores", columns, better },
    joined,
    info: infos[0],
    start:
      chosen === undefined ? undefined : startOf(all[chosen]!, paths[chosen]!, chosen === 0 ? "" : STARTED),
    notes,
  };
}

const hasColumn = (columns: readonly SqlColumn[], name: string): boolean =>
  columns.some((column) => column.name === name);

function requireIdentity(columns: readonly SqlColumn[], path: string): void {
  if (hasColumn(columns, "key") || hasColumn(columns, "uid")) return;
  throw new UsageError(
    `table ${path}: must name its pairs in a column "key" or "uid"; got ${columns.map(({ name }) => name).join(", ")}. Rename its columns.`,
    { file: path },
  );
}

/** What a selection says of the view's rows. Other programs' selections may have `keep` alone. */
function startOf(columns: readonly SqlColumn[], path: string, prefix: string): Start {
  const value = (name: (typeof DECISIONS)[number], type: string): string =>
    hasColumn(columns, name) ? `CAST(${prefix}${name} AS ${type})` : `NULL::${type}`;
  return {
    file: basename(path),
    columns: {
      keep: value("keep", "BOOLEAN"),
      reason: value("reason", "VARCHAR"),
      weight: `coalesce(${value("weight", "DOUBLE")}, 1)`,
      corrected_caption: value("corrected_caption", "VARCHAR"),
      corrected_label: value("corrected_label", "VARCHAR"),
    },
  };
}

/** SQL that is true of rows of the first table and of the one at `at` that are one pair. */
async function sameSql(
  database: Database,
  all: readonly (readonly SqlColumn[])[],
  at: number,
  paths: readonly string[],
): Promise<string> {
  const other = tableName(at);
  const both = (name: string): boolean => hasColumn(all[0]!, name) && hasColumn(all[at]!, name);
  const names = both("key") ? NAMES.filter(both) : ["uid"];
  if (!both(names[0] === "uid" ? "uid" : "key")) {
    throw new UsageError(
      `table ${paths[at]}: must name pairs as ${paths[0]} does, by key or by uid; the one has ${namesIn(all[at]!)}, the other ${namesIn(all[0]!)}. Add a column to one of them.`,
      { file: paths[at]! },
    );
  }
  // A set of one source is that source, whatever it is called.
  const by = names.filter((name) => name !== "source");
  if (names.includes("source")) {
    const [sources] = await database.rows(
      `SELECT (SELECT count(DISTINCT source) FROM scores) AS own, (SELECT count(DISTINCT source) FROM ${other}) AS others`,
    );
    if (Number(sources?.own) > 1 || Number(sources?.others) > 1) by.push("source");
  }
  const [twice] = await database.rows(
    `SELECT ${by.map((name) => `CAST(${name} AS VARCHAR) AS ${name}`).join(", ")} FROM ${other}
     WHERE ${by[0]} IS NOT NULL GROUP BY ALL HAVING count(*) > 1 LIMIT 1`,
  );
  if (twice !== undefined) {
    throw new UsageError(
      `table ${paths[at]}: must have one row a pair; it has ${by.map((name) => `${name} ${twice[name]}`).join(", ")} more than once. Leave one row of each.`,
      { file: paths[at]! },
    );
  }
  return by
    .map((name) => `CAST(scores.${name} AS VARCHAR) = CAST(${other}.${name} AS VARCHAR)`)
    .join(" AND ");
}

const namesIn = (columns: readonly SqlColumn[]): string =>
  [...NAMES, "uid"].filter((name) => hasColumn(columns, name)).join(", ");

/** What the table at `at` lacks of the first one's pairs. */
async function compared(
  database: Database,
  paths: readonly string[],
  at: number,
  same: string,
): Promise<string | undefined> {
  const [counted] = await database.rows(
    `SELECT count(*) AS n, count(*) FILTER (EXISTS (SELECT 1 FROM ${tableName(at)} WHERE ${same})) AS found FROM scores`,
  );
  const [n, found] = [Number(counted?.n), Number(counted?.found)];
  if (n > 0 && found === 0) {
    throw new UsageError(
      `table ${paths[at]}: must be about pairs of ${paths[0]}; it has none of its ${n}. Name tables of the same data.`,
      { file: paths[at]! },
    );
  }
  const lacking = n - found;
  return lacking === 0
    ? undefined
    : `${basename(paths[at]!)} lacks ${lacking.toLocaleString("en-US")} of ${n.toLocaleString("en-US")} pairs.`;
}
