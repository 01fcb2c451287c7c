/** Residual networks (He et al. 2016) as timm builds them: batch norm, strides in the 3×3 convolutions, mean pooling. */

import { z } from "zod";
import { add, avgPool, constant, conv, maxPool, mean, mul, relu } from "../../graph/ops/index.js";
import type { Tensor } from "../../graph/tensor.js";
import { rematerialize } from "../../graph/trace.js";
import { batchNorm, batchNormSpecs, type Declared, declare } from "../../nn/batch-norm.js";
import { type DropPath, makeDropPath } from "../../nn/drop-path.js";
import { normalInit, ones, type ParameterSpecs, type Scope, spec, zeros } from "../../nn/parameters.js";
import { blocks, count } from "../config/fields.js";
import { depthByBlocks } from "../depth.js";
import type { Trunk, TrunkContext, TrunkFamily } from "./trunk.js";

/** Arguments of timm's `ResNet`. Those with a default there may be left out. */
export interface ResNetArgs {
  /** `"BasicBlock"`: two 3×3 convolutions. `"Bottleneck"`: 1×1, 3×3, 1×1, the last four times as wide. */
  readonly block: "BasicBlock" | "Bottleneck";
  /** Blocks of the four stages. */
  readonly layers: readonly [number, number, number, number];
  /** Planes of the four stages. Default 64, 128, 256, 512. */
  readonly channels?: readonly [number, number, number, number];
  /** A bottleneck is `planes · base_width / 64 · cardinality` wide. Default 64. */
  readonly base_width?: number;
  /** Groups of a bottleneck's 3×3 convolution. Default 1. */
  readonly cardinality?: number;
  /**
   * `""`, the default: one 7×7 convolution to 64 channels. `"deep"`: three 3×3 to `stem_width`, `stem_width` and twice
   * that; `"deep_tiered"` with the first three quarters as wide. Narrow networks need one of the latter two.
   */
  readonly stem_type?: "" | "deep" | "deep_tiered";
  /** Default 64. */
  readonly stem_width?: number;
  /** True: a 3×3 convolution of stride 2 for the stem's max pooling. Default false. */
  readonly replace_stem_pool?: boolean;
  /** True: the shortcut is pooled by the mean before its 1×1 convolution, not subsampled by it. Default false. */
  readonly avg_down?: boolean;
  /** The last norm of a residual branch starts at zero, so that the block starts as its shortcut. Default true. */
  readonly zero_init_last?: boolean;
}

type Complete = { readonly [K in keyof ResNetArgs]-?: Exclude<ResNetArgs[K], undefined> };

const defaults = {
  channels: [64, 128, 256, 512],
  base_width: 64,
  cardinality: 1,
  stem_type: "",
  stem_width: 64,
  replace_stem_pool: false,
  avg_down: false,
  zero_init_last: true,
} as const;

const args = z
  .strictObject({
    block: z.enum(["BasicBlock", "Bottleneck"]),
    layers: z.tuple([blocks, blocks, blocks, blocks]),
    channels: z.tuple([count, count, count, count]).exactOptional(),
    base_width: count.exactOptional(),
    cardinality: count.exactOptional(),
    stem_type: z.enum(["", "deep", "deep_tiered"]).exactOptional(),
    stem_width: count.exactOptional(),
    replace_stem_pool: z.boolean().exactOptional(),
    avg_down: z.boolean().exactOptional(),
    zero_init_last: z.boolean().exactOptional(),
  })
  .refine(
    ({ block, base_width = 64, cardinality = 1 }) =>
      block === "Bottleneck" || base_width * cardinality === 64,
    {
      path: ["base_width"],
      error: "a BasicBlock has base_width 64 and cardinality 1",
    },
  );

/** A convolution followed by a batch norm. */
interface Layer {
  readonly conv: string;
  readonly norm: string;
  readonly in: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
  /** Whether its norm's weight starts at zero. */
  readonly zero?: boolean;
}

interface Block {
  /** Below the trunk, e.g. `layer1.0`. */
  readonly name: string;
  readonly layers: readonly Layer[];
  readonly shortcut: Layer | undefined;
  /** Side of the mean pooling before the shortcut's convolution. */
  readonly pool: number;
}

interface Plan {
  readonly stem: readonly Layer[];
  /** A convolution in the place of the stem's max pooling. */
  readonly stemPool: Layer | undefined;
  readonly blocks: readonly Block[];
  readonly width: number;
}

function planStem({
  stem_type,
  stem_width: w,
  replace_stem_pool,
}: Complete): Pick<Plan, "stem" | "stemPool"> {
  const deep = stem_type !== "";
  const first = stem_type === "deep_tiered" ? 3 * Math.floor(w / 4) : w;
  const out = deep ? 2 * w : 64;
  const stem: Layer[] = deep
    ? [
        { conv: "conv1.0", norm: "conv1.1", in: 3, out: first, kernel: 3, stride: 2 },
        { conv: "conv1.3", norm: "conv1.4", in: first, out: w, kernel: 3 },
        { conv: "conv1.6", norm: "bn1", in: w, out, kernel: 3 },
      ]
    : [{ conv: "conv1", norm: "bn1", in: 3, out, kernel: 7, stride: 2 }];
  const stemPool: Layer | undefined = replace_stem_pool
    ? { conv: "maxpool.0", norm: "maxpool.1", in: out, out, kernel: 3, stride: 2 }
    : undefined;
  return { stem, stemPool };
}

function planBlock(a: Complete, name: string, planes: number, from: number, stride: number): Block {
  const zero = a.zero_init_last;
  const groups = a.cardinality;
  const inner = Math.floor((planes * a.base_width) / 64) * groups;
  const layers: Layer[] =
    a.block === "BasicBlock"
      ? [
          { conv: "conv1", norm: "bn1", in: from, out: planes, kernel: 3, stride },
          { conv: "conv2", norm: "bn2", in: planes, out: planes, kernel: 3, zero },
        ]
      : [
          { conv: "conv1", norm: "bn1", in: from, out: inner, kernel: 1 },
          { conv: "conv2", norm: "bn2", in: inner, out: inner, kernel: 3, stride, groups },
          { conv: "conv3", norm: "bn3", in: inner, out: 4 * planes, kernel: 1, zero },
        ];
  const { out } = layers.at(-1)!;
  const pool = a.avg_down ? stride : 1;
  // With mean pooling the Sequential is pool, convolution, norm; without, convolution, norm.
  const [at, after] = a.avg_down ? [1, 2] : [0, 1];
  const shortcut =
    stride === 1 && from === out
      ? undefined
      : {
          conv: `downsample.${at}`,
          norm: `downsample.${after}`,
          in: from,
          out,
          kernel: 1,
          stride: stride / pool,
        };
  return { name, layers, shortcut, pool };
}

function planOf(own: ResNetArgs): Plan {
  const a: Complete = { ...defaults, ...own };
  const stem = planStem(a);
  let from = stem.stem.at(-1)!.out;
  const blocks = a.layers.flatMap((depth, stage) =>
    Array.from({ length: depth }, (_, i) => {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const block = planBlock(a, `layer${stage + 1}.${i}`, a.channels[stage]!, from, stride);
      from = block.layers.at(-1)!.out;
      return block;
    }),
  );
  return { ...stem, blocks, width: from };
}

/** Kernels start normal by He's rule over what leaves them. */
function layerSpecs({
  conv: name,
  norm,
  in: C,
  out: O,
  kernel: k,
  groups = 1,
  zero = false,
}: Layer): Declared {
  return declare({
    [name]: { weight: spec([O, C / groups, k, k], normalInit(Math.sqrt(2 / (O * k * k)))) },
    [norm]: batchNormSpecs(O, zero ? zeros : ones),
  });
}

const together = (all: readonly Declared[]): Declared => ({
  parameters: Object.assign({}, ...all.map((d) => d.parameters)) as ParameterSpecs,
  statistics: Object.assign({}, ...all.map((d) => d.statistics)) as ParameterSpecs,
});

function specsOf({ stem, stemPool, blocks }: Plan): Declared {
  const outer = stemPool === undefined ? stem : [...stem, stemPool];
  return together([
    ...outer.map(layerSpecs),
    ...blocks.map(({ name, layers, shortcut }) =>
      declare({
        [name]: together((shortcut === undefined ? layers : [...layers, shortcut]).map(layerSpecs)),
      }),
    ),
  ]);
}

function convNorm(
  p: Scope,
  x: Tensor,
  { conv: name, norm, kernel: k, stride = 1, groups = 1 }: Layer,
): Tensor {
  const side = (k - 1) / 2;
  const y = conv(x, p.in(name).get("weight"), {
    stride: [stride, stride],
    padding: [side, side, side, side],
    groups,
  });
  return batchNorm(p.in(norm), y);
}

/** Mean over windows of side `size`; the last ones of an odd side are over what is there. */
function meanPool(x: Tensor, size: number): Tensor {
  if (size === 1) return x;
  const rest = x.shape.slice(2).map((d) => (size - (d % size)) % size);
  const pooled = avgPool(x, { kernel: [size, size], padding: [0, 0, ...rest] });
  if (rest.every((n) => n === 0)) return pooled;
  const [h, w] = pooled.shape.slice(2) as [number, number];
  const share = (i: number, n: number, missing: number) => (i === n - 1 ? size / (size - missing) : 1);
  const factors = Array.from(
    { length: h * w },
    (_, i) => share(Math.floor(i / w), h, rest[0]!) * share(i % w, w, rest[1]!),
  );
  return mul(pooled, constant(factors, { shape: [h, w] }));
}

/** relu(shortcut + the branch of convolutions) */
function residual(
  p: Scope,
  x: Tensor,
  { layers, shortcut, pool }: Block,
  drop: (y: Tensor) => Tensor,
): Tensor {
  let y = x;
  layers.forEach((layer, i) => {
    y = convNorm(p, i === 0 ? y : relu(y), layer);
  });
  const kept = shortcut === undefined ? x : convNorm(p, meanPool(x, pool), shortcut);
  return relu(add(drop(y), kept));
}

function features(p: Scope, images: Tensor, plan: Plan, dropPath: DropPath, options: TrunkContext): Tensor {
  const step = options.rematerialize ? rematerialize(residual) : residual;
  let x = images;
  for (const layer of plan.stem) x = relu(convNorm(p, x, layer));
  x =
    plan.stemPool === undefined
      ? maxPool(x, { kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] })
      : relu(convNorm(p, x, plan.stemPool));
  plan.blocks.forEach((block, i) => {
    const own = p.in(block.name);
    x = step(own, x, block, (y) => dropPath.apply(p, own, y, i));
  });
  return mean(x, [2, 3]);
}

const basic = (layers: ResNetArgs["layers"], more: Partial<ResNetArgs> = {}): ResNetArgs => ({
  block: "BasicBlock",
  layers,
  ...more,
});
const bottleneck = (layers: ResNetArgs["layers"], more: Partial<ResNetArgs> = {}): ResNetArgs => ({
  block: "Bottleneck",
  layers,
  ...more,
});

/** Letters of timm's names (after MXNet's). */
const c = { stem_type: "deep", stem_width: 32 } as const;
const d = { ...c, avg_down: true } as const;
const s = { stem_type: "deep", stem_width: 64 } as const;
const t = { ...d, stem_type: "deep_tiered" } as const;

export const resnet: TrunkFamily<ResNetArgs> = {
  name: "ResNet",
  source: "He et al. 2016, arXiv 1512.03385; timm's resnet.py",
  architectures: {
    resnet10t: basic([1, 1, 1, 1], t),
    resnet14t: bottleneck([1, 1, 1, 1], t),
    resnet18: basic([2, 2, 2, 2]),
    resnet18d: basic([2, 2, 2, 2], d),
    resnet26: bottleneck([2, 2, 2, 2]),
    resnet26d: bottleneck([2, 2, 2, 2], d),
    resnet26t: bottleneck([2, 2, 2, 2], t),
    resnet34: basic([3, 4, 6, 3]),
    resnet34d: basic([3, 4, 6, 3], d),
    resnet50: bottleneck([3, 4, 6, 3]),
    resnet50c: bottleneck([3, 4, 6, 3], c),
    resnet50d: bottleneck([3, 4, 6, 3], d),
    resnet50s: bottleneck([3, 4, 6, 3], s),
    resnet50t: bottleneck([3, 4, 6, 3], t),
    resnet101: bottleneck([3, 4, 23, 3]),
    resnet101c: bottleneck([3, 4, 23, 3], c),
    resnet101d: bottleneck([3, 4, 23, 3], d),
    resnet101s: bottleneck([3, 4, 23, 3], s),
    resnet152: bottleneck([3, 8, 36, 3]),
    resnet152c: bottleneck([3, 8, 36, 3], c),
    resnet152d: bottleneck([3, 8, 36, 3], d),
    resnet152s: bottleneck([3, 8, 36, 3], s),
    wide_resnet50_2: bottleneck([3, 4, 6, 3], { base_width: 128 }),
    wide_resnet101_2: bottleneck([3, 4, 23, 3], { base_width: 128 }),
    resnext50_32x4d: bottleneck([3, 4, 6, 3], { cardinality: 32, base_width: 4 }),
    resnext101_32x4d: bottleneck([3, 4, 23, 3], { cardinality: 32, base_width: 4 }),
  },
  args,
  classifier: "fc",
  sizeStep: () => 1,
  build(own, context): Trunk {
    const plan = planOf(own);
    const dropPath = makeDropPath(context.dropPath, plan.blocks.length);
    return {
      ...specsOf(plan),
      noise: dropPath.noise,
      width: plan.width,
      depth: depthByBlocks(
        plan.blocks.map(({ name }) => [name]),
        [],
      ),
      features: (p, images) => features(p, images, plan, dropPath, context),
    };
  },
};
