/** How long the steps of a time-limited run take, and so how many there are. */

import { UsageError } from "../../core/errors.js";
import { type Clock, type Duration, stepsIn } from "../../settings/duration.js";
import type { Plan } from "./plan.js";

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
  return sum(middle) / middle.length;
}

/** True when a time-limited run has seen enough steps: at least ten, and 3 % of the budget or 200 steps. */
export function measuredEnough(stepSeconds: readonly number[], budgetSeconds: number): boolean {
  const timed = stepSeconds.length - SETTLING_STEPS;
  const spent = sum(stepSeconds);
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

/** Times the first steps of a time-limited run, until its length can be fixed. */
export class Measurement {
  private readonly stepSeconds: number[] = [];
  /** Durations of steps that are not timed, since later ones are quicker. */
  private readonly coldSeconds: number[] = [];

  constructor(
    private readonly budgetSeconds: number,
    /** Steps already done when the measuring begins: a run resumed before its length was fixed. */
    private readonly stepsBefore = 0,
  ) {}

  /**
   * Adds the duration of one step. True once enough is known to fix the plan.
   * @param cold the step read images that later ones find in memory: it says little of them, and is not timed while
   *   that takes less than a fifth of the budget.
   */
  add(seconds: number, cold = false): boolean {
    if (cold && this.stepSeconds.length === 0 && sum(this.coldSeconds) < this.budgetSeconds / 5) {
      this.coldSeconds.push(seconds);
      return false;
    }
    this.stepSeconds.push(seconds);
    return measuredEnough(this.stepSeconds, this.budgetSeconds);
  }

  /** Steps that the run seems to have, by those so far; undefined while they say nothing. */
  expectedSteps(elapsedSeconds: number, meanCost = 1): number | undefined {
    const before = this.stepsBefore + this.coldSeconds.length + this.stepSeconds.length;
    const timed = [this.stepSeconds, this.coldSeconds].find(({ length }) => length > SETTLING_STEPS);
    if (timed === undefined) return undefined;
    const left = Math.max(0, this.budgetSeconds - elapsedSeconds) * (1 - RESERVE_SHARE);
    return before + Math.floor(left / (usualSeconds(timed.slice(SETTLING_STEPS)) * meanCost));
  }

  /**
   * The plan with its length; store it in the run folder before the next step.
   * @param elapsedSeconds of the run's clock, start-up and earlier sittings included.
   * @param recurring what takes time besides the steps.
   * @param meanCost of the run's steps, in units of those that were measured.
   */
  fix(plan: Plan, elapsedSeconds: number, recurring: readonly Recurring[] = [], meanCost = 1): Plan {
    const { totalSteps, secondsPerStep } = stepsWithin(
      this.stepSeconds.map((seconds) => seconds * meanCost),
      this.budgetSeconds,
      elapsedSeconds,
      (perStep) => overheadOf(recurring, plan, perStep),
    );
    const before = this.stepsBefore + this.coldSeconds.length;
    const measuredSteps = before + this.stepSeconds.length;
    return { ...plan, totalSteps: before + totalSteps, measuredSteps, secondsPerStep };
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Something that takes `seconds` every so often, and once more at the end. */
export interface Recurring {
  readonly every: Duration;
  readonly seconds: number;
}

function overheadOf(recurring: readonly Recurring[], clock: Clock, secondsPerStep: number): Overhead {
  let inAll = 0;
  let perStep = 0;
  for (const { every, seconds } of recurring) {
    if (every.value === 0) continue;
    inAll += seconds;
    if (every.unit === "percent") inAll += (seconds * 100) / every.value;
    else if (every.unit === "seconds") perStep += (seconds * secondsPerStep) / every.value;
    else perStep += seconds / Math.max(1, stepsIn(every, clock, "frequency"));
  }
  return { inAll, perStep };
}
