/**
 * The learning rate as a pure function of the step. Nothing here holds state, so a resumed run follows the
 * same curve to the bit.
 */

import { UsageError } from "../../core/errors.js";

export const scheduleShapes = ["cosine", "constant", "const-cooldown"] as const;
export type ScheduleShape = (typeof scheduleShapes)[number];
export const cooldownShapes = ["1-sqrt", "linear"] as const;
export type CooldownShape = (typeof cooldownShapes)[number];

export interface Schedule {
  readonly shape: ScheduleShape;
  /** Learning rate after the warm-up. */
  readonly peak: number;
  /** Learning rate at the end of a cosine or a cooldown. */
  readonly end: number;
  /** Steps in the run; undefined while a time-limited run still measures. */
  readonly totalSteps: number | undefined;
  readonly warmupSteps: number;
  /** Steps of the final decay; only for `const-cooldown`. */
  readonly cooldownSteps: number;
  readonly cooldownShape: CooldownShape;
  /** Steps that a time-limited run took before its length was fixed; 0 otherwise. */
  readonly measuredSteps: number;
}

/** Slope of the warm-up while a time-limited run has no length yet: the peak would be reached at this step. */
export const PROVISIONAL_WARMUP_STEPS = 1000;

/**
 * Learning rate of the update number `step`, counted from 0.
 *
 * - warm-up (open_clip): peak · (step + 1) / warmup
 * - cosine: end + (peak − end) · (1 + cos(π t)) / 2, with t from 0 after the warm-up to 1 at the run's end
 * - cooldown `1-sqrt` (Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training
 *   durations"): end + (peak − end) · (1 − √t); `linear`: end + (peak − end) · (1 − t)
 */
export function learningRate(schedule: Schedule, step: number): number {
  const { shape, peak, end, totalSteps, warmupSteps, measuredSteps } = schedule;
  if (totalSteps === undefined || step < measuredSteps) return provisional(peak, step);
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

/** While a time-limited run has no length. */
const provisional = (peak: number, step: number): number =>
  peak * Math.min(1, (step + 1) / PROVISIONAL_WARMUP_STEPS);

/** The warm-up, and the peak after it. */
function risen({ peak, warmupSteps, measuredSteps }: Schedule, step: number): number {
  if (step >= warmupSteps) return peak;
  if (measuredSteps === 0) return (peak * (step + 1)) / warmupSteps;
  // From where the measuring left off, straight to the peak.
  const from = provisional(peak, measuredSteps - 1);
  return from + ((peak - from) * (step + 1 - measuredSteps)) / (warmupSteps - measuredSteps);
}

/** Steps left out of the timing at the start: the first ones compile, allocate and fill queues. */
export const SETTLING_STEPS = 2;
const MIN_TIMED_STEPS = 8;
const MAX_TIMED_STEPS = 200;
const MEASURED_SHARE = 0.03;
/** Kept back for steps that turn out slower than the measured ones. */
export const RESERVE_SHARE = 0.03;

/** Seconds besides the steps themselves. */
export interface Overhead {
  readonly inAll: number;
  readonly perStep: number;
}

/** Mean of the middle 80 % of durations: one pause does not count. */
export function usualSeconds(stepSeconds: readonly number[]): number {
  const sorted = [...stepSeconds].sort((a, b) => a - b);
  const cut = Math.floor(sorted.length / 10);
  const middle = sorted.slice(cut, sorted.length - cut);
  return middle.reduce((sum, seconds) => sum + seconds, 0) / middle.length;
}

/** True when a time-limited run has seen enough steps: at least ten, and 3 % of the budget or 200 steps. */
export function measuredEnough(stepSeconds: readonly number[], budgetSeconds: number): boolean {
  const timed = stepSeconds.length - SETTLING_STEPS;
  const spent = stepSeconds.reduce((sum, seconds) => sum + seconds, 0);
  // A budget of a few steps is measured by as many as it allows.
  if (timed >= 1 && spent >= budgetSeconds / 4) return true;
  return timed >= MIN_TIMED_STEPS && (spent >= MEASURED_SHARE * budgetSeconds || timed >= MAX_TIMED_STEPS);
}

/**
 * The number of steps that fit into a time budget, from the steps measured so far. The result is stored in the run folder and never computed
 * again: from then on the run is one of fixed length, and resuming it is exact.
 *
 * @param elapsedSeconds of the budget already used, start-up included.
 * @param overheadSeconds what evaluations take besides: in all, and on average after each step; a function of a
 *   step's duration.
 */
export function stepsWithin(
  stepSeconds: readonly number[],
  budgetSeconds: number,
  elapsedSeconds: number,
  overheadSeconds: (secondsPerStep: number) => Overhead = () => ({ inAll: 0, perStep: 0 }),
): { totalSteps: number; secondsPerStep: number } {
  const timed = stepSeconds.slice(SETTLING_STEPS);
  if (timed.length === 0) {
    throw new UsageError(
      `time: too short to take ${SETTLING_STEPS + 1} steps; got time=${budgetSeconds}s. Give more time, or use --steps.`,
    );
  }
  const secondsPerStep = usualSeconds(timed);
  const { inAll, perStep } = overheadSeconds(secondsPerStep);
  const left = (budgetSeconds - elapsedSeconds) * (1 - RESERVE_SHARE) - inAll;
  const more = Math.max(0, Math.floor(left / (secondsPerStep + perStep)));
  return { totalSteps: stepSeconds.length + more, secondsPerStep };
}
