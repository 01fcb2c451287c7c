/** A Parquet file on the disk: its footer, and rows or columns of it, checked before they are decoded. */
import { closeSync, openSync, statSync } from "node:fs";
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetReadObjects,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { readExactly } from "../../../core/disk.js";
import { UsageError } from "../../../core/errors.js";
import { checkPages } from "./parquet-pages.js";

export type Row = Record<string, unknown>;

export interface ParquetFile {
  readonly path: string;
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
}

/** Rows from `rowStart` to before `rowEnd`, of the columns or of all. */
export interface RowRange {
  readonly rowStart: number;
  readonly rowEnd: number;
  readonly columns?: readonly string[];
}

/** Ranges of a file as hyparquet asks for them; each call opens the file anew, so that none stays open. */
function fileRanges(path: string): AsyncBuffer {
  const byteLength = statSync(path).size;
  return {
    byteLength,
    slice(start, end = byteLength) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, byteLength) - start));
      const fd = openSync(path, "r");
      try {
        if (start < 0 || !readExactly(fd, bytes, start)) throw new Error(`the file ends before byte ${end}`);
      } finally {
        closeSync(fd);
      }
      return bytes.buffer;
    },
  };
}

/** Opens the file at `path`. Throws `UsageError` where it is none. */
export async function openParquet(path: string): Promise<ParquetFile> {
  try {
    const file = fileRanges(path);
    return { path, file, metadata: await parquetMetadataAsync(file) };
  } catch (error) {
    throw new UsageError(
      `parquet ${path}: is not a whole Parquet file (${(error as Error).message}). Fetch or make it again.`,
      { file: path },
    );
  }
}

/** The rows of each row group that has some. */
export function rowGroups(metadata: FileMetaData): RowRange[] {
  let rowEnd = 0;
  return metadata.row_groups
    .map((group): RowRange => {
      const rowStart = rowEnd;
      rowEnd += Math.max(0, Number(group.num_rows));
      return { rowStart, rowEnd };
    })
    .filter(({ rowStart, rowEnd }) => rowEnd > rowStart);
}

/** Rows as objects, texts as they are stored. Throws `UsageError` where the file is damaged. */
export async function readRows(parquet: ParquetFile, range: RowRange): Promise<Row[]> {
  const { rowStart, rowEnd } = range;
  const rows = await reading(parquet, range, (wanted) =>
    parquetReadObjects({ ...wanted, utf8: false, useOffsetIndex: true }),
  );
  return rows.length === rowEnd - rowStart ? rows : fail(parquet, range, `there are only ${rows.length}`);
}

/**
 * The values of each column in `columns` that there is, over the rows of a whole row group; NULL is null or undefined.
 * Throws `UsageError` where the file is damaged.
 */
export async function readColumns(
  parquet: ParquetFile,
  range: RowRange & { readonly columns: readonly string[] },
): Promise<Record<string, ArrayLike<unknown>>> {
  const { rowStart, rowEnd } = range;
  const out: Record<string, unknown[]> = {};
  const here = new Set(parquet.metadata.schema.map(({ name }) => name));
  const columns = range.columns.filter((name) => here.has(name));
  for (const name of columns) out[name] = new Array(rowEnd - rowStart);
  if (columns.length === 0) return out;
  await reading(parquet, { ...range, columns }, (wanted) =>
    parquetRead({
      ...wanted,
      onChunk({ columnName, columnData, rowStart: start }) {
        const values = out[columnName]!;
        for (let i = 0; i < columnData.length; i++) values[start - rowStart + i] = columnData[i];
      },
    }),
  );
  return out;
}

/** Checks the pages, then reads; every failure names the file and the rows. */
async function reading<T>(
  parquet: ParquetFile,
  { rowStart, rowEnd, columns }: RowRange,
  read: (wanted: {
    file: AsyncBuffer;
    metadata: FileMetaData;
    compressors: typeof compressors;
    rowStart: number;
    rowEnd: number;
    columns?: string[];
  }) => Promise<T>,
): Promise<T> {
  const { file, metadata } = parquet;
  const range = { rowStart, rowEnd, ...(columns === undefined ? {} : { columns: [...columns] }) };
  try {
    await checkPages(file, metadata, range);
    return await read({ file, metadata, compressors, ...range });
  } catch (error) {
    return fail(parquet, range, (error as Error).message);
  }
}

function fail({ path }: ParquetFile, { rowStart, rowEnd }: RowRange, why: string): never {
  throw new UsageError(
    `parquet ${path}: rows ${rowStart} to ${rowEnd - 1} cannot be read (${why}). Fetch or make it again.`,
    { file: path },
  );
}
