/** Scoring a data set into a table: from nothing, only what a table lacks, or more columns of what it has. */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeFolder, realDisk, textOf } from "../../../core/disk.js";
import { UsageError } from "../../../core/errors.js";
import { withFileErrors, writeJsonAtomic } from "../../../core/files.js";
import { givenNames } from "../../../data/columns/given.js";
import type { Dataset } from "../../../data/dataset.js";
import { pairColumns, type TableColumn, type TableInfo } from "../../../data/selections/form.js";
import { type Database, openTables, sqlName } from "../../tables/database.js";
import { describeTable } from "../../tables/info.js";
import { TableWriter } from "../../tables/writer.js";
import { givenAmong, givenFamily } from "../given.js";
import { chooseFamilies, scoreFamilies } from "../index.js";
import type { DataFamily, ScoreFamily, ScoreHost } from "../score.js";
import { type Aligned, besideSql, joinProcesses, openScored, writeColumns } from "./columns.js";
import { isPairFamily, scoreRows } from "./pairs.js";
import { type PairRows, pairRows, pairsOf, rowsOfProcess } from "./rows.js";

export interface ScorePairsOptions {
  /**
   * The table, Parquet. Where it exists, what it lacks is added: columns, and samples of which a caption is new or another, with all
   * their captions.
   */
  readonly out: string;
  /** Families or columns; default: what the table has, else all that need no model and no further word. */
  readonly scores?: readonly string[] | undefined;
  /** Values of the families' own settings. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  /** Threads that read pictures; default: cores - 1. */
  readonly workers?: number | undefined;
  /** Which of several processes with the same folders this is: each scores its rows, process 0 joins them. */
  readonly processes?: { readonly index: number; readonly count: number } | undefined;
  /** Rows that are held until they are written, default 122,880, or those of a minute: so much work a kill costs. */
  readonly partRows?: number | undefined;
  /** The command line, for the table's metadata. */
  readonly command?: string | undefined;
  /** Told what takes a while, and how far it is. */
  readonly onProgress?: ScoreHost["onProgress"];
  /** Told what should be known, a line each. */
  readonly onNote?: ScoreHost["onNote"];
}

export interface ScoredPairs {
  readonly path: string;
  /** Rows of the table now; 0 in a process that leaves the joining to process 0. */
  readonly rows: number;
  /** Of these, rows that were scored now and stand behind the others. */
  readonly added: number;
  /** Columns that were not in it before. */
  readonly columns: readonly string[];
  /** Rows of the table by what is wrong with them: flags that are better false, and \`broken\`; none that no row has. */
  readonly faults: Readonly<Record<string, number>>;
}

const ALONE = { index: 0, count: 1 };

/** What is made in one go. */
interface Job {
  readonly mode: "all rows" | "new rows" | "new columns";
  readonly rows: PairRows;
  /** Whose scores are computed; those over the whole table last. */
  readonly families: readonly ScoreFamily[];
  /** Of the table that comes out. */
  readonly columns: readonly TableColumn[];
}

/**
 * Scores the pairs of `dataset` into `options.out`. Streaming: memory holds the data set's index and what families over the whole
 * table need. Killed and called again it goes on, to the same bytes. Throws `UsageError` for names that are none, a file in the
 * way, and half a table of other data or settings.
 */
export async function scorePairs(dataset: Dataset, options: ScorePairsOptions): Promise<ScoredPairs> {
  const { out, scores } = options;
  if (/[/\\]$/.test(out)) throw inTheWay(out);
  await removeFinished(out);
  if (!existsSync(out)) {
    const families = familiesFor(dataset, scores);
    const columns = [...pairColumns, ...families.flatMap((family) => family.columns)];
    return run(dataset, options, { mode: "all rows", rows: pairRows(dataset), families, columns });
  }
  const known = await lookAt(out);
  const rows = pairRows(dataset, known.has);
  const has = known.families;
  const wanted = scores === undefined ? has : familiesFor(dataset, scores);
  const more = wanted.filter(({ name }) => !has.some((family) => family.name === name));
  let result: ScoredPairs = { path: out, rows: known.rows, added: 0, columns: [], faults: known.faults };
  if (rows.length > 0) {
    // Models and trainings only where they are asked for: they may be of other data, or take hours.
    const asked = new Set(scores === undefined ? [] : wanted.map(({ name }) => name));
    const [families, left] = [true, false].map((computed) =>
      has.filter(({ name, over }) => (over !== "data" || asked.has(name)) === computed),
    ) as [ScoreFamily[], ScoreFamily[]];
    if (left.length > 0) {
      const names = left.map(({ name }) => name).join(",");
      options.onNote?.(
        `${names}: left NULL for new pairs. Name them with --scores, with their options, to compute them.`,
      );
    }
    result = await run(dataset, options, { mode: "new rows", rows, families, columns: known.columns });
  } else if (scores !== undefined && more.length === 0) {
    options.onNote?.(
      `${out} has these scores of all pairs already. For other settings, score into another table.`,
    );
  }
  if (more.length > 0) {
    const added = more.flatMap((family) => family.columns);
    const columns = [...known.columns.filter(({ name }) => !added.some((c) => c.name === name)), ...added];
    const job: Job = { mode: "new columns", rows: pairRows(dataset), families: more, columns };
    result = { ...(await run(dataset, options, job)), added: result.added };
  }
  return result;
}

/** The families that are asked for; of what the data bring, the columns that they do bring, without being asked, too. */
function familiesFor(dataset: Dataset, scores: readonly string[] | undefined): readonly ScoreFamily[] {
  const chosen = chooseFamilies(scores);
  const given = givenAmong(new Set(dataset.description.flatMap((source) => source.given ?? [])));
  if (given === undefined && chosen.includes(givenFamily)) {
    throw new UsageError(
      `scores: "given" needs data that bring scores of their own; got none of ${givenNames.join(", ")}. Leave it out.`,
      { key: "scores" },
    );
  }
  return scoreFamilies.flatMap((family) => {
    if (family === givenFamily) return chosen.includes(family) || scores === undefined ? (given ?? []) : [];
    return chosen.includes(family) ? family : [];
  });
}

/** Removes what a process left that was killed after it had put the table in its place. */
async function removeFinished(out: string): Promise<void> {
  const folder = `${out}.scoring`;
  const text = existsSync(out) ? textOf(join(folder, PLAN)) : undefined;
  if (text === undefined) return;
  await using database = await openTables({ tables: { known: out } });
  const { info } = JSON.parse(text) as { info: TableInfo };
  if (database.infos.known?.made === info.made)
    withFileErrors("remove", folder, () => realDisk.remove(folder));
}

const PLAN = "plan.json";

const inTheWay = (out: string, cause?: UsageError): UsageError =>
  new UsageError(
    `scores: out must be a new file, or a table of scores that Clipwright made; got ${out}. Write elsewhere, or remove what is there.`,
    { file: out, key: "out", cause },
  );

/** What a table holds that exists already. */
async function lookAt(out: string) {
  await using database = await openTables({ tables: { known: out } }).catch((error: unknown) => {
    throw error instanceof UsageError ? inTheWay(out, error) : error;
  });
  const info = database.infos.known;
  if (info?.kind !== "scores") throw inTheWay(out);
  const names = new Set(info.columns.map(({ name }) => name));
  return {
    has: await pairsOf(database, "known"),
    ...(await countFaults(database, "known", info.columns)),
    columns: info.columns,
    families: scoreFamilies.flatMap((family) => {
      if (family === givenFamily) return givenAmong(names) ?? [];
      return family.columns.every(({ name }) => names.has(name)) ? family : [];
    }),
  };
}

async function run(dataset: Dataset, options: ScorePairsOptions, job: Job): Promise<ScoredPairs> {
  const { out, workers, onProgress, onNote } = options;
  const folder = `${out}.scoring`;
  const info = begin(folder, dataset, options, job);
  const host: ScoreHost = { settings: options.settings ?? {}, workers, onProgress, onNote };
  const pathOf = (name: string): string => join(folder, `${name}.parquet`);
  const pairs = pathOf("pairs");
  const isJoined = await scoreByThemselves(dataset, job, pairs, info, host, options);
  if (!isJoined) {
    const { length } = rowsOfProcess(job.rows, options.processes ?? ALONE);
    return { path: out, rows: 0, added: length, columns: [], faults: {} };
  }
  const files = new Map([["pairs", { path: pairs, columns: passColumns(job).map(({ name }) => name) }]]);
  /** Keeps the columns that `score` gives, unless a killed process has. */
  const keep = async (
    { name, columns }: ScoreFamily,
    rows: number,
    score: () => ReturnType<DataFamily["score"]>,
  ) => {
    const path = pathOf(name);
    if (!existsSync(path)) writeColumns(path, columns, await score(), rows, info);
    return { path, columns: columns.map((column) => column.name) };
  };
  for (const family of job.families) {
    if (family.over !== "data") continue;
    const own = join(folder, family.name);
    makeFolder(own);
    const scored = { ...host, dataset, rows: job.rows, folder: own };
    files.set(family.name, await keep(family, job.rows.length, () => family.score(scored)));
  }
  const whole = job.mode === "all rows" ? files : await withOldTable(job, files, out, pathOf("whole"), info);
  for (const family of job.families) {
    if (family.over !== "table") continue;
    await using table = await openScored(whole);
    const scored = { ...host, length: table.length, scan: table.scan };
    whole.set(family.name, await keep(family, table.length, () => family.score(scored)));
  }
  const result = await finish(job, whole, out, info);
  withFileErrors("remove", folder, () => realDisk.remove(folder));
  return result;
}

const passColumns = ({ families }: Job): readonly TableColumn[] => [
  ...pairColumns,
  ...families.filter(isPairFamily).flatMap((family) => family.columns),
];

/** The first pass, by one process or several; whether the file of all rows is there then, as it is for process 0. */
async function scoreByThemselves(
  dataset: Dataset,
  job: Job,
  pairs: string,
  info: TableInfo,
  host: ScoreHost,
  { processes = ALONE, partRows }: ScorePairsOptions,
): Promise<boolean> {
  const columns = passColumns(job);
  const partOf = (index: number): string =>
    processes.count === 1 ? pairs : pairs.replace(/\.parquet$/, `-${index}-of-${processes.count}.parquet`);
  const own = partOf(processes.index);
  if (!existsSync(pairs) && !existsSync(own)) {
    const writer = new TableWriter(own, { ...info, columns }, partRows === undefined ? {} : { partRows });
    const rows = rowsOfProcess(job.rows, processes);
    await scoreRows(dataset, rows, job.families.filter(isPairFamily), writer, host);
    writer.finish();
  }
  if (processes.index > 0) return false;
  const parts = Array.from({ length: processes.count }, (_, index) => partOf(index));
  if (!existsSync(pairs)) await joinProcesses(pairs, parts, { ...info, columns });
  return true;
}

/** Of rows of two tables: they are about the same picture, or the same pair. */
const SAME_PICTURE = "old.source = new.source AND old.key = new.key";
const SAME_PAIR = `${SAME_PICTURE} AND old.caption_index = new.caption_index`;

/** What is new, beside or behind the rows of the table that there is, as one file. */
async function withOldTable(
  { mode, columns, families }: Job,
  files: Aligned,
  out: string,
  path: string,
  info: TableInfo,
): Promise<Map<string, { path: string; columns: readonly string[] }>> {
  const fresh = new Set([...files.values()].flatMap((file) => file.columns));
  const later = new Set(
    families
      .filter(({ over }) => over === "table")
      .flatMap((family) => family.columns.map(({ name }) => name)),
  );
  const names = columns.map(({ name }) => name).filter((name) => !later.has(name));
  const pairNames: readonly string[] = pairColumns.map(({ name }) => name);
  const isNew = (name: string): boolean => fresh.has(name) && !pairNames.includes(name);
  if (!existsSync(path)) {
    const temporary = `${path}.tmp`;
    const tables = Object.fromEntries([...files].map(([name, file]) => [name, file.path]));
    await using database = await openTables({
      tables: { ...tables, old: out },
      writes: [temporary],
      threads: 1, // or rows would come in another order
    });
    const beside = besideSql(files, [...fresh]);
    const [twice] = await database.rows(
      `SELECT key FROM (${beside}) GROUP BY source, key, caption_index HAVING count(*) > 1 LIMIT 1`,
    );
    if (twice !== undefined) {
      throw new UsageError(
        `scores: nothing can be added to ${out}, since several pairs have the key ${twice.key}. Score into a new table.`,
        { file: out },
      );
    }
    const list = (from: (name: string) => string): string =>
      names.map((name) => `${from(name)} AS ${sqlName(name)}`).join(", ");
    const sql =
      mode === "new columns"
        ? `SELECT ${list((name) => `${isNew(name) ? "new" : "old"}.${sqlName(name)}`)} FROM old LEFT JOIN (${beside}) AS new ON ${SAME_PAIR}`
        : `SELECT ${list((name) => `old.${sqlName(name)}`)} FROM old ANTI JOIN (${beside}) AS new ON ${SAME_PICTURE}
           UNION ALL SELECT ${list((name) => (fresh.has(name) ? `new.${sqlName(name)}` : "NULL"))} FROM (${beside}) AS new`;
    await database.write(sql, temporary, {
      ...info,
      columns: columns.filter(({ name }) => names.includes(name)),
    });
    withFileErrors("write", path, () => realDisk.rename(temporary, path));
  }
  return new Map([["whole", { path, columns: names }]]);
}

/** Puts all columns together, in the table's place. */
async function finish(job: Job, whole: Aligned, out: string, info: TableInfo): Promise<ScoredPairs> {
  const temporary = `${out}.tmp`;
  const names = job.columns.map(({ name }) => name);
  const tables = Object.fromEntries([...whole].map(([name, { path }]) => [name, path]));
  await using database = await openTables({ tables, writes: [temporary], threads: 1 });
  const all = besideSql(whole, names);
  await database.write(all, temporary, info);
  const { rows, faults } = await countFaults(database, `(${all})`, job.columns);
  withFileErrors("write", out, () => {
    realDisk.rename(temporary, out);
    realDisk.sync(dirname(out));
  });
  const added = job.mode === "new columns" ? 0 : job.rows.length;
  const columns =
    job.mode === "new rows" ? [] : job.families.flatMap((family) => family.columns.map(({ name }) => name));
  return { path: out, rows, added, columns, faults };
}

/** Rows of `table`, a name or a question in SQL, and those of each fault. */
async function countFaults(
  database: Database,
  table: string,
  columns: readonly TableColumn[],
): Promise<Pick<ScoredPairs, "rows" | "faults">> {
  const flags = columns.filter(({ kind, better }) => kind === "flag" && better === "lower");
  const counts = flags.map(({ name }) => `count(*) FILTER (${sqlName(name)}) AS ${sqlName(name)}`);
  if (columns.some(({ name }) => name === "broken")) counts.unshift("count(broken) AS broken");
  const [{ all_rows: rows, ...found } = {}] = await database.rows(
    `SELECT ${["count(*) AS all_rows", ...counts].join(", ")} FROM ${table}`,
  );
  const faults = Object.entries(found).filter(([, n]) => Number(n) > 0);
  return { rows: Number(rows), faults: Object.fromEntries(faults.map(([name, n]) => [name, Number(n)])) };
}

/** Keeps what is made in the folder, or finds it there as a killed process left it. */
function begin(folder: string, dataset: Dataset, options: ScorePairsOptions, job: Job): TableInfo {
  const info = describeTable("scores", job.columns, { dataset, command: options.command });
  const plan = {
    mode: job.mode,
    rows: job.rows.length,
    families: job.families.map(({ name }) => name),
    settings: options.settings ?? {},
    processes: options.processes?.count ?? 1,
  };
  const essence = ({ made: _, command: __, data, ...same }: TableInfo): string =>
    JSON.stringify({ ...same, data: { ...data, times: undefined } });
  const path = join(folder, PLAN);
  const text = textOf(path);
  if (text === undefined) {
    withFileErrors("write", folder, () => makeFolder(folder));
    writeJsonAtomic(path, { plan, info });
    return info;
  }
  const kept = JSON.parse(text) as { plan: unknown; info: TableInfo };
  if (JSON.stringify(kept.plan) === JSON.stringify(plan) && essence(kept.info) === essence(info))
    return kept.info;
  throw new UsageError(
    `scores: ${folder} holds half a table of other data, scores or settings. Remove that folder, or give what it was begun with.`,
    { file: folder },
  );
}
