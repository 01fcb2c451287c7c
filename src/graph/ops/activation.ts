/** Activations that know what is above zero. */

import { given, type Op, streaming, uniform } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { cast, greater } from "./compare.js";
import { maximum, mul, requireFloat } from "./elementwise.js";
import { rectified } from "./normalize.js";

type None = Record<never, never>;

const positiveOp: Op<None> = {
  name: "positive",
  doc: "1 where x is above 0, else 0.",
  source: "ONNX HardSigmoid",
  traits: ["elementwise"],
  infer: ([x]) => {
    requireFloat("positive", x!);
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  reference: ([x]) => [x!.data.map((v) => (v > 0 ? 1 : 0))],
  vjp: "zero",
  cost: streaming,
  simplify: "never",
  decompose: ([x]) => [cast(greater(x!, 0), x!.dtype)],
  // min(1, max(0, αx)) with an α that takes all but denormal numbers past 1: half the time of Greater and Cast.
  onnx: (b, [x]) =>
    b.dialect.hardSigmoid
      ? b.node("HardSigmoid", [x!.name], { alpha: { float: 3e38 }, beta: { float: 0 } })
      : b.node("Ceil", b.node("Clip", [x!.name, b.scalar(x!.dtype, 0), b.scalar(x!.dtype, 1)])),
  stablehlo: "decompose",
  cases: [
    { name: "random", inputs: [uniform([3, 5], 1, -3, 3)], attrs: {}, smooth: false },
    {
      name: "edges",
      inputs: [given("f32", [8], [0, -0, 1e-37, -1e-37, 1e38, -1e38, Infinity, -Infinity])],
      attrs: {},
      smooth: false,
    },
  ],
};

const reluOp: Op<None> = {
  name: "relu",
  doc: "The greater of x and 0; the gradient at 0 is 0.",
  source: "ONNX Relu",
  traits: ["elementwise"],
  infer: ([x]) => {
    requireFloat("relu", x!);
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  reference: ([x]) => [x!.data.map((v) => Math.max(v, 0))],
  // From y, not x: then x need not be kept.
  vjp: ([g], { outputs: [y] }) => [mul(g!, apply(positiveOp, [y!], {})[0]!)],
  cost: streaming,
  // A norm's last pass over the images takes it along.
  simplify: ([x]) => {
    const fused = rectified(x!);
    return fused === undefined ? undefined : [fused];
  },
  decompose: ([x]) => [maximum(x!, 0)],
  onnx: (b, [x]) => b.node("Relu", [x!.name]),
  stablehlo: "decompose",
  cases: [
    { name: "random", inputs: [uniform([3, 5], 1, -3, 3)], attrs: {} },
    { name: "edges", inputs: [given("f32", [4], [-1, 0, -0, 2])], attrs: {}, smooth: false },
  ],
};
/** The greater of x and 0. */
export const relu = (x: Tensor): Tensor => apply(reluOp, [x], {})[0]!;

export const activationOps = [positiveOp, reluOp];
