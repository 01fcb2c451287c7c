/** The training loop, from a recipe to a run's folder. */

import { performance } from "node:perf_hooks";
import type { TypedArray } from "../core/dtype.js";
import { UsageError } from "../core/errors.js";
import { foldIn, keyFromSeed } from "../core/random.js";
import { encodeSafetensors, SafetensorsFile } from "../core/safetensors.js";
import { type Batch, createLoader, type Dataset, type Loader } from "../data/index.js";
import { openEngine } from "../engines/registry.js";
import { Encoder } from "../evaluate/encoder.js";
import { type EvaluationRecord, lossRecord } from "../evaluate/records.js";
import { retrieval, zeroshot } from "../evaluate/tasks.js";
import { type Clip, makeClip } from "../models/clip.js";
import { drawNoise } from "../nn/noise.js";
import { countParameters } from "../nn/parameters.js";
import type { Checkpoint, Score } from "../storage/checkpoint.js";
import { Doctor, type DoctorMemory } from "./diagnose.js";
import { ticker } from "./duration.js";
import { HeldOutLoss } from "./held-out.js";
import type { ScoreLine, StepReport, TrainHooks, TrainResult } from "./hooks.js";
import { addStep, metricsLine, nothingLogged, type Unlogged } from "./metrics.js";
import { makeOptimizer } from "./optimizer.js";
import { clockOf, Measurement, makePlan, type Plan, scheduleOf } from "./plan.js";
import { openRunData, pipelinesOf, prepareModel, saveModelConfig } from "./prepare.js";
import type { Recipe } from "./recipe.js";
import { Run } from "./run-folder.js";
import { type HostBatch, initialState, StepRunner, splitGroup } from "./runner.js";
import { learningRate } from "./schedule.js";

/** What a checkpoint remembers besides tensors. */
interface Progress {
  /** Wall-clock time of training so far, all sittings together. */
  readonly seconds: number;
  readonly samplesSeen: number;
  /** Losses of the last steps, oldest first. */
  readonly losses: readonly number[];
  readonly unlogged: Unlogged;
  readonly doctor: DoctorMemory;
}

/** Losses that the result's mean is over. */
const LAST_LOSSES = 50;

/**
 * Trains what the recipe says, in the folder `LOGS/NAME`; run again, it goes on from the latest checkpoint.
 * Throws `UsageError` for what the caller can mend: bad data or settings, a full disk, a loss that is not finite.
 */
export async function train(recipe: Recipe, hooks: TrainHooks = {}): Promise<TrainResult> {
  const started = performance.now();
  using run = Run.open(recipe);
  const say = (line: string) => hooks.onMessage?.(line, "note");
  if (run.resumed !== undefined && run.resumed.step === run.plan?.totalSteps) {
    say(`This run was done before; train longer under another --name. Nothing is changed in ${run.path}.`);
    return resultOf(run, run.resumed.step, run.resumed.state as unknown as Progress, true);
  }
  const data = await openRunData(recipe, say);
  // A run that goes on keeps its tokenizer; loadTokenizer finds it in the folder.
  const model = prepareModel(recipe, data.train, run.resumed === undefined ? undefined : run.path);
  model.tokenizer.save(run.file(model.tokenizer.fileName));
  saveModelConfig(run.file, model);
  const pipelines = pipelinesOf(recipe, model);
  const loader = createLoader({
    dataset: data.train,
    batchSize: recipe.batchSize,
    seed: recipe.seed,
    pipeline: pipelines.train,
    captions: recipe.captions,
    captionDropout: recipe.captionDropout,
    memoryLimitBytes: recipe.imageMemory * 2 ** 20,
    ...(recipe.workers === undefined ? {} : { workers: recipe.workers }),
  });
  try {
    const plan = run.savePlan(makePlan(recipe, loader.samplesPerEpoch));
    await using engine = await openEngine(recipe.engine, recipe);
    const clip = makeClip(model.config, { rematerialize: recipe.gradCheckpointing });
    const { tokenizer } = model;
    const optimizer = makeOptimizer(recipe.optimizer, {
      beta1: recipe.beta1,
      beta2: recipe.beta2,
      epsilon: recipe.eps,
      weightDecay: recipe.wd,
    });
    const ema = recipe.emaDecay > 0;
    const initial =
      run.resumed === undefined ? initialState(clip, keyFromSeed(recipe.seed)) : readState(run.resumed, clip);
    using runner = await StepRunner.create(
      engine,
      {
        clip,
        optimizer,
        batchSize: recipe.batchSize,
        contextLength: tokenizer.contextLength,
        normalization: pipelines.normalization,
        clipNorm: recipe.gradClipNorm > 0 ? recipe.gradClipNorm : undefined,
        maxLogitScale: recipe.logitScaleMax,
        ema,
        replicas: engine.capabilities.replicas,
        precision: recipe.precision,
      },
      initial,
    );
    using encoder = await Encoder.create(engine, {
      clip,
      tokenizer,
      pipeline: pipelines.evaluation,
      normalization: pipelines.normalization,
      workers: recipe.workers,
    });
    using heldOut = new HeldOutLoss(engine, recipe.batchSize);
    const evaluate = makeEvaluation({
      recipe,
      heldOut,
      encoder,
      runner,
      ema,
      val: data.val,
      zeroshotData: data.zeroshot,
    });
    const description =
      `${loader.samplesPerEpoch} images, ${(countParameters(clip.parameters) / 1e6).toFixed(1)} M parameters, ` +
      `batch ${recipe.batchSize}; ${model.tokenizerNote}, context ${tokenizer.contextLength}`;
    return await loop({
      started,
      recipe,
      hooks,
      run,
      plan,
      dataset: data.train,
      loader,
      clip,
      runner,
      description,
      optimizer,
      tokenizer,
      ema,
      evaluate,
    });
  } finally {
    await loader.close();
  }
}

interface Loop {
  /** When this sitting began, by `performance.now()`. */
  readonly started: number;
  readonly recipe: Recipe;
  readonly hooks: TrainHooks;
  readonly run: Run;
  readonly plan: Plan;
  readonly dataset: Dataset;
  readonly loader: Loader;
  readonly clip: Clip;
  readonly runner: StepRunner;
  readonly description: string;
  readonly optimizer: ReturnType<typeof makeOptimizer>;
  readonly tokenizer: { encodeBatch(texts: readonly string[]): Int32Array };
  readonly ema: boolean;
  readonly evaluate: Evaluation;
}

async function loop(context: Loop): Promise<TrainResult> {
  const { recipe, hooks, run, loader, clip, runner, optimizer, ema, evaluate } = context;
  let { plan } = context;
  let schedule = scheduleOf(recipe, plan);
  const before = run.resumed?.state as unknown as Progress | undefined;
  let step = run.resumed?.step ?? 0;
  const { started } = context;
  const seconds = () => (before?.seconds ?? 0) + (performance.now() - started) / 1000;
  const samplesSeen = () => step * recipe.batchSize;

  const doctor = new Doctor(
    {
      batchSize: recipe.batchSize,
      warmupSteps: schedule.warmupSteps,
      totalSteps: plan.totalSteps,
      logitScaleMax: recipe.logitScaleMax,
      gradClipNorm: recipe.gradClipNorm,
    },
    before?.doctor,
  );
  const measurement = recipe.time === undefined ? undefined : new Measurement(recipe.time.value, step);
  const tick = (duration: Recipe["saveFrequency"], key: string) =>
    ticker(duration, () => clockOf(plan), key, seconds());
  const saves = tick(recipe.saveFrequency, "saveFrequency");
  const validations = tick(recipe.valFrequency, "valFrequency");
  const zeroshots = tick(recipe.zeroshotFrequency, "zeroshotFrequency");

  hooks.onStart?.({
    folder: run.path,
    recipe,
    step,
    totalSteps: plan.totalSteps,
    warmupSteps: schedule.warmupSteps,
    description: context.description,
  });
  const losses = [...(before?.losses ?? [])];
  let unlogged = before?.unlogged ?? nothingLogged;
  const progress = (): Progress => ({
    seconds: seconds(),
    samplesSeen: samplesSeen(),
    losses,
    unlogged,
    doctor: doctor.memory,
  });
  const broken = new Set<number>();
  const isDone = () => plan.totalSteps !== undefined && step >= plan.totalSteps;

  while (!isDone() && !hooks.signal?.aborted) {
    const begin = performance.now();
    const batch = await loader.batch(step);
    noteSkipped(batch, broken, hooks);
    const lr = learningRate(schedule, step);
    const { host, duplicateCaptionShare } = hostBatch(batch, context.tokenizer);
    const noise = drawNoise(clip.noise, foldIn(keyFromSeed(recipe.seed), "step", step), recipe.batchSize);
    const scalars = { ...optimizer.scalars(step + 1, lr), ...(ema ? { emaDecay: recipe.emaDecay } : {}) };
    const metrics = await runner.step({ ...host, noise }, scalars);
    batch.release();
    step++;
    const report: StepReport = {
      step,
      totalSteps: plan.totalSteps,
      samplesSeen: samplesSeen(),
      loss: metrics.loss,
      lr,
      logitScale: metrics.logitScale,
      gradNorm: metrics.gradientNorm,
      stepSeconds: (performance.now() - begin) / 1000,
      dataSeconds: batch.waitMs / 1000,
      duplicateCaptionShare,
    };
    losses.push(report.loss);
    if (losses.length > LAST_LOSSES) losses.shift();
    unlogged = addStep(unlogged, report);
    hooks.onStep?.(report);
    stopIfNotFinite(doctor, report, batch, context.dataset, hooks);
    const filling = batch.epoch === 0 && loader.stats().cachedBytes > 0;
    if (plan.totalSteps === undefined && measurement?.add(report.stepSeconds, filling)) {
      const recurring = [
        {
          every: recipe.valFrequency,
          seconds: await timed(() => evaluate(step, { val: true, zeroshot: false })),
        },
        {
          every: recipe.zeroshotFrequency,
          seconds: await timed(() => evaluate(step, { val: false, zeroshot: true })),
        },
      ];
      plan = run.savePlan(measurement.fix(plan, seconds(), recurring));
      schedule = scheduleOf(recipe, plan);
      doctor.planned({ totalSteps: plan.totalSteps, warmupSteps: schedule.warmupSteps });
    }
    if (step % recipe.logEveryNSteps === 0 || isDone()) {
      run.appendMetrics(metricsLine(unlogged, report, batch.epoch, seconds()));
      unlogged = nothingLogged;
    }
    const due = { val: validations.due(step, seconds()), zeroshot: zeroshots.due(step, seconds()) };
    const ends = isDone();
    let records: readonly EvaluationRecord[] = [];
    if (due.val || due.zeroshot || ends) {
      records = await evaluate(step, { val: due.val || ends, zeroshot: due.zeroshot || ends });
      for (const record of records) run.appendEvaluation({ ...record });
      if (records.length > 0) hooks.onEvaluation?.(records.map((r) => ({ ...r, step }) as ScoreLine));
      const loss = records.find(({ metric }) => metric === "val_loss")?.value;
      for (const { message } of loss === undefined ? [] : doctor.validation(step, loss))
        hooks.onMessage?.(message, "warning");
    }
    if (saves.due(step, seconds()) || ends || hooks.signal?.aborted) {
      const files = await stateFiles(runner);
      const saved = run.saveCheckpoint(step, files, { ...progress() }, scoreOf(recipe, records));
      hooks.onCheckpoint?.(step, saved.path);
    }
  }
  return resultOf(run, step, progress(), isDone());
}

/** Seconds that `work` takes. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** What a run has come to after `step` steps. */
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

/** Tokens and ids of a batch: equal ids for equal samples and for equal captions. */
function hostBatch(
  batch: Batch,
  tokenizer: { encodeBatch(texts: readonly string[]): Int32Array },
): { host: HostBatch; duplicateCaptionShare: number } {
  const first = new Map<string, number>();
  const textIds = new Int32Array(batch.captions.length);
  const count = new Map<number, number>();
  batch.captions.forEach((caption, i) => {
    const id = first.get(caption) ?? i;
    first.set(caption, id);
    textIds[i] = id;
    count.set(id, (count.get(id) ?? 0) + 1);
  });
  const repeated = textIds.reduce((n, id) => n + (count.get(id)! > 1 ? 1 : 0), 0);
  return {
    host: {
      images: batch.images,
      tokens: tokenizer.encodeBatch(batch.texts),
      imageIds: Int32Array.from(batch.indices),
      textIds,
    },
    duplicateCaptionShare: repeated / batch.captions.length,
  };
}

function noteSkipped(batch: Batch, broken: Set<number>, hooks: TrainHooks): void {
  for (const { index, key, reason } of batch.skipped) {
    if (broken.has(index)) continue;
    broken.add(index);
    hooks.onMessage?.(`Skipped ${key}: ${reason} (${broken.size} so far).`, "warning");
  }
}

function stopIfNotFinite(
  doctor: Doctor,
  report: StepReport,
  batch: Batch,
  dataset: Dataset,
  hooks: TrainHooks,
): void {
  const finite = Number.isFinite(report.loss) && Number.isFinite(report.gradNorm);
  const sampleKeys = finite ? undefined : Array.from(batch.indices, (i) => dataset.sample(i).key);
  for (const { rule, message } of doctor.step({ ...report, sampleKeys })) {
    if (rule === "non-finite-loss") throw new UsageError(message);
    hooks.onMessage?.(message, "warning");
  }
}

type Evaluation = (step: number, what: { val: boolean; zeroshot: boolean }) => Promise<EvaluationRecord[]>;

function makeEvaluation(context: {
  recipe: Recipe;
  heldOut: HeldOutLoss;
  encoder: Encoder;
  runner: StepRunner;
  ema: boolean;
  val: Dataset | undefined;
  zeroshotData: Dataset | undefined;
}): Evaluation {
  const { recipe, heldOut, encoder, runner, ema, val, zeroshotData } = context;
  return async (step, what) => {
    const weights = runner.variables(ema ? "ema" : "params");
    encoder.use(weights);
    const at = { step, samplesSeen: step * recipe.batchSize };
    const records: EvaluationRecord[] = [];
    if (what.val && val !== undefined && recipe.valFrequency.value > 0) {
      const context = { ...at, split: "val" };
      const found = await retrieval(encoder, val, context);
      const scale = await runner.logitScale(weights);
      const loss = await heldOut.measure({ ...found, images: found.images.features }, scale);
      if (loss !== undefined) records.push(lossRecord(val.name, loss, context));
      records.push(...found.records);
    }
    if (what.zeroshot && zeroshotData !== undefined && recipe.zeroshotFrequency.value > 0) {
      const options = { classnames: recipe.zeroshotClassnames, templates: recipe.zeroshotTemplates, ...at };
      records.push(...(await zeroshot(encoder, zeroshotData, options)).records);
    }
    return records;
  };
}

/** The score that `keepBest` names, when these weights have just got it. */
function scoreOf(recipe: Recipe, records: readonly EvaluationRecord[]): Score | undefined {
  const wanted = recipe.keepBest;
  if (wanted === undefined) return undefined;
  const found = records.find(({ metric }) => wanted === metric || wanted.endsWith(`/${metric}`));
  return found === undefined ? undefined : { metric: wanted, value: found.value };
}

/** Which file of a checkpoint holds a group of the state. */
const FILES: Readonly<Record<string, string>> = {
  params: "params.safetensors",
  slots: "optimizer.safetensors",
  ema: "ema.safetensors",
};

/**
 * The state as checkpoint files: parameters and statistics under open_clip's names, beside the moving average the
 * statistics once more, so that either file is a whole model; the optimizer's as NAME.SLOT.
 */
async function stateFiles(runner: StepRunner): Promise<Record<string, Iterable<Uint8Array>>> {
  const state = [...(await runner.snapshot())].map(([path, { type, data }]) => {
    const [group, name] = splitGroup(path);
    return { group, tensor: { name, ...type, data } };
  });
  const files: Record<string, Iterable<Uint8Array>> = {};
  for (const [group, file] of Object.entries(FILES)) {
    if (!state.some((s) => s.group === group)) continue;
    const isModel = group !== "slots";
    const tensors = state
      .filter((s) => s.group === group || (isModel && s.group === "statistics"))
      .map(({ tensor }) => tensor);
    files[file] = { [Symbol.iterator]: () => encodeSafetensors(tensors, { format: "pt" }) };
  }
  return files;
}

function readState(checkpoint: Checkpoint, { statistics }: Clip): Record<string, TypedArray> {
  const state: Record<string, TypedArray> = {};
  for (const [group, name] of Object.entries(FILES)) {
    if (!checkpoint.files.includes(name)) continue;
    using file = new SafetensorsFile(`${checkpoint.path}/${name}`);
    for (const tensor of file.names) {
      const to = statistics[tensor] === undefined ? group : "statistics";
      state[`${to}.${tensor}`] = file.read(tensor);
    }
  }
  return state;
}
