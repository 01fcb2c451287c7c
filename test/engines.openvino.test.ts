/** What is OpenVINO's own: state in place, runs off the main thread, refusals, programs kept on disk, many steps. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { encode } from "../src/core/dtype.js";
import { Unsupported, UsageError } from "../src/core/errors.js";
import { keyFromSeed } from "../src/core/random.js";
import { sizeOfShape } from "../src/core/shape.js";
import type { DeviceBuffer, Engine } from "../src/engines/engine.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { OpenVino } from "../src/engines/openvino/openvino.js";
import { asWritten } from "../src/engines/openvino/written.js";
import { openEngine } from "../src/engines/registry.js";
import { gradients } from "../src/graph/grad.js";
import type { Graph } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import { add, gelu, matmul, mean, mul, square, sub } from "../src/graph/ops/index.js";
import { optimize } from "../src/graph/passes.js";
import { mixedPrecision } from "../src/graph/precision.js";
import { trace } from "../src/graph/trace.js";
import { makeClip } from "../src/models/clip.js";
import { parseClipConfig } from "../src/models/config/config.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { StepRunner } from "../src/train/step/runner.js";
import { initialState } from "../src/train/step/state.js";
import { globalNorm, update } from "../src/train/step/update.js";
import { assertClose } from "./support/close.js";
import { openOpenVino, withOpenVino } from "./support/engines.js";

const f32 = (...shape: number[]) => ({ dtype: "f32", shape }) as const;

const numbers = (count: number, scale = 1) =>
  Float32Array.from({ length: count }, (_, i) => scale * Math.sin(1 + i * 12.9898));

/** A step of gradient descent on a two-layer network that learns y from x. */
const descent = (width: number, rows = 32): Graph =>
  trace(
    { params: { a: f32(width, 8), b: f32(1, width) }, x: f32(rows, 8), y: f32(rows, 1) },
    ({ params, x, y }) => {
      const out = matmul(gelu(matmul(x, params.a, { transB: true })), params.b, { transB: true });
      const loss = mean(square(sub(out, y)));
      const [da, db] = gradients(loss, [params.a, params.b]) as [typeof x, typeof x];
      return {
        loss,
        next: { params: { a: sub(params.a, mul(da, 0.05)), b: sub(params.b, mul(db, 0.05)) } },
      };
    },
  );

const clip = makeClip(
  parseClipConfig(
    {
      embed_dim: 8,
      vision_cfg: { image_size: 16, patch_size: 8, width: 16, head_width: 8, layers: 1 },
      text_cfg: { context_length: 8, vocab_size: 300, width: 16, heads: 2, layers: 1 },
    },
    "tiny",
  ),
);
const optimizer = makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 });
const step = {
  clip,
  optimizer,
  batchSize: 8,
  contextLength: 8,
  normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
  clipNorm: 1,
} as const;

const batchOf = (seed: number) => ({
  images: Uint8Array.from({ length: 8 * 16 * 16 * 3 }, (_, i) => (i * 7919 + seed * 104729) % 256),
  tokens: Int32Array.from({ length: 64 }, (_, i) => 1 + ((i * 31 + seed * 17) % 299)),
  imageIds: Int32Array.from({ length: 8 }, (_, i) => i),
  textIds: Int32Array.from({ length: 8 }, (_, i) => i),
});

type Options = Parameters<typeof StepRunner.create>[1];

/** Losses of steps `from` + 1 to `to`, and the state after them. */
async function train(
  engine: Engine,
  { from = 0, to, initial }: { from?: number; to: number; initial?: Record<string, Float32Array> },
  options: Partial<Options> = {},
) {
  const start = initial ?? initialState({ clip }, keyFromSeed(1));
  using runner = await StepRunner.create(engine, { ...step, ...options }, start);
  const losses: number[] = [];
  for (let i = from + 1; i <= to; i++) {
    losses.push((await runner.step(batchOf(i % 5), optimizer.scalars(i, 1e-3))).loss);
  }
  const state = Object.fromEntries(
    [...(await runner.state.snapshot())].map(([name, { data }]) => [
      name,
      Float32Array.from(data as Float32Array),
    ]),
  );
  return { losses, state };
}

withOpenVino("the engine", () => {
  describe("OpenVino", async () => {
    const engine = await openOpenVino();
    after(() => engine[Symbol.asyncDispose]());

    test("every dtype comes back as it went", async () => {
      for (const dtype of ["f32", "bf16", "f16", "i32", "i64", "u8", "bool"] as const) {
        const data = encode(dtype, [1, 0, 1, 1, 0, 1]);
        using buffer = engine.upload({ dtype, shape: [2, 3] }, data);
        assert.deepEqual(await engine.download(buffer), data);
      }
    });

    test("what is adopted may be disposed while a run reads it", async () => {
      using program = await engine.compile(
        trace({ x: f32(64, 512) }, ({ x }) => ({ y: matmul(x, x, { transB: true }) })),
      );
      const x = engine.upload(f32(64, 512), new Float32Array(64 * 512).fill(1), { adopt: true });
      const { y } = await program.run({ x });
      x[Symbol.dispose]();
      assert.equal((await engine.download(y!))[0], 512);
      y![Symbol.dispose]();
    });

    test("the main thread is free while a run computes", async () => {
      const side = 1024;
      using program = await engine.compile(
        trace({ x: f32(side, side) }, ({ x }) => {
          let y = x;
          for (let i = 0; i < 8; i++) y = matmul(y, x);
          return { y };
        }),
      );
      using x = engine.upload(f32(side, side), new Float32Array(side * side));
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      const { y } = await program.run({ x });
      await engine.download(y!);
      clearInterval(timer);
      y![Symbol.dispose]();
      assert.ok(ticks >= 3, `only ${ticks} ticks of the clock during 17 GFLOP`);
    });

    test("runs keep their order, and each reads what those before wrote", async () => {
      using program = await engine.compile(descent(8));
      let state: Record<string, DeviceBuffer> = {
        "params.a": engine.upload(f32(8, 8), numbers(64)),
        "params.b": engine.upload(f32(1, 8), numbers(8)),
      };
      using x = engine.upload(f32(32, 8), numbers(256));
      using y = engine.upload(f32(32, 1), numbers(32));
      const losses: Promise<ArrayLike<number | bigint>>[] = [];
      for (let i = 0; i < 5; i++) {
        const outputs = await program.run({ ...state, x, y });
        losses.push(engine.download(outputs.loss!));
        state = { "params.a": outputs["next.params.a"]!, "params.b": outputs["next.params.b"]! };
      }
      const values = (await Promise.all(losses)).map((loss) => Number(loss[0]));
      assert.deepEqual(
        values,
        [...values].sort((a, b) => b - a),
        "the loss falls",
      );
      assert.equal(new Set(values).size, 5);
      for (const buffer of Object.values(state)) buffer[Symbol.dispose]();
    });

    test("bf16 products leave bf16: full sums are refused by the operation's name", async () => {
      await assert.rejects(
        engine.compile(mixedPrecision(descent(8))),
        (e: Error) =>
          e instanceof Unsupported && /products of bf16 leave bf16; got matmul into f32/.test(e.message),
      );
      using program = await engine.compile(mixedPrecision(descent(8), { results: "bf16" }));
      const inputs = {
        "params.a": engine.upload(f32(8, 8), numbers(64)),
        "params.b": engine.upload(f32(1, 8), numbers(8)),
        x: engine.upload(f32(32, 8), numbers(256)),
        y: engine.upload(f32(32, 1), numbers(32)),
      };
      const outputs = await program.run(inputs);
      assert.ok(Number.isFinite((await engine.download(outputs.loss!))[0] as number));
      for (const buffer of [...Object.values(inputs), ...Object.values(outputs)]) buffer[Symbol.dispose]();
    });

    test("a property that it does not know is refused with its name", async () => {
      await assert.rejects(
        engine.compile(descent(8), { flags: { NO_SUCH_PROPERTY: 1 } }),
        (e: Error) => e instanceof UsageError && /NO_SUCH_PROPERTY/.test(e.message),
      );
    });

    test("several devices, threads that are none and a missing library are mistakes in the call", async () => {
      await assert.rejects(
        openEngine("openvino", { devices: 2 }),
        /openvino: runs on one device; got devices=2/,
      );
      await assert.rejects(
        openOpenVino({ threads: 0 }),
        /threads must be an integer of at least 1; got threads=0/,
      );
      await assert.rejects(OpenVino.open({ library: "/no/such.so" }), /engines install openvino/);
    });

    test("updates that share a scalar do not become one kernel over the product of their shapes", async () => {
      const updates = trace({ a: f32(128, 64, 1, 1), b: f32(96, 128), rate: f32() }, ({ a, b, rate }) => ({
        next: { a: mul(a, sub(1, rate)), b: mul(b, sub(1, rate)) },
      }));
      using program = await engine.compile(updates);
      const inputs = {
        a: engine.upload(f32(128, 64, 1, 1), numbers(8192)),
        b: engine.upload(f32(96, 128), numbers(12288)),
        rate: engine.upload(f32(), Float32Array.of(0.5)),
      };
      const start = performance.now();
      const outputs = await program.run(inputs);
      assertClose(
        (await engine.download(outputs["next.b"]!)) as Float32Array,
        numbers(12288, 0.5),
        1e-6,
        "b",
      );
      // As one kernel it would take a hundred million elements: seconds. Apart, it is microseconds.
      const seconds = (performance.now() - start) / 1000;
      assert.ok(seconds < 0.5, `took ${seconds} s`);
      for (const buffer of [inputs.rate, ...Object.values(outputs)]) buffer[Symbol.dispose]();
    });

    test("what a compiled model sets aside for its inputs is given back when it runs", async () => {
      const [count, side] = [24, 1536];
      const types = Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, f32(side, side)]));
      using program = await engine.compile(
        trace(types, (inputs) => ({
          y: Object.values(inputs)
            .map((x) => mean(x))
            .reduce(add),
        })),
      );
      const before = process.memoryUsage().rss;
      const inputs = Object.fromEntries(
        Object.entries(types).map(([name, type]) => [
          name,
          engine.upload(type, new Float32Array(side * side).fill(1), { adopt: true }),
        ]),
      );
      const { y } = await program.run(inputs);
      assert.equal((await engine.download(y!))[0], count);
      // Ours came, 9 MiB each, and OpenVINO's went, soon after the run.
      const grown = () => (process.memoryUsage().rss - before) / 2 ** 20;
      for (let i = 0; i < 100 && grown() > 32; i++) await delay(50);
      assert.ok(grown() < 32, `grew by ${grown().toFixed(0)} MiB`);
      for (const buffer of [...Object.values(inputs), y!]) buffer[Symbol.dispose]();
    });

    test("a disposed engine and a disposed program say so", async () => {
      const other = await openOpenVino();
      const program = await other.compile(descent(8));
      program[Symbol.dispose]();
      await assert.rejects(program.run({}), /the program was disposed/);
      await other[Symbol.asyncDispose]();
      await assert.rejects(other.compile(descent(8)), /the engine was disposed/);
      assert.throws(() => other.upload(f32(1), new Float32Array(1)), UsageError);
    });

    test("an engine that is disposed while it compiles ends after that", async () => {
      const other = await openOpenVino();
      const compiling = other.compile(descent(8));
      await other[Symbol.asyncDispose]();
      await assert.rejects((await compiling).run({}), UsageError);
    });

    test("programs are kept on disk, and give the same numbers when they come from there", async () => {
      const cache = mkdtempSync(join(tmpdir(), "clipwright-openvino-"));
      try {
        const run = async () => {
          await using fresh = await openOpenVino({ cache });
          return (await train(fresh, { to: 2 })).losses;
        };
        const first = await run();
        const files = readdirSync(cache);
        assert.ok(files.length > 0, "something was kept");
        assert.deepEqual(await run(), first);
        assert.deepEqual(readdirSync(cache), files, "nothing new was compiled");
      } finally {
        rmSync(cache, { recursive: true, force: true });
      }
    });
  });

  describe("a CLIP's train steps on OpenVINO", async () => {
    const engine = await openOpenVino();
    after(() => engine[Symbol.asyncDispose]());

    test("fifty steps are ONNX Runtime's", async () => {
      const runtime = new OnnxRuntime({ threads: 1 });
      const [ours, theirs] = [await train(engine, { to: 50 }), await train(runtime, { to: 50 })];
      // Sums in another order; AdamW divides by small numbers.
      assertClose(ours.losses, theirs.losses, 1e-3, "losses");
      for (const [name, weights] of Object.entries(theirs.state)) {
        assertClose(ours.state[name]!, weights, 2e-2, name);
      }
    });

    test("a run that is continued from its state is the run that was not cut, to the bit", async () => {
      const whole = await train(engine, { to: 12 });
      const half = await train(engine, { to: 5 });
      const rest = await train(engine, { from: 5, to: 12, initial: half.state });
      assert.deepEqual([...half.losses, ...rest.losses], whole.losses);
      assert.deepEqual(rest.state, whole.state);
    });

    test("without clipping no weight changes before the last gradient", async () => {
      const runtime = new OnnxRuntime({ threads: 1 });
      const plain = { clipNorm: undefined };
      const [ours, theirs] = [
        await train(engine, { to: 10 }, plain),
        await train(runtime, { to: 10 }, plain),
      ];
      assertClose(ours.losses, theirs.losses, 1e-4, "losses");
    });

    test("bf16 stays near f32, and is not f32", async () => {
      const [rounded, full] = [
        await train(engine, { to: 10 }, { precision: "bf16-results" }),
        await train(engine, { to: 10 }),
      ];
      assertClose(rounded.losses, full.losses, 3e-2, "losses");
      assert.notDeepEqual(rounded.losses, full.losses);
    });

    test("large updates, in one kernel for a weight and its moments, are those of the reference, in place and step after step", async () => {
      const types = {
        params: { w: f32(160, 128) },
        slots: { w: { m: f32(160, 128), v: f32(160, 128) } },
        ...{ a: f32(160, 8), b: f32(8, 128) },
        scalars: { stepSize: f32(), epsilon: f32(), shrink: f32() },
      };
      const graph = trace(types, ({ a, b, ...state }) => {
        const found = [matmul(a, b)];
        const { params, slots } = update({ ...step, optimizer }, state, found, globalNorm(found));
        return { next: { params, slots } };
      });
      const { written, inPlace } = asWritten(optimize(graph, "onnx"));
      assert.equal(inPlace.size, 3);
      const made = written.outputs.map(({ tensor }) => tensor.node);
      assert.ok(
        made.every(({ op }) => op.traits.includes("view")),
        "no kernel has an output of the program's",
      );
      assert.equal(written.outputs.at(-1)!.name, "next.params.w", "what needs the moments comes after them");
      const values: Record<string, Float64Array> = {};
      for (const { name, tensor } of graph.inputs)
        values[name] = Float64Array.from(numbers(sizeOfShape(tensor.shape), 0.1), (x) => Math.abs(x));
      using program = await engine.compile(graph);
      let held = Object.fromEntries(
        graph.inputs.map(({ name, tensor }) => [name, engine.upload(tensor, encode("f32", values[name]!))]),
      );
      for (let i = 0; i < 3; i++) {
        const expected = interpret(graph, values);
        const outputs = await program.run(held);
        for (const { name, donates } of graph.outputs) {
          const got = (await engine.download(outputs[name]!)) as Float32Array;
          assertClose(got, Float32Array.from(expected[name]!.data), 1e-5, `${name} of step ${i}`);
          values[donates!] = expected[name]!.data;
          held = { ...held, [donates!]: outputs[name]! };
        }
      }
      for (const buffer of Object.values(held)) buffer[Symbol.dispose]();
    });

    test("a thousand steps leave no memory behind", async () => {
      using runner = await StepRunner.create(engine, step, initialState({ clip }, keyFromSeed(1)));
      const batch = batchOf(1);
      let [buffers, resident] = [0, 0];
      for (let i = 1; i <= 1000; i++) {
        await runner.step(batch, optimizer.scalars(i, 1e-4));
        if (i === 300) {
          globalThis.gc?.();
          [buffers, resident] = [engine.stats().buffers, process.memoryUsage().rss];
        }
      }
      globalThis.gc?.();
      assert.equal(engine.stats().buffers, buffers);
      const grown = (process.memoryUsage().rss - resident) / 2 ** 20;
      assert.ok(grown < 64, `grew by ${grown.toFixed(1)} MiB over 700 steps`);
    });
  });
});
