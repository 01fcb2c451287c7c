/** Training, from a recipe to a run's folder, in this process alone or in each of several. */

import { performance } from "node:perf_hooks";
import { UsageError } from "../core/errors.js";
import { keyFromSeed } from "../core/random.js";
import { createLoader, fingerprintOf } from "../data/index.js";
import { type Pipeline, pipelineOfSize } from "../data/pixels/pipeline.js";
import { type Processes, type TogetherOptions, together } from "../engines/group.js";
import { parseXlaFlagWords } from "../engines/xla/options.js";
import { Encoder } from "../evaluate/model/encoder.js";
import { makeClip } from "../models/clip.js";
import { countParameters, type ParameterSpecs } from "../nn/parameters.js";
import { PASSES } from "./batches/batches.js";
import { Loaders } from "./batches/loaders.js";
import { openTeacher, type StoreTeacherOptions, storeTeacher, type Teacher } from "./batches/teacher.js";
import type { TrainHooks, TrainResult } from "./hooks.js";
import { loop } from "./loop.js";
import { type Recipe, recipeToJson } from "./recipe/recipe.js";
import { DEFAULT_DISTILL } from "./recipe/teacher-fields.js";
import { guardOf } from "./run/failure.js";
import { followRun, openRun, refuseOtherRecipe } from "./run/folder.js";
import { openRunData, pipelinesOf, prepareModel, saveModelConfig } from "./run/prepare.js";
import { readState } from "./run/state-files.js";
import { requireWeights, warmStart } from "./run/warm-start.js";
import { distilledPhases, type Phases, phasesOf } from "./schedule/phases.js";
import { makePlan } from "./schedule/plan.js";
import { rowsOfDevices } from "./step/device-rows.js";
import { frozenOf, ratesOf } from "./step/frozen.js";
import { makeOptimizer } from "./step/optimizer.js";
import { learning } from "./step/options.js";
import { StepRunner } from "./step/runner.js";
import { initialState } from "./step/state.js";
import { TwoPassRunner } from "./step/two-pass-runner.js";
import { HeldOutLoss } from "./watch/held-out.js";
import { makeScoring } from "./watch/scoring.js";
import { resultOfDone, Supervisor } from "./watch/supervisor.js";

/**
 * Trains what the recipe says, in the folder `LOGS/NAME`; run again, it goes on from the latest checkpoint. Where a
 * launcher started several processes, each calls it: process 0 alone writes the folder and calls the hooks, the others
 * pass on what their own rows of a batch had to warn of, and all get process 0's result.
 * Throws `UsageError` for what the caller can mend: bad data or settings, a full disk, a loss that is not finite, a
 * device that fails, another process that has.
 */
export function train(
  recipe: Recipe,
  hooks: TrainHooks = {},
  options: TogetherOptions = {},
): Promise<TrainResult> {
  const started = performance.now();
  return together(recipe.engine, (processes) => trainHere(recipe, hooks, processes, started), options);
}

async function trainHere(
  recipe: Recipe,
  given: TrainHooks,
  processes: Processes,
  started: number,
): Promise<TrainResult> {
  const { index, count } = processes;
  refuseOtherRecipe(await processes.share("recipe", () => recipeToJson(recipe)), recipe);
  const hooks = index === 0 ? given : warningsOnly(given, index);
  const say = (line: string) => hooks.onMessage?.(line, "note");
  using run = index === 0 ? await openRun(recipe, say) : undefined;
  for (const line of run?.notes ?? []) hooks.onMessage?.(line, "warning");
  const begin = await processes.share("begin", () => {
    const step = run!.resumed?.step;
    return { step, done: step !== undefined && step === run!.plan?.totalSteps };
  });
  if (begin.done) {
    say(`This run was done before; train longer under another --name. Nothing is changed in ${run?.path}.`);
    return processes.share("result", () => resultOfDone(run!));
  }
  const { path, resumed } = run ?? (await followRun(recipe, begin.step));
  if (resumed === undefined) requireWeights(recipe);
  const data = await openRunData(recipe, say, processes);
  // A run that goes on keeps its tokenizer; loadTokenizer finds it in the folder. So do the other processes.
  const learn = () => {
    const made = prepareModel(recipe, data.train, resumed === undefined ? undefined : path);
    made.tokenizer.save(run!.file(made.tokenizer.fileName));
    saveModelConfig(run!.file, made);
    return made;
  };
  const made = run && learn();
  await processes.share("tokenizer", () => true);
  const model = made ?? prepareModel(recipe, data.train, path);
  const pipelines = pipelinesOf(recipe, model);
  const { batchSize } = recipe;
  if (count > 1 && recipe.microBatch !== undefined) {
    throw new UsageError(
      `microBatch: batches in parts are made by one process; got microBatch=${recipe.microBatch}, ${count} processes. Remove it, or use --devices in one process.`,
    );
  }
  const share = rowsOfDevices(batchSize, count * recipe.devices, {
    first: index * recipe.devices,
    devices: recipe.devices,
  });
  const ofSize = (size: number) => (pipeline: Pipeline) =>
    size === pipelines.train.size ? pipeline : pipelineOfSize(pipeline, size);
  const makeLoader = (size: number) =>
    createLoader({
      dataset: data.train,
      ...(recipe.microBatch === undefined
        ? { batchSize, rows: { start: share.start, end: share.end } }
        : {
            batchSize: recipe.microBatch,
            revisit: { batches: batchSize / recipe.microBatch, times: PASSES },
          }),
      seed: recipe.seed,
      pipeline: ofSize(size)(pipelines.train),
      views: pipelines.views.map(ofSize(size)),
      captions: recipe.captions,
      captionDropout: recipe.captionDropout,
      memoryLimitBytes: recipe.imageMemory * 2 ** 20,
      ...(recipe.workers === undefined ? {} : { workers: recipe.workers }),
    });
  await using loaders = new Loaders(makeLoader, recipe.imageSizes?.[0]?.value ?? pipelines.train.size);
  const plan = await processes.share("plan", () =>
    run!.savePlan({ ...makePlan(recipe, loaders.samplesPerEpoch), data: fingerprintOf(data.train) }),
  );
  let saved = resumed?.step;
  const guard = guardOf(recipe, () => saved);
  const engine = await processes.openEngine(recipe.engine, recipe);
  const lockedWhole = recipe.lockImage === true && recipe.lockImageUnlockedGroups === undefined;
  const clip = makeClip(model.config, {
    rematerialize: recipe.gradCheckpointing,
    dropPath: lockedWhole ? 0 : recipe.dropPath,
  });
  using teacher = await teacherOf(recipe, { engine, dataset: data.train, say, processes });
  const phases = withTeacher(phasesOf(recipe, clip), teacher, recipe);
  const { strategy, contextLength, clip: phaseClip } = phases.at(resumed?.step ?? 0, plan);
  const { tokenizer } = model;
  const optimizer = makeOptimizer(recipe.optimizer, {
    beta1: recipe.beta1,
    beta2: recipe.beta2,
    epsilon: recipe.eps,
    weightDecay: recipe.wd,
  });
  const start = resumed === undefined ? warmStart(recipe, clip) : undefined;
  const { fresh } = await processes.share("start", () =>
    run!.saveStart({ fresh: start?.fresh ?? [], teacher: teacher?.key }),
  );
  const initial =
    resumed === undefined
      ? initialState({ clip, strategy }, keyFromSeed(recipe.seed), start?.values)
      : readState(resumed, { clip, strategy });
  const stepOptions = {
    clip: phaseClip,
    strategy,
    optimizer,
    frozen: frozenOf(recipe, clip, new Set(fresh)),
    rate: ratesOf(recipe, clip),
    batchSize,
    contextLength,
    normalization: pipelines.normalization,
    clipNorm: recipe.gradClipNorm > 0 ? recipe.gradClipNorm : undefined,
    maxLogitScale: recipe.logitScaleMax,
    ema: recipe.emaDecay > 0,
    replicas: engine.capabilities.replicas,
    firstReplica: index * engine.capabilities.devices,
    precision: recipe.precision,
    device: recipe.attention === "plain" ? undefined : engine.capabilities.device,
  };
  const compiling = performance.now();
  const flags = parseXlaFlagWords(recipe.xlaFlag ?? []);
  const { microBatch, textMicroBatch } = recipe;
  using runner = await guard<StepRunner | TwoPassRunner>(
    "compiling the step",
    microBatch === undefined
      ? StepRunner.create(engine, stepOptions, initial, { flags })
      : TwoPassRunner.create(engine, { ...stepOptions, microBatch, textMicroBatch }, initial, { flags }),
  );
  const compileSeconds = (performance.now() - compiling) / 1000;
  const compute = { recipe, processes, loaders, phases, runner, optimizer, tokenizer, guard, hooks };
  const onSaved = (step: number) => {
    saved = step;
  };
  if (run === undefined) {
    processes.forward("stop", given.signal, () => {});
    processes.forward("finish", given.finish, () => {});
    await loop({ ...compute, supervisor: undefined, onSaved }, plan, resumed?.step ?? 0);
    return await processes.share("result", (): TrainResult => resultOfDone(run!));
  }
  using encoder = await guard(
    "compiling the towers",
    Encoder.create(engine, {
      clip,
      tokenizer,
      pipeline: pipelines.evaluation,
      normalization: pipelines.normalization,
      workers: recipe.workers,
    }),
  );
  using heldOut = new HeldOutLoss(engine, batchSize, strategy.pairs);
  const supervisor = new Supervisor({
    started,
    recipe,
    hooks,
    run,
    plan,
    dataset: data.train,
    loaders,
    runner,
    phases,
    guard,
    evaluate: makeScoring({
      recipe,
      heldOut,
      encoder,
      runner,
      ema: recipe.emaDecay > 0,
      val: data.val,
      zeroshotData: data.zeroshot,
    }),
    compileSeconds,
    has: { val: data.val !== undefined, zeroshot: data.zeroshot !== undefined },
  });
  const locked =
    stepOptions.frozen === undefined
      ? ""
      : ` (${millions(learning(clip.parameters, stepOptions))} M of them trained)`;
  const among = count === 1 ? "" : ` over ${count} processes`;
  supervisor.begin(
    `${loaders.samplesPerEpoch} images, ${millions(clip.parameters)} M parameters${locked}, ` +
      `batch ${batchSize}${among}; ${start === undefined ? "" : `${start.about}; `}${model.tokenizerNote}, context ${tokenizer.contextLength}; ` +
      phases.describe(),
  );
  processes.forward("stop", undefined, () => supervisor.stop());
  processes.forward("finish", undefined, () => supervisor.finish());
  const step = await loop({ ...compute, supervisor, onSaved }, plan, resumed?.step ?? 0);
  return await processes.share("result", () => supervisor.result(step));
}

const millions = (specs: ParameterSpecs): string => (countParameters(specs) / 1e6).toFixed(1);

/** The recipe's teacher, whose embeddings process 0 makes unless they are there. */
async function teacherOf(
  recipe: Recipe,
  { processes, ...context }: Omit<StoreTeacherOptions, "logs"> & { readonly processes: Processes },
): Promise<Teacher | undefined> {
  const { teacher: path, teacherModel: model, teacherTokenizer: tokenizer, logs, workers } = recipe;
  if (path === undefined) return undefined;
  const folder = await processes.share("teacher", () =>
    storeTeacher({ path, model, tokenizer, workers }, { ...context, logs }),
  );
  return openTeacher(folder, context.dataset);
}

function withTeacher(phases: Phases, teacher: Teacher | undefined, recipe: Recipe): Phases {
  if (teacher === undefined) return phases;
  const { distill: weight = DEFAULT_DISTILL, teacherScale: scale = teacher.scale } = recipe;
  return distilledPhases(phases, { ...teacher, weight, scale });
}

/** What a process other than 0 has to say: what is wrong with its rows. */
const warningsOnly = (hooks: TrainHooks, index: number): TrainHooks => ({
  onMessage(text, kind) {
    if (kind === "warning") hooks.onMessage?.(`Process ${index}: ${text}`, kind);
  },
});
