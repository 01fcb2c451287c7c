/** What is XLA's own: dtypes, donation, runs under way, errors, programs kept on disk, memory over many steps. */

import assert from "node:assert/strict";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { decode, encode } from "../src/core/dtype.js";
import { UsageError } from "../src/core/errors.js";
import { sizeOfShape } from "../src/core/shape.js";
import { troubleOf } from "../src/engines/device-trouble.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { parseXlaFlags, parseXlaFlagWords } from "../src/engines/xla/options.js";
import { gradients } from "../src/graph/grad.js";
import type { Graph } from "../src/graph/graph.js";
import { add, cast, gelu, iota, matmul, mean, mul, square, sub, sum, tanh } from "../src/graph/ops/index.js";
import type { Tensor } from "../src/graph/tensor.js";
import { rematerialize, trace } from "../src/graph/trace.js";
import { assertClose } from "./support/close.js";
import { openXla, withXla } from "./support/engines.js";

const f32 = (...shape: number[]) => ({ dtype: "f32", shape }) as const;

/** A step of gradient descent on a two-layer network that learns y from x. */
const descent = (width = 16): Graph =>
  trace(
    { params: { a: f32(width, 8), b: f32(1, width) }, x: f32(32, 8), y: f32(32, 1) },
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

const numbers = (count: number, scale = 1) =>
  Float32Array.from({ length: count }, (_, i) => scale * Math.sin(1 + i * 12.9898));

withXla("the engine", () => {
  describe("Xla", async () => {
    const engine = await openXla();
    after(() => engine[Symbol.asyncDispose]());

    test("every dtype comes back as it went", async () => {
      for (const dtype of ["f32", "bf16", "f16", "i32", "i64", "u8", "bool"] as const) {
        const data = encode(dtype, [1, 0, 1, 1, 0, 1]);
        using buffer = engine.upload({ dtype, shape: [2, 3] }, data);
        assert.deepEqual(await engine.download(buffer), data);
      }
    });

    test("bytes become normalized bf16 on the device", async () => {
      const graph = trace({ image: { dtype: "u8", shape: [4] } } as const, ({ image }) => ({
        y: cast(mul(cast(image, "f32"), 1 / 255), "bf16"),
      }));
      using program = await engine.compile(graph);
      using image = engine.upload({ dtype: "u8", shape: [4] }, Uint8Array.of(0, 51, 128, 255));
      const { y } = await program.run({ image });
      assertClose(decode("bf16", await engine.download(y!)), [0, 0.2, 128 / 255, 1], 4e-3, "y");
      y![Symbol.dispose]();
    });

    test("shared memory and large adopted arrays are uploaded", async () => {
      const count = 100_000;
      const shared = new Float32Array(new SharedArrayBuffer(count * 4)).fill(3);
      const large = numbers(count);
      using a = engine.upload(f32(count), shared, { adopt: true });
      using b = engine.upload(f32(count), large, { adopt: true });
      shared.fill(0);
      assert.equal((await engine.download(a))[count - 1], 3);
      assert.deepEqual(await engine.download(b), large);
    });

    test("a donated input is spent and its output is the step's result", async () => {
      const graph = trace({ w: f32(3) }, ({ w }) => ({ next: { w: add(w, 1) } }));
      using program = await engine.compile(graph);
      const w = engine.upload(f32(3), Float32Array.of(1, 2, 3));
      const { "next.w": next } = await program.run({ w });
      assert.equal(w.spent, true);
      assert.deepEqual([...(await engine.download(next!))], [2, 3, 4]);
      await assert.rejects(program.run({ w }), UsageError);
      next![Symbol.dispose]();
    });

    test("rematerialization more than halves what a program keeps, and gives the same gradients", async () => {
      const layers = 8;
      const chain = (kept: boolean): Graph => {
        const layer = (x: Tensor, w: Tensor) => gelu(tanh(matmul(gelu(x), w)));
        const step = kept ? layer : rematerialize(layer);
        return trace(
          { x: f32(512, 32), w: Array.from({ length: layers }, () => f32(32, 32)) },
          ({ x, w }) => {
            const y = w.reduce(step, x);
            return { d: gradients(mean(square(y)), w) };
          },
        );
      };
      const outcomes = [];
      for (const kept of [true, false]) {
        using program = await engine.compile(chain(kept));
        const inputs = Object.fromEntries(
          program.graph.inputs.map(({ name, tensor }) => [
            name,
            engine.upload(tensor, numbers(sizeOfShape(tensor.shape), 0.3)),
          ]),
        );
        const outputs = await program.run(inputs);
        const gradient = decode("f32", await engine.download(outputs["d.0"]!)).slice();
        for (const buffer of [...Object.values(inputs), ...Object.values(outputs)]) buffer[Symbol.dispose]();
        outcomes.push({ gradient, temporary: program.plannedMemory().temporary });
      }
      const [kept, made] = outcomes as [(typeof outcomes)[0], (typeof outcomes)[0]];
      assert.ok(made.temporary < 0.5 * kept.temporary, `${made.temporary} bytes against ${kept.temporary}`);
      assertClose(made.gradient, kept.gradient, 1e-6, "gradient of the first weight");
    });

    test("flags reach one compilation, and are part of what it is kept under", async () => {
      const folder = mkdtempSync(join(tmpdir(), "clipwright-xla-flags-"));
      const cached = await openXla({ cache: folder });
      try {
        const programs = () => readdirSync(folder).length;
        const flags = { xla_backend_optimization_level: 0 };
        (await cached.compile(descent(), { flags }))[Symbol.dispose]();
        assert.equal(programs(), 1);
        (await cached.compile(descent(), { flags }))[Symbol.dispose]();
        assert.equal(programs(), 1, "the same flags again");
        (await cached.compile(descent()))[Symbol.dispose]();
        assert.equal(programs(), 2, "without them");
      } finally {
        await cached[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true });
      }
    });

    test("a flag that the plugin does not know, or of another kind, is the caller's error", async () => {
      for (const [flags, why] of [
        [{ xla_gpu_autotune_levle: 2 }, /xla_gpu_autotune_levle=2: .*No such compile option/],
        [{ xla_gpu_autotune_level: "high" }, /xla_gpu_autotune_level=high: .*not a valid int32/],
      ] as const) {
        await assert.rejects(engine.compile(descent(), { flags }), (error: UsageError) => {
          assert.ok(error instanceof UsageError);
          assert.match(error.message, why);
          return true;
        });
      }
      await using strict = await openXla({ flags: parseXlaFlags("--xla_no_such_flag=1") });
      await assert.rejects(strict.compile(descent()), /xla_no_such_flag=1: .*No such compile option/);
    });

    test("50 steps stay with ONNX Runtime's from the same start", async () => {
      const graph = descent();
      const host = new OnnxRuntime({ threads: 1 });
      const losses = await Promise.all(
        [engine, host].map(async (on) => {
          using program = await on.compile(graph);
          using x = on.upload(f32(32, 8), numbers(256));
          using y = on.upload(f32(32, 1), numbers(32));
          let a = on.upload(f32(16, 8), numbers(128, 0.3));
          let b = on.upload(f32(1, 16), numbers(16, 0.3));
          const out: number[] = [];
          for (let step = 0; step < 50; step++) {
            const results = await program.run({ "params.a": a, "params.b": b, x, y });
            a = results["next.params.a"]!;
            b = results["next.params.b"]!;
            out.push(Number((await on.download(results.loss!))[0]));
            results.loss![Symbol.dispose]();
          }
          a[Symbol.dispose]();
          b[Symbol.dispose]();
          return out;
        }),
      );
      assert.ok(losses[0]![49]! < 0.5 * losses[0]![0]!, "the loss falls");
      assertClose(losses[0]!, losses[1]!, 1e-4, "losses");
      assert.equal(engine.stats().buffers, 0);
    });

    test("1,000 steps leave no buffer and no growing memory behind", async () => {
      using program = await engine.compile(descent(64));
      const type = f32(64, 8);
      let a = engine.upload(type, numbers(512, 0.1));
      let b = engine.upload(f32(1, 64), numbers(64, 0.1));
      const steps = async (count: number) => {
        for (let step = 0; step < count; step++) {
          using x = engine.upload(f32(32, 8), numbers(256));
          using y = engine.upload(f32(32, 1), numbers(32), { adopt: true });
          const results = await program.run({ "params.a": a, "params.b": b, x, y });
          a = results["next.params.a"]!;
          b = results["next.params.b"]!;
          if (step % 50 === 49) await engine.download(results.loss!);
          results.loss![Symbol.dispose]();
        }
      };
      await steps(300);
      const before = process.memoryUsage.rss();
      await steps(1000);
      const grownMb = (process.memoryUsage.rss() - before) / 2 ** 20;
      // Swings of the collector are 2 MB; 20,000 steps of a larger program grow by no more.
      assert.ok(grownMb < 8, `resident memory grew by ${grownMb.toFixed(1)} MB`);
      assert.equal(engine.stats().buffers, 2);
      a[Symbol.dispose]();
      b[Symbol.dispose]();
      assert.deepEqual(engine.stats(), { buffers: 0, bytes: 0 });
    });

    test("runs that are not awaited keep their order", async () => {
      const graph = trace({ w: f32(1) }, ({ w }) => ({ y: add(mul(w, 2), 1) }));
      using program = await engine.compile(graph);
      const inputs = Array.from({ length: 20 }, (_, i) => engine.upload(f32(1), Float32Array.of(i)));
      const outputs = await Promise.all(inputs.map((w) => program.run({ w })));
      const got = await Promise.all(outputs.map(async ({ y }) => Number((await engine.download(y!))[0])));
      assert.deepEqual(
        got,
        inputs.map((_, i) => 2 * i + 1),
      );
      for (const buffer of [...inputs, ...outputs.map(({ y }) => y!)]) buffer[Symbol.dispose]();
    });

    test("many reads at once wait for each other, not for more threads than there are", async () => {
      const graph = trace({ w: f32(64, 64) }, ({ w }) => {
        let y = w;
        for (let i = 0; i < 40; i++) y = matmul(y, w, { alpha: 0.01 });
        return { y };
      });
      using program = await engine.compile(graph);
      using w = engine.upload(f32(64, 64), numbers(4096));
      const outputs = await Promise.all(Array.from({ length: 400 }, () => program.run({ w })));
      const [first, ...rest] = await Promise.all(outputs.map(({ y }) => engine.download(y!)));
      assert.ok(rest.every((other) => other.length === 4096 && other[77] === first![77]));
      for (const { y } of outputs) y![Symbol.dispose]();
    });

    test("the event loop turns while a program is compiled", async () => {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      // Many different layers, so that XLA has work for some milliseconds.
      const graph = trace({ x: f32(8, 8) }, ({ x }) => {
        let y = x;
        for (let i = 0; i < 60; i++) y = gelu(matmul(y, add(x, i)));
        return { y };
      });
      (await engine.compile(graph))[Symbol.dispose]();
      clearInterval(timer);
      assert.ok(ticks > 3, `the timer ticked ${ticks} times`);
    });

    test("what would end the process is refused with words", async () => {
      const graph = trace({ w: f32(3), v: f32(3) }, ({ w, v }) => ({ next: { w: add(w, v) } }));
      using program = await engine.compile(graph);
      using w = engine.upload(f32(3), Float32Array.of(1, 2, 3));
      using other = engine.upload(f32(4), new Float32Array(4));
      const host = new OnnxRuntime();
      using foreign = host.upload(f32(3), new Float32Array(3));
      assert.throws(() => engine.upload(f32(3), new Float32Array(2)), /needs 3 elements/);
      assert.throws(() => engine.upload(f32(3), new Int32Array(3)), /in a Float32Array .* in a Int32Array/);
      await assert.rejects(program.run({ w }), /input v must be a buffer .* got none/);
      await assert.rejects(program.run({ w, v: other }), /f32\[3\]; got f32\[4\]/);
      await assert.rejects(program.run({ w, v: foreign }), /another engine's/);
      await assert.rejects(program.run({ w, v: w }), /can be only one input/);
      await assert.rejects(openXla({ devices: 0 }), /devices must be an integer/);
      await assert.rejects(openXla({ plugin: "/nowhere.so" }), /plugin must exist/);
      await assert.rejects(openXla({ plugin: process.execPath }), UsageError);
    });

    test("memory that no machine has is an error with words, and the engine goes on", async () => {
      const rows = 2 ** 24;
      const graph = trace({ x: f32(2) }, ({ x }) => {
        const many = mul(cast(iota("i32", [rows, 2], 0), "f32"), x);
        return { y: sum(gelu(matmul(many, many, { transB: true }))) }; // a PiB between
      });
      using program = await engine.compile(graph);
      using x = engine.upload(f32(2), Float32Array.of(1, 2));
      const { y } = await program.run({ x });
      await assert.rejects(engine.download(y!), (error: Error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, /the device's memory must suffice; got ".*[Oo]ut of memory/);
        assert.equal(troubleOf(error)?.kind, "memory");
        return true;
      });
      y![Symbol.dispose]();
      using small = await engine.compile(trace({ x: f32(2) }, ({ x: v }) => ({ y: add(v, 1) })));
      const { y: sums } = await small.run({ x });
      assert.deepEqual([...(await engine.download(sums!))], [2, 3]);
      sums![Symbol.dispose]();
    });

    test("XLA_FLAGS is read as words", () => {
      assert.deepEqual(parseXlaFlags("--xla_a=true  --xla_b --xla_c=3"), {
        xla_a: "True",
        xla_b: "True",
        xla_c: "3",
      });
      assert.throws(() => parseXlaFlags("xla_a"), /XLA_FLAGS: needs words like/);
    });

    test("--xla-flag is read as NAME=VALUE", () => {
      assert.deepEqual(parseXlaFlagWords(["xla_a=false", "--xla_b=", "xla_c", "xla_d=x=y"]), {
        xla_a: "False",
        xla_b: "",
        xla_c: "True",
        xla_d: "x=y",
      });
      assert.throws(() => parseXlaFlagWords(["autotune=2"]), /--xla-flag: needs words like xla_name=value/);
    });
  });

  describe("Xla with a folder for programs", async () => {
    const folder = mkdtempSync(join(tmpdir(), "clipwright-programs-"));
    after(() => rmSync(folder, { recursive: true, force: true }));
    const graph = trace({ w: f32(3) }, ({ w }) => ({ next: { w: add(square(w), 1) } }));
    const files = () => readdirSync(folder).filter((f) => f.endsWith(".xla"));
    const runOnce = async () => {
      const engine = await openXla({ cache: folder });
      const program = await engine.compile(graph);
      const { "next.w": y } = await program.run({ w: engine.upload(f32(3), Float32Array.of(1, 2, 3)) });
      const got = [...(await engine.download(y!))];
      await engine[Symbol.asyncDispose]();
      return got;
    };

    test("a program is kept once, loaded again, and made again when its file is damaged", async () => {
      assert.deepEqual(await runOnce(), [2, 5, 10]);
      assert.equal(files().length, 1);
      const path = join(folder, files()[0]!);
      const bytes = readFileSync(path);
      const { ino } = statSync(path);
      assert.deepEqual(await runOnce(), [2, 5, 10]);
      // A program that was compiled again would have been written to a new file.
      assert.equal(statSync(path).ino, ino);
      truncateSync(path, bytes.length - 7);
      assert.deepEqual(await runOnce(), [2, 5, 10]);
      writeFileSync(path, "no program");
      assert.deepEqual(await runOnce(), [2, 5, 10]);
      assert.equal(files().length, 1);
      assert.ok(readFileSync(path).length > 100);
    });

    test("another flag makes another program", async () => {
      const engine = await openXla({ cache: folder, flags: { xla_cpu_enable_fast_math: true } });
      (await engine.compile(graph))[Symbol.dispose]();
      await engine[Symbol.asyncDispose]();
      assert.equal(files().length, 2);
    });
  });
});
