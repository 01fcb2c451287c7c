/** Engines by name, plugins and their wheels: what is listed, installed and refused. Needs no network. */

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { UsageError } from "../src/core/errors.js";
import { installPlugin } from "../src/engines/install/install.js";
import { findPlugin, pluginPath, pluginSets } from "../src/engines/install/plugins.js";
import { unpackWheel } from "../src/engines/install/wheel.js";
import { formatEngines, listEngines, openEngine } from "../src/engines/registry.js";

interface ZipFile {
  readonly name: string;
  readonly content: string;
  readonly packed?: boolean;
  readonly mode?: number;
}

/** A zip archive of small files. */
function zip(files: readonly ZipFile[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, content, packed = true, mode = 0o644 } of files) {
    const data = packed ? deflateRawSync(content) : Buffer.from(content);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(packed ? 8 : 0, 8);
    local.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(packed ? 8 : 0, 10);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE((mode << 16) >>> 0, 38);
    entry.writeUInt32LE(at, 42);
    parts.push(local, Buffer.from(name), data);
    directory.push(entry, Buffer.from(name));
    at += 30 + name.length + data.length;
  }
  const size = directory.reduce((n, b) => n + b.length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

let folder: string;
let saved: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "clipwright-install-"));
  saved = { ...process.env };
  process.env.CLIPWRIGHT_CACHE = join(folder, "cache");
  delete process.env.CLIPWRIGHT_XLA_PLUGIN;
});
afterEach(() => {
  for (const name of ["CLIPWRIGHT_CACHE", "CLIPWRIGHT_XLA_PLUGIN", "PATH"]) {
    if (saved[name] === undefined) delete process.env[name];
    else process.env[name] = saved[name];
  }
  rmSync(folder, { recursive: true, force: true });
});

const put = (name: string, bytes: Buffer): string => {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, bytes);
  return path;
};

describe("unpackWheel", () => {
  test("packed and stored files, folders, and the right to execute", async () => {
    const wheel = put(
      "a.whl",
      zip([
        { name: "pkg/lib.so", content: "x".repeat(10_000) },
        { name: "pkg/bin/tool", content: "#!", packed: false, mode: 0o755 },
        { name: "pkg/empty.py", content: "", packed: false },
        { name: "pkg/", content: "", packed: false },
      ]),
    );
    const out = join(folder, "out");
    assert.deepEqual(await unpackWheel(wheel, out), { files: 3, bytes: 10_002 });
    assert.equal(readFileSync(join(out, "pkg/lib.so"), "utf8"), "x".repeat(10_000));
    assert.equal(statSync(join(out, "pkg/bin/tool")).mode & 0o777, 0o755);
    assert.equal(statSync(join(out, "pkg/lib.so")).mode & 0o111, 0);
    assert.equal(readFileSync(join(out, "pkg/empty.py"), "utf8"), "");
  });

  test("a cut, a damaged and a dangerous archive are refused", async () => {
    const whole = zip([{ name: "a", content: "hello hello hello" }]);
    const out = join(folder, "out");
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, 31, 40);
    for (const [name, bytes] of [
      ["cut", whole.subarray(0, 40)],
      ["damaged", damaged],
      ["outside", zip([{ name: "../../evil", content: "x" }])],
    ] as const) {
      await assert.rejects(unpackWheel(put(name, bytes), out), UsageError, name);
    }
    assert.equal(existsSync(join(folder, "..", "evil")), false);
  });
});

describe("installPlugin", { skip: process.platform !== "linux" && "plugins are for Linux" }, () => {
  const library = pluginSets["xla-cpu"]!.file;

  test("a folder of wheels becomes a plugin that is found by name", async () => {
    put("wheels/xla.whl", zip([{ name: library, content: "library" }]));
    put("wheels/more.whl", zip([{ name: "nvidia/lib/libx.so", content: "more" }]));
    assert.throws(() => findPlugin("xla-cpu"), /not installed. Run: clipwright engines install xla-cpu/);
    const lines: string[] = [];
    const wheels = join(folder, "wheels");
    const installed = await installPlugin("xla-cpu", { wheels, onProgress: (line) => lines.push(line) });
    assert.equal(installed.files, 2);
    assert.equal(installed.path, pluginPath("xla-cpu"));
    assert.equal(findPlugin("xla-cpu"), installed.path);
    assert.equal(findPlugin(), installed.path);
    assert.equal(readFileSync(installed.path, "utf8"), "library");
    assert.ok(lines.some((line) => line.includes("unpacking more.whl")));
    assert.equal(listEngines().find((e) => e.plugin === "xla-cpu")!.usable, true);
    assert.match(formatEngines(), /--engine xla --plugin xla-cpu\n {2}.*\n {2}usable/);
  });

  test("an installation that fails leaves the earlier one", async () => {
    put("wheels/xla.whl", zip([{ name: library, content: "first" }]));
    const { path } = await installPlugin("xla-cpu", { wheels: join(folder, "wheels") });
    put("other/a.whl", zip([{ name: "nothing", content: "" }]));
    await assert.rejects(
      installPlugin("xla-cpu", { wheels: join(folder, "other") }),
      /must hold .*xla_cpu_pjrt.so/,
    );
    assert.equal(readFileSync(path, "utf8"), "first");
    assert.equal(existsSync(join(folder, "cache/plugins/xla-cpu.new")), false);
  });

  test("without pip it says what is missing", async () => {
    process.env.PATH = folder;
    await assert.rejects(installPlugin("xla-cpu"), /needs pip to download wheels.*--wheels/);
  });

  test("an unknown plugin is named with the nearest", async () => {
    await assert.rejects(installPlugin("xla-cup"), /Did you mean "xla-cpu"/);
  });
});

describe("openEngine", () => {
  test("the default engine by name", async () => {
    const engine = await openEngine("onnxruntime", { threads: 1 });
    assert.equal(engine.name, "onnxruntime");
    await engine[Symbol.asyncDispose]();
  });

  test("what cannot be opened is refused with what to do", async () => {
    await assert.rejects(openEngine("xlb"), /one of onnxruntime, xla; got xlb\. Did you mean "xla"/);
    await assert.rejects(openEngine("onnxruntime", { devices: 2 }), /runs on one device/);
    await assert.rejects(openEngine("xla"), /no plugin can be used here: .*xla-cpu is not installed/);
    await assert.rejects(openEngine("xla", { plugin: "/nowhere/plugin.so" }), /path of a library or one of/);
    process.env.CLIPWRIGHT_XLA_PLUGIN = "/nowhere/plugin.so";
    const listed = listEngines().find((e) => e.plugin === "/nowhere/plugin.so")!;
    assert.equal(listed.usable, false);
  });
});
