/** Which pairs of its data a run was trained on: the share that its selection kept, and by what. */

import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { UsageError } from "../../core/errors.js";
import { openTables, type SqlRow } from "../../curate/tables/database.js";

export interface PastSelection {
  /** Share of the pairs, 0 … 1. */
  readonly kept: number;
  /** The score whose best pairs were kept, or `random`; undefined where other rules or several decided. */
  readonly keptBy?: string | undefined;
}

const known = new Map<string, Promise<PastSelection | undefined>>();

/**
 * What the selection of a run kept; undefined where its file is not there any more, or says only whom to keep.
 * @param select as the recipe has it. Where that is no file, one of this name is looked for among the parts of the study that the run is of.
 */
export function selectionOf(run: string, select: string): Promise<PastSelection | undefined> {
  const path = [select, join(run, "..", "..", "parts", basename(select))].find((file) => existsSync(file));
  if (path === undefined || !path.endsWith(".parquet")) return Promise.resolve(undefined);
  const found = known.get(path) ?? readSelection(path);
  known.set(path, found);
  return found;
}

async function readSelection(path: string): Promise<PastSelection | undefined> {
  try {
    await using database = await openTables({ tables: { selection: path } });
    const names = new Set((await database.columns("selection")).map(({ name }) => name));
    if (!names.has("keep") || !names.has("reason")) return undefined;
    const counts = await database.rows("SELECT keep, reason, count(*) AS n FROM selection GROUP BY ALL");
    return selectionFrom(counts);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** Of rows `keep`, `reason` and how many pairs have them. */
function selectionFrom(counts: readonly SqlRow[]): PastSelection | undefined {
  const sum = (rows: readonly SqlRow[]): number => rows.reduce((all, { n }) => all + Number(n), 0);
  const kept = sum(counts.filter(({ keep }) => keep === true)) / sum(counts);
  if (!(kept > 0)) return undefined;
  const [rule, ...others] = counts.filter(({ keep }) => keep !== true).map(({ reason }) => String(reason));
  if (rule === undefined || others.length > 0) return { kept };
  // As `nameOf` in curate/select/rules.ts words them.
  const keptBy = /^top \S+ by (.+)$/.exec(rule)?.[1] ?? (/^random /.test(rule) ? "random" : undefined);
  return keptBy === undefined ? { kept } : { kept, keptBy };
}
