/** `clipwright bench step`: what it counts, and what it refuses. Nothing here depends on how fast the machine is. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { commands } from "../src/cli/commands.js";
import { costOf } from "../src/graph/cost.js";
import { matmul } from "../src/graph/ops/index.js";
import { optimize } from "../src/graph/passes.js";
import { trace } from "../src/graph/trace.js";
import { makeClip } from "../src/models/clip.js";
import { type StepBenchResult, shareOf } from "../src/train/measure/bench.js";
import { productKinds } from "../src/train/measure/matmul-rate.js";
import { optionSets } from "../src/train/measure/tune.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { trainStep } from "../src/train/step/step.js";
import { runWords } from "./support/command-line.js";
import { openXla, withXla } from "./support/engines.js";

const folder = mkdtempSync(join(tmpdir(), "clipwright-bench-"));
after(() => rmSync(folder, { recursive: true }));
const config = (imageSize: number, contextLength: number) => ({
  embed_dim: 16,
  vision_cfg: { image_size: imageSize, patch_size: 8, width: 32, layers: 2, head_width: 16 },
  text_cfg: { context_length: contextLength, vocab_size: 40, width: 32, heads: 2, layers: 2 },
});
const model = join(folder, "tiny.json");
writeFileSync(model, JSON.stringify(config(16, 12)));

/** The train step without rematerialization. */
const plainStep = (imageSize: number, contextLength: number, batchSize: number) =>
  trainStep({
    clip: makeClip(config(imageSize, contextLength)),
    optimizer: makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 }),
    batchSize,
    contextLength,
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
    clipNorm: 1,
  });

const bench = (...words: string[]) =>
  runWords(commands, ["bench", "step", "--model", model, ...words], { columns: 100 });

describe("clipwright bench step", () => {
  test("measures each batch size, smallest first, and says it all as JSON", async () => {
    const { code, out, err } = await bench(
      ...[
        "--batch",
        "4,2",
        "--steps",
        "2",
        "--force-context-length",
        "8",
        "--force-image-size",
        "24",
        "--json",
      ],
    );
    assert.equal(code, 0, err);
    const { runs, device } = JSON.parse(out) as { runs: StepBenchResult[]; device: { platform: string } };
    assert.equal(device.platform, "cpu");
    assert.deepEqual(
      runs.map((r) => [r.batchSize, r.imageSize, r.contextLength, r.attention, r.peakMemoryOf]),
      [
        [2, 24, 8, "plain", "process"],
        [4, 24, 8, "plain", "process"],
      ],
    );
    for (const run of runs) {
      const [a, b] = run.seconds as [number, number];
      const middle = (a + b) / 2;
      assert.ok(Math.abs(run.imagesPerSecond - run.batchSize / middle) < 1e-9 * run.imagesPerSecond);
      assert.ok(Math.abs(run.gflops - (2 * run.macs) / middle / 1e9) < 1e-9 * run.gflops);
      assert.equal(run.shareOfMatmul, run.gflops / run.matmulGflops);
    }
    // What is computed again in the backward pass does not count as work.
    assert.deepEqual(
      runs.map((r) => r.macs),
      [2, 4].map((batchSize) => costOf(optimize(plainStep(24, 8, batchSize), "onnx")).macs),
    );
  });

  test("prints a table", async () => {
    const { code, out, err } = await bench("--batch", "2", "--steps", "1");
    assert.equal(code, 0, err);
    assert.match(out, /tiny\.json, 16 pixels, 12 tokens, f32, clip, attention plain\nonnxruntime on cpu/);
    assert.match(
      out,
      /\nbatch +images\/s +step s +[GT]FLOP\/s +matmul +MFU +peak GiB +planned +compile s\n2 +\d/,
    );
  });

  test("takes the recipe's strategy and parts", async () => {
    const words = ["--batch", "4", "--steps", "1", "--json", "--strategy", "siglip"];
    const [whole, parts] = await Promise.all([bench(...words), bench(...words, "--micro-batch", "2")]);
    const [a, b] = [whole, parts].map(({ out, err }) => {
      assert.notEqual(out, "", err);
      return (JSON.parse(out) as { runs: StepBenchResult[] }).runs[0]!;
    });
    assert.deepEqual(
      [a!.strategy, a!.microBatch, b!.strategy, b!.microBatch],
      ["siglip", undefined, "siglip", 2],
    );
    assert.equal(a!.macs, b!.macs, "what the second pass computes again is no work");
    const { err } = await bench("--batch", "4", "--steps", "1", "--micro-batch", "3");
    assert.match(err, /--micro-batch: must divide the batch; got --micro-batch=3/);
  });

  test("a share above 1 is an error that says what is wrong", () => {
    assert.equal(shareOf(50, 100, "1024²"), 0.5);
    assert.throws(
      () => shareOf(140, 100, "1024²"),
      /140 GFLOP\/s for the step and 100 for .* \(1024²\), a share of 140 %/,
    );
  });

  test("products are of several sizes and both layouts", () => {
    for (const platform of ["cpu", "cuda"]) {
      const kinds = productKinds(platform);
      assert.equal(kinds.length, 2 * new Set(kinds.map((k) => k.side)).size);
      assert.ok(new Set(kinds.map((k) => k.side)).size >= 3);
    }
  });

  test("refuses XLA's options on ONNX Runtime, and several batch sizes for tuning", async () => {
    for (const [words, why] of [
      [["--xla-flag", "xla_gpu_autotune_level=2"], /onnxruntime: has no compiler flags; got xla_gpu_auto/],
      [["--xla-flag", "autotune=2"], /--xla-flag: needs words like xla_name=value; got autotune=2/],
      [["--tune"], /--tune tries options of XLA on cuda or cpu; got engine=onnxruntime/],
      [["--tune", "--batch", "2,4"], /--tune measures one batch size; got 2,4/],
    ] as const) {
      const { code, err } = await bench(...words);
      assert.equal(code, err.startsWith("clipwright: --") ? 2 : 1, err);
      assert.match(err, why);
    }
  });
});

withXla("the options that --tune tries", () => {
  test("every option that --tune tries has a name and a kind that XLA knows", async () => {
    const graph = trace({ a: { dtype: "f32", shape: [2, 2] } } as const, ({ a }) => ({ y: matmul(a, a) }));
    await using engine = await openXla();
    for (const { name, flags } of Object.values(optionSets).flat()) {
      if (flags === undefined) continue;
      await assert.doesNotReject(async () => {
        (await engine.compile(graph, { flags }))[Symbol.dispose]();
      }, name);
    }
  });
});
