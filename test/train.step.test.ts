/** The train step as a whole: moving average, clipping, clamp, memory. PyTorch's numbers are in train.golden.test.ts. */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import { sizeOfShape } from "../src/core/shape.js";
import { overwritable } from "../src/engines/donation.js";
import type { DeviceBuffer } from "../src/engines/engine.js";
import { OnnxRuntime } from "../src/engines/onnxruntime.js";
import { costOf } from "../src/graph/cost.js";
import { optimize } from "../src/graph/passes.js";
import { makeClip } from "../src/models/clip.js";
import { initialize } from "../src/nn/parameters.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { batchTypes, type StepOptions, stateTypes } from "../src/train/step/options.js";
import { trainStep } from "../src/train/step/step.js";
import { assertClose } from "./support/close.js";

const clip = makeClip({
  embed_dim: 8,
  vision_cfg: { image_size: 8, patch_size: 4, width: 16, layers: 1, head_width: 8 },
  text_cfg: { context_length: 6, vocab_size: 20, width: 16, heads: 2, layers: 1 },
});
const adamw = { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 };
const base: StepOptions = {
  clip,
  optimizer: makeOptimizer("adamw", adamw),
  batchSize: 4,
  contextLength: 6,
  normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
};

const engine = new OnnxRuntime({ threads: 1 });
after(() => engine[Symbol.asyncDispose]());

interface Step {
  readonly lr: number;
  readonly emaDecay?: number;
}

interface Outcome {
  /** State by name after each step, the start first. */
  readonly states: readonly Readonly<Record<string, Float32Array>>[];
  readonly metrics: readonly Readonly<Record<"loss" | "gradientNorm" | "logitScale", number>>[];
}

/** Runs `steps` on one batch from one start. `logitScale` is the start of the factor's logarithm. */
async function run(options: StepOptions, steps: readonly Step[], logitScale?: number): Promise<Outcome> {
  const { params } = stateTypes(options);
  const batch = batchTypes(options);
  const random = new Random(keyFromSeed(5));
  const scalar = { dtype: "f32", shape: [] } as const;
  const ids = (values: number[]) => Int32Array.from(values);
  const fixed = {
    "batch.images": engine.upload(
      batch.images,
      Uint8Array.from({ length: sizeOfShape(batch.images.shape) }, () => random.integer(256)),
    ),
    "batch.tokens": engine.upload(
      batch.tokens,
      Int32Array.from({ length: sizeOfShape(batch.tokens.shape) }, () => random.integer(20)),
    ),
    "batch.imageIds": engine.upload(batch.imageIds, ids([0, 1, 2, 3])),
    "batch.textIds": engine.upload(batch.textIds, ids([0, 1, 2, 1])),
  };
  using step = await engine.compile(trainStep(options));
  const start = initialize(clip.parameters, keyFromSeed(1));
  if (logitScale !== undefined) start.logit_scale![0] = logitScale;
  let state: Record<string, DeviceBuffer> = {};
  for (const { name, tensor } of step.graph.inputs) {
    const of = (prefix: string) => start[name.slice(prefix.length)]!;
    if (name.startsWith("params.")) state[name] = engine.upload(params[name.slice(7)]!, of("params."));
    else if (name.startsWith("ema.")) state[name] = engine.upload(tensor, of("ema."));
    else if (name.startsWith("slots."))
      state[name] = engine.upload(tensor, new Float32Array(sizeOfShape(tensor.shape)));
  }
  const snapshot = async () => {
    const out: Record<string, Float32Array> = {};
    for (const [name, buffer] of Object.entries(state))
      out[name] = ((await engine.download(buffer)) as Float32Array).slice();
    return out;
  };
  const states = [await snapshot()];
  const metrics: Outcome["metrics"][number][] = [];
  for (const [i, { lr, emaDecay }] of steps.entries()) {
    const numbers = {
      ...options.optimizer.scalars(i + 1, lr),
      ...(emaDecay === undefined ? {} : { emaDecay }),
    };
    const scalars = Object.fromEntries(
      Object.entries(numbers).map(([n, v]) => [`scalars.${n}`, engine.upload(scalar, Float32Array.of(v))]),
    );
    const outputs = await step.run({ ...state, ...fixed, ...scalars });
    const metric = async (name: string) => Number((await engine.download(outputs[`metrics.${name}`]!))[0]);
    metrics.push({
      loss: await metric("loss"),
      gradientNorm: await metric("gradientNorm"),
      logitScale: await metric("logitScale"),
    });
    state = {};
    for (const [name, buffer] of Object.entries(outputs)) {
      if (name.startsWith("next.")) state[name.slice(5)] = buffer;
      else buffer[Symbol.dispose]();
    }
    for (const buffer of Object.values(scalars)) buffer[Symbol.dispose]();
    states.push(await snapshot());
  }
  for (const buffer of [...Object.values(state), ...Object.values(fixed)]) buffer[Symbol.dispose]();
  assert.deepEqual(engine.stats(), { buffers: 0, bytes: 0 }, "nothing is left behind");
  return { states, metrics };
}

describe("trainStep", () => {
  const steps: Step[] = [
    { lr: 1e-2, emaDecay: 0.5 },
    { lr: 2e-2, emaDecay: 0.9 },
    { lr: 0, emaDecay: 0.9 },
    { lr: 5e-3, emaDecay: 0 },
  ];

  it("keeps a moving average of the weights, by the decay of each step", async () => {
    const { states } = await run({ ...base, ema: true }, steps);
    let expected = Object.fromEntries(
      Object.keys(clip.parameters).map((name) => [name, Float64Array.from(states[0]![`params.${name}`]!)]),
    );
    for (const [i, { emaDecay }] of steps.entries()) {
      const now = states[i + 1]!;
      expected = Object.fromEntries(
        Object.entries(expected).map(([name, average]) => [
          name,
          average.map((old, k) => emaDecay! * old + (1 - emaDecay!) * now[`params.${name}`]![k]!),
        ]),
      );
      for (const [name, average] of Object.entries(expected))
        assertClose(now[`ema.${name}`]!, average, 1e-6, `${name} after step ${i + 1}`);
    }
    assert.deepEqual(states[4]!["ema.text_projection"], states[4]!["params.text_projection"], "a decay of 0");
  });

  it("trains the same with and without the average", async () => {
    const [plain, averaged] = [
      await run(
        base,
        steps.map(({ lr }) => ({ lr })),
      ),
      await run({ ...base, ema: true }, steps),
    ];
    assert.deepEqual(averaged.metrics, plain.metrics);
    for (const [name, data] of Object.entries(plain.states.at(-1)!))
      assert.deepEqual(averaged.states.at(-1)![name], data, name);
  });

  it("leaves the weights where they are at a learning rate of 0", async () => {
    const { states } = await run(base, [{ lr: 0 }, { lr: 0 }]);
    for (const name of Object.keys(clip.parameters))
      assert.deepEqual(states[2]![`params.${name}`], states[0]![`params.${name}`], name);
    assert.ok(
      states[2]!["slots.text_projection.m"]!.some((v) => v !== 0),
      "the moments move on",
    );
  });

  it("scales the gradients down to the norm allowed, and reports the norm before that", async () => {
    const lr = 1e-3;
    const free = await run(base, [{ lr }]);
    const norm = free.metrics[0]!.gradientNorm;
    const clipped = await run({ ...base, clipNorm: norm / 4 }, [{ lr }]);
    assert.equal(clipped.metrics[0]!.gradientNorm, norm);
    for (const name of Object.keys(clip.parameters)) {
      // The first moment after one step is (1 − β₁) g.
      const [m, small] = [free, clipped].map((o) => o.states[1]![`slots.${name}.m`]!);
      assertClose(
        small!,
        m!.map((v) => v / 4),
        1e-6,
        name,
      );
    }
    const loose = await run({ ...base, clipNorm: norm * 4 }, [{ lr }]);
    assert.deepEqual(loose.states[1], free.states[1], "a norm that is not reached changes nothing");
  });

  it("reports a norm that is the length of all gradients together", async () => {
    const { states, metrics } = await run(base, [{ lr: 1e-3 }]);
    let squares = 0;
    for (const name of Object.keys(clip.parameters))
      for (const m of states[1]![`slots.${name}.m`]!) squares += (m / (1 - adamw.beta1)) ** 2;
    assertClose([metrics[0]!.gradientNorm], [Math.sqrt(squares)], 1e-5, "norm");
  });

  it("clamps the factor on the cosines between 1 and the most allowed", async () => {
    const high = await run({ ...base, maxLogitScale: 20 }, [{ lr: 0 }], Math.log(50));
    assertClose([high.metrics[0]!.logitScale], [50], 1e-5, "before the step");
    assertClose(high.states[1]!["params.logit_scale"]!, [Math.log(20)], 1e-6, "after it");
    const low = await run(base, [{ lr: 0 }], -1);
    assert.equal(low.states[1]!["params.logit_scale"]![0], 0);
  });

  it("learns its batch", async () => {
    const { metrics } = await run(
      base,
      Array.from({ length: 120 }, () => ({ lr: 5e-3 })),
    );
    // Two of the four pairs share a caption: half of the rows cannot do better than ln 2.
    const least = Math.log(2) / 2;
    assert.ok(metrics[0]!.loss > 1.2, `starts near ln 4; got ${metrics[0]!.loss}`);
    assert.ok(metrics[119]!.loss < least + 0.1, `ends near ${least}; got ${metrics[119]!.loss}`);
  });
});

describe("the memory of trainStep", () => {
  for (const name of ["adamw", "adafactor"] as const) {
    for (const clipNorm of [undefined, 1]) {
      it(`holds the state of ${name} once, ${clipNorm === undefined ? "unclipped" : "clipped"}: all is written over`, () => {
        const options = { ...base, optimizer: makeOptimizer(name, adamw), ema: true, clipNorm };
        const graph = optimize(trainStep(options), "onnx");
        const inPlace = overwritable(graph);
        const elsewhere = graph.outputs.filter((o) => o.donates !== undefined && !inPlace.has(o.name));
        assert.deepEqual(
          elsewhere.map((o) => o.name),
          [],
        );
      });
    }
  }

  it("peaks lower with rematerialized blocks", () => {
    const deep = {
      embed_dim: 8,
      vision_cfg: { image_size: 32, patch_size: 4, width: 16, layers: 6, head_width: 8 },
      text_cfg: { context_length: 6, vocab_size: 20, width: 16, heads: 2, layers: 6 },
    };
    const [kept, made] = [false, true].map((rematerialize) =>
      costOf(
        optimize(trainStep({ ...base, clip: makeClip(deep, { rematerialize }), batchSize: 16 }), "onnx"),
      ),
    );
    assert.ok(made!.peakBytes < 0.5 * kept!.peakBytes, `${made!.peakBytes} against ${kept!.peakBytes}`);
    assert.ok(made!.macs < (4 / 3 + 0.01) * kept!.macs, "one more forward pass of the blocks at most");
  });
});
