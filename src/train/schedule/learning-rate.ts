/**
 * The learning rate as a pure function of the step. Nothing here holds state, so a resumed run follows the
 * same curve to the bit.
 */

import type { CooldownShape, ScheduleShape } from "../recipe/schedule-fields.js";
import { type Incline, shareOfPeak } from "./rise.js";

export interface Schedule {
  readonly shape: ScheduleShape;
  /** Learning rate after the warm-up. */
  readonly peak: number;
  /** Learning rate at the end of a cosine or a cooldown. */
  readonly end: number;
  /** Where the run goes on to another length: the step from which on all of this counts. Default 0. */
  readonly firstStep?: number | undefined;
  /** Steps in the run; undefined while a time-limited run still measures. */
  readonly totalSteps: number | undefined;
  /** Steps after which the peak is reached. */
  readonly warmupSteps: number;
  /** How it is reached, where not in one line from 0: in a time-limited run. */
  readonly rise?: readonly Incline[] | undefined;
  /** Steps of the final decay; only for `const-cooldown`. */
  readonly cooldownSteps: number;
  readonly cooldownShape: CooldownShape;
  /** Steps that a time-limited run took before its length was fixed; 0 otherwise. */
  readonly measuredSteps: number;
}

/**
 * Learning rate of the update number `stepInAll`, counted from 0; `step` below is counted from `firstStep`.
 *
 * - warm-up (open_clip): peak · (step + 1) / warmup; of a time-limited run along its `rise`
 * - cosine: end + (peak − end) · (1 + cos(π t)) / 2, with t from 0 after the warm-up to 1 at the run's end
 * - cooldown `1-sqrt` (Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training
 *   durations"): end + (peak − end) · (1 − √t); `linear`: end + (peak − end) · (1 − t)
 */
export function learningRate(schedule: Schedule, stepInAll: number): number {
  const step = stepInAll - (schedule.firstStep ?? 0);
  const { shape, peak, end, totalSteps, warmupSteps, measuredSteps } = schedule;
  if (totalSteps === undefined || step < measuredSteps) return risen(schedule, step);
  const last = Math.min(step, totalSteps);
  if (shape === "const-cooldown") {
    const start = totalSteps - schedule.cooldownSteps;
    if (step < start || schedule.cooldownSteps === 0) return risen(schedule, step);
    // A run that is cut short may not have reached the peak.
    const from = risen(schedule, start);
    const t = (last - start) / schedule.cooldownSteps;
    return end + (from - end) * (1 - (schedule.cooldownShape === "linear" ? t : Math.sqrt(t)));
  }
  if (step < warmupSteps || shape === "constant") return risen(schedule, step);
  const start = Math.max(warmupSteps, measuredSteps);
  const t = (last - start) / Math.max(1, totalSteps - start);
  return end + ((peak - end) * (1 + Math.cos(Math.PI * t))) / 2;
}

/** The warm-up, and the peak after it. */
function risen({ peak, warmupSteps, rise }: Schedule, step: number): number {
  if (rise !== undefined) return peak * shareOfPeak(rise, step);
  return step >= warmupSteps ? peak : (peak * (step + 1)) / warmupSteps;
}
