/**
 * Questions to tables in SQL, answered by DuckDB: out of the files, in as little memory as is allowed. The only place that
 * knows it; it is loaded with the first question. What a person writes can read the tables that were named, and nothing else
 * of the machine.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from "@duckdb/node-api";
import { realDisk, removeQuietly } from "../../core/disk.js";
import { InternalError, UsageError } from "../../core/errors.js";
import { withFileErrors } from "../../core/files.js";
import { INFO_KEY, parseTableInfo, type TableInfo } from "../../data/selections/form.js";

export interface DatabaseOptions {
  /** Files by the name that SQL has for them. */
  readonly tables: Readonly<Record<string, string>>;
  /** Files that `write` may write. */
  readonly writes?: readonly string[];
  /** Of DuckDB; what does not fit is laid down on the disk meanwhile. Default 1 GiB. */
  readonly memoryLimitBytes?: number | undefined;
  /** Default: all cores. */
  readonly threads?: number | undefined;
}

/** A value as SQL gives it. */
export type SqlValue = string | number | bigint | boolean | null;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/** A column as the file has it. */
export interface SqlColumn {
  readonly name: string;
  /** DuckDB's name of the type, e.g. `VARCHAR`, `DOUBLE`. */
  readonly type: string;
}

const DEFAULT_MEMORY = 2 ** 30;

/** `name` in SQL, whatever letters it has. */
export const sqlName = (name: string): string => `"${name.replaceAll('"', '""')}"`;
/** `text` in SQL. */
export const sqlText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/**
 * Opens the tables. Each is a view of its name, with one column more: `row`, the row's number from 0 in the file. Throws
 * `UsageError` naming the file that is none.
 */
export async function openTables(options: DatabaseOptions): Promise<Database> {
  const {
    tables,
    writes = [],
    memoryLimitBytes = DEFAULT_MEMORY,
    threads = availableParallelism(),
  } = options;
  const paths = Object.values(tables);
  for (const path of paths) {
    if (!withFileErrors("read", path, () => statSync(path)).isDirectory()) continue;
    throw new UsageError(`table ${path}: must be a Parquet file; got a folder. Name the file in it.`, {
      file: path,
    });
  }
  const { DuckDBInstance } = await import("@duckdb/node-api");
  removeOldSpills();
  const spill = mkdtempSync(join(tmpdir(), SPILL));
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(threads),
    memory_limit: `${Math.floor(memoryLimitBytes / 2 ** 20)}MiB`,
    temp_directory: spill,
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  const database = new Database(instance, await instance.connect(), spill);
  try {
    const infos: Record<string, TableInfo | undefined> = {};
    for (const [name, path] of Object.entries(tables)) infos[name] = await addView(database, name, path);
    Object.assign(database.infos, infos);
    const allowed = [...paths, ...writes].map((path) => sqlText(resolve(path)));
    await database.run(`SET allowed_paths = [${allowed.join(", ")}]`);
    await database.run("SET enable_external_access = false");
    await database.run("SET lock_configuration = true");
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}

/** Name of the folders in which DuckDB lays down what does not fit its memory. */
const SPILL = "clipwright-tables-";
const OLD_MS = 24 * 3600_000;

/** Removes what killed processes left: folders that nothing was written to for a day. */
function removeOldSpills(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(SPILL)) continue;
    const path = join(tmpdir(), name);
    try {
      const written = ["", ...readdirSync(path)].map((file) => statSync(join(path, file)).mtimeMs);
      if (Date.now() - Math.max(...written) > OLD_MS) removeQuietly(realDisk, path);
    } catch {
      // Another's, or gone meanwhile.
    }
  }
}

/** Makes the view of a table; gives what the file says of itself. */
async function addView(database: Database, name: string, path: string): Promise<TableInfo | undefined> {
  const file = sqlText(resolve(path));
  try {
    await database.run(
      `CREATE VIEW ${sqlName(name)} AS SELECT * EXCLUDE (file_row_number), file_row_number AS row FROM read_parquet(${file}, file_row_number = true)`,
    );
    const [kept] = await database.rows(
      `SELECT decode(value) AS value FROM parquet_kv_metadata(${file}) WHERE decode(key) = ${sqlText(INFO_KEY)}`,
    );
    return kept === undefined ? undefined : parseTableInfo(path, String(kept.value));
  } catch (error) {
    if (error instanceof UsageError && error.file !== undefined) throw error;
    throw new UsageError(
      `table ${path}: is not a whole Parquet file (${firstLine(error)}). Fetch or make it again.`,
      { file: path },
    );
  }
}

const firstLine = (error: unknown): string =>
  (error as Error).message
    .split("\n")[0]!
    .replace(/^[A-Z][\w ]* Error: /, "")
    .replace(/[.!]$/, "");

/** Open tables. Close it: `await using database = await openTables(…)`. */
export class Database implements AsyncDisposable {
  /** What each table says of itself; undefined of one by another program. */
  readonly infos: Readonly<Record<string, TableInfo | undefined>> = {};

  constructor(
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
    private readonly spill: string,
  ) {}

  /** Runs a statement. A fault of ours is an `InternalError`; what ran out (memory, disk) a `UsageError`. */
  async run(sql: string, values: readonly SqlValue[] = []): Promise<void> {
    await this.asking(sql, () => this.connection.run(sql, values as DuckDBValue[]));
  }

  /** All rows of a question: for answers that are few. */
  async rows(sql: string, values: readonly SqlValue[] = []): Promise<SqlRow[]> {
    const all: SqlRow[] = [];
    for await (const rows of this.each(sql, values)) for (const row of rows) all.push(row);
    return all;
  }

  /** The rows of a question in the pieces in which they come, some thousand each. Integers are numbers where they fit. */
  async *each(sql: string, values: readonly SqlValue[] = []): AsyncGenerator<readonly SqlRow[]> {
    const result = await this.asking(sql, () => this.connection.stream(sql, values as DuckDBValue[]));
    const names = result.columnNames();
    for (;;) {
      const chunk = await this.asking(sql, () => result.fetchChunk());
      if (chunk === null || chunk === undefined || chunk.rowCount === 0) return;
      yield chunk
        .getRows()
        .map((cells) => Object.fromEntries(names.map((name, c) => [name, plain(cells[c] ?? null)])));
    }
  }

  /** Makes the temporary table `name` of one column, `row`. */
  async putRows(name: string, rows: AsyncIterable<number>): Promise<void> {
    await this.run(`CREATE TEMP TABLE ${sqlName(name)} (row BIGINT)`);
    const appender = await this.connection.createAppender(name);
    for await (const row of rows) {
      appender.appendBigInt(BigInt(row));
      appender.endRow();
    }
    appender.closeSync();
  }

  /** The columns of a table as SQL sees it, without `row`. */
  async columns(table: string): Promise<SqlColumn[]> {
    const rows = await this.rows(
      "SELECT column_name AS name, data_type AS type FROM duckdb_columns() WHERE table_name = $1 ORDER BY column_index",
      [table],
    );
    return rows
      .map(({ name, type }) => ({ name: String(name), type: String(type) }))
      .filter(({ name }) => name !== "row");
  }

  /**
   * Checks a condition that a person wrote: one expression over the columns of `table` that is true or false of a row. Gives it
   * as SQL to put into a question. Throws `UsageError`, which begins with `label` and says what DuckDB says.
   */
  condition(table: string, where: string, label = "where"): Promise<string> {
    return this.expression(table, where, {
      label,
      type: "BOOLEAN",
      rule: "must be a condition over the table's columns, in SQL",
      remedy: `Write for instance "words > 2 AND language = 'en'".`,
    });
  }

  /** The same of any expression; `type` is what it is cast to. */
  async expression(
    table: string,
    text: string,
    { label, type, rule, remedy }: Record<"label" | "type" | "rule" | "remedy", string>,
  ): Promise<string> {
    const refuse = (why: string): never => {
      throw new UsageError(`${label}: ${rule}; got "${text}": ${why}. ${remedy}`, {
        key: label.replace(/^--/, ""),
      });
    };
    const [parsed] = await this.rows(`SELECT json_serialize_sql(${sqlText(`SELECT ${text}\n`)}) AS tree`);
    const tree = JSON.parse(String(parsed?.tree)) as SerializedSql;
    if (tree.error) return refuse(tree.error_message ?? "it is no SQL");
    const [node, ...more] = tree.statements!.map((statement) => statement.node);
    const alone =
      node?.type === "SELECT_NODE" &&
      more.length === 0 &&
      node.select_list?.length === 1 &&
      node.select_list[0]!.class !== "STAR" &&
      node.from_table?.type === "EMPTY" &&
      node.where_clause === null &&
      node.modifiers?.length === 0 &&
      node.group_expressions?.length === 0 &&
      node.having === null &&
      node.qualify === null;
    if (!alone) return refuse("it is more than one expression");
    const sql = `CAST((${text}\n) AS ${type})`;
    try {
      // In a condition an expression can be of one row alone: no aggregate, no window.
      const prepared = await this.connection.prepare(
        `SELECT 1 FROM ${sqlName(table)} WHERE ${sql} IS NULL LIMIT 1`,
      );
      prepared.destroySync();
    } catch (error) {
      return refuse(firstLine(error));
    }
    return sql;
  }

  /**
   * Writes the rows of a question as the Parquet file `path`, one of `writes`, streaming, with `info` in its metadata. `path` may
   * hold half a file if this fails: write beside the place, and rename.
   */
  async write(sql: string, path: string, info: TableInfo): Promise<void> {
    await this.run(
      `COPY (${sql}) TO ${sqlText(resolve(path))} (FORMAT parquet, COMPRESSION snappy, KV_METADATA { ${INFO_KEY}: ${sqlText(JSON.stringify(info))} })`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.closeSync();
    this.instance.closeSync();
    rmSync(this.spill, { recursive: true, force: true });
  }

  private async asking<T>(sql: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      const { message } = error as Error;
      if (/^Out of Memory Error/.test(message)) {
        throw new UsageError(
          `table: there is too little memory (${firstLine(error)}). Allow more (--memory), or free space in the temporary folder.`,
          { cause: error },
        );
      }
      if (/^(IO|Conversion|Out of Range|Invalid Input) Error/.test(message))
        throw new UsageError(`table: ${firstLine(error)}.`, { cause: error });
      throw new InternalError(`${message} in ${sql}`);
    }
  }
}

/** What DuckDB's `json_serialize_sql` gives, as far as it is looked at. */
interface SerializedSql {
  readonly error: boolean;
  readonly error_message?: string;
  readonly statements?: readonly {
    readonly node: {
      readonly type: string;
      readonly select_list?: readonly { readonly class: string }[];
      readonly from_table?: { readonly type: string };
      readonly where_clause?: unknown;
      readonly modifiers?: readonly unknown[];
      readonly group_expressions?: readonly unknown[];
      readonly having?: unknown;
      readonly qualify?: unknown;
    };
  }[];
}

/** Integers of any width as numbers where they fit; what is no plain value as DuckDB writes it. */
function plain(value: DuckDBValue): SqlValue {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  return value === null || typeof value !== "object" ? (value as SqlValue) : String(value);
}
