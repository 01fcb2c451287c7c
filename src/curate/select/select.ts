/** Selections from a table of scores: rules applied, counted, and written; ladders of nested ones for studies. */
import { basename, extname } from "node:path";
import { realDisk, removeQuietly } from "../../core/disk.js";
import { UsageError } from "../../core/errors.js";
import { withFileErrors } from "../../core/files.js";
import { version } from "../../core/version.js";
import { wordsOfUid } from "../../data/columns/uids.js";
import { selectionColumns, type TableInfo } from "../../data/selections/form.js";
import { writeSubset } from "../../data/selections/subset-file.js";
import { type Database, openTables, sqlName, sqlText } from "../tables/database.js";
import { type ExampleGroup, examplesOf } from "./examples.js";
import { type JoinedTables, joinTables, type Start, tableName } from "./join.js";
import { type CompiledRule, compileRule, type Rule } from "./rules.js";
import { type Combination, type Table, unknownColumn, withCombination } from "./score.js";

export interface SelectionOptions {
  /** In their order: each sees what those before it keep. */
  readonly rules: readonly Rule[];
  /** Columns in one score, `combined`, that rules can name. */
  readonly combine?: Combination | undefined;
  /** The command line, kept in the selection. */
  readonly command?: string | undefined;
  /** Of DuckDB; what does not fit is laid down on the disk meanwhile. Default 1 GiB. */
  readonly memoryLimitBytes?: number | undefined;
  /** Default: all cores. */
  readonly threads?: number | undefined;
  /** How many pairs of each kind are shown as examples; default 0: none. */
  readonly examples?: number | undefined;
}

/** What a rule did. */
export interface RuleOutcome {
  readonly name: string;
  readonly kind: Rule["kind"];
  /** Pairs that it would drop if it were the only one. */
  readonly dropsAlone: number;
  /** Pairs that it drops of those which the rules before it keep. */
  readonly drops: number;
  /** Pairs left after it. */
  readonly left: number;
  /** Of rules on a score: the least that is kept; higher is better. */
  readonly border?: number | undefined;
  readonly notes: readonly string[];
}

export interface SelectionReport {
  /** The file that was written. */
  readonly path: string;
  readonly rows: number;
  readonly kept: number;
  readonly rules: readonly RuleOutcome[];
  /** What several tables do not have of each other's pairs, in words. */
  readonly notes: readonly string[];
  /** Where the pairs are from, as whoever made the table wrote it. */
  readonly sources: readonly string[];
  readonly examples: readonly ExampleGroup[];
}

/**
 * Chooses pairs of the table of scores at `scores`, and writes the selection to `out`: every pair with what was decided and why, as
 * Parquet; or, where `out` ends in `.npy`, the uids of those that are kept as DataComp's subset. Whole or not at all; memory does not
 * grow with the rows. Of several tables the first says which pairs there are, and the others add columns; where one is a selection
 * (it has a column `keep`), what it drops stays dropped with its reason, and its weights and corrections are carried over. Throws
 * `UsageError` for a rule that the tables cannot answer, and for tables that do not fit together.
 */
export async function makeSelection(
  scores: string | readonly string[],
  out: string,
  options: SelectionOptions,
): Promise<SelectionReport> {
  return withTables(scores, [out], options, async (tables) => {
    const compiled = await compileAll(tables, options.rules);
    return writeSelection(tables, compiled, out, options);
  });
}

/** Steps of ladders: shares of what the rules keep, above 0 and up to 1; each step holds those of smaller shares. */
export interface Ladder {
  /** The best shares by a score. */
  readonly quality?: { readonly by: string; readonly shares: readonly number[] } | undefined;
  /** Random shares; of a share that the quality ladder has too, as many pairs as there. */
  readonly random?: { readonly seed: number; readonly shares: readonly number[] } | undefined;
}

/**
 * Writes nested selections, a file a step: `out` with `-20` before its ending for the best 20 % by a score of what the rules keep,
 * and with `-random-20` for a random part of that size. 100 % is what the rules keep.
 */
export async function makeLadder(
  scores: string | readonly string[],
  out: string,
  { quality, random }: Ladder,
  options: SelectionOptions,
): Promise<SelectionReport[]> {
  const steps = (shares: readonly number[] = []): number[] => [...new Set(shares)].sort((a, b) => a - b);
  const best = steps(quality?.shares);
  const drawn = steps(random?.shares);
  const files = [
    ...best.map((share) => stepPath(out, share)),
    ...drawn.map((share) => stepPath(out, share, "random-")),
  ];
  return withTables(scores, files, options, async (tables) => {
    const base = await compileAll(tables, options.rules);
    const before = allPass(base);
    const write = async (rule: Rule, path: string): Promise<SelectionReport> => {
      const step = { ...(await compileRule(tables.table, rule, before)), alone: undefined };
      return writeSelection(tables, [...base, step], path, options);
    };
    const reports: SelectionReport[] = [];
    for (const share of best)
      reports.push(await write({ kind: "top", score: quality!.by, share, of: "kept" }, stepPath(out, share)));
    for (const share of drawn) {
      // More than one pair is a number of them, not a share.
      const { kept = 0 } = reports[best.indexOf(share)] ?? {};
      const rule: Rule = { kind: "random", share: kept > 1 ? kept : share, seed: random!.seed, of: "kept" };
      reports.push(await write(rule, stepPath(out, share, "random-")));
    }
    return reports;
  });
}

/** `selection.parquet` → `selection-20.parquet`, `selection-random-20.parquet`. */
export function stepPath(out: string, share: number, kind = ""): string {
  const ending = extname(out);
  return `${out.slice(0, out.length - ending.length)}-${kind}${Number((100 * share).toPrecision(6))}${ending}`;
}

/** A rule ready to be asked, by itself too. */
interface ReadyRule extends CompiledRule {
  /** True of rows that pass it if it is the only rule; undefined: as `passes`. */
  readonly alone: string | undefined;
}

async function withTables<T>(
  scores: string | readonly string[],
  outs: readonly string[],
  { combine, memoryLimitBytes, threads }: SelectionOptions,
  body: (tables: JoinedTables) => Promise<T>,
): Promise<T> {
  const paths = typeof scores === "string" ? [scores] : scores;
  await using database = await openTables({
    tables: Object.fromEntries(paths.map((path, at) => [tableName(at), path])),
    writes: outs.map(temporaryOf),
    memoryLimitBytes,
    threads,
  });
  const joined = await joinTables(database, paths);
  const table = combine === undefined ? joined.table : await withCombination(joined.table, combine);
  return await body({ ...joined, table });
}

const temporaryOf = (path: string): string => `${path}.tmp`;

const allPass = (rules: readonly CompiledRule[]): string =>
  rules.length === 0 ? "true" : rules.map(({ passes }) => `(${passes})`).join(" AND ");

/** Whether a rule's verdict on a row depends on which rows the rules before it keep. */
const looksAround = (rule: Rule): boolean =>
  ["unique", "balance", "concepts"].includes(rule.kind) ||
  ((rule.kind === "top" || rule.kind === "random") && rule.of === "kept");

const isOnScore = ({ kind }: Rule): boolean => kind === "top" || kind === "threshold" || kind === "random";

/** What the selection drops that the rules start from. */
function startingRule({ file, columns: { keep } }: Start): ReadyRule {
  const name = `kept by ${file}`;
  return {
    rule: { kind: "where", sql: "keep", name },
    name,
    passes: `coalesce(${keep}, false)`,
    unknown: `${keep} IS NULL`,
    alone: undefined,
    notes: [],
  };
}

async function compileAll({ table, start }: JoinedTables, rules: readonly Rule[]): Promise<ReadyRule[]> {
  let compiled: ReadyRule[] = start === undefined ? [] : [startingRule(start)];
  for (const rule of rules) {
    if (rule.kind === "cover") {
      const others = compiled.filter((one) => !isOnScore(one.rule));
      const { passes, ...rest } = await compileRule(table, rule, allPass(others));
      compiled = compiled.map((one) =>
        isOnScore(one.rule) ? { ...one, passes: `(${one.passes} OR ${passes})`, alone: one.passes } : one,
      );
      // It drops nothing; it brings back.
      compiled.push({ ...rest, passes: "true", alone: undefined });
      continue;
    }
    const before = allPass(compiled);
    const one = await compileRule(table, rule, before);
    const alone =
      looksAround(rule) && compiled.length > 0 ? (await compileRule(table, rule, "true")).passes : undefined;
    compiled.push({ ...one, alone });
  }
  return compiled;
}

/** SQL of every row with the verdicts of the rules: `p0`, `p1`, … and, of rules alone, `a0`, …. */
function verdicts({ view }: Table, rules: readonly ReadyRule[], columns: readonly string[]): string {
  const parts = rules.flatMap(({ passes, alone, unknown }, k) => [
    `${passes} AS p${k}`,
    ...(unknown === undefined ? [] : [`${unknown} AS u${k}`]),
    ...(alone === undefined ? [] : [`${alone} AS a${k}`]),
  ]);
  return `(SELECT ${[...columns, ...parts, "row"].join(", ")} FROM ${view})`;
}

const passesUpTo = (k: number): string =>
  k === 0 ? "true" : Array.from({ length: k }, (_, i) => `p${i}`).join(" AND ");

async function writeSelection(
  tables: JoinedTables,
  rules: readonly ReadyRule[],
  out: string,
  options: SelectionOptions,
): Promise<SelectionReport> {
  const { table, info, notes } = tables;
  const { database } = table;
  const counts = rules.flatMap(({ alone, unknown }, k) => [
    ...(unknown === undefined ? [] : [`count(*) FILTER (u${k}) AS unknown${k}`]),
    `count(*) FILTER (NOT ${alone === undefined ? `p${k}` : `a${k}`}) AS alone${k}`,
    `count(*) FILTER (${passesUpTo(k)} AND NOT p${k}) AS drops${k}`,
  ]);
  const [counted = {}] = await database.rows(
    `SELECT ${["count(*) AS total", ...counts].join(", ")} FROM ${verdicts(table, rules, [])}`,
  );
  const total = Number(counted.total);
  let left = total;
  const outcomes = rules.map(({ name, rule, border, ...rest }, k): RuleOutcome => {
    const drops = Number(counted[`drops${k}`]);
    left -= drops;
    const unknown = Number(counted[`unknown${k}`] ?? 0);
    const words = `Of ${unknown.toLocaleString("en-US")} pairs it says neither, as a value is not known (NULL): they are dropped by it.`;
    const told = unknown === 0 ? rest.notes : [...rest.notes, words];
    const dropsAlone = Number(counted[`alone${k}`]);
    return { name, kind: rule.kind, dropsAlone, drops, left, border, notes: told };
  });
  const temporary = temporaryOf(out);
  try {
    if (extname(out) === ".npy") await writeUids(table, rules, left, out);
    else {
      await database.write(
        selectionSql(tables, rules),
        temporary,
        await selectionInfo(database, info, options),
      );
      withFileErrors("write", out, () => {
        realDisk.sync(temporary);
        realDisk.rename(temporary, out);
      });
    }
  } catch (error) {
    removeQuietly(realDisk, temporary);
    throw error;
  }
  const examples = await examplesOf(table, rules, verdicts, options.examples ?? 0);
  const sources = (info?.sources ?? []).map(({ source }) => source);
  return { path: out, rows: total, kept: left, rules: outcomes, notes, sources, examples };
}

/** Every row with its decision, in the order of the first table; and what the selection says that the rules start from. */
function selectionSql({ table, start, joined }: JoinedTables, rules: readonly ReadyRule[]): string {
  const has = (name: string): boolean => table.columns.some((column) => column.name === name);
  const column = (name: string, type: string): string =>
    has(name) ? `CAST(${sqlName(name)} AS ${type}) AS ${name}` : `NULL::${type} AS ${name}`;
  const identity = [
    column("source", "VARCHAR"),
    column("key", "VARCHAR"),
    column("caption_index", "INTEGER"),
    column("uid", "VARCHAR"),
  ];
  const said = start?.columns;
  const before = [
    `${said?.reason ?? "NULL::VARCHAR"} AS reason_before`,
    `${said?.weight ?? "1::DOUBLE"} AS weight`,
    `${said?.corrected_caption ?? "NULL::VARCHAR"} AS corrected_caption`,
    `${said?.corrected_label ?? "NULL::VARCHAR"} AS corrected_label`,
  ];
  const reasons = rules.map(({ name }, k) =>
    k === 0 && start !== undefined
      ? `WHEN NOT p0 THEN coalesce(reason_before, ${sqlText(name)})`
      : `WHEN NOT p${k} THEN ${sqlText(name)}`,
  );
  const reason = rules.length === 0 ? "NULL::VARCHAR" : `CASE ${reasons.join(" ")} END`;
  return `SELECT source, key, caption_index, uid, ${passesUpTo(rules.length)} AS keep, ${reason} AS reason,
    weight, corrected_caption, corrected_label
    FROM ${verdicts(table, rules, [...identity, ...before])}${joined ? " ORDER BY row" : ""}`;
}

async function selectionInfo(
  database: Database,
  info: TableInfo | undefined,
  { command }: SelectionOptions,
): Promise<TableInfo> {
  return {
    format: 1,
    kind: "selection",
    sources: info?.sources ?? (await sourcesIn(database)),
    ...(info?.data === undefined ? {} : { data: info.data }),
    clipwright: version(),
    ...(command === undefined ? {} : { command }),
    made: new Date().toISOString(),
    columns: selectionColumns,
  };
}

/** Of a table by another program: the sources that its rows name. */
async function sourcesIn(database: Database): Promise<TableInfo["sources"]> {
  if (!(await database.columns("scores")).some(({ name }) => name === "source")) return [];
  const rows = await database.rows(
    "SELECT source, count(DISTINCT key) AS samples FROM scores WHERE source IS NOT NULL GROUP BY source ORDER BY source LIMIT 1000",
  );
  return rows.map(({ source, samples }) => ({
    name: String(source),
    source: String(source),
    samples: Number(samples),
  }));
}

/** Writes the uids of what is kept. */
async function writeUids(
  table: Table,
  rules: readonly ReadyRule[],
  kept: number,
  out: string,
): Promise<void> {
  const { database, columns } = table;
  if (!columns.some(({ name }) => name === "uid")) throw unknownColumn(table, "uid", "--out");
  const from = `FROM ${verdicts(table, rules, ["uid"])} WHERE ${passesUpTo(rules.length)}`;
  const [none] = await database.rows(
    `SELECT count(*) AS n ${from} AND (uid IS NULL OR NOT regexp_full_match(uid, '[0-9a-fA-F]{32}'))`,
  );
  if (Number(none?.n) > 0) {
    throw new UsageError(
      `${basename(out)}: a subset names pairs by uid, 32 hex digits; got ${none?.n} of ${kept} pairs without. Score them with their pictures, or write a .parquet selection.`,
      { key: "out" },
    );
  }
  const pieces = async function* (): AsyncGenerator<Uint32Array> {
    for await (const rows of database.each(`SELECT lower(uid) AS uid ${from} ORDER BY 1`)) {
      const words = new Uint32Array(4 * rows.length);
      for (const [r, { uid }] of rows.entries()) words.set(wordsOfUid(String(uid)), 4 * r);
      yield words;
    }
  };
  await writeSubset(out, kept, pieces());
}
