/** Several devices in one process: collectives, and a data-parallel step against the same step on one device. */

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Unsupported, UsageError } from "../src/core/errors.js";
import type { DeviceBuffer, Engine, Executable } from "../src/engines/engine.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { interpretReplicas } from "../src/graph/interpret.js";
import { allGather, allReduceSum, reduceScatter, replicaIndex } from "../src/graph/ops/index.js";
import { trace } from "../src/graph/trace.js";
import { rowsOfDevices, spread, weightsOf } from "../src/train/step/device-rows.js";
import { assertClose } from "./support/close.js";
import { contrastStep, sizes } from "./support/contrast.js";
import { openXla, withXla } from "./support/engines.js";
import { waves } from "./support/waves.js";

const DEVICES = 4;
/** What four devices do not divide. */
const BATCH = 10;

test("an engine with one device refuses a program over four", async () => {
  const engine = new OnnxRuntime();
  await assert.rejects(engine.compile(contrastStep(BATCH, DEVICES)), (error: Unsupported) => {
    assert.ok(error instanceof Unsupported);
    assert.match(error.message, /runs 1 replica of a program; got .* over 4/);
    return true;
  });
});

/** Losses and final parameters of `steps` steps from a fixed start. */
async function train(engine: Engine, step: Executable, steps: number) {
  const f32 = (...shape: number[]) => ({ dtype: "f32", shape }) as const;
  const share = rowsOfDevices(BATCH, engine.capabilities.replicas);
  let params: Record<string, DeviceBuffer> = {
    "params.image": engine.upload(f32(sizes.joint, sizes.image), waves(sizes.joint * sizes.image, 1)),
    "params.text": engine.upload(f32(sizes.joint, sizes.text), waves(sizes.joint * sizes.text, 2)),
    "params.scale": engine.upload(f32(), Float32Array.of(1)),
  };
  const rows = (width: number, phase: number) =>
    engine.upload(f32(share.height, width), spread(waves(BATCH * width, phase), width, share), {
      each: true,
    });
  // Two pairs of rows that belong together, on different devices.
  const ids = spread(Int32Array.of(0, 1, 2, 3, 4, 0, 6, 7, 2, 9), 1, share, -1);
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const batch = {
      images: rows(sizes.image, 3 + i),
      texts: rows(sizes.text, 4 + 2 * i),
      ids: engine.upload({ dtype: "i32", shape: [share.height] }, ids, { each: true }),
      weights: engine.upload(f32(share.height), weightsOf(share), { each: true }),
    };
    const { loss, ...rest } = await step.run({ ...params, ...batch });
    losses.push(Number((await engine.download(loss!))[0]));
    for (const buffer of [loss!, ...Object.values(batch)]) buffer[Symbol.dispose]();
    params = Object.fromEntries(Object.entries(rest).map(([k, v]) => [k.slice("next.".length), v]));
  }
  const last: Record<string, Float64Array> = {};
  for (const [name, buffer] of Object.entries(params)) {
    last[name] = Float64Array.from((await engine.download(buffer, { each: true })) as Float32Array);
    buffer[Symbol.dispose]();
  }
  assert.equal(engine.stats().buffers, 0);
  return { losses, last };
}

withXla("several devices", () => {
  describe("Xla on four devices", async () => {
    // The CPU's plugin makes as many devices as it is asked for; a machine may have fewer GPUs.
    const found = await openXla({ devices: DEVICES }).catch((error: Error) => error.message);
    if (typeof found === "string") {
      test("needs four devices", { skip: `NOT TESTED: ${found}` }, () => {});
      return;
    }
    const engine = found;
    after(() => engine[Symbol.asyncDispose]());

    test("says what it has", () => {
      assert.equal(engine.capabilities.devices, DEVICES);
      assert.equal(engine.capabilities.replicas, DEVICES);
      assert.match(engine.description, /^\w+: .* × 4$/);
    });

    test("each device has its own numbers, or all have the same", async () => {
      const type = { dtype: "i32", shape: [2] } as const;
      using own = engine.upload(type, Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8), { each: true });
      using same = engine.upload(type, Int32Array.of(9, 9));
      assert.deepEqual([...(await engine.download(own, { each: true }))], [1, 2, 3, 4, 5, 6, 7, 8]);
      assert.deepEqual([...(await engine.download(own))], [1, 2]);
      assert.deepEqual([...(await engine.download(same, { each: true }))], Array(8).fill(9));
      assert.throws(() => engine.upload(type, Int32Array.of(1, 2), { each: true }), UsageError);
    });

    test("collectives equal the reference over replicas", async () => {
      const type = { dtype: "f32", shape: [8, 3] } as const;
      const graph = trace({ x: type }, ({ x }) => ({
        total: allReduceSum(x, DEVICES),
        all: allGather(x, DEVICES),
        part: reduceScatter(x, DEVICES),
        index: replicaIndex(DEVICES),
      }));
      const data = waves(DEVICES * 24, 1);
      const expected = interpretReplicas(
        graph,
        Array.from({ length: DEVICES }, (_, r) => ({ x: data.subarray(24 * r, 24 * r + 24) })),
      );
      using program = await engine.compile(graph);
      using x = engine.upload(type, data, { each: true });
      const outputs = await program.run({ x });
      for (const [name, buffer] of Object.entries(outputs)) {
        const got = (await engine.download(buffer, { each: true })) as Float32Array;
        const all = expected.flatMap((own) => [...own[name]!.data]);
        assertClose(got, all, 1e-6, name);
        buffer[Symbol.dispose]();
      }
    });

    test("twelve steps on four devices are those on one, of a batch that they do not divide", async () => {
      const single = await openXla();
      const whole = await single.compile(contrastStep(BATCH, 1));
      const split = await engine.compile(contrastStep(BATCH, DEVICES));
      const expected = await train(single, whole, 12);
      const got = await train(engine, split, 12);
      assertClose(got.losses, expected.losses, 1e-5, "losses");
      for (const [name, values] of Object.entries(expected.last)) {
        const replicas = got.last[name]!;
        for (let d = 0; d < DEVICES; d++) {
          const own = replicas.subarray(d * values.length, (d + 1) * values.length);
          assertClose(own, values, 1e-5, `${name} on device ${d}`);
          assert.deepEqual(own, replicas.subarray(0, values.length), `${name} is the same on every device`);
        }
      }
      split[Symbol.dispose]();
      await single[Symbol.asyncDispose]();
    });

    test("a program over another number of replicas is refused", async () => {
      await assert.rejects(engine.compile(contrastStep(BATCH, 2)), Unsupported);
    });

    test("inputs freed while a run starts are kept until it has", async () => {
      const type = { dtype: "f32", shape: [4] } as const;
      using program = await engine.compile(trace({ x: type }, ({ x }) => ({ y: allReduceSum(x, DEVICES) })));
      for (let i = 0; i < 50; i++) {
        const x = engine.upload(type, Float32Array.of(1, 2, 3, i));
        const running = program.run({ x });
        // By now another thread reads the list of inputs.
        await new Promise(setImmediate);
        x[Symbol.dispose]();
        assert.equal(x.spent, true);
        const { y } = await running;
        assert.equal((await engine.download(y!))[3], DEVICES * i);
        y![Symbol.dispose]();
      }
    });
  });
});
