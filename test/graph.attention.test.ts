/** Attention as one kernel: what is written for CUDA, when, and that mixed precision leaves it whole there only. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { emitStableHlo } from "../src/graph/emit/stablehlo.js";
import { gradients } from "../src/graph/grad.js";
import type { Graph } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import type { DeviceKind } from "../src/graph/op.js";
import { attention, mul, sum } from "../src/graph/ops/index.js";
import { optimize } from "../src/graph/passes.js";
import { mixedPrecision } from "../src/graph/precision.js";
import { rematerialize, trace } from "../src/graph/trace.js";
import { makeClip } from "../src/models/clip.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { trainStep } from "../src/train/step/step.js";
import { assertClose } from "./support/close.js";
import { fixture } from "./support/fixture.js";
import { waves } from "./support/waves.js";

const hopper: DeviceKind = { platform: "cuda", computeCapability: 9 };

interface Lowered {
  readonly shape: readonly [number, number, number, number];
  readonly scale: number;
  /** Forward and backward, by mask. */
  readonly calls: Readonly<Record<"all to all" | "causal", readonly [string, string]>>;
}
const jax: Lowered = JSON.parse(readFileSync(fixture("flash/jax.json"), "utf8"));

/** Attention's result and the gradients of Σ y g. */
function both(
  shape: readonly number[],
  { causal = false, scale = 0.25, dtype = "bf16" as "bf16" | "f32", again = false } = {},
): Graph {
  const type = { dtype, shape };
  const layer = (q: Parameters<typeof attention>[0], k: typeof q, v: typeof q) =>
    attention(q, k, v, { causal, scale });
  const attend = again ? rematerialize(layer) : layer;
  return trace({ q: type, k: type, v: type, g: type }, ({ q, k, v, g }) => {
    const y = attend(q, k, v);
    const [dq, dk, dv] = gradients(sum(mul(y, g)), [q, k, v]);
    return { y, dq: dq!, dk: dk!, dv: dv! };
  });
}

/** A custom call in parts: the order of JSON's keys and the names of operands are no part of it. */
function parsed(call: string) {
  const match =
    /stablehlo\.custom_call @(\S+?)\((.*?)\) \{api_version = 2 : i32, backend_config = "(.*?)", (operand_layouts = .*)$/.exec(
      call,
    );
  assert.ok(match, call);
  const [, target, operands, config, rest] = match;
  return {
    target,
    operands: operands!.split(", ").length,
    config: JSON.parse(config!.replaceAll("\\22", '"')),
    rest,
  };
}

const callsIn = (graph: Graph, device?: DeviceKind): string[] =>
  emitStableHlo(optimize(graph, "stablehlo", device))
    .split("\n")
    .filter((line) => line.includes("custom_call"));

describe("attention for CUDA", () => {
  for (const causal of [false, true]) {
    const mask = causal ? "causal" : "all to all";

    test(`${mask}: is what JAX lowers to cuDNN's calls, forward and backward`, () => {
      const got = callsIn(both(jax.shape, { causal, scale: jax.scale }), hopper);
      assert.equal(got.length, 2);
      got.forEach((call, i) => {
        assert.deepEqual(parsed(call), parsed(jax.calls[mask][i]!));
      });
    });

    test(`${mask}: the backward call reads Q, K, V, statistics, dY and Y in this order`, () => {
      const text = emitStableHlo(optimize(both([2, 2, 32, 8], { causal }), "stablehlo", hopper));
      const forward = /(%\d+):3 = stablehlo\.custom_call @__cudnn\$fmhaSoftmax\(%arg0, %arg1, %arg2\)/.exec(
        text,
      );
      assert.ok(forward, text);
      const backward = /fmhaSoftmaxBackward\(%arg0, %arg1, %arg2, (\S+), (\S+), (\S+)\)/.exec(text);
      assert.ok(backward, text);
      const [, statistics, , y] = backward;
      assert.deepEqual([statistics, y], [`${forward[1]}#1`, `${forward[1]}#0`]);
    });
  }

  test("is plain where the device, the dtype or the shape lies outside cuDNN's limits", () => {
    const ampere: DeviceKind = { platform: "cuda", computeCapability: 8 };
    const kernels = (graph: Graph, device?: DeviceKind) => callsIn(graph, device).length;
    assert.equal(kernels(both([1, 1, 77, 64]), ampere), 2, "odd lengths fit");
    assert.equal(kernels(both([1, 1, 64, 256]), hopper), 2, "wide heads on Hopper");
    assert.equal(kernels(both([1, 1, 64, 256]), ampere), 0, "wide heads on Ampere");
    assert.equal(kernels(both([1, 1, 64, 64])), 0, "no device");
    assert.equal(kernels(both([1, 1, 64, 20]), hopper), 0, "20 is no multiple of 8");
    assert.equal(kernels(both([1, 1, 16, 64]), hopper), 0, "16 tokens");
    assert.equal(kernels(both([1, 1, 64, 64], { dtype: "f32" }), hopper), 0, "f32");
    assert.equal(kernels(both([1, 1, 64, 64]), { platform: "cuda", computeCapability: 7.5 }), 0, "Turing");
    assert.equal(kernels(both([1, 1, 64, 64]), { platform: "rocm" }), 0, "another vendor");
    assert.equal(kernels(both([1, 1, 64, 64]), { platform: "cpu" }), 0, "a CPU");
  });
});

describe("mixedPrecision of attention", () => {
  const shape = [2, 2, 32, 8] as const;
  const step = both(shape, { dtype: "f32", causal: true });

  test("keeps it whole for a device that has a kernel, with its statistics in f32", () => {
    const graph = optimize(mixedPrecision(step, { device: hopper }), "stablehlo", hopper);
    const products = graph.nodes.filter(({ op }) => op.traits.includes("contraction"));
    assert.deepEqual(
      products.map(({ op, inputs, outputs }) => [
        op.name,
        inputs.map((t) => t.dtype).join(),
        outputs.map((t) => t.dtype).join(),
      ]),
      [
        ["attention", "bf16,bf16,bf16", "bf16,f32"],
        ["attentionGradient", "bf16,bf16,bf16,bf16,f32,bf16", "bf16,bf16,bf16"],
      ],
    );
  });

  test("reads the rounded result backwards without rounding it again", () => {
    const graph = optimize(mixedPrecision(step, { device: hopper }), "stablehlo", hopper);
    const backward = graph.nodes.find(({ op }) => op.name === "attentionGradient")!;
    assert.equal(backward.inputs[3]!.node.op.name, "attention");
  });

  test("takes it apart elsewhere", () => {
    for (const device of [undefined, { platform: "cpu" }]) {
      const graph = optimize(mixedPrecision(step, { device }), "stablehlo", device);
      const names = graph.nodes
        .filter(({ op }) => op.traits.includes("contraction"))
        .map(({ op }) => op.name);
      // Q Kᵀ and P V; g Vᵀ, dS K, dSᵀ Q and Pᵀ g.
      assert.deepEqual(names, Array(6).fill("matmul"));
    }
  });

  test("gives the same numbers, whole or apart, but for rounding", () => {
    const feeds = Object.fromEntries(["q", "k", "v", "g"].map((name, i) => [name, waves(2 * 2 * 32 * 8, i)]));
    const [whole, apart] = [hopper, undefined].map((device) =>
      interpret(mixedPrecision(step, { device }), feeds),
    );
    for (const name of Object.keys(whole!)) assertClose(whole![name]!.data, apart![name]!.data, 2e-2, name);
  });

  test("a rematerialized layer computes its statistics again", () => {
    const again = both(shape, { dtype: "f32", again: true });
    const calls = callsIn(mixedPrecision(again, { device: hopper }), hopper);
    assert.deepEqual(
      calls.map((call) => parsed(call).target),
      ["__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward"],
    );
  });
});

describe("trainStep for CUDA", () => {
  const clip = makeClip({
    embed_dim: 16,
    vision_cfg: { image_size: 48, patch_size: 8, width: 32, layers: 2, head_width: 16 },
    text_cfg: { context_length: 16, vocab_size: 40, width: 32, heads: 2, layers: 2 },
  });
  const options = {
    clip,
    optimizer: makeOptimizer("adamw", { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2 }),
    batchSize: 4,
    contextLength: 16,
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
  };

  test("calls cuDNN for the image tower's 37 tokens, and not for 16 tokens of text", () => {
    const step = trainStep({ ...options, precision: "bf16", device: hopper });
    const targets = callsIn(step, hopper).map((call) => /@(\S+?)\(/.exec(call)![1]);
    assert.deepEqual(targets.sort(), [
      ...Array(2).fill("__cudnn$fmhaSoftmax"),
      ...Array(2).fill("__cudnn$fmhaSoftmaxBackward"),
    ]);
  });

  test("is one program from bytes to weights", () => {
    const step = trainStep({ ...options, precision: "bf16", device: hopper });
    const images = step.inputs.find((input) => input.name === "batch.images")!;
    assert.equal(images.tensor.dtype, "u8");
    const state = step.inputs.filter(({ name }) => /^(params|slots)\./.test(name)).map(({ name }) => name);
    const donated = step.outputs.flatMap((o) => (o.donates === undefined ? [] : [o.donates]));
    assert.deepEqual(donated.sort(), state.sort());
    const text = emitStableHlo(optimize(step, "stablehlo", hopper));
    assert.equal(text.match(/func\.func/g)!.length, 1);
    assert.equal(text.match(/tf\.aliasing_output/g)!.length, state.length);
    // Bytes become numbers on the device, once.
    assert.equal(text.match(/stablehlo\.convert .*xui8>\)/g)!.length, 1);
  });

  test("is plain in f32", () => {
    assert.deepEqual(callsIn(trainStep({ ...options, device: hopper }), hopper), []);
  });
});
