/** What `--engine auto` takes and says, and the self-test that an engine must pass first. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { chooseEngine, rememberSpeeds } from "../src/engines/choose.js";
import type { Engine } from "../src/engines/engine.js";
import { pluginPath } from "../src/engines/install/plugins.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { openEngine } from "../src/engines/registry.js";
import { machineKey, rememberedSelfTest, selfTest } from "../src/engines/self-test.js";

let folder: string;
let saved: NodeJS.ProcessEnv;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "clipwright-choose-"));
  saved = { ...process.env };
  process.env.CLIPWRIGHT_CACHE = folder;
  delete process.env.CLIPWRIGHT_ENGINE;
  delete process.env.CLIPWRIGHT_XLA_PLUGIN;
});
afterEach(() => {
  for (const name of ["CLIPWRIGHT_CACHE", "CLIPWRIGHT_ENGINE", "CLIPWRIGHT_XLA_PLUGIN"]) {
    if (saved[name] === undefined) delete process.env[name];
    else process.env[name] = saved[name];
  }
  rmSync(folder, { recursive: true, force: true });
});

/** A file where OpenVINO's library would lie. */
function installed(): string {
  const path = pluginPath("openvino");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "not a library");
  return path;
}

describe("chooseEngine", () => {
  test("without any install it is ONNX Runtime, and says what would be faster", () => {
    const { engine, why } = chooseEngine();
    assert.equal(engine, "onnxruntime");
    assert.match(
      why!,
      /openvino, which is faster, (is not installed\. Run: clipwright engines|has builds for)/,
    );
  });

  test("several devices, processes or a plugin are XLA's", () => {
    assert.equal(chooseEngine({ devices: 2 }).engine, "xla");
    assert.equal(chooseEngine({ processes: {} }).engine, "xla");
    assert.equal(chooseEngine({ plugin: "xla-cpu" }).engine, "xla");
  });

  test("CLIPWRIGHT_ENGINE decides, without a word", async () => {
    installed();
    process.env.CLIPWRIGHT_ENGINE = "onnxruntime";
    const lines: string[] = [];
    await using engine = await openEngine("auto", { onChoice: (line) => lines.push(line) });
    assert.equal(engine.name, "onnxruntime");
    assert.deepEqual(lines, []);
  });

  const linux = {
    skip: process.platform === "linux" ? false : "NOT TESTED: OpenVINO is installed on Linux only",
  };

  test("what is installed is taken, unless ONNX Runtime was measured faster", linux, () => {
    installed();
    assert.equal(chooseEngine().engine, "openvino");
    const measured = { model: "small", batchSize: 8 };
    rememberSpeeds({ ...measured, imagesPerSecond: { "onnxruntime f32": 10, "openvino f32": 15 } });
    assert.deepEqual(chooseEngine(), {
      engine: "openvino",
      why: "measured on small at 8: 1.50 × onnxruntime",
    });
    rememberSpeeds({ ...measured, imagesPerSecond: { "onnxruntime f32": 10, "openvino f32": 5 } });
    assert.equal(chooseEngine().engine, "onnxruntime");
  });

  test("an engine that failed its self-test is not chosen, and the line says why", linux, () => {
    const path = installed();
    const record = { [machineKey(path)]: { f32: "loss of step 1 has errors of 0.3 of its size" } };
    writeFileSync(join(folder, "self-tests.json"), JSON.stringify(record));
    const { engine, why } = chooseEngine();
    assert.equal(engine, "onnxruntime");
    assert.match(why!, /openvino failed its self-test on .*: loss of step 1 has errors of 0\.3/);
  });

  test("a library that cannot be loaded gives way to ONNX Runtime", linux, async () => {
    installed();
    const lines: string[] = [];
    await using engine = await openEngine("auto", { onChoice: (line) => lines.push(line) });
    assert.equal(engine.name, "onnxruntime");
    assert.match(lines.join("\n"), /Engine onnxruntime instead: openvino: the plugin's libraries must load/);
  });
});

describe("selfTest", () => {
  const runtime = new OnnxRuntime({ threads: 1 });
  /** Computes one number of every output a little wrong. */
  const wrong: Engine = {
    name: "wrong",
    capabilities: runtime.capabilities,
    compile: (graph, options) => runtime.compile(graph, options),
    upload: (type, data, options) => runtime.upload(type, data, options),
    async download(buffer) {
      const data = Float32Array.from((await runtime.download(buffer)) as Float32Array);
      data[data.length - 1]! += 0.01;
      return data;
    },
    peakMemory: () => undefined,
    stats: () => runtime.stats(),
    async [Symbol.asyncDispose]() {},
  };

  test("passes an engine that is right, and leaves nothing behind", async () => {
    assert.deepEqual(await selfTest(runtime), { f32: undefined, bf16: "it has no products of bf16" });
    assert.equal(runtime.stats().buffers, 0);
  });

  test("names what an engine gets wrong", async () => {
    assert.match((await selfTest(wrong)).f32!, /of step 1 has errors of/);
  });

  test("runs once for a library, and again for another", async () => {
    const library = join(folder, "library");
    writeFileSync(library, "one");
    const first = await rememberedSelfTest(wrong, library);
    assert.notEqual(first.f32, undefined);
    assert.deepEqual(await rememberedSelfTest(runtime, library), first, "remembered");
    writeFileSync(library, "another");
    assert.equal((await rememberedSelfTest(runtime, library)).f32, undefined);
  });
});
