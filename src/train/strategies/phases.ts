/** What a run does at each of its steps: its strategy, and the end on whole images. */

import type { Clip } from "../../models/clip.js";
import { plainClip } from "./clip.js";
import { relativeCost } from "./cost.js";
import { makeStrategy, type StrategyName } from "./index.js";
import type { Strategy, StrategyOptions } from "./strategy.js";

export interface Phases {
  /** The run's strategy: its parameters and statistics are those of every phase. */
  readonly strategy: Strategy;
  /** What step `step` (from 0) follows: whole images in the last `unmaskedTuning` of the steps. */
  at(step: number, totalSteps: number | undefined): Strategy;
  /** Mean cost of the run's steps, in units of the first. */
  meanCost(): number;
  /** One line on what is seen and what it costs. */
  describe(contextLength: number): string;
}

type Chosen = { readonly strategy: StrategyName } & {
  readonly [K in keyof StrategyOptions]?: StrategyOptions[K] | undefined;
};

/** The phases of a recipe. Throws `UsageError` where the model cannot be trained so. */
export function phasesOf(chosen: Chosen, clip: Clip): Phases {
  const { strategy: name, unmaskedTuning = 0 } = chosen;
  const strategy = makeStrategy(name, clip, chosen);
  const whole = plainClip(clip, chosen.labelSmoothing);
  const T = clip.config.text_cfg.context_length;
  return {
    strategy,
    at(step, totalSteps) {
      if (unmaskedTuning === 0 || totalSteps === undefined) return strategy;
      return step < totalSteps - Math.round(unmaskedTuning * totalSteps) ? strategy : whole;
    },
    meanCost() {
      if (unmaskedTuning === 0) return 1;
      return 1 - unmaskedTuning + unmaskedTuning / relativeCost(clip, strategy, T, { backward: true });
    },
    describe(contextLength) {
      const cost = relativeCost(clip, strategy, contextLength);
      const parts = [name, ...(strategy.seen === undefined ? [] : [strategy.seen])];
      if (strategy.views > 0) parts.push(`${strategy.views} further views`);
      if (unmaskedTuning > 0) parts.push(`the last ${100 * unmaskedTuning} % whole`);
      return `${parts.join(", ")}: ${cost.toFixed(2)} × the multiply-adds of clip`;
    },
  };
}
