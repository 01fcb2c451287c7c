/** When an output can be written over the input whose memory it takes, and what becomes of the buffers. */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { UsageError } from "../src/core/errors.js";
import type { TensorType } from "../src/core/shape.js";
import { overwritable } from "../src/engines/donation.js";
import type { DeviceBuffer } from "../src/engines/engine.js";
import { interpret } from "../src/graph/interpret.js";
import { add, exp, matmul, mul, reshape, sub, sum, transpose } from "../src/graph/ops/index.js";
import type { Tensor } from "../src/graph/tensor.js";
import { trace } from "../src/graph/trace.js";
import { assertClose } from "./support/close.js";
import { engines } from "./support/engines.js";

const square: TensorType = { dtype: "f32", shape: [2, 2] };

/** A program on x and y of [2,2]. */
const program = (f: (x: Tensor, y: Tensor) => Record<string, unknown>) =>
  trace({ x: square, y: square }, ({ x, y }) => f(x, y));

const safe = (f: Parameters<typeof program>[0]) => [...overwritable(program(f))];

describe("overwritable", () => {
  it("takes an elementwise update that reads its input last", () => {
    assert.deepEqual(
      safe((x, y) => ({ next: { x: sub(x, mul(y, 0.1)) } })),
      ["next.x"],
    );
  });

  it("takes an input that is passed on as it is", () => {
    assert.deepEqual(
      safe((x, y) => ({ next: { x }, s: sum(y) })),
      ["next.x"],
    );
  });

  it("takes an update whose other readers are among what it needs", () => {
    assert.deepEqual(
      safe((x, y) => ({ next: { x: add(x, matmul(x, y)) } })),
      ["next.x"],
    );
  });

  it("leaves alone what another node may read afterwards", () => {
    assert.deepEqual(
      safe((x, y) => ({ next: { x: sub(x, y) }, later: exp(x) })),
      [],
    );
  });

  it("leaves alone what is read afterwards through a view", () => {
    assert.deepEqual(
      safe((x, y) => ({ next: { x: sub(x, y) }, later: exp(reshape(x, [4])) })),
      [],
    );
  });

  it("leaves alone what an operation writes out of order", () => {
    assert.deepEqual(
      safe((x) => ({ next: { x: transpose(x) } })),
      [],
    );
    assert.deepEqual(
      safe((x, y) => ({ next: { x: matmul(x, y) } })),
      [],
    );
  });

  it("leaves alone an input that is also returned", () => {
    assert.deepEqual(
      safe((x, y) => ({ next: { x: sub(x, y) }, before: x })),
      [],
    );
  });

  it("leaves two that exchange places", () => {
    assert.deepEqual(
      safe((x, y) => ({ next: { x: add(y, 1), y: add(x, 1) } })),
      [],
    );
  });
});

for (const { title, open } of engines.filter(({ target }) => target === "onnx")) {
  describe(`buffers of ${title}`, async () => {
    const engine = await open();
    after(() => engine[Symbol.asyncDispose]());
    const upload = (...values: number[]) => engine.upload(square, Float32Array.from(values));

    const programs = {
      "in place": (x: Tensor, y: Tensor) => ({ next: { x: sub(x, mul(y, 0.5)) } }),
      "as a view": (x: Tensor, y: Tensor) => ({
        next: { x: reshape(sub(reshape(x, [4]), mul(reshape(y, [4]), 0.5)), [2, 2]) },
        later: sum(y),
      }),
      "passed on": (x: Tensor, y: Tensor) => ({ next: { x }, s: sum(y) }),
      "read afterwards": (x: Tensor, y: Tensor) => ({ next: { x: sub(x, y) }, later: exp(x) }),
      "out of order": (x: Tensor, y: Tensor) => ({ next: { x: matmul(x, y) }, t: transpose(x) }),
      exchanged: (x: Tensor, y: Tensor) => ({ next: { x: add(y, 1), y: add(x, 1) } }),
      "also returned": (x: Tensor, y: Tensor) => ({ next: { x: sub(x, y) }, before: x }),
    };
    for (const [name, f] of Object.entries(programs)) {
      it(`hold the interpreter's numbers over three steps, ${name}`, async () => {
        const graph = program(f);
        using executable = await engine.compile(graph);
        let expected = { x: [1, 2, 3, 4], y: [0.5, -1, 2, 0.25] };
        let state: Record<string, DeviceBuffer> = { x: upload(...expected.x), y: upload(...expected.y) };
        for (let step = 0; step < 3; step++) {
          const wanted = interpret(graph, expected);
          const outputs = await executable.run(state);
          for (const [key, { data }] of Object.entries(wanted)) {
            assertClose((await engine.download(outputs[key]!)) as Float32Array, data, 1e-6, `${name} ${key}`);
          }
          const next = (key: "x" | "y") => [...(wanted[`next.${key}`]?.data ?? expected[key])];
          expected = { x: next("x"), y: next("y") };
          state = { ...state, ...taken(outputs) };
          assert.deepEqual(engine.stats(), { buffers: 2, bytes: 32 }, "two states live, and nothing else");
        }
        for (const buffer of Object.values(state)) buffer[Symbol.dispose]();
        assert.deepEqual(engine.stats(), { buffers: 0, bytes: 0 });
      });
    }

    /** New states by their inputs' names; the other outputs are freed. */
    function taken(outputs: Readonly<Record<string, DeviceBuffer>>): Record<string, DeviceBuffer> {
      const states: Record<string, DeviceBuffer> = {};
      for (const [name, buffer] of Object.entries(outputs)) {
        if (name.startsWith("next.")) states[name.slice("next.".length)] = buffer;
        else buffer[Symbol.dispose]();
      }
      return states;
    }

    it("are spent once donated, and say so", async () => {
      using executable = await engine.compile(program(programs["in place"]));
      const [x, y] = [upload(1, 2, 3, 4), upload(1, 1, 1, 1)];
      const outputs = await executable.run({ x, y });
      assert.deepEqual([x.spent, y.spent], [true, false]);
      assert.deepEqual([...(await engine.download(outputs["next.x"]!))], [0.5, 1.5, 2.5, 3.5]);
      await assert.rejects(
        executable.run({ x, y }),
        (e: Error) =>
          e instanceof UsageError && /the buffer given as x was donated or freed before/.test(e.message),
      );
      await assert.rejects(engine.download(x), UsageError);
      for (const buffer of [y, ...Object.values(outputs)]) buffer[Symbol.dispose]();
      y[Symbol.dispose](); // a second time is nothing
      assert.equal(engine.stats().buffers, 0);
    });

    it("of updates lie where the states lay", async () => {
      using executable = await engine.compile(program((x, y) => ({ next: { x: add(x, 1), y: mul(y, 2) } })));
      const [x, y] = [upload(1, 2, 3, 4), upload(1, 1, 1, 1)];
      const memory = [await engine.download(x), await engine.download(y)];
      const outputs = await executable.run({ x, y });
      assert.equal(await engine.download(outputs["next.x"]!), memory[0]);
      assert.equal(await engine.download(outputs["next.y"]!), memory[1]);
      assert.deepEqual(
        memory.map((m) => [...m]),
        [
          [2, 3, 4, 5],
          [2, 2, 2, 2],
        ],
      );
      for (const buffer of Object.values(outputs)) buffer[Symbol.dispose]();
    });

    it("must be there and of the input's type", async () => {
      using executable = await engine.compile(program(programs["in place"]));
      using x = upload(1, 2, 3, 4);
      using row = engine.upload({ dtype: "f32", shape: [4] }, new Float32Array(4));
      await assert.rejects(
        executable.run({ x }),
        /input y must be a buffer( of this engine)? of type f32\[2,2\]; got none/,
      );
      await assert.rejects(
        executable.run({ x, y: row }),
        /input y must be a buffer( of this engine)? of type f32\[2,2\]; got f32\[4\]/,
      );
      assert.equal(x.spent, false, "a refused run spends nothing");
      assert.throws(
        () => engine.upload(square, new Float32Array(3)),
        /needs 4 elements.* for f32\[2,2\]; got 3/,
      );
    });

    it("copy what is given, unless they adopt it", async () => {
      const data = Float32Array.of(1, 2, 3, 4);
      using copied = engine.upload(square, data);
      using adopted = engine.upload(square, data, { adopt: true });
      data[0] = 9;
      assert.equal((await engine.download(copied))[0], 1);
      assert.equal((await engine.download(adopted))[0], 9);
    });

    it("copy shared memory, which may change", async () => {
      const data = new Float32Array(new SharedArrayBuffer(16)).fill(2);
      using executable = await engine.compile(program((x, y) => ({ z: add(x, y) })));
      using x = engine.upload(square, data, { adopt: true });
      const { z } = await executable.run({ x, y: x });
      assert.deepEqual([...(await engine.download(z!))], [4, 4, 4, 4]);
      z![Symbol.dispose]();
    });
  });
}
