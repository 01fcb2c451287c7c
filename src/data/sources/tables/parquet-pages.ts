/**
 * A look at Parquet's pages before they are decoded. Levels and dictionary indices are runs ("this value, n times"), and the
 * decoder writes as many values as a run claims: in a damaged page of four values a billion.
 */
import type { AsyncBuffer, ColumnMetaData, FileMetaData, PageHeader, SchemaTree } from "hyparquet";
import { parquetSchema } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { decompressPage } from "hyparquet/src/datapage.js";
import { getMaxDefinitionLevel, getMaxRepetitionLevel, getTreePath } from "hyparquet/src/schema.js";
import { readVarInt } from "hyparquet/src/thrift.js";
import { compressors } from "hyparquet-compressors";

/** More than a page's header has, unless it holds statistics of long values. */
const HEADER_BYTES = 2 ** 16;

/** A page that claims more than it can hold. */
export class ImpossiblePage extends Error {}

/**
 * Throws `ImpossiblePage` when a page with the rows before `rowEnd` of one of the `columns` (default all) claims more values
 * than it or its column has. What cannot be understood at all is left to the decoder's own words.
 */
export async function checkPages(
  file: AsyncBuffer,
  metadata: FileMetaData,
  { rowStart, rowEnd, columns }: { rowStart: number; rowEnd: number; columns?: readonly string[] },
): Promise<void> {
  const schema = parquetSchema(metadata);
  let start = 0;
  for (const group of metadata.row_groups) {
    const end = start + Math.max(0, Number(group.num_rows));
    for (const { meta_data: column } of start < rowEnd && end > rowStart ? group.columns : []) {
      if (column === undefined || columns?.includes(column.path_in_schema[0]!) === false) continue;
      try {
        await checkColumn(file, column, getTreePath(schema, column.path_in_schema), rowEnd - start);
      } catch (error) {
        if (error instanceof ImpossiblePage) throw error;
      }
    }
    start = end;
  }
}

async function checkColumn(
  file: AsyncBuffer,
  column: ColumnMetaData,
  path: SchemaTree[],
  rows: number,
): Promise<void> {
  const first = Number(column.dictionary_page_offset || column.data_page_offset);
  const end = Math.min(first + Number(column.total_compressed_size), file.byteLength);
  const flat = getMaxRepetitionLevel(path) === 0;
  let seen = 0;
  for (let at = first; at < end - 1 && (seen < rows || !flat); ) {
    const { header, headerBytes } = await readHeader(file, at, end);
    at += headerBytes;
    const { num_values } = header.data_page_header ?? header.data_page_header_v2 ?? { num_values: 0 };
    if (num_values > column.num_values) {
      throw new ImpossiblePage(
        `a page claims ${num_values} values of a column that has ${column.num_values}`,
      );
    }
    const next = at + header.compressed_page_size;
    if (header.compressed_page_size < 0 || next > end) return;
    checkPage(new Uint8Array(await file.slice(at, next)), header, column, path);
    seen += num_values;
    at = next;
  }
}

async function readHeader(
  file: AsyncBuffer,
  at: number,
  end: number,
): Promise<{ header: PageHeader; headerBytes: number }> {
  for (let most = HEADER_BYTES; ; most = end - at) {
    const reader = { view: new DataView(await file.slice(at, Math.min(end, at + most))), offset: 0 };
    try {
      return { header: parquetHeader(reader), headerBytes: reader.offset };
    } catch (error) {
      if (at + most >= end) throw error;
    }
  }
}

/** Bits of a level that is at most `most`. */
const widthOf = (most: number): number => 32 - Math.clz32(most);

function checkPage(bytes: Uint8Array, header: PageHeader, column: ColumnMetaData, path: SchemaTree[]): void {
  const { data_page_header: one, data_page_header_v2: two, uncompressed_page_size } = header;
  const levels = [getMaxRepetitionLevel(path), getMaxDefinitionLevel(path)];
  const unpack = (packed: Uint8Array, size: number) =>
    viewOf(decompressPage(packed, size, column.codec, compressors));
  if (one !== undefined) {
    const view = unpack(bytes, uncompressed_page_size);
    let at = 0;
    for (const most of levels) {
      if (most === 0) continue;
      const end = at + 4 + view.getUint32(at, true);
      checkRuns(view, at + 4, end, widthOf(most), one.num_values);
      at = end;
    }
    checkIndices(view, at, one.encoding, column, one.num_values);
  } else if (two !== undefined) {
    const sizes = [two.repetition_levels_byte_length, two.definition_levels_byte_length];
    let at = 0;
    for (const [i, size] of sizes.entries()) {
      checkRuns(viewOf(bytes), at, at + size, widthOf(levels[i]!), two.num_values);
      at += size;
    }
    const values = bytes.subarray(at);
    const view = two.is_compressed === false ? viewOf(values) : unpack(values, uncompressed_page_size - at);
    checkIndices(view, 0, two.encoding, column, two.num_values - two.num_nulls);
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

/** Checks the values that are places in a dictionary, or truth values in runs. */
function checkIndices(
  view: DataView,
  at: number,
  encoding: string,
  { type }: ColumnMetaData,
  values: number,
): void {
  const inRuns = encoding === "RLE" || encoding === "RLE_DICTIONARY" || encoding === "PLAIN_DICTIONARY";
  if (!inRuns || at >= view.byteLength) return;
  if (type === "BOOLEAN") checkRuns(view, at + 4, view.byteLength, 1, values);
  else checkRuns(view, at + 1, view.byteLength, view.getUint8(at), values);
}

/** Walks runs of values of `width` bits from byte `start` on; at most `most` values, and no run longer than the rest. */
export function checkRuns(view: DataView, start: number, end: number, width: number, most: number): void {
  const reader = { view, offset: start };
  for (let seen = 0; width > 0 && seen < most && reader.offset < Math.min(end, view.byteLength); ) {
    const run = readVarInt(reader) >>> 0;
    const packed = (run & 1) === 1;
    const count = (run >>> 1) * (packed ? 8 : 1);
    if (!packed && count > most - seen) {
      throw new ImpossiblePage(`a run of ${count} values stands where ${most - seen} are left`);
    }
    reader.offset += packed ? (run >>> 1) * width : (width + 7) >> 3;
    seen += count;
  }
}
