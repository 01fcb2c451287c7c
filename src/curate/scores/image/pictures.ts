/** The pictures of a table's rows: a picture with five captions has five rows, one behind the other. */

import type { ScoredTable, ScoreValue } from "../score.js";

/** The first row of a picture, with the values asked for, and how many rows it has. */
export interface PictureRow {
  readonly row: number;
  readonly rows: number;
  readonly values: Readonly<Record<string, ScoreValue>>;
}

/** Every picture once, in the order of the rows. */
export async function* eachPicture(
  table: ScoredTable,
  columns: readonly string[],
): AsyncGenerator<PictureRow> {
  let [last, current] = [
    "",
    undefined as { row: number; rows: number; values: Record<string, ScoreValue> } | undefined,
  ];
  for await (const { start, length, columns: values } of table.scan(["source", "key", ...columns]))
    for (let i = 0; i < length; i++) {
      const name = `${values.source![i]}\0${values.key![i]}`;
      if (current !== undefined && name === last) {
        current.rows++;
        continue;
      }
      if (current !== undefined) yield current;
      last = name;
      const own = Object.fromEntries(columns.map((column) => [column, values[column]![i]!]));
      current = { row: start + i, rows: 1, values: own };
    }
  if (current !== undefined) yield current;
}
