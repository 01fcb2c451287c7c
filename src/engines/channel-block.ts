/**
 * How wide ONNX Runtime's blocked layout of images is here: the processor decides (16 channels with AVX-512, 8 with
 * SSE and AVX2, none elsewhere), and no call tells. So a counted image is reordered once and looked at.
 */

import { sizeOfShape, type TensorType } from "../core/shape.js";
import { emitOnnx } from "../graph/emit/onnx.js";
import { makeGraph } from "../graph/graph.js";
import { type Op, streaming, unsupported } from "../graph/op.js";
import { inputTensor } from "../graph/ops/source.js";
import { apply } from "../graph/tensor.js";
import { onnxRuntime } from "./onnxruntime-package.js";

/** Whatever the layout is: the elements' order is what is asked. */
const reorder: Op<Record<never, never>> = {
  name: "reorderInput",
  doc: "An image [B,C,H,W] in the engine's blocked layout.",
  source: "ONNX Runtime, NCHWc",
  traits: ["movement"],
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  reference: ([x]) => [x!.data.slice()],
  vjp: "zero",
  cost: streaming,
  simplify: "never",
  decompose: "primitive",
  onnx: (b, [x]) => b.node("ReorderInput", [x!.name], {}, { domain: "com.microsoft.nchwc" }),
  stablehlo: unsupported("ONNX Runtime's own"),
  cases: [],
};

async function measure(): Promise<number> {
  // 64 channels of 2 pixels, counted: element 1, the first channel's second pixel, lands after the first block.
  const type: TensorType = { dtype: "f32", shape: [1, 64, 1, 2] };
  const x = inputTensor("x", type);
  const model = emitOnnx(
    makeGraph([{ name: "x", tensor: x }], [{ name: "y", tensor: apply(reorder, [x], {})[0]! }]),
  );
  const counted = Float32Array.from({ length: sizeOfShape(type.shape) }, (_, i) => i);
  try {
    const { InferenceSession, Tensor } = onnxRuntime();
    const session = await InferenceSession.create(model, { logSeverityLevel: 4, intraOpNumThreads: 1 });
    const { y } = await session.run({ x: new Tensor("float32", counted, type.shape as number[]) });
    await session.release();
    return Math.max(0, (y!.data as Float32Array).indexOf(1));
  } catch {
    return 0; // No such operator here.
  }
}

let known: Promise<number> | undefined;

/** Channels in a block of `com.microsoft.nchwc` on this machine; 0 where it is missing. Measured once a process. */
export const channelBlock = (): Promise<number> => {
  known ??= measure();
  return known;
};
