/** Learning from a teacher, too: to find alike in a batch what it finds alike (Wu et al. 2023, TinyCLIP). */

import { add, mul } from "../../graph/ops/index.js";
import type { Phases } from "../schedule/phases.js";
import { affinityPairs, shareOfMean, TEACHER } from "../step/loss.js";
import type { GivenRows, Strategy } from "./strategy.js";

export interface DistillOptions {
  /** Weight of the teacher's part beside the strategy's own loss. */
  readonly weight: number;
  /** Factor on the teacher's cosines. */
  readonly scale: number;
  /** The teacher's unit vectors of images and of captions. */
  readonly images: GivenRows;
  readonly texts: GivenRows;
}

/** `strategy` with `weight` times the cross-entropy from the teacher's affinities added to its loss. */
export function distilled(strategy: Strategy, { weight, scale, images, texts }: DistillOptions): Strategy {
  const chance = (B: number) => strategy.chance?.(B) ?? Math.log(B);
  return {
    ...strategy,
    given: { ...strategy.given, [TEACHER.images]: images, [TEACHER.texts]: texts },
    loss(own, all, logits) {
      const taught = shareOfMean(affinityPairs(own, all, logits, scale), own, all);
      return add(strategy.loss(own, all, logits), mul(taught, weight));
    },
    // To call all pairs equally likely costs ln B, whatever the teacher says.
    chance: (B) => chance(B) + weight * Math.log(B),
  };
}

/** The phases of a run, each with the teacher. */
export function distilledPhases(phases: Phases, options: DistillOptions): Phases {
  const made = new Map(
    phases.all.map((phase) => [phase, { ...phase, strategy: distilled(phase.strategy, options) }]),
  );
  return {
    ...phases,
    all: [...made.values()],
    at: (...where) => made.get(phases.at(...where))!,
  };
}
