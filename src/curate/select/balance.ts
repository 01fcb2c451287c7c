/**
 * Balance, as MetaCLIP has it: what is frequent is thinned out to about `cap` pairs, what is rare stays whole. Draws come from the
 * pair, the value and the seed, so that they do not depend on the order of the rows.
 *
 * Source: Xu et al., Demystifying CLIP Data (arXiv 2309.16671), metaclip/metaclip1/substr_matching.py and balancing.py.
 */
import { createHash } from "node:crypto";
import { UsageError } from "../../core/errors.js";
import { ConceptMatcher } from "./concepts.js";
import { drawSql, freshName, groupSql, identitySql, type Table, unknownColumn } from "./score.js";

/** Thins out the frequent values of a column: a pair stays with probability cap / count. NULL stays. */
export interface BalanceRule {
  readonly kind: "balance";
  /** E.g. `label`, `cluster`, `caption`; or an expression. */
  readonly column: string;
  /** Pairs that a value has at most, about; `auto`: see `capOf`. */
  readonly cap: number | "auto";
  readonly seed: number;
}

/** Thins out the frequent concepts: a pair stays where any of the entries in its caption passes. A pair without entry does not. */
export interface ConceptRule {
  readonly kind: "concepts";
  /** Words and phrases. */
  readonly entries: readonly string[];
  readonly cap: number | "auto";
  readonly seed: number;
}

/** Share of all matches that entries below the cap have in MetaCLIP's 400 million pairs at its cap of 20,000. */
const TAIL = 0.06;

/**
 * The cap that leaves a set of any size as its tail what MetaCLIP's leaves its own: the least count at which entries of fewer
 * pairs, and those of as many, have 6 % of all matches.
 * @param counts of entries with so many pairs how many there are, ascending.
 */
export function capOf(counts: readonly { readonly pairs: number; readonly entries: number }[]): number {
  const total = counts.reduce((sum, { pairs, entries }) => sum + pairs * entries, 0);
  let below = 0;
  for (const { pairs, entries } of counts) {
    below += pairs * entries;
    if (below >= TAIL * total) return pairs;
  }
  return 1;
}

const told = (cap: number | "auto", used: number, heads: number, what: string): string[] => [
  `${cap === "auto" ? "By itself the cap is" : "The cap is"} ${used.toLocaleString("en-US")} pairs a ${what}; ${heads.toLocaleString("en-US")} have more.`,
];

/** Makes the table `dropped` of the rows that go. Gives what a person should know. */
export async function balanceSql(
  table: Table,
  { column, cap, seed }: BalanceRule,
  before: string,
  dropped: string,
): Promise<string[]> {
  const { database, view } = table;
  const group = await groupSql(table, column, "--balance");
  const counts = freshName();
  await database.run(
    `CREATE TEMP TABLE ${counts} AS SELECT ${group} AS g, count(*) AS n FROM ${view} WHERE ${before} AND ${group} IS NOT NULL GROUP BY g`,
  );
  const sizes = await database.rows(`SELECT n, count(*) AS entries FROM ${counts} GROUP BY n ORDER BY n`);
  const used =
    cap === "auto"
      ? capOf(sizes.map(({ n, entries }) => ({ pairs: Number(n), entries: Number(entries) })))
      : cap;
  const heads = sizes.reduce((sum, { n, entries }) => sum + (Number(n) > used ? Number(entries) : 0), 0);
  await database.run(
    `CREATE TEMP TABLE ${dropped} AS
     SELECT row FROM (SELECT row, n, ${drawSql(table, "g::VARCHAR", seed)} AS draw
       FROM (SELECT *, ${group} AS g FROM ${view} WHERE ${before}) AS pairs
       JOIN (SELECT g AS head, n FROM ${counts} WHERE n > ${used}) ON pairs.g = head)
     WHERE draw >= ${used} / n`,
  );
  await database.run(`DROP TABLE ${counts}`);
  return told(cap, used, heads, "value");
}

/** Makes the table `kept` of the rows that stay. Gives what a person should know. */
export async function conceptSql(
  table: Table,
  { entries, cap, seed }: ConceptRule,
  before: string,
  kept: string,
): Promise<string[]> {
  const { database, view, columns } = table;
  if (!columns.some(({ name }) => name === "caption")) throw unknownColumn(table, "caption", "--concepts");
  const matcher = new ConceptMatcher(entries);
  if (matcher.entries.length === 0)
    throw new UsageError("concepts: needs words or phrases; got none. Write one a line.", {
      key: "concepts",
    });
  const counts = new Float64Array(matcher.entries.length);
  const question = `SELECT row, caption, ${identitySql(table)} AS name FROM ${view} WHERE ${before} AND caption IS NOT NULL`;
  for await (const rows of database.each(question))
    for (const { caption } of rows) for (const entry of matcher.find(String(caption))) counts[entry]!++;
  const sizes = new Map<number, number>();
  for (const n of counts) if (n > 0) sizes.set(n, (sizes.get(n) ?? 0) + 1);
  const ascending = [...sizes].sort((a, b) => a[0] - b[0]).map(([pairs, many]) => ({ pairs, entries: many }));
  const used = cap === "auto" ? capOf(ascending) : cap;
  const passing = async function* (): AsyncGenerator<number> {
    for await (const rows of database.each(question)) {
      for (const { row, caption, name } of rows) {
        const found = matcher.find(String(caption));
        const passes = found.some(
          (entry) => draw(String(name), matcher.entries[entry]!, seed) < used / counts[entry]!,
        );
        if (passes) yield Number(row);
      }
    }
  };
  await database.putRows(kept, passing());
  const heads = counts.reduce((sum, n) => sum + (n > used ? 1 : 0), 0);
  return told(cap, used, heads, "concept");
}

/** [0, 1) of a pair, an entry and a seed. */
const draw = (name: string, entry: string, seed: number): number =>
  createHash("sha256").update(`${name}\x1e${entry}\x1e${seed}`).digest().readUIntBE(0, 6) / 2 ** 48;
