/**
 * Text towers of CLIPs that were made small, to be put beside any image tower. Data only; test/models.text-sizes.test.ts
 * holds their parameters against the published counts.
 *
 * TinyCLIP (Wu et al. 2023, arXiv 2309.12314): github.com/microsoft/Cream, TinyCLIP/src/open_clip/model_configs. The ones
 * that it prunes automatically are of no one width and are left out.
 * MobileCLIP (Vasu et al. 2024, arXiv 2311.17049): github.com/apple/ml-mobileclip, mobileclip/configs; MobileCLIP2 (Faghri
 * et al. 2025, arXiv 2508.20691): open_clip's model_configs. MobileCLIP-S0's tower has convolutional blocks that are not
 * built (RepMixer); MobileCLIP2-S0 has S1's.
 */

import type { TextConfig } from "../config/config.js";

export interface TextSize {
  /** Whose it is. */
  readonly about: string;
  /** Channels E of the joint space that it was published with. */
  readonly embedDim: number;
  /** With OpenAI's tokenizer: 77 tokens, 49,408 ids. Small vocabularies and captions want less. */
  readonly config: TextConfig;
}

const sized = (about: string, width: number, layers: number, rest: Partial<TextConfig> = {}): TextSize =>
  Object.freeze({
    about,
    embedDim: Math.max(512, width),
    config: Object.freeze({
      context_length: 77,
      vocab_size: 49408,
      width,
      heads: width / 64,
      layers,
      ...rest,
    }),
  });

const everyToken = { no_causal_mask: true } as const;

/** By name. TinyCLIP's names count millions of parameters without the token embedding. */
export const textSizes = Object.freeze({
  "tinyclip-3m": sized("TinyCLIP ViT-8M/16 Text-3M", 256, 3),
  "tinyclip-19m": sized("TinyCLIP ViT-39M/16, ViT-40M/32 and ResNet-19M, Text-19M", 512, 6),
  "tinyclip-29m": sized("TinyCLIP ViT-61M/32 and ResNet-30M, Text-29M", 512, 9),
  "mobileclip-s1": sized("MobileCLIP-S1 and S2, MobileCLIP2-S0 and S2", 512, 12, everyToken),
  "mobileclip-b": sized("MobileCLIP-B, which is CLIP's own", 512, 12),
  "mobileclip2-s3": sized("MobileCLIP2-S3, S4 and L/14", 768, 12, everyToken),
} satisfies Record<string, TextSize>);
