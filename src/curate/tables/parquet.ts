/** Writing Parquet: a table's rows as bytes, and files joined by their row groups, without decoding them. */
import { closeSync, openSync, statSync } from "node:fs";
import { type FileMetaData, parquetMetadata, type SchemaElement } from "hyparquet";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { AtomicFile } from "../../core/atomic-file.js";
import { readExactly } from "../../core/disk.js";
import { InternalError, UsageError } from "../../core/errors.js";
import { withFileErrors } from "../../core/files.js";
import { type ColumnKind, INFO_KEY, type TableColumn, type TableInfo } from "../../data/selections/form.js";

/** Of a column what Parquet calls its kind. */
const elements: Readonly<Record<ColumnKind, Omit<SchemaElement, "name">>> = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
  number: { type: "DOUBLE", repetition_type: "OPTIONAL" },
  count: { type: "INT32", repetition_type: "OPTIONAL" },
  flag: { type: "BOOLEAN", repetition_type: "OPTIONAL" },
};

const schemaOf = (columns: readonly TableColumn[]): SchemaElement[] => [
  { name: "root", num_children: columns.length },
  ...columns.map(({ name, kind }) => ({ name, ...elements[kind] })),
];

/** What a cell may hold; undefined is NULL, as is a number that is not finite. */
export type Cell = string | number | boolean | null | undefined;

/** Values by column, all of one length; a column that is missing is NULL throughout. */
export type Batch = Readonly<Record<string, ArrayLike<Cell>>>;

/** The cells of a column from `start` to before `end`. Throws `InternalError` for a cell of another kind. */
function cellsOf(
  { name, kind }: TableColumn,
  values: ArrayLike<Cell> | undefined,
  start: number,
  end: number,
): (string | number | boolean | null)[] {
  const type = kind === "text" ? "string" : kind === "flag" ? "boolean" : "number";
  return Array.from({ length: end - start }, (_, i) => {
    const cell = values?.[start + i] ?? null;
    if (cell === null || (typeof cell === "number" && !Number.isFinite(cell))) return null;
    if (typeof cell === type && (kind !== "count" || cell === ((cell as number) | 0))) return cell;
    throw new InternalError(`table: column ${name} holds a ${kind}; got ${JSON.stringify(cell)}`);
  });
}

/** The rows of batches as one Parquet file of one row group, without metadata of ours. */
export function parquetBytes(columns: readonly TableColumn[], batches: readonly Batch[]): Uint8Array {
  const writer = new ByteWriter();
  const parquet = new ParquetWriter({ writer, schema: schemaOf(columns) });
  const rows = batches.reduce((sum, batch) => sum + lengthOf(batch), 0);
  const columnData = columns.map((column) => ({
    name: column.name,
    // Pages are found by reading on: files can be joined without moving indexes.
    offsetIndex: false,
    data: batches.flatMap((batch) => cellsOf(column, batch[column.name], 0, lengthOf(batch))),
  }));
  if (rows > 0) parquet.write({ columnData, rowGroupSize: rows });
  parquet.finish();
  return writer.getBytes();
}

/** Rows of a batch. Throws `InternalError` where its columns differ in length. */
export function lengthOf(batch: Batch): number {
  const lengths = new Set(Object.values(batch).map(({ length }) => length));
  if (lengths.size > 1)
    throw new InternalError(`table: columns of a batch have ${[...lengths].join(", ")} rows`);
  return lengths.values().next().value ?? 0;
}

/** Parquet ends in the footer, its length in four bytes, and four letters. */
const TAIL_BYTES = 8;

/** The footer of a file that this module wrote. */
function footerOf(path: string): { readonly metadata: FileMetaData; readonly start: number } {
  const { size } = statSync(path);
  const file = openSync(path, "r");
  try {
    const tail = new Uint8Array(TAIL_BYTES);
    if (size < 12 || !readExactly(file, tail, size - TAIL_BYTES)) throw new Error("it is cut short");
    const length = new DataView(tail.buffer).getUint32(0, true) + TAIL_BYTES;
    const footer = new Uint8Array(Math.min(length, size));
    readExactly(file, footer, size - footer.length);
    return { metadata: parquetMetadata(footer.buffer), start: size - length };
  } catch (error) {
    throw new UsageError(
      `table ${path}: cannot be read (${(error as Error).message}). Remove it; its rows are made again.`,
      { file: path },
    );
  } finally {
    closeSync(file);
  }
}

const PIECE_BYTES = 2 ** 22;

/**
 * Writes the table at `path`, whole or not at all: the row groups of `parts`, files that `parquetBytes` made of the same
 * columns, one behind the other, and `info` in its metadata. Takes as much memory as one piece of 4 MiB.
 */
export function joinParquet(path: string, parts: readonly string[], info: TableInfo): void {
  using out = new AtomicFile(path);
  const writer = new ByteWriter();
  const flush = (): void => {
    out.write(writer.getBytes());
    writer.index = 0;
  };
  const parquet = new ParquetWriter({
    writer,
    schema: schemaOf(info.columns),
    kvMetadata: [{ key: INFO_KEY, value: JSON.stringify(info) }],
    createdBy: `clipwright version ${info.clipwright}`,
  });
  flush();
  for (const part of parts) {
    const { metadata, start } = withFileErrors("read", part, () => footerOf(part));
    // What comes before the row groups is the four letters, in the part as in the whole.
    const shift = BigInt(writer.offset - 4);
    for (const bytes of bytesOf(part, 4, start)) {
      out.write(bytes);
      writer.offset += bytes.length;
    }
    for (const group of metadata.row_groups) {
      for (const { meta_data: chunk, ...column } of group.columns) {
        column.file_offset += shift;
        if (chunk === undefined) continue;
        chunk.data_page_offset += shift;
        if (chunk.dictionary_page_offset !== undefined) chunk.dictionary_page_offset += shift;
      }
      parquet.row_groups.push(group);
      parquet.num_rows += group.num_rows;
    }
  }
  parquet.finish();
  flush();
  out.commit();
}

/** The bytes of a file from `start` to before `end`; a piece is valid until the next. */
function* bytesOf(path: string, start: number, end: number): Generator<Uint8Array> {
  const file = openSync(path, "r");
  try {
    const room = new Uint8Array(Math.min(PIECE_BYTES, end - start));
    for (let at = start; at < end; at += room.length) {
      const piece = room.subarray(0, Math.min(room.length, end - at));
      if (!readExactly(file, piece, at)) throw new UsageError(`table ${path}: ends before byte ${end}.`);
      yield piece;
    }
  } finally {
    closeSync(file);
  }
}
