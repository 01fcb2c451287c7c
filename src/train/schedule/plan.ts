/** From a recipe and the size of the data to a number of steps: the run's length and its learning rate. */

import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import type { DataFingerprint } from "../../data/index.js";
import { type Clock, wholeSteps } from "../../settings/duration.js";
import { pickOf } from "../recipe/pick-fields.js";
import type { Recipe } from "../recipe/recipe.js";
import type { Schedule } from "./learning-rate.js";
import { endOfRise, firstRise, type Incline } from "./rise.js";

/** What is fixed once for a run and stored as `plan.json` in its folder. */
export interface Plan {
  /** Steps of the whole run; undefined while a time-limited run is measured. */
  readonly totalSteps: number | undefined;
  /** Samples in one epoch. */
  readonly samplesPerEpoch: number | undefined;
  readonly batchSize: number;
  /** Pairs that each batch is picked from, where the recipe picks. */
  readonly superBatch?: number | undefined;
  /** Steps taken before the length was fixed; 0 unless the run is limited by time. */
  readonly measuredSteps: number;
  /** How the learning rate of a time-limited run rises. */
  readonly rise?: readonly Incline[] | undefined;
  /** Measured, for time-limited runs. */
  readonly secondsPerStep?: number | undefined;
  /** The run is shorter than planned: after `step` steps of `plannedSteps` its cooldown began, up to `totalSteps`, or it ended there. */
  readonly cut?: { readonly step: number; readonly plannedSteps: number } | undefined;
  /** The run goes on to another length after `step` steps; `seconds` of its clock had passed. */
  readonly extended?: { readonly step: number; readonly seconds: number } | undefined;
  /** What the training data were when the run began. */
  readonly data?: DataFingerprint | undefined;
}

const count = z.int().min(1);

export const fingerprintSchema: z.ZodType<DataFingerprint> = z.object({
  samples: z.int(),
  captions: z.string(),
  sizes: z.string(),
  content: z.string(),
  times: z.string(),
  selection: z.string().optional(),
});

/** What `plan.json` must hold. */
export const planSchema: z.ZodType<Plan> = z.object({
  totalSteps: count.optional() as z.ZodType<number | undefined>,
  samplesPerEpoch: count.optional() as z.ZodType<number | undefined>,
  batchSize: count,
  superBatch: count.optional() as z.ZodType<number | undefined>,
  measuredSteps: z.int().min(0),
  rise: z.array(z.object({ after: z.int().min(0), steps: z.int().min(0) })).optional(),
  secondsPerStep: z.number().positive().optional(),
  cut: z.object({ step: z.int().min(0), plannedSteps: count }).optional(),
  extended: z.object({ step: count, seconds: z.number().min(0) }).optional(),
  data: fingerprintSchema.optional(),
});

/** Whether the run of `plan` has all of its steps with this checkpoint. */
export const isDone = ({ step }: { readonly step: number }, plan: Plan | undefined): boolean =>
  step === plan?.totalSteps;

/** The plan of a run that cools down for `coolFor` steps after `step`, and ends. */
export const cutPlan = (plan: Plan, step: number, coolFor: number): Plan => ({
  ...plan,
  totalSteps: step + coolFor,
  cut: { step, plannedSteps: plan.totalSteps! },
});

/**
 * The plan of a run that has `step` steps, done or not, and goes on as `plan` says: to its number of steps in all, or for
 * its time. What is added rises and decays as a run of its own.
 * @throws UsageError where the new length is no more than what is done.
 */
export function extendPlan(recipe: Recipe, plan: Plan, step: number, seconds: number): Plan {
  const { totalSteps } = plan;
  if (totalSteps !== undefined && totalSteps <= step) {
    throw new UsageError(
      `steps: a run is extended to more steps than it has; got ${totalSteps}, and ${step} are done. Give more.`,
    );
  }
  const extended: Plan = { ...plan, extended: { step, seconds } };
  scheduleOf(recipe, extended);
  return extended;
}

/** The plan before it was cut. */
export const uncutPlan = ({ cut, ...plan }: Plan): Plan =>
  cut === undefined ? plan : { ...plan, totalSteps: cut.plannedSteps };

/**
 * The step, possibly fractional, of the run as planned that step `step` (from 0) stands for: the steps of a cooldown
 * that began early stand for all that was to come. A run that was cut off without one has no such steps.
 */
export function plannedStep({ totalSteps, cut }: Pick<Plan, "totalSteps" | "cut">, step: number): number {
  if (cut === undefined || totalSteps === undefined || step < cut.step || totalSteps === cut.step)
    return step;
  return cut.step + ((cut.plannedSteps - cut.step) * (step - cut.step)) / (totalSteps - cut.step);
}

/**
 * The plan at the start of a run.
 * @param samplesPerEpoch size of the training set.
 * @throws UsageError when the length needs the size of the data and nobody knows it, or the warm-up is too long.
 */
export function makePlan(recipe: Recipe, samplesPerEpoch?: number): Plan {
  const { batchSize } = recipe;
  if (samplesPerEpoch !== undefined && samplesPerEpoch < batchSize) {
    throw new UsageError(
      `batchSize: must not exceed the training set; got batchSize=${batchSize}, ${samplesPerEpoch} samples. Lower --batch-size.`,
    );
  }
  const { superBatch } = pickOf(recipe) ?? {};
  if (superBatch !== undefined && samplesPerEpoch !== undefined && samplesPerEpoch < superBatch) {
    throw new UsageError(
      `pickFilterRatio: a batch cannot be picked from more than the training set; got a super-batch of ${superBatch} for batchSize=${batchSize}, ${samplesPerEpoch} samples. Lower --pick-filter-ratio or --batch-size.`,
    );
  }
  const plan = {
    samplesPerEpoch,
    batchSize,
    ...(superBatch === undefined ? {} : { superBatch }),
    measuredSteps: 0,
  };
  if (recipe.time !== undefined) {
    const limited = { ...plan, totalSteps: undefined };
    return { ...limited, rise: firstRise(recipe, limited) };
  }
  const clock: Clock = { batchSize, samplesPerEpoch };
  const totalSteps =
    recipe.steps ??
    (recipe.samples !== undefined
      ? wholeSteps(recipe.samples, clock, "samples")
      : wholeSteps({ unit: "epochs", value: recipe.epochs! }, clock, "epochs"));
  const whole = { ...plan, totalSteps: Math.max(1, totalSteps) };
  scheduleOf(recipe, whole);
  return whole;
}

/** The clock that tickers and durations of this run go by. */
export const clockOf = (plan: Plan): Clock => plan;

/**
 * The learning-rate schedule of a plan.
 * @throws UsageError when warm-up and cooldown do not fit.
 */
export function scheduleOf(recipe: Recipe, plan: Plan): Schedule {
  const { totalSteps } = plan;
  if (plan.cut !== undefined && totalSteps !== undefined) {
    // The steps before the cut keep the learning rates that they had.
    const whole = scheduleOf(recipe, uncutPlan(plan));
    const own = totalSteps - (whole.firstStep ?? 0);
    return { ...whole, totalSteps: own, cooldownSteps: totalSteps - plan.cut.step };
  }
  if (plan.extended !== undefined) {
    const { extended, ...rest } = plan;
    const own = {
      ...rest,
      totalSteps: totalSteps === undefined ? undefined : totalSteps - extended.step,
      measuredSteps: Math.max(0, plan.measuredSteps - extended.step),
    };
    return { ...scheduleOf(recipe, own), firstStep: extended.step };
  }
  const { schedule: shape, lr: peak, lrEnd: end, cooldownShape } = recipe;
  const fixed = { shape, peak, end, cooldownShape, measuredSteps: plan.measuredSteps };
  const { rise } = plan;
  if (totalSteps === undefined)
    return { ...fixed, totalSteps, rise, warmupSteps: endOfRise(rise ?? []), cooldownSteps: 0 };
  const cooldownSteps = Math.round((recipe.cooldown ?? 0) * totalSteps);
  // A time-limited run learns its length on the way and must not fail then.
  if (rise !== undefined) return { ...fixed, totalSteps, rise, warmupSteps: endOfRise(rise), cooldownSteps };
  const warmupSteps = Math.round(wholeSteps(recipe.warmup, { ...plan, totalSteps }, "warmup"));
  if (warmupSteps > 0 && warmupSteps >= totalSteps && totalSteps > 1) {
    throw new UsageError(
      `warmup: must be shorter than the run; got warmup=${warmupSteps} steps of ${totalSteps}. Write a fraction such as --warmup 0.05, or train longer.`,
    );
  }
  if (totalSteps > 1 && warmupSteps + cooldownSteps > totalSteps) {
    throw new UsageError(
      `cooldown: warm-up and cooldown must fit into the run; got ${warmupSteps} + ${cooldownSteps} of ${totalSteps} steps. Shorten one of them.`,
    );
  }
  return { ...fixed, totalSteps, warmupSteps, cooldownSteps };
}
