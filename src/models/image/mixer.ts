/**
 * MLP-Mixer (Tolstikhin et al. 2021, "MLP-Mixer: An all-MLP Architecture for Vision"), with the names, arguments and
 * details of timm's `mlp_mixer.py`.
 */

import { z } from "zod";
import { add, gather, gelu, linearMap, matmul, mean, reshape, transpose } from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { rematerialize } from "../../graph/trace.js";
import { makeDropPath } from "../../nn/drop-path.js";
import { keptPatches, layerNorm, layerNormSpecs, linear, linearSpecs, patches } from "../../nn/layers.js";
import {
  normalInit,
  type ParameterSpecs,
  prefixed,
  type Scope,
  spec,
  truncatedNormalInit,
  uniformInit,
  zeros,
} from "../../nn/parameters.js";
import { blocks, count } from "../config/fields.js";
import { depthByBlocks } from "../depth.js";
import type { TrunkFamily } from "./trunk.js";

/** timm's arguments of `MlpMixer`. */
export interface MixerArgs {
  /** Side of a patch, pixels. */
  readonly patch_size: number;
  readonly num_blocks: number;
  /** Channels C. */
  readonly embed_dim: number;
  /** Hidden units over C: of the MLP over patches, of the MLP over channels. One number is both. Default [0.5, 4]. */
  readonly mlp_ratio: number | readonly [number, number];
  /** True norms the patches' embeddings. timm's default false. */
  readonly stem_norm: boolean;
}

const sized = (patch_size: number, num_blocks: number, embed_dim: number): MixerArgs => ({
  patch_size,
  num_blocks,
  embed_dim,
  mlp_ratio: [0.5, 4],
  stem_norm: false,
});

const ratio = z.number().positive();

const args = z.strictObject({
  patch_size: count,
  num_blocks: blocks,
  embed_dim: count,
  mlp_ratio: z.union([ratio, z.tuple([ratio, ratio]).readonly()]),
  stem_norm: z.boolean(),
});

const EPSILON = 1e-6;

/** Hidden units of the MLP over patches, and of the one over channels. */
function hiddenUnits({ mlp_ratio: r, embed_dim: C }: MixerArgs): [number, number] {
  const [tokens, channels] = typeof r === "number" ? [r, r] : r;
  return [Math.trunc(tokens * C), Math.trunc(channels * C)];
}

function mixerSpecs(a: MixerArgs, P: number): ParameterSpecs {
  const { embed_dim: C, patch_size } = a;
  const [tokens, channels] = hiddenUnits(a);
  const inputs = 3 * patch_size ** 2;
  // timm's `xavier_uniform_` and biases of an MLP.
  const product = (K: number, N: number) =>
    linearSpecs(K, N, uniformInit((6 / (K + N)) ** 0.5), normalInit(1e-6));
  const mlp = (K: number, hidden: number): ParameterSpecs => ({
    ...prefixed("fc1", product(K, hidden)),
    ...prefixed("fc2", product(hidden, K)),
  });
  const block: ParameterSpecs = {
    ...prefixed("norm1", layerNormSpecs(C)),
    ...prefixed("mlp_tokens", mlp(P, tokens)),
    ...prefixed("norm2", layerNormSpecs(C)),
    ...prefixed("mlp_channels", mlp(C, channels)),
  };
  return {
    "stem.proj.weight": spec([C, 3, patch_size, patch_size], truncatedNormalInit(inputs ** -0.5)), // lecun_normal_
    "stem.proj.bias": spec([C], zeros),
    ...(a.stem_norm ? prefixed("stem.norm", layerNormSpecs(C)) : {}),
    ...Object.assign({}, ...Array.from({ length: a.num_blocks }, (_, i) => prefixed(`blocks.${i}`, block))),
    ...prefixed("norm", layerNormSpecs(C)),
  };
}

/**
 * The MLP over patches of those that are seen, x [K,B,C], by numbers `kept` i32[B,K]: with their rows and columns of its
 * weights. What comes in of fewer patches weighs more for it, as in dropout.
 */
function mixKept(p: Scope, x: Tensor, kept: Tensor): Tensor {
  const [fc1, fc2] = [p.in("fc1"), p.in("fc2")];
  const P = fc2.get("bias").shape[0]!;
  const [B, K] = kept.shape as [number, number];
  const inputs = gather(transpose(fc1.get("weight")), kept); // [B,K,T]
  const outputs = gather(fc2.get("weight"), kept); // [B,K,T]
  const sum = matmul(transpose(x, [1, 2, 0]), inputs, { alpha: P / K }); // [B,C,T]
  const mixed = matmul(gelu(add(sum, fc1.get("bias"))), outputs, { transB: true }); // [B,C,K]
  return transpose(add(mixed, reshape(gather(fc2.get("bias"), kept), [B, 1, K])), [2, 0, 1]);
}

/**
 * The MLP over patches, x [P,B,C]. Patches lie outermost: then it is two products with the weights on the left, which
 * read and write what lies in memory as it is.
 */
function mixPatches(p: Scope, x: Tensor): Tensor {
  const [P, B, C] = x.shape as [number, number, number];
  const product = (q: Scope, y: Tensor) => {
    const bias = q.get("bias");
    return add(matmul(q.get("weight"), y), reshape(bias, [bias.shape[0]!, 1]));
  };
  const hidden = gelu(product(p.in("fc1"), reshape(x, [P, B * C]))); // [T,B·C]
  return reshape(product(p.in("fc2"), hidden), [P, B, C]);
}

const mixChannels = (p: Scope, x: Tensor): Tensor => linear(p.in("fc2"), gelu(linear(p.in("fc1"), x)));

export const mixer: TrunkFamily<MixerArgs> = {
  name: "MLP-Mixer",
  source: "arXiv 2105.01601; timm/models/mlp_mixer.py",
  architectures: {
    mixer_s32_224: sized(32, 8, 512),
    mixer_s16_224: sized(16, 8, 512),
    mixer_b32_224: sized(32, 12, 768),
    mixer_b16_224: sized(16, 12, 768),
    mixer_l32_224: sized(32, 24, 1024),
    mixer_l16_224: sized(16, 24, 1024),
  },
  args,
  classifier: "head",
  sizeBound: {
    names: /mlp_tokens/,
    why: "A Mixer's MLPs over patches have weights for each patch; use the size that it was trained with",
  },
  sizeStep: (a) => a.patch_size,
  build(a, { imageSize, dropPath: rate, rematerialize: again }) {
    const { patch_size, embed_dim: C } = a;
    // timm leaves out every branch of a Mixer equally often.
    const dropPath = makeDropPath(rate, a.num_blocks, 2, "constant");
    const P = (imageSize / patch_size) ** 2;
    return {
      parameters: mixerSpecs(a, P),
      tokens: P,
      noise: dropPath.noise,
      width: C,
      depth: depthByBlocks(
        Array.from({ length: a.num_blocks }, (_, i) => [`blocks.${i}`]),
        ["norm"],
      ),
      features(p, images, kept) {
        const block = (q: Scope, x: Tensor, i: number): Tensor => {
          const normed = layerNorm(q.in("norm1"), x, EPSILON);
          const mlp = q.in("mlp_tokens");
          const patchwise = kept === undefined ? mixPatches(mlp, normed) : mixKept(mlp, normed, kept);
          const mixed = add(x, dropPath.apply(p, q, patchwise, i, 0, 1));
          const channelwise = mixChannels(q.in("mlp_channels"), layerNorm(q.in("norm2"), mixed, EPSILON));
          return add(mixed, dropPath.apply(p, q, channelwise, i, 1, 1));
        };
        const step = again ? rematerialize(block) : block;
        const proj = p.in("stem.proj");
        const all = patches(images, patch_size); // [P,B,·]
        const kernel = reshape(proj.get("weight"), [C, 3 * patch_size ** 2]);
        let x = linearMap(kept === undefined ? all : keptPatches(all, kept), kernel, proj.get("bias")); // [K,B,C]
        if (a.stem_norm) x = layerNorm(p.in("stem.norm"), x, EPSILON);
        for (let i = 0; i < a.num_blocks; i++) x = step(p.in(`blocks.${i}`), x, i);
        return mean(layerNorm(p.in("norm"), x, EPSILON), 0); // [B,C]
      },
    };
  },
};
