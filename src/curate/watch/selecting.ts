/** Selecting new pairs by the rules that the old ones were selected by. */

import { UsageError } from "../../core/errors.js";
import type { Rule } from "../select/rules.js";
import { makeSelection, type SelectionReport } from "../select/select.js";
import { openTables } from "../tables/database.js";
import type { FrozenRule } from "./profile.js";

/** What was kept of some pairs. */
export interface Kept {
  readonly pairs: number;
  readonly kept: number;
}

/**
 * The rules as they are for pairs to come: the best share of a score becomes the score of the worst that was kept. Throws
 * `UsageError` for rules that depend on all pairs in other ways.
 */
export async function freeze(
  rules: readonly Rule[],
  report: SelectionReport,
  table: string,
): Promise<readonly FrozenRule[]> {
  await using database = await openTables({ tables: { scores: table } });
  const columns = database.infos.scores?.columns ?? [];
  return rules.map((rule, i): FrozenRule => {
    if (rule.kind === "where" || rule.kind === "threshold" || rule.kind === "unique") return rule;
    const border = report.rules[i]?.border;
    if (rule.kind === "top" && border !== undefined) {
      const isLower = columns.some(({ name, better }) => name === rule.score && better === "lower");
      return { kind: "threshold", score: rule.score, value: isLower ? -border : border };
    }
    throw new UsageError(
      `watch: rules for pairs to come are conditions, thresholds, shares of a score and unique groups; got ${rule.kind}. Leave it out, and select by it with clipwright curate select.`,
    );
  });
}

/** Writes the selection of all pairs of the table; gives what was kept of those from row `start` on. */
export async function selectPairs(
  table: string,
  selection: string,
  rules: readonly FrozenRule[],
  { start, command }: { readonly start: number; readonly command: string | undefined },
): Promise<Kept> {
  await makeSelection(table, selection, { rules, command });
  await using database = await openTables({ tables: { selection } });
  const [found] = await database.rows(
    "SELECT count(*) AS pairs, count(*) FILTER (WHERE keep) AS kept FROM selection WHERE row >= $1",
    [start],
  );
  return { pairs: Number(found!.pairs), kept: Number(found!.kept) };
}
