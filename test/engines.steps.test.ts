/** Whole train steps of a CLIP on several devices and in bf16, against one device in f32. Part of test:xla. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { Engine } from "../src/engines/engine.js";
import { makeClip } from "../src/models/clip.js";
import { parseClipConfig } from "../src/models/config.js";
import { initialize } from "../src/nn/parameters.js";
import { makeOptimizer } from "../src/train/optimizer.js";
import { StepRunner } from "../src/train/runner.js";
import { assertClose } from "./support/close.js";
import { enginesForSteps, openXla, quickFlags } from "./support/engines.js";
import { fixture } from "./support/fixture.js";

const BATCH = 8;
const STEPS = 6;

const { variants } = JSON.parse(readFileSync(fixture("golden_clip.json"), "utf8")) as {
  variants: { name: string; config: unknown }[];
};
const clip = makeClip(parseClipConfig(variants[0]!.config, variants[0]!.name));
const { image_size: S } = clip.config.vision_cfg;
const { context_length: T, vocab_size: V } = clip.config.text_cfg;

/** Losses and the last weights of a few steps on random bytes; some captions and images repeat. */
async function train(engine: Engine, precision: "f32" | "bf16") {
  const optimizer = makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 });
  const start = initialize(clip.parameters, keyFromSeed(1));
  using runner = await StepRunner.create(
    engine,
    {
      clip,
      optimizer,
      batchSize: BATCH,
      contextLength: T,
      normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
      clipNorm: 1,
      replicas: engine.capabilities.replicas,
      precision,
    },
    Object.fromEntries(Object.entries(start).map(([name, data]) => [`params.${name}`, data.slice()])),
  );
  const random = new Random(keyFromSeed(2));
  const losses: number[] = [];
  for (let step = 1; step <= STEPS; step++) {
    const batch = {
      images: Uint8Array.from({ length: BATCH * S * S * 3 }, () => random.integer(256)),
      tokens: Int32Array.from({ length: BATCH * T }, () => 1 + random.integer(V - 1)),
      imageIds: Int32Array.of(0, 1, 2, 3, 4, 5, 0, 7),
      textIds: Int32Array.of(0, 1, 2, 2, 4, 5, 6, 7),
    };
    losses.push((await runner.step(batch, optimizer.scalars(step, 1e-3))).loss);
  }
  const weights = [...(await runner.state.snapshot())]
    .filter(([name]) => name.startsWith("params."))
    .flatMap(([, { data }]) => [...(data as Float32Array)]);
  return { losses, weights };
}

if (enginesForSteps.some((e) => e.target === "stablehlo")) {
  describe("a CLIP's train steps on XLA", async () => {
    await using single = await openXla({ flags: quickFlags });
    const alone = await train(single, "f32");

    test("four devices give one device's losses and weights", async () => {
      await using engine = await openXla({ devices: 4, flags: quickFlags });
      const shared = await train(engine, "f32");
      // Sums in another order; AdamW divides by small numbers.
      assertClose(shared.losses, alone.losses, 1e-4, "losses");
      assertClose(shared.weights, alone.weights, 2e-3, "weights");
    });

    test("bf16 stays near f32, and is not f32", async () => {
      await using engine = await openXla({ flags: quickFlags });
      const { losses } = await train(engine, "bf16");
      assertClose(losses, alone.losses, 3e-2, "losses");
      assert.notDeepEqual(losses, alone.losses);
    });
  });
} else {
  test("a CLIP's train steps on XLA", { skip: "NOT TESTED here: npm run test:xla does" }, () => {});
}
