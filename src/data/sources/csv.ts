/** CSV and TSV with a header line, or without one when the first line holds an image path. */
import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { UsageError } from "../../core/errors.js";
import { looksLikeImage, resolveColumns } from "./columns.js";
import type { DatasetOptions, SourceReading } from "./options.js";
import { TableReader, type TableRow } from "./table.js";

const SEPARATORS = [",", "\t", ";", "|"] as const;
const FIRST_ROWS = 50;

/** The separator that splits the first line most often, outside quotes. */
export function detectSeparator(firstLine: string): string {
  const bare = firstLine.replace(/"[^"]*"/g, "");
  let best: string = ",";
  let most = 0;
  for (const separator of SEPARATORS) {
    const fields = bare.split(separator).length - 1;
    if (fields > most) [best, most] = [separator, fields];
  }
  return best;
}

function parseRows(path: string, text: string, separator: string): string[][] {
  try {
    return parse(text, {
      delimiter: separator,
      bom: true,
      relax_quotes: true,
      skip_empty_lines: true,
      trim: separator === "|",
    });
  } catch (error) {
    throw new UsageError(
      `csv ${path}: ${(error as Error).message}. Put captions that hold the separator ${JSON.stringify(separator)} in double quotes, or set csvSeparator (--csv-separator).`,
    );
  }
}

/** Reads the tables at `paths`. Throws `UsageError` naming the file, the line or the columns. */
export function readCsv(
  source: string,
  kind: "csv" | "tsv",
  paths: readonly string[],
  options: DatasetOptions,
): SourceReading {
  const table = new TableReader(source, kind, options);
  let columns: ReturnType<typeof resolveColumns> | undefined;
  for (const path of paths) {
    const text = readFileSync(path, "utf8");
    if (text.trim() === "") throw new UsageError(`${kind} ${path}: is empty. Point at a table with data.`);
    const wanted = options.csvSeparator ?? "auto";
    const firstLine = text.slice(0, text.search(/[\r\n]|$/));
    const separator =
      wanted !== "auto" ? wanted.replace("\\t", "\t") : kind === "tsv" ? "\t" : detectSeparator(firstLine);
    const lines = parseRows(path, text, separator);
    const headless = lines[0]!.some(looksLikeImage);
    const header = headless ? lines[0]!.map((_, i) => String(i)) : lines[0]!.map((name) => name.trim());
    const body = headless ? lines : lines.slice(1);
    const rows = body.map((fields, r): TableRow => {
      const values: Record<string, string> = {};
      for (const [i, name] of header.entries()) values[name] = fields[i]!;
      return { values, number: r + (headless ? 1 : 2) };
    });
    columns = resolveColumns(
      `${kind} ${path}`,
      header,
      rows.slice(0, FIRST_ROWS).map((row) => row.values),
      options,
    );
    table.add(path, columns, rows);
  }
  return table.finish(paths.length, columns!);
}
