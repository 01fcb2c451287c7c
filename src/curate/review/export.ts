/** The outcome of a review as a selection: every pair of the table, with what people decided in its place. */

import { realDisk } from "../../core/disk.js";
import { withFileErrors } from "../../core/files.js";
import type { Dataset } from "../../data/index.js";
import { selectionColumns } from "../../data/selections/form.js";
import { openTables, type SqlRow } from "../tables/database.js";
import { describeTable } from "../tables/info.js";
import { TableWriter } from "../tables/writer.js";
import type { Standing } from "./log/standing.js";
import type { ReviewTables } from "./open.js";
import { type Outcome, outcomeOf } from "./outcome.js";
import { ItemIndex, type ReviewSet } from "./set.js";

export interface ExportOptions {
  readonly tables: ReviewTables;
  readonly dataset: Dataset;
  readonly set: ReviewSet;
  readonly standing: Standing;
  /** The command line, for the table's metadata. */
  readonly command?: string | undefined;
}

export interface Exported {
  readonly rows: number;
  readonly kept: number;
  readonly outcome: Outcome;
}

/**
 * Writes the selection at `path`, whole or not at all. Pairs that were not in the review stay as the table has them; of
 * scores without a selection all are kept. Memory does not grow with the table.
 */
export async function exportOutcome(
  path: string,
  { tables, dataset, set, standing, command }: ExportOptions,
): Promise<Exported> {
  const outcome = outcomeOf(set, standing);
  const index = new ItemIndex(set.items);
  await using database = await openTables({ tables: { base: (tables.selection ?? tables.scores)! } });
  const has = new Set((await database.columns("base")).map(({ name }) => name));
  const names = selectionColumns.map(({ name }) => name);
  // Scores alone drop nothing; of a selection NULL is no, as training reads it.
  const sqlOf = (name: string): string => {
    if (name === "keep") return has.has(name) ? "coalesce(keep, false)" : "true";
    return has.has(name) ? name : "NULL";
  };
  const columns = names.map((name) => `${sqlOf(name)} AS ${name}`).join(", ");
  withFileErrors("remove", `${path}.parts`, () => realDisk.remove(`${path}.parts`));
  const writer = new TableWriter(path, describeTable("selection", selectionColumns, { dataset, command }));
  let rows = 0;
  let kept = 0;
  for await (const piece of database.each(`SELECT ${columns} FROM base ORDER BY row`)) {
    const decided = piece.map((row) => withDecision(row, outcome, index));
    writer.append(
      Object.fromEntries(names.map((name) => [name, decided.map((row) => plainCell(row[name]))])),
    );
    rows += decided.length;
    kept += decided.filter(({ keep }) => keep).length;
  }
  writer.finish();
  return { rows, kept, outcome };
}

const plainCell = (value: SqlRow[string] | undefined) => (typeof value === "bigint" ? Number(value) : value);

function withDecision(row: SqlRow, { decisions }: Outcome, index: ItemIndex): SqlRow {
  const as = { ...row, weight: row.weight ?? 1 };
  const id = {
    source: String(row.source ?? ""),
    key: String(row.key ?? ""),
    captionIndex: Number(row.caption_index),
    uid: row.uid === null || row.uid === undefined ? null : String(row.uid),
  };
  const item = index.find(id);
  const decision = item === undefined ? undefined : decisions[item];
  if (decision === undefined || !decision.reviewed) return as;
  return {
    ...as,
    keep: decision.keep,
    reason: decision.reason ?? null,
    corrected_caption: decision.correctedCaption ?? row.corrected_caption ?? null,
    corrected_label: decision.correctedLabel ?? row.corrected_label ?? null,
  };
}
