/**
 * Parquet with a path column or a bytes column. Captions are read now. Image bytes are compressed in pages that hold
 * many images, so they are unpacked once, row group by row group, into one flat file in the cache folder; after that
 * any image is one range read on any thread.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { UsageError } from "../../core/errors.js";
import type { Container } from "../image-index.js";
import { resolveColumns } from "./columns.js";
import { cacheFolder, type DatasetOptions, type SourceReading } from "./options.js";
import { imagePath, TableReader, type TableRow } from "./table.js";

type Row = Record<string, unknown>;

const FIRST_ROWS = 8;

/** Reads the tables at `paths`. Throws `UsageError` naming the file or the columns. */
export async function readParquet(
  source: string,
  paths: readonly string[],
  options: DatasetOptions,
): Promise<SourceReading> {
  const table = new TableReader(source, "parquet", options);
  let columns: ReturnType<typeof resolveColumns> | undefined;
  for (const path of paths) {
    const { file, metadata } = await openParquet(path);
    const read = (range: { rowStart: number; rowEnd: number; columns?: string[] }): Promise<Row[]> =>
      parquetReadObjects({ file, metadata, compressors, utf8: false, useOffsetIndex: true, ...range });
    const length = Number(metadata.num_rows);
    if (length === 0) throw new UsageError(`parquet ${path}: has no rows. Point at a table with data.`);
    const all = parquetSchema(metadata).children.map((child) => child.element.name);
    const first = await read({ rowStart: 0, rowEnd: Math.min(FIRST_ROWS, length) });
    columns = resolveColumns(`parquet ${path}`, all, first, options);
    const { image, captions, label } = columns;
    const hasBytes = first.some((row) => bytesOf(row[image]) !== undefined);
    const wanted = [
      ...new Set([
        ...captions,
        ...(label === undefined ? [] : [label]),
        ...["key", "id", "image_id"].filter((c) => all.includes(c)),
        ...(hasBytes ? [] : [image]),
      ]),
    ];
    const rows =
      wanted.length === 0
        ? Array.from({ length }, (): Row => ({}))
        : await read({ rowStart: 0, rowEnd: length, columns: wanted });
    const classes = label === undefined ? undefined : classNames(metadata, label);
    const places = hasBytes ? await unpack(path, image, metadata, read, options) : undefined;
    table.add(
      path,
      columns,
      rows.map((values, number): TableRow => {
        const plain: Row = { ...values };
        if (label !== undefined && classes !== undefined) plain[label] = classes[Number(values[label])];
        for (const [name, cell] of Object.entries(plain))
          if (typeof cell === "bigint") plain[name] = Number(cell);
        if (places === undefined) return { values: plain, number };
        plain[image] = places.names[number] ?? "";
        const { container, offsets } = places;
        const offset = offsets[number]!;
        const size = offsets[number + 1]! - offset;
        return size === 0
          ? { values: plain, number }
          : { values: plain, number, bytes: { container, offset, size } };
      }),
    );
  }
  return table.finish(paths.length, columns!);
}

async function openParquet(path: string): Promise<{ file: AsyncBuffer; metadata: FileMetaData }> {
  try {
    const file = await asyncBufferFromFile(path);
    return { file, metadata: await parquetMetadataAsync(file) };
  } catch (error) {
    throw new UsageError(
      `parquet ${path}: is not a whole Parquet file (${(error as Error).message}). Fetch or make it again.`,
    );
  }
}

/** The image bytes of a cell: a binary column, or Hugging Face's {bytes, path}. */
function bytesOf(cell: unknown): Uint8Array | undefined {
  if (cell instanceof Uint8Array) return cell;
  if (cell !== null && typeof cell === "object") {
    const bytes = (cell as Row).bytes;
    if (bytes instanceof Uint8Array) return bytes;
  }
  return undefined;
}

/** Class names that Hugging Face `datasets` keeps in the file's metadata for a ClassLabel column. */
function classNames(metadata: FileMetaData, column: string): readonly string[] | undefined {
  const entry = metadata.key_value_metadata?.find(({ key }) => key === "huggingface");
  if (entry?.value === undefined) return undefined;
  try {
    const names: unknown = JSON.parse(entry.value)?.info?.features?.[column]?.names;
    return Array.isArray(names) ? names.map(String) : undefined;
  } catch {
    return undefined; // not the JSON that `datasets` writes: the column stays as it is
  }
}

interface Unpacked {
  readonly container: Container;
  /** Of every row, and the end: row r is bytes offsets[r] … offsets[r+1]. */
  readonly offsets: Float64Array;
  readonly names: readonly (string | null)[];
}

/** Image bytes of a column in one flat file, made once per (path, size, time, column). */
async function unpack(
  path: string,
  column: string,
  metadata: FileMetaData,
  read: (range: { rowStart: number; rowEnd: number; columns: string[] }) => Promise<Row[]>,
  options: DatasetOptions,
): Promise<Unpacked> {
  const { size, mtimeMs } = statSync(path);
  const identity = createHash("sha256")
    .update(`${resolve(path)}\0${size}\0${mtimeMs}\0${column}`)
    .digest("hex");
  const folder = join(cacheFolder(options), "parquet");
  const stem = join(folder, `${basename(path, ".parquet")}-${identity.slice(0, 16)}`);
  const container: Container = { kind: "range", path: `${stem}.bin`, origin: path };
  if (existsSync(`${stem}.json`) && existsSync(container.path)) {
    const { offsets, names } = JSON.parse(readFileSync(`${stem}.json`, "utf8"));
    return { container, offsets: Float64Array.from(offsets), names };
  }
  mkdirSync(folder, { recursive: true });
  options.onProgress?.(`unpacking the images of ${path} into ${folder}`);
  const partial = `${stem}.${process.pid}.partial`;
  const fd = openSync(partial, "w");
  const offsets: number[] = [0];
  const names: (string | null)[] = [];
  try {
    let end = 0;
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      for (const row of await read({ rowStart, rowEnd, columns: [column] })) {
        const bytes = bytesOf(row[column]);
        for (let done = 0; bytes !== undefined && done < bytes.length; ) done += writeSync(fd, bytes, done);
        end += bytes?.length ?? 0;
        offsets.push(end);
        names.push(bytes === row[column] ? null : (imagePath(row[column]) ?? null));
      }
      rowStart = rowEnd;
    }
    closeSync(fd);
  } catch (error) {
    closeSync(fd);
    rmSync(partial, { force: true });
    const reason = (error as Error).message;
    throw new UsageError(
      `parquet ${path}: its images could not be unpacked into ${folder} (${reason}). Free space there, or set cacheDir (CLIPWRIGHT_CACHE).`,
    );
  }
  renameSync(partial, container.path);
  writeFileSync(partial, JSON.stringify({ offsets, names }));
  renameSync(partial, `${stem}.json`); // last: its presence says that both files are whole
  return { container, offsets: Float64Array.from(offsets), names };
}
