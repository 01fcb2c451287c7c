/** The training loop: while the devices compute a step, the next is prepared. */

import { performance } from "node:perf_hooks";
import type { Batch } from "../data/index.js";
import type { Tokenizer } from "../data/tokenizer/tokenizer.js";
import type { Processes } from "../engines/group.js";
import { Batches } from "./batches/batches.js";
import type { Loaders } from "./batches/loaders.js";
import type { TrainHooks } from "./hooks.js";
import type { Picker } from "./pick/picker.js";
import type { Recipe } from "./recipe/recipe.js";
import type { Guard } from "./run/guard.js";
import { learningRate, type Schedule } from "./schedule/learning-rate.js";
import type { Phases } from "./schedule/phases.js";
import { type Plan, scheduleOf } from "./schedule/plan.js";
import type { Optimizer } from "./step/optimizer.js";
import type { StepMetrics, StepRunner } from "./step/runner.js";
import { TwoPassRunner } from "./step/two-pass-runner.js";
import type { Supervisor } from "./watch/supervisor.js";

export interface LoopContext {
  readonly recipe: Recipe;
  readonly processes: Processes;
  /** Process 0's; the others only compute. */
  readonly supervisor: Supervisor | undefined;
  readonly hooks: Pick<TrainHooks, "onMessage">;
  readonly loaders: Loaders;
  readonly phases: Phases;
  readonly runner: StepRunner | TwoPassRunner;
  /** Picks each batch from a larger one, where the recipe says so. */
  readonly picker: Picker | undefined;
  readonly optimizer: Optimizer;
  readonly tokenizer: Tokenizer;
  readonly guard: Guard;
  /** Told the step of each new checkpoint. */
  readonly onSaved: (step: number) => void;
}

/** Steps under way whose numbers nobody has waited for: the devices always have the next one at hand. */
const STEPS_AHEAD = 1;

/** A step that the engine has taken. */
interface SentStep {
  readonly step: number;
  readonly epoch: number;
  readonly indices: Uint32Array;
  readonly lr: number;
  readonly duplicateCaptionShare: number;
  readonly metrics: Promise<StepMetrics>;
  /** By `performance.now()`: when its making began, when its data were there, and when its numbers were. */
  readonly beganAt: number;
  readonly dataAt: number;
  doneAt: number | undefined;
}

/** Runs the steps after the first `step`; gives the number of steps done in the end. */
export async function loop(context: LoopContext, firstPlan: Plan, firstStep: number): Promise<number> {
  const { recipe, processes, supervisor, guard } = context;
  let plan = firstPlan;
  let schedule = scheduleOf(recipe, plan);
  let step = firstStep;
  const running: SentStep[] = [];
  let lastDoneAt = 0;
  const batches = new Batches(
    {
      loaders: context.loaders,
      tokenizer: context.tokenizer,
      seed: recipe.seed,
      batchSize: recipe.batchSize,
      microBatch: recipe.microBatch,
      picker: context.picker,
      onLoaded: skippedNotes(context.hooks),
    },
    context.phases.all,
  );

  /** Waits for the oldest step, and has it recorded. */
  const settle = async () => {
    const { metrics, ...sent } = running[0]!;
    const { loss, logitScale, gradientNorm } = await guard(`step ${sent.step}`, metrics);
    const doneAt = running.shift()!.doneAt ?? performance.now();
    // What happens while the step before still computes takes no time from the run.
    const freeAt = Math.max(sent.beganAt, lastDoneAt);
    lastDoneAt = doneAt;
    await supervisor?.took({
      step: sent.step,
      epoch: sent.epoch,
      indices: sent.indices,
      lr: sent.lr,
      duplicateCaptionShare: sent.duplicateCaptionShare,
      loss,
      logitScale,
      gradNorm: gradientNorm,
      stepSeconds: (doneAt - freeAt) / 1000,
      dataSeconds: Math.max(0, sent.dataAt - freeAt) / 1000,
    });
  };

  let stop = await processes.share("stop before the first step", () => supervisor!.stopping);
  while (!stop && !(plan.totalSteps !== undefined && step >= plan.totalSteps)) {
    // A failure of the step before may come out here: it is told as that one's.
    const doing = `step ${running[0]?.step ?? step + 1}`;
    running.push(await send(context, step, { plan, schedule, batches }, (work) => guard(doing, work)));
    step++;
    const { pause } = await processes.share(`after/${step}`, () => supervisor!.after(step), false);
    // An engine that computes before it returns has the numbers now.
    await new Promise(setImmediate);
    while (running.length > (pause ? 0 : STEPS_AHEAD) || running[0]?.doneAt !== undefined) await settle();
    if (!pause) continue;
    const next = await processes.share(`pause/${step}`, () => supervisor!.pause(step), false);
    ({ stop, plan } = next);
    schedule = scheduleOf(recipe, plan);
    if (next.saved !== undefined) context.onSaved(next.saved);
  }
  return step;
}

/** Makes the batch of the step after `step` steps and gives it to the engine. */
async function send(
  { recipe, phases, runner, optimizer }: LoopContext,
  step: number,
  {
    plan,
    schedule,
    batches,
  }: { readonly plan: Plan; readonly schedule: Schedule; readonly batches: Batches },
  guarded: <T>(work: Promise<T>) => Promise<T>,
): Promise<SentStep> {
  const beganAt = performance.now();
  const phase = phases.at(step, plan);
  await guarded(runner.follow(phase));
  const batch = await guarded(batches.open(step, phase));
  const lr = learningRate(schedule, step);
  const ema = recipe.emaDecay > 0 ? { emaDecay: recipe.emaDecay } : {};
  const scalars = { ...optimizer.scalars(step + 1, lr), ...ema };
  const { metrics } =
    runner instanceof TwoPassRunner
      ? await guarded(runner.start(batch, scalars))
      : await batch.whole().then((whole) => guarded(runner.start(whole, scalars)));
  batch.close();
  const { epoch, indices, duplicateCaptionShare } = batch;
  const sent: SentStep = {
    step: step + 1,
    epoch,
    indices,
    lr,
    duplicateCaptionShare,
    metrics,
    beganAt,
    dataAt: beganAt + 1000 * batch.waited,
    doneAt: undefined,
  };
  const stamp = () => {
    sent.doneAt = performance.now();
  };
  metrics.then(stamp, stamp);
  return sent;
}

/** Tells each unreadable sample once. */
function skippedNotes(hooks: Pick<TrainHooks, "onMessage">): (batch: Batch) => void {
  const broken = new Set<number>();
  return (batch) => {
    for (const { index, key, reason } of batch.skipped) {
      if (broken.has(index)) continue;
      broken.add(index);
      hooks.onMessage?.(`Skipped ${key}: ${reason} (${broken.size} so far).`, "warning");
    }
  };
}
