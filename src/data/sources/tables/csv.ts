/** CSV and TSV with a header line, or without one when the first line holds an image path. */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type CsvError, type Options, Parser } from "csv-parse";
import { UsageError } from "../../../core/errors.js";
import type { DatasetOptions, SourceReading } from "../options.js";
import { TextReader } from "../text.js";
import { looksLikeImage, resolveColumns } from "./columns.js";
import { FIRST_ROWS, TableReader, type TableRow } from "./table.js";

const SEPARATORS = [",", "\t", ";", "|"] as const;
/** Characters of the longest row; a longer one has a quote that is not closed. */
const MOST_ROW = 2 ** 24;

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

/** Reads the tables at `paths`, of any size. Throws `UsageError` naming the file, the line or the columns. */
export async function readCsv(
  source: string,
  kind: "csv" | "tsv",
  paths: readonly string[],
  options: DatasetOptions,
): Promise<SourceReading> {
  const table = new TableReader(source, kind, options);
  for (const path of paths) {
    const separator = separatorOf(path, kind, options);
    const reader = new RowsReader(path, kind, table, options);
    await forEachRow(path, separator, options, {
      row: (fields, line) => reader.add(fields, line),
      bad: (line, reason) => table.skip(path, line, reason),
    });
    reader.end();
  }
  return table.finish(paths.length);
}

function separatorOf(path: string, kind: "csv" | "tsv", { csvSeparator, encoding }: DatasetOptions): string {
  if (csvSeparator !== undefined && csvSeparator !== "auto") return csvSeparator.replace("\\t", "\t");
  if (kind === "tsv") return "\t";
  const [text = ""] = new TextReader(encoding).pieces(path);
  const head = text.trimStart();
  return detectSeparator(head.slice(0, head.search(/[\r\n]|$/)));
}

/** Calls `row` with the fields of each row and its last line, `bad` with each that is none. */
async function forEachRow(
  path: string,
  separator: string,
  options: DatasetOptions,
  { row, bad }: { row(fields: string[], line: number): void; bad(line: number, reason: string): void },
): Promise<void> {
  const remedy = `Put captions that hold the separator ${JSON.stringify(separator)} in double quotes, or set csvSeparator (--csv-separator).`;
  let failure: unknown;
  const guarded = (body: () => void): null => {
    try {
      body();
    } catch (error) {
      failure ??= error;
      throw error;
    }
    return null;
  };
  try {
    const parser = new RowsParser(
      {
        delimiter: separator,
        bom: true,
        relax_quotes: true,
        skip_empty_lines: true,
        trim: separator === "|",
        max_record_size: MOST_ROW,
        skip_records_with_error: true,
        on_skip: (error: CsvError | undefined) =>
          void guarded(() => {
            if (error?.code === "CSV_MAX_RECORD_SIZE") throw error;
            bad(Number(error?.lines ?? 0), `${reasonOf(error)}. ${remedy}`);
          }),
      },
      (fields, line) => guarded(() => row(fields, line)),
    );
    parser.resume();
    await pipeline(Readable.from(new TextReader(options.encoding).pieces(path)), parser);
  } catch (error) {
    if (failure instanceof UsageError) throw failure;
    if (typeof (error as NodeJS.ErrnoException).syscall === "string") throw error;
    const { lines } = error as Partial<CsvError>;
    throw new UsageError(`csv ${path}: ${(error as Error).message}. ${remedy}`, {
      file: path,
      line: lines === undefined ? undefined : Number(lines),
    });
  }
  if (failure !== undefined) throw failure;
}

/** Hands each row on as it is parsed: as an object of the stream, or to `on_record`, it would take half as long again. */
class RowsParser extends Parser {
  constructor(
    options: Options,
    private readonly row: (fields: string[], line: number) => void,
  ) {
    super(options);
  }

  override push(fields: string[] | null): boolean {
    if (fields === null) return super.push(null);
    if (this.destroyed) return false;
    try {
      this.row(fields, this.info.lines);
    } catch (error) {
      this.destroy(error as Error);
    }
    return true;
  }
}

const reasonOf = (error: Error | undefined): string =>
  (error?.message ?? "no row").replace(/ on line \d+$/, "");

/** Rows of one file: the first tells whether there is a header, the first fifty which columns matter. */
class RowsReader {
  private header: string[] | undefined;
  private headless = false;
  private first: TableRow[] = [];
  /** Name and position of the columns that matter, once they are known. */
  private wanted: (readonly [name: string, at: number])[] | undefined;

  constructor(
    private readonly path: string,
    private readonly kind: "csv" | "tsv",
    private readonly table: TableReader,
    private readonly options: DatasetOptions,
  ) {}

  add(fields: string[], number: number): void {
    if (this.header === undefined) {
      this.headless = fields.some(looksLikeImage);
      this.header = this.headless ? fields.map((_, i) => String(i)) : fields.map((name) => name.trim());
      if (!this.headless) return;
    }
    if (this.wanted !== undefined) {
      const values = Object.fromEntries(this.wanted.map(([name, at]) => [name, fields[at]]));
      this.table.add({ values, number });
      return;
    }
    const values = Object.fromEntries(this.header.map((name, at) => [name, fields[at]]));
    if (this.first.push({ values, number }) === FIRST_ROWS) this.begin();
  }

  end(): void {
    if (this.header === undefined) this.table.refuseEmpty(this.path);
    if (this.wanted === undefined) this.begin();
  }

  private begin(): void {
    const { header, first } = this;
    const values = first.map((row) => row.values);
    const columns = resolveColumns(`${this.kind} ${this.path}`, header!, values, this.options);
    const { image, captions, label } = columns;
    const names = new Set([image, ...captions, ...(label === undefined ? [] : [label])]);
    this.wanted = [...names].map((name) => [name, header!.lastIndexOf(name)]);
    this.table.begin(this.path, columns, values);
    for (const row of first) this.table.add(row);
    this.first = [];
  }
}
