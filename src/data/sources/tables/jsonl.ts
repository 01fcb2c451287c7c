/** JSON lines: one object a line, with an image path or base64. */
import { UsageError } from "../../../core/errors.js";
import { readLines } from "../../../core/lines.js";
import type { Container } from "../../image-index.js";
import type { DatasetOptions, SourceReading } from "../options.js";
import { TextReader } from "../text.js";
import { looksLikeBase64, resolveColumns } from "./columns.js";
import { parseRecord } from "./json.js";
import { FIRST_ROWS, TableReader, type TableRow } from "./table.js";

interface Row extends TableRow {
  /** Of the line, in bytes. */
  readonly offset: number;
  readonly size: number;
}

/** Reads the files at `paths`, of any size. Throws `UsageError` naming file and line, or the columns. */
export function readJsonl(source: string, paths: readonly string[], options: DatasetOptions): SourceReading {
  const table = new TableReader(source, "jsonl", options);
  for (const path of paths) {
    let add: ((row: Row) => void) | undefined;
    let first: Row[] = [];
    const begin = (): void => {
      add = addTo(table, path, first, options);
      for (const row of first) add(row);
      first = [];
    };
    for (const row of rowsOf(path, table, options)) {
      if (add !== undefined) add(row);
      else if (first.push(row) === FIRST_ROWS) begin();
    }
    if (add === undefined && first.length > 0) begin();
    if (add === undefined) table.refuseEmpty(path);
  }
  return table.finish(paths.length);
}

function* rowsOf(path: string, table: TableReader, options: DatasetOptions): Generator<Row> {
  const texts = new TextReader(options.encoding);
  try {
    for (const { bytes, number, offset } of readLines(path)) {
      if (number === 1 && /^utf-16/.test(texts.decoderOf(bytes).encoding)) {
        throw new UsageError(`jsonl ${path}: is UTF-16. Write it anew as UTF-8.`, { file: path });
      }
      const text = texts.decode(bytes).trim();
      if (text === "") continue;
      try {
        yield { values: parseRecord(text), number, offset, size: bytes.length };
      } catch (error) {
        table.skip(path, number, (error as Error).message);
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`jsonl ${path}: ${error.message}. Put one object on each line.`, { file: path });
  }
}

/** What adds a row of the file at `path`, whose columns the first rows tell. */
function addTo(
  table: TableReader,
  path: string,
  first: readonly Row[],
  options: DatasetOptions,
): (row: Row) => void {
  const all = [...new Set(first.flatMap((row) => Object.keys(row.values)))];
  const values = first.map((row) => row.values);
  const columns = resolveColumns(`jsonl ${path}`, all, values, options);
  table.begin(path, columns, values);
  const container: Container = { kind: "base64", path, column: columns.image };
  return (row) => {
    const cell = row.values[columns.image];
    const isBytes = typeof cell === "string" && looksLikeBase64(cell);
    table.add(isBytes ? { ...row, bytes: { container, offset: row.offset, size: row.size } } : row);
  };
}
