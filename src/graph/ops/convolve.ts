/** Convolutions of images in NCHW, and their gradients. */

import type { DType } from "../../core/dtype.js";
import { UsageError } from "../../core/errors.js";
import { formatType, type Shape, sizeOfShape, type TensorType } from "../../core/shape.js";
import { type Case, contracting, inBf16, normal, type Op } from "../op.js";
import { apply, type Tensor } from "../tensor.js";
import { cast } from "./compare.js";
import { forwardWays } from "./convolve-onnx/forward.js";
import { imageWays } from "./convolve-onnx/image.js";
import { kernelWays } from "./convolve-onnx/kernel.js";
import { type Convolution, cheapest } from "./convolve-onnx/way.js";
import { requireFloat } from "./elementwise.js";

export interface ConvAttrs {
  /** Vertical, horizontal. */
  readonly stride: readonly number[];
  /** Zeros added: top, left, bottom, right. */
  readonly padding: readonly number[];
  /** Input and output channels are split into so many independent groups. */
  readonly groups: number;
  /** The result's dtype: bf16 operands may accumulate into f32. */
  readonly out: DType;
  readonly [key: string]: readonly number[] | number | string;
}

export type Placement = Pick<ConvAttrs, "stride" | "padding">;

/** Windows of `kernel` that fit into `d` elements with `padding` more. */
const outSize = (d: number, kernel: number, stride: number, padding: number): number =>
  Math.floor((d + padding - kernel) / stride) + 1;

/** Two strides of at least 1 and four paddings of at least 0, whole numbers. */
export const isPlacement = ({ stride, padding }: Placement): boolean =>
  stride.length === 2 &&
  padding.length === 4 &&
  [...stride, ...padding].every(Number.isInteger) &&
  stride.every((s) => s > 0) &&
  padding.every((p) => p >= 0);

/** Height and width of a result. */
export const spatial = (size: Shape, kernel: Shape, { stride, padding }: Placement): [number, number] => [
  outSize(size[0]!, kernel[0]!, stride[0]!, padding[0]! + padding[2]!),
  outSize(size[1]!, kernel[1]!, stride[1]!, padding[1]! + padding[3]!),
];

/** Calls `visit(x, w, y)` with flat indices for every product of a convolution. */
function products(
  x: Shape,
  w: Shape,
  y: Shape,
  { stride, padding, groups }: ConvAttrs,
  visit: (xAt: number, wAt: number, yAt: number) => void,
): void {
  const [, C, H, W] = x as [number, number, number, number];
  const [O, I, kh, kw] = w as [number, number, number, number];
  const [B, , h, v] = y as [number, number, number, number];
  for (let b = 0; b < B; b++)
    for (let o = 0; o < O; o++)
      for (let i = 0; i < I; i++) {
        const c = Math.floor(o / (O / groups)) * I + i;
        for (let r = 0; r < h; r++)
          for (let s = 0; s < v; s++)
            for (let p = 0; p < kh; p++)
              for (let q = 0; q < kw; q++) {
                const row = r * stride[0]! + p - padding[0]!;
                const column = s * stride[1]! + q - padding[1]!;
                if (row < 0 || row >= H || column < 0 || column >= W) continue;
                visit(
                  ((b * C + c) * H + row) * W + column,
                  ((o * I + i) * kh + p) * kw + q,
                  ((b * O + o) * h + r) * v + s,
                );
              }
      }
}

function check(what: string, x: TensorType, w: TensorType, { groups, stride, padding }: ConvAttrs): void {
  requireFloat(what, x, w);
  const ok =
    x.shape.length === 4 &&
    w.shape.length === 4 &&
    x.dtype === w.dtype &&
    x.shape[1] === w.shape[1]! * groups &&
    w.shape[0]! % groups === 0 &&
    isPlacement({ stride, padding }) &&
    Number.isInteger(groups) &&
    groups > 0;
  if (!ok) {
    throw new UsageError(
      `${what}: needs images [B,C,H,W] and a kernel [O,C/groups,h,w]; got ${formatType(x)}, ${formatType(w)}, groups=${groups}, stride=[${stride.join(",")}], padding=[${padding.join(",")}].`,
    );
  }
}

function sizesOf(x: TensorType, kernel: Shape, y: TensorType, attrs: ConvAttrs): Convolution {
  const [B, C, H, W] = x.shape as [number, number, number, number];
  const [, O, h, v] = y.shape as [number, number, number, number];
  const { stride, padding, groups } = attrs;
  return { B, C, H, W, O, h, v, kernel, stride, padding, groups, dtype: x.dtype };
}

/** Without it, f32 means TF32 on NVIDIA's GPUs. */
const precision = ({ dtype }: TensorType): string =>
  dtype === "f32"
    ? ", precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]"
    : "";

const DIM_NUMBERS = "dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]";

const convOp: Op<ConvAttrs> = {
  name: "conv",
  doc: "Convolution (cross-correlation): [B,C,H,W] with [O,C/groups,h,w] gives [B,O,H',W'].",
  source: "ONNX Conv; StableHLO convolution",
  traits: ["contraction"],
  infer([x, w], attrs) {
    check("conv", x!, w!, attrs);
    const size = spatial(x!.shape.slice(2), w!.shape.slice(2), attrs);
    if (size.some((d) => d < 1)) {
      throw new UsageError(
        `conv: the kernel must fit the padded image; got ${formatType(x!)} and ${formatType(w!)}.`,
      );
    }
    return [{ dtype: attrs.out, shape: [x!.shape[0]!, w!.shape[0]!, ...size] }];
  },
  reference([x, w], attrs, [y]) {
    const out = new Float64Array(sizeOfShape(y!.shape));
    products(x!.shape, w!.shape, y!.shape, attrs, (xAt, wAt, yAt) => {
      out[yAt]! += x!.data[xAt]! * w!.data[wAt]!;
    });
    return [out];
  },
  vjp([g], { inputs: [x, w], attrs }) {
    const own = { ...attrs, out: x!.dtype };
    const gIn = cast(g!, x!.dtype);
    return [convInputGrad(gIn, w!, x!.shape.slice(2), own), convKernelGrad(x!, gIn, w!.shape.slice(2), own)];
  },
  cost: (inputs, outputs) =>
    contracting(sizeOfShape(outputs[0]!.shape) * sizeOfShape(inputs[1]!.shape.slice(1)), inputs, outputs),
  simplify: "never",
  decompose: "primitive",
  onnx(b, [x, w], attrs, [y]) {
    const sizes = sizesOf(x!, w!.shape.slice(2), y!, attrs);
    return [cheapest(forwardWays, sizes, b.dialect).write(b, [x!.name, w!.name], sizes)];
  },
  stablehlo: (b, [x, w], { stride, padding: p, groups }, [y]) => [
    b.emit(
      `stablehlo.convolution(${x!.name}, ${w!.name}) ${DIM_NUMBERS}, window = {stride = [${stride.join(", ")}], ` +
        `pad = [[${p[0]}, ${p[2]}], [${p[1]}, ${p[3]}]]} {batch_group_count = 1 : i64, feature_group_count = ${groups} : i64${precision(x!)}}` +
        ` : (${b.typeOf(x!)}, ${b.typeOf(w!)}) -> ${b.typeOf(y!)}`,
    ),
  ],
  cases: convCases((x, w, attrs) => ({ inputs: [normal(x, 1), normal(w, 2)], attrs })),
};

function convCases<A>(
  make: (x: Shape, w: Shape, attrs: ConvAttrs, y: Shape) => Pick<Case<A>, "inputs" | "attrs">,
): Case<A>[] {
  const of = (name: string, x: Shape, w: Shape, rest: Omit<ConvAttrs, "out">) => {
    const attrs = full(rest, "f32");
    const y = [x[0]!, w[0]!, ...spatial(x.slice(2), w.slice(2), attrs)];
    return { name, ...make(x, w, attrs, y) };
  };
  const cases = [
    of("3×3, padded", [2, 3, 5, 6], [4, 3, 3, 3], { stride: [1, 1], padding: [1, 1, 1, 1], groups: 1 }),
    of("strided, with a rest", [1, 2, 6, 6], [3, 2, 3, 3], {
      stride: [2, 2],
      padding: [0, 1, 1, 0],
      groups: 1,
    }),
    of("patches", [2, 3, 4, 4], [5, 3, 2, 2], { stride: [2, 2], padding: [0, 0, 0, 0], groups: 1 }),
    of("grouped", [2, 4, 4, 4], [6, 2, 3, 3], { stride: [1, 1], padding: [1, 1, 1, 1], groups: 2 }),
    of("depthwise, strided", [2, 3, 7, 7], [3, 1, 3, 3], {
      stride: [2, 2],
      padding: [1, 1, 1, 1],
      groups: 3,
    }),
    of("1×1", [2, 3, 3, 3], [2, 3, 1, 1], { stride: [1, 1], padding: [0, 0, 0, 0], groups: 1 }),
    of("1×1, strided", [2, 3, 5, 5], [4, 3, 1, 1], { stride: [2, 2], padding: [0, 0, 0, 0], groups: 1 }),
    of("padded by more than the kernel", [1, 2, 3, 4], [3, 2, 2, 2], {
      stride: [1, 1],
      padding: [2, 0, 1, 3],
      groups: 1,
    }),
    of("depthwise in whole blocks", [1, 16, 4, 4], [16, 1, 3, 3], {
      stride: [1, 1],
      padding: [1, 1, 1, 1],
      groups: 16,
    }),
  ];
  // Channels as wide as engines' vectors. Central differences of so many numbers would take long, and show no more.
  const wide = [
    of("whole blocks of channels", [2, 16, 6, 5], [32, 16, 3, 3], {
      stride: [1, 1],
      padding: [1, 1, 1, 1],
      groups: 1,
    }),
    of("whole blocks in groups", [1, 32, 4, 4], [32, 16, 2, 2], {
      stride: [1, 1],
      padding: [1, 0, 0, 1],
      groups: 2,
    }),
    of("few channels into blocks", [1, 3, 9, 9], [16, 3, 3, 3], {
      stride: [2, 2],
      padding: [1, 1, 1, 1],
      groups: 1,
    }),
  ].map((kase) => ({ ...kase, smooth: false }));
  return [...cases, ...wide, inBf16(cases[0]!)];
}

interface ConvGradAttrs extends ConvAttrs {
  /** The size that the gradient has: of the image, or of the kernel. */
  readonly size: readonly number[];
}

const convInputGradOp: Op<ConvGradAttrs> = {
  name: "convInputGrad",
  doc: "The image's cotangent of `conv`: [B,O,H',W'] with [O,C/groups,h,w] gives [B,C,size].",
  source: "ONNX ConvTranspose; StableHLO convolution with lhs_dilate",
  traits: ["contraction"],
  infer([g, w], { size, groups, out }) {
    requireFloat("convInputGrad", g!, w!);
    return [{ dtype: out, shape: [g!.shape[0]!, w!.shape[1]! * groups, ...size] }];
  },
  reference([g, w], attrs, [dx]) {
    const out = new Float64Array(sizeOfShape(dx!.shape));
    products(dx!.shape, w!.shape, g!.shape, attrs, (xAt, wAt, yAt) => {
      out[xAt]! += g!.data[yAt]! * w!.data[wAt]!;
    });
    return [out];
  },
  vjp([c], { inputs: [g, w], attrs }) {
    const own = { ...attrs, out: g!.dtype };
    const cIn = cast(c!, g!.dtype);
    return [conv(cIn, w!, own), convKernelGrad(cIn, g!, w!.shape.slice(2), own)];
  },
  cost: (inputs, outputs) =>
    contracting(sizeOfShape(inputs[0]!.shape) * sizeOfShape(inputs[1]!.shape.slice(1)), inputs, outputs),
  simplify: "never",
  decompose: "primitive",
  onnx(b, [g, w], attrs, [dx]) {
    const sizes = sizesOf(dx!, w!.shape.slice(2), g!, attrs);
    return [cheapest(imageWays, sizes, b.dialect).write(b, [g!.name, w!.name], sizes)];
  },
  stablehlo(b, [g, w], { stride, padding, groups, size }, [dx]) {
    const [O, I, kh, kw] = w!.shape as [number, number, number, number];
    // The grouped kernel [G·o,I,h,w] becomes [o,G·I,h,w]: input and output channels change places within a group.
    let kernel = w!.name;
    let kernelShape: Shape = w!.shape;
    if (groups > 1) {
      const o = O / groups;
      const type = (shape: Shape) => ({ dtype: w!.dtype, shape });
      const split = type([groups, o, I, kh, kw]);
      const swapped = type([o, groups, I, kh, kw]);
      const joined = type([o, groups * I, kh, kw]);
      kernel = b.emit(`stablehlo.reshape ${kernel} : (${b.typeOf(w!)}) -> ${b.typeOf(split)}`);
      kernel = b.emit(
        `stablehlo.transpose ${kernel}, dims = [1, 0, 2, 3, 4] : (${b.typeOf(split)}) -> ${b.typeOf(swapped)}`,
      );
      kernel = b.emit(`stablehlo.reshape ${kernel} : (${b.typeOf(swapped)}) -> ${b.typeOf(joined)}`);
      kernelShape = joined.shape;
    }
    const kernelType = b.typeOf({ dtype: w!.dtype, shape: kernelShape });
    kernel = b.emit(`stablehlo.reverse ${kernel}, dims = [2, 3] : ${kernelType}`);
    const pads = [0, 1].map((i) => {
      const k = [kh, kw][i]!;
      const low = k - 1 - padding[i]!;
      return `[${low}, ${size[i]! + k - 1 - (g!.shape[2 + i]! - 1) * stride[i]! - 1 - low}]`;
    });
    return [
      b.emit(
        `stablehlo.convolution(${g!.name}, ${kernel}) dim_numbers = [b, f, 0, 1]x[i, o, 0, 1]->[b, f, 0, 1], ` +
          `window = {pad = [${pads.join(", ")}], lhs_dilate = [${stride.join(", ")}]} ` +
          `{batch_group_count = 1 : i64, feature_group_count = ${groups} : i64${precision(g!)}} : (${b.typeOf(g!)}, ${kernelType}) -> ${b.typeOf(dx!)}`,
      ),
    ];
  },
  cases: convCases((x, w, attrs, y) => ({
    inputs: [normal(y, 1), normal(w, 2)],
    attrs: { ...attrs, size: x.slice(2) },
  })),
};

const convKernelGradOp: Op<ConvGradAttrs> = {
  name: "convKernelGrad",
  doc: "The kernel's cotangent of `conv`: [B,C,H,W] with [B,O,H',W'] gives [O,C/groups,size].",
  source: "ONNX Conv with batch and channels exchanged; StableHLO convolution with rhs_dilate",
  traits: ["contraction"],
  infer([x, g], { size, groups, out }) {
    requireFloat("convKernelGrad", x!, g!);
    return [{ dtype: out, shape: [g!.shape[1]!, x!.shape[1]! / groups, ...size] }];
  },
  reference([x, g], attrs, [dw]) {
    const out = new Float64Array(sizeOfShape(dw!.shape));
    products(x!.shape, dw!.shape, g!.shape, attrs, (xAt, wAt, yAt) => {
      out[wAt]! += x!.data[xAt]! * g!.data[yAt]!;
    });
    return [out];
  },
  vjp([c], { inputs: [x, g], attrs }) {
    const own = { ...attrs, out: x!.dtype };
    const cIn = cast(c!, x!.dtype);
    return [convInputGrad(g!, cIn, x!.shape.slice(2), own), conv(x!, cIn, own)];
  },
  cost: (inputs, outputs) =>
    contracting(sizeOfShape(inputs[1]!.shape) * sizeOfShape(outputs[0]!.shape.slice(1)), inputs, outputs),
  simplify: "never",
  decompose: "primitive",
  onnx(b, [x, g], attrs) {
    const sizes = sizesOf(x!, attrs.size, g!, attrs);
    return [cheapest(kernelWays, sizes, b.dialect).write(b, [x!.name, g!.name], sizes)];
  },
  stablehlo(b, [x, g], { stride, padding, groups, size }, [dw]) {
    const pads = [0, 1].map((i) => {
      const reach = (g!.shape[2 + i]! - 1) * stride[i]! + size[i]!;
      return `[${padding[i]}, ${reach - x!.shape[2 + i]! - padding[i]!}]`;
    });
    return [
      b.emit(
        `stablehlo.convolution(${x!.name}, ${g!.name}) dim_numbers = [f, b, 0, 1]x[i, o, 0, 1]->[f, b, 0, 1], ` +
          `window = {pad = [${pads.join(", ")}], rhs_dilate = [${stride.join(", ")}]} ` +
          `{batch_group_count = ${groups} : i64, feature_group_count = 1 : i64${precision(x!)}} : (${b.typeOf(x!)}, ${b.typeOf(g!)}) -> ${b.typeOf(dw!)}`,
      ),
    ];
  },
  cases: convCases((x, w, attrs, y) => ({
    inputs: [normal(x, 1), normal(y, 2)],
    attrs: { ...attrs, size: w.slice(2) },
  })),
};

function full(attrs: Partial<ConvAttrs>, out: DType): ConvAttrs {
  const { stride = [1, 1], padding = [0, 0, 0, 0], groups = 1 } = attrs;
  return { stride, padding, groups, out: attrs.out ?? out };
}

/** Images [B,C,H,W] convolved with a kernel [O,C/groups,h,w]. */
export const conv = (x: Tensor, w: Tensor, attrs: Partial<ConvAttrs> = {}): Tensor =>
  apply(convOp, [x, w], full(attrs, x.dtype))[0]!;
/** The cotangent [B,C,size] of the image of `conv`. */
export const convInputGrad = (g: Tensor, w: Tensor, size: Shape, attrs: Partial<ConvAttrs>): Tensor =>
  apply(convInputGradOp, [g, w], { ...full(attrs, g.dtype), size })[0]!;
const convKernelGrad = (x: Tensor, g: Tensor, size: Shape, attrs: Partial<ConvAttrs>): Tensor =>
  apply(convKernelGradOp, [x, g], { ...full(attrs, x.dtype), size })[0]!;

export const convolveOps = [convOp, convInputGradOp, convKernelGradOp];
