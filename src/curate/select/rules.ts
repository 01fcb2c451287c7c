/**
 * What decides which pairs are kept: one record a rule, each turned into SQL that is true of a row that passes. Rules over the whole
 * set (duplicates, balance) look at the rows that the rules before them keep.
 */
import { UsageError } from "../../core/errors.js";
import { type BalanceRule, balanceSql, type ConceptRule, conceptSql } from "./balance.js";
import { drawSql, freshName, groupSql, scoreSql, type Table, unknownColumn } from "./score.js";

/** A condition in SQL over the table's columns. NULL does not pass. */
export interface WhereRule {
  readonly kind: "where";
  readonly sql: string;
  /** What is told as the reason; default the condition. */
  readonly name?: string | undefined;
  /** Columns that it reads: of one that is missing is told how to get it. */
  readonly reads?: readonly string[] | undefined;
}

/** Pairs at least as good as a value. */
export interface ThresholdRule {
  readonly kind: "threshold";
  readonly score: string;
  readonly value: number;
}

/**
 * The best share by a score. The worst that is kept is that at position ⌊n·share⌋ of the descending order, and what equals it is
 * kept too, as in DataComp's `apply_filter.py`; a pair without the score is not.
 */
export interface TopRule {
  readonly kind: "top";
  readonly score: string;
  /** Below or equal 1: a share; above: a number of pairs. */
  readonly share: number;
  /** Of which pairs with the score: all of the table, or those that the rules before keep. Default `all`. */
  readonly of?: "all" | "kept" | undefined;
}

/** Of pictures that share a value of a column, the one with the best score; with all of its captions. NULL shares with nothing. */
export interface UniqueRule {
  readonly kind: "unique";
  /** Column, or expression. */
  readonly group: string;
  /** Default: the first in the table. */
  readonly best?: string | undefined;
}

/** Of every value of a column the best `least` pairs, whatever the rules on scores before say. */
export interface CoverRule {
  readonly kind: "cover";
  readonly group: string;
  readonly least: number;
  readonly best?: string | undefined;
}

/** A random share; subsets of one seed are nested. */
export interface RandomRule {
  readonly kind: "random";
  /** Below or equal 1: a share; above: a number of pairs. */
  readonly share: number;
  readonly seed: number;
  readonly of?: "all" | "kept" | undefined;
  /** Of pairs, each caption for itself, or of pictures with all their captions. Default `pairs`. */
  readonly over?: "pairs" | "pictures" | undefined;
}

export type Rule =
  | WhereRule
  | ThresholdRule
  | TopRule
  | UniqueRule
  | CoverRule
  | BalanceRule
  | ConceptRule
  | RandomRule;

/** A rule as SQL. */
export interface CompiledRule {
  readonly rule: Rule;
  /** Told as the reason where it drops a pair. */
  readonly name: string;
  /** True or false of a row. */
  readonly passes: string;
  /** Of a condition: true of a row of which it says neither. */
  readonly unknown?: string | undefined;
  /** Score that it goes by, if it goes by one: higher is better. */
  readonly score?: string | undefined;
  /** The least score that passes. */
  readonly border?: number | undefined;
  /** What a person should know. */
  readonly notes: readonly string[];
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(6))}%`;
const amount = (share: number): string => (share <= 1 ? percent(share) : String(share));

/** The reason that is told for pairs which a rule drops. */
export function nameOf(rule: Rule): string {
  switch (rule.kind) {
    case "where":
      return rule.name ?? rule.sql.trim().replace(/\s+/g, " ");
    case "threshold":
      return `${rule.score} at least as good as ${rule.value}`;
    case "top":
      return `top ${amount(rule.share)} by ${rule.score}`;
    case "unique":
      return `one picture a ${rule.group}`;
    case "cover":
      return `at least ${rule.least} a ${rule.group}`;
    case "balance":
      return `balance of ${rule.column}`;
    case "concepts":
      return "balance of concepts";
    case "random":
      return `random ${amount(rule.share)}`;
  }
}

/**
 * Turns a rule into SQL.
 * @param before SQL that is true of rows that the rules before keep.
 */
export async function compileRule(table: Table, rule: Rule, before: string): Promise<CompiledRule> {
  const name = nameOf(rule);
  const { database, view } = table;
  switch (rule.kind) {
    case "where": {
      const missing = rule.reads?.find((column) => !table.columns.some((known) => known.name === column));
      if (missing !== undefined) throw unknownColumn(table, missing, "--preset");
      const condition = await database.condition(view, rule.sql, "--where");
      return {
        rule,
        name,
        passes: `coalesce(${condition}, false)`,
        unknown: `${condition} IS NULL`,
        notes: [],
      };
    }
    case "threshold": {
      const score = await scoreSql(table, rule.score, "--threshold");
      const border = table.better.get(rule.score) === "lower" ? -rule.value : rule.value;
      return { rule, name, passes: atLeast(score, border), score, border, notes: [] };
    }
    case "top": {
      const score = await scoreSql(table, rule.score, "--top");
      return { rule, name, ...(await bestShare(table, score, rule, before)) };
    }
    case "random": {
      const { over = "pairs" } = rule;
      const score = drawSql(table, "''", rule.seed, over);
      const { passes, border } = await bestShare(table, score, rule, before, over === "pictures");
      return { rule, name, passes, border, notes: [] };
    }
    case "unique": {
      const dropped = freshName();
      await database.run(await duplicatesSql(table, rule, before, dropped));
      return { rule, name, passes: `row NOT IN (SELECT row FROM ${dropped})`, notes: [] };
    }
    case "cover": {
      const group = await groupSql(table, rule.group, "--cover");
      const best = rule.best === undefined ? "-row" : await scoreSql(table, rule.best, "--best");
      const covered = freshName();
      await database.run(
        `CREATE TEMP TABLE ${covered} AS SELECT row FROM (
           SELECT row, row_number() OVER (PARTITION BY g ORDER BY s DESC NULLS LAST, row) AS n
           FROM (SELECT row, ${group} AS g, ${best} AS s FROM ${view} WHERE ${before}) WHERE g IS NOT NULL)
         WHERE n <= ${rule.least}`,
      );
      return { rule, name, passes: `row IN (SELECT row FROM ${covered})`, notes: [] };
    }
    case "balance": {
      const dropped = freshName();
      const notes = await balanceSql(table, rule, before, dropped);
      return { rule, name, passes: `row NOT IN (SELECT row FROM ${dropped})`, notes };
    }
    case "concepts": {
      const kept = freshName();
      const notes = await conceptSql(table, rule, before, kept);
      return { rule, name, passes: `row IN (SELECT row FROM ${kept})`, notes };
    }
  }
}

const atLeast = (score: string, border: number): string =>
  `coalesce(${score} >= ${sqlNumber(border)}, false)`;

/** A double in SQL, to the bit. */
const sqlNumber = (x: number): string => (Number.isFinite(x) ? `${x}::DOUBLE` : `'${x}'::DOUBLE`);

/** The rows from the value at position ⌊n·share⌋ of the descending order on; `distinct`: of values that differ. */
async function bestShare(
  { database, view }: Table,
  score: string,
  { share, of = "all" }: Pick<TopRule, "share" | "of">,
  before: string,
  distinct = false,
): Promise<Pick<CompiledRule, "passes" | "score" | "border" | "notes">> {
  if (!(share > 0)) throw new UsageError(`share: must be above 0; got ${share}.`, { key: "top" });
  const among = of === "all" ? "true" : before;
  const from = `FROM (SELECT ${distinct ? "DISTINCT " : ""}${score} AS s FROM ${view} WHERE ${among})`;
  const [counted] = await database.rows(`SELECT count(s) AS n, count(*) AS rows ${from}`);
  const n = Number(counted!.n);
  const without = Number(counted!.rows) - n;
  const notes =
    without === 0
      ? []
      : [`${without.toLocaleString("en-US")} pairs have no such score and are dropped by it.`];
  if (n === 0) return { passes: "false", score, border: Number.NaN, notes };
  // A number of pairs is that number; a share takes the one at its end as well.
  const position = Math.min(n - 1, share <= 1 ? Math.floor(n * share) : Math.round(share) - 1);
  // quantile_disc takes the value at ⌊n·q⌋ of the ascending order.
  const [found] = await database.rows(
    `SELECT quantile_disc(s, ${(n - 1 - position + 0.5) / n}) AS border ${from} WHERE s IS NOT NULL`,
  );
  const border = Number(found!.border);
  return { passes: atLeast(score, border), score, border, notes };
}

/** Makes the table of rows whose picture is not the best of its group. */
async function duplicatesSql(
  table: Table,
  { group, best }: UniqueRule,
  before: string,
  dropped: string,
): Promise<string> {
  const g = await groupSql(table, group, "--unique");
  const score = best === undefined ? "NULL" : await scoreSql(table, best, "--best");
  const names = ["source", "key"].filter((name) => table.columns.some((column) => column.name === name));
  // Captions of one picture are no copies of each other.
  const picture = names.includes("key") ? `hash(${names.join(", ")})` : "row";
  return `CREATE TEMP TABLE ${dropped} AS
    WITH pairs AS (SELECT row, ${g} AS g, ${picture} AS picture, ${score} AS s FROM ${table.view} WHERE ${before}),
    several AS (SELECT g FROM pairs WHERE g IS NOT NULL GROUP BY g HAVING min(picture) <> max(picture)),
    members AS MATERIALIZED (SELECT pairs.* FROM pairs SEMI JOIN several ON pairs.g = several.g),
    firsts AS (SELECT g, picture FROM members
      QUALIFY row_number() OVER (PARTITION BY g ORDER BY s DESC NULLS LAST, row) = 1)
    SELECT members.row FROM members JOIN firsts ON members.g = firsts.g WHERE members.picture <> firsts.picture`;
}
