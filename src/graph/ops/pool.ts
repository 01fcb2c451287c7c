/** Pooling over windows of images in NCHW. */

import { UsageError } from "../../core/errors.js";
import { formatType, type Shape, type TensorType } from "../../core/shape.js";
import { type Case, normal, notDifferentiable, type Op, streaming } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { conv, convInputGrad, isPlacement, spatial } from "./convolve.js";
import { requireFloat } from "./elementwise.js";
import { cheapestPoolGradient, poolWindow, type WindowAttrs } from "./pool-onnx.js";
import { constant } from "./source.js";

const poolType = (what: string, x: TensorType, attrs: WindowAttrs): TensorType => {
  requireFloat(what, x);
  const { kernel, padding } = attrs;
  const whole = kernel.length === 2 && kernel.every((k) => Number.isInteger(k) && k > 0);
  // A window of padding alone would have no greatest element.
  const inside = padding.every((p, i) => p < kernel[i % 2]!);
  const size = spatial(x.shape.slice(2), kernel, attrs);
  if (x.shape.length !== 4 || !isPlacement(attrs) || !whole || !inside || size.some((d) => d < 1)) {
    throw new UsageError(
      `${what}: needs images [B,C,H,W], and windows that fit in and are larger than their padding; ` +
        `got ${formatType(x)}, ${Object.entries(attrs)
          .map(([name, of]) => `${name}=[${of.join(",")}]`)
          .join(", ")}.`,
    );
  }
  return { dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...size] };
};

const poolCases = (
  make: (x: Shape, attrs: WindowAttrs) => Case<WindowAttrs>["inputs"],
): Case<WindowAttrs>[] =>
  [
    { name: "halving", x: [2, 3, 4, 6], attrs: { kernel: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] } },
    {
      name: "halving, with a rest",
      x: [1, 2, 5, 4],
      attrs: { kernel: [2, 3], stride: [2, 3], padding: [0, 0, 0, 0] },
    },
    {
      name: "overlapping, padded",
      x: [2, 2, 6, 6],
      attrs: { kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] },
    },
  ].map(({ name, x, attrs }) => ({ name, inputs: make(x, attrs), attrs }));

/** For each window: the flat indices of its elements. */
function* windows(x: Shape, { kernel, stride, padding }: WindowAttrs): Generator<number[]> {
  const [B, C, H, W] = x as [number, number, number, number];
  const [h, w] = spatial([H, W], kernel, { stride, padding });
  for (let plane = 0; plane < B * C; plane++)
    for (let r = 0; r < h; r++)
      for (let s = 0; s < w; s++) {
        const members: number[] = [];
        for (let p = 0; p < kernel[0]!; p++)
          for (let q = 0; q < kernel[1]!; q++) {
            const row = r * stride[0]! + p - padding[0]!;
            const column = s * stride[1]! + q - padding[1]!;
            if (row >= 0 && row < H && column >= 0 && column < W)
              members.push((plane * H + row) * W + column);
          }
        yield members;
      }
}

const avgPoolOp: Op<WindowAttrs> = {
  name: "avgPool",
  doc: "Mean over windows of [B,C,H,W]; padding counts as zeros.",
  source: "ONNX AveragePool with count_include_pad",
  traits: ["reduction"],
  infer: ([x], attrs) => [poolType("avgPool", x!, attrs)],
  reference([x], attrs) {
    const area = attrs.kernel[0]! * attrs.kernel[1]!;
    return [
      Float64Array.from(windows(x!.shape, attrs), (at) => at.reduce((n, i) => n + x!.data[i]!, 0) / area),
    ];
  },
  vjp([g], { inputs: [x], attrs }) {
    const { stride, padding } = attrs;
    const [C, H, W] = x!.shape.slice(1) as [number, number, number];
    return [convInputGrad(g!, meanKernel(g!, C, attrs), [H, W], { stride, padding, groups: C })];
  },
  cost: streaming,
  simplify: "never",
  // A depthwise convolution with equal weights.
  decompose([x], attrs) {
    const C = x!.shape[1]!;
    return [conv(x!, meanKernel(x!, C, attrs), { stride: attrs.stride, padding: attrs.padding, groups: C })];
  },
  onnx: (b, [x], attrs) => b.node("AveragePool", [x!.name], { ...poolWindow(attrs), count_include_pad: 1 }),
  stablehlo: "decompose",
  cases: poolCases((x) => [normal(x, 1)]),
};

const meanKernel = (like: Tensor, C: number, { kernel }: WindowAttrs): Tensor =>
  constant(1 / (kernel[0]! * kernel[1]!), { dtype: like.dtype, shape: [C, 1, kernel[0]!, kernel[1]!] });

/** Mean over windows of images [B,C,H,W]. */
export const avgPool = (
  x: Tensor,
  { kernel, stride = kernel, padding = [0, 0, 0, 0] }: Partial<WindowAttrs> & { kernel: readonly number[] },
): Tensor => apply(avgPoolOp, [x], { kernel, stride, padding })[0]!;

const windowText = ({ kernel, stride, padding: p }: WindowAttrs): string =>
  `window_dimensions = array<i64: 1, 1, ${kernel.join(", ")}>, window_strides = array<i64: 1, 1, ${stride.join(", ")}>, ` +
  `padding = dense<[[0, 0], [0, 0], [${p[0]}, ${p[2]}], [${p[1]}, ${p[3]}]]> : tensor<4x2xi64>`;

const maxPoolOp: Op<WindowAttrs> = {
  name: "maxPool",
  doc: "Greatest over windows of [B,C,H,W]; padding never wins.",
  source: "ONNX MaxPool; StableHLO reduce_window",
  traits: ["reduction"],
  infer: ([x], attrs) => [poolType("maxPool", x!, attrs)],
  reference: ([x], attrs) => [
    Float64Array.from(windows(x!.shape, attrs), (at) => Math.max(...at.map((i) => x!.data[i]!))),
  ],
  vjp: ([g], { inputs: [x], attrs }) => [apply(maxPoolGradOp, [x!, g!], attrs)[0]!],
  cost: streaming,
  simplify: "never",
  decompose: "primitive",
  onnx: (b, [x], attrs) => b.node("MaxPool", [x!.name], poolWindow(attrs)),
  stablehlo(b, [x], attrs, [y]) {
    const scalar: TensorType = { dtype: x!.dtype, shape: [] };
    const t = b.typeOf(scalar);
    const low = b.constant(scalar, Number.NEGATIVE_INFINITY);
    return [
      b.emit(
        `"stablehlo.reduce_window"(${x!.name}, ${low}) <{${windowText(attrs)}}> ({ ^bb0(%p: ${t}, %q: ${t}): ` +
          `%m = stablehlo.maximum %p, %q : ${t} stablehlo.return %m : ${t} }) : (${b.typeOf(x!)}, ${t}) -> ${b.typeOf(y!)}`,
      ),
    ];
  },
  cases: poolCases((x) => [normal(x, 1)]),
};

const maxPoolGradOp: Op<WindowAttrs> = {
  name: "maxPoolGrad",
  doc: "The image's cotangent of `maxPool`: each window's goes to its first greatest element.",
  source: "StableHLO select_and_scatter; ONNX MaxPool indices with ScatterElements",
  traits: ["movement"],
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  reference([x, g], attrs) {
    const out = new Float64Array(x!.data.length);
    let k = 0;
    for (const at of windows(x!.shape, attrs)) {
      const best = at.reduce((a, i) => (x!.data[i]! > x!.data[a]! ? i : a));
      out[best]! += g!.data[k++]!;
    }
    return [out];
  },
  vjp: notDifferentiable("second derivatives are not supported"),
  cost: streaming,
  simplify: "never",
  decompose: "primitive",
  onnx: (b, [x, g], attrs) => [cheapestPoolGradient(b.dialect, x!, g!, attrs).write(b, x!, g!, attrs)],
  stablehlo(b, [x, g], attrs, [dx]) {
    const scalar: TensorType = { dtype: x!.dtype, shape: [] };
    const t = b.typeOf(scalar);
    return [
      b.emit(
        `"stablehlo.select_and_scatter"(${x!.name}, ${g!.name}, ${b.constant(scalar, 0)}) <{${windowText(attrs)}}> (` +
          `{ ^bb0(%p: ${t}, %q: ${t}): %c = stablehlo.compare GE, %p, %q, FLOAT : (${t}, ${t}) -> tensor<i1> stablehlo.return %c : tensor<i1> }, ` +
          `{ ^bb0(%p: ${t}, %q: ${t}): %s = stablehlo.add %p, %q : ${t} stablehlo.return %s : ${t} }) : (${b.typeOf(x!)}, ${b.typeOf(g!)}, ${t}) -> ${b.typeOf(dx!)}`,
      ),
    ];
  },
  cases: poolCases((x, attrs) => [
    normal(x, 1),
    normal([...x.slice(0, 2), ...spatial(x.slice(2), attrs.kernel, attrs)], 2),
  ]),
};

/** Greatest over windows of images [B,C,H,W]. */
export const maxPool = (
  x: Tensor,
  { kernel, stride = kernel, padding = [0, 0, 0, 0] }: Partial<WindowAttrs> & { kernel: readonly number[] },
): Tensor => apply(maxPoolOp, [x], { kernel, stride, padding })[0]!;

export const poolOps = [avgPoolOp, maxPoolOp, maxPoolGradOp];
