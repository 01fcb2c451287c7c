/** Learning from a teacher, too: to find alike in a batch what it finds alike (Wu et al. 2023, TinyCLIP). */

import { add, mul } from "../../graph/ops/index.js";
import { affinityPairs, shareOfMean, TEACHER } from "./loss.js";
import type { ExtraRows, Strategy } from "./strategy.js";

export interface DistillOptions {
  /** Weight of the teacher's part beside the strategy's own loss. */
  readonly weight: number;
  /** Factor on the teacher's cosines. */
  readonly scale: number;
  /** The teacher's unit vectors of images and of captions. */
  readonly images: ExtraRows;
  readonly texts: ExtraRows;
}

/** `strategy` with `weight` times the cross-entropy from the teacher's affinities added to its loss. */
export function distilled(strategy: Strategy, { weight, scale, images, texts }: DistillOptions): Strategy {
  const chance = (B: number) => strategy.chance?.(B) ?? Math.log(B);
  return {
    ...strategy,
    extra: { ...strategy.extra, [TEACHER.images]: images, [TEACHER.texts]: texts },
    loss(own, all, logits) {
      const taught = shareOfMean(affinityPairs(own, all, logits, scale), own, all);
      return add(strategy.loss(own, all, logits), mul(taught, weight));
    },
    // To call all pairs equally likely costs ln B, whatever the teacher says.
    chance: (B) => chance(B) + weight * Math.log(B),
  };
}
