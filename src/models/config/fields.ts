/** What the readers of model configurations share: keys of a transformer, and refusing options that are not built. */

import { z } from "zod";
import { didYouMean, UsageError } from "../../core/errors.js";

/** Passed to the GELU. */
export interface ActivationOptions {
  /** `"none"`: x·Φ(x) by the error function, the default. `"tanh"`: the approximation that big_vision uses. */
  readonly approximate?: "none" | "tanh";
}

/** Passed to every layer norm of a tower. */
export interface NormOptions {
  /** Added to the variance. Default 1e-5 (PyTorch); big_vision has 1e-6. */
  readonly eps?: number;
}

/** Keys of a tower that is a transformer. */
export interface TransformerConfig {
  /** Channels C. Default 768 for images, 512 for texts. */
  readonly width?: number;
  /** Blocks. Default 12. */
  readonly layers?: number;
  /** Hidden units of a block's MLP are `trunc(width · mlp_ratio)`. Default 4. */
  readonly mlp_ratio?: number;
  /** Layer scale: each residual branch is multiplied by a learned f32[C] that starts at this. Default: no scale. */
  readonly ls_init_value?: number | null;
  readonly act_kwargs?: ActivationOptions | null;
  readonly norm_kwargs?: NormOptions | null;
}

/** All keys given. */
export type Complete<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

/** A transformer with no option left open. */
export type CompleteTransformer<T extends TransformerConfig> = Complete<
  Omit<T, "act_kwargs" | "norm_kwargs">
> & {
  readonly act_kwargs: Complete<ActivationOptions>;
  readonly norm_kwargs: Complete<NormOptions>;
};

const activation = { approximate: "none" } as const;
const norm = { eps: 1e-5 } as const;

/** A transformer's activation and norm, with PyTorch's defaults. */
export const transformerKwargs = (tower: TransformerConfig) => ({
  act_kwargs: { ...activation, ...tower.act_kwargs },
  norm_kwargs: { ...norm, ...tower.norm_kwargs },
});

/**
 * Several times what any published model has, so that a slip of the finger is told before a model is built: channels and
 * tokens of a vocabulary, blocks, pixels of an image's side, tokens of a text.
 */
const LARGEST = { count: 1e6, blocks: 1000, side: 8192, context: 65_536 } as const;

export const count = z.int().positive().max(LARGEST.count);
export const blocks = z.int().positive().max(LARGEST.blocks);
export const side = z.int().positive().max(LARGEST.side);
export const context = z.int().positive().max(LARGEST.context);
export const flag = z.boolean().exactOptional();

export const transformerKeys = {
  width: count.exactOptional(),
  layers: blocks.exactOptional(),
  mlp_ratio: z.number().positive().max(256).exactOptional(),
  ls_init_value: z.number().nullable().exactOptional(),
  act_kwargs: z
    .strictObject({ approximate: z.enum(["none", "tanh"]).exactOptional() })
    .nullable()
    .exactOptional(),
  norm_kwargs: z.strictObject({ eps: z.number().positive().exactOptional() }).nullable().exactOptional(),
};

/** Refuses `quick_gelu` beside an approximation of the other GELU. */
export function checkActivation(
  section: string,
  tower: TransformerConfig,
  quickGelu: boolean,
  where: string,
) {
  if (!quickGelu || tower.act_kwargs?.approximate === undefined) return;
  throw new UsageError(
    `${where}: quick_gelu has no approximation; got ${section}.act_kwargs.approximate=` +
      `"${tower.act_kwargs.approximate}". Remove one of the two.`,
  );
}

/** Refuses a `whole` that is no multiple of its `part`. */
export function checkDivides(
  section: string,
  [whole, a]: readonly [string, number],
  [part, b]: readonly [string, number],
  where: string,
): void {
  if (a % b === 0) return;
  throw new UsageError(
    `${where}: ${section}.${whole} must be a multiple of ${section}.${part}; got ${whole}=${a}, ${part}=${b}. ` +
      `Nearest: ${whole}=${Math.max(1, Math.round(a / b)) * b}.`,
  );
}

/** An option of open_clip that is not built here: harmless at `neutral`, refused at any other value. */
export interface Refused {
  readonly neutral: unknown;
  readonly why: string;
}

export const refuse = (why: string, neutral: Record<string, unknown>): Record<string, Refused> =>
  Object.fromEntries(Object.entries(neutral).map(([key, value]) => [key, { neutral: value, why }]));

export const plainBlocks = refuse("Only the default attention block is built; remove the key.", {
  block_type: "default",
  qk_norm: false,
  scaled_cosine_attn: false,
  scale_heads: false,
  scale_attn_inner: false,
  scale_attn: false,
  scale_fc: false,
});

export type Json = Record<string, unknown>;
export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `object` without options at their neutral value; a `UsageError` for any other option that is not among `known`. */
export function keepSupported(
  object: Json,
  known: readonly string[],
  refused: Readonly<Record<string, Refused>>,
  where: string,
  section: string,
): Json {
  const kept: Json = {};
  // The key that explains the others comes first: a Hugging Face tower also brings hf_proj_type, hf_pooler_type, …
  const keys = Object.keys(object).sort((a, b) => Number(b.endsWith("_name")) - Number(a.endsWith("_name")));
  for (const key of keys) {
    const value = object[key];
    const rule = Object.hasOwn(refused, key) ? refused[key] : undefined;
    if (known.includes(key)) {
      kept[key] = value;
    } else if (rule === undefined) {
      const hint = didYouMean(key, known) || ` Known here: ${known.join(", ")}.`;
      throw new UsageError(`${where}: unknown key; got ${section}${key}.${hint}`);
    } else if (value !== rule.neutral && value != null) {
      throw new UsageError(
        `${where}: unsupported option of open_clip; got ${section}${key}=${JSON.stringify(value)}. ${rule.why}`,
      );
    }
  }
  return kept;
}
