/** What an engine that reads ONNX has beside the standard's operators: records ask before they write. */

/** Operators of the domain `com.microsoft`. */
export type FusedOperator = "FusedMatMul" | "FusedConv" | "Gelu" | "QuickGelu";

export interface OnnxDialect {
  /** For messages. */
  readonly name: string;
  /** Operators of the domain `com.microsoft` that it has. */
  readonly fused: readonly FusedOperator[];
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
  /** Whether HardSigmoid is right for slopes near the end of f32's range. */
  readonly hardSigmoid: boolean;
}

/** ONNX Runtime's CPU; how wide its blocks are depends on the processor. */
export const onnxRuntimeDialect = (channelBlock = 0): OnnxDialect => ({
  name: "onnxruntime",
  fused: ["FusedMatMul", "FusedConv", "Gelu", "QuickGelu"],
  channelBlock,
  seesThroughShapes: false,
  mergesReaders: false,
  hardSigmoid: true,
});

/** Any program that reads ONNX: the standard's operators alone. */
export const standardDialect: OnnxDialect = { ...onnxRuntimeDialect(), name: "onnx", fused: [] };

/** OpenVINO's reader: the standard's operators, which its compiler fuses by itself. */
export const openVinoDialect: OnnxDialect = {
  name: "openvino",
  fused: [],
  channelBlock: 0,
  seesThroughShapes: true,
  mergesReaders: true,
  hardSigmoid: false,
};
