/** Programs for ONNX Runtime's WebGPU provider: what they compute, on the CPU, and that they hold nothing that it lacks. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type ort from "onnxruntime-node";
import { type DType, decode, encode } from "../src/core/dtype.js";
import { onnxRuntime } from "../src/engines/onnxruntime-package.js";
import { webGpuDialect } from "../src/graph/emit/dialect.js";
import { emitOnnx } from "../src/graph/emit/onnx.js";
import { type Graph, makeGraph } from "../src/graph/graph.js";
import { interpret } from "../src/graph/interpret.js";
import type { AnyOp, Case } from "../src/graph/op.js";
import { allOps, inputTensor } from "../src/graph/ops/index.js";
import { optimize } from "../src/graph/passes.js";
import { apply } from "../src/graph/tensor.js";
import { makeClip } from "../src/models/clip.js";
import { parseClipConfig } from "../src/models/config/config.js";
import { makeOptimizer } from "../src/train/step/optimizer.js";
import { trainStep } from "../src/train/step/step.js";
import { assertClose, tolerance } from "./support/close.js";
import { onnxNodes } from "./support/onnx-nodes.js";

/** What the provider of onnxruntime-node 1.30 took of these programs, as its log tells with Vulkan's SwiftShader. */
const taken = new Set(
  (
    "Abs Add And AveragePool BatchNormalization Cast Ceil Clip Concat Conv ConvTranspose Cos DepthToSpace Div Equal Erf " +
    "Exp Expand Floor Gather Gelu Gemm Greater GreaterOrEqual Identity LayerNormalization Less LessOrEqual Log MatMul Max MaxPool Min Mul " +
    "Neg Not Pad Pow QuickGelu ReduceMax ReduceMin ReduceSum ReduceSumSquare Relu Reshape ScatterND Sigmoid Sin Slice " +
    "Softmax Split Sqrt Sub Tanh Transpose Where"
  ).split(" "),
);

const elements: Partial<Record<DType, ort.Tensor.Type>> = {
  f32: "float32",
  i32: "int32",
  i64: "int64",
  u8: "uint8",
  bool: "bool",
};

function assertTaken(graph: Graph): Uint8Array {
  const model = emitOnnx(optimize(graph, "onnx"), webGpuDialect);
  const nodes = onnxNodes(model);
  const others = [...new Set(nodes.map(({ type }) => type))].filter((type) => !taken.has(type));
  assert.deepEqual(others, []);
  return model;
}

for (const op of allOps) {
  const cases = (op.cases as readonly Case<Record<string, never>>[]).filter(({ inputs }) =>
    inputs.every(({ dtype }) => elements[dtype] !== undefined),
  );
  if (cases.length === 0) continue;
  describe(`${op.name} for WebGPU`, () => {
    for (const kase of cases)
      it(`${kase.name}: equals the reference, by what it has`, () => assertEqual(op, kase));
  });
}

async function assertEqual(op: AnyOp, kase: Case<Record<string, never>>): Promise<void> {
  const inputs = kase.inputs.map((type, i) => ({ name: `x${i}`, tensor: inputTensor(`x${i}`, type) }));
  const results = apply(
    op,
    inputs.map(({ tensor }) => tensor),
    kase.attrs,
  );
  const graph = makeGraph(
    inputs,
    results.map((tensor, i) => ({ name: `y${i}`, tensor })),
  );
  const { InferenceSession, Tensor } = onnxRuntime();
  const session = await InferenceSession.create(assertTaken(graph), {
    graphOptimizationLevel: "disabled",
    intraOpNumThreads: 1,
  });
  const feeds = Object.fromEntries(
    kase.inputs.map(({ dtype, shape, data }, i) => [
      `x${i}`,
      new Tensor(elements[dtype]!, encode(dtype, data) as Float32Array, [...shape]),
    ]),
  );
  const outputs = await session.run(feeds);
  const expected = interpret(graph, Object.fromEntries(kase.inputs.map(({ data }, i) => [`x${i}`, data])));
  for (const { name, tensor } of graph.outputs) {
    const got = decode(tensor.dtype, outputs[name]!.data as Float32Array);
    assertClose(got, expected[name]!.data, tolerance(tensor.dtype), `${op.name}, ${kase.name}, ${name}`);
  }
  await session.release();
}

describe("a train step for WebGPU", () => {
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
  const normalization = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;

  it("holds nothing that the provider lacks", () => {
    assertTaken(trainStep({ clip, optimizer, batchSize: 4, contextLength: 8, normalization, clipNorm: 1 }));
  });
});
