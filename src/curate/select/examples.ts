/** Pairs that show what a selection did: the best, the worst, those at the border, and those that each rule drops. */
import { type SqlRow, sqlName } from "../tables/database.js";
import type { CompiledRule } from "./rules.js";
import { drawSql, type Table } from "./score.js";

/** A pair as an example. */
export interface Example {
  readonly source: string;
  readonly key: string;
  readonly captionIndex: number;
  readonly caption: string;
  /** By which the group is ordered, higher is better; undefined where there is none. */
  readonly score?: number | undefined;
  readonly keep: boolean;
}

export interface ExampleGroup {
  readonly title: string;
  /** In a sentence. */
  readonly about: string;
  readonly pairs: readonly Example[];
}

/** Captions of a picture, about: so many more rows are looked at to find pictures enough. */
const CAPTIONS = 6;

/** The first rows, of each picture one. */
function oncePerPicture(rows: readonly SqlRow[], limit: number): SqlRow[] {
  const seen = new Set<string>();
  const first = rows.filter(({ source, key }) => {
    const name = JSON.stringify([source, key]);
    return !seen.has(name) && seen.add(name);
  });
  return first.slice(0, limit);
}

/** @param verdicts SQL of the rows with what the rules say of each. */
export async function examplesOf<R extends CompiledRule>(
  table: Table,
  rules: readonly R[],
  verdicts: (table: Table, rules: readonly R[], columns: readonly string[]) => string,
  many: number,
): Promise<ExampleGroup[]> {
  if (many === 0) return [];
  const { database } = table;
  const has = (name: string): boolean => table.columns.some((column) => column.name === name);
  const text = (name: string): string => `${has(name) ? `${sqlName(name)}::VARCHAR` : "''"} AS ${name}`;
  const main = [...rules].reverse().find(({ score }) => score !== undefined);
  const columns = [
    text("source"),
    has("key") ? text("key") : "uid AS key",
    `${has("caption_index") ? "caption_index" : "0"} AS caption_index`,
    text("caption"),
    `${main?.score ?? "NULL::DOUBLE"} AS score`,
    // The same examples whenever it is asked.
    `${drawSql(table, "'example'", 0)} AS draw`,
  ];
  const from = verdicts(table, rules, columns);
  const kept = rules.length === 0 ? "true" : rules.map((_, k) => `p${k}`).join(" AND ");
  const ask = async (where: string, order: string, limit = many): Promise<Example[]> => {
    const rows = await database.rows(
      `SELECT source, key, caption_index, caption, score, ${kept} AS keep FROM ${from} WHERE ${where} ORDER BY ${order}, row LIMIT ${CAPTIONS * limit}`,
    );
    return oncePerPicture(rows, limit).map(({ source, key, caption_index, caption, score, keep }) => ({
      source: String(source ?? ""),
      key: String(key ?? ""),
      captionIndex: Number(caption_index ?? 0),
      caption: String(caption ?? ""),
      ...(score === null || score === undefined ? {} : { score: Number(score) }),
      keep: keep === true,
    }));
  };
  const groups: ExampleGroup[] = [];
  if (main?.score !== undefined) {
    const half = Math.ceil(many / 2);
    groups.push(
      {
        title: "The best that are kept",
        about: `Highest by the score of “${main.name}”.`,
        pairs: await ask(kept, "score DESC NULLS LAST"),
      },
      {
        title: "The worst of all",
        about: "Lowest by that score.",
        pairs: await ask("score IS NOT NULL", "score ASC"),
      },
    );
    if (main.border !== undefined && Number.isFinite(main.border)) {
      const above = await ask(`score >= ${main.border}::DOUBLE`, "score ASC", half);
      const below = await ask(`score < ${main.border}::DOUBLE`, "score DESC", half);
      groups.push({
        title: "At the border",
        about: `Just kept, and just dropped, by that score; the border is ${Number(main.border.toPrecision(4))}.`,
        pairs: [...above.reverse(), ...below],
      });
    }
  } else {
    groups.push({ title: "Kept", about: "Drawn at random.", pairs: await ask(kept, "draw") });
  }
  for (const [k, { name, rule }] of rules.entries()) {
    if (rule.kind === "cover") continue;
    groups.push({
      title: `Dropped: ${name}`,
      about: "Drawn at random from the pairs that this rule drops, whatever the others say.",
      pairs: await ask(`NOT p${k}`, "draw"),
    });
  }
  return groups.filter(({ pairs }) => pairs.length > 0);
}
