/** Swin Transformers: attention within windows, every second time shifted ones, over four grids (timm's swin_transformer.py). */

import { z } from "zod";
import {
  add,
  constant,
  equal,
  gather,
  gelu,
  linearMap,
  matmul,
  mean,
  pickRows,
  reshape,
  softmax,
  split,
  transpose,
  where,
} from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { rematerialize } from "../../graph/trace.js";
import { type DropPath, makeDropPath } from "../../nn/drop-path.js";
import { layerNorm, layerNormSpecs, linear, linearSpecs, patches } from "../../nn/layers.js";
import {
  normalInit,
  type ParameterSpecs,
  prefixed,
  type Scope,
  spec,
  uniformInit,
  zeros,
} from "../../nn/parameters.js";
import { makeWindows, quarters, relativeOffsets, type Windows } from "../../nn/windows.js";
import { blocks, count } from "../config/fields.js";
import { depthByBlocks } from "../depth.js";
import type { TrunkFamily } from "./trunk.js";

/** Arguments of timm's `SwinTransformer`. */
export interface SwinArgs {
  /** Side of a patch, pixels. */
  readonly patch_size: number;
  /** Side of the windows, tokens: of all stages, or of each. A grid that is not larger is one window. */
  readonly window_size: number | readonly number[];
  /** Channels of the first stage; they double from stage to stage. */
  readonly embed_dim: number;
  /** Blocks of each stage; the grid's side halves, rounded up, from stage to stage. */
  readonly depths: readonly number[];
  /** Attention heads of each stage. */
  readonly num_heads: readonly number[];
  readonly mlp_ratio: number;
  /** Whether queries, keys and values have a bias. */
  readonly qkv_bias: boolean;
  /** True: windows keep their size and shift on grids that are not larger, which they pad. */
  readonly always_partition: boolean;
}

const EPSILON = 1e-5;
/** timm truncates at ±2, which is a hundred deviations. */
const trunc = normalInit(0.02);

const args = z
  .strictObject({
    patch_size: count,
    window_size: z.union([count, z.array(count)]),
    embed_dim: count,
    depths: z.array(blocks).min(1),
    num_heads: z.array(count),
    mlp_ratio: z.number().positive(),
    qkv_bias: z.boolean(),
    always_partition: z.boolean(),
  })
  .superRefine(({ window_size, embed_dim, depths, num_heads }, context) => {
    const refuse = (key: string, message: string) =>
      context.addIssue({ code: "custom", path: [key], message });
    if (num_heads.length !== depths.length) refuse("num_heads", "needs one number for each of depths");
    num_heads.forEach((heads, i) => {
      if ((embed_dim * 2 ** i) % heads !== 0) {
        refuse("num_heads", `stage ${i} has ${embed_dim * 2 ** i} channels, which its heads must divide`);
      }
    });
    if (typeof window_size === "number") return;
    if (window_size.length !== depths.length)
      refuse("window_size", "needs one number, or one for each of depths");
    // timm takes two numbers for the height and width of all windows.
    if (window_size.length === 2) refuse("window_size", "two stages need one number for both");
  });

/** A block with all that follows from the image's size. */
interface Block {
  readonly name: string;
  /** Channels C. */
  readonly width: number;
  readonly heads: number;
  /** Hidden units of the MLP. */
  readonly hidden: number;
  /** Side of the windows. */
  readonly window: number;
  /** Side of the windows whose offsets have a learned number: `window`, or more where the images are smaller. */
  readonly learned: number;
  readonly windows: Windows;
  /** The grid's token at each place of the stream: that of the windows, or row by row where they are padded. */
  readonly order: readonly number[];
}

interface Stage {
  readonly name: string;
  readonly width: number;
  readonly blocks: readonly Block[];
}

const rowByRow = (n: number): number[] => Array.from({ length: n * n }, (_, i) => i);

/** Stages for a first grid of `side` × `side` tokens, with the parameters of `fullSide` × `fullSide`. */
function makeStages(a: SwinArgs, side: number, fullSide: number): Stage[] {
  return a.depths.map((depth, i) => {
    const n = Math.ceil(side / 2 ** i);
    const width = a.embed_dim * 2 ** i;
    const target = typeof a.window_size === "number" ? a.window_size : a.window_size[i]!;
    const windowOf = (grid: number) => (a.always_partition ? target : Math.min(target, grid));
    const window = windowOf(n);
    const learned = windowOf(Math.ceil(fullSide / 2 ** i));
    const name = `layers.${i}`;
    const blocks = Array.from({ length: depth }, (_, j): Block => {
      const shifts = j % 2 === 1 && (a.always_partition || n > window);
      const windows = makeWindows(n, window, shifts ? Math.floor(target / 2) : 0);
      return {
        name: `${name}.blocks.${j}`,
        width,
        heads: a.num_heads[i]!,
        hidden: Math.trunc(width * a.mlp_ratio),
        window,
        learned,
        windows,
        order: windows.padded ? rowByRow(n) : windows.tokens,
      };
    });
    return { name, width, blocks };
  });
}

/** Parameters below `trunk.`, starting as timm starts them. */
function swinSpecs(a: SwinArgs, stages: readonly Stage[]): ParameterSpecs {
  const inputs = 3 * a.patch_size ** 2;
  // PyTorch's default of a convolution, which timm leaves.
  const bound = uniformInit(inputs ** -0.5);
  const dense = (K: number, N: number) => linearSpecs(K, N, trunc, zeros);
  const blockSpecs = ({ width: C, heads, hidden, learned }: Block): ParameterSpecs => ({
    ...prefixed("norm1", layerNormSpecs(C)),
    "attn.relative_position_bias_table": spec([(2 * learned - 1) ** 2, heads], trunc),
    ...prefixed("attn.qkv", linearSpecs(C, 3 * C, trunc, a.qkv_bias ? zeros : undefined)),
    ...prefixed("attn.proj", dense(C, C)),
    ...prefixed("norm2", layerNormSpecs(C)),
    ...prefixed("mlp.fc1", dense(C, hidden)),
    ...prefixed("mlp.fc2", dense(hidden, C)),
  });
  const merging = ({ name, width: C }: Stage): ParameterSpecs => ({
    ...prefixed(`${name}.downsample.norm`, layerNormSpecs(2 * C)),
    ...prefixed(`${name}.downsample.reduction`, linearSpecs(2 * C, C, trunc)),
  });
  return {
    "patch_embed.proj.weight": spec([a.embed_dim, 3, a.patch_size, a.patch_size], bound),
    "patch_embed.proj.bias": spec([a.embed_dim], bound),
    ...prefixed("patch_embed.norm", layerNormSpecs(a.embed_dim)),
    ...Object.assign({}, ...stages.slice(1).map(merging)),
    ...Object.assign(
      {},
      ...stages.flatMap(({ blocks }) => blocks.map((b) => prefixed(b.name, blockSpecs(b)))),
    ),
    ...prefixed("norm", layerNormSpecs(stages.at(-1)!.width)),
  };
}

/** x, whose rows are the grid's tokens `from`, with its tokens `to` as rows; -1 are rows without a token, zeros. */
function arrange(x: Tensor, from: readonly number[], to: readonly number[]): Tensor {
  const places = new Map([...from.entries()].map(([place, token]) => [token, place]));
  return pickRows(
    x,
    to.map((token) => (token === -1 ? -1 : places.get(token)!)),
  );
}

/** Each 2 × 2 tokens of x [N,B,C] side by side, normed and mapped: [⌈√N/2⌉²,B,2C] in the order `to`. */
function mergePatches(p: Scope, x: Tensor, from: readonly number[], to: readonly number[]): Tensor {
  const [N, B, C] = x.shape as [number, number, number];
  const parts = quarters(Math.sqrt(N)).map((part) => to.map((token) => part[token]!));
  const picked = reshape(arrange(x, from, parts.flat()), [4, to.length, B, C]);
  const joined = reshape(transpose(picked, [1, 2, 0, 3]), [to.length, B, 4 * C]);
  return linear(p.in("reduction"), layerNorm(p.in("norm"), joined, EPSILON), { bias: false });
}

/**
 * What is added to the scores, [1 or G,1,H,T,T]: a learned number for each offset between two tokens, and −∞ where they
 * do not see each other. timm has -100 there: its weights of e^-100 are denormal numbers, which slow products down.
 */
function scoreBias(p: Scope, { heads: H, window, learned, windows }: Block): Tensor {
  const { area: T, count: G, regions } = windows;
  const offsets = constant(relativeOffsets(window, learned), { dtype: "i32" });
  const table = p.get("relative_position_bias_table", [(2 * learned - 1) ** 2, H]);
  const position = reshape(transpose(gather(table, offsets)), [1, 1, H, T, T]);
  if (regions === undefined) return position;
  const region = constant(regions, { dtype: "i32" });
  const visible = equal(reshape(region, [G, 1, 1, T, 1]), reshape(region, [G, 1, 1, 1, T]));
  return add(position, where(visible, constant(0), constant(Number.NEGATIVE_INFINITY)));
}

/** Attention within windows of x [G·T,B,C]: G windows of T tokens. */
function windowAttention(p: Scope, x: Tensor, block: Block, qkvBias: boolean): Tensor {
  const { heads: H } = block;
  const { area: T, count: G } = block.windows;
  const [, B, C] = x.shape as [number, number, number];
  const D = C / H;
  const joint = linear(p.in("qkv"), x, { bias: qkvBias }); // [G·T,B,3C]
  const byHead = (part: Tensor) =>
    reshape(transpose(reshape(part, [G, T, B, H, D]), [0, 2, 3, 1, 4]), [G * B, H, T, D]);
  const [q, k, v] = split(joint, 2, 3).map(byHead) as [Tensor, Tensor, Tensor]; // [G·B,H,T,D]
  const bias = scoreBias(p, block);
  // With one bias for all windows, they need no axis of their own.
  const groups = bias.shape[0]!;
  const scores = matmul(q, k, { transB: true, alpha: D ** -0.5 });
  const seen = add(reshape(scores, [groups, (G * B) / groups, H, T, T]), bias);
  const mixed = matmul(softmax(reshape(seen, [G * B, H, T, T])), v); // [G·B,H,T,D]
  const byToken = transpose(reshape(mixed, [G, B, H, T, D]), [0, 3, 1, 2, 4]);
  return linear(p.in("proj"), reshape(byToken, [G * T, B, C]));
}

/** x [N,B,C] in the block's order: + attn(norm1 x), then + mlp(norm2 x), each branch sometimes left out. */
function runBlock(p: Scope, x: Tensor, block: Block, index: number, qkvBias: boolean, dropPath: DropPath) {
  const { windows, order, name } = block;
  const own = p.in(name);
  const normed = layerNorm(own.in("norm1"), x, EPSILON);
  // Padding is zeros after the norm, and counts among the keys.
  const windowed = windows.padded ? arrange(normed, order, windows.tokens) : normed;
  const attended = windowAttention(own.in("attn"), windowed, block, qkvBias);
  const back = windows.padded ? arrange(attended, windows.tokens, order) : attended;
  const mixed = add(x, dropPath.apply(p, own, back, index, 0, 1));
  const hidden = gelu(linear(own.in("mlp.fc1"), layerNorm(own.in("norm2"), mixed, EPSILON)));
  return add(mixed, dropPath.apply(p, own, linear(own.in("mlp.fc2"), hidden), index, 1, 1));
}

function swinFeatures(
  p: Scope,
  images: Tensor,
  a: SwinArgs,
  stages: readonly Stage[],
  dropPath: DropPath,
  recompute: boolean | undefined,
): Tensor {
  const step = recompute ? rematerialize(runBlock) : runBlock;
  // Everything but attention and merging treats tokens alike, so that the stream itself lies in the order of the
  // windows: one move between two blocks, none before a branch and after it.
  let order = stages[0]!.blocks[0]!.order;
  const embed = p.in("patch_embed");
  const kernel = reshape(embed.in("proj").get("weight"), [a.embed_dim, 3 * a.patch_size ** 2]);
  const tokens = pickRows(patches(images, a.patch_size), order);
  let x = layerNorm(embed.in("norm"), linearMap(tokens, kernel, embed.in("proj").get("bias")), EPSILON); // [N,B,C]
  let index = 0;
  stages.forEach(({ name, blocks }, i) => {
    if (i > 0) {
      x = mergePatches(p.in(`${name}.downsample`), x, order, blocks[0]!.order);
      order = blocks[0]!.order;
    }
    for (const block of blocks) {
      x = step(p, arrange(x, order, block.order), block, index++, a.qkv_bias, dropPath);
      order = block.order;
    }
  });
  return mean(layerNorm(p.in("norm"), x, EPSILON), 0);
}

/** Arguments of timm's architectures where they do not differ. */
const usual = {
  patch_size: 4,
  window_size: 7,
  mlp_ratio: 4,
  qkv_bias: true,
  always_partition: false,
} as const;
const tiny = { ...usual, embed_dim: 96, depths: [2, 2, 6, 2], num_heads: [3, 6, 12, 24] } as const;
const small = { ...tiny, depths: [2, 2, 18, 2] } as const;
const base = { ...small, embed_dim: 128, num_heads: [4, 8, 16, 32] } as const;
const large = { ...small, embed_dim: 192, num_heads: [6, 12, 24, 48] } as const;

export const swin: TrunkFamily<SwinArgs> = {
  name: "Swin",
  source: "Liu et al. 2021, arXiv:2103.14030; timm swin_transformer.py",
  architectures: {
    swin_tiny_patch4_window7_224: tiny,
    swin_small_patch4_window7_224: small,
    swin_base_patch4_window7_224: base,
    swin_base_patch4_window12_384: { ...base, window_size: 12 },
    swin_large_patch4_window7_224: large,
    swin_large_patch4_window12_384: { ...large, window_size: 12 },
    // Chen et al. 2021, arXiv:2111.14725
    swin_s3_tiny_224: { ...tiny, window_size: [7, 7, 14, 7] },
    swin_s3_small_224: { ...small, window_size: [14, 14, 14, 7] },
    swin_s3_base_224: { ...tiny, depths: [2, 2, 30, 2], window_size: [7, 7, 14, 7] },
  },
  args,
  dropPath: 0.1,
  classifier: "head.fc",
  sizeBound: {
    names: /relative_position_bias_table$/,
    why: "A Swin's windows have a learned number for each offset within them, and smaller images have smaller windows; use the size that it was trained with",
  },
  sizeStep: ({ patch_size }) => patch_size,
  build(a, { imageSize, fullSize = imageSize, dropPath: rate, rematerialize: recompute }) {
    const stages = makeStages(a, imageSize / a.patch_size, fullSize / a.patch_size);
    const blocks = a.depths.reduce((n, depth) => n + depth, 0);
    const dropPath = makeDropPath(rate, blocks, 2);
    return {
      parameters: swinSpecs(a, stages),
      noise: dropPath.noise,
      width: stages.at(-1)!.width,
      depth: depthByBlocks(
        stages.flatMap(({ name, blocks: own }) =>
          own.map((block, j) => (j === 0 ? [block.name, `${name}.downsample`] : [block.name])),
        ),
        ["norm"],
      ),
      features: (p, images) => swinFeatures(p, images, a, stages, dropPath, recompute),
    };
  },
};
