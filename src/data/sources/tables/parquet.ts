/**
 * Parquet with a path column or a bytes column. Captions are read now. Image bytes are compressed in pages that hold
 * many images, so they are unpacked once, row group by row group, into one flat file in the cache folder; after that
 * any image is one range read on any thread.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { type FileMetaData, parquetSchema, type SchemaTree } from "hyparquet";
import { cacheFolder } from "../../../core/cache-folder.js";
import { makeFolder } from "../../../core/disk.js";
import { UsageError } from "../../../core/errors.js";
import { givenNames } from "../../columns/given.js";
import type { Container } from "../../image-index.js";
import type { DatasetOptions, SourceReading } from "../options.js";
import { resolveColumns } from "./columns.js";
import { openParquet, type Row, type RowRange, readRows, rowGroups } from "./parquet-file.js";
import { imagePath, TableReader } from "./table.js";

const FIRST_ROWS = 8;

/** Rows as objects; throws `UsageError` where the file is damaged. */
type ReadRows = (range: RowRange) => Promise<Row[]>;

/** Reads the tables at `paths`. Throws `UsageError` naming the file or the columns. */
export async function readParquet(
  source: string,
  paths: readonly string[],
  options: DatasetOptions,
): Promise<SourceReading> {
  const table = new TableReader(source, "parquet", options);
  for (const path of paths) {
    const parquet = await openParquet(path);
    await readTable(table, path, parquet.metadata, (range) => readRows(parquet, range), options);
  }
  return table.finish(paths.length);
}

/** Adds the rows of one file, row group by row group. */
async function readTable(
  table: TableReader,
  path: string,
  metadata: FileMetaData,
  read: ReadRows,
  options: DatasetOptions,
): Promise<void> {
  const groups = rowGroups(metadata);
  if (groups.length === 0)
    throw new UsageError(`parquet ${path}: has no rows. Point at a table with data.`, { file: path });
  const schema = new Map(parquetSchema(metadata).children.map((child) => [child.element.name, child]));
  const all = [...schema.keys()];
  const first = await firstCells(schema, groups, read);
  const columns = resolveColumns(`parquet ${path}`, all, first, options);
  const { image, captions, label } = columns;
  const hasBytes = bytesCell(schema.get(image)!) !== undefined;
  const wanted = [
    ...new Set([
      ...captions,
      ...(label === undefined ? [] : [label]),
      ...["key", "id", "image_id", "uid", ...givenNames].filter((c) => all.includes(c)),
      ...(hasBytes ? [] : [image]),
    ]),
  ];
  const classes = label === undefined ? undefined : classNames(metadata, label);
  const places = hasBytes ? await unpack(path, image, groups, read, options) : undefined;
  table.begin(path, columns, first);
  for (const { rowStart, rowEnd } of groups) {
    const rows = wanted.length === 0 ? undefined : await read({ rowStart, rowEnd, columns: wanted });
    for (let number = rowStart; number < rowEnd; number++) {
      const values: Row = { ...rows?.[number - rowStart] };
      for (const [name, cell] of Object.entries(values))
        if (typeof cell === "bigint") values[name] = plain(cell);
      if (label !== undefined && classes !== undefined) values[label] = classes[values[label] as number];
      if (places === undefined) {
        table.add({ values, number });
        continue;
      }
      values[image] = places.names[number] ?? "";
      const { container, offsets } = places;
      const offset = offsets[number]!;
      const size = offsets[number + 1]! - offset;
      table.add(size === 0 ? { values, number } : { values, number, bytes: { container, offset, size } });
    }
  }
}

const plain = (cell: bigint): number | string => {
  const number = Number(cell);
  return Number.isSafeInteger(number) ? number : String(cell);
};

/** Kinds of bytes that are text. */
const TEXTS: readonly unknown[] = ["UTF8", "JSON", "ENUM", "DECIMAL", "STRING"];

/** A cell of a column that by its type holds bytes or Hugging Face's {bytes, path}; undefined of another column. */
function bytesCell({ element, children }: SchemaTree): Uint8Array | { bytes: Uint8Array } | undefined {
  if (children.length > 0) {
    const inner = children.find((child) => child.element.name === "bytes");
    const cell = inner === undefined ? undefined : bytesCell(inner);
    return cell instanceof Uint8Array ? { bytes: cell } : undefined;
  }
  const isText = TEXTS.includes(element.converted_type) || TEXTS.includes(element.logical_type?.type);
  return element.type === "BYTE_ARRAY" && !isText && element.repetition_type !== "REPEATED"
    ? new Uint8Array(0)
    : undefined;
}

/** The first rows, and behind them one that has of each column a cell that is not empty, if there is one. */
async function firstCells(
  schema: ReadonlyMap<string, SchemaTree>,
  groups: readonly RowRange[],
  read: ReadRows,
): Promise<Row[]> {
  const first = await read({ rowStart: 0, rowEnd: Math.min(FIRST_ROWS, groups[0]!.rowEnd) });
  const cells: Row = {};
  const open = new Set<string>();
  for (const [name, tree] of schema) {
    if (first.some((row) => row[name] != null)) continue;
    const cell = bytesCell(tree);
    if (cell === undefined) open.add(name);
    else cells[name] = cell;
  }
  for (const group of groups) {
    if (open.size === 0) break;
    const rows = await read({ ...group, columns: [...open] });
    for (const name of open) {
      const row = rows.find((one) => one[name] != null);
      if (row === undefined) continue;
      cells[name] = row[name];
      open.delete(name);
    }
  }
  return [...first, cells];
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
  groups: readonly RowRange[],
  read: ReadRows,
  options: DatasetOptions,
): Promise<Unpacked> {
  const { size, mtimeMs } = statSync(path);
  const identity = createHash("sha256")
    .update(`${resolve(path)}\0${size}\0${mtimeMs}\0${column}`)
    .digest("hex");
  const folder = join(options.cacheDir ?? cacheFolder(), "parquet");
  const stem = join(folder, `${basename(path, ".parquet")}-${identity.slice(0, 16)}`);
  const container: Container = { kind: "range", path: `${stem}.bin`, origin: path };
  if (existsSync(`${stem}.json`) && existsSync(container.path)) {
    const { offsets, names } = JSON.parse(readFileSync(`${stem}.json`, "utf8"));
    return { container, offsets: Float64Array.from(offsets), names };
  }
  makeFolder(folder);
  options.onProgress?.(`unpacking the images of ${path} into ${folder}`);
  const partial = `${stem}.${process.pid}.partial`;
  const fd = openSync(partial, "w");
  const offsets: number[] = [0];
  const names: (string | null)[] = [];
  try {
    let end = 0;
    for (const { rowStart, rowEnd } of groups) {
      for (const row of await read({ rowStart, rowEnd, columns: [column] })) {
        const bytes = bytesOf(row[column]);
        for (let done = 0; bytes !== undefined && done < bytes.length; ) done += writeSync(fd, bytes, done);
        end += bytes?.length ?? 0;
        offsets.push(end);
        names.push(bytes === row[column] ? null : (imagePath(row[column]) ?? null));
      }
    }
    closeSync(fd);
  } catch (error) {
    closeSync(fd);
    rmSync(partial, { force: true });
    if (error instanceof UsageError) throw error;
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
