/**
 * cuDNN's fused attention as XLA takes it: the custom calls `__cudnn$fmhaSoftmax` and `__cudnn$fmhaSoftmaxBackward`,
 * whose configuration is JSON of the message CudnnfMHABackendConfig (xla/service/gpu/backend_configs.proto). The
 * form is that which JAX 0.10 lowers to for operands [B,H,T,D] (jax/_src/cudnn/fused_attention_stablehlo.py).
 */

import type { TensorType } from "../../core/shape.js";
import type { Arg, StableHloContext } from "../emit/context.js";
import type { DeviceKind } from "../op.js";

interface Attributes {
  readonly causal: boolean;
  readonly scale: number;
}

/** The kernels' tiles hold 64 rows or more; below half of that they are mostly padding. Not measured. */
const SHORTEST = 32;

/** bf16 from Ampere on; head sizes in steps of 8 to 128, from Hopper on to 256. */
export function cudnnFits(
  { platform, computeCapability = 0 }: DeviceKind,
  [q]: readonly TensorType[],
): boolean {
  const [, , T = 0, D = 0] = q!.shape;
  return (
    platform === "cuda" &&
    computeCapability >= 8 &&
    q!.dtype === "bf16" &&
    T >= SHORTEST &&
    D % 8 === 0 &&
    D > 0 &&
    D <= (computeCapability >= 9 ? 256 : 128)
  );
}

/** Contracted axes of the left and the right operand; the batch axes are always B and H. */
const products = {
  forward: {
    bmm1_dot_dimension_numbers: [3, 3], // Q Kᵀ
    bmm2_dot_dimension_numbers: [3, 2], // P V
  },
  backward: {
    bmm1_grad_gemm1_dot_dimension_numbers: [2, 2], // dSᵀ Q
    bmm1_grad_gemm2_dot_dimension_numbers: [3, 2], // dS K
    bmm2_grad_gemm1_dot_dimension_numbers: [2, 2], // Pᵀ dY
    bmm2_grad_gemm2_dot_dimension_numbers: [3, 3], // dY Vᵀ
  },
} as const;

const targets = { forward: "__cudnn$fmhaSoftmax", backward: "__cudnn$fmhaSoftmaxBackward" } as const;

/** The configuration of a call on queries of type [B,H,T,D]. */
export function cudnnConfig(
  pass: "forward" | "backward",
  { shape }: TensorType,
  { causal, scale }: Attributes,
): object {
  const [B, H, T] = shape as [number, number, number];
  const numbers = Object.entries(products[pass]).map(([name, [left, right]]) => [
    name,
    {
      lhs_contracting_dimensions: [`${left}`],
      rhs_contracting_dimensions: [`${right}`],
      lhs_batch_dimensions: ["0", "1"],
      rhs_batch_dimensions: ["0", "1"],
    },
  ]);
  return {
    operation_queue_id: "0",
    cudnn_fmha_backend_config: {
      algorithm: {
        algo_id: "0",
        math_type: "TENSOR_OP_MATH",
        tuning_knobs: { "17": "1", "24": "0" },
        is_cudnn_frontend: true,
        workspace_size: "0",
      },
      fmha_scale: scale,
      // The scores, which only exist tile by tile.
      intermediate_tensor_shape: {
        element_type: "BF16",
        dimensions: [B, H, T, T].map(String),
        tuple_shapes: [],
        layout: {
          dim_level_types: [],
          dim_unique: [],
          dim_ordered: [],
          minor_to_major: ["3", "2", "1", "0"],
          tiles: [],
          element_size_in_bits: "0",
          memory_space: "0",
          index_primitive_type: "PRIMITIVE_TYPE_INVALID",
          pointer_primitive_type: "PRIMITIVE_TYPE_INVALID",
          dynamic_shape_metadata_prefix_bytes: "0",
        },
        is_dynamic_dimension: [false, false, false, false],
      },
      is_flash_attention: true,
      mask_type: causal ? "CAUSAL" : "NO_MASK",
      ...Object.fromEntries(numbers),
      dropout_rate: 0,
      seed: 42,
      sliding_window_length: 0,
      max_seg_per_batch: 1,
      is_paged_attention: false,
    },
  };
}

/** Row-major, in XLA's words: axes from the fastest to the slowest. */
const layoutOf = ({ shape }: { readonly shape: readonly number[] }): string =>
  `dense<${shape.length === 1 ? "0" : `[${shape.map((_, i) => shape.length - 1 - i).join(", ")}]`}> : tensor<${shape.length}xindex>`;

/** The call on Q, K, V, or backward on Q, K, V, statistics, dY, Y; names of its results but the workspace. */
export function cudnnAttention(
  b: StableHloContext,
  pass: "forward" | "backward",
  args: readonly Arg[],
  attrs: Attributes,
  outputs: readonly TensorType[],
): string[] {
  // XLA finds out how large the workspace must be.
  const results = [...outputs, { dtype: "u8", shape: [0] } as const];
  const config = JSON.stringify(cudnnConfig(pass, args[0]!, attrs)).replaceAll('"', "\\22");
  const name = b.emit(
    `stablehlo.custom_call @${targets[pass]}(${args.map((x) => x.name).join(", ")}) ` +
      `{api_version = 2 : i32, backend_config = "${config}", ` +
      `operand_layouts = [${args.map(layoutOf).join(", ")}], ` +
      `result_layouts = [${results.map(layoutOf).join(", ")}]} : ` +
      `(${args.map((x) => b.typeOf(x)).join(", ")}) -> (${results.map((t) => b.typeOf(t)).join(", ")})`,
    results.length,
  );
  return outputs.map((_, i) => `${name}#${i}`);
}
