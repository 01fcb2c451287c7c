/** JSON lines: one object a line, with an image path or base64. */
import { readFileSync } from "node:fs";
import { UsageError } from "../../core/errors.js";
import type { Container } from "../image-index.js";
import { looksLikeBase64, resolveColumns } from "./columns.js";
import type { DatasetOptions, SourceReading } from "./options.js";
import { TableReader, type TableRow } from "./table.js";

const FIRST_ROWS = 50;
const NEWLINE = 10;

/** Reads the files at `paths`. Throws `UsageError` naming file and line. */
export function readJsonl(source: string, paths: readonly string[], options: DatasetOptions): SourceReading {
  const table = new TableReader(source, "jsonl", options);
  let columns: ReturnType<typeof resolveColumns> | undefined;
  for (const path of paths) {
    const bytes = readFileSync(path);
    const rows: (TableRow & { offset: number; size: number })[] = [];
    let number = 0;
    for (let start = 0; start < bytes.length; ) {
      let end = bytes.indexOf(NEWLINE, start);
      if (end < 0) end = bytes.length;
      number++;
      const line = bytes.toString("utf8", start, end).trim();
      if (line !== "")
        rows.push({ values: parseLine(path, number, line), number, offset: start, size: end - start });
      start = end + 1;
    }
    if (rows.length === 0) throw new UsageError(`jsonl ${path}: is empty. Point at a table with data.`);
    const first = rows.slice(0, FIRST_ROWS).map((row) => row.values);
    const all = [...new Set(first.flatMap((row) => Object.keys(row)))];
    const found = resolveColumns(`jsonl ${path}`, all, first, options);
    columns = found;
    const container: Container = { kind: "base64", path, column: found.image };
    table.add(
      path,
      found,
      rows.map(({ values, number, offset, size }): TableRow => {
        const cell = values[found.image];
        const isBytes = typeof cell === "string" && looksLikeBase64(cell);
        return isBytes ? { values, number, bytes: { container, offset, size } } : { values, number };
      }),
    );
  }
  return table.finish(paths.length, columns!);
}

function parseLine(path: string, number: number, line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new UsageError(`jsonl ${path} line ${number}: is not JSON (${(error as Error).message}).`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new UsageError(
      `jsonl ${path} line ${number}: must be an object such as {"image": …, "caption": …}; got ${line.slice(0, 40)}.`,
    );
  }
  return value as Record<string, unknown>;
}
