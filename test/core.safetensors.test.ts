import assert from "node:assert/strict";
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decode, encode } from "../src/core/dtype.js";
import { UsageError } from "../src/core/errors.js";
import { SafetensorsFile, type TensorToStore, writeSafetensors } from "../src/core/safetensors.js";

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../test/fixtures/files/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "clipwright-safetensors-"));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const usage = (pattern: RegExp) => (error: unknown) =>
  error instanceof UsageError && pattern.test(error.message);

/** The content of python.safetensors (fixtures/files/make.py), in the order in which Python stores it. */
const tensors: TensorToStore[] = [
  { name: "ids", dtype: "i64", shape: [3], data: new BigInt64Array([-1n, 2n ** 40n, 3n]) },
  { name: "scale", dtype: "f32", shape: [], data: new Float32Array([2.6592]) },
  {
    name: "visual.proj",
    dtype: "f32",
    shape: [2, 3],
    data: Float32Array.from([0, 1, 2, 3, 4, 5], (x) => Math.fround(x) / Math.fround(7)),
  },
  { name: "half", dtype: "f16", shape: [3], data: encode("f16", [0.5, -65504, 6e-8]) },
  { name: "pixels", dtype: "u8", shape: [3], data: new Uint8Array([0, 127, 255]) },
  { name: "mask", dtype: "bool", shape: [3], data: new Uint8Array([1, 0, 1]) },
];

/** A file with this header text and this many bytes of data. */
function raw(name: string, header: string, dataBytes: number): string {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  writeFileSync(at(name), bytes);
  return at(name);
}

describe("SafetensorsFile", () => {
  test("reads what Python wrote", () => {
    using file = new SafetensorsFile(fixture("python.safetensors"));
    assert.deepEqual(file.metadata, { format: "pt" });
    assert.deepEqual([...file.names].sort(), tensors.map((t) => t.name).sort());
    for (const { name, dtype, shape, data } of tensors) {
      assert.deepEqual({ ...file.info(name), name, dtype, shape }, file.info(name));
      assert.deepEqual(file.read(name), data, name);
    }
  });

  test("reads rows without the rest", () => {
    using file = new SafetensorsFile(fixture("python.safetensors"));
    const whole = file.read("visual.proj");
    assert.deepEqual(file.readRows("visual.proj", 1, 1), whole.slice(3));
    assert.deepEqual(file.readRows("visual.proj", 0, 0), new Float32Array(0));
    assert.throws(
      () => file.readRows("visual.proj", 1, 2),
      usage(/rows of "visual.proj" must lie in f32\[2,3\]/),
    );
    assert.throws(() => file.readRows("scale", 0, 1), usage(/rows of "scale"/));
  });

  test("widens what engines do not compute in, and refuses the rest by name when it is asked for", () => {
    using file = new SafetensorsFile(fixture("types.safetensors"));
    assert.deepEqual(file.read("f64"), new Float32Array([0.1, Number.NEGATIVE_INFINITY]));
    assert.equal(file.info("f64").dtype, "f32");
    assert.equal(file.info("f64").fileDType, "F64");
    assert.deepEqual([...decode("bf16", file.read("bf16"))], [1, -2]);
    assert.deepEqual(file.read("i16"), new Int32Array([-32768, 0, 32767]));
    assert.deepEqual(file.read("u16"), new Int32Array([0, 65535]));
    assert.deepEqual(file.read("i8"), new Int32Array([-128, 0, 127]));
    assert.deepEqual(file.read("i32"), new Int32Array([-7]));
    assert.deepEqual(file.read("empty"), new Float32Array(0));
    assert.throws(
      () => file.read("f8"),
      usage(/types\.safetensors: "f8" must have one of the dtypes.*F8_E4M3/),
    );
  });

  test("names the nearest tensor when there is none of that name", () => {
    using file = new SafetensorsFile(fixture("python.safetensors"));
    assert.equal(file.has("visual.prj"), false);
    assert.throws(
      () => file.read("visual.prj"),
      usage(/must hold the tensor "visual.prj".*mean "visual\.proj"/),
    );
  });

  test("refuses other files and damaged ones, naming what is wrong", () => {
    const one = (begin: number, end: number, dtype = "F32", shape = "[1]") =>
      `{"w":{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}}`;
    const cases: [string, RegExp][] = [
      [raw("ok", one(0, 4), 4), /^$/],
      [at("missing"), /no such file/],
      [raw("short", "", 0).replace("short", "tiny"), /only 3 bytes/],
      [raw("text", "hello, world", 0), /header is not JSON/],
      [raw("array", "[]", 0), /header is no object/],
      [raw("hole", one(4, 8), 8), /"w" must begin at byte 0/],
      [raw("cut", one(0, 4), 3), /ends within "w"/],
      [raw("extra", one(0, 4), 5), /must fill the 5 bytes/],
      [raw("size", one(0, 8), 8), /"w" must take 4 bytes for F32\[1\]/],
      [raw("shape", one(0, 4, "F32", "[-1]"), 4), /"w" must have dtype, shape and data_offsets/],
      [raw("meta", '{"__metadata__":{"a":1}}', 0), /__metadata__ must map strings/],
    ];
    writeFileSync(at("tiny"), "abc");
    for (const [path, pattern] of cases.slice(1)) {
      assert.throws(() => new SafetensorsFile(path), usage(pattern), path);
    }
    const png = at("png");
    writeFileSync(png, Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"));
    assert.throws(() => new SafetensorsFile(png), usage(/must be a safetensors file; its header would take/));
  });

  test("reads beyond 2 and 4 GiB of a large file", () => {
    // A sparse file: it takes no room on the disk.
    const rows = 5 * 2 ** 20;
    const header = `{"big":{"dtype":"F32","shape":[${rows},256],"data_offsets":[0,${rows * 1024}]}}`;
    const path = raw("big.safetensors", header, 0);
    const fd = openSync(path, "r+");
    ftruncateSync(fd, 8 + header.length + rows * 1024);
    writeSync(fd, new Uint8Array(new Float32Array([42]).buffer), 0, 4, 8 + header.length + (rows - 1) * 1024);
    closeSync(fd);
    using file = new SafetensorsFile(path);
    const last = file.readRows("big", rows - 1, 1) as Float32Array;
    assert.deepEqual([last.length, last[0], last[1]], [256, 42, 0]);
  });
});

describe("writeSafetensors", () => {
  test("writes the bytes that Python writes", () => {
    writeSafetensors(at("ours.safetensors"), tensors, { format: "pt" });
    assert.deepEqual(readFileSync(at("ours.safetensors")), readFileSync(fixture("python.safetensors")));
  });

  test("orders by width so that tensors are aligned, and takes data when its turn comes", () => {
    const asked: string[] = [];
    const lazy = (name: string, dtype: "u8" | "f32", data: Uint8Array | Float32Array): TensorToStore => ({
      name,
      dtype,
      shape: [data.length],
      data: () => {
        asked.push(name);
        return data;
      },
    });
    // A view into a larger buffer must give its own part only.
    const view = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    writeSafetensors(at("lazy"), [lazy("bytes", "u8", new Uint8Array([7, 8, 9])), lazy("view", "f32", view)]);
    assert.deepEqual(asked, ["view", "bytes"]);
    using file = new SafetensorsFile(at("lazy"));
    assert.deepEqual(file.names, ["view", "bytes"]);
    assert.deepEqual(file.read("view"), new Float32Array([1, 2]));
    assert.deepEqual(file.metadata, {});
  });

  test("keeps the old file when a tensor has the wrong size or two have one name", () => {
    const good: TensorToStore = { name: "w", dtype: "f32", shape: [1], data: new Float32Array([1]) };
    writeSafetensors(at("kept"), [good]);
    const bad: TensorToStore = { ...good, name: "v", shape: [2] };
    assert.throws(
      () => writeSafetensors(at("kept"), [good, bad]),
      usage(/"v" must take 8 bytes for f32\[2\]; got 4/),
    );
    assert.throws(() => writeSafetensors(at("kept"), [good, good]), usage(/got "w" twice/));
    using file = new SafetensorsFile(at("kept"));
    assert.deepEqual(file.read("w"), new Float32Array([1]));
  });
});
