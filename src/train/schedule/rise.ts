/**
 * How the learning rate of a time-limited run rises while its length is still being found out: in a line whose slope
 * follows what is known of the length. Each change of slope is in the plan before the step that it is for, so that the
 * rate stays a function of the plan and the step.
 */

import { type Clock, wholeSteps } from "../../settings/duration.js";
import type { Recipe } from "../recipe/recipe.js";

/** From the step `after` (from 0) on, the rate rises as a warm-up of `steps` steps does. */
export interface Incline {
  readonly after: number;
  readonly steps: number;
}

/** What a rise needs of a run's plan, and is written into. */
interface Rising extends Clock {
  readonly rise?: readonly Incline[] | undefined;
}

/** Steps of a warm-up whose length is a share of a run of which nothing is known. */
const UNKNOWN = 1000;
/** A warm-up that is expected to be longer or shorter by less than this share keeps its slope. */
const SAME = 0.1;

/** Share of the peak that the update number `step`, from 0, has. */
export function shareOfPeak(rise: readonly Incline[], step: number): number {
  let share = 0;
  for (const [i, { after, steps }] of rise.entries()) {
    const until = Math.min(step + 1, rise[i + 1]?.after ?? Number.POSITIVE_INFINITY);
    if (until > after) share = steps === 0 ? 1 : Math.min(1, share + (until - after) / steps);
  }
  return share;
}

/** Steps after which the peak is reached, if the last slope stays. */
export function endOfRise(rise: readonly Incline[]): number {
  const last = rise.at(-1);
  if (last === undefined) return 0;
  const before = last.after === 0 ? 0 : shareOfPeak(rise, last.after - 1);
  return last.after + Math.ceil(last.steps * (1 - before));
}

/** The rise of a time-limited run before its first step. Only a warm-up that is a share of the run is unknown then. */
export const firstRise = (recipe: Recipe, plan: Clock): readonly Incline[] => [
  {
    after: 0,
    steps: recipe.warmup.unit === "percent" && recipe.warmup.value > 0 ? UNKNOWN : warmupOf(recipe, plan),
  },
];

/** `plan` with the slope from the step `after` on that suits a run of `totalSteps`. */
export function riseFor<P extends Rising>(recipe: Recipe, plan: P, totalSteps: number, after: number): P {
  const { rise = firstRise(recipe, plan) } = plan;
  const steps = Math.min(
    warmupOf(recipe, { ...plan, totalSteps }),
    totalSteps - Math.round((recipe.cooldown ?? 0) * totalSteps),
  );
  const known = rise.at(-1)!.steps;
  if (Math.abs(steps - known) <= SAME * known) return { ...plan, rise };
  return { ...plan, rise: [...rise, { after, steps }] };
}

const warmupOf = (recipe: Recipe, plan: Clock): number =>
  Math.round(wholeSteps(recipe.warmup, { ...plan, totalSteps: plan.totalSteps ?? 0 }, "warmup"));
