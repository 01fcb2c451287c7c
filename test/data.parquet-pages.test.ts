import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type AsyncBuffer, parquetMetadataAsync } from "hyparquet";
import { checkPages, checkRuns, ImpossiblePage } from "../src/data/sources/tables/parquet-pages.js";
import { fixture } from "./support/fixture.js";

/** Runs of a format: unsigned LEB128 of twice the count, and 1 for bit-packed groups of eight; then the value or values. */
const walk = (bytes: readonly number[], width: number, most: number): void =>
  checkRuns(new DataView(Uint8Array.from(bytes).buffer), 0, bytes.length, width, most);

describe("runs of a Parquet page", () => {
  test("may fill it, packed ones up to the next eight, and padding may follow", () => {
    walk([4 << 1, 1], 1, 4);
    walk([(1 << 1) | 1, 0b1011], 1, 4);
    walk([2 << 1, 1, (1 << 1) | 1, 0b10, 0, 0], 1, 9);
    walk([0x90, 0x03, 7, 0], 9, 200);
    walk([], 1, 0);
  });

  test("are refused where they claim more than is left", () => {
    assert.throws(
      () => walk([5 << 1, 1], 1, 4),
      new ImpossiblePage("a run of 5 values stands where 4 are left"),
    );
    assert.throws(() => walk([3 << 1, 1, 3 << 1, 0], 1, 5), ImpossiblePage);
    assert.throws(() => walk([0xfe, 0xff, 0xff, 0xff, 0x0f, 1], 1, 4), ImpossiblePage);
  });
});

describe("pages of a Parquet file", () => {
  for (const name of ["bytes", "late", "struct"]) {
    test(`${name}.parquet has none that claims too much, until its columns have fewer values`, async () => {
      const bytes = readFileSync(fixture(`data/${name}.parquet`));
      const file: AsyncBuffer = {
        byteLength: bytes.length,
        slice: (start, end) => Uint8Array.from(bytes.subarray(start, end)).buffer,
      };
      const metadata = await parquetMetadataAsync(file);
      const all = { rowStart: 0, rowEnd: Number(metadata.num_rows) };
      await checkPages(file, metadata, all);
      for (const group of metadata.row_groups)
        for (const { meta_data } of group.columns) meta_data!.num_values = 1n;
      await assert.rejects(
        checkPages(file, metadata, all),
        /^Error: a page claims \d+ values of a column that has 1$/,
      );
    });
  }
});
