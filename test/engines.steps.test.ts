/** Whole train steps of a CLIP on several devices and in bf16, against one device in f32. Part of test:xla. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { keyFromSeed, Random } from "../src/core/random.js";
import type { Engine } from "../src/engines/engine.js";
import { type Clip, makeClip } from "../src/models/clip.js";
import { parseClipConfig } from "../src/models/config/config.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { StepRunner } from "../src/train/step/runner.js";
import { initialState } from "../src/train/step/state.js";
import { assertClose } from "./support/close.js";
import { enginesForSteps, openXla, quickFlags } from "./support/engines.js";
import { fixture } from "./support/fixture.js";

const BATCH = 8;
const STEPS = 6;

const { variants } = JSON.parse(readFileSync(fixture("golden_clip.json"), "utf8")) as {
  variants: { name: string; config: unknown }[];
};
const vit = makeClip(parseClipConfig(variants[0]!.config, variants[0]!.name));
/** Its batch norms meet across the devices. */
const resnet = makeClip(
  parseClipConfig(JSON.parse(readFileSync(fixture("encoders/resnet-basic.json"), "utf8")), "resnet-basic"),
);

/** Losses and the last weights and statistics of a few steps on random bytes; some captions and images repeat. */
async function train(engine: Engine, clip: Clip, precision: "f32" | "bf16") {
  const { image_size: S } = clip.config.vision_cfg;
  const { context_length: T, vocab_size: V } = clip.config.text_cfg;
  const optimizer = makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 });
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
    initialState({ clip }, keyFromSeed(1)),
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
    .filter(([name]) => /^(params|statistics)\./.test(name))
    .flatMap(([, { data }]) => [...(data as Float32Array)]);
  return { losses, weights };
}

if (enginesForSteps.some((e) => e.target === "stablehlo")) {
  describe("a CLIP's train steps on XLA", async () => {
    const single = await openXla({ flags: quickFlags });
    after(() => single[Symbol.asyncDispose]());
    const alone = await train(single, vit, "f32");

    for (const [name, clip] of Object.entries({ ViT: vit, ResNet: resnet })) {
      test(`four devices give one device's losses, weights and statistics: ${name}`, async () => {
        await using engine = await openXla({ devices: 4, flags: quickFlags });
        const shared = await train(engine, clip, "f32");
        const expected = clip === vit ? alone : await train(single, clip, "f32");
        // Sums in another order; AdamW divides by small numbers.
        assertClose(shared.losses, expected.losses, 1e-4, "losses");
        assertClose(shared.weights, expected.weights, 2e-3, "weights");
      });
    }

    test("bf16 stays near f32, and is not f32", async () => {
      await using engine = await openXla({ flags: quickFlags });
      const { losses } = await train(engine, vit, "bf16");
      assertClose(losses, alone.losses, 3e-2, "losses");
      assert.notDeepEqual(losses, alone.losses);
    });
  });
} else {
  test("a CLIP's train steps on XLA", { skip: "NOT TESTED here: npm run test:xla does" }, () => {});
}
