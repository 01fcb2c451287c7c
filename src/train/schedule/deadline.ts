/**
 * Ending a run before its planned length, and well: at a deadline, or soon after somebody asks, with the cooldown of
 * `const-cooldown` sized to the time that is left. When it begins depends on the clock; from then on the run is one of
 * fixed length (`Plan.cut`).
 */

import { performance } from "node:perf_hooks";
import { secondsTo } from "../../settings/deadline.js";
import type { Recipe } from "../recipe/recipe.js";
import { RESERVE_SHARE, SETTLING_STEPS, usualSeconds } from "./measurement.js";
import type { Phase, Phases } from "./phases.js";
import { type Plan, plannedStep, scheduleOf } from "./plan.js";

/** What is known where a run might have to end. */
export interface Outlook {
  /** Steps done or under way, of `totalSteps`. */
  readonly step: number;
  readonly totalSteps: number;
  /** Planned; the last of them. */
  readonly cooldownSteps: number;
  /** Share of the run that a cooldown takes where there is time for it. */
  readonly cooldown: number;
  readonly secondsLeft: number;
  /** Of the steps from here on. */
  readonly secondsPerStep: number;
  /** What the end takes beside them: checkpoints, evaluation, compiling. */
  readonly endSeconds: number;
}

/** The next step follows; or the run stops here, to be continued; or its last steps begin. */
export type Verdict = "go on" | "stop" | { readonly coolFor: number };

/** Steps that may be under way when the time is read. */
const UNDER_WAY = 2;
/** A cooldown of one step would begin and end at the peak. */
const SHORTEST = 2;

/** Whether the run goes on to its planned end, cools down from here, or stops since there is time for neither. */
export function verdictOf(outlook: Outlook): Verdict {
  const { step, totalSteps, cooldown, secondsLeft, secondsPerStep, endSeconds } = outlook;
  const time = (secondsLeft - endSeconds) * (1 - RESERVE_SHARE);
  const fit = Math.floor(time / secondsPerStep) - UNDER_WAY;
  const ahead = totalSteps - step;
  if (ahead <= fit) return "go on";
  // A cooldown keeps its length once it has begun.
  if (ahead <= outlook.cooldownSteps) return secondsLeft <= endSeconds ? "stop" : "go on";
  // As long a part of this run as of the planned one: c / (step + c) = cooldown.
  const wanted = Math.max(SHORTEST, Math.round((step * cooldown) / (1 - cooldown)));
  if (fit > wanted + 1) return "go on";
  const coolFor = Math.min(wanted, fit, ahead);
  return coolFor >= SHORTEST ? { coolFor } : "stop";
}

/** Durations of what a run's end takes, seconds; kept in checkpoints, where an earlier sitting has measured them. */
export interface Timings {
  readonly evaluation?: number | undefined;
  readonly save?: number | undefined;
}

export interface ClosingContext {
  readonly recipe: Recipe;
  readonly phases: Phases;
  /** When this sitting began, by `performance.now()`. */
  readonly started: number;
  /** What compiling a step took. */
  readonly compileSeconds: number;
  readonly timings: Timings;
  /** Milliseconds, as `performance.now()`; for tests. */
  readonly now?: () => number;
}

/** Share of the run as planned that is done before step `step` (from 0). */
const doneOf = (plan: Plan, step: number): number =>
  plan.totalSteps === undefined ? 0 : plannedStep(plan, step) / (plan.cut?.plannedSteps ?? plan.totalSteps);

/** Steps whose durations are kept, and how few say something. */
const KEPT_STEPS = 50;
const FEWEST_STEPS = 3;

/** Decides for one sitting when its run ends. */
export class Closing {
  timings: Timings;
  private readonly now: () => number;
  /** By `now`, in seconds. */
  private endsAt: number;
  private asked = false;
  private began = false;
  private phase: Phase | undefined;
  private settling = 0;
  private stepSeconds: number[] = [];
  /** Share of the run at the last of them. */
  private timedAt = 0;
  /** Steps of an earlier phase, at a share of the run: what is known until enough of this one are timed. */
  private earlier: { readonly seconds: number; readonly done: number } | undefined;

  constructor(private readonly context: ClosingContext) {
    const { recipe, started, timings, now = () => performance.now() } = context;
    this.now = now;
    this.timings = timings;
    const begin = new Date(Date.now() - (now() - started));
    this.endsAt =
      recipe.deadline === undefined
        ? Number.POSITIVE_INFINITY
        : started / 1000 + secondsTo(recipe.deadline, begin);
  }

  /** Somebody wants the run to end: within `grace`, if that is before the deadline. */
  ask(): void {
    if (this.asked) return;
    this.asked = true;
    this.endsAt = Math.min(this.endsAt, this.now() / 1000 + this.context.recipe.grace.value);
  }

  /** Somebody wants the run to end, and it can only stop. */
  get stops(): boolean {
    const { schedule, grace } = this.context.recipe;
    return this.asked && (schedule !== "const-cooldown" || grace.value === 0);
  }

  /** Seconds to the end; infinite where there is none. */
  get secondsLeft(): number {
    return this.endsAt - this.now() / 1000;
  }

  /** The deadline is far enough to find out what an evaluation takes, which nobody knows yet. */
  get wantsEvaluation(): boolean {
    return (
      this.context.recipe.deadline !== undefined &&
      !this.asked &&
      this.timings.evaluation === undefined &&
      this.stepSeconds.length >= FEWEST_STEPS
    );
  }

  /** Adds the duration of the step `step`, counted from 1. */
  took(step: number, plan: Plan, seconds: number): void {
    const phase = this.context.phases.at(step - 1, plan);
    if (phase !== this.phase) {
      if (this.stepSeconds.length >= FEWEST_STEPS)
        this.earlier = { seconds: usualSeconds(this.stepSeconds), done: this.timedAt };
      this.phase = phase;
      this.stepSeconds = [];
      this.settling = SETTLING_STEPS;
    }
    if (this.settling-- > 0) return;
    this.stepSeconds.push(seconds);
    this.timedAt = doneOf(plan, step - 1);
    if (this.stepSeconds.length > KEPT_STEPS) this.stepSeconds.shift();
  }

  /** What follows `step` steps. */
  verdict(step: number, plan: Plan): Verdict {
    const { recipe, phases, compileSeconds } = this.context;
    if (this.stops) return "stop";
    const { secondsLeft } = this;
    if (secondsLeft === Number.POSITIVE_INFINITY || this.began) return "go on";
    const { evaluation = 0, save = 0 } = this.timings;
    const { totalSteps } = plan;
    const done = doneOf(plan, step);
    const timed =
      this.stepSeconds.length >= FEWEST_STEPS
        ? { seconds: usualSeconds(this.stepSeconds), done: this.timedAt }
        : this.earlier;
    if (totalSteps === undefined || timed === undefined) {
      // Nobody knows how long steps take: there is no cooldown to be sized.
      return this.asked || secondsLeft <= save ? "stop" : "go on";
    }
    return verdictOf({
      step,
      totalSteps,
      cooldownSteps: scheduleOf(recipe, plan).cooldownSteps,
      cooldown: recipe.cooldown ?? 0,
      secondsLeft,
      secondsPerStep: timed.seconds * phases.meanCost(done, timed.done),
      endSeconds: evaluation + 2 * save + compileSeconds * phases.changesAfter(done),
    });
  }

  /** The cooldown has begun: from here on the run goes to its end. */
  begin(): void {
    this.began = true;
  }
}
