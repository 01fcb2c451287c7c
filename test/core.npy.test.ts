import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { UsageError } from "../src/core/errors.js";
import { NpyRows, NpyWriter, readNpy, writeNpy } from "../src/core/npy.js";

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../test/fixtures/files/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "clipwright-npy-"));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const usage = (pattern: RegExp) => (error: unknown) =>
  error instanceof UsageError && pattern.test(error.message);
const sevenths = Float32Array.from([0, 1, 2, 3, 4, 5], (x) => Math.fround(x) / Math.fround(7));

describe("readNpy", () => {
  test("reads what NumPy wrote", () => {
    assert.deepEqual(readNpy(fixture("f32.npy")), { dtype: "f32", shape: [2, 3], data: sevenths });
    const i64 = new BigInt64Array([-1n, 2n ** 40n, 3n]);
    assert.deepEqual(readNpy(fixture("i64.npy")), { dtype: "i64", shape: [3], data: i64 });
    assert.deepEqual(readNpy(fixture("f64.npy")), { dtype: "f32", shape: [], data: new Float32Array([0.1]) });
  });

  test("refuses other orders, other files and cut ones", () => {
    assert.throws(() => readNpy(fixture("fortran.npy")), usage(/must be row-major/));
    assert.throws(() => readNpy(fixture("big-endian.npy")), usage(/descr must be one of .*got >f4/));
    assert.throws(() => readNpy(fixture("python.safetensors")), usage(/must be a \.npy file/));
    copyFileSync(fixture("f32.npy"), at("cut.npy"));
    truncateSync(at("cut.npy"), 130);
    assert.throws(() => readNpy(at("cut.npy")), usage(/must hold 24 bytes of data; got 2/));
    assert.throws(() => readNpy(at("none.npy")), usage(/no such file/));
    const text = readFileSync(fixture("f32.npy"), "latin1");
    for (const shape of ["NaN,", "-2, 3", "2.5, 3", "1e3, 3", ", 3", "99999999, 99999999, 99999999"]) {
      // The header is padded with spaces: its length stays.
      const changed = text.replace(/\(2, 3\)(, \}) */, (all, end) => `(${shape})${end}`.padEnd(all.length));
      writeFileSync(at("shape.npy"), changed, "latin1");
      for (const read of [() => readNpy(at("shape.npy")), () => new NpyRows(at("shape.npy"))])
        assert.throws(read, usage(/shape\.npy: must be a \.npy file; its shape \(.*\) is none/), shape);
    }
    writeFileSync(at("long.npy"), text.replace("(2, 3), }  ", "(2L, 3L), }"), "latin1");
    assert.deepEqual(readNpy(at("long.npy")).shape, [2, 3]);
  });
});

describe("writeNpy", () => {
  test("writes the bytes that NumPy writes", () => {
    writeNpy(at("f32.npy"), { dtype: "f32", shape: [2, 3], data: sevenths });
    assert.deepEqual(readFileSync(at("f32.npy")), readFileSync(fixture("f32.npy")));
    writeNpy(at("i64.npy"), { dtype: "i64", shape: [3], data: new BigInt64Array([-1n, 2n ** 40n, 3n]) });
    assert.deepEqual(readFileSync(at("i64.npy")), readFileSync(fixture("i64.npy")));
  });

  test("refuses bf16 and data of the wrong size", () => {
    const data = new Uint16Array(2);
    assert.throws(() => writeNpy(at("x.npy"), { dtype: "bf16", shape: [2], data }), usage(/has no bf16/));
    assert.throws(
      () => writeNpy(at("x.npy"), { dtype: "f16", shape: [3], data }),
      usage(/6 bytes for f16\[3\]; got 4/),
    );
  });
});

describe("NpyWriter", () => {
  test("grows by rows and ends as writeNpy would have it", () => {
    {
      using writer = new NpyWriter(at("grow.npy"), { dtype: "f32", rowShape: [3] });
      writer.append(sevenths.subarray(0, 3));
      writer.append(sevenths.subarray(3));
      assert.equal(writer.rows, 2);
      assert.throws(() => writer.append(new Float32Array(2)), usage(/whole rows of f32\[3\]; got 8 bytes/));
    }
    assert.deepEqual(readFileSync(at("grow.npy")), readFileSync(fixture("f32.npy")));
  });

  test("can be read at any moment up to the last flush, and resumed from there after a crash", () => {
    const writer = new NpyWriter(at("crash.npy"), { dtype: "i32", rowShape: [] });
    assert.deepEqual(readNpy(at("crash.npy")).shape, [0]);
    writer.append(new Int32Array([1, 2, 3]));
    writer.flush();
    writer.append(new Int32Array([4]));
    const torn = readFileSync(at("crash.npy"));
    writeFileSync(at("torn.npy"), torn.subarray(0, torn.length - 1));
    assert.deepEqual(readNpy(at("torn.npy")).data, new Int32Array([1, 2, 3]));
    writer.close();
    assert.deepEqual(readNpy(at("crash.npy")).data, new Int32Array([1, 2, 3, 4]));

    using resumed = new NpyWriter(at("torn.npy"), { dtype: "i32", rowShape: [], resume: true });
    assert.equal(resumed.rows, 3);
    resumed.append(new Int32Array([5]));
    resumed.close();
    assert.deepEqual(readNpy(at("torn.npy")).data, new Int32Array([1, 2, 3, 5]));
  });

  test("starts anew unless told to resume, and resumes only its own kind", () => {
    new NpyWriter(at("new.npy"), { dtype: "f32", rowShape: [2], resume: true }).close();
    assert.deepEqual(readNpy(at("new.npy")).shape, [0, 2]);
    const other = { dtype: "f32", rowShape: [3], resume: true } as const;
    assert.throws(
      () => new NpyWriter(at("new.npy"), other),
      usage(/rows must be f32\[3\]; the file has f32\[2\]/),
    );
    new NpyWriter(at("new.npy"), { dtype: "f32", rowShape: [3] }).close();
    assert.deepEqual(readNpy(at("new.npy")).shape, [0, 3]);
  });

  test("NpyRows reads the rows that are asked for, and refuses what is no whole file of them", () => {
    const data = Float32Array.from({ length: 12 }, (_, i) => i / 8);
    writeNpy(at("rows.npy"), { dtype: "f32", shape: [4, 3], data });
    using rows = new NpyRows(at("rows.npy"));
    assert.deepEqual([rows.rows, rows.width], [4, 3]);
    assert.deepEqual(
      rows.read([2, 0, 2]),
      Float32Array.from([6, 7, 8, 0, 1, 2, 6, 7, 8], (x) => x / 8),
    );
    const whole = readFileSync(at("rows.npy"));
    writeFileSync(at("cut.npy"), whole.subarray(0, whole.length - 4));
    assert.throws(() => new NpyRows(at("cut.npy")), usage(/cut\.npy: ends before its last row/));
    writeNpy(at("flat.npy"), { dtype: "f32", shape: [12], data });
    assert.throws(() => new NpyRows(at("flat.npy")), usage(/must be f32 \[rows, width\]; got f32 \[12\]/));
  });
});
