/** What process 0 does beside the steps: it tells, logs, diagnoses, evaluates, saves, and decides what comes next. */

import { performance } from "node:perf_hooks";
import { UsageError } from "../../core/errors.js";
import type { Dataset } from "../../data/index.js";
import type { EvaluationRecord } from "../../evaluate/records.js";
import { type Ticker, ticker } from "../../settings/duration.js";
import { better, type Score } from "../../storage/checkpoint.js";
import type { Loaders } from "../batches/loaders.js";
import type { ScoreLine, StepReport, TrainHooks, TrainResult } from "../hooks.js";
import type { Recipe } from "../recipe/recipe.js";
import type { Reporter } from "../report-to/index.js";
import type { Run } from "../run/folder.js";
import type { Guard } from "../run/guard.js";
import { addStep, metricsLine, nothingLogged, type Unlogged } from "../run/metrics.js";
import { notFinite, type Snapshot, stateFiles } from "../run/state-files.js";
import { Closing, type Timings, type Verdict } from "../schedule/deadline.js";
import { Measurement } from "../schedule/measurement.js";
import type { Phases } from "../schedule/phases.js";
import { clockOf, cutPlan, type Plan, scheduleOf } from "../schedule/plan.js";
import { riseFor } from "../schedule/rise.js";
import type { StepRunner } from "../step/runner.js";
import type { TwoPassRunner } from "../step/two-pass-runner.js";
import { Doctor, type DoctorMemory } from "./diagnose.js";
import { formatClock } from "./progress.js";
import { Reference, type ReferenceMemory } from "./reference.js";
import { type Scoring, scoreOf } from "./scoring.js";

/** What a checkpoint remembers besides tensors. */
interface Progress {
  /** Wall-clock time of training so far, all sittings together. */
  readonly seconds: number;
  readonly samplesSeen: number;
  /** Losses of the last steps, oldest first. */
  readonly losses: readonly number[];
  readonly unlogged: Unlogged;
  readonly doctor: DoctorMemory;
  readonly timings?: Timings | undefined;
  /** Of a run that may not forget. */
  readonly reference?: ReferenceMemory | undefined;
}

/** Losses that the result's mean is over. */
const LAST_LOSSES = 50;

/** What a run that was not extended goes on from. */
const NOTHING = { step: 0, seconds: 0 };

/** A step that is done, for the record. */
export interface DoneStep extends Omit<StepReport, "totalSteps" | "samplesSeen"> {
  readonly epoch: number;
  /** Samples of this process's rows. */
  readonly indices: Uint32Array;
}

/** What follows a step when the others have waited for it. */
export interface Pause {
  /** The run ends here, as somebody asked. */
  readonly stop: boolean;
  readonly plan: Plan;
  /** Step of the last checkpoint. */
  readonly saved?: number | undefined;
}

export interface SupervisorContext {
  /** When this sitting began, by `performance.now()`. */
  readonly started: number;
  readonly recipe: Recipe;
  readonly hooks: TrainHooks;
  readonly run: Run;
  readonly plan: Plan;
  readonly dataset: Dataset;
  readonly loaders: Pick<Loaders, "stats">;
  readonly runner: StepRunner | TwoPassRunner;
  readonly phases: Phases;
  readonly evaluate: Scoring;
  /** Other programs that follow the run. */
  readonly reports: Pick<Reporter, "metrics" | "evaluation">;
  /** What there is to evaluate on. */
  readonly has: { readonly val: boolean; readonly zeroshot: boolean; readonly reference: boolean };
  readonly guard: Guard;
  /** What compiling a step took. */
  readonly compileSeconds: number;
}

export class Supervisor {
  private plan: Plan;
  private readonly before: Progress | undefined;
  private readonly doctor: Doctor;
  private readonly reference: Reference;
  private readonly measurement: Measurement | undefined;
  private readonly tickers: Readonly<Record<"save" | "val" | "zeroshot", Ticker>>;
  private readonly losses: number[];
  private unlogged: Unlogged;
  private due = { save: false, val: false, zeroshot: false };
  private readonly closing: Closing;
  private verdict: Verdict = "go on";
  private asked = false;
  /** Steps done or under way. */
  private step: number;
  /** Milliseconds that the state took out of the engine, the last time. */
  private reading = 0;

  constructor(private readonly context: SupervisorContext) {
    const { recipe, run, plan, has, phases, started, compileSeconds } = context;
    this.plan = plan;
    this.before = run.resumed?.state as unknown as Progress | undefined;
    this.step = run.resumed?.step ?? 0;
    const timings = this.before?.timings ?? {};
    this.closing = new Closing({ recipe, phases, started, compileSeconds, timings });
    this.losses = [...(this.before?.losses ?? [])];
    this.unlogged = this.before?.unlogged ?? nothingLogged;
    this.doctor = new Doctor(
      {
        batchSize: recipe.batchSize,
        chanceLoss: phases.all[0]!.strategy.chance?.(recipe.batchSize),
        warmupSteps: scheduleOf(recipe, plan).warmupSteps,
        totalSteps: plan.totalSteps,
        logitScaleMax: recipe.logitScaleMax,
        gradClipNorm: recipe.gradClipNorm,
      },
      this.before?.doctor,
    );
    this.reference = new Reference(recipe, this.before?.reference);
    this.measurement =
      recipe.time === undefined ? undefined : new Measurement(recipe.time.value, run.resumed?.step ?? 0);
    const tick = (key: "saveFrequency" | "valFrequency" | "zeroshotFrequency") =>
      ticker(recipe[key], () => clockOf(this.plan), key, this.seconds());
    const never: Ticker = { due: () => false };
    this.tickers = {
      save: tick("saveFrequency"),
      val: has.val || has.reference ? tick("valFrequency") : never,
      zeroshot: has.zeroshot ? tick("zeroshotFrequency") : never,
    };
  }

  /** Tells what the run turned out to be; of one that may not forget, scores what it starts from. */
  async begin(description: string): Promise<void> {
    const { hooks, run, recipe, has } = this.context;
    hooks.onStart?.({
      folder: run.path,
      recipe,
      step: run.resumed?.step ?? 0,
      totalSteps: this.plan.totalSteps,
      warmupSteps: scheduleOf(recipe, this.plan).warmupSteps,
      description,
    });
    if (!has.reference || run.resumed !== undefined) return;
    const records = await this.scored(0, { val: true, zeroshot: true });
    this.reference.take(records);
  }

  /** Asks for a stop after the step under way, as the hooks' signal does. */
  stop(): void {
    this.asked = true;
  }

  /** Asks for an end within the recipe's grace, as the hooks' `finish` does. */
  finish(): void {
    this.closing.ask();
  }

  get stopping(): boolean {
    const { signal, finish, stopAfter = Number.POSITIVE_INFINITY } = this.context.hooks;
    if (finish?.aborted) this.finish();
    return this.asked || signal?.aborted === true || this.step >= stopAfter || this.closing.stops;
  }

  /** Decides, once `step` is under way, whether all wait for something before the next. */
  after(step: number): { pause: boolean } {
    this.step = step;
    const { tickers } = this;
    const seconds = this.seconds();
    this.due = {
      save: tickers.save.due(step, seconds),
      val: tickers.val.due(step, seconds),
      zeroshot: tickers.zeroshot.due(step, seconds),
    };
    const { save, val, zeroshot } = this.due;
    const measured = this.plan.totalSteps === undefined;
    const stops = this.stopping || this.isLast(step);
    this.verdict = stops ? "go on" : this.closing.verdict(step, this.plan);
    const ends = stops || this.verdict !== "go on";
    return { pause: save || val || zeroshot || measured || ends || this.timesEvaluation };
  }

  /** Records a step. Throws `UsageError` when its loss is not finite. */
  async took(done: DoneStep): Promise<void> {
    const { hooks, run, recipe, loaders, reports } = this.context;
    const { epoch, indices, ...signals } = done;
    const { step } = done;
    const report: StepReport = {
      ...signals,
      totalSteps: this.plan.totalSteps,
      samplesSeen: step * recipe.batchSize,
    };
    this.losses.push(report.loss);
    if (this.losses.length > LAST_LOSSES) this.losses.shift();
    this.unlogged = addStep(this.unlogged, report);
    hooks.onStep?.(report);
    this.diagnose(report, indices);
    this.closing.took(step, this.plan, report.stepSeconds);
    const filling = epoch === 0 && loaders.stats().cachedBytes > 0;
    if (this.plan.totalSteps === undefined && this.measurement !== undefined) {
      if (this.measurement.add(report.stepSeconds, filling)) await this.fixPlan(this.measurement, step);
      else this.steepen(this.measurement, step);
    }
    if (step % recipe.logEveryNSteps === 0 || this.isLast(step)) {
      const line = metricsLine(this.unlogged, report, epoch, this.seconds());
      run.appendMetrics(line);
      reports.metrics(line);
      this.unlogged = nothingLogged;
    }
  }

  /** Does what is due after `step`, all steps being done. */
  async pause(step: number): Promise<Pause> {
    const { hooks, run, recipe } = this.context;
    const { save, val, zeroshot } = this.due;
    const ends = this.isLast(step);
    // When its length was only just fixed, the run may have been over its last step.
    if (ends) this.verdict = "go on";
    const state = save || ends ? await this.soundState(step) : undefined;
    let records: readonly EvaluationRecord[] = [];
    if (val || zeroshot || ends) {
      records = await this.scored(step, { val: val || ends, zeroshot: zeroshot || ends });
      const loss = records.find(({ metric }) => metric === "val_loss")?.value;
      for (const { message } of loss === undefined ? [] : this.doctor.validation(step, loss))
        this.warn(step, message);
    } else if (this.timesEvaluation) {
      await this.evaluate(step, { val: true, zeroshot: true });
    }
    if (this.verdict === "stop" && !this.stopping) {
      this.stop();
      hooks.onMessage?.("Too little time is left for a cooldown: saved, to be continued.", "note");
    }
    const kept = this.reference.take(records);
    if (kept?.warning !== undefined) hooks.onMessage?.(kept.warning, "warning");
    const forgets = kept?.within === false;
    // The length of a time-limited run must be known before it can be cut.
    const over = forgets && recipe.referenceStop && !ends && this.plan.totalSteps !== undefined;
    const stop = this.stopping;
    const cools = typeof this.verdict === "object" && !stop && !over;
    const score = forgets ? undefined : scoreOf(recipe, records);
    const isBest = score !== undefined && better(score, run.bestCheckpoint()?.score);
    if (save || ends || stop || cools || over || isBest)
      this.save(step, score, state ?? (await this.soundState(step)));
    // The plan comes after the checkpoint: a run that is killed in between has not begun to cool down.
    if (typeof this.verdict === "object" && cools) this.cool(step, this.verdict.coolFor);
    if (over) this.endHere(step);
    return { stop, plan: this.plan, saved: run.latestCheckpoint()?.step };
  }

  /** Scores the weights after `step`, and logs that. */
  private async scored(
    step: number,
    what: { val: boolean; zeroshot: boolean },
  ): Promise<readonly EvaluationRecord[]> {
    const { hooks, run, recipe, phases, reports } = this.context;
    const found = await this.evaluate(step, what);
    const macs = recipe.batchSize * phases.forwardMacs(step, this.plan);
    const records = found.map((record) => ({ ...record, macs }));
    for (const record of records) {
      run.appendEvaluation({ ...record });
      reports.evaluation({ ...record });
    }
    if (records.length > 0) hooks.onEvaluation?.(records.map((r) => ({ ...r, step }) as ScoreLine));
    return records;
  }

  /** The state, to be saved. Throws `UsageError` when it is not finite: what nobody can use is not kept. */
  private async soundState(step: number): Promise<Snapshot> {
    const { runner, guard } = this.context;
    const start = performance.now();
    const state = await guard(`reading the state after step ${step}`, runner.state.snapshot());
    this.reading = performance.now() - start;
    const bad = notFinite(state);
    if (bad.length === 0) return state;
    throw new UsageError(
      `state: must be finite; got NaN or infinity in ${bad.slice(0, 3).join(", ")}${bad.length > 3 ? ` and ${bad.length - 3} more` : ""} after step ${step}. Lower --lr or --grad-clip-norm, or lengthen --warmup; it is not saved. ${this.lastSaved()}`,
    );
  }

  private lastSaved(): string {
    const latest = this.context.run.latestCheckpoint();
    return latest === undefined
      ? "There is no checkpoint yet."
      : `The last checkpoint, of step ${latest.step}, was finite when it was saved.`;
  }

  private save(step: number, score: Score | undefined, state: Snapshot): void {
    const { hooks, run, phases } = this.context;
    const start = performance.now();
    const files = stateFiles(state, phases.all[0]!.strategy);
    const saved = run.saveCheckpoint(step, files, { ...this.progress(step) }, score);
    const save = (this.reading + performance.now() - start) / 1000;
    this.closing.timings = { ...this.closing.timings, save };
    hooks.onCheckpoint?.(step, saved.path);
  }

  /** The last steps of the run begin, earlier than planned. */
  private cool(step: number, coolFor: number): void {
    const { hooks, run, recipe } = this.context;
    const planned = this.plan.totalSteps;
    this.plan = run.savePlan(cutPlan(this.plan, step, coolFor));
    this.closing.begin();
    const { warmupSteps } = scheduleOf(recipe, this.plan);
    this.doctor.planned({ totalSteps: this.plan.totalSteps, warmupSteps });
    const left = formatClock(Math.max(0, this.closing.secondsLeft));
    hooks.onMessage?.(
      `Cools down from step ${step} of ${planned} on, for ${coolFor} steps: ${left} are left.`,
      "note",
    );
  }

  /** The run ends with `step`, since more than may be is forgotten. */
  private endHere(step: number): void {
    const { hooks, run } = this.context;
    this.plan = run.savePlan(cutPlan(this.plan, step, 0));
    if (run.bestCheckpoint() === undefined)
      hooks.onMessage?.(
        "No weights from before are kept, so that these are used: score earlier (--val-frequency) with pairs held out (--val-split 0.1), or start from the old weights.",
        "warning",
      );
  }

  /** An evaluation out of turn, so that the time that the last one takes is known. */
  private get timesEvaluation(): boolean {
    const { has } = this.context;
    return (has.val || has.zeroshot || has.reference) && this.closing.wantsEvaluation;
  }

  /** What the run has come to after `step` steps. */
  result(step: number): TrainResult {
    return resultOf(this.context.run, step, this.progress(step), this.isLast(step));
  }

  private isLast(step: number): boolean {
    return this.plan.totalSteps !== undefined && step >= this.plan.totalSteps;
  }

  private seconds(): number {
    return (this.before?.seconds ?? 0) + (performance.now() - this.context.started) / 1000;
  }

  private progress(step: number): Progress {
    return {
      seconds: this.seconds(),
      samplesSeen: step * this.context.recipe.batchSize,
      losses: this.losses,
      unlogged: this.unlogged,
      doctor: this.doctor.memory,
      timings: this.closing.timings,
      ...(this.reference.memory && { reference: this.reference.memory }),
    };
  }

  private async evaluate(
    step: number,
    what: { val: boolean; zeroshot: boolean },
  ): Promise<EvaluationRecord[]> {
    const { guard, evaluate, has } = this.context;
    const start = performance.now();
    const records = await guard(`the evaluation after step ${step}`, evaluate(step, what));
    const whole = what.val >= has.val && what.zeroshot >= has.zeroshot;
    const evaluation = (performance.now() - start) / 1000;
    if (whole) this.closing.timings = { ...this.closing.timings, evaluation };
    return records;
  }

  /** Lets the rate of a time-limited run rise as its warm-up seems to be going to. */
  private steepen(measurement: Measurement, step: number): void {
    const { recipe, run, phases } = this.context;
    const { extended: { step: first, seconds } = NOTHING } = this.plan;
    const expected = measurement.expectedSteps(this.seconds() - seconds, phases.meanCost());
    if (expected === undefined) return;
    const plan = riseFor(recipe, this.plan, expected - first, step - first);
    if (plan.rise!.length > (this.plan.rise?.length ?? 0)) this.plan = run.savePlan(plan);
  }

  /** Fixes the length of a time-limited run. */
  private async fixPlan(measurement: Measurement, step: number): Promise<void> {
    const { recipe, run, phases } = this.context;
    const timed = async (what: { val: boolean; zeroshot: boolean }): Promise<number> => {
      const start = performance.now();
      await this.evaluate(step, what);
      return (performance.now() - start) / 1000;
    };
    const recurring = [
      { every: recipe.valFrequency, seconds: await timed({ val: true, zeroshot: false }) },
      { every: recipe.zeroshotFrequency, seconds: await timed({ val: false, zeroshot: true }) },
    ];
    const { extended: { step: first, seconds } = NOTHING } = this.plan;
    const fixed = measurement.fix(this.plan, this.seconds() - seconds, recurring, phases.meanCost());
    this.plan = run.savePlan(riseFor(recipe, fixed, fixed.totalSteps! - first, step - first));
    const { warmupSteps } = scheduleOf(recipe, this.plan);
    this.doctor.planned({ totalSteps: this.plan.totalSteps, warmupSteps });
  }

  private diagnose(report: StepReport, indices: Uint32Array): void {
    const { dataset } = this.context;
    const finite = Number.isFinite(report.loss) && Number.isFinite(report.gradNorm);
    const sampleKeys = finite ? undefined : Array.from(indices, (i) => dataset.sample(i).key);
    for (const { rule, message } of this.doctor.step({ ...report, sampleKeys })) {
      if (rule === "non-finite-loss") throw new UsageError(`${message} ${this.lastSaved()}`);
      this.warn(report.step, message);
    }
  }

  /** Tells what is wrong, and keeps it with the run. */
  private warn(step: number, text: string): void {
    const { run, hooks } = this.context;
    run.appendWarning({ step, text });
    hooks.onMessage?.(text, "warning");
  }
}

/** What a run has come to that was done before. */
export const resultOfDone = (run: Run): TrainResult =>
  resultOf(run, run.resumed!.step, run.resumed!.state as unknown as Progress, true);

function resultOf(run: Run, step: number, progress: Progress, finished: boolean): TrainResult {
  const { losses, samplesSeen, seconds } = progress;
  // Lines that `clipwright evaluate` has added count no samples.
  const lines = run
    .readEvaluation()
    .filter((line) => line.samplesSeen !== undefined) as unknown as ScoreLine[];
  const last = lines.at(-1)?.step;
  return {
    folder: run.path,
    step,
    totalSteps: run.plan?.totalSteps ?? step,
    samplesSeen,
    seconds,
    loss: losses.reduce((n, l) => n + l, 0) / Math.max(1, losses.length),
    finished,
    evaluation: lines.filter((line) => line.step === last),
  };
}
