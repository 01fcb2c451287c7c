/** What an engine that reads ONNX has beside the standard's operators: records ask before they write. */

/** Operators of the domain `com.microsoft`. */
export type FusedOperator = "FusedMatMul" | "FusedConv" | "Gelu" | "QuickGelu";

/**
 * How fast an engine is at what lowerings choose between: multiply-adds, or elements moved, in a nanosecond on two cores.
 * Only the ratios matter.
 */
export interface Rates {
  /** Gemm. */
  readonly gemm: number;
  /** Conv by columns and Gemm, where windows overlap. */
  readonly columns: number;
  /** ConvTranspose. */
  readonly spread: number;
  /** Conv that sums over a whole image into a few numbers. */
  readonly intoKernel: number;
  /** Conv of one channel into one. */
  readonly depthwise: number;
  /** ConvTranspose of one channel into one. */
  readonly spreadDepthwise: number;
  /** The same with strides, in f32 and in bf16. */
  readonly spreadDepthwiseApart: number;
  readonly spreadDepthwiseApartRounded: number;
  /** Conv of one channel into one that sums over a whole image. */
  readonly intoDepthwiseKernel: number;
  /** Conv in blocks of channels: all three where there are some. */
  readonly blocked: number;
  readonly blockedDepthwise: number;
  readonly blockedIntoKernel: number;
  /** Runs of elements: Slice, Pad, Concat, Transpose. */
  readonly copy: number;
  /** Elements one by one: Slice and Transpose that take the innermost axis apart. */
  readonly scatteredCopy: number;
  /** Into and out of blocks of channels. */
  readonly reorder: number;
  /** ReduceSum. */
  readonly sum: number;
  /** ScatterElements that adds, with the indices that MaxPool gives. */
  readonly scatterAdd: number;
  /** Results written, or kernels read anew for every image, beside the multiply-adds. */
  readonly stream: number;
}

/** What an engine may lack of the standard: operators, and operators on i64 other than those that make or take indices. */
export type Lacked = "LogSoftmax" | "Or" | "Sign" | "SpaceToDepth" | "i64";

export interface OnnxDialect {
  /** For messages. */
  readonly name: string;
  /** Operators of the domain `com.microsoft` that it has. */
  readonly fused: readonly FusedOperator[];
  readonly lacks: readonly Lacked[];
  /** Channels in a block of the domain `com.microsoft.nchwc`, whose images' channels come in blocks; 0: not there. */
  readonly channelBlock: number;
  /** Whether what only shapes depend on is worked out before the program runs, so that it orders nothing. */
  readonly seesThroughShapes: boolean;
  /**
   * Whether its compiler makes one kernel of all that reads a number worked out in the program, over the product of the
   * readers' shapes where these broadcast: an update of a 1×1 kernel [O,I,1,1] with one of a matrix [M,N] then takes
   * O·I·M·N steps.
   */
  readonly mergesReaders: boolean;
  /** Whether Gemm costs no more than MatMul: a factor of one may be multiplied by after all. */
  readonly prefersGemm: boolean;
  /** Whether what leads to a reduction costs no pass over memory of its own. */
  readonly fusesIntoReductions: boolean;
  /** Whether HardSigmoid is right for slopes near the end of f32's range. */
  readonly hardSigmoid: boolean;
  readonly rates: Rates;
}

/** ONNX Runtime 1.30 on two cores of a Zen 5. */
const onnxRuntimeRates: Rates = {
  gemm: 95,
  columns: 65,
  spread: 65,
  intoKernel: 22,
  depthwise: 3,
  spreadDepthwise: 1.5,
  spreadDepthwiseApart: 1.5,
  spreadDepthwiseApartRounded: 1.5,
  intoDepthwiseKernel: 2,
  blocked: 110,
  blockedDepthwise: 25,
  blockedIntoKernel: 9,
  copy: 1,
  scatteredCopy: 0.3,
  reorder: 2.5,
  sum: 2,
  scatterAdd: 0.05,
  stream: 10,
};

/** OpenVINO 2026.4.1 on two cores of a Zen 4, fitted to what it takes in f32 and in bf16. It has no blocks. */
const openVinoRates: Rates = {
  gemm: 95,
  columns: 37,
  spread: 63,
  intoKernel: 22,
  depthwise: 6,
  spreadDepthwise: 4.7,
  spreadDepthwiseApart: 4,
  spreadDepthwiseApartRounded: 0.1,
  intoDepthwiseKernel: 0.17,
  blocked: 0,
  blockedDepthwise: 0,
  blockedIntoKernel: 0,
  copy: 1.3,
  scatteredCopy: 0.32,
  reorder: 0,
  sum: 1.8,
  scatterAdd: 0.003,
  stream: 0.8,
};

/** ONNX Runtime's CPU; how wide its blocks are depends on the processor. */
export const onnxRuntimeDialect = (channelBlock = 0): OnnxDialect => ({
  name: "onnxruntime",
  fused: ["FusedMatMul", "FusedConv", "Gelu", "QuickGelu"],
  lacks: [],
  channelBlock,
  seesThroughShapes: false,
  mergesReaders: false,
  prefersGemm: true,
  fusesIntoReductions: true,
  hardSigmoid: true,
  rates: onnxRuntimeRates,
});

/** Any program that reads ONNX: the standard's operators alone. */
export const standardDialect: OnnxDialect = { ...onnxRuntimeDialect(), name: "onnx", fused: [] };

/** OpenVINO's reader: the standard's operators, which its compiler fuses by itself. */
export const openVinoDialect: OnnxDialect = {
  name: "openvino",
  fused: [],
  lacks: [],
  channelBlock: 0,
  seesThroughShapes: true,
  mergesReaders: true,
  prefersGemm: false,
  fusesIntoReductions: false,
  hardSigmoid: false,
  rates: openVinoRates,
};

/**
 * ONNX Runtime's provider for WebGPU, as version 1.30 has it: what it lacks is computed by the processor, with a copy to it and
 * back. Its rates have not been measured on any GPU: they are those of ONNX Runtime's CPU.
 */
export const webGpuDialect: OnnxDialect = {
  name: "webgpu",
  fused: ["Gelu", "QuickGelu"],
  lacks: ["LogSoftmax", "Or", "Sign", "SpaceToDepth", "i64"],
  channelBlock: 0,
  // Shapes are worked out on the processor.
  seesThroughShapes: true,
  mergesReaders: false,
  prefersGemm: true,
  fusesIntoReductions: true,
  hardSigmoid: false,
  rates: onnxRuntimeRates,
};
