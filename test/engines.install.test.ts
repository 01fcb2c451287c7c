/** Engines by name, plugins and their wheels: what is listed, installed and refused. Needs no network. */

import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { UsageError } from "../src/core/errors.js";
import { installPlugin } from "../src/engines/install/install.js";
import { findPlugin, pluginPath, pluginSets } from "../src/engines/install/plugins.js";
import { unpackWheel } from "../src/engines/install/wheel.js";
import { formatEngines, listEngines, openEngine } from "../src/engines/registry.js";
import { wheel, type ZipFile, zip } from "./support/wheel.js";

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

/** A program that writes down what it is asked for, and brings nothing. */
const fakePip = (notes: string): string => `
const { appendFileSync, readFileSync } = require("node:fs");
const requirements = process.argv.find((a) => a.startsWith("--requirement="))?.slice(14);
appendFileSync(${JSON.stringify(notes)}, process.argv.slice(2).join(" ") + "\\n");
if (requirements) appendFileSync(${JSON.stringify(notes)}, readFileSync(requirements, "utf8"));
`;

describe("unpackWheel", () => {
  test("packed and stored files, folders, and the right to execute", async () => {
    const path = put(
      "a.whl",
      wheel([
        { name: "pkg/lib.so", content: "x".repeat(10_000) },
        { name: "pkg/bin/tool", content: "#!", packed: false, mode: 0o100755 },
        { name: "pkg/empty.py", content: "", packed: false },
        { name: "pkg/", content: "", packed: false, mode: 0o040755 },
      ]),
    );
    const out = join(folder, "out");
    const { files } = await unpackWheel(path, out, { entries: 5, bytes: 20_000, ratio: 100 });
    assert.equal(files, 4);
    assert.equal(readFileSync(join(out, "pkg/lib.so"), "utf8"), "x".repeat(10_000));
    assert.equal(statSync(join(out, "pkg/bin/tool")).mode & 0o777, 0o755);
    assert.equal(statSync(join(out, "pkg/lib.so")).mode & 0o111, 0);
    assert.equal(readFileSync(join(out, "pkg/empty.py"), "utf8"), "");
  });

  const a: ZipFile = { name: "a", content: "hello hello hello" };
  const whole = wheel([a]);
  const flipped = Buffer.from(whole);
  flipped.fill(0xff, 31, 40);
  const link = 0o120777;
  const refusals: readonly (readonly [string, Buffer, RegExp])[] = [
    ["a cut archive", whole.subarray(0, 40), /truncated/],
    ["damaged packed bytes", flipped, /must be a whole wheel/],
    ["an absolute name", wheel([{ ...a, name: "/tmp/evil" }]), /absolute path/],
    ["a name that climbs", wheel([{ ...a, name: "../../evil" }]), /relative path/],
    ["a name that climbs later", wheel([{ ...a, name: "a/../../evil" }]), /relative path/],
    ["a backslash", wheel([{ ...a, name: "..\\evil" }]), /invalid characters/],
    ["a zero byte in a name", wheel([{ ...a, name: "a\0b" }]), /a file named "a\\u0000b"/],
    ["an empty part of a name", wheel([{ ...a, name: "a//b" }]), /a file named "a\/\/b"/],
    ["a name that is too long", wheel([{ ...a, name: "n".repeat(300) }]), /a file named "nnn/],
    ["a link", wheel([{ ...a, mode: link }]), /"a" is a link/],
    ["a folder that is a link", wheel([a, { name: "b/", content: "", mode: link }]), /"b\/" is a link/],
    ["a file twice", wheel([a, a]), /"a" twice/],
    ["a file that is a folder", wheel([a, { ...a, name: "a/b" }]), /as a file and as a folder/],
    ["no RECORD", zip([a]), /0 files .*RECORD/],
    ["a file that RECORD lacks", wheel([a], ""), /RECORD lacks "a"/],
    ["a file without a hash", wheel([a], "a,,17\n"), /no usable hash in "a,,17"/],
    ["a weak hash", wheel([a], "a,md5=abc,17\n"), /no usable hash/],
    ["another hash", wheel([a], `a,sha256=${"A".repeat(43)},17\n`), /another hash than RECORD/],
    ["a file that only RECORD has", wheel([], `a,sha256=${"A".repeat(43)},17\n`), /lacks "a"/],
    ["another checksum", wheel([{ ...a, crc: 1 }]), /another CRC-32/],
    ["more bytes than it claims", wheel([{ ...a, size: 3 }]), /too many bytes/],
    ["fewer bytes than it claims", wheel([{ ...a, size: 30 }]), /not enough bytes/],
    ["too large a file", wheel([{ ...a, size: 4e9 }]), /over 10000|unpacks to/],
  ];
  for (const [what, bytes, reason] of refusals) {
    test(`${what} is refused`, async () => {
      const refusal = unpackWheel(put("in/bad.whl", bytes), join(folder, "out"), {
        entries: 10,
        bytes: 10_000,
        ratio: 100,
      });
      await assert.rejects(refusal, (error: Error) => {
        assert.ok(error instanceof UsageError, String(error.stack));
        assert.match(error.message, reason);
        return true;
      });
      assert.equal(existsSync(join(folder, "..", "evil")), false);
      assert.equal(existsSync("/tmp/evil"), false);
    });
  }

  test("too many entries and too much for its size are refused", async () => {
    const many = put("many.whl", wheel([a, { ...a, name: "b" }]));
    const out = join(folder, "out");
    await assert.rejects(unpackWheel(many, out, { entries: 2, bytes: 1e9, ratio: 100 }), /3 entries, over 2/);
    const dense = put("dense.whl", wheel([{ name: "zeros", content: "0".repeat(1e6) }]));
    await assert.rejects(unpackWheel(dense, out), /more than 100 times its size/);
    assert.equal(existsSync(out), false, "it is refused before anything is written");
  });
});

describe("installPlugin", { skip: process.platform !== "linux" && "plugins are for Linux" }, () => {
  const library = pluginSets["xla-cpu"]!.file;

  test("a folder of wheels becomes a plugin that is found by name", async () => {
    put("wheels/xla.whl", wheel([{ name: library, content: "library" }]));
    put("wheels/more.whl", wheel([{ name: "nvidia/lib/libx.so", content: "more" }]));
    assert.throws(() => findPlugin("xla-cpu"), /not installed. Run: clipwright engines install xla-cpu/);
    const lines: string[] = [];
    const wheels = join(folder, "wheels");
    const onProgress = (line: string) => void lines.push(line);
    const installed = await installPlugin("xla-cpu", { wheels, untested: true, onProgress });
    assert.equal(installed.files, 4);
    assert.equal(installed.path, pluginPath("xla-cpu"));
    assert.equal(findPlugin("xla-cpu"), installed.path);
    assert.equal(findPlugin(), installed.path);
    assert.equal(readFileSync(installed.path, "utf8"), "library");
    assert.ok(lines.some((line) => line.includes("unpacking more.whl")));
    assert.equal(listEngines().find((e) => e.plugin === "xla-cpu")!.usable, true);
    assert.match(formatEngines(), /--engine xla --plugin xla-cpu\n {2}.*\n {2}usable/);
  });

  test("wheels that were not tested are refused, missing ones named", async () => {
    const wheels = join(folder, "wheels");
    mkdirSync(wheels);
    await assert.rejects(installPlugin("xla-cpu", { wheels }), /lacks xla_cpu_pjrt-0\.0\.1-.*\.whl, which/);
    const [tested] = Object.keys(pluginSets["xla-cpu"]!.wheels.x64!);
    put(`wheels/${tested}`, wheel([{ name: library, content: "library" }]));
    await assert.rejects(installPlugin("xla-cpu", { wheels }), /none of the wheels .* was tested with/);
    await assert.rejects(installPlugin("xla-cpu", { untested: true }), /--untested needs --wheels/);
    await assert.rejects(installPlugin("xla-cpu", { wheels: "/nowhere" }), /must be a folder/);
  });

  test("an installation that fails leaves the earlier one", async () => {
    put("wheels/xla.whl", wheel([{ name: library, content: "first" }]));
    const { path } = await installPlugin("xla-cpu", { wheels: join(folder, "wheels"), untested: true });
    put("other/a.whl", wheel([{ name: "nothing", content: "" }]));
    await assert.rejects(
      installPlugin("xla-cpu", { wheels: join(folder, "other"), untested: true }),
      /must hold .*xla_cpu_pjrt.so/,
    );
    assert.equal(readFileSync(path, "utf8"), "first");
    assert.equal(existsSync(join(folder, "cache/plugins/xla-cpu.new")), false);
  });

  test("pip is asked for the tested versions by their hashes", async () => {
    put("bin/pip", Buffer.from(`#!${process.execPath}\n${fakePip(join(folder, "asked"))}`));
    chmodSync(join(folder, "bin/pip"), 0o755);
    process.env.PATH = join(folder, "bin");
    await assert.rejects(installPlugin("xla-cpu"), /lacks xla_cpu_pjrt/);
    const asked = readFileSync(join(folder, "asked"), "utf8");
    assert.match(asked, /--require-hashes/);
    assert.match(asked, /--platform=manylinux_2_27_x86_64/);
    assert.match(asked, /^xla_cpu_pjrt==0\.0\.1 --hash=sha256:[0-9a-f]{64}$/m);
  });

  test("without pip it says what is missing", async () => {
    process.env.PATH = folder;
    await assert.rejects(installPlugin("xla-cpu"), /needs pip to download wheels.*--wheels/);
  });

  test("an unknown plugin is named with the nearest", async () => {
    await assert.rejects(installPlugin("xla-cup"), /Did you mean "xla-cpu"/);
  });

  test("every pin is a wheel's name with a SHA-256", () => {
    for (const { wheels } of Object.values(pluginSets)) {
      for (const [file, sha256] of Object.values(wheels).flatMap(Object.entries<string>)) {
        assert.match(file, /^\w+-[\w.]+(-\d\w*)?-[\w.]+-[\w.]+-[\w.]+\.whl$/);
        assert.match(sha256, /^[0-9a-f]{64}$/);
      }
    }
  });
});

describe("openEngine", () => {
  test("the default engine by name", async () => {
    const engine = await openEngine("onnxruntime", { threads: 1 });
    assert.equal(engine.name, "onnxruntime");
    await engine[Symbol.asyncDispose]();
  });

  test("what cannot be opened is refused with what to do", async () => {
    await assert.rejects(
      openEngine("xlb"),
      /one of auto, onnxruntime, openvino, xla; got xlb\. Did you mean "xla"/,
    );
    await assert.rejects(openEngine("onnxruntime", { devices: 2 }), /runs on one device/);
    await assert.rejects(openEngine("xla"), /no plugin can be used here: .*xla-cpu is not installed/);
    await assert.rejects(openEngine("xla", { plugin: "/nowhere/plugin.so" }), /path of a library or one of/);
    process.env.CLIPWRIGHT_XLA_PLUGIN = "/nowhere/plugin.so";
    const listed = listEngines().find((e) => e.plugin === "/nowhere/plugin.so")!;
    assert.equal(listed.usable, false);
  });
});
