/** The training loop: while the devices compute a step, the next is prepared. */

import { performance } from "node:perf_hooks";
import { foldIn, keyFromSeed } from "../core/random.js";
import type { Batch, Loader } from "../data/index.js";
import type { Processes } from "../engines/group.js";
import type { Clip } from "../models/clip.js";
import { drawNoise } from "../nn/noise.js";
import type { Guard } from "./failure.js";
import type { TrainHooks } from "./hooks.js";
import { hostBatch } from "./host-batch.js";
import type { Keeper } from "./keeper.js";
import type { Optimizer } from "./optimizer.js";
import { type Plan, scheduleOf } from "./plan.js";
import type { Recipe } from "./recipe.js";
import type { StepMetrics, StepRunner } from "./runner.js";
import { learningRate, type Schedule } from "./schedule.js";

export interface LoopContext {
  readonly recipe: Recipe;
  readonly processes: Processes;
  /** Process 0's; the others only compute. */
  readonly keeper: Keeper | undefined;
  readonly hooks: Pick<TrainHooks, "onMessage">;
  readonly loader: Loader;
  readonly clip: Clip;
  readonly runner: StepRunner;
  readonly optimizer: Optimizer;
  readonly tokenizer: { encodeBatch(texts: readonly string[]): Int32Array };
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
  const { recipe, processes, keeper, guard } = context;
  let plan = firstPlan;
  let schedule = scheduleOf(recipe, plan);
  let step = firstStep;
  const running: SentStep[] = [];
  let lastDoneAt = 0;
  const skipped = skippedNotes(context.hooks);

  /** Waits for the oldest step, and has it recorded. */
  const settle = async () => {
    const { metrics, ...sent } = running[0]!;
    const { loss, logitScale, gradientNorm } = await guard(`step ${sent.step}`, metrics);
    const doneAt = running.shift()!.doneAt ?? performance.now();
    // What happens while the step before still computes takes no time from the run.
    const freeAt = Math.max(sent.beganAt, lastDoneAt);
    lastDoneAt = doneAt;
    await keeper?.took({
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

  let stop = await processes.share("stop before the first step", () => keeper!.stopping);
  while (!stop && !(plan.totalSteps !== undefined && step >= plan.totalSteps)) {
    // A failure of the step before may come out here: it is told as that one's.
    const doing = `step ${running[0]?.step ?? step + 1}`;
    running.push(await send(context, step, schedule, skipped, (work) => guard(doing, work)));
    step++;
    const { pause } = await processes.share(`after/${step}`, () => keeper!.after(step), false);
    // An engine that computes before it returns has the numbers now.
    await new Promise(setImmediate);
    while (running.length > (pause ? 0 : STEPS_AHEAD) || running[0]?.doneAt !== undefined) await settle();
    if (!pause) continue;
    const next = await processes.share(`pause/${step}`, () => keeper!.pause(step), false);
    if (next.plan.totalSteps !== plan.totalSteps) schedule = scheduleOf(recipe, next.plan);
    ({ stop, plan } = next);
    if (next.saved !== undefined) context.onSaved(next.saved);
  }
  return step;
}

/** Makes the batch of the step after `step` steps and gives it to the engine. */
async function send(
  { recipe, loader, clip, runner, optimizer, tokenizer }: LoopContext,
  step: number,
  schedule: Schedule,
  noteSkipped: (batch: Batch) => void,
  guarded: <T>(work: Promise<T>) => Promise<T>,
): Promise<SentStep> {
  const beganAt = performance.now();
  const batch = await loader.batch(step);
  const dataAt = performance.now();
  noteSkipped(batch);
  const { host, duplicateCaptionShare } = hostBatch(batch, tokenizer);
  const { start, end } = batch.rows;
  const noise = drawNoise(clip.noise, foldIn(keyFromSeed(recipe.seed), "step", step), end - start, start);
  const lr = learningRate(schedule, step);
  const ema = recipe.emaDecay > 0 ? { emaDecay: recipe.emaDecay } : {};
  const scalars = { ...optimizer.scalars(step + 1, lr), ...ema };
  const { metrics } = await guarded(runner.start({ ...host, noise }, scalars));
  batch.release();
  const { epoch, indices } = batch;
  const sent: SentStep = {
    step: step + 1,
    epoch,
    indices,
    lr,
    duplicateCaptionShare,
    metrics,
    beganAt,
    dataAt,
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
