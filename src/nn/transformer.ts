/** The pre-norm transformer of CLIP, with open_clip's names. */

import {
  add,
  attention,
  type GeluKind,
  gelu,
  linearMap,
  mul,
  reshape,
  split,
  transpose,
} from "../graph/ops/index.js";
import type { Tensor } from "../graph/tensor.js";
import { rematerialize } from "../graph/trace.js";
import { layerNorm, layerNormSpecs, linear, linearSpecs } from "./layers.js";
import { type Init, type ParameterSpecs, prefixed, type Scope, spec, zeros } from "./parameters.js";

export interface TransformerOptions {
  /** Channels C. */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Hidden units of the MLP. */
  readonly hidden: number;
  readonly gelu: GeluKind;
  readonly epsilon: number;
  readonly causal: boolean;
  /** Whether each residual branch has a learned factor `ls_n.gamma` [C]; its starting value. */
  readonly layerScale: number | null;
  /** Recompute each block in the backward pass instead of keeping its intermediates. */
  readonly rematerialize?: boolean | undefined;
}

/** How the weights of a block start. */
export interface BlockInit {
  readonly inProjection: Init;
  readonly outProjection: Init;
  readonly fc: Init;
  readonly fcBias: Init;
  readonly projection: Init;
  readonly projectionBias: Init;
}

export function transformerSpecs(options: TransformerOptions, init: BlockInit): ParameterSpecs {
  const { width: C, hidden, layers, layerScale } = options;
  const scale = (name: string): ParameterSpecs =>
    layerScale === null ? {} : { [`${name}.gamma`]: spec([C], { kind: "constant", value: layerScale }) };
  const block: ParameterSpecs = {
    ...prefixed("ln_1", layerNormSpecs(C)),
    "attn.in_proj_weight": spec([3 * C, C], init.inProjection),
    "attn.in_proj_bias": spec([3 * C], zeros),
    ...prefixed("attn.out_proj", linearSpecs(C, C, init.outProjection, zeros)),
    ...scale("ls_1"),
    ...prefixed("ln_2", layerNormSpecs(C)),
    ...prefixed("mlp.c_fc", linearSpecs(C, hidden, init.fc, init.fcBias)),
    ...prefixed("mlp.c_proj", linearSpecs(hidden, C, init.projection, init.projectionBias)),
    ...scale("ls_2"),
  };
  return Object.assign({}, ...Array.from({ length: layers }, (_, i) => prefixed(`resblocks.${i}`, block)));
}

/**
 * x [T,B,C] through all blocks. Tokens lie outermost: then heads are cut out of a row without moving it, and the
 * products of attention read queries, keys and values where they lie.
 */
export function transformer(
  p: Scope,
  x: Tensor,
  options: TransformerOptions,
  drop: BranchDrop = (branch) => branch,
): Tensor {
  const step = options.rematerialize ? rematerialize(block) : block;
  let y = x;
  for (let i = 0; i < options.layers; i++) {
    y = step(p.in(`resblocks.${i}`), y, options, (branch, which) => drop(branch, i, which));
  }
  return y;
}

/** What becomes of residual branch `branch` [T,B,C] of a block, 0 attention or 1 MLP, in training: stochastic depth. */
export type BranchDrop = (y: Tensor, block: number, branch: 0 | 1) => Tensor;

/** x + attn(ln_1 x), then + mlp(ln_2 x), each branch times its layer scale. */
function block(
  p: Scope,
  x: Tensor,
  options: TransformerOptions,
  drop: (y: Tensor, branch: 0 | 1) => Tensor,
): Tensor {
  const { epsilon, layerScale } = options;
  const scaled = (y: Tensor, name: string) => (layerScale === null ? y : mul(y, p.in(name).get("gamma")));
  const attended = selfAttention(p.in("attn"), layerNorm(p.in("ln_1"), x, epsilon), options);
  const mixed = add(x, drop(scaled(attended, "ls_1"), 0));
  const mlp = p.in("mlp");
  const hidden = gelu(linear(mlp.in("c_fc"), layerNorm(p.in("ln_2"), mixed, epsilon)), options.gelu);
  return add(mixed, drop(scaled(linear(mlp.in("c_proj"), hidden), "ls_2"), 1));
}

/** Multi-head self-attention of x [T,B,C]; queries, keys and values in one product. */
function selfAttention(p: Scope, x: Tensor, { heads: H, causal }: TransformerOptions): Tensor {
  const [T, B, C] = x.shape as [number, number, number];
  const joint = linearMap(x, p.get("in_proj_weight"), p.get("in_proj_bias")); // [T,B,3C]
  const byHead = (part: Tensor) => transpose(reshape(part, [T, B, H, C / H]), [1, 2, 0, 3]); // [B,H,T,D]
  const [q, k, v] = split(joint, 2, 3).map(byHead);
  const mixed = attention(q!, k!, v!, { causal });
  return linear(p.in("out_proj"), reshape(transpose(mixed, [2, 0, 1, 3]), [T, B, C]));
}
